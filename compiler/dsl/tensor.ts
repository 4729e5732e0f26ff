// The Tensor interface: every word a tensor understands, with its shapes in types. `value.ts` implements it.
import type { DType } from "../base/dtypes.ts";
import type { DimLike, Num, Span } from "./dims.ts";
import type { AxesOf, AxisIn, Cat, Cut, Drop, Fit, Join, Keep, KeysFit, MatmulFit, MatmulOut, Near, PickFit, Pieces, RearrangeFit, RearrangeOut, ReshapeCheck, Several, Shape, ShapeOf, SizeAt, Sizes } from "./shapes.ts";

export type F64<S> = Tensor<"f64", S>;
export type F32<S> = Tensor<"f32", S>;
export type F16<S> = Tensor<"f16", S>;
export type BF16<S> = Tensor<"bf16", S>;
export type I32<S> = Tensor<"i32", S>;
export type U32<S> = Tensor<"u32", S>;
export type U8<S> = Tensor<"u8", S>;
export type Bool<S> = Tensor<"bool", S>;
export type Scalar<D extends DType = any> = Tensor<D, []>;

export interface KeepDims { readonly keepdims: true }
export interface ScanOptions { readonly exclusive?: boolean; readonly reverse?: boolean }

/** A value in a graph; of rank 0, also a value in a procedure. Immutable. Axes go by their size's name or by number (−1 is the last). */
export interface Tensor<out D extends DType = any, out S = any> {
  readonly dtype: D;
  readonly shape: S;

  // elementwise, broadcasting from the right as NumPy does
  add(x: Near<D, S>): Tensor<D, S>;
  add<X extends Shape>(x: Fit<"add", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  sub(x: Near<D, S>): Tensor<D, S>;
  sub<X extends Shape>(x: Fit<"sub", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  mul(x: Near<D, S>): Tensor<D, S>;
  mul<X extends Shape>(x: Fit<"mul", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  /** Of integers, rounded towards zero. */
  div(x: Near<D, S>): Tensor<D, S>;
  div<X extends Shape>(x: Fit<"div", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  /** The remainder, of the divisor's sign. */
  mod(x: Near<D, S>): Tensor<D, S>;
  mod<X extends Shape>(x: Fit<"mod", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  pow(x: Near<D, S>): Tensor<D, S>;
  pow<X extends Shape>(x: Fit<"pow", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  maximum(x: Near<D, S>): Tensor<D, S>;
  maximum<X extends Shape>(x: Fit<"maximum", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  minimum(x: Near<D, S>): Tensor<D, S>;
  minimum<X extends Shape>(x: Fit<"minimum", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  atan2<X extends Shape>(x: Fit<"atan2", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  eq(x: Near<D, S>): Bool<S>;
  eq<X extends Shape>(x: Fit<"eq", S, X, Tensor<D, X>>): Bool<Join<S, X>>;
  ne(x: Near<D, S>): Bool<S>;
  ne<X extends Shape>(x: Fit<"ne", S, X, Tensor<D, X>>): Bool<Join<S, X>>;
  lt(x: Near<D, S>): Bool<S>;
  lt<X extends Shape>(x: Fit<"lt", S, X, Tensor<D, X>>): Bool<Join<S, X>>;
  le(x: Near<D, S>): Bool<S>;
  le<X extends Shape>(x: Fit<"le", S, X, Tensor<D, X>>): Bool<Join<S, X>>;
  gt(x: Near<D, S>): Bool<S>;
  gt<X extends Shape>(x: Fit<"gt", S, X, Tensor<D, X>>): Bool<Join<S, X>>;
  ge(x: Near<D, S>): Bool<S>;
  ge<X extends Shape>(x: Fit<"ge", S, X, Tensor<D, X>>): Bool<Join<S, X>>;
  /** On bool, and on integers bit by bit. */
  and<X extends Shape>(x: Fit<"and", S, X, Tensor<D, X>> | number): Tensor<D, Join<S, X>>;
  or<X extends Shape>(x: Fit<"or", S, X, Tensor<D, X>> | number): Tensor<D, Join<S, X>>;
  xor<X extends Shape>(x: Fit<"xor", S, X, Tensor<D, X>> | number): Tensor<D, Join<S, X>>;
  /** By a number of bits modulo the width. */
  shl(bits: number): Tensor<D, S>;
  shl<X extends Shape>(bits: Fit<"shl", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  shr(bits: number): Tensor<D, S>;
  shr<X extends Shape>(bits: Fit<"shr", S, X, Tensor<D, X>>): Tensor<D, Join<S, X>>;
  not(): Tensor<D, S>;
  neg(): Tensor<D, S>;
  abs(): Tensor<D, S>;
  sign(): Tensor<D, S>;
  exp(): Tensor<D, S>;
  log(): Tensor<D, S>;
  sqrt(): Tensor<D, S>;
  rsqrt(): Tensor<D, S>;
  square(): Tensor<D, S>;
  sin(): Tensor<D, S>;
  cos(): Tensor<D, S>;
  tanh(): Tensor<D, S>;
  erf(): Tensor<D, S>;
  sigmoid(): Tensor<D, S>;
  relu(): Tensor<D, S>;
  silu(): Tensor<D, S>;
  /** x·Φ(x), through erf; "tanh" is the older approximation. */
  gelu(opts?: { approximate?: "tanh" }): Tensor<D, S>;
  floor(): Tensor<D, S>;
  ceil(): Tensor<D, S>;
  /** To the nearest integer, ties to even. */
  round(): Tensor<D, S>;
  clamp(low: Num, high: Num): Tensor<D, S>;
  isFinite(): Bool<S>;
  /** A bool chooses: `hit.where(colour, background)`. */
  where<E extends DType, X extends Shape>(yes: Tensor<E, X>, no: number): Tensor<E, Join<S, X>>;
  where<E extends DType, Y extends Shape>(yes: number, no: Tensor<E, Y>): Tensor<E, Join<S, Y>>;
  where<E extends DType, X extends Shape, Y extends Shape>(yes: Tensor<E, X> | number, no: Tensor<E, Y> | number): Tensor<E, Join<S, Join<X, Y>>>;
  /**
   * The same values in another dtype. A float becomes an integer by dropping its fraction and saturating: what is too large
   * is the largest integer of the dtype, what is too small the least, and NaN is 0. An integer becomes a narrower one, or one of
   * the other sign, by wrapping: its low bits are kept. Floats round to the nearest, ties to even. As bool, all but 0 is true.
   */
  cast<E extends DType>(dtype: E): Tensor<E, S>;
  /** The same bits as another dtype of 32 bits. */
  bitcast<E extends DType>(dtype: E): Tensor<E, S>;
  /** No gradient passes. */
  stopGradient(): Tensor<D, S>;

  // reduction and scan
  /** Of no elements 0. */
  sum(): Scalar<D>;
  sum<const A extends AxesOf<S>>(axes: A): Tensor<D, Drop<S, A>>;
  sum<const A extends AxesOf<S>>(axes: A, opts: KeepDims): Tensor<D, Keep<S, A>>;
  /** Of no elements NaN. */
  mean(): Scalar<D>;
  mean<const A extends AxesOf<S>>(axes: A): Tensor<D, Drop<S, A>>;
  mean<const A extends AxesOf<S>>(axes: A, opts: KeepDims): Tensor<D, Keep<S, A>>;
  /** The mean squared distance from the mean (divided by the count). */
  variance(): Scalar<D>;
  variance<const A extends AxesOf<S>>(axes: A): Tensor<D, Drop<S, A>>;
  variance<const A extends AxesOf<S>>(axes: A, opts: KeepDims): Tensor<D, Keep<S, A>>;
  /** Of no elements −Infinity, the least integer of the dtype, or false. */
  max(): Scalar<D>;
  max<const A extends AxesOf<S>>(axes: A): Tensor<D, Drop<S, A>>;
  max<const A extends AxesOf<S>>(axes: A, opts: KeepDims): Tensor<D, Keep<S, A>>;
  /** Of no elements Infinity, the largest integer of the dtype, or true. */
  min(): Scalar<D>;
  min<const A extends AxesOf<S>>(axes: A): Tensor<D, Drop<S, A>>;
  min<const A extends AxesOf<S>>(axes: A, opts: KeepDims): Tensor<D, Keep<S, A>>;
  /** Of no elements 1. */
  prod<const A extends AxesOf<S>>(axes: A): Tensor<D, Drop<S, A>>;
  /** The position of the first of the largest elements, NaN being the smallest; 0 of an axis without elements. */
  argmax<const A extends AxisIn<S>>(axis: A): I32<Drop<S, A>>;
  /** The position of the first of the smallest elements, NaN being the largest; 0 of an axis without elements. */
  argmin<const A extends AxisIn<S>>(axis: A): I32<Drop<S, A>>;
  any(): Scalar<"bool">;
  all(): Scalar<"bool">;
  cumsum(axis: AxisIn<S>, opts?: ScanOptions): Tensor<D, S>;
  cumprod(axis: AxisIn<S>, opts?: ScanOptions): Tensor<D, S>;
  softmax(axis: AxisIn<S>): Tensor<D, S>;
  logSoftmax(axis: AxisIn<S>): Tensor<D, S>;

  // contraction
  matmul<X extends Shape>(x: MatmulFit<S, X, Tensor<D, X>>): Tensor<D, MatmulOut<S, X>>;

  // movement
  rearrange<const P extends string, const Z extends Sizes = {}>(pattern: RearrangeFit<P, S>, sizes?: Z): Tensor<D, RearrangeOut<P, S, Z>>;
  reshape<const L extends readonly DimLike[]>(...dims: L & ReshapeCheck<S, ShapeOf<L>>): Tensor<D, ShapeOf<L>>;
  /** The same tensor with other names on its axes; every size is checked when traced. */
  rename<const L extends readonly DimLike[]>(...dims: L): Tensor<D, ShapeOf<L>>;
  /** Fixes axes: `x.select({ layer: 3 })` drops "layer", `x.select({ [-1]: 0 })` the last. The index may be data (clamped). */
  select<const I extends { readonly [axis: string | number]: Num }>(index: KeysFit<"select", I, S>): Tensor<D, Drop<S, keyof I>>;
  /** Cuts axes: `x.slice({ T: span(0, L) })`. The start may be data (clamped so that the part fits). */
  slice<const I extends { readonly [axis: string | number]: Span }>(spans: KeysFit<"slice", I, S>): Tensor<D, Cut<S, I>>;
  /** One tensor per index of an axis. */
  unbind<const A extends AxisIn<S>>(axis: A): Several<SizeAt<S, A>, Tensor<D, Drop<S, A>>>;
  /** Equal pieces of an axis (the last): of "3*H", three of "H". */
  chunk<const N extends number>(n: N, axis?: AxisIn<S>): Pieces<N, D, S>;
  /** New leading axes, by repetition. */
  expand<const L extends readonly DimLike[]>(...dims: L): Tensor<D, Cat<ShapeOf<L>, S>>;
  /** A new axis of size 1: the last, or before the given one. */
  unsqueeze(): Tensor<D, Cat<S, [1]>>;
  unsqueeze(axis: number): Tensor<D, any>;
  pad(by: { readonly [axis: string]: readonly [number, number] }, value?: number): Tensor<D, any>;
  flip(axis: AxisIn<S>): Tensor<D, S>;

  // indexing
  /** Rows of a table: `[V, H]` at ids `[B, S]` is `[B, S, H]`. Ids are clamped to the bounds; of a table without rows, every row is 0. */
  gather<X extends Shape>(ids: Tensor<"i32" | "u32", X>): Tensor<D, S extends readonly [any, ...infer R] ? [...X, ...R] : any>;
  /** Elements of the last axis: at ids [B] of [B, V] one of each row, at ids [B, K] K of each. Ids are clamped to the bounds; of an axis without elements, all are 0. */
  takeAlong<X extends Shape>(ids: PickFit<S, X, Tensor<"i32" | "u32", X>>): Tensor<D, X>;
  /** Rows put, added or compared at ids; in the order of the ids, so the bytes are the same each time. Ids out of range are dropped. */
  scatter<X extends Shape>(how: "set" | "add" | "max" | "min", ids: Tensor<"i32" | "u32", X>, rows: Tensor<D>): Tensor<D, S>;
  topK<const K extends DimLike>(k: K, axis?: AxisIn<S>): { values: Tensor<D, any>; ids: I32<any> };
  sort(axis: AxisIn<S>, opts?: { descending?: boolean }): { values: Tensor<D, S>; ids: I32<S> };
  /** Position of each value in a sorted vector: the first element that is not smaller. */
  searchSorted(sorted: Tensor<D>): I32<S>;

  // looking
  /** A name that the debugger and `watch` know this value by. */
  tag(name: string): Tensor<D, S>;
  /** Prints when reached; ordered, never removed, and of no effect on results. */
  print(label?: string): Tensor<D, S>;
  /** Stops the run with the message and the source line if NaN or infinity is met. */
  assertFinite(message?: string): Tensor<D, S>;
}

/** A named tensor that lives between calls. Used as a tensor it is its value at that point of the trace, earlier writes of the same entry included. */
export interface State<out D extends DType = any, out S = any> extends Tensor<D, S> {
  /** The whole value; once in an entry. Throws STATE001 on a second one. */
  set(value: Tensor<D, any> | number): void;
  /** Writes a part in place: `kv.put({ layer: 3, T: past }, k)`. Axes that are fixed may be missing in the value. */
  put(at: { readonly [axis: string]: Num }, value: Tensor<D, any>): void;
}

