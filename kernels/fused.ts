// What generators read and write instead of buffers, so that any of them takes fused producers and consumers. The caller
// owns the kernel's parameters; a generator owns its grid and loops.
import type { DType } from "../compiler/base/dtypes.ts";
import type { Size } from "../compiler/base/sizes.ts";
import type { Expr } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";

/** A tensor computed where it is read: a buffer, or an expression over buffers. */
export interface Source {
  readonly dtype: DType;
  readonly shape: readonly Size[];
  /** Whether elements lie in memory as registers hold them, so that reading one again costs a load and no more. */
  readonly inMemory?: boolean;
  /** `lanes` elements from the index on along the last axis, all inside the shape; typed REGISTER_TYPE[dtype]. */
  read(k: KernelBuilder, at: readonly Size[], lanes: number): Expr;
  /** Where few channels are the last axis: `lanes` elements of a row of pixels from `first` on, counted from pixel x. `at` is the row. */
  readRun?(k: KernelBuilder, at: readonly Size[], x: Size, first: number, lanes: number): Expr;
}

/** Where results go: each element once. A generator calls `open` with the index of the task once its grid is declared, before the
 *  first write, and `close` after the last. */
export interface Sink {
  open?(k: KernelBuilder, task: readonly Size[]): void;
  /** As many elements as the value has lanes, from the index on along the last axis. */
  write(k: KernelBuilder, at: readonly Size[], value: Expr): void;
  /** The same for elements of a row of pixels from `first` on, counted from pixel x. */
  writeRun?(k: KernelBuilder, at: readonly Size[], x: Size, first: number, value: Expr): void;
  /** The same for whole vectors of so many neighbouring pixels, the first at the index, where that is better than one by one. */
  writePixels?(k: KernelBuilder, at: readonly Size[], pixels: number, value: (pixel: Size) => Expr): void;
  close?(k: KernelBuilder): void;
}
