// Programs: entries, settings, and tracing a module's exports. The exports name everything: states by their path, entries and
// procedures by their key. Nothing runs at import.
import { SluiceError } from "../base/diagnostics.ts";
import { nearestText } from "../base/names.ts";
import type { DimDecl } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import type { NdArray } from "../graph/field.ts";
import type { Graph, Program } from "../graph/graph.ts";
import { interpret } from "../graph/interpret.ts";
import { Dim, type Num, type Spec } from "./dims.ts";
import { hasSource, type HasSource } from "./operands.ts";
import { callEntry, type EntryHandle, procedureOf, traceProcedure } from "./procedure.ts";
import { SEED } from "./random.ts";
import type { Unnamed } from "./shapes.ts";
import { userSpan } from "./source.ts";
import type { DeclaredState } from "./declared.ts";
import { statesOf } from "./state.ts";
import type { Tensor } from "./tensor.ts";
import { type StateHandle, Trace, tracing, within } from "./trace.ts";
import { tensorNode, wrap } from "./value.ts";

type Specs = { readonly [name: string]: Spec<any, any> };
type Values<I extends Specs> = { readonly [k in keyof I]: I[k] extends Spec<infer D, infer S> ? Tensor<D, S> : never };
type Outputs = { readonly [name: string]: Tensor } | void;

declare const signature: unique symbol;

/** Called in a procedure. Sizes are bound by the arguments' shapes, or by `sizes` from scalars the procedure holds. */
export interface Entry<I extends Specs = any, O = any> {
  /** In types only: a function of other tensors is no entry. */
  readonly [signature]: { readonly inputs: I; readonly outputs: O };
  (...none: {} extends I ? [] : [never]): O;
  (inputs: { readonly [k in keyof I]: I[k] extends Spec<infer D, infer S> ? Tensor<D, Unnamed<S>> | (S extends readonly [] ? Num : never) : never }, sizes?: { readonly [dim: string]: Num }): O;
}

interface EntryBody extends EntryHandle {
  readonly inputs: Specs;
  readonly body: (x: never) => Outputs;
  readonly fixed: ReadonlyMap<string, number>;
  readonly span: Span | null;
}
const bodies = new WeakMap<object, EntryBody>();

/** A graph. `fixed` gives some of its sizes one value here: a decode step is a prefill with S fixed at 1. */
export function entry<const I extends Specs, O extends Outputs>(inputs: I, body: (x: Values<I>) => O, fixed: { readonly [dim: string]: number } = {}): Entry<I, O> {
  if (typeof body !== "function") throw new SluiceError({ code: "TRACE010", message: "an entry has no function", span: userSpan(), found: typeof body, expected: "entry({ x: f32(3) }, ({ x }) => ({ y: x.exp() }))" });
  const unfit = Object.entries(inputs).find(([, spec]) => typeof spec !== "object" || spec === null || !("spec" in spec) || !("dims" in spec));
  if (unfit) throw new SluiceError({ code: "TRACE010", message: `input ${unfit[0]} of an entry is not described`, span: userSpan(), found: kindText(unfit[1]), expected: "a dtype with sizes: f32(B, 784), i32()" });
  const handle: EntryBody = { name: null, inputs, outputs: null, body: body as (x: never) => Outputs, fixed: new Map(Object.entries(fixed)), span: userSpan() };
  const call = (given: { readonly [name: string]: unknown } = {}, sizes: { readonly [dim: string]: Num } = {}) => {
    if (tracing()) throw new SluiceError({ code: "TRACE006", message: "an entry is called inside an entry", span: userSpan(), hint: "share a function or a module between them; procedures call entries" });
    return callEntry(handle, traceEntry(handle), given, sizes);
  };
  bodies.set(call, handle);
  return call as unknown as Entry<I, O>;
}

const traced = new WeakMap<EntryBody, Graph>();
function traceEntry(e: EntryBody): Graph {
  const known = traced.get(e);
  if (known) return known;
  const t = new Trace(e.name ?? "entry", null, e.fixed);
  within(t, () => {
    const values = Object.fromEntries(Object.entries(e.inputs).map(([name, spec]) => [name, wrap(t.b.add("input", [], { name, type: t.typeOf(spec, e.span) }, e.span))]));
    for (const [name, value] of outputsOf(e, (e.body as (x: object) => unknown)(values))) t.b.outputs.push({ name, id: t.standingAt(e.span, () => tensorNode(value)) });
    for (const last of t.atEnd) last();
  });
  const unknown = [...e.fixed.keys()].find(name => !t.fixedHere.has(name));
  if (unknown !== undefined) {
    const dims = [...new Set([...t.b.dims().map(d => d.name), ...t.fixedHere])];
    throw new SluiceError({ code: "DIM007", message: `${nameOf(e)} fixes dim ${unknown}, which none of its sizes has`, span: e.span, found: unknown, expected: nearestText(unknown, dims) });
  }
  const graph = t.finish();
  if (graph.outputs.length + graph.updates.length + graph.effects.length === 0) {
    throw new SluiceError({ code: "TRACE008", message: `${nameOf(e)} does nothing: it returns nothing and writes no state`, span: e.span, expected: "outputs by name, or a state that is set", hint: "an arrow function returns an object in parentheses: ({ x }) => ({ y: x.exp() })" });
  }
  traced.set(e, graph);
  return graph;
}

const nameOf = (e: EntryBody): string => `entry ${e.name ?? "?"}`;

/** What an entry's function returned, by name. Throws SluiceError TRACE004 or TRACE007 for what is no output. */
function outputsOf(e: EntryBody, returned: unknown): (readonly [name: string, value: HasSource])[] {
  if (returned === undefined) return [];
  const isObject = typeof returned === "object" && returned !== null && (Object.getPrototypeOf(returned) === Object.prototype || Object.getPrototypeOf(returned) === null);
  if (!isObject) {
    const hint = hasSource(returned) || typeof returned === "number" ? "give it a name: ({ y })" : returned instanceof Promise ? "an entry is traced at once: its function is not async" : Array.isArray(returned) ? "give each a name: ({ first, second })" : undefined;
    throw new SluiceError({ code: "TRACE007", message: `${nameOf(e)} returns ${kindText(returned)}`, span: e.span, found: kindText(returned), expected: "an object of tensors: { y: x.exp() }, or nothing", ...(hint === undefined ? {} : { hint }) });
  }
  return Object.entries(returned).map(([name, value]: [string, unknown]) => {
    if (hasSource(value)) return [name, value] as const;
    const hint = typeof value === "number" || typeof value === "boolean" ? `a number that is an output is a constant: constant(${value})` : value instanceof Dim ? `a size as a tensor is full(i32(), ${value.name})`
      : value === undefined ? "leave it out where there is none" : typeof value === "object" && value !== null ? "outputs are flat: give each tensor a name of its own" : undefined;
    throw new SluiceError({ code: "TRACE004", message: `output ${name} of ${nameOf(e)} is not a tensor`, span: e.span, found: kindText(value), expected: "a tensor", ...(hint === undefined ? {} : { hint }) });
  });
}
const kindText = (x: unknown): string => (hasSource(x) ? "a tensor" : x instanceof Dim ? `dim ${x.name}` : Array.isArray(x) ? "a list" : x instanceof Promise ? "a promise" : x === null || x === undefined ? String(x)
  : typeof x === "object" ? "an object" : typeof x === "number" || typeof x === "boolean" ? String(x) : `a ${typeof x}`);

/** The first value of a state as a graph with one output. */
function traceFirst(s: DeclaredState): Graph | undefined {
  if (!s.first) return undefined;
  const t = new Trace(`init:${s.name}`, null);
  t.initial = s.name;
  within(t, () => t.b.outputs.push({ name: "value", id: t.standingAt(s.span, () => tensorNode(s.first!())) }));
  return t.finish();
}

/** A graph whose one output is a key of two words. */
function keyGraph(name: string, span: Span | null, value: (t: Trace) => number): Graph {
  const t = new Trace(name, null);
  t.b.outputs.push({ name: "value", id: t.standingAt(span, () => value(t)) });
  return t.finish();
}

/** Streams of one name would draw the same numbers. Throws SluiceError PROGRAM005. */
function requireOwnName(name: string, path: string, span: Span | null, known: Map<string, string>): void {
  const other = known.get(name);
  if (other !== undefined) throw new SluiceError({ code: "PROGRAM005", message: `two random streams are called ${name} and would draw the same numbers`, span, found: `${other} and ${path}`, expected: "one name for each stream", hint: `random("${path}")` });
  known.set(name, path);
}

/** Runs the functions of everything that a program exports. Throws SluiceError at the user's line where it is wrong. */
export function traceProgram(exports: { readonly [name: string]: unknown }, name: string): Program {
  const seen = new Set<unknown>();
  const states = new Map<string, { handle: StateHandle; span: Span | null; init: () => Graph | undefined }>();
  // Nobody writes the seed: it stands where the first state does.
  const seedSpan = (): Span | null => [...states.values()].find(s => s.span !== null)?.span ?? null;
  states.set("seed", { handle: SEED, span: null, init: () => keyGraph("init:seed", seedSpan(), t => t.b.add("const", [], { value: [0, 0], type: SEED.type })) });
  const streams = new Map<string, string>();
  const own = (path: string, handle: StateHandle, span: Span | null, init: () => Graph | undefined) => {
    if (path === SEED.name) throw new SluiceError({ code: "PROGRAM004", message: "the name seed is taken", span, found: `export ${path}`, expected: "another name", hint: "seed is the state that every random stream starts from: --seed sets it" });
    handle.name = path;
    states.set(path, { handle, span, init });
  };
  for (const [key, value] of Object.entries(exports)) {
    for (const { path, state } of statesOf(value, key, seen)) {
      if (state.stream !== undefined) requireOwnName(state.stream, path, state.span, streams);
      own(path, state, state.span, () => traceFirst(state));
    }
    const body = typeof value === "function" ? bodies.get(value) : undefined;
    if (body) body.name = key;
  }
  const entries = Object.values(exports).flatMap(value => {
    const body = typeof value === "function" ? bodies.get(value) : undefined;
    return body ? [traceEntry(body)] : [];
  });
  const procedures = Object.entries(exports).flatMap(([key, value]) => {
    const p = procedureOf(value);
    return p ? [traceProcedure(key, p)] : [];
  });
  if (entries.length === 0) throw new SluiceError({ code: "PROGRAM001", message: `${name} exports no entry`, expected: "export const step = entry({ … }, …)", hint: "a program is a module whose exports are its entries, modules and procedures" });
  const used = new Set(["seed", ...entries.flatMap(e => e.states.map(s => s.name)), ...procedures.flatMap(p => p.states)]);
  const dims = new Map<string, DimDecl>();
  for (const d of entries.flatMap(e => e.dims)) dims.set(d.name, d);
  return {
    name, dims: [...dims.values()], entries, procedures: procedures.map(p => p.procedure),
    states: [...states].filter(([path]) => used.has(path)).map(([path, s]) => {
      const init = s.init();
      return { name: path, type: s.handle.type, span: s.span, ...(init ? { init } : {}) };
    }),
  };
}

/** Numbers a program is built with: `--set layers=24`. Read once, when the program's module is loaded. */
export function settings<const C extends { readonly [name: string]: number | string | boolean }>(defaults: C): { readonly [k in keyof C]: C[k] extends number ? number : C[k] extends boolean ? boolean : string } {
  const given: { [name: string]: number | string | boolean } = {};
  for (const [key, value] of Object.entries(defaults)) {
    const text = overrides.get(key);
    if (text === undefined) given[key] = value;
    else {
      taken.add(key);
      given[key] = typeof value === "number" ? number(key, text) : typeof value === "boolean" ? text === "true" || text === "1" : text;
    }
  }
  return given as { readonly [k in keyof C]: C[k] extends number ? number : C[k] extends boolean ? boolean : string };
}
const overrides = new Map<string, string>();
const taken = new Set<string>();
function number(key: string, text: string): number {
  const x = Number(text);
  if (Number.isNaN(x) || text === "") throw new SluiceError({ code: "SET001", message: `--set ${key} needs a number`, found: text });
  return x;
}
/** Imports a program under settings given as text; throws SluiceError SET002 for one that it does not have. */
export async function withSettings<P>(load: () => Promise<P>, set: { readonly [name: string]: string }): Promise<P> {
  overrides.clear();
  taken.clear();
  for (const [key, value] of Object.entries(set)) overrides.set(key, value);
  try {
    const program = await load();
    const stranger = Object.keys(set).find(key => !taken.has(key));
    if (stranger !== undefined) throw new SluiceError({ code: "SET002", message: `the program has no setting ${stranger}`, found: `--set ${stranger}=${set[stranger]}` });
    return program;
  } finally {
    overrides.clear();
  }
}

/** Traces a function of no inputs and interprets it in float64, at once: for tests of DSL functions. */
export function evaluate(f: () => Tensor): NdArray & { item(): number } {
  const t = new Trace("evaluate", null);
  within(t, () => t.b.outputs.push({ name: "value", id: tensorNode(f()) }));
  const value = interpret(t.finish(), {}).outputs["value"]!;
  return { ...value, item: () => value.data[0]! };
}
