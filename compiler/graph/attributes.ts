// Which attributes each op has and what kind each is, as data: the verifier checks by it, the text form prints and reads by it.
import type { OpAttrs, OpName } from "./graph.ts";

/** A list of words: one of them. "type", "dtype", "shape" and "axes" say the same as the node's type. */
export type AttrKind =
  | readonly string[]
  | "text" | "flag" | "number" | "values"
  /** Whole numbers: from 0, from 1, a list from 0, two from 1, and two pairs from 0. */
  | "count" | "positive" | "counts" | "pair" | "pairs"
  | "size" | "sizes" | "trips"
  | "type" | "dtype" | "shape" | "axes"
  | "record" | "graph" | "optional graph";

type Kinds = { readonly [O in OpName]: { readonly [A in keyof OpAttrs[O]]-?: AttrKind } };

const NONE = {};
const COMBINE = ["sum", "prod", "max", "min"] as const;
const CONV = { stride: "pair", padding: "pairs", dilation: "pair", groups: "positive" } as const;

export const ATTRIBUTES: Kinds = {
  neg: NONE, abs: NONE, sign: NONE, exp: NONE, log: NONE, sqrt: NONE, rsqrt: NONE, sin: NONE, cos: NONE, tanh: NONE, erf: NONE,
  floor: NONE, ceil: NONE, round: NONE, not: NONE, is_finite: NONE,
  add: NONE, sub: NONE, mul: NONE, div: NONE, mod: NONE, pow: NONE, max: NONE, min: NONE, atan2: NONE,
  eq: NONE, ne: NONE, lt: NONE, le: NONE, gt: NONE, ge: NONE, and: NONE, or: NONE, xor: NONE, shl: NONE, shr: NONE, mulhi: NONE,
  select: NONE,
  input: { name: "text", type: "type" },
  state: { name: "text", type: "type" },
  const: { value: "values", type: "type" },
  iota: { axis: "count", type: "type" },
  size: { size: "size" },
  cast: { dtype: "dtype" },
  bitcast: { dtype: "dtype" },
  broadcast: { dims: "counts", shape: "shape", axes: "axes" },
  reshape: { shape: "shape", axes: "axes" },
  transpose: { perm: "counts" },
  slice: { start: "sizes", size: "sizes", stride: "counts" },
  dynamic_slice: { axes: "counts", size: "sizes" },
  dynamic_update: { axes: "counts" },
  pad: { low: "sizes", high: "sizes", value: "number" },
  flip: { axes: "counts" },
  concat: { axis: "count" },
  reduce: { kind: COMBINE, axes: "counts" },
  arg_reduce: { kind: ["max", "min"], axis: "count" },
  scan: { kind: COMBINE, axis: "count", exclusive: "flag", reverse: "flag" },
  contract: { a: "counts", b: "counts", out: "counts" },
  conv: CONV,
  conv_input: { ...CONV, size: "sizes" },
  conv_filter: { ...CONV, size: "pair" },
  gather: { axis: "count", batch: "count" },
  scatter: { kind: ["set", "add", "max", "min"], axis: "count", batch: "count" },
  sort: { axis: "count", descending: "flag" },
  topk: { k: "size", axis: "count" },
  search_sorted: NONE,
  loop: { body: "graph", trips: "trips", carries: "count", until: "flag" },
  random: { kind: ["bits", "uniform", "normal"], stream: "text", call: "count", shape: "shape", axes: "axes" },
  stop_gradient: NONE,
  tag: { name: "text" },
  print: { label: "text" },
  assert: { message: "text" },
  composite: { name: "text", attrs: "record", body: "graph", gradient: "optional graph" },
  item: { index: "count" },
};

const ENTRIES: ReadonlyMap<string, readonly (readonly [string, AttrKind])[]> = new Map(Object.entries(ATTRIBUTES).map(([op, kinds]) => [op, Object.entries(kinds)]));

/** The names and kinds of an op's attributes, in the order of the table. */
export const attributesOf = (op: OpName): readonly (readonly [name: string, kind: AttrKind])[] => ENTRIES.get(op)!;

/** The attribute that the text form writes right after the op, without its name. */
export const LEADING: { readonly [O in OpName]?: keyof OpAttrs[O] } = {
  input: "name", state: "name", const: "value", size: "size", reduce: "kind", arg_reduce: "kind", scan: "kind", scatter: "kind", random: "kind",
  tag: "name", print: "label", assert: "message", composite: "name", item: "index",
};
