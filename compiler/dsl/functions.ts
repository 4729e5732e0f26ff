// Words that are not methods: making tensors, putting them together, einsum, loops, assertions.
import { SluiceError } from "../base/diagnostics.ts";
import type { DType } from "../base/dtypes.ts";
import { allAxes, Build } from "../graph/build.ts";
import type { NodeId, TensorType } from "../graph/graph.ts";
import { traceBody } from "./composite.ts";
import { type DimLike, f32, i32, type Num, requireSize, type Spec } from "./dims.ts";
import { axisOf, type HasSource, nodeOf, operandNode, requireValue } from "./operands.ts";
import { einsumNode } from "./rearrange.ts";
import type { Axis, AxisOf, Cat, Concat, EinsumFit, EinsumOut, Shape, SizeOf } from "./shapes.ts";
import { userSpan } from "./source.ts";
import type { Bool, I32, Scalar, Tensor } from "./tensor.ts";
import { build, trace, tracing } from "./trace.ts";
import { constantTensor, effect, tensorNode, wrap } from "./value.ts";

type Numbers = number | boolean | readonly number[] | Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

/** What `make` gives, now or, outside of an entry, in every graph that uses it; its nodes stand where it is written. */
function whereUsed(spec: Spec, number: number | null, make: (g: Build, type: TensorType) => NodeId): Tensor {
  const span = userSpan();
  const typeNow = (): TensorType => (tracing() ? trace().typeOf(spec, span) : { dtype: spec.spec, shape: spec.dims.map(d => (typeof d === "number" ? d : d.value)), axes: spec.dims.map(d => (typeof d === "number" ? null : d.name)) });
  const node = (): NodeId => make(new Build(trace().b, span), typeNow());
  return tracing() ? wrap(node()) : constantTensor({ type: typeNow, number, make: node });
}

/** The numbers as a list, each one that the dtype holds. Throws SluiceError DTYPE001, SHAPE011 or TRACE004. */
function requireNumbers(value: Numbers, { spec: dtype, dims }: Spec): number | number[] {
  const refuse = (found: string): never => {
    throw new SluiceError({ code: "TRACE004", message: "constant: these are no numbers", span: userSpan(), found, expected: "a number, or a list of numbers in row-major order", hint: "a list of lists is given flat, with its shape: constant([1, 2, 3, 4], f32(2, 2))" });
  };
  const one = (x: unknown): number => {
    if (typeof x !== "number" && typeof x !== "boolean") return refuse(Array.isArray(x) ? "a list of lists" : x === null ? "null" : typeof x);
    requireValue(Number(x), dtype);
    return Number(x);
  };
  if (typeof value === "number" || typeof value === "boolean") return one(value);
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return refuse(value === null ? "null" : typeof value);
  const list = Array.from(value as readonly number[], one);
  const sizes = dims.map(d => (typeof d === "number" ? d : d.value)).filter(n => typeof n === "number");
  const count = sizes.reduce((n, s) => n * s, 1);
  if (sizes.length === dims.length && count !== list.length) throw new SluiceError({ code: "SHAPE011", message: `constant: ${list.length} values are given for ${dtype}[${sizes.join(", ")}]`, span: userSpan(), found: `${list.length} values`, expected: `${count}, or one for every element` });
  return list;
}

/** Numbers in row-major order, or one for every element. Without a spec: a scalar or a vector of f32. Outside of entries too. */
export function constant<D extends DType, S>(value: Numbers, spec: Spec<D, S>): Tensor<D, S>;
export function constant(value: Numbers): Tensor<"f32", any>;
export function constant(value: Numbers, spec?: Spec): Tensor {
  const own = spec ?? (Array.isArray(value) || ArrayBuffer.isView(value) ? f32((value as readonly number[]).length) : f32());
  const numbers = requireNumbers(value, own);
  return whereUsed(own, typeof numbers === "number" && own.dims.length === 0 ? numbers : null, (g, type) => g.constant(numbers, type));
}
/** The same value everywhere (0 unless given). */
export function full<D extends DType, S extends Shape>(spec: Spec<D, S>, value: Num = 0): Tensor<D, S> {
  if (typeof value === "number") requireValue(value, spec.spec);
  return whereUsed(spec, typeof value === "number" && spec.dims.length === 0 ? value : null, (g, type) => g.broadcastTo(operandNode(value, type.dtype), type, [])) as Tensor<D, S>;
}
/** 0, 1, 2, … along a new axis. */
export function arange<const N extends DimLike>(n: N): I32<[AxisOf<N>]> {
  return whereUsed(i32(n), null, (g, type) => g.node("iota", [], { axis: 0, type })) as I32<[AxisOf<N>]>;
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
    const next: Next<C> | undefined = body(Object.fromEntries(names.map((n, k) => [n, now[k]!])) as unknown as C, i as Scalar<"i32">);
    if (typeof next !== "object" || next === null) throw new SluiceError({ code: "LOOP001", message: "the loop's body does not give the next values", span: userSpan(), found: String(next), expected: names.join(", "), hint: "an arrow function returns an object in parentheses: ({ x }) => ({ x: x.exp() })" });
    until = next.until !== undefined;
    const missing = names.find(n => !(n in next));
    if (missing) throw new SluiceError({ code: "LOOP001", message: `the loop's body does not give the next ${missing}`, span: userSpan(), expected: names.join(", ") });
    return { ...Object.fromEntries(names.map(n => [n, next[n] as Tensor])), ...(next.until ? { until: next.until } : {}) };
  });
  requireSize(steps);
  const loop = g.node("loop", [...first, ...captured], { body: graph, trips: trace().sizeOf(steps), carries: names.length, until });
  return Object.fromEntries(allAxes(names.length).map(i => [names[i]!, wrap(g.item(loop, i))])) as unknown as C;
}
