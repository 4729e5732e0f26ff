// Accepts a graph or throws GraphInvariantError with the number of what it breaks:
//   1  nodes stand in topological order: every input is an earlier node
//   2  a node has the attributes of its op, all of them and no others, each of its kind and in range
//   3  a node has as many inputs as its op takes, and its type is the one that the op table infers
//   4  every size is a whole number from 0, or may be one within its dims' bounds; every dim in it is declared
//   5  dims, states, inputs, outputs and updates each have names of their own, no two alike; dims' bounds hold a size
//   6  a state that is read is declared with that type; a state is updated once at most, by a tensor of its dtype and shape
//   7  `effects` names every print and assert once, and nothing else
//   8  outputs, updates and effects are nodes; outputs and updates are tensors: only `item` consumes a tuple
//   9  bodies have no states, updates or effects, are valid themselves, and their dims are the graph's
// Bodies (of loops and composites, gradients included) are verified with the graph they stand in.
import { type Diagnostic, InternalError, SluiceError } from "../base/diagnostics.ts";
import { isDType } from "../base/dtypes.ts";
import { type DimDecl, dimsOf, type Size, sameSize, sizeRange, sizeText } from "../base/sizes.ts";
import { type AttrKind, attributesOf } from "./attributes.ts";
import { type Graph, isTuple, type Node, type NodeId, type TensorType, type ValueType } from "./graph.ts";
import { inferType, isOpName } from "./ops.ts";
import { valueTypeText } from "./text.ts";

/** What else is known of a fault. */
export type Facts = Pick<Diagnostic, "found" | "expected" | "hint">;

export class GraphInvariantError extends InternalError {
  readonly invariant: number;
  /** What is wrong, without where. */
  readonly detail: string;
  /** The node at fault, where it is one. */
  readonly node: NodeId | null;
  readonly facts: Facts;

  constructor(graph: string, invariant: number, detail: string, node: NodeId | null, facts: Facts) {
    super(`graph ${graph}${node === null ? "" : `, %${node},`} breaks invariant ${invariant}: ${detail}${facts.found === undefined ? "" : ` (found ${facts.found}, expected ${facts.expected})`}`);
    this.name = "GraphInvariantError";
    this.invariant = invariant;
    this.detail = detail;
    this.node = node;
    this.facts = facts;
  }
}

/** Throws GraphInvariantError, which names the invariant and the node, if the graph breaks an invariant. */
export function verifyGraph(graph: Graph): void {
  new GraphVerifier(graph.name, graph.dims).graph(graph);
}

/** The most terms that the number of elements of a type may have as a polynomial in dims. */
const MAX_TERMS = 1024;
const isWhole = (x: unknown): x is number => Number.isSafeInteger(x);
const same = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((s, i) => sameSize(s, b.shape[i]!));

/** Checks node by node, so that a parser can ask as it reads. */
export class GraphVerifier {
  readonly #name: string;
  readonly #dims: ReadonlyMap<string, DimDecl>;
  /** Types that were found to be well formed: most nodes share those of their inputs. */
  readonly #types = new WeakSet<ValueType>();
  #at: NodeId | null = null;

  constructor(name: string, dims: readonly DimDecl[]) {
    this.#name = name;
    this.#dims = new Map(dims.map(d => [d.name, d]));
  }

  #refuse(invariant: number, detail: string, facts: Facts = {}): never {
    throw new GraphInvariantError(this.#name, invariant, detail, this.#at, facts);
  }

  graph(g: Graph): void {
    this.declarations(g);
    g.nodes.forEach((n, id) => this.node(n, id, g.nodes));
    this.ends(g);
  }

  /** Invariants 4 and 5 of what stands before the nodes. */
  declarations({ dims, states }: Pick<Graph, "dims" | "states">): void {
    this.#at = null;
    this.#unlike("dims", dims);
    for (const d of dims) {
      const { name, min, max, multipleOf } = d;
      if (!/^[A-Za-z_$][\w$]*(\.[\w$]+)*$/.test(name)) this.#refuse(5, `dim ${JSON.stringify(name)} has no name that a size may use`);
      if (!isWhole(min) || !isWhole(max) || !isWhole(multipleOf) || min < 0 || multipleOf < 1 || Math.floor(max / multipleOf) * multipleOf < min) {
        this.#refuse(5, `no size lies within the bounds of dim ${name}: ${min} .. ${max}, a multiple of ${multipleOf}`);
      }
      if (d.binding !== "call" && d.binding !== "instance") this.#refuse(5, `dim ${name} is bound at ${String(d.binding)}`);
    }
    this.#unlike("states", states);
    for (const s of states) this.#tensorType(s.type, `state ${s.name}`);
  }

  #unlike(what: string, named: readonly { readonly name: string }[]): void {
    const seen = new Set<string>();
    for (const { name } of named) {
      if (typeof name !== "string") this.#refuse(5, `the name of one of the ${what} is ${typeof name}`);
      if (seen.has(name)) this.#refuse(5, `two ${what} are named ${name}`);
      seen.add(name);
    }
  }

  /** Invariants 1 to 4, and 9 of the node's bodies, for a node that stands at `id` after the others in `before`. */
  node(n: Node, id: NodeId, before: readonly Node[]): void {
    this.#at = id;
    if (!isOpName(n.op)) this.#refuse(2, `there is no op ${JSON.stringify(n.op)}`);
    for (const i of n.inputs) if (!isWhole(i) || i < 0 || i >= id) this.#refuse(1, `input %${i} of ${n.op} is no earlier node`);
    const attrs = n.attrs as { readonly [name: string]: unknown };
    const kinds = attributesOf(n.op);
    let present = 0;
    for (const [name, kind] of kinds) {
      if (attrs[name] === undefined) {
        if (kind !== "optional graph") this.#refuse(2, `${n.op} has no ${name}`);
        continue;
      }
      present++;
      this.#attribute(n, name, kind, attrs[name]);
    }
    if (Object.keys(attrs).length !== present) {
      const known = new Set(kinds.map(([name]) => name));
      this.#refuse(2, `${n.op} has no attribute ${Object.keys(attrs).find(name => !known.has(name)) ?? "without a value"}`);
    }
    if (n.span && !(typeof n.span.file === "string" && isWhole(n.span.line) && isWhole(n.span.column))) this.#refuse(2, "the span is no file, line and column");
    this.#type(n.type, n.op);
    const inferred = this.#inferred(n, before);
    const difference = differenceOf(n.type, inferred);
    if (difference !== null) this.#refuse(3, `the type of ${n.op} is not the one that follows from its inputs`, difference);
  }

  #inferred(n: Node, before: readonly Node[]): ValueType {
    try {
      return inferType(n.op, n.inputs.map(i => before[i]!.type), n.attrs, null);
    } catch (e) {
      if (!(e instanceof SluiceError)) throw e;
      return this.#refuse(3, e.diagnostic.message, e.diagnostic);
    }
  }

  #attribute(n: Node, name: string, kind: AttrKind, value: unknown): void {
    const expected = this.#misfit(n, name, kind, value);
    if (expected !== null) this.#refuse(2, `${name} of ${n.op} is not ${expected}`);
  }

  /** What the attribute is not and should be; null if it fits. Sizes, types and bodies are checked by their own invariants. */
  #misfit(n: Node, name: string, kind: AttrKind, value: unknown): string | null {
    const unless = (fits: boolean, expected: string): string | null => (fits ? null : expected);
    const isPair = (x: unknown, from: number): boolean => Array.isArray(x) && x.length === 2 && x.every(p => isWhole(p) && p >= from);
    if (typeof kind !== "string") return unless(kind.includes(value as string), `one of ${kind.join(", ")}`);
    switch (kind) {
      case "text": return unless(typeof value === "string", "text");
      case "flag": return unless(typeof value === "boolean", "true or false");
      case "number": return unless(typeof value === "number", "a number");
      case "values": return unless(typeof value === "number" || (Array.isArray(value) && value.every(x => typeof x === "number")), "a number or a list of numbers");
      case "count": return unless(isWhole(value) && value >= 0, "a whole number from 0");
      case "positive": return unless(isWhole(value) && value >= 1, "a whole number from 1");
      case "counts": return unless(Array.isArray(value) && value.every(x => isWhole(x) && x >= 0), "a list of whole numbers from 0");
      case "pair": return unless(isPair(value, 1), "two whole numbers from 1");
      case "pairs": return unless(Array.isArray(value) && value.length === 2 && value.every(x => isPair(x, 0)), "two pairs of whole numbers from 0");
      case "dtype": return unless(typeof value === "string" && isDType(value), "a dtype");
      case "record": return unless(typeof value === "object" && value !== null && Object.values(value).every(isAttrValue), "numbers, text, flags and lists by name");
      // Equal to the node's type, whose sizes are checked with it.
      case "shape": case "axes": return unless(Array.isArray(value) && !isTuple(n.type) && n.type.shape.length === value.length, "as long as the type");
      case "sizes":
        if (!Array.isArray(value) || (n.op === "conv_input" && value.length !== 2)) return n.op === "conv_input" ? "two sizes" : "a list of sizes";
        for (const s of value) this.#size(s as Size, name);
        return null;
      case "size": this.#size(value as Size, name); return null;
      case "trips": this.#size(value as Size, name); return unless(sizeRange(value as Size, this.#bounds).max >= 0, "0 or more");
      case "type": this.#tensorType(value as TensorType, name); return null;
      case "graph": case "optional graph": this.#body(value as Graph); return null;
    }
  }

  #body(body: Graph): void {
    const at = this.#at;
    if (body.states.length + body.updates.length + body.effects.length > 0) this.#refuse(9, `body ${body.name} has states, updates or effects`);
    for (const d of body.dims) {
      const outer = this.#dims.get(d.name);
      if (!outer || outer.binding !== d.binding || outer.min !== d.min || outer.max !== d.max || outer.multipleOf !== d.multipleOf) {
        this.#refuse(9, `dim ${d.name} of body ${body.name} is ${outer ? "declared otherwise in" : "no dim of"} the graph around it`);
      }
    }
    try {
      verifyGraph(body);
    } catch (e) {
      if (!(e instanceof GraphInvariantError)) throw e;
      this.#at = at;
      this.#refuse(9, `in body ${body.name}${e.node === null ? "" : `, %${e.node}`}: ${e.detail} (invariant ${e.invariant})`, e.facts);
    }
  }

  readonly #bounds = (dim: string) => this.#dims.get(dim);

  #size(s: Size, what: string): void {
    if (typeof s === "number") {
      if (!isWhole(s)) this.#refuse(4, `${what} has the size ${s}`);
      return;
    }
    if (typeof s !== "object" || s === null) this.#refuse(4, `${what} has no size`);
    for (const t of s.terms) if (!isWhole(t.coefficient)) this.#refuse(4, `${what} has the size ${sizeText(s)}`);
    for (const dim of dimsOf(s)) if (!this.#dims.has(dim)) this.#refuse(4, `${what} uses dim ${dim}, which is not declared`);
  }

  #tensorType(t: TensorType, what: string): void {
    if (this.#types.has(t)) return;
    if (typeof t !== "object" || t === null || !Array.isArray(t.shape) || !Array.isArray(t.axes) || !isDType(t.dtype)) this.#refuse(2, `the type of ${what} is no tensor type`);
    if (t.shape.length !== t.axes.length) this.#refuse(4, `${what} has ${t.shape.length} sizes and ${t.axes.length} axis names`);
    let terms = 1;
    for (const s of t.shape) {
      this.#size(s, what);
      if (sizeRange(s, this.#bounds).max < 0) this.#refuse(4, `${what} has the negative size ${sizeText(s)}`);
      terms *= typeof s === "number" ? 1 : s.terms.length;
    }
    if (terms > MAX_TERMS) this.#refuse(4, `the number of elements of ${what} has ${terms} terms`);
    for (const name of t.axes) if (name !== null && typeof name !== "string") this.#refuse(4, `an axis of ${what} has the name ${String(name)}`);
    this.#types.add(t);
  }
  #type(t: ValueType, what: string): void {
    if (t && isTuple(t)) for (const item of t.items) this.#tensorType(item, what);
    else this.#tensorType(t, what);
  }

  /** Invariants 5 to 8. */
  ends(g: Graph): void {
    this.#at = null;
    const tensor = (id: NodeId, what: string): TensorType => {
      const type = this.#existing(g, id, what).type;
      return isTuple(type) ? this.#refuse(8, `${what} is a tuple`) : type;
    };
    const states = new Map(g.states.map(s => [s.name, s.type]));
    const effects = new Set(g.effects);
    const inputs: { name: string }[] = [];
    g.nodes.forEach((n, id) => {
      this.#at = id;
      if (n.op === "input") inputs.push(n.attrs);
      if (n.op === "state") {
        const declared = states.get(n.attrs.name) ?? this.#refuse(6, `state ${n.attrs.name} is not declared`);
        const difference = differenceOf(n.type, declared);
        if (difference !== null) this.#refuse(6, `state ${n.attrs.name} is declared with another type`, difference);
      }
      if ((n.op === "print" || n.op === "assert") && !effects.has(id)) this.#refuse(7, `${n.op} is not among the effects`);
    });
    this.#at = null;
    this.#unlike("inputs", inputs);
    this.#unlike("outputs", g.outputs);
    this.#unlike("updates", g.updates);
    for (const o of g.outputs) tensor(o.id, `output ${o.name}`);
    for (const u of g.updates) {
      const declared = states.get(u.name) ?? this.#refuse(6, `state ${u.name} is updated and not declared`);
      const given = tensor(u.id, `update of ${u.name}`);
      if (!same(given, declared)) this.#refuse(6, `state ${u.name} is updated by a tensor of another type`, { found: valueTypeText(given), expected: valueTypeText(declared) });
    }
    if (effects.size !== g.effects.length) this.#refuse(7, "an effect is named twice");
    for (const id of g.effects) {
      const { op } = this.#existing(g, id, "effect");
      if (op !== "print" && op !== "assert") this.#refuse(7, `%${id} is ${op}, which is no effect`);
    }
  }
  #existing(g: Graph, id: NodeId, what: string): Node {
    return g.nodes[id] ?? this.#refuse(8, `${what} is %${id}, which is no node`);
  }
}

const isAttrValue = (x: unknown): boolean =>
  typeof x === "number" || typeof x === "string" || typeof x === "boolean" || (Array.isArray(x) && (x.every(e => typeof e === "number") || x.every(e => typeof e === "string")));

/** Both types where they differ, axis names included; null where they do not. */
function differenceOf(found: ValueType, wanted: ValueType): Facts | null {
  if (found === wanted) return null;
  const facts = { found: valueTypeText(found), expected: valueTypeText(wanted) };
  const [a, b] = [found, wanted].map(t => (isTuple(t) ? t.items : [t])) as [readonly TensorType[], readonly TensorType[]];
  const equal = isTuple(found) === isTuple(wanted) && a.length === b.length && a.every((t, i) => same(t, b[i]!) && t.axes.every((name, axis) => name === b[i]!.axes[axis]));
  return equal ? null : facts;
}
