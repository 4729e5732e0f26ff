// Kernels as an image for the CUDA driver, which runtime/native/device/cuda-module.h describes: fat binaries behind a table.
import type { CudaCode } from "../../../runtime/program.ts";
import type { Kernel } from "../../kernel/ir.ts";
import { compileCuda, type CompileCudaOptions } from "./compile.ts";

const MAGIC = 0x43434c53;
const VERSION = 1;
/** Of where fat binaries lie. */
const ALIGNMENT = 8;

/** Throws SluiceError where there is no nvcc or it does not know an architecture. */
export async function cudaImage(kernels: readonly Kernel[], options: CompileCudaOptions): Promise<CudaCode> {
  const compiled = await compileCuda(kernels, options);
  const places: (readonly [first: number, bytes: number])[] = [];
  let end = 0;
  for (const { length } of compiled.images) {
    places.push([end, length]);
    end = Math.ceil((end + length) / ALIGNMENT) * ALIGNMENT;
  }
  const rows = compiled.kernels.map(({ threads, tasks, unit }) => [threads, tasks, unit]);
  const table = Uint32Array.of(MAGIC, VERSION, compiled.toolkit, rows.length, places.length, ...rows.flat(), ...places.flat());
  const bytes = new Uint8Array(table.byteLength + end);
  bytes.set(new Uint8Array(table.buffer));
  compiled.images.forEach((image, i) => bytes.set(image, table.byteLength + places[i]![0]));
  return { architectures: compiled.architectures, bytes, scratch: compiled.kernels.map(k => k.scratch) };
}
