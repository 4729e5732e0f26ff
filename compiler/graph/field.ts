// The number field that the reference interpreter computes in, as a parameter: float64, where floats are what they are,
// or a prime field, where two graphs related by an algebraic rewrite agree exactly and transcendentals are keyed
// uninterpreted functions. Integers and bools are ordinary in both.
import type { DType } from "../base/dtypes.ts";
import type { BinaryOp, UnaryOp } from "./graph.ts";

/** Row-major, one float64 an element whatever the dtype. */
export interface NdArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface Field {
  readonly name: "float64" | "prime";
  /** A literal as an element: a rational's residue in the prime field. */
  literal(x: number, dtype: DType): number;
  unary(op: UnaryOp, x: number, dtype: DType): number;
  /** For comparisons `dtype` is the operands'. */
  binary(op: BinaryOp, a: number, b: number, dtype: DType): number;
  /** Between dtypes; rounds in float64. */
  cast(x: number, from: DType, to: DType): number;
}
