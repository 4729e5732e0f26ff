// Procedures: structured control around entries, traced once into plain data, so that an executable runs them without
// TypeScript. What they hold are scalars, tensors that stay where they lie, lists and text, in numbered slots.
import { SluiceError } from "../base/diagnostics.ts";
import { type DType, isFloat } from "../base/dtypes.ts";
import { nearestText } from "../base/names.ts";
import type { Size } from "../base/sizes.ts";
import { type Graph, inputsOf, isTuple, type TensorType } from "../graph/graph.ts";
import { numberBounds, type Procedure as Traced, type ProcedureArg, type ProcedureStep, type ScalarExpr, type Slot, type TextExpr } from "../plan/procedure.ts";
import { type Num, requireCount, type Spec } from "./dims.ts";
import { branchesAt, conditionError } from "./conditions.ts";
import { hasSource, hostExpr, type Operand, requireValue, typeOfSource, unreadConditions } from "./operands.ts";
import { userSpan } from "./source.ts";
import { type Group, statesOf } from "./state.ts";
import type { F32, Scalar, Tensor, U8 } from "./tensor.ts";
import { hostScalar, hostTensor, requireDType } from "./value.ts";

export interface EntryHandle {
  name: string | null;
  readonly inputs: { readonly [name: string]: Spec };
  outputs: Graph["outputs"] | null;
}

class Recording {
  slots = 0;
  block: ProcedureStep[] = [];
  readonly states = new Set<string>();

  slot(): Slot {
    return this.slots++;
  }
  nested(body: () => void): ProcedureStep[] {
    const outer = this.block;
    this.block = [];
    body();
    const inner = this.block;
    this.block = outer;
    return inner;
  }
}
let current: Recording | null = null;
function recording(): Recording {
  if (!current) throw new SluiceError({ code: "PROC003", message: "this belongs into a procedure", span: userSpan(), hint: "wrap it: procedure({}, () => { … })" });
  return current;
}
const step = (s: ProcedureStep): void => void recording().block.push(s);
const scalarSlot = (slot: Slot, dtype: DType): Tensor => hostScalar({ kind: "slot", slot }, dtype);
/** A computed scalar as a slot, evaluated now. */
function bind(value: ScalarExpr): Slot {
  const slot = recording().slot();
  step({ kind: "set", slot, value });
  return slot;
}
const slotOf = (x: unknown, what: string): Slot => {
  const e = hasSource(x) && x.source.kind === "host" ? x.source.expr : undefined;
  if (e?.kind !== "slot") throw new SluiceError({ code: "PROC004", message: `${what} is not a tensor that the procedure holds`, span: userSpan() });
  return e.slot;
};

/** What an entry's call records; its outputs are handles. */
export function callEntry(e: EntryHandle, graph: Graph, given: { readonly [name: string]: unknown }, sizes: { readonly [dim: string]: Num }): { [name: string]: Tensor } {
  const r = recording();
  if (e.name === null) throw new SluiceError({ code: "PROC005", message: "a procedure calls an entry that the program does not export", span: userSpan(), hint: "export it" });
  const wanted = inputsOf(graph);
  const stranger = Object.keys(given).find(name => !wanted.some(w => w.name === name));
  const missing = wanted.find(w => given[w.name] === undefined);
  if (stranger || missing) {
    throw new SluiceError({ code: "PROC006", message: stranger ? `${e.name} has no input ${stranger}` : `input ${missing!.name} of ${e.name} is missing`, span: userSpan(), expected: wanted.map(w => w.name).join(", ") || "no inputs" });
  }
  const inputs = wanted.map(({ name, type }) => {
    const x = given[name] as Operand;
    const isTensor = hasSource(x) && typeOfSource(x.source).shape.length > 0;
    if (hasSource(x)) requireFits(e.name!, name, typeOfSource(x.source), type);
    if (isTensor || type.shape.length > 0) return { name, tensor: slotOf(x, `input ${name}`) };
    if (typeof x === "number") requireValue(x, type.dtype);
    return { name, scalar: hostExpr(x) };
  });
  requireSizes(e.name, graph, sizes);
  const outputs = graph.outputs.map(o => ({ name: o.name, slot: r.slot() }));
  step({ kind: "call", entry: e.name, inputs, sizes: Object.entries(sizes).map(([dim, n]) => ({ dim, value: hostExpr(n as Operand) })), outputs, span: userSpan() });
  return Object.fromEntries(graph.outputs.map((o, i) => {
    const type = graph.nodes[o.id]!.type;
    if (isTuple(type)) throw new SluiceError({ code: "PROC007", message: `output ${o.name} is not a tensor`, span: userSpan() });
    return [o.name, hostTensor(outputs[i]!.slot, type)];
  }));
}

/** A value has the input's dtype and as many axes; sizes are known when it runs. A scalar becomes any dtype that holds it. Throws SluiceError PROC009. */
function requireFits(entry: string, name: string, given: TensorType, wanted: TensorType): void {
  const isScalar = given.shape.length === 0 && wanted.shape.length === 0;
  const fits = isScalar ? isFloat(wanted.dtype) || !isFloat(given.dtype) : given.dtype === wanted.dtype && given.shape.length === wanted.shape.length;
  if (fits) return;
  const axes = (t: TensorType): string => (t.shape.length === 0 ? "a scalar" : t.shape.length === 1 ? "one axis" : `${t.shape.length} axes`);
  const text = (t: TensorType): string => `${t.dtype}, ${axes(t)}`;
  throw new SluiceError({ code: "PROC009", message: `input ${name} of ${entry} is of another kind`, span: userSpan(), found: text(given), expected: text(wanted), ...(isScalar ? { hint: `round it as you mean it: x.floor().cast("${wanted.dtype}")` } : {}) });
}
/** What decides a branch or a round is a bool. Throws SluiceError PROC010. */
function conditionExpr(word: string, x: unknown): ScalarExpr {
  const isBool = typeof x === "boolean" || (hasSource(x) && typeOfSource(x.source).dtype === "bool");
  if (!isBool) throw new SluiceError({ code: "PROC010", message: `${word}: the condition is no bool`, span: userSpan(), found: hasSource(x) ? `a scalar of ${typeOfSource(x.source).dtype}` : typeof x, expected: "a comparison of scalars", hint: "compare it: x.gt(0)" });
  return hostExpr(x as Operand);
}

/** Sizes are given for dims of the entry, within their bounds as far as they are numbers. Throws SluiceError PROC006 or DIM001. */
function requireSizes(entry: string, graph: Graph, sizes: { readonly [dim: string]: Num }): void {
  const dims = graph.dims.filter(d => d.binding === "call");
  for (const [name, n] of Object.entries(sizes)) {
    const d = dims.find(other => other.name === name);
    if (!d) throw new SluiceError({ code: "PROC006", message: `${entry} has no dim ${name} that a call binds`, span: userSpan(), found: name, expected: nearestText(name, dims.map(other => other.name)) });
    if (typeof n !== "number" || (Number.isInteger(n) && n >= d.min && n <= d.max && n % d.multipleOf === 0)) continue;
    throw new SluiceError({ code: "DIM001", message: `dim ${name} of ${entry} is out of bounds`, span: userSpan(), found: `${name} = ${n}`, expected: `${d.min} … ${d.max}${d.multipleOf > 1 ? `, a multiple of ${d.multipleOf}` : ""}` });
  }
}

export interface Text { readonly parts: TextExpr }
/** Throws in templates, which would make "[object Object]" of it: what it stands for is known when the procedure runs. */
class ArgumentText implements Text {
  readonly parts: TextExpr;

  constructor(slot: Slot) {
    this.parts = [{ slot }];
  }
  [Symbol.toPrimitive](): never {
    throw new SluiceError({ code: "TRACE009", message: "an argument is used as a text of JavaScript", span: userSpan(), found: "a text or path that is known when the procedure runs", expected: "the argument as a whole: save(to, net)", hint: "ask for the whole path, or for one argument more" });
  }
}
export interface Picture {
  /** [H, W, 3]: u8 as it is stored (sRGB), or f32 from 0 to 1. */
  pixels(opts?: { resize?: readonly [number, number] }): U8<[any, any, 3]>;
  pixels(opts: { dtype: "f32"; resize?: readonly [number, number] }): F32<[any, any, 3]>;
}
/** The least and the greatest value of an argument, both included. */
export interface ArgBounds { readonly min?: number; readonly max?: number }
export interface Arg<T> extends ArgBounds { readonly kind: ProcedureArg["kind"]; readonly help: string; readonly init?: number | string; readonly make: (slot: Slot) => T }
const arg = <T>(kind: ProcedureArg["kind"], help: string, make: (slot: Slot) => T, init?: number | string): Arg<T> => ({ kind, help, make, ...(init === undefined ? {} : { init }) });

/** A number that its caller may give, within bounds that its first value lies in. Throws SluiceError PROC008. */
function numberArg<T>(kind: "int" | "real", init: number, help: string, { min, max }: Required<ArgBounds>, make: (slot: Slot) => T): Arg<T> {
  const widest = numberBounds({ kind });
  const [what, none] = kind === "int" ? ["an integer", "no integer of i32"] : ["a number", "no number"];
  const refuse = (message: string, found: string, expected: string, hint?: string): never => {
    throw new SluiceError({ code: "PROC008", message, span: userSpan(), found, expected, ...(hint === undefined ? {} : { hint }) });
  };
  const fits = (x: number): boolean => (kind === "int" ? Number.isInteger(x) && x >= widest.min && x <= widest.max : !Number.isNaN(x));
  const unfit = [min, max].find(x => !fits(x));
  if (unfit !== undefined) refuse(`a bound of the argument is ${none}`, String(unfit), kind === "int" ? `${widest.min} … ${widest.max}` : what);
  if (min > max) refuse("no number lies within the argument's bounds", `min ${min}, max ${max}`, "min ≤ max");
  if (!fits(init) || init < min || init > max) refuse(`the argument's first value is ${fits(init) ? "out of its bounds" : none}`, String(init), `${what}, ${min} … ${max}`, init < min ? `bounds are given after the help: ${kind}(${init}, "", { min: ${init} })` : undefined);
  return { ...arg(kind, help, make, init), min, max };
}

// what a procedure may ask of its caller; each is a flag of the command line and of the executable
/** A whole number: 0 or more unless `min` says otherwise, since most are counts, and at most 2^31 − 1. */
export const int = (init: number, help = "", { min = 0, max = 2 ** 31 - 1 }: ArgBounds = {}): Arg<Scalar<"i32">> =>
  numberArg("int", init, help, { min, max }, slot => scalarSlot(slot, "i32"));
/** A number: any that f32 holds and that is finite, unless bounds say otherwise. */
export const real = (init: number, help = "", bounds: ArgBounds = {}): Arg<Scalar<"f32">> =>
  numberArg("real", init, help, { ...numberBounds({ kind: "real" }), ...bounds }, slot => scalarSlot(slot, "f32"));
export const flag = (help = ""): Arg<Scalar<"bool">> => arg("flag", help, slot => scalarSlot(slot, "bool"), 0);
export const text = (help = "", init?: string): Arg<Text> => arg("text", help, slot => new ArgumentText(slot), init);
export const file = (help = "", init?: string): Arg<Text> => arg("file", help, slot => new ArgumentText(slot), init);
export const picture = (help = ""): Arg<Picture> => arg("picture", help, picture => ({
  pixels({ dtype = "u8", resize }: { dtype?: "u8" | "f32"; resize?: readonly [number, number] } = {}) {
    resize?.forEach(n => requireCount("pixels", "size to resize to", n));
    const slot = recording().slot();
    step({ kind: "pixels", picture, dtype, slot, ...(resize ? { resize } : {}), span: userSpan() });
    return hostTensor(slot, { dtype, shape: [1, 1, 3], axes: ["H", "W", null] }) as never;
  },
}));

export interface Procedure<A = any> { readonly args: A; readonly body: (a: never) => void; readonly span: ReturnType<typeof userSpan> }
const procedures = new WeakSet<object>();
/** Structured control around entries. Traced once: conditions are scalars, so no TypeScript is left in an executable. */
export function procedure<const A extends { readonly [name: string]: Arg<any> }>(args: A, body: (a: { readonly [k in keyof A]: A[k] extends Arg<infer T> ? T : never }) => void): Procedure<A> {
  if (typeof body !== "function") throw new SluiceError({ code: "TRACE010", message: "a procedure has no function", span: userSpan(), found: typeof body, expected: "procedure({ steps: int(500) }, ({ steps }) => { … })" });
  for (const [name, a] of Object.entries(args)) {
    if (typeof a !== "object" || a === null || typeof a.make !== "function") throw new SluiceError({ code: "TRACE010", message: `argument ${name} of a procedure is not described`, span: userSpan(), found: typeof a, expected: "int(500), real(0.1), flag(), text(), file() or picture()" });
    if (!/^[A-Za-z][\w-]*$/.test(name)) throw new SluiceError({ code: "TRACE010", message: `an argument cannot be called ${JSON.stringify(name)}`, span: userSpan(), found: `--${name}`, expected: "letters, digits, _ and -, a letter first" });
  }
  const p: Procedure<A> = { args, body: body as (a: never) => void, span: userSpan() };
  procedures.add(p);
  return p;
}
export const procedureOf = (x: unknown): Procedure<{ readonly [name: string]: Arg<unknown> }> | undefined => (typeof x === "object" && x !== null && procedures.has(x) ? (x as Procedure<{ readonly [name: string]: Arg<unknown> }>) : undefined);

export function traceProcedure(name: string, p: Procedure<{ readonly [name: string]: Arg<unknown> }>): { procedure: Traced; states: string[] } {
  const r = new Recording();
  const before = current;
  current = r;
  unreadConditions.clear();
  try {
    const args = Object.entries(p.args).map(([key, a]) => ({ key, a, slot: r.slot() }));
    const returned: unknown = (p.body as (a: object) => unknown)(Object.fromEntries(args.map(({ key, a, slot }) => [key, a.make(slot)])));
    if (returned instanceof Promise) throw new SluiceError({ code: "PROC012", message: `procedure ${name} is async`, span: p.span, found: "a promise", expected: "a function that is traced at once", hint: "what it calls is recorded, and runs later: there is nothing to await" });
    for (const span of unreadConditions.values()) if (span !== null && branchesAt(span)) throw conditionError(span);
    const declared = args.map(({ key, a, slot }): ProcedureArg => ({
      name: key, kind: a.kind, help: a.help, slot,
      ...(a.init === undefined ? {} : { init: a.init }), ...(a.min === undefined ? {} : { min: a.min }), ...(a.max === undefined ? {} : { max: a.max }),
    }));
    return { procedure: { name, args: declared, slots: r.slots, body: r.block }, states: [...r.states] };
  } finally {
    current = before;
  }
}

export function repeat(count: Num, body: (i: Scalar<"i32">) => void): void {
  if (typeof count === "number") requireCount("repeat", "number of rounds", count, 0);
  const r = recording();
  const index = r.slot();
  const value = hostExpr(count as Operand);
  step({ kind: "repeat", count: value, index, body: r.nested(() => body(scalarSlot(index, "i32"))) });
}
/** While the condition holds; it is evaluated anew before each round. */
export function loop(condition: () => Scalar<"bool">, body: () => void): void {
  const r = recording();
  if (typeof condition !== "function") throw new SluiceError({ code: "PROC010", message: "loop: the condition is no function", span: userSpan(), found: "a condition that is computed once", expected: "loop(() => x.lt(3), body)", hint: "it is evaluated anew before each round" });
  step({ kind: "while", condition: conditionExpr("loop", condition()), body: r.nested(body) });
}
export function when(condition: Scalar<"bool">, yes: () => void, no: () => void = () => undefined): void {
  const r = recording();
  step({ kind: "if", condition: conditionExpr("when", condition), yes: r.nested(yes), no: r.nested(no) });
}
/** In the last of every n rounds. */
export function every(n: number, i: Scalar<"i32">, body: () => void): void {
  requireCount("every", "number of rounds", n);
  when(i.add(1).mod(n).eq(0), body);
}

export interface Variable<out D extends DType = any> extends Tensor<D, []> { set(value: Num): void }
export function variable(init: Num): Variable<"i32">;
export function variable<D extends DType>(init: Num, dtype: D): Variable<D>;
export function variable(init: Num, dtype: DType = "i32"): Variable {
  if (typeof init === "number") requireValue(init, dtype, "a variable of another dtype: variable(0.5, \"f32\")");
  const slot = bind(hostExpr(init as Operand));
  const set = (value: Num): void => {
    if (typeof value === "number") requireValue(value, dtype);
    step({ kind: "set", slot, value: hostExpr(value as Operand) });
  };
  return Object.assign(scalarSlot(slot, dtype), { set }) as Variable;
}

/** A growing list of numbers in host memory; its length is a scalar. */
export interface List<out D extends DType> { readonly length: Scalar<"i32">; push(x: Tensor<D, any> | number, count?: Num): void; at(i: Num): Scalar<D>; /** First index of a value, or −1. */ find(x: Num): Scalar<"i32">; clear(): void; range(start: Num, length: Num): Tensor<D, [any]> }
export function list<D extends DType>(dtype: D): List<D> {
  requireDType("list", dtype);
  const slot = recording().slot();
  step({ kind: "list_new", list: slot, dtype });
  return {
    get length() { return hostScalar({ kind: "list_length", list: slot }, "i32") as Scalar<"i32">; },
    push(x, count) {
      const isTensor = hasSource(x) && typeOfSource(x.source).shape.length > 0;
      if (typeof x === "number") requireValue(x, dtype);
      step({ kind: "list_push", list: slot, value: isTensor ? { tensor: slotOf(x, "what is pushed"), ...(count === undefined ? {} : { count: hostExpr(count as Operand) }) } : { scalar: hostExpr(x as Operand) } });
    },
    at: i => hostScalar({ kind: "list_at", list: slot, index: hostExpr(i as Operand) }, dtype) as Scalar<D>,
    find: x => hostScalar({ kind: "list_find", list: slot, value: hostExpr(x as Operand) }, "i32") as Scalar<"i32">,
    clear: () => step({ kind: "list_clear", list: slot }),
    range(start, length) {
      const out = recording().slot();
      step({ kind: "list_range", list: slot, start: hostExpr(start as Operand), length: hostExpr(length as Operand), slot: out });
      return hostTensor(out, { dtype, shape: [1], axes: [null] }) as Tensor<D, [any]>;
    },
  };
}

// what a procedure may do besides calling entries: a closed list
function textParts(x: Text | string): TextExpr {
  if (typeof x === "string") return [x];
  if (typeof x === "object" && x !== null && "parts" in x) return x.parts;
  throw new SluiceError({ code: "PROC011", message: "this is no text or path", span: userSpan(), found: hasSource(x) ? "a tensor" : String(x), expected: "text, or an argument of text() or file()" });
}
/** The states of a group by their paths in it; a state or stream alone by its own name. */
function statesIn(word: "save" | "load", of: Group): { name: string; state: string }[] {
  const list = statesOf(of);
  if (list.length === 0) throw new SluiceError({ code: "GROUP002", message: `${word}: there is no state in the group`, span: userSpan(), found: "none", expected: "a module, a state, a random stream, an optimizer, or an object of these" });
  return list.map(({ path, state }) => {
    if (state.name === null) throw new SluiceError({ code: "STATE003", message: "a state that the program does not export is saved or loaded", span: userSpan(), hint: "export it, or the module that holds it" });
    recording().states.add(state.name);
    return { name: path === "" ? state.name.slice(state.name.lastIndexOf(".") + 1) : path, state: state.name };
  });
}
/** Metrics: a table on a terminal, one JSON object a line with --json. */
export function log(values: { readonly [name: string]: Num }): void {
  const scalar = (name: string, value: unknown): ScalarExpr => {
    if (!hasSource(value) || typeOfSource(value.source).shape.length === 0) return hostExpr(value as Operand);
    throw new SluiceError({ code: "PROC009", message: `log: ${name} is a tensor`, span: userSpan(), found: `${typeOfSource(value.source).shape.length} axes`, expected: "a scalar", hint: "reduce it in its entry and return that: x.mean(); emit gives whole tensors away" });
  };
  step({ kind: "log", values: Object.entries(values).map(([name, value]) => ({ name, value: scalar(name, value) })) });
}
/** Leaves the program at once, in order: text to the terminal, rows to a file, an async iterator in Node. */
export function emit(name: string, value: Text | Tensor): void {
  const scalar = hasSource(value) && typeOfSource(value.source).shape.length === 0;
  step({ kind: "emit", name, value: !hasSource(value) ? { text: textParts(value as Text) } : scalar ? { scalar: hostExpr(value) } : { tensor: slotOf(value, "what is emitted") } });
}
/** A tensor to a .png, .npy or .safetensors file. */
export const write = (path: Text | string, value: Tensor): void => step({ kind: "write", path: textParts(path), tensor: slotOf(value, "what is written"), span: userSpan() });
export const save = (path: Text | string, of: Group): void => step({ kind: "save", path: textParts(path), states: statesIn("save", of), span: userSpan() });
/** By name, shape and dtype, all three checked. */
export const load = (path: Text | string, of: Group): void => step({ kind: "load", path: textParts(path), states: statesIn("load", of), span: userSpan() });
/** Tensors by name from .safetensors or .npy. */
export function read<const I extends { readonly [name: string]: Spec<any, any> }>(path: Text | string, tensors: I): { readonly [k in keyof I]: I[k] extends Spec<infer D, infer S> ? Tensor<D, S> : never } {
  const shapeOf = (s: Spec): Size[] => s.dims.map(d => (typeof d === "number" ? d : d.value));
  const rows = Object.entries(tensors).map(([name, spec]) => ({ name, dtype: spec.spec as DType, shape: shapeOf(spec), slot: recording().slot() }));
  step({ kind: "read", path: textParts(path), tensors: rows, span: userSpan() });
  return Object.fromEntries(rows.map(r => [r.name, hostTensor(r.slot, { dtype: r.dtype, shape: r.shape, axes: r.shape.map(() => null) })])) as never;
}
export const seconds = (): Scalar<"f64"> => scalarSlot(bind({ kind: "seconds" }), "f64") as Scalar<"f64">;
