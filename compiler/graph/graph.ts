// Graph IR: a flat, frozen table of small nodes that refer to each other by position. Everything is a value: a state is
// read by a `state` node and written by an entry of `updates`, so order, aliasing and effects are explicit and a pass may
// treat the table as pure. Nodes stand in topological order (inputs before users); node order is trace order.
import type { DType } from "../base/dtypes.ts";
import type { DimDecl, Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";

export type NodeId = number;

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Size[];
  /** The name of each axis, as the DSL gave it; null where it has none. As long as `shape`. */
  readonly axes: readonly (string | null)[];
}
/** Several results (loop, sort, topk, composite with several outputs); `item` takes one out. Never nested. */
export interface TupleType {
  readonly items: readonly TensorType[];
}
export type ValueType = TensorType | TupleType;
export const isTuple = (t: ValueType): t is TupleType => "items" in t;

export type UnaryOp =
  | "neg" | "abs" | "sign" | "exp" | "log" | "sqrt" | "rsqrt" | "sin" | "cos" | "tanh" | "erf" | "floor" | "ceil" | "round" | "not" | "is_finite";
export type BinaryOp =
  | "add" | "sub" | "mul" | "div" | "mod" | "pow" | "max" | "min" | "atan2"
  | "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and" | "or" | "xor" | "shl" | "shr" | "mulhi";
/** Without attributes. Operands of one dtype and one shape: broadcasting is an op of its own. */
export type ElementwiseOp = UnaryOp | BinaryOp | "select";

type Empty = { readonly [none: string]: never };
export type AttrValue = number | string | boolean | readonly number[] | readonly string[];

/** Rows of a window over the two spatial axes: NHWC input, HWIO filter (I is channels of one group), NHWC output. */
export interface ConvAttrs {
  readonly stride: readonly [number, number];
  /** Zero rows and columns before and after: [[top, bottom], [left, right]]. */
  readonly padding: readonly [readonly [number, number], readonly [number, number]];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

/** What an op needs beyond its inputs. Shapes that follow from the inputs are not repeated here. */
export interface OpAttrs extends Record<ElementwiseOp, Empty> {
  /** An argument of the graph. */
  input: { readonly name: string; readonly type: TensorType };
  /** The value of a state when the graph starts. */
  state: { readonly name: string; readonly type: TensorType };
  /** One value for every element, or all of them in row-major order. */
  const: { readonly value: number | readonly number[]; readonly type: TensorType };
  /** 0, 1, 2, … along `axis`, the same along the others. */
  iota: { readonly axis: number; readonly type: TensorType };
  /** A size as an i32 scalar. */
  size: { readonly size: Size };
  cast: { readonly dtype: DType };
  /** The same bits read as another dtype of the same width. */
  bitcast: { readonly dtype: DType };
  /** Input axis i becomes output axis `dims[i]` (ascending); other output axes, and input axes of size 1, repeat. */
  broadcast: { readonly dims: readonly number[]; readonly shape: readonly Size[]; readonly axes: readonly (string | null)[] };
  reshape: { readonly shape: readonly Size[]; readonly axes: readonly (string | null)[] };
  /** Output axis i is input axis `perm[i]`. */
  transpose: { readonly perm: readonly number[] };
  /** One start, size and stride per axis; the sizes are those of the result. */
  slice: { readonly start: readonly Size[]; readonly size: readonly Size[]; readonly stride: readonly number[] };
  /** Inputs: x, then an i32 scalar start for each of `axes` (clamped so that the part fits). Other axes stay whole. */
  dynamic_slice: { readonly axes: readonly number[]; readonly size: readonly Size[] };
  /** Inputs: x, part (rank of x), then an i32 scalar start for each of `axes` (clamped). The result is x with the part put in. */
  dynamic_update: { readonly axes: readonly number[] };
  /** Constant elements before and after each axis. */
  pad: { readonly low: readonly Size[]; readonly high: readonly Size[]; readonly value: number };
  flip: { readonly axes: readonly number[] };
  concat: { readonly axis: number };
  /** The axes are dropped. bool takes "max" (any) and "min" (all). */
  reduce: { readonly kind: "sum" | "prod" | "max" | "min"; readonly axes: readonly number[] };
  /** Index (i32) of the first extreme element along the axis, which is dropped. */
  arg_reduce: { readonly kind: "max" | "min"; readonly axis: number };
  scan: { readonly kind: "sum" | "prod" | "max" | "min"; readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean };
  /** Einsum of two operands: a number stands for an index; indices missing from `out` are summed. f16/bf16 accumulate in f32. */
  contract: { readonly a: readonly number[]; readonly b: readonly number[]; readonly out: readonly number[] };
  /** (x, filter) → y. With the two below the three partial derivatives of one trilinear form, so they are closed under differentiation. */
  conv: ConvAttrs;
  /** (dy, filter) → dx, for the given spatial size of x. Also the transposed convolution. */
  conv_input: ConvAttrs & { readonly size: readonly [Size, Size] };
  /** (x, dy) → dfilter, for the given spatial size of the filter. */
  conv_filter: ConvAttrs & { readonly size: readonly [number, number] };
  /** (x, ids i32) → slices of x along `axis` at the ids, clamped to its bounds: the first `batch` axes of both go together;
   *  shape = x[..axis], ids[batch..], x[axis+1..]. */
  gather: { readonly axis: number; readonly batch: number };
  /** (x, ids, part) → x with slices put, added or compared in, the mirror of gather; ids out of range are dropped.
   *  "set" with equal ids: the last one stays. "add" is made in the order of the ids. */
  scatter: { readonly kind: "set" | "add" | "max" | "min"; readonly axis: number; readonly batch: number };
  /** → (values, ids i32); stable. */
  sort: { readonly axis: number; readonly descending: boolean };
  /** → (the k largest in descending order, their ids i32). */
  topk: { readonly k: Size; readonly axis: number };
  /** (sorted [N], values) → i32 position of the first element that is not smaller. */
  search_sorted: Empty;
  /** Inputs: carries, then invariants. Body inputs: step (i32 scalar), carries, invariants; body outputs: the next carries,
   *  and a bool scalar `until` when `until` is set: the loop ends after the step that makes it true. → (carries…). */
  loop: { readonly body: Graph; readonly trips: Size; readonly carries: number; readonly until: boolean };
  /** (key u32[2] = seed and step) → bits (u32), uniform in [0, 1) (f32) or standard normal (f32); element i draws block i. */
  random: { readonly kind: "bits" | "uniform" | "normal"; readonly stream: string; readonly call: number; readonly shape: readonly Size[]; readonly axes: readonly (string | null)[] };
  /** The identity, through which no gradient passes. */
  stop_gradient: Empty;
  /** The identity under a name that planner, debugger and `watch` know. Never removed. */
  tag: { readonly name: string };
  /** The identity; prints when reached. An effect. */
  print: { readonly label: string };
  /** (bool scalar): ends the run with the message when false. An effect; its result is its input. */
  assert: { readonly message: string };
  /** A named subgraph: `body` is the meaning, in other ops; a generator may match the name, any pass may inline it.
   *  One output gives a tensor, several a tuple. `gradient`: (inputs…, outputs…, output gradients…) → input gradients. */
  composite: { readonly name: string; readonly attrs: { readonly [key: string]: AttrValue }; readonly body: Graph; readonly gradient?: Graph };
  item: { readonly index: number };
}
export type OpName = keyof OpAttrs;

export interface NodeOf<O extends OpName> {
  readonly op: O;
  readonly inputs: readonly NodeId[];
  readonly attrs: OpAttrs[O];
  readonly type: ValueType;
  readonly span: Span | null;
}
/** Discriminated by `op`. */
export type Node = { [O in OpName]: NodeOf<O> }[OpName];

export interface StateDecl {
  readonly name: string;
  readonly type: TensorType;
}

export interface Named {
  readonly name: string;
  readonly id: NodeId;
}

/** An entry, a loop body, or a composite's body. Bodies have no states, updates or effects of their own. */
export interface Graph {
  readonly name: string;
  /** Every dim that a size in the graph uses, bodies included. */
  readonly dims: readonly DimDecl[];
  /** The states it reads or writes. */
  readonly states: readonly StateDecl[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Named[];
  /** States' values when the graph ends; one for each state at most. */
  readonly updates: readonly Named[];
  /** print and assert nodes in the order in which they happen. */
  readonly effects: readonly NodeId[];
}

/** The `input` nodes in order of their names' declaration, which is node order. */
export function inputsOf(g: Graph): { name: string; id: NodeId; type: TensorType }[] {
  return g.nodes.flatMap((n, id) => (n.op === "input" ? [{ name: n.attrs.name, id, type: n.attrs.type }] : []));
}

/** Ids that must be computed: outputs, updates and effects. */
export const rootsOf = (g: Graph): NodeId[] => [...g.outputs.map(o => o.id), ...g.updates.map(u => u.id), ...g.effects];

export const tensorType = (dtype: DType, shape: readonly Size[], axes?: readonly (string | null)[]): TensorType => ({
  dtype, shape, axes: axes ?? shape.map(() => null),
});

/** A traced program: entries over shared states. */
export interface Program {
  readonly name: string;
  readonly dims: readonly DimDecl[];
  readonly states: readonly (StateDecl & { readonly span: Span | null; /** The first value, a graph without inputs; without it the state must be loaded or written before it is read. */ readonly init?: Graph })[];
  readonly entries: readonly Graph[];
  readonly procedures: readonly import("../plan/procedure.ts").Procedure[];
}
