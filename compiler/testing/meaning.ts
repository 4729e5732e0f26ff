// Whether two graphs mean the same: the same inputs, states, outputs, updates and effects, and the same values on given inputs.
// In the prime field values are equal or not. In float64 they are the same bits, or may differ by rounding where that is what
// was promised; how much is measured: the first graph runs again in fields that round otherwise (see rounding.ts), and what
// moves then may differ as far.
import { type DType, isFloat } from "../base/dtypes.ts";
import { type Field, float64, type NdArray, prime } from "../graph/field.ts";
import { type Graph, inputsOf, type Named, type TensorType } from "../graph/graph.ts";
import { interpret } from "../graph/interpret.ts";
import { valueTypeText } from "../graph/text.ts";
import type { GraphCase } from "./graphs.ts";
import { DISTURBANCES, disturbed, inRange, otherZeros, rounding, roundingFields } from "./rounding.ts";
import { type Draw, drawValues, type Values } from "./values.ts";

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

/** The element's index, as `[1, 2]`. */
export const place = (x: NdArray, at: number): string => {
  const index: number[] = [];
  for (let i = x.shape.length - 1, rest = at; i >= 0; i--) {
    index.unshift(rest % x.shape[i]!);
    rest = Math.floor(rest / x.shape[i]!);
  }
  return `[${index.join(", ")}]`;
};
const numberText = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));
const equal = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));

/** The first element that differs by more than `allowed` says for it; in any bit where that is null. */
function firstDifference(before: Results, after: Results, allowed: ((name: string, at: number) => number) | null): string | null {
  for (const [name, was] of before) {
    const is = after.get(name)!;
    if (was.shape.join() !== is.shape.join()) return `${name} had the shape [${was.shape.join(", ")}] and has [${is.shape.join(", ")}]`;
    for (let i = 0; i < was.data.length; i++) {
      const [a, b] = [was.data[i]!, is.data[i]!];
      if (allowed ? equal(a, b) : Object.is(a, b)) continue;
      const most = allowed?.(name, i) ?? 0;
      if (!allowed || (most !== Infinity && !(Math.abs(a - b) <= most))) return `${name} at ${place(was, i)} was ${numberText(a)} and became ${numberText(b)}`;
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

/** The largest finite element of each result. */
const largestOf = (results: Results): ReadonlyMap<string, number> =>
  new Map([...results].map(([name, x]) => [name, x.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0)]));

/**
 * How far each element of the graph's results may be from its value: as far as it moves in other fields, and `limit` of the
 * largest element. An integer that moves there says nothing, nor does what is not finite.
 */
function allowances(c: GraphCase, values: Values, wanted: Results, fields: readonly Field[], limit: (dtype: DType) => number): (name: string, at: number) => number {
  const others = fields.map(field => resultsOf(c.graph, c, values, field));
  const largest = largestOf(wanted);
  return (name, at) => {
    const x = wanted.get(name)!;
    const was = x.data[at]!;
    const spread = Math.max(...others.map(o => Math.abs(o.get(name)!.data[at]! - was)));
    if (!isFloat(x.dtype)) return spread === 0 ? 0 : Infinity;
    return Number.isFinite(was) && Number.isFinite(spread) ? 4 * spread + limit(x.dtype) * largest.get(name)! : Infinity;
  };
}

/** How two graphs differ in float64. */
export interface Difference {
  /** The first element that differs by more than rounding explains, in words; null if none does. */
  readonly beyondRounding: string | null;
  /** The first that differs in any bit: NaN, infinities and the sign of zero included. */
  readonly inAnyBit: string;
}

/** Compares on the case's inputs, drawn in float64; null if all results are the same bits. `limit`: how far results may be
 *  apart beyond what rounding explains, relative to the largest element, and with special values to each. */
export function compareInFloat64(c: GraphCase, after: Graph, draw: Draw, limit: number): Difference | null {
  const values = drawValues(c.graph, c.dims, c.seed, float64, draw);
  const before = resultsOf(c.graph, c, values, float64);
  const found = resultsOf(after, c, values, float64);
  const inAnyBit = firstDifference(before, found, null);
  if (inAnyBit === null) return null;
  return { inAnyBit, beyondRounding: firstDifference(before, found, allowedByRounding(c, after, values, before, found, limit, draw)) };
}

/**
 * How far rounding may move each element: as far as it moves where results are rounded otherwise, stay in the range of floats,
 * or have the other zero. What is infinite or NaN in all of these has to stay so; what is in some of them says nothing.
 */
function allowedByRounding(c: GraphCase, after: Graph, values: Values, before: Results, found: Results, limit: number, draw: Draw): (name: string, at: number) => number {
  const fields = [...DISTURBANCES.map(seed => disturbed(seed, () => 1e-12)), inRange, otherZeros];
  const others = fields.map(field => resultsOf(c.graph, c, values, field));
  // The other graph may leave the range of floats where the first did not.
  const foundInRange = resultsOf(after, c, values, inRange);
  const largest = largestOf(before);
  return (name, at) => {
    const x = before.get(name)!;
    const was = x.data[at]!;
    const moved = others.map(o => o.get(name)!.data[at]!);
    if (!Object.is(found.get(name)!.data[at]!, foundInRange.get(name)!.data[at]!)) return Infinity;
    if (![was, ...moved].every(Number.isFinite)) return moved.every(o => Object.is(o, was)) ? 0 : Infinity;
    const spread = Math.max(...moved.map(o => Math.abs(o - was)));
    if (!isFloat(x.dtype)) return spread === 0 ? 0 : Infinity;
    return 4 * spread + limit * (draw === "special" ? Math.abs(was) : largest.get(name)!);
  };
}

/** What the reference interpreter makes of the case's inputs, outputs as `output y` and states as `update of s`, and how far a target may be from each element. */
export function referenceOf(c: GraphCase, values: Values): { readonly results: Results; allowed(name: string, at: number): number } {
  const wanted = resultsOf(c.graph, c, values, float64);
  const results = new Map([...wanted].filter(([name]) => !name.startsWith("effect")));
  return { results, allowed: allowances(c, values, wanted, roundingFields(), rounding) };
}

/** What differs between the reference interpreter and what a target made of the case's inputs, named as there; null if nothing. */
export function differenceFromReference(c: GraphCase, values: Values, found: Results): string | null {
  const { results, allowed } = referenceOf(c, values);
  return firstDifference(results, found, allowed);
}
