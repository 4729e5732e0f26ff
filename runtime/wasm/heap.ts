// Places in one WebAssembly memory: first fit over a list of free ranges, 64-byte aligned, growing the memory when nothing
// fits. Throws MEM001, naming the bytes, when the memory can grow no further.
import { SluiceError } from "../../compiler/base/diagnostics.ts";

export const PAGE = 65536;
export const ALIGNMENT = 64;
/** 4 GiB: all that a 32-bit address reaches. */
export const MAX_PAGES = 65536;

export interface Block {
  readonly address: number;
  readonly bytes: number;
}

const mebibytes = (bytes: number): string => `${bytes} bytes (${(bytes / 2 ** 20).toFixed(1)} MiB)`;

export class Heap {
  readonly #memory: WebAssembly.Memory;
  /** By address, never touching each other. */
  readonly #free: { address: number; bytes: number }[] = [];
  readonly #limit: number;
  #end: number;

  /** `limit`: bytes past which the process may not go, whatever the engine grants. */
  constructor(memory: WebAssembly.Memory, start: number, limit = MAX_PAGES * PAGE) {
    this.#memory = memory;
    this.#limit = Math.min(limit, MAX_PAGES * PAGE);
    this.#end = start;
  }

  /** `purpose` completes "not enough memory for …". */
  allocate(wanted: number, purpose: string): Block {
    const bytes = Math.max(ALIGNMENT, Math.ceil(wanted / ALIGNMENT) * ALIGNMENT);
    const at = this.#free.findIndex(range => range.bytes >= bytes);
    const range = this.#free[at];
    if (range) {
      const address = range.address;
      range.address += bytes;
      range.bytes -= bytes;
      if (range.bytes === 0) this.#free.splice(at, 1);
      return { address, bytes };
    }
    const last = this.#free.at(-1);
    const address = last && last.address + last.bytes === this.#end ? last.address : this.#end;
    this.#grow(address + bytes, wanted, purpose);
    if (address !== this.#end) this.#free.pop();
    this.#end = address + bytes;
    return { address, bytes };
  }

  release({ address, bytes }: Block): void {
    if (bytes === 0) return;
    const next = this.#free.findIndex(range => range.address > address);
    const at = next < 0 ? this.#free.length : next;
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsBefore = before && before.address + before.bytes === address;
    const joinsAfter = after && address + bytes === after.address;
    if (joinsBefore) before.bytes += bytes + (joinsAfter ? after.bytes : 0);
    else if (joinsAfter) {
      after.address = address;
      after.bytes += bytes;
    } else this.#free.splice(at, 0, { address, bytes });
    if (joinsBefore && joinsAfter) this.#free.splice(at, 1);
  }

  #grow(end: number, wanted: number, purpose: string): void {
    const missing = Math.ceil((end - this.#memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    try {
      if (end > this.#limit) throw new RangeError("past the limit");
      this.#memory.grow(missing);
    } catch {
      throw new SluiceError({
        code: "MEM001", message: `not enough memory for ${purpose}`, found: `it needs ${mebibytes(wanted)}; ${mebibytes(this.#end)} are in use`,
        expected: `at most ${mebibytes(this.#limit)} in all`, hint: "use smaller sizes, or close programs that are no longer needed",
      });
    }
  }
}
