// Whether two graphs mean the same: the same inputs, states, outputs, updates and effects, and the same values on given inputs.
// In the prime field values are equal or not. In float64 they may differ by rounding, and how much is allowed is measured: the
// first graph runs again with every result of an operation moved by one part in 10^12, and what moves then may differ as far.
import { type DType, DTYPES, type FloatType, isFloat } from "../base/dtypes.ts";
import { type Field, float64, type NdArray, prime } from "../graph/field.ts";
import { type Graph, inputsOf, type Named, type TensorType } from "../graph/graph.ts";
import { interpret } from "../graph/interpret.ts";
import { valueTypeText } from "../graph/text.ts";
import type { GraphCase } from "./graphs.ts";
import { drawValues, type Values } from "./values.ts";

/** Everything that a graph does on some inputs, by what it is called in messages. */
export type Results = ReadonlyMap<string, NdArray>;

function resultsOf(graph: Graph, { dims }: GraphCase, values: Values, field: Field): Results {
  const told = new Map<unknown, NdArray>();
  const { outputs, updates } = interpret(graph, { ...values, dims, field, onEffect: (_kind, _text, value, node) => told.set(node, value) });
  return new Map([
    ...Object.entries(outputs).map(([name, x]) => [`output ${name}`, x] as const), ...Object.entries(updates).map(([name, x]) => [`update of ${name}`, x] as const),
    ...graph.effects.map((id, i) => [`effect ${i + 1}`, told.get(graph.nodes[id])!] as const),
  ]);
}

/** What differs in what the graphs take and give; null if nothing does. Types may differ in the names of axes. */
export function interfaceDifference(before: Graph, after: Graph): string | null {
  const typed = (g: Graph, list: readonly Named[]) => list.map(({ name, id }) => ({ name, type: g.nodes[id]!.type as TensorType }));
  const effects = (g: Graph) => g.effects.map(id => {
    const n = g.nodes[id]!;
    return { name: n.op === "print" ? `print ${n.attrs.label}` : n.op === "assert" ? `assert ${n.attrs.message}` : n.op, type: n.type as TensorType };
  });
  const tags = (g: Graph) => g.nodes.flatMap(n => (n.op === "tag" ? [n.attrs.name] : []));
  const text = (list: readonly { name: string; type: TensorType }[]) => list.map(x => `${x.name}: ${valueTypeText({ ...x.type, axes: x.type.shape.map(() => "_") })}`).join(", ") || "none";
  for (const [what, of] of [
    ["inputs", (g: Graph) => inputsOf(g)], ["outputs", (g: Graph) => typed(g, g.outputs)], ["updates", (g: Graph) => typed(g, g.updates)], ["effects", effects],
  ] as const) {
    const [was, is] = [text(of(before)), text(of(after))];
    if (was !== is) return `the ${what} were ${was} and became ${is}`;
  }
  const lost = tags(before).find(name => !tags(after).includes(name));
  return lost === undefined ? null : `tag ${lost} is gone`;
}

const place = (x: NdArray, at: number): string => {
  const index: number[] = [];
  for (let i = x.shape.length - 1, rest = at; i >= 0; i--) {
    index.unshift(rest % x.shape[i]!);
    rest = Math.floor(rest / x.shape[i]!);
  }
  return `[${index.join(", ")}]`;
};
const equal = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));

/** The first element where the results differ by more than `allowed` says for it. */
function firstDifference(before: Results, after: Results, allowed: (name: string, at: number) => number): string | null {
  for (const [name, was] of before) {
    const is = after.get(name)!;
    if (was.shape.join() !== is.shape.join()) return `${name} had the shape [${was.shape.join(", ")}] and has [${is.shape.join(", ")}]`;
    for (let i = 0; i < was.data.length; i++) {
      const [a, b] = [was.data[i]!, is.data[i]!];
      if (equal(a, b)) continue;
      const most = allowed(name, i);
      if (most !== Infinity && !(Math.abs(a - b) <= most)) return `${name} at ${place(was, i)} was ${a} and became ${b}`;
    }
  }
  return null;
}

export interface Comparison {
  /** What differs, in words; null if nothing does. */
  readonly difference: string | null;
  /** False if the field could not tell: divisions by zero and infinite constants have no value in the prime field. */
  readonly decided: boolean;
}

/** Compares on the case's inputs, drawn in the prime field. */
export function compareInPrimeField(c: GraphCase, after: Graph): Comparison {
  let decided = true;
  const field: Field = {
    ...prime,
    literal(x, dtype) {
      if (!Number.isFinite(x)) decided = false;
      return prime.literal(x, dtype);
    },
    binary(op, a, b, dtype) {
      if (op === "div" && b === 0 && isFloat(dtype)) decided = false;
      return prime.binary(op, a, b, dtype);
    },
  };
  const values = drawValues(c.graph, c.dims, c.seed, field);
  const before = resultsOf(c.graph, c, values, field);
  if (!decided) return { difference: null, decided: false };
  const difference = firstDifference(before, resultsOf(after, c, values, field), () => 0);
  return { difference: difference && `in the prime field, ${difference}`, decided: true };
}

/** How far off the result of an inexact operation may be, as a part of itself. */
type Precision = (dtype: DType) => number;

/**
 * float64 in which each result of an inexact operation is off by up to its precision, and casts to narrow floats round or not:
 * the interpreter rounds in a cast alone, so that a cast that goes takes its rounding with it.
 */
function disturbed(seed: number, precision: Precision): Field {
  let state = Math.imul(seed, 7919);
  const off = (x: number, dtype: DType): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return x * (1 + (state / 2 ** 31) * precision(dtype));
  };
  const exact = new Set(["neg", "abs", "sign", "floor", "ceil", "round", "not", "is_finite", "max", "min", "eq", "ne", "lt", "le", "gt", "ge"]);
  return {
    ...float64,
    cast: (x, from, to) => (isFloat(from) && isFloat(to) && seed % 2 === 1 ? x : float64.cast(x, from, to)),
    unary: (op, x, dtype) => (exact.has(op) || !isFloat(dtype) ? float64.unary(op, x, dtype) : off(float64.unary(op, x, dtype), dtype)),
    binary: (op, a, b, dtype) => (exact.has(op) || !isFloat(dtype) ? float64.binary(op, a, b, dtype) : off(float64.binary(op, a, b, dtype), dtype)),
  };
}

const DISTURBANCES = [1, 2, 3, 4];

/** What a target may keep of a value where it is stored, overflow included; transcendentals of f64 see f32. */
const stored = (x: number, dtype: DType): number => (isFloat(dtype) ? DTYPES[dtype === "f64" ? "f32" : dtype].round(x) : x);
const narrowed: Field = {
  ...float64,
  unary: (op, x, dtype) => stored(float64.unary(op, stored(x, dtype), dtype), dtype),
  binary: (op, a, b, dtype) => stored(float64.binary(op, stored(a, dtype), stored(b, dtype), dtype), dtype),
};

/**
 * How far each element of the graph's results may be from its value: as far as it moves in other fields, and `limit` of the
 * largest element. An integer that moves there says nothing, nor does what is not finite.
 */
function allowances(c: GraphCase, values: Values, wanted: Results, fields: readonly Field[], limit: (dtype: DType) => number): (name: string, at: number) => number {
  const others = fields.map(field => resultsOf(c.graph, c, values, field));
  const largest = new Map([...wanted].map(([name, x]) => [name, x.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0)]));
  return (name, at) => {
    const x = wanted.get(name)!;
    const was = x.data[at]!;
    const spread = Math.max(...others.map(o => Math.abs(o.get(name)!.data[at]! - was)));
    if (!isFloat(x.dtype)) return spread === 0 ? 0 : Infinity;
    return Number.isFinite(was) && Number.isFinite(spread) ? 4 * spread + limit(x.dtype) * largest.get(name)! : Infinity;
  };
}

/** What differs on the case's inputs, drawn in float64; null if nothing; `limit` is relative to the largest element of a result. */
export function compareInFloat64(c: GraphCase, after: Graph, limit: number): string | null {
  const values = drawValues(c.graph, c.dims, c.seed, float64);
  const before = resultsOf(c.graph, c, values, float64);
  const found = resultsOf(after, c, values, float64);
  if (firstDifference(before, found, () => 0) === null) return null;
  const difference = firstDifference(before, found, allowances(c, values, before, DISTURBANCES.map(seed => disturbed(seed, () => 1e-12)), () => limit));
  return difference && `in float64, ${difference}`;
}

/** How far a target may round: by one unit in the last place of each operation, kernels of f64 computing transcendentals in f32. */
const ROUNDING: { readonly [D in FloatType]: number } = { f64: 2 ** -22, f32: 2 ** -22, bf16: 2 ** -7, f16: 2 ** -10 };
const rounding: Precision = dtype => (isFloat(dtype) ? ROUNDING[dtype] : 0);

/** What the reference interpreter makes of the case's inputs, outputs as `output y` and states as `update of s`, and how far a target may be from each element. */
export function referenceOf(c: GraphCase, values: Values): { readonly results: Results; allowed(name: string, at: number): number } {
  const wanted = resultsOf(c.graph, c, values, float64);
  const results = new Map([...wanted].filter(([name]) => !name.startsWith("effect")));
  return { results, allowed: allowances(c, values, wanted, [...DISTURBANCES.map(seed => disturbed(seed, rounding)), narrowed], rounding) };
}

/** What differs between the reference interpreter and what a target made of the case's inputs, named as there; null if nothing. */
export function differenceFromReference(c: GraphCase, values: Values, found: Results): string | null {
  const { results, allowed } = referenceOf(c, values);
  return firstDifference(results, found, allowed);
}
