// Winograd's minimal filtering F(2, 3) along the columns of an image: two neighbouring results of a filter of three columns
// from four products instead of six (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016). With d the
// four columns of x and g the filter's three,
//
//   y0 = s + t + (d0 - d2)·g0        s = (d1 + d2)·(g0 + g1 + g2)/2
//   y1 = s - t + (d3 - d1)·g2        t = (d2 - d1)·(g0 - g1 + g2)/2
//
// Sums over channels and rows of s and t are taken first, and then go on as y0 and y1 in the same registers. Rows of x are
// kept as four planes, one for each difference or sum. Small integers stay exact.
import { type DType, isFloat } from "../compiler/base/dtypes.ts";
import { addSize, mulSize, type Size } from "../compiler/base/sizes.ts";
import { add, fma, mul, sub } from "../compiler/kernel/expr.ts";
import type { Buffer, Expr } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";
import type { Ring } from "./ring.ts";
import { eachVector, lanesUpTo, overhang } from "./simd.ts";

export const PLANES = 4;

/** Whether windows are three columns wide and move by one. */
export const isPairable = (dtype: DType, columns: number, { stride, dilation }: { readonly stride: readonly [number, number]; readonly dilation: readonly [number, number] }): boolean =>
  isFloat(dtype) && columns === 3 && stride[1] === 1 && dilation[1] === 1;

/** The filter of a plane, of its three columns. */
export function planeFilter(plane: number, column: (kx: number) => Expr): Expr {
  if (plane === 0) return column(0);
  if (plane === 3) return column(2);
  return fma(column(1), plane === 1 ? 0.5 : -0.5, mul(add(column(0), column(2)), 0.5));
}

/** [slot, plane, channels of a pair of columns after those of the one before] */
export const allocPlanes = (k: KernelBuilder, dtype: DType, slots: number, pairs: Size, channels: number): Buffer =>
  k.alloc("planes", dtype, [slots, PLANES, addSize(mulSize(pairs, channels), overhang(channels, lanesUpTo(channels, k.simd, dtype)))], "local");

/** Fills the slot's planes from the one row of the ring. */
export function fillPlanes(k: KernelBuilder, planes: Buffer, slot: Size, row: Ring, pairs: Size): void {
  const { channels } = row;
  const lanes = lanesUpTo(channels, k.simd, planes.dtype);
  // What a pair's last vector leaves beyond its channels, the next pair overwrites.
  k.for_("pair", pairs, pair => eachVector(k, Math.ceil(channels / lanes) * lanes, lanes, c => {
    const [d0, d1, d2, d3] = [0, 1, 2, 3].map(i => k.load(row.buffer, [0, addSize(mulSize(addSize(mulSize(pair, 2), i), channels), c)], lanes)) as [Expr, Expr, Expr, Expr];
    const at = addSize(mulSize(pair, channels), c);
    [sub(d0, d2), add(d1, d2), sub(d2, d1), sub(d3, d1)].forEach((value, plane) => k.store(planes, [slot, plane, at], value));
  }));
}
