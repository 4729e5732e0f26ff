// How long sums of floats are made: a running sum adds BLOCK values at most, from 0 on; the sums of blocks are added in their
// order, BLOCK of them at most to a sum of theirs, and so on. So the error of a sum of n elements grows with BLOCK and with the
// logarithm of n, not with n. It follows from shapes and from the bounds of dims which loops have a sum of their own.
// Sums of products have two levels: blocks of PRODUCTS, and their sums in their order. Not in blocks are running sums (scan),
// scatter-add, which goes by the order of its ids, and the sums of convolutions, which are as long as a filter is large.
import { addSize, maxSize, minSize, mulSize, type Size, subSize } from "../compiler/base/sizes.ts";
import type { KernelBuilder } from "./builder.ts";
import { ceilDiv } from "./simd.ts";

/** Values that one running sum of floats adds, at most: elements, or vectors of them whose lanes are summed at the end. */
export const BLOCK = 256;
/** Steps of k that one running sum of products has, at most. */
export const PRODUCTS = 512;

/** A loop over an axis in rounds of `step` elements; a loop that is fresh adds up on its own, and its sum is added as one. */
export interface SumLevel {
  /** The number of the axis among those that are summed. */
  readonly axis: number;
  readonly step: number;
  readonly fresh: boolean;
}

/** Loops over axes of at most so many values, the outermost first. */
export function sumLevels(most: readonly number[]): SumLevel[] {
  const levels: SumLevel[] = [];
  const startAnew = (): void => void (levels[0] = { ...levels[0]!, fresh: true });
  /** What the innermost running sum adds up to here. */
  let run = 1;
  for (let axis = most.length - 1; axis >= 0; axis--) {
    let step = 1;
    while (run * Math.ceil(most[axis]! / step) > BLOCK) {
      const rounds = 2 ** Math.floor(Math.log2(BLOCK / run));
      if (rounds > 1) {
        levels.unshift({ axis, step, fresh: true });
        step *= rounds;
      } else startAnew();
      run = 1;
    }
    levels.unshift({ axis, step, fresh: false });
    run *= Math.ceil(most[axis]! / step);
  }
  return levels;
}

/** Calls `body` for blocks of `step` elements of the `count` from `from` on; the last may be shorter. */
export function forBlocks(k: KernelBuilder, from: Size, count: Size, step: number, body: (from: Size, count: Size) => void): void {
  const whole = typeof count === "number" ? Math.floor(count / step) : null;
  const rounds = whole ?? ceilDiv(count, step);
  if (rounds !== 0) k.for_("block", rounds, block => {
    const start = mulSize(block, step);
    body(addSize(from, start), whole === null ? minSize(step, maxSize(subSize(count, start), 0)) : step);
  });
  // What is left of a constant count is known too.
  if (typeof count === "number" && count % step > 0) body(addSize(from, count - (count % step)), count % step);
}
