// An executable: the native runner with a container after it. The container starts at a multiple of 4096, so that its sections
// are mapped as they lie; the last 16 bytes of the file are its length (u64, little-endian) and the container's magic number.
import { alignUp, BLOCK, MAGIC } from "./layout.ts";

export function withContainer(runner: Uint8Array, container: Uint8Array): Uint8Array {
  const start = alignUp(runner.length, BLOCK);
  const file = new Uint8Array(start + container.length + 16);
  file.set(runner);
  file.set(container, start);
  const end = start + container.length;
  new DataView(file.buffer).setBigUint64(end, BigInt(container.length), true);
  file.set(MAGIC, end + 8);
  return file;
}
