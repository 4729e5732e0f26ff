// Rewrite rules as data and the driver that applies them. A rule says what is found and what stands in its place as terms:
//   add(x, neg(y)) -> sub(x, y)        x and y stand for any node; the same name twice for the same node
//   mul(x, 1) -> x                     a number stands for a constant of that value, whatever its shape
//   div(x, #c) -> mul(x, #r)           #c stands for any constant; #r is computed by `numbers`
//   t:transpose(u:transpose(x)) -> v:transpose(x)      a label names a node; `attrs` computes those of v
// Operands of commutative ops match in either order. The driver walks the graph once, operands before users, and goes on
// with what a rule has made until no rule fits; fuel bounds how often. Rules that cannot work are refused when they are read.
import { InternalError, SluiceError } from "../base/diagnostics.ts";
import { sameSize } from "../base/sizes.ts";
import { float64 } from "../graph/field.ts";
import { attributesOf } from "../graph/attributes.ts";
import { type BinaryOp, type Graph, isTuple, type Node, type NodeId, type OpAttrs, type OpName, type TensorType } from "../graph/graph.ts";
import { isOpName } from "../graph/ops.ts";
import { valueTypeText } from "../graph/text.ts";
import { rebuild, type Table } from "./rebuild.ts";
import { parseTerm, type Term } from "./terms.ts";
import type { Exactness, Fired, Transform } from "./transform.ts";

export interface Rule extends Exactness {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly when?: (m: Match) => boolean;
  readonly numbers?: { readonly [name: string]: (m: Match) => number };
  /** The attributes of a node of `to`, by its label; null if the rule does not fit after all. */
  readonly attrs?: { readonly [label: string]: (m: Match) => object | null };
}

/** What the left side stands for at one place. */
export interface Match {
  /** The node that is replaced. */
  readonly root: Node;
  /** The node that a name or label stands for. */
  node(name: string): Node;
  type(name: string): TensorType;
  attrs<O extends OpName>(label: string, op: O): OpAttrs[O];
  /** The value of a constant. */
  number(name: string): number;
}

/** A pass that applies rules; each says how exact it is. */
export interface RuleTransform extends Transform {
  readonly rules: readonly Rule[];
}

/** A pass that applies rules. Throws SluiceError RULE001 for a rule that cannot work. */
export function rewriteWith(name: string, summary: string, rules: readonly Rule[]): RuleTransform {
  const byRoot = new Map<OpName, CompiledRule[]>();
  for (const rule of rules.flatMap(compile)) byRoot.set(rule.from.op, [...(byRoot.get(rule.from.op) ?? []), rule]);
  const run = (graph: Graph, fired: Fired = () => undefined): Graph => {
    const rewriter = new Rewriter(byRoot, fired, 1000 + 20 * graph.nodes.length);
    return rebuild(graph, body => run(body, fired), (n, table) => rewriter.place(n, table));
  };
  return { name, summary, rules, run };
}

// ---- reading rules

type OpTerm = Term & { readonly kind: "op" };
interface CompiledRule {
  readonly rule: Rule;
  readonly from: OpTerm;
  readonly to: Term;
}

const COMMUTATIVE: ReadonlySet<string> = new Set<BinaryOp>(["add", "mul", "max", "min", "eq", "ne", "and", "or", "xor", "mulhi"]);
export const isCommutative = (op: OpName): boolean => COMMUTATIVE.has(op);

/** A rule for each order of the operands of commutative ops. */
function compile(rule: Rule): CompiledRule[] {
  const refuse = (message: string): never => {
    throw new SluiceError({ code: "RULE001", message: `rule ${rule.name}: ${message}`, found: `${rule.from} -> ${rule.to}` });
  };
  const from = parseTerm(rule.from, refuse);
  const to = parseTerm(rule.to, refuse);
  if (from.kind !== "op") return refuse("the left side is no op");
  const bound = new Set<string>();
  const labels = new Map<string, OpName>();
  const visit = (t: Term): void => {
    if (t.kind !== "op") {
      if (t.kind !== "number") bound.add(t.name);
      return;
    }
    if (!isOpName(t.op)) refuse(`there is no op ${t.op}`);
    if (t.label !== null) labels.set(t.label, t.op);
    t.operands.forEach(visit);
  };
  visit(from);
  for (const label of labels.keys()) if (bound.has(label)) refuse(`${label} names two things`);
  const check = (t: Term): void => {
    if (t.kind === "name" && t.name === from.label) refuse(`the right side is what the left side was`);
    if (t.kind === "name" && !bound.has(t.name) && !labels.has(t.name)) refuse(`${t.name} of the right side does not occur on the left`);
    if (t.kind === "constant" && !bound.has(t.name) && !rule.numbers?.[t.name]) refuse(`#${t.name} of the right side is neither on the left nor computed`);
    if (t.kind !== "op") return;
    if (!isOpName(t.op)) refuse(`there is no op ${t.op}`);
    const given = t.label !== null && (rule.attrs?.[t.label] !== undefined || labels.get(t.label) === t.op);
    if (attributesOf(t.op).length > 0 && !given) refuse(`the attributes of ${t.op} on the right side are neither computed nor those of a label on the left`);
    if (t.operands.length > 0 && t.operands.every(o => o.kind === "number" || (o.kind === "constant" && !bound.has(o.name)))) refuse(`the type of ${t.op} on the right side is unknown`);
    t.operands.forEach(check);
  };
  check(to);
  return ordersOf(from).map(order => ({ rule, from: order as OpTerm, to }));
}

function ordersOf(t: Term): Term[] {
  if (t.kind !== "op") return [t];
  const all = t.operands.reduce<readonly (readonly Term[])[]>((lists, o) => lists.flatMap(list => ordersOf(o).map(order => [...list, order])), [[]]);
  const orders = isCommutative(t.op) ? all.flatMap(([a, b]) => (JSON.stringify(a) === JSON.stringify(b) ? [[a!, b!]] : [[a!, b!], [b!, a!]])) : all;
  return orders.map(operands => ({ ...t, operands }));
}

// ---- applying them

const isLiteral = (t: Term, names: ReadonlyMap<string, NodeId>): boolean => t.kind === "number" || (t.kind === "constant" && !names.has(t.name));

/** How many rules may follow from one another at one node: more is a circle. */
const MOST_IN_A_ROW = 200;

class Rewriter {
  readonly #rules: ReadonlyMap<OpName, readonly CompiledRule[]>;
  readonly #fired: Fired;
  #fuel: number;
  #depth = 0;
  #recent: string[] = [];
  /** The value of nodes whose elements are all one constant. */
  readonly #constants: (number | undefined)[] = [];

  constructor(rules: ReadonlyMap<OpName, readonly CompiledRule[]>, fired: Fired, fuel: number) {
    this.#rules = rules;
    this.#fired = fired;
    this.#fuel = fuel;
  }

  place(n: Node, table: Table): NodeId {
    for (const { rule, from, to } of this.#rules.get(n.op) ?? []) {
      if (!this.#fits(from, n, table)) continue;
      const names = new Map<string, NodeId>();
      const labels = new Map<string, NodeId>();
      if (!this.#bind(from, n, null, table, names, labels)) continue;
      const match = this.#match(n, table, names, labels, from.label);
      if (rule.when && !rule.when(match)) continue;
      const attrs = computed(rule.attrs, match);
      const numbers = computed(rule.numbers, match);
      if (!attrs || !numbers) continue;
      this.#burn(rule.name);
      const id = this.#build(to, n, table, { names, labels, match, attrs, numbers });
      this.#depth--;
      requireSameType(rule.name, n, table.nodes[id]!);
      return id;
    }
    const id = table.push(n);
    this.#constants[id] = this.#constantOf(n);
    return id;
  }

  #burn(rule: string): void {
    this.#fired(rule);
    this.#recent.push(rule);
    if (--this.#fuel >= 0 && ++this.#depth <= MOST_IN_A_ROW) {
      if (this.#depth === 1) this.#recent = [];
      return;
    }
    throw new SluiceError({ code: "RULE002", message: "the rules come to no end", found: [...new Set(this.#recent.slice(-6))].join(", "), hint: "one of them makes what another undoes" });
  }

  /** Whether ops and constants are as the term says. */
  #fits(t: OpTerm, n: Node, table: Table): boolean {
    if (t.op !== n.op || t.operands.length !== n.inputs.length) return false;
    return t.operands.every((o, i) => {
      const id = n.inputs[i]!;
      if (o.kind === "name") return true;
      if (o.kind === "op") return this.#fits(o as OpTerm, table.nodes[id]!, table);
      const value = this.#constants[id];
      return value !== undefined && (o.kind === "constant" || Object.is(value, o.value));
    });
  }
  /** Gives names and labels their nodes; false if a name would stand for two. The root stands nowhere yet. */
  #bind(t: OpTerm, n: Node, at: NodeId | null, table: Table, names: Map<string, NodeId>, labels: Map<string, NodeId>): boolean {
    if (t.label !== null && at !== null) labels.set(t.label, at);
    return t.operands.every((o, i) => {
      const id = n.inputs[i]!;
      if (o.kind === "op") return this.#bind(o as OpTerm, table.nodes[id]!, id, table, names, labels);
      if (o.kind === "number") return true;
      const known = names.get(o.name);
      if (known === undefined) names.set(o.name, id);
      return known === undefined || known === id;
    });
  }

  #match(root: Node, table: Table, names: ReadonlyMap<string, NodeId>, labels: ReadonlyMap<string, NodeId>, rootLabel: string | null): Match {
    const node = (name: string): Node => {
      const id = names.get(name) ?? labels.get(name);
      const found = name === rootLabel ? root : id === undefined ? undefined : table.nodes[id];
      if (!found) throw new InternalError(`a rule asks for ${name}, which its left side does not name`);
      return found;
    };
    return {
      root, node,
      type: name => tensorTypeOf(node(name)),
      attrs: <O extends OpName>(label: string, op: O) => {
        const n = node(label);
        if (n.op !== op) throw new InternalError(`a rule asks for ${label} as ${op}, which is ${n.op}`);
        return n.attrs as OpAttrs[O];
      },
      number: name => this.#constants[names.get(name) ?? -1] ?? NaN,
    };
  }

  /** The right side's nodes, each tried by the rules in its turn. */
  #build(t: Term, root: Node, table: Table, m: Bound): NodeId {
    if (isLiteral(t, m.names)) return this.#literal(t, tensorTypeOf(root), root, table, m);
    if (t.kind === "name" || t.kind === "constant") {
      return m.names.get(t.name) ?? m.labels.get(t.name)!;
    }
    if (t.kind === "number") throw new InternalError("a number is a literal");
    const given = t.operands.map(o => (isLiteral(o, m.names) ? null : this.#build(o, root, table, m)));
    const neighbour = given.find(id => id !== null);
    const inputs = given.map((id, i) => id ?? this.#literal(t.operands[i]!, tensorTypeOf(table.nodes[neighbour!]!), root, table, m));
    const attrs = attributesOf(t.op).length === 0 ? {} : (m.attrs[t.label!] ?? m.match.node(t.label!).attrs);
    return this.place(table.node(t.op, inputs, attrs as OpAttrs[OpName], root.span), table);
  }
  #literal(t: Term, type: TensorType, root: Node, table: Table, m: Bound): NodeId {
    const value = t.kind === "number" ? t.value : m.numbers[(t as Term & { kind: "constant" }).name]!;
    return this.place(table.node("const", [], { value, type }, root.span), table);
  }

  #constantOf(n: Node): number | undefined {
    switch (n.op) {
      case "const": {
        const { value, type } = n.attrs;
        const first = typeof value === "number" ? value : value[0];
        if (first === undefined || (typeof value !== "number" && !value.every(x => Object.is(x, first)))) return undefined;
        return float64.literal(first, type.dtype);
      }
      case "pad": return Object.is(this.#constants[n.inputs[0]!], n.attrs.value) ? n.attrs.value : undefined;
      case "broadcast": case "reshape": case "transpose": case "slice": case "flip": return this.#constants[n.inputs[0]!];
      default: return undefined;
    }
  }
}

interface Bound {
  readonly names: ReadonlyMap<string, NodeId>;
  readonly labels: ReadonlyMap<string, NodeId>;
  readonly match: Match;
  readonly attrs: { readonly [label: string]: object };
  readonly numbers: { readonly [name: string]: number };
}

/** All values computed; null as soon as one is null. */
function computed<T>(by: { readonly [name: string]: (m: Match) => T | null } | undefined, m: Match): { [name: string]: T } | null {
  const values: { [name: string]: T } = {};
  for (const [name, f] of Object.entries(by ?? {})) {
    const value = f(m);
    if (value === null) return null;
    values[name] = value;
  }
  return values;
}

function tensorTypeOf(n: Node): TensorType {
  if (isTuple(n.type)) throw new InternalError(`a rule meets ${n.op}, which is a tuple`);
  return n.type;
}

function requireSameType(rule: string, before: Node, after: Node): void {
  const [a, b] = [before.type, after.type];
  if (a === b || isTuple(a) || isTuple(b)) return;
  if (a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((s, i) => sameSize(s, b.shape[i]!))) return;
  throw new InternalError(`rule ${rule} turns ${valueTypeText(a)} into ${valueTypeText(b)}`);
}
