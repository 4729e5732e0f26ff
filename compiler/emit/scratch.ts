// Where the local buffers of a kernel lie in a worker's scratch memory: one after the other, those of separate blocks over
// each other.
import { type DType, DTYPES } from "../base/dtypes.ts";
import { InternalError } from "../base/diagnostics.ts";
import { addSize, dimsOf, floorDivSize, maxSize, mulSize, productSize, type Size } from "../base/sizes.ts";
import type { Kernel } from "../kernel/ir.ts";

/** Local buffers start at multiples of this. */
const ALIGNMENT = 64;

export class ScratchLayout {
  readonly #dims: ReadonlySet<string>;
  #end: Size = 0;
  #bytes: Size = 0;

  constructor(kernel: Kernel) {
    this.#dims = new Set(kernel.dims.map(d => d.name));
  }

  /** What the kernel needs in all, in its dims. */
  get bytes(): Size {
    return this.#bytes;
  }

  /** Buffers placed by the callback are given up after it. */
  block(write: () => void): void {
    const end = this.#end;
    write();
    this.#end = end;
  }

  /** The offset of a new buffer; its shape is in the kernel's dims. */
  place(name: string, dtype: DType, shape: readonly Size[]): Size {
    const bytes = floorDivSize(addSize(mulSize(productSize(shape), DTYPES[dtype].bits), 7), 8);
    for (const dim of dimsOf(bytes)) if (!this.#dims.has(dim)) throw new InternalError(`the size of local buffer ${name} depends on ${dim}, which is no dim`);
    const offset = this.#end;
    this.#end = addSize(offset, mulSize(floorDivSize(addSize(bytes, ALIGNMENT - 1), ALIGNMENT), ALIGNMENT));
    this.#bytes = maxSize(this.#bytes, this.#end);
    return offset;
  }
}
