// Reads graphs from .slir text (the form is described in text.ts). Each node is checked by the verifier as it is read, so what
// is returned holds its invariants; errors are SluiceErrors with line, column and a caret. Import it where it is needed:
// Chevrotain takes a while to load.
import { SluiceError } from "../base/diagnostics.ts";
import { type DType, DTYPES, isDType } from "../base/dtypes.ts";
import { excerpt } from "../base/excerpt.ts";
import { addSize, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import { type AttrKind, attributesOf, LEADING } from "./attributes.ts";
import { type GraphTree, type NodeTree, type Position, readTrees, type TypeTree, type ValueTree, type Word } from "./grammar.ts";
import { type AttrValue, type Graph, isTuple, type Node, type NodeId, type OpAttrs, type OpName, type TensorType, type ValueType } from "./graph.ts";
import { inferType, isOpName } from "./ops.ts";
import { type Facts, GraphInvariantError, GraphVerifier } from "./verify.ts";

/** The one graph that the text describes. `file` is named in errors. */
export function parseGraph(text: string, file = "graph.slir"): Graph {
  const { trees, reader } = open(text, file);
  const [first, second] = trees;
  return second ? reader.fail(second.at, "a second graph stands here", { expected: "one graph" }) : reader.graph(first!);
}

/** All graphs of the text, at least one. */
export function parseGraphs(text: string, file = "graph.slir"): Graph[] {
  const { trees, reader } = open(text, file);
  const names = new Set<string>();
  return trees.map(tree => {
    const graph = reader.graph(tree);
    if (names.has(graph.name)) reader.fail(tree.at, `two graphs are named ${graph.name}`);
    names.add(graph.name);
    return graph;
  });
}

function open(text: string, file: string): { trees: readonly GraphTree[]; reader: GraphReader } {
  const reader = new GraphReader(text, file);
  const trees = readTrees(text);
  return "message" in trees ? reader.fail(trees.at, trees.message, { found: trees.found, expected: trees.expected }) : { trees, reader };
}

const SIZE_CALLS: ReadonlyMap<string, (a: Size, b: Size) => Size> = new Map([["floordiv", floorDivSize], ["mod", modSize], ["min", minSize], ["max", maxSize]]);
/** Of a size, in terms and in factors of one term: keeps reading linear. */
const MAX_TERMS = 256;

class GraphReader {
  readonly #text: string;
  readonly #file: string;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  fail(at: Position, message: string, { found, expected, hint }: Facts = {}): never {
    throw new SluiceError({ code: "SLIR001", message: `${message}\n${excerpt(this.#text, at.line, at.column)}`, span: { file: this.#file, ...at }, found, expected, hint });
  }

  /** What the verifier or a type rule refuses is refused at the place. */
  #checked<R>(at: (node: NodeId | null) => Position, f: () => R): R {
    try {
      return f();
    } catch (e) {
      if (e instanceof GraphInvariantError) return this.fail(at(e.node), e.detail, e.facts);
      if (e instanceof SluiceError && e.diagnostic.code === "SHAPE001") return this.fail(at(null), e.diagnostic.message, e.diagnostic);
      throw e;
    }
  }

  graph(tree: GraphTree): Graph {
    const name = this.#name(tree.name);
    const dims = tree.dims.map(({ binding, name, min, max, multipleOf }) => {
      if (binding.text !== "call" && binding.text !== "instance") return this.fail(binding.at, "a dim is bound at each call or once for an instance", { found: binding.text, expected: "call or instance" });
      return { name, binding: binding.text, min, max, multipleOf } as const;
    });
    const scope: Scope = { dims: new Set(dims.map(d => d.name)), labels: new Map(), nodes: [] };
    const states = tree.states.map(s => ({ name: this.#name(s.name), type: this.#tensorType(s.type, scope) }));
    const verifier = new GraphVerifier(name, dims);
    this.#checked(() => tree.at, () => verifier.declarations({ dims, states }));
    for (const n of tree.nodes) {
      const id = scope.nodes.length;
      const node = this.#node(n, scope);
      this.#checked(() => n.at, () => verifier.node(node, id, scope.nodes));
      if (scope.labels.has(n.label.text)) this.fail(n.label.at, `two nodes are called ${n.label.text}`);
      scope.labels.set(n.label.text, id);
      scope.nodes.push(node);
    }
    const named = ({ name, ref }: GraphTree["outputs"][number]) => ({ name: this.#name(name), id: this.#ref(ref, scope) });
    const graph: Graph = { name, dims, states, nodes: scope.nodes, outputs: tree.outputs.map(named), updates: tree.updates.map(named), effects: tree.effects.map(e => this.#ref(e, scope)) };
    this.#checked(id => (id === null ? tree.at : tree.nodes[id]!.at), () => verifier.ends(graph));
    return graph;
  }

  #name({ text, at }: Word): string {
    return text.startsWith("\"") ? this.#quoted(text, at) : text;
  }
  #quoted(text: string, at: Position): string {
    try {
      return JSON.parse(text) as string;
    } catch {
      return this.fail(at, "this text cannot be read", { found: text.length > 40 ? `${text.slice(0, 40)}…` : text, expected: "quotes on both sides, and the escapes of JSON" });
    }
  }
  #ref({ text, at }: Word, { labels }: Scope): NodeId {
    return labels.get(text) ?? this.fail(at, `there is no node ${text} before this place`);
  }

  // ---- nodes

  #node(n: NodeTree, scope: Scope): Node {
    const op = n.op.text;
    if (!isOpName(op)) return this.fail(n.op.at, `there is no op ${op}`);
    const inputs = n.inputs.map(i => this.#ref(i, scope));
    const type = n.type ? this.#type(n.type, scope) : null;
    const attrs = this.#attrs(n, op, type, scope);
    const span = n.span ? this.#span(n.span) : null;
    const resolved = type ?? this.#checked(() => n.at, () => inferType(op, inputs.map(i => scope.nodes[i]!.type), attrs, null));
    return { op, inputs, attrs, type: resolved, span } as Node;
  }

  #span({ text, at }: Word): Span {
    const [, file, line, column] = /^#\s*(.*):(-?\d+):(-?\d+)\s*$/s.exec(text) ?? [];
    if (file === undefined) return this.fail(at, "this is no place in a program", { expected: "# file:line:column", hint: "a comment of yours begins with //" });
    return { file: this.#name({ text: file, at }), line: Number(line), column: Number(column) };
  }

  #attrs<O extends OpName>(n: NodeTree, op: O, type: ValueType | null, scope: Scope): OpAttrs[O] {
    const given = new Map<string, ValueTree>();
    const leading = LEADING[op];
    if (n.leading) {
      if (leading === undefined) return this.fail(n.leading.at, `${op} takes its inputs first`, { expected: "%nodes" });
      given.set(String(leading), n.leading);
    }
    for (const { name, value } of n.attrs) {
      if (given.has(name.text)) this.fail(name.at, `${name.text} is given twice`);
      if (!attributesOf(op).some(([known]) => known === name.text)) {
        this.fail(name.at, `${op} has no attribute ${name.text}`, { expected: attributesOf(op).map(([known]) => known).join(", ") || "none" });
      }
      given.set(name.text, value);
    }
    const attrs = attributesOf(op).flatMap(([name, kind]): [string, unknown][] => {
      const value = this.#attribute(n, name, kind, given.get(name), type, scope);
      return value === undefined ? [] : [[name, value]];
    });
    const [stray] = n.bodies.filter(b => !attributesOf(op).some(([name]) => name === (b.gradient ? "gradient" : "body")));
    if (stray) this.fail(stray.graph.at, `${op} has no ${stray.gradient ? "gradient" : "body"}`);
    return Object.fromEntries(attrs) as unknown as OpAttrs[O];
  }

  #attribute(n: NodeTree, name: string, kind: AttrKind, value: ValueTree | undefined, type: ValueType | null, scope: Scope): unknown {
    const fromType = kind === "type" || kind === "dtype" || kind === "shape" || kind === "axes";
    if (fromType || kind === "graph" || kind === "optional graph") {
      if (value) this.fail(value.at, `${name} is not written here`, { expected: fromType ? "in the node's type" : "after the node" });
      if (fromType) {
        if (!type || isTuple(type)) return this.fail(n.at, `the type of ${n.op.text} does not follow from its inputs`, { expected: "`: dtype[sizes]` after it" });
        return kind === "type" ? type : kind === "dtype" ? type.dtype : kind === "shape" ? type.shape : type.axes;
      }
      const bodies = n.bodies.filter(b => b.gradient === (name === "gradient"));
      if (bodies.length > 1) this.fail(bodies[1]!.graph.at, `a second ${name} stands here`);
      if (bodies[0]) return this.graph(bodies[0].graph);
      return kind === "optional graph" ? undefined : this.fail(n.at, `${n.op.text} has no ${name}`, { expected: `\`${name} name { … }\` after it` });
    }
    if (!value) return kind === "record" ? {} : this.fail(n.at, `${n.op.text} has no ${name}`, { expected: LEADING[n.op.text as OpName] === name ? `${name} after ${n.op.text}` : `${name}=…` });
    if (typeof kind !== "string") {
      const word = value.kind === "name" ? value.name : "";
      return kind.includes(word) ? word : this.fail(value.at, `${name} is none of the words it may be`, { expected: kind.join(", ") });
    }
    switch (kind) {
      case "text": return this.#textOf(value, name);
      case "flag": return value.kind === "name" && (value.name === "true" || value.name === "false") ? value.name === "true" : this.fail(value.at, `${name} is yes or no`, { expected: "true or false" });
      case "number": case "count": case "positive": return this.#number(value);
      case "values": return value.kind === "list" ? value.items.map(x => this.#number(x)) : this.#number(value);
      case "counts": case "pair": return this.#list(value, name).map(x => this.#number(x));
      case "pairs": return this.#list(value, name).map(pair => this.#list(pair, name).map(x => this.#number(x)));
      case "size": case "trips": return this.#size(value, scope);
      case "sizes": return this.#list(value, name).map(x => this.#size(x, scope));
      case "record": return this.#record(value, name);
    }
  }

  #textOf(value: ValueTree, what: string): string {
    if (value.kind === "quoted") return this.#quoted(value.text, value.at);
    return value.kind === "name" ? value.name : this.fail(value.at, `${what} is a name or text in quotes`);
  }
  #number(x: ValueTree): number {
    if (x.kind === "number") return x.value;
    if (x.kind === "negative") return -this.#number(x.x);
    if (x.kind === "name" && x.name === "nan") return NaN;
    return x.kind === "name" && x.name === "inf" ? Infinity : this.fail(x.at, "a number must stand here", { expected: "digits, nan, inf or -inf" });
  }
  #list(x: ValueTree, what: string): readonly ValueTree[] {
    return x.kind === "list" ? x.items : this.fail(x.at, `${what} is a list`, { expected: "[…]" });
  }
  #record(x: ValueTree, what: string): { readonly [key: string]: AttrValue } {
    if (x.kind !== "record") return this.fail(x.at, `${what} is a list of names and values`, { expected: "{name: value, …}" });
    const seen = new Set<string>();
    return Object.fromEntries(x.entries.map(({ key, value }) => {
      const name = this.#name(key);
      if (seen.has(name)) this.fail(key.at, `${name} is given twice`);
      seen.add(name);
      return [name, this.#attrValue(value)];
    }));
  }
  #attrValue(x: ValueTree): AttrValue {
    if (x.kind === "quoted") return this.#quoted(x.text, x.at);
    if (x.kind === "name" && (x.name === "true" || x.name === "false")) return x.name === "true";
    if (x.kind !== "list") return this.#number(x);
    return x.items.length > 0 && x.items.every(i => i.kind === "quoted") ? x.items.map(i => this.#textOf(i, "an item")) : x.items.map(i => this.#number(i));
  }

  // ---- types and sizes

  #type(t: TypeTree, scope: Scope): ValueType {
    return "items" in t ? { items: t.items.map(i => this.#tensorType(i, scope)) } : this.#tensorType(t, scope);
  }
  #tensorType(t: TypeTree, scope: Scope): TensorType {
    if ("items" in t) return this.fail(t.at, "a tensor's type must stand here", { expected: "dtype[sizes]" });
    const dtype: DType = isDType(t.dtype.text) ? t.dtype.text : this.fail(t.dtype.at, `there is no dtype ${t.dtype.text}`, { expected: Object.keys(DTYPES).join(", ") });
    const shape = t.axes.map(a => this.#size(a.size, scope));
    return { dtype, shape, axes: t.axes.map(({ name, size }) => (name === null ? (size.kind === "name" ? size.name : null) : name.text === "_" ? null : this.#name(name))) };
  }

  #size(x: ValueTree, scope: Scope): Size {
    switch (x.kind) {
      case "number": return Number.isSafeInteger(x.value) ? x.value : this.fail(x.at, "a size is a whole number", { found: String(x.value) });
      case "name": return scope.dims.has(x.name) ? dimSize(x.name) : this.fail(x.at, `there is no dim ${x.name}`, { expected: [...scope.dims].join(", ") || "a number: the graph declares no dims" });
      case "negative": return mulSize(this.#size(x.x, scope), -1);
      case "sum":
        if (x.terms.length > MAX_TERMS) this.fail(x.at, `a size has at most ${MAX_TERMS} terms`, { found: String(x.terms.length) });
        return x.terms.reduce<Size>((sum, t) => addSize(sum, mulSize(this.#size(t.x, scope), t.sign)), 0);
      case "product":
        if (x.factors.length > MAX_TERMS) this.fail(x.at, `a term has at most ${MAX_TERMS} factors`, { found: String(x.factors.length) });
        return x.factors.reduce<Size>((product, f) => mulSize(product, this.#size(f, scope)), 1);
      case "call": {
        const f = SIZE_CALLS.get(x.name) ?? this.fail(x.at, `sizes have no function ${x.name}`, { expected: [...SIZE_CALLS.keys()].join(", ") });
        const [a, b] = x.operands;
        if (!a || !b || x.operands.length > 2) return this.fail(x.at, `${x.name} takes two sizes`, { found: String(x.operands.length) });
        const divisor = this.#size(b, scope);
        if (divisor === 0 && (x.name === "floordiv" || x.name === "mod")) this.fail(b.at, "nothing is divided by 0");
        return f(this.#size(a, scope), divisor);
      }
      case "quoted": case "list": case "record": return this.fail(x.at, "a size must stand here", { expected: "a number, a dim, or +, -, *, floordiv, mod, min, max of them" });
    }
  }
}

interface Scope {
  readonly dims: ReadonlySet<string>;
  readonly labels: Map<string, NodeId>;
  readonly nodes: Node[];
}
