// The object behind the Tensor interface. In an entry its words append nodes; in a procedure they build scalar expressions.
import { SluiceError } from "../base/diagnostics.ts";
import { type DType, DTYPES, isDType, isFloat } from "../base/dtypes.ts";
import { nearestText } from "../base/names.ts";
import { floorDivSize, modSize, mulSize, sameSize, sizeText, type Size } from "../base/sizes.ts";
import { allAxes } from "../graph/build.ts";
import type { BinaryOp, NodeId, TensorType, UnaryOp } from "../graph/graph.ts";
import type { ScalarBinary, ScalarExpr, ScalarUnary } from "../plan/procedure.ts";
import { requireAtLeast, requireInside } from "./bounds.ts";
import { composite } from "./composite.ts";
import { coercionError, describe } from "./coercion.ts";
import { type DimLike, Dim, type Num, requireCount, requireSize, type Span } from "./dims.ts";
import { axesOf, axisOf, broadcastShapes, hasSource, type HasSource, hostExpr, isHost, joined, type MadeWhereUsed, nodeOf, type Operand, operandNode, type Source, typeOfSource, unreadConditions } from "./operands.ts";
import { rearrangePattern } from "./rearrange.ts";
import { userSpan } from "./source.ts";
import type { State, Tensor } from "./tensor.ts";
import { axisText, build, shapeText, type StateHandle, trace } from "./trace.ts";

type Axes = string | number | readonly (string | number)[];
interface Keep { readonly keepdims?: boolean }

/** Nodes and expressions as tensors; the Tensor interface's types are for the editor, tracing checks everything itself. */
export const wrap = (id: NodeId): Tensor => new Value({ kind: "node", trace: trace(), id }) as unknown as Tensor;
export const hostScalar = (expr: ScalarExpr, dtype: DType): Tensor => new Value({ kind: "host", expr, type: { dtype, shape: [], axes: [] } }) as unknown as Tensor;
export const hostTensor = (slot: number, type: TensorType): Tensor => new Value({ kind: "host", expr: { kind: "slot", slot }, type }) as unknown as Tensor;
export const constantTensor = (made: Omit<MadeWhereUsed, "kind">): Tensor => new Value({ kind: "constant", ...made }) as unknown as Tensor;
export const stateTensor = (handle: StateHandle): State => new StateValue({ kind: "state", handle }) as unknown as State;

/** The node of any operand that is a tensor. */
export const tensorNode = (x: unknown): NodeId => {
  if (hasSource(x)) return nodeOf(x);
  throw new SluiceError({ code: "TRACE004", message: "this is not a tensor", span: userSpan(), found: typeof x, expected: "a tensor" });
};

/** A scalar that a procedure computes; a condition is remembered until something reads it. */
function hostResult(expr: ScalarExpr, dtype: DType): Tensor {
  if (dtype === "bool") unreadConditions.set(expr, userSpan());
  return hostScalar(expr, dtype);
}

const COMPARE = new Set<string>(["eq", "ne", "lt", "le", "gt", "ge"]);
const HOST_BINARY = new Set<string>(["add", "sub", "mul", "div", "mod", "pow", "max", "min", "eq", "ne", "lt", "le", "gt", "ge", "and", "or"]);
const HOST_UNARY = new Set<string>(["neg", "abs", "not", "floor", "sqrt", "exp", "log"]);

class Value implements HasSource {
  readonly source: Source;

  constructor(source: Source) {
    this.source = source;
  }

  /** What `x > y`, `x + 1` and a template ask for. Throws SluiceError TRACE009: there is no value yet. */
  [Symbol.toPrimitive](wanted: "string" | "number" | "default"): never {
    throw coercionError(this.source, wanted === "string");
  }
  /** What console.log and util.inspect show. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return describe(this.source);
  }

  get type(): TensorType {
    return typeOfSource(this.source);
  }
  get dtype(): DType {
    return this.type.dtype;
  }
  get shape(): readonly (number | string)[] {
    const t = this.type;
    return t.shape.map((s, i) => (typeof s === "number" ? s : (t.axes[i] ?? sizeText(s))));
  }

  #unary(op: UnaryOp): Tensor {
    if (isHost(this)) {
      if (!HOST_UNARY.has(op)) refuseInProcedure(op);
      return hostResult({ kind: "unary", op: op as ScalarUnary, x: hostExpr(this) }, op === "not" ? "bool" : this.dtype);
    }
    return wrap(build().unary(op, nodeOf(this)));
  }
  #binary(op: BinaryOp, x: Operand, word: string = op): Tensor {
    if (isHost(this) || isHost(x)) {
      if (!HOST_BINARY.has(op)) refuseInProcedure(word);
      const dtype = COMPARE.has(op) ? "bool" : this.dtype === "f32" || (hasSource(x) && typeOfSource(x.source).dtype === "f32") ? "f32" : this.dtype;
      return hostResult({ kind: "binary", op: op as ScalarBinary, a: hostExpr(this), b: hostExpr(x) }, dtype);
    }
    const [a, b] = joined(word, [this, x]);
    return wrap(build().binary(op, a!, b!));
  }

  add(x: Operand) { return this.#binary("add", x); }
  sub(x: Operand) { return this.#binary("sub", x); }
  mul(x: Operand) { return this.#binary("mul", x); }
  div(x: Operand) { return this.#binary("div", x); }
  mod(x: Operand) { return this.#binary("mod", x); }
  pow(x: Operand) { return this.#binary("pow", x); }
  maximum(x: Operand) { return this.#binary("max", x, "maximum"); }
  minimum(x: Operand) { return this.#binary("min", x, "minimum"); }
  atan2(x: Operand) { return this.#binary("atan2", x); }
  eq(x: Operand) { return this.#binary("eq", x); }
  ne(x: Operand) { return this.#binary("ne", x); }
  lt(x: Operand) { return this.#binary("lt", x); }
  le(x: Operand) { return this.#binary("le", x); }
  gt(x: Operand) { return this.#binary("gt", x); }
  ge(x: Operand) { return this.#binary("ge", x); }
  and(x: Operand) { return this.#binary("and", x); }
  or(x: Operand) { return this.#binary("or", x); }
  xor(x: Operand) { return this.#binary("xor", x); }
  shl(bits: Operand) { return this.#binary("shl", bits); }
  shr(bits: Operand) { return this.#binary("shr", bits); }
  not() { return this.#unary("not"); }
  neg() { return this.#unary("neg"); }
  abs() { return this.#unary("abs"); }
  sign() { return this.#unary("sign"); }
  exp() { return this.#unary("exp"); }
  log() { return this.#unary("log"); }
  sqrt() { return this.#unary("sqrt"); }
  rsqrt() { return this.#unary("rsqrt"); }
  sin() { return this.#unary("sin"); }
  cos() { return this.#unary("cos"); }
  tanh() { return this.#unary("tanh"); }
  erf() { return this.#unary("erf"); }
  floor() { return this.#unary("floor"); }
  ceil() { return this.#unary("ceil"); }
  round() { return this.#unary("round"); }
  isFinite() { return this.#unary("is_finite"); }
  square() { return this.#binary("mul", this, "square"); }
  relu() { return this.#binary("max", 0, "relu"); }
  clamp(low: Num, high: Num) { return self(this.#binary("max", low, "clamp")).#binary("min", high, "clamp"); }
  // Through tanh, whose gradient stays finite where exp overflows.
  sigmoid() { return self(self(self(this.#binary("mul", 0.5, "sigmoid")).tanh()).mul(0.5)).add(0.5); }
  silu() { return composite("silu", {}, [this], ([x]) => [x!.mul(x!.sigmoid())])[0]!; }
  gelu(opts: { approximate?: "tanh" } = {}) {
    const [y] = composite("gelu", { approximate: opts.approximate ?? "none" }, [this], ([x]) => [opts.approximate
      ? x!.mul(0.5).mul(x!.add(x!.mul(x!).mul(x!).mul(0.044715)).mul(Math.sqrt(2 / Math.PI)).tanh().add(1))
      : x!.mul(0.5).mul(x!.mul(Math.SQRT1_2).erf().add(1))]);
    return y!;
  }
  where(yes: Operand, no: Operand) {
    if (isHost(this)) {
      const branch = [yes, no].find(hasSource);
      return hostScalar({ kind: "select", condition: hostExpr(this), yes: hostExpr(yes), no: hostExpr(no) }, branch ? typeOfSource(branch.source).dtype : "f32");
    }
    if (this.dtype !== "bool") throw new SluiceError({ code: "DTYPE005", message: "where: the condition is not bool", span: userSpan(), found: `${this.dtype}${shapeText(this.type)}`, expected: "bool", hint: "compare it first: x.gt(0).where(yes, no)" });
    const [a, b] = joined("where", [yes, no]);
    const [condition, first, second] = joinShapes("where", [nodeOf(this), a!, b!]);
    return wrap(build().select(condition!, first!, second!));
  }
  cast(dtype: DType) {
    requireDType("cast", dtype);
    if (isHost(this)) return hostScalar({ kind: "unary", op: isFloat(dtype) ? "to_f32" : "to_i32", x: hostExpr(this) }, dtype);
    return wrap(build().cast(nodeOf(this), dtype));
  }
  bitcast(dtype: DType) {
    requireDType("bitcast", dtype);
    return wrap(build().node("bitcast", [nodeOf(this)], { dtype }));
  }
  stopGradient() { return wrap(build().node("stop_gradient", [nodeOf(this)], {})); }

  #reduce(word: string, kind: "sum" | "prod" | "max" | "min", axes: Axes | undefined, keep?: Keep): Tensor {
    const over = axesOf(word, this.type, axes);
    return keepAxes(build().reduce(kind, nodeOf(this), over), this.type, over, keep);
  }
  sum(axes?: Axes, keep?: Keep) { return this.#reduce("sum", "sum", axes, keep); }
  max(axes?: Axes, keep?: Keep) { return this.#reduce("max", "max", axes, keep); }
  min(axes?: Axes, keep?: Keep) { return this.#reduce("min", "min", axes, keep); }
  prod(axes?: Axes) { return this.#reduce("prod", "prod", axes); }
  any() { return this.#reduce("any", "max", undefined); }
  all() { return this.#reduce("all", "min", undefined); }
  mean(axes?: Axes, keep?: Keep) {
    const over = axesOf("mean", this.type, axes);
    const g = build();
    const x = nodeOf(this);
    const total = g.sum(x, over);
    return keepAxes(g.div(total, g.repeat(g.count(x, over, this.dtype), total)), this.type, over, keep);
  }
  variance(axes?: Axes, keep?: Keep) {
    const over = axesOf("variance", this.type, axes);
    return keepAxes(tensorNode(moments(this as unknown as Tensor, over)[1]), this.type, over, keep);
  }
  argmax(axis: string | number) { return wrap(build().node("arg_reduce", [nodeOf(this)], { kind: "max", axis: axisOf("argmax", this.type, axis) })); }
  argmin(axis: string | number) { return wrap(build().node("arg_reduce", [nodeOf(this)], { kind: "min", axis: axisOf("argmin", this.type, axis) })); }
  #scan(word: string, kind: "sum" | "prod", axis: string | number, opts: { exclusive?: boolean; reverse?: boolean } = {}) {
    return wrap(build().node("scan", [nodeOf(this)], { kind, axis: axisOf(word, this.type, axis), exclusive: opts.exclusive ?? false, reverse: opts.reverse ?? false }));
  }
  cumsum(axis: string | number, opts?: { exclusive?: boolean; reverse?: boolean }) { return this.#scan("cumsum", "sum", axis, opts); }
  cumprod(axis: string | number, opts?: { exclusive?: boolean; reverse?: boolean }) { return this.#scan("cumprod", "prod", axis, opts); }
  softmax(axis: string | number) {
    const at = axisOf("softmax", this.type, axis);
    return composite("softmax", { axis: at }, [this], ([x]) => {
      const e = x!.sub(x!.max(at, { keepdims: true })).exp();
      return [e.div(e.sum(at, { keepdims: true }))];
    })[0]!;
  }
  logSoftmax(axis: string | number) {
    const at = axisOf("logSoftmax", this.type, axis);
    return composite("log_softmax", { axis: at }, [this], ([x]) => {
      const shifted = x!.sub(x!.max(at, { keepdims: true }));
      return [shifted.sub(shifted.exp().sum(at, { keepdims: true }).log())];
    })[0]!;
  }

  matmul(x: HasSource) {
    const g = build();
    const [a, b] = [nodeOf(this), nodeOf(x)];
    const [s, t] = [g.type(a), g.type(b)];
    const [ra, rb] = [s.shape.length, t.shape.length];
    if (ra < 2 || rb < 2 || !sameSize(s.shape[ra - 1]!, t.shape[rb - 2]!)) {
      throw new SluiceError({
        code: "SHAPE003", message: `matmul: shapes ${shapeText(s)} and ${shapeText(t)} do not fit`, span: userSpan(),
        found: ra < 2 || rb < 2 ? `ranks ${ra} and ${rb}` : `inner sizes ${axisText(s.shape[ra - 1]!, s.axes[ra - 1]!)} on the left and ${axisText(t.shape[rb - 2]!, t.axes[rb - 2]!)} on the right`,
        expected: "[…, m, k] with […, k, n]", hint: rb >= 2 && ra >= 2 && sameSize(s.shape[ra - 1]!, t.shape[rb - 1]!) ? "the right side looks transposed: rearrange it first" : "check which axis is summed",
      });
    }
    // Labels: 0 m, 1 k, 2 n, then the batch axes, aligned from the right.
    const label = (own: TensorType, i: number, last: readonly [number, number]) => (i >= own.shape.length - 2 ? last[i - own.shape.length + 2]! : own.shape.length - 3 - i + 3);
    const batch = (own: TensorType) => allAxes(Math.max(own.shape.length - 2, 0));
    const keep = (own: TensorType, other: TensorType) => batch(own).filter(i => {
      const mirror = other.shape[i + other.shape.length - own.shape.length];
      return !(own.shape[i] === 1 && mirror !== undefined && mirror !== 1 && i + other.shape.length - own.shape.length < other.shape.length - 2);
    });
    const drop = (id: NodeId, own: TensorType, kept: readonly number[]) => {
      const axes = [...kept, own.shape.length - 2, own.shape.length - 1];
      return { id: g.reshape(id, axes.map(i => own.shape[i]!), axes.map(i => own.axes[i]!)), axes };
    };
    const left = drop(a, s, keep(s, t));
    const right = drop(b, t, keep(t, s));
    const [la, lb] = [left.axes.map(i => label(s, i, [0, 1])), right.axes.map(i => label(t, i, [1, 2]))];
    const batches = [...new Set([...la, ...lb])].filter(l => l > 2).sort((p, q) => q - p);
    return wrap(g.node("contract", [left.id, right.id], { a: la, b: lb, out: [...batches, 0, 2] }));
  }

  rearrange(pattern: string, sizes: { readonly [letter: string]: DimLike } = {}) { return wrap(rearrangePattern(pattern, nodeOf(this), sizes)); }
  reshape(...dims: DimLike[]) {
    const { shape, axes } = trace().shapeOf(dims);
    return wrap(build().reshape(nodeOf(this), shape, axes));
  }
  rename(...dims: DimLike[]) {
    const { shape, axes } = trace().shapeOf(dims);
    const own = this.type;
    if (shape.length !== own.shape.length || shape.some((s, i) => !sameSize(s, own.shape[i]!))) {
      throw new SluiceError({ code: "SHAPE004", message: "rename changes a size", span: userSpan(), found: shapeText(own), expected: shapeText({ shape, axes }), hint: "reshape changes sizes" });
    }
    return wrap(build().reshape(nodeOf(this), shape, axes));
  }
  select(index: { readonly [axis: string | number]: Num }) {
    const t = this.type;
    const at = Object.entries(index).map(([axis, i]) => [axisOf("select", t, axis), i] as const);
    requireOnce("select", t, at.map(([axis]) => axis));
    const cut = sliced("select", nodeOf(this), at.map(([axis, i]) => [axis, { start: typeof i === "number" && i < 0 ? negative(t, axis, i) : i, length: 1 }]));
    const dropped = at.map(([axis]) => axis);
    const kept = allAxes(t.shape.length).filter(i => !dropped.includes(i));
    return wrap(build().reshape(cut, kept.map(i => t.shape[i]!), kept.map(i => t.axes[i]!)));
  }
  slice(spans: { readonly [axis: string | number]: Span }) {
    const t = this.type;
    const entries = Object.entries(spans).map(([axis, s]) => [axisOf("slice", t, axis), s] as const);
    requireOnce("slice", t, entries.map(([axis]) => axis));
    const cut = sliced("slice", nodeOf(this), entries);
    const own = build().type(cut);
    const names = own.axes.map((n, i) => {
      const given = entries.find(([axis]) => axis === i)?.[1].length;
      return given instanceof Dim ? given.name : n;
    });
    return wrap(build().reshape(cut, own.shape, names));
  }
  unbind(axis: string | number) {
    const t = this.type;
    const at = axisOf("unbind", t, axis);
    const n = t.shape[at]!;
    if (typeof n !== "number") throw new SluiceError({ code: "AXIS003", message: "unbind: the axis has no constant size", span: userSpan(), found: shapeText(t), expected: "a constant size" });
    return allAxes(n).map(i => this.select({ [at]: i }));
  }
  chunk(n: number, axis: string | number = -1) {
    const t = this.type;
    const at = axisOf("chunk", t, axis);
    requireCount("chunk", "number of pieces", n);
    if (modSize(t.shape[at]!, n) !== 0) throw new SluiceError({ code: "SHAPE005", message: `chunk: ${sizeText(t.shape[at]!)} does not divide into ${n}`, span: userSpan(), found: shapeText(t), expected: `a multiple of ${n}` });
    const size = floorDivSize(t.shape[at]!, n);
    const name = t.axes[at];
    const rest = name?.startsWith(`${n}*`) ? name.slice(String(n).length + 1) : null;
    return allAxes(n).map(i => {
      const part = build().slice(nodeOf(this), new Map([[at, { start: mulSize(size, i), size }]]));
      return wrap(build().reshape(part, build().type(part).shape, t.axes.map((a, k) => (k === at ? rest : a))));
    });
  }
  expand(...dims: DimLike[]) {
    const { shape, axes } = trace().shapeOf(dims);
    const t = this.type;
    return wrap(build().broadcastTo(nodeOf(this), { shape: [...shape, ...t.shape], axes: [...axes, ...t.axes] }, allAxes(t.shape.length).map(i => i + shape.length)));
  }
  unsqueeze(axis = -1) {
    const t = this.type;
    const at = axis < 0 ? axis + t.shape.length + 1 : axis;
    if (!Number.isInteger(at) || at < 0 || at > t.shape.length) throw new SluiceError({ code: "AXIS001", message: `unsqueeze: there is no place ${axis} for an axis`, span: userSpan(), found: shapeText(t), expected: `${-t.shape.length - 1} to ${t.shape.length}` });
    return wrap(build().reshape(nodeOf(this), [...t.shape.slice(0, at), 1, ...t.shape.slice(at)], [...t.axes.slice(0, at), null, ...t.axes.slice(at)]));
  }
  pad(by: { readonly [axis: string]: readonly [number, number] }, value = 0) {
    const t = this.type;
    const [low, high] = [t.shape.map(() => 0), t.shape.map(() => 0)];
    for (const [axis, [before, after]] of Object.entries(by)) {
      const at = axisOf("pad", t, axis);
      for (const n of [before, after]) requireCount("pad", "number of elements put in", n, 0);
      low[at] = before;
      high[at] = after;
    }
    return wrap(build().node("pad", [nodeOf(this)], { low, high, value }));
  }
  flip(axis: string | number) { return wrap(build().node("flip", [nodeOf(this)], { axes: [axisOf("flip", this.type, axis)] })); }

  gather(ids: HasSource) { return wrap(build().node("gather", [nodeOf(this), nodeOf(ids)], { axis: 0, batch: 0 })); }
  takeAlong(ids: HasSource) {
    const g = build();
    const last = this.type.shape.length - 1;
    const id = nodeOf(ids);
    const column = g.reshape(id, [...g.type(id).shape, 1]);
    const taken = g.node("gather", [nodeOf(this), column], { axis: last, batch: last });
    return wrap(g.reshape(taken, g.type(id).shape, g.type(id).axes));
  }
  scatter(how: "set" | "add" | "max" | "min", ids: HasSource, rows: HasSource) {
    if (!["set", "add", "max", "min"].includes(how)) throw new SluiceError({ code: "TRACE010", message: "scatter: there is no such way to put rows", span: userSpan(), found: String(how), expected: "set, add, max or min" });
    return wrap(build().node("scatter", [nodeOf(this), nodeOf(ids), nodeOf(rows)], { kind: how, axis: 0, batch: 0 }));
  }
  topK(k: DimLike, axis: string | number = -1) {
    requireSize(k);
    const [t, at, count] = [this.type, axisOf("topK", this.type, axis), trace().sizeOf(k)];
    requireAtLeast("topK", `axis ${t.axes[at] ?? at} of ${shapeText(t)}`, t.shape[at]!, count);
    const both = build().node("topk", [nodeOf(this)], { k: count, axis: at });
    return { values: wrap(build().item(both, 0)), ids: wrap(build().item(both, 1)) };
  }
  sort(axis: string | number, opts: { descending?: boolean } = {}) {
    const both = build().node("sort", [nodeOf(this)], { axis: axisOf("sort", this.type, axis), descending: opts.descending ?? false });
    return { values: wrap(build().item(both, 0)), ids: wrap(build().item(both, 1)) };
  }
  searchSorted(sorted: HasSource) { return wrap(build().node("search_sorted", [nodeOf(sorted), nodeOf(this)], {})); }

  tag(name: string) { return wrap(build().node("tag", [nodeOf(this)], { name })); }
  print(label = "") { return wrap(effect(build().node("print", [nodeOf(this)], { label }))); }
  assertFinite(message = "a value is not finite") {
    const g = build();
    const finite = g.unary("is_finite", nodeOf(this));
    effect(g.node("assert", [g.reduce("min", finite, allAxes(this.type.shape.length))], { message }));
    return this;
  }
}

class StateValue extends Value {
  set(value: Operand): void {
    const { handle, own } = this.#own();
    const id = operandNode(value, own.dtype);
    const g = build();
    const given = g.type(id);
    const full = given.shape.length === 0 ? g.broadcastTo(id, own, []) : id;
    const type = g.type(full);
    if (type.dtype !== own.dtype || type.shape.length !== own.shape.length || type.shape.some((s, i) => !sameSize(s, own.shape[i]!))) {
      throw new SluiceError({ code: "STATE004", message: `the value does not fit state ${handle.name ?? "?"}`, span: userSpan(), found: `${given.dtype}${shapeText(given)}`, expected: `${own.dtype}${shapeText(own)}` });
    }
    trace().writeState(handle, full, true);
  }
  put(at: { readonly [axis: string]: Num }, value: HasSource): void {
    const { handle, own } = this.#own();
    const g = build();
    const whole = nodeOf(this);
    const fixed = Object.entries(at).map(([axis, i]) => [axisOf("put", own, axis), i] as const).sort(([a], [b]) => a - b);
    let part = nodeOf(value);
    const given = g.type(part);
    // Axes that the value lacks are written at one position.
    if (given.shape.length < own.shape.length) {
      const missing = own.shape.length - given.shape.length;
      const single = fixed.slice(0, missing).map(([axis]) => axis);
      const shape: Size[] = [];
      let next = 0;
      for (const i of allAxes(own.shape.length)) shape.push(single.includes(i) ? 1 : given.shape[next++]!);
      part = g.reshape(part, shape);
    }
    const written = g.type(part);
    for (const [axis] of fixed) if (written.shape.length === own.shape.length) requireInside("put", own, axis, 0, written.shape[axis]!);
    const starts = fixed.map(([, i]) => g.cast(operandNode(i, "i32"), "i32"));
    trace().writeState(handle, g.node("dynamic_update", [whole, part, ...starts], { axes: fixed.map(([axis]) => axis) }), false);
  }
  #own(): { handle: StateHandle; own: TensorType } {
    const { source } = this;
    if (source.kind !== "state") throw new SluiceError({ code: "STATE005", message: "only a state can be written", span: userSpan() });
    return { handle: source.handle, own: source.handle.type };
  }
}

export function requireDType(word: string, dtype: string): void {
  if (!isDType(dtype)) throw new SluiceError({ code: "DTYPE006", message: `${word}: there is no dtype ${dtype}`, span: userSpan(), found: String(dtype), expected: nearestText(String(dtype), Object.keys(DTYPES), 12) });
}
/** Two keys that say the same axis would leave one of them out. */
function requireOnce(word: string, t: TensorType, axes: readonly number[]): void {
  const twice = axes.find((axis, i) => axes.indexOf(axis) !== i);
  if (twice !== undefined) throw new SluiceError({ code: "AXIS002", message: `${word}: axis ${t.axes[twice] ?? twice} is named twice`, span: userSpan(), found: shapeText(t), expected: "each axis once" });
}

const self = (t: Tensor): Value => t as unknown as Value;

function refuseInProcedure(word: string): never {
  throw new SluiceError({ code: "PROC002", message: `${word} is not a word for scalars in a procedure`, span: userSpan(), hint: "compute it inside an entry" });
}

/** Adds a node to what happens, in its order. Throws SluiceError TRACE005 in a body. */
export function effect(id: NodeId): NodeId {
  const t = trace();
  if (t.parent) throw new SluiceError({ code: "TRACE005", message: "print and assert stand in entries, not in bodies of loops or composites", span: userSpan() });
  t.b.effects.push(id);
  return id;
}

function keepAxes(id: NodeId, from: TensorType, over: readonly number[], keep?: Keep): Tensor {
  if (!keep?.keepdims) return wrap(id);
  return wrap(build().reshape(id, from.shape.map((s, i) => (over.includes(i) ? 1 : s)), from.axes.map((n, i) => (over.includes(i) ? null : n))));
}

/** Mean and variance over axes in one composite: a generator computes both in one pass. */
export function moments(x: Tensor, axes: readonly number[]): [Tensor, Tensor] {
  const [mean, variance] = composite("moments", { axes: [...axes] }, [x as unknown as HasSource], ([v]) => {
    const m = v!.mean(axes, { keepdims: true });
    return [v!.mean(axes), v!.sub(m).square().mean(axes)];
  }, ([v], [m], [dm, dv]) => {
    const g = build();
    const whole = tensorNode(v!);
    const spread = (t: Tensor): Tensor => wrap(g.unreduce(tensorNode(t), whole, axes));
    const perElement = (t: Tensor): Tensor => t.div(wrap(g.count(whole, axes, x.dtype)));
    // The mean's part in the variance falls away: distances from the mean sum to zero.
    return [spread(perElement(dm!)).add(v!.sub(spread(m!)).mul(spread(perElement(dv!).mul(2))))];
  });
  return [mean!, variance!];
}

const negative = (t: TensorType, axis: number, i: number): Num => (typeof t.shape[axis] === "number" ? (t.shape[axis] as number) + i : i);

function sliced(word: string, x: NodeId, ranges: readonly (readonly [number, { readonly start: Num; readonly length: DimLike }])[]): NodeId {
  const g = build();
  const t = g.type(x);
  const isKnown = (n: Num): n is number | Dim => typeof n === "number" || n instanceof Dim;
  // A start that is data is clamped, so that the part fits if it is not too long.
  for (const [axis, { start, length }] of ranges) requireInside(word, t, axis, isKnown(start) ? trace().sizeOf(start) : 0, trace().sizeOf(length));
  if (ranges.every(([, r]) => isKnown(r.start))) {
    return g.slice(x, new Map(ranges.map(([axis, r]) => [axis, { start: trace().sizeOf(r.start as DimLike), size: trace().sizeOf(r.length) }])));
  }
  const starts = ranges.map(([, r]) => g.cast(operandNode(r.start as Operand, "i32"), "i32"));
  if (starts.some(s => g.rank(s) !== 0)) throw new SluiceError({ code: "SHAPE006", message: `${word}: a start is not a scalar`, span: userSpan(), found: shapeText(t), expected: "a number, a dim or a scalar" });
  return g.node("dynamic_slice", [x, ...starts], { axes: ranges.map(([axis]) => axis), size: ranges.map(([, r]) => trace().sizeOf(r.length)) });
}

/** Nodes repeated to one shape, whatever their dtypes. */
function joinShapes(word: string, ids: readonly NodeId[]): NodeId[] {
  const g = build();
  const types = ids.map(id => g.type(id));
  const to = broadcastShapes(word, types);
  return ids.map((id, i) => g.broadcastTo(id, to, allAxes(types[i]!.shape.length).map(a => a + to.shape.length - types[i]!.shape.length)));
}
