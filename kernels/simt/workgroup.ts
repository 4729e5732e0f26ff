// What generators for workgroups share: how threads divide a block of elements, and sums over threads in a fixed order.
import { addSize, floorDivSize, modSize, mulSize, type Size } from "../../compiler/base/sizes.ts";
import { and, constant, index, lt } from "../../compiler/kernel/expr.ts";
import type { Expr } from "../../compiler/kernel/ir.ts";
import type { KernelBuilder } from "../builder.ts";

/** The condition that all indices lie below their ends; those that cannot but do are left out. */
export function allBelow(...pairs: readonly (readonly [at: Size, end: Size, isKnown: boolean])[]): Expr {
  return pairs.filter(([, , isKnown]) => !isKnown).map(([at, end]) => lt(index(at), index(end))).reduce<Expr>((a, b) => (a.kind === "const" ? b : and(a, b)), constant("bool", 1));
}

/** Whether blocks of so many elements fill the extent. */
export const isWhole = (extent: Size, block: number): boolean => typeof extent === "number" && extent > 0 && extent % block === 0;

/** A thread's elements of a block with rows of `width`, neighbouring threads having neighbours in a row; the threads are whole rows. */
export function eachOwn(k: KernelBuilder, thread: Size, threads: number, count: number, width: number, body: (row: Size, column: Size, number: Size) => void): void {
  const [row, column] = [floorDivSize(thread, width), modSize(thread, width)];
  k.unroll("i", count / threads, i => body(addSize(row, mulSize(i, threads / width)), column, i));
}

/**
 * Combines what `count` threads hold, a power of two, into what the first of them holds: halves are added until one is left.
 * `position` is the thread's number among them. All threads of the workgroup get here; `combine` adds what the thread at a
 * position holds in shared memory to what this one does.
 */
export function overThreads(k: KernelBuilder, position: Size, count: number, combine: (other: Size) => void): void {
  for (let half = count / 2; half >= 1; half /= 2) {
    k.barrier();
    k.if_(lt(index(position), index(half)), () => combine(addSize(position, half)));
  }
}
