// Graphs drawn around a rule's left side: its ops are made with operands that are random subgraphs, its constants with random
// values, and random nodes read the result. So a rule has something to do in most graphs, however rare its pattern is in
// graphs at large. A name that stands twice is one node; whether the rule's condition holds is left to chance.
import { type DType, DTYPES, isFloat } from "../base/dtypes.ts";
import { addSize, type Size, sameSize } from "../base/sizes.ts";
import { InternalError } from "../base/diagnostics.ts";
import { allAxes } from "../graph/build.ts";
import { type BinaryOp, isTuple, type NodeId, type TensorType, tensorType, type UnaryOp } from "../graph/graph.ts";
import { isCommutative, type Rule } from "../transforms/rewrite.ts";
import { parseTerm, type Term } from "../transforms/terms.ts";
import type { GraphCase, GraphOptions } from "./graphs.ts";
import { ELEMENTWISE, type Fits, grow, INSTRUCTIONS, reshapes } from "./instructions.ts";
import { type Choose, drawDims, Sketch, type Supplier, Unfit } from "./sketch.ts";

type OpTerm = Extract<Term, { readonly kind: "op" }>;

const COMPARISONS: ReadonlySet<string> = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);
/** Ops beside the elementwise ones whose result has the shape of their operands. */
const FOLLOWS: ReadonlySet<string> = new Set(["select", "cast"]);
/** Ops that are made to order as well as with attributes that suit what they are given. */
const MOVES: ReadonlySet<string> = new Set([
  "broadcast", "reshape", "transpose", "slice", "flip", "reduce", "stop_gradient",
]);
const BINARY_ARITY = 2;
const isElementwise = (op: string): op is UnaryOp | BinaryOp => Object.hasOwn(ELEMENTWISE, op);
/** Constants of a pattern: small ones, powers of two, and those at which something ends. */
const FLOATS = [
  0, -0, 1, -1, 2, -2, 3, 0.5, -0.25, 4, 8, 1024, 1.5, 7, Infinity, -Infinity, NaN, 1e300, 1e-300, 2 ** -24, 2 ** 31,
];
const INTEGERS = [0, 1, -1, 2, -2, 3, 4, 5, 7, 8, 16, 31, 32, 255, -128, 2 ** 31, -(2 ** 31), 2 ** 16];
/** Attempts at one graph before chance is given up on. */
const ATTEMPTS = 60;

type Surroundings = Required<Pick<GraphOptions, "ops" | "dtypes">>;

/** A graph around the rule's left side; null if none came of many attempts. */
export function graphAround(rule: Rule, choose: Choose, options: Surroundings): GraphCase | null {
  const pattern = parseTerm(rule.from, message => {
    throw new InternalError(`rule ${rule.name}: ${message}`);
  });
  if (pattern.kind !== "op") throw new InternalError(`the left side of rule ${rule.name} is no op`);
  for (let i = 0; i < ATTEMPTS; i++) {
    const { dims, values } = drawDims(choose);
    const s = new Sketch("around", choose, options, dims, values);
    try {
      grow(s, choose.int(0, 2));
      const root = new Instance(s).free(pattern, () => true, () => true);
      s.offer(root);
      if (choose.chance(40)) grow(s, choose.int(1, 2));
      // What stands at the root shows itself, and others may; of a tuple the items are in the pool.
      const outputs = isTuple(s.b.valueType(root)) ? [s.pool.at(-1)!] : [root];
      if (choose.chance(30)) outputs.push(choose.pick(s.pool));
      if (choose.chance(30)) outputs.push(s.pool.at(-1)!);
      outputs.forEach((id, at) => s.b.outputs.push({ name: `y${at}`, id }));
      return { graph: s.b.finish(), dims: values, seed: choose.int(0, 2 ** 31 - 1) };
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
    }
  }
  return null;
}

/** The nodes of one pattern in one sketch. */
class Instance {
  readonly #s: Sketch;
  readonly #names = new Map<string, NodeId>();
  // Attributes that nodes of the pattern have: two of one op often have the same.
  readonly #dims = new Map<number, readonly number[]>();
  readonly #repeated = new Map<string, readonly Size[]>();
  readonly #perms = new Map<number, readonly number[]>();
  readonly #kinds = new Map<DType, "sum" | "prod" | "max" | "min">();

  constructor(s: Sketch) {
    this.#s = s;
  }

  /** A node for the term, of a dtype and rank that fit. */
  free(t: Term, fits: Fits, inRank: (rank: number) => boolean): NodeId {
    const s = this.#s;
    if (t.kind === "name") {
      const draw = (): NodeId => (s.choose.chance(50) ? s.some(fits) : s.source(this.#someDType(fits), this.#wideShape()));
      const id = this.#names.get(t.name) ?? draw();
      this.#names.set(t.name, id);
      return this.#checked(id, fits, inRank);
    }
    if (t.kind !== "op" || isElementwise(t.op) || FOLLOWS.has(t.op) || (MOVES.has(t.op) && s.choose.chance(50))) {
      const { dtype, shape } = this.#someType(fits);
      return this.#checked(this.typed(t, dtype, shape), fits, inRank);
    }
    const id = s.supplied(this.#operands(t).map(o => this.#supplier(o)), () => INSTRUCTIONS[t.op](s));
    const made = id === null ? undefined : s.b.nodes[id];
    if (id === null || made?.inputs.length !== t.operands.length || made.op !== t.op) throw new Unfit();
    return isTuple(s.b.valueType(id)) ? id : this.#checked(id, fits, inRank);
  }

  /** A node for the term, of the dtype and shape. */
  typed(t: Term, dtype: DType, shape: readonly Size[]): NodeId {
    const s = this.#s;
    if (t.kind === "number") return this.#literal(t.value, dtype, shape);
    if (t.kind === "op") return this.#op(t, dtype, shape);
    const known = this.#names.get(t.name);
    if (known !== undefined) return this.#ofType(known, dtype, shape);
    const number = (): number => DTYPES[dtype].round(s.choose.pick(isFloat(dtype) ? FLOATS : INTEGERS));
    const id = t.kind === "name" ? s.of(dtype, shape) : this.#literal(number(), dtype, shape);
    this.#names.set(t.name, id);
    return id;
  }

  #op(t: OpTerm, dtype: DType, shape: readonly Size[]): NodeId {
    const { g, choose, options } = this.#s;
    const operands = this.#operands(t);
    const [first] = operands as [Term, ...Term[]];
    if (isElementwise(t.op)) {
      const isBool = COMPARISONS.has(t.op) || t.op === "is_finite";
      if (isBool && dtype !== "bool") throw new Unfit();
      const own = isBool ? this.#someDType(ELEMENTWISE[t.op]) : dtype;
      if (!ELEMENTWISE[t.op](own)) throw new Unfit();
      const ids = operands.map(o => this.typed(o, own, shape));
      return ids.length === BINARY_ARITY ? g.binary(t.op as BinaryOp, ids[0]!, ids[1]!) : g.unary(t.op as UnaryOp, ids[0]!);
    }
    const axes = shape.map(() => null);
    switch (t.op) {
      case "select": {
        const [condition, yes, no] = operands.map((o, i) => this.typed(o, i === 0 ? "bool" : dtype, shape));
        return g.select(condition!, yes!, no!);
      }
      case "cast": return g.node("cast", [this.typed(first, choose.pick(options.dtypes), shape)], { dtype });
      case "stop_gradient": return g.node("stop_gradient", [this.typed(first, dtype, shape)], {});
      case "broadcast": {
        const dims = this.#again(this.#dims, shape.length, () => choose.some(allAxes(shape.length)));
        const from = this.#again(this.#repeated, dims.join(), () => dims.map(d => (choose.chance(30) ? 1 : shape[d]!)));
        if (!from.every((n, i) => n === 1 || sameSize(n, shape[dims[i]!]!))) throw new Unfit();
        return g.node("broadcast", [this.typed(first, dtype, from)], { dims, shape, axes });
      }
      case "reshape": {
        const shapes = reshapes(this.#s, shape);
        if (shapes.length === 0) throw new Unfit();
        return g.node("reshape", [this.typed(first, dtype, choose.pick(shapes))], { shape, axes });
      }
      case "transpose": {
        const perm = this.#again(this.#perms, shape.length, () => choose.shuffled(allAxes(shape.length)));
        const from: Size[] = [];
        perm.forEach((p, i) => (from[p] = shape[i]!));
        return g.node("transpose", [this.typed(first, dtype, from)], { perm });
      }
      case "slice": {
        const start = shape.map(() => choose.pick([0, 0, 1, 2]));
        const stride = shape.map(n => (typeof n === "number" && choose.chance(25) ? 2 : 1));
        const reach = shape.map((n, i) => (typeof n === "number" ? Math.max(0, (n - 1) * stride[i]! + 1) : n));
        const from = reach.map((n, i) => addSize(addSize(n, start[i]!), choose.pick([0, 0, 1])));
        return g.node("slice", [this.typed(first, dtype, this.#small(from))], { start, size: shape, stride });
      }
      case "flip": return g.node("flip", [this.typed(first, dtype, shape)], { axes: choose.some(allAxes(shape.length)) });
      case "reduce": {
        const from = [...shape];
        const over = choose.some([0, 1]).map(() => choose.int(0, from.length)).map(at => {
          from.splice(at, 0, choose.int(1, 3));
          return at;
        });
        // An axis that stands after one put in later has moved.
        const moved = over.map((at, i) => over.slice(i + 1).reduce((a, later) => (later <= a ? a + 1 : a), at));
        const kinds = dtype === "bool" ? (["max", "min"] as const) : (["sum", "prod", "max", "min"] as const);
        const kind = this.#again(this.#kinds, dtype, () => choose.pick(kinds));
        return g.node("reduce", [this.typed(first, dtype, this.#small(from))], { kind, axes: moved });
      }
      default: return this.#ofType(this.free(t, d => d === dtype, rank => rank === shape.length), dtype, shape);
    }
  }

  /** As the term has them, or, where that is the same, the other way round. */
  #operands(t: OpTerm): readonly Term[] {
    return isCommutative(t.op) && this.#s.choose.chance(50) ? t.operands.toReversed() : t.operands;
  }
  #supplier(t: Term): Supplier {
    return { any: (fits, inRank) => this.free(t, fits, inRank), of: (dtype, shape) => this.typed(t, dtype, shape) };
  }

  #literal(value: number, dtype: DType, shape: readonly Size[]): NodeId {
    if (!isFloat(dtype) && !Object.is(DTYPES[dtype].round(value), value)) throw new Unfit();
    return this.#s.repeated(() => value, tensorType(dtype, shape));
  }
  #someDType(fits: Fits): DType {
    const all = this.#s.options.dtypes.filter(fits);
    if (all.length === 0) throw new Unfit();
    return this.#s.choose.pick(all);
  }
  /** A long axis or two, with room for parts of parts. */
  #wideShape(): Size[] {
    const { choose } = this.#s;
    return Array.from({ length: choose.int(1, 2) }, () => choose.int(1, 9));
  }
  /** Of a tensor that is there, so that it may be an operand, or any. */
  #someType(fits: Fits): { readonly dtype: DType; readonly shape: readonly Size[] } {
    const found = this.#s.choose.chance(50) ? this.#s.find(t => fits(t.dtype)) : null;
    if (found !== null) return this.#s.g.type(found);
    return { dtype: this.#someDType(fits), shape: this.#s.shape(this.#s.choose.pick([[0, 3], [2, 3], [3, 3]])) };
  }
  /** What was chosen for the key before, mostly, or a new choice. */
  #again<K, T>(chosen: Map<K, T>, key: K, choose: () => T): T {
    const before = chosen.get(key);
    if (before !== undefined && this.#s.choose.chance(70)) return before;
    const now = choose();
    chosen.set(key, now);
    return now;
  }
  #small(shape: readonly Size[]): readonly Size[] {
    if (shape.length > 4 || !this.#s.isSmall(shape)) throw new Unfit();
    return shape;
  }
  #type(id: NodeId): TensorType {
    const type = this.#s.b.valueType(id);
    if (isTuple(type)) throw new Unfit();
    return type;
  }
  #checked(id: NodeId, fits: Fits, inRank: (rank: number) => boolean): NodeId {
    const { dtype, shape } = this.#type(id);
    if (!fits(dtype) || !inRank(shape.length)) throw new Unfit();
    return id;
  }
  #ofType(id: NodeId, dtype: DType, shape: readonly Size[]): NodeId {
    const own = this.#type(id);
    const isSame = own.shape.length === shape.length && own.shape.every((n, i) => sameSize(n, shape[i]!));
    if (own.dtype !== dtype || !isSame) throw new Unfit();
    return id;
  }
}
