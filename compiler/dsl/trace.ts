// Tracing: running the user's functions once, each word appending nodes to the graph under construction. Bodies of loops and
// composites trace into graphs of their own; what they use from outside becomes an input of the body.
import { SluiceError } from "../base/diagnostics.ts";
import type { DType } from "../base/dtypes.ts";
import { type DimDecl, type Size, sizeText, substituteSize } from "../base/sizes.ts";
import { type Span, spanText } from "../base/span.ts";
import { Build } from "../graph/build.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, NodeId, TensorType } from "../graph/graph.ts";
import { type DimLike, requireSize, requireWhole, type Spec } from "./dims.ts";
import { refuseUnreadConditions } from "./conditions.ts";
import { userSpan } from "./source.ts";

/** What a trace knows of a state: its handle is the identity. */
export interface StateHandle {
  name: string | null;
  readonly type: TensorType;
  /** The dims its sizes depend on, which are bound when a program is loaded. */
  readonly decls: readonly DimDecl[];
}

export class Trace {
  readonly b: GraphBuilder;
  readonly parent: Trace | null;
  /** What the body uses of its parent: the parent's node, and the input standing for it. */
  readonly captured = new Map<NodeId, NodeId>();
  readonly #states = new Map<StateHandle, NodeId>();
  /** States that are set as a whole, and where. */
  readonly #set = new Map<StateHandle, Span | null>();
  readonly #written = new Set<StateHandle>();
  /** Draws so far of each random stream, for their keys. */
  readonly draws = new Map<string, number>();
  /** Nodes of constants that were made outside of any entry, by what they come from. */
  readonly constants = new Map<object, NodeId>();
  /** What is left to do when the entry's function has returned. */
  readonly atEnd: (() => void)[] = [];
  /** The state whose first value is traced; null in entries. */
  initial: string | null = null;
  /** Call dims that this entry fixes to one value. */
  readonly fixed: ReadonlyMap<string, number>;
  /** Those of them that its sizes have. */
  readonly fixedHere = new Set<string>();

  constructor(name: string, parent: Trace | null, fixed: ReadonlyMap<string, number> = parent?.fixed ?? new Map()) {
    this.b = new GraphBuilder(name);
    this.parent = parent;
    this.fixed = fixed;
  }

  /** A value of an enclosing trace, as an input of this body. */
  capture(owner: Trace, id: NodeId): NodeId {
    if (owner === this) return id;
    if (!this.parent) throw new SluiceError({ code: "TRACE002", message: "a tensor of another entry is used here", span: userSpan(), hint: "pass it as an input, or keep it in a state" });
    const outer = this.parent.capture(owner, id);
    const seen = this.captured.get(outer);
    if (seen !== undefined) return seen;
    const type = this.parent.b.type(outer);
    const input = this.b.add("input", [], { name: `outer${this.captured.size}`, type }, null);
    this.b.declareDimsOf(this.parent.b);
    this.captured.set(outer, input);
    return input;
  }

  readState(s: StateHandle): NodeId {
    const known = this.#states.get(s);
    if (known !== undefined) return known;
    if (this.parent) return this.capture(this.root(), this.root().readState(s));
    const name = this.#declare(s);
    const id = this.b.add("state", [], { name, type: s.type }, userSpan());
    this.#states.set(s, id);
    return id;
  }

  writeState(s: StateHandle, value: NodeId, whole: boolean): void {
    if (this.parent) throw new SluiceError({ code: "STATE002", message: `state ${s.name ?? "?"} is written inside a loop or composite body`, span: userSpan(), hint: "carry the value through the loop and write it after" });
    if (whole && this.#set.has(s)) {
      throw new SluiceError({ code: "STATE001", message: `state ${s.name ?? "?"} is written twice in entry ${this.b.name}`, span: userSpan(), found: `set first at ${spanText(this.#set.get(s)!)}`, expected: "one set of each state in an entry", hint: "compute the final value first, then set it once" });
    }
    if (whole) this.#set.set(s, userSpan());
    this.#declare(s);
    this.#states.set(s, value);
    this.#written.add(s);
  }

  /** The state and the dims of its sizes are the graph's. */
  #declare(s: StateHandle): string {
    const name = stateName(s);
    for (const d of s.decls) this.#declareDim(d);
    this.b.declareState({ name, type: s.type });
    return name;
  }

  #fix(d: DimDecl, value: number, span?: Span | null): void {
    this.root().fixedHere.add(d.name);
    if (Number.isInteger(value) && value >= d.min && value <= d.max && value % d.multipleOf === 0) return;
    throw new SluiceError({ code: "DIM007", message: `${this.root().b.name} fixes dim ${d.name} out of its bounds`, span: span ?? userSpan(), found: `${d.name} = ${value}`, expected: dimText(d) });
  }

  #declareDim(d: DimDecl, span?: Span | null): void {
    const known = this.b.dim(d.name);
    if (known && (known.binding !== d.binding || known.min !== d.min || known.max !== d.max || known.multipleOf !== d.multipleOf)) {
      throw new SluiceError({ code: "DIM005", message: `two dims of ${this.b.name} are called ${d.name}`, span: span ?? userSpan(), found: `${dimText(known)} and ${dimText(d)}`, expected: "one dim for each name", hint: "share one: const B = dim(\"B\", { … }), or give the other another name" });
    }
    if (!known) this.b.declareDim(d);
  }

  /** Nodes made by `f`, which runs when no line of theirs is on the stack but that of whoever opens the program, stand at the span. */
  standingAt<R>(span: Span | null, f: () => R): R {
    const first = this.b.nodes.length;
    const result = f();
    this.b.nodes.forEach((n, i) => {
      if (i >= first) this.b.nodes[i] = { ...n, span: span ?? n.span };
    });
    return result;
  }

  /** The states written so far become the graph's updates. */
  finish(): Graph {
    for (const s of this.#written) this.b.updates.push({ name: s.name!, id: this.#states.get(s)! });
    const graph = this.b.finish();
    refuseUnreadConditions(graph);
    return graph;
  }

  root(): Trace {
    return this.parent ? this.parent.root() : this;
  }

  /** The type of a spec, its call dims declared and those fixed by the entry bound; `span` is where, if no user's function runs. */
  typeOf(spec: Spec, span?: Span | null): TensorType {
    return { dtype: spec.spec as DType, ...this.shapeOf(spec.dims, span) };
  }
  shapeOf(dims: readonly DimLike[], span?: Span | null): { shape: Size[]; axes: (string | null)[] } {
    dims.forEach(requireSize);
    return { shape: dims.map(d => this.sizeOf(d, span)), axes: dims.map(d => (typeof d === "number" ? null : d.name)) };
  }
  /** Any whole number, for starts may count from behind. */
  sizeOf(d: DimLike, span?: Span | null): Size {
    requireWhole(d);
    if (typeof d === "number") return d;
    // A body's dims are dims of the graphs around it too.
    for (const decl of d.decls) {
      const value = this.fixed.get(decl.name);
      if (value === undefined) for (let t: Trace | null = this; t; t = t.parent) t.#declareDim(decl, span);
      else this.#fix(decl, value, span);
    }
    return substituteSize(d.value, name => this.fixed.get(name));
  }
}

const dimText = (d: DimDecl): string => `${d.min} … ${d.max}${d.multipleOf > 1 ? `, a multiple of ${d.multipleOf}` : ""}${d.binding === "instance" ? ", bound at load" : ""}`;

function stateName(s: StateHandle): string {
  if (s.name !== null) return s.name;
  throw new SluiceError({ code: "STATE003", message: "a state that the program does not export is used", span: userSpan(), hint: "export it, or the module that holds it: its export is its name" });
}

let current: Trace | null = null;

/** The trace under way. Throws TRACE001 outside of one. */
export function trace(): Trace {
  if (!current) throw new SluiceError({ code: "TRACE001", message: "tensors exist only while an entry is traced", span: userSpan(), hint: "move this into the function given to entry(), module() or evaluate()" });
  return current;
}
export const tracing = (): boolean => current !== null;

/** Runs a function under a trace, and the trace before it again afterwards. */
export function within<R>(t: Trace | null, f: () => R): R {
  const before = current;
  current = t;
  try {
    return f();
  } finally {
    current = before;
  }
}

/** Words for nodes at the user's line. */
export const build = (): Build => new Build(trace().b, userSpan);

/** A size with its axis' name, where that says more: `B`, `H=768`, `10`. */
export const axisText = (size: Size, name: string | null): string => (name && name !== sizeText(size) ? `${name}=${sizeText(size)}` : sizeText(size));
/** A shape as the user wrote it: `[B, H=768]`. */
export const shapeText = (t: Pick<TensorType, "shape" | "axes">): string => `[${t.shape.map((s, i) => axisText(s, t.axes[i]!)).join(", ")}]`;
