// Row-major arrays of float64, the values of the reference interpreter, and the index walks that its ops share.
import type { DType } from "../base/dtypes.ts";
import type { NdArray } from "./field.ts";

export const countOf = (shape: readonly number[]): number => shape.reduce((n, s) => n * s, 1);
export const newArray = (dtype: DType, shape: readonly number[]): NdArray => ({ dtype, shape, data: new Float64Array(countOf(shape)) });

/** Elements to step by along each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** Calls `visit(position, index)` for each element in row-major order; `index` is reused. */
export function forEachIndex(shape: readonly number[], visit: (position: number, index: readonly number[]) => void): void {
  const total = countOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let p = 0; p < total; p++) {
    visit(p, index);
    for (let i = shape.length - 1; i >= 0; i--) {
      if (++index[i]! < shape[i]!) break;
      index[i] = 0;
    }
  }
}

/** An array whose element at each index comes from the position in `data` that `from` gives; NaN-free `fill` where it gives −1. */
export function pick(source: NdArray, shape: readonly number[], from: (index: readonly number[]) => number, fill = 0): NdArray {
  const out = newArray(source.dtype, shape);
  forEachIndex(shape, (p, index) => {
    const at = from(index);
    out.data[p] = at < 0 ? fill : source.data[at]!;
  });
  return out;
}

export const positionOf = (index: readonly number[], strides: readonly number[]): number => index.reduce((p, x, i) => p + x * strides[i]!, 0);

/** Splits a shape at an axis into what is before, the axis, and what is after: element (o, k, i) is at (o·n + k)·inner + i. */
export function aroundAxis(shape: readonly number[], axis: number): { outer: number; n: number; inner: number } {
  return { outer: countOf(shape.slice(0, axis)), n: shape[axis]!, inner: countOf(shape.slice(axis + 1)) };
}
