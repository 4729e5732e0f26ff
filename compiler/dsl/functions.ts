// Words that are not methods: making tensors, putting them together, einsum, loops, assertions.
import { SluiceError } from "../base/diagnostics.ts";
import type { DType } from "../base/dtypes.ts";
import { allAxes } from "../graph/build.ts";
import type { TensorType } from "../graph/graph.ts";
import { traceBody } from "./composite.ts";
import type { DimLike, Num, Spec } from "./dims.ts";
import { axisOf, type HasSource, nodeOf, operandNode } from "./operands.ts";
import { einsumNode } from "./rearrange.ts";
import type { Axis, AxisOf, Cat, Concat, EinsumFit, EinsumOut, Shape, SizeOf } from "./shapes.ts";
import { userSpan } from "./source.ts";
import type { Bool, I32, Scalar, Tensor } from "./tensor.ts";
import { build, trace } from "./trace.ts";
import { effect, tensorNode, wrap } from "./value.ts";

type Numbers = number | boolean | readonly number[] | Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

/** Numbers in row-major order, or one for every element. Without a spec: a scalar or a vector of f32. */
export function constant<D extends DType, S>(value: Numbers, spec: Spec<D, S>): Tensor<D, S>;
export function constant(value: Numbers): Tensor<"f32", any>;
export function constant(value: Numbers, spec?: Spec): Tensor {
  const scalar = typeof value === "number" || typeof value === "boolean";
  const type: TensorType = spec ? trace().typeOf(spec) : { dtype: "f32", shape: scalar ? [] : [value.length], axes: scalar ? [] : [null] };
  return wrap(build().constant(scalar ? Number(value) : Array.from(value), type));
}
/** The same value everywhere (0 unless given). */
export function full<D extends DType, S extends Shape>(spec: Spec<D, S>, value: Num = 0): Tensor<D, S> {
  const type = trace().typeOf(spec);
  return wrap(build().broadcastTo(operandNode(value, type.dtype), type, [])) as Tensor<D, S>;
}
/** 0, 1, 2, … along a new axis. */
export function arange<const N extends DimLike>(n: N): I32<[AxisOf<N>]> {
  const { shape, axes } = trace().shapeOf([n]);
  return wrap(build().node("iota", [], { axis: 0, type: { dtype: "i32", shape, axes } })) as I32<[AxisOf<N>]>;
}
/** A new last axis, or a new first one. */
export function stack<const X extends readonly Tensor[]>(xs: X): Tensor<X[0]["dtype"], Cat<X[0]["shape"], [SizeOf<X>]>>;
export function stack<const X extends readonly Tensor[]>(xs: X, where: "first"): Tensor<X[0]["dtype"], Cat<[SizeOf<X>], X[0]["shape"]>>;
export function stack(xs: readonly Tensor[], where: "first" | "last" = "last"): Tensor {
  const g = build();
  const ids = xs.map(tensorNode);
  const rank = ids[0] === undefined ? 0 : g.rank(ids[0]);
  const axis = where === "first" ? 0 : rank;
  const open = (id: number) => {
    const t = g.type(id);
    return g.reshape(id, [...t.shape.slice(0, axis), 1, ...t.shape.slice(axis)], [...t.axes.slice(0, axis), null, ...t.axes.slice(axis)]);
  };
  return wrap(g.node("concat", ids.map(open), { axis }));
}
export function concat<const X extends readonly Tensor[], const A extends Axis>(xs: X, axis: A): Tensor<X[0]["dtype"], Concat<X, A>> {
  const g = build();
  const ids = xs.map(tensorNode);
  if (ids[0] === undefined) throw new SluiceError({ code: "SHAPE007", message: "concat: no tensors are given", span: userSpan() });
  return wrap(g.node("concat", ids, { axis: axisOf("concat", g.type(ids[0]), axis) })) as Tensor<X[0]["dtype"], Concat<X, A>>;
}
/** `einsum("b s h, h k -> b s k", x, w)`: a letter is one size wherever it stands; letters missing on the right are summed. */
export function einsum<const P extends string, const X extends readonly Tensor[]>(pattern: EinsumFit<P, X>, ...xs: X): Tensor<X[0]["dtype"], EinsumOut<P, X>> {
  return wrap(einsumNode(pattern, xs.map(tensorNode))) as Tensor<X[0]["dtype"], EinsumOut<P, X>>;
}
/** Ends the run with the message and the source line when the condition is false. */
export function assert(condition: Scalar<"bool">, message: string): void {
  effect(build().node("assert", [tensorNode(condition)], { message }));
}

type Carry = { readonly [name: string]: Tensor };
type Next<C extends Carry> = { readonly [k in keyof C]: Tensor<C[k]["dtype"], C[k]["shape"]> } & { readonly until?: Bool<[]> };

/**
 * A loop inside the graph: `body(now, i)` gives the next carried values, `steps` times or until its `until` is true. One
 * kernel launch sequence on the device; gradients pass through it.
 */
export function iterate<const C extends Carry>(steps: DimLike, start: C, body: (now: C, i: Scalar<"i32">) => Next<C>): C {
  const g = build();
  const names = Object.keys(start);
  const first = names.map(n => nodeOf(start[n] as unknown as HasSource));
  let until = false;
  const index: TensorType = { dtype: "i32", shape: [], axes: [] };
  const { graph, captured } = traceBody("loop", ["step", ...names], [index, ...first.map(id => g.type(id))], ([i, ...now]) => {
    const next = body(Object.fromEntries(names.map((n, k) => [n, now[k]!])) as unknown as C, i as Scalar<"i32">);
    until = next.until !== undefined;
    const missing = names.find(n => !(n in next));
    if (missing) throw new SluiceError({ code: "LOOP001", message: `the loop's body does not give the next ${missing}`, span: userSpan(), expected: names.join(", ") });
    return { ...Object.fromEntries(names.map(n => [n, next[n] as Tensor])), ...(next.until ? { until: next.until } : {}) };
  });
  const loop = g.node("loop", [...first, ...captured], { body: graph, trips: trace().sizeOf(steps), carries: names.length, until });
  return Object.fromEntries(allAxes(names.length).map(i => [names[i]!, wrap(g.item(loop, i))])) as unknown as C;
}
