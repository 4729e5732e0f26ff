// A graph that is being made up: the nodes so far, and operands for the next ones, found among them by type or made for the
// purpose. Every choice goes through one `Choose`, so a graph follows from its choices alone.
import { type DType, isFloat } from "../base/dtypes.ts";
import { type DimDecl, type DimValues, dimSize, evaluateSize, type Size, sameSize, sizeRange } from "../base/sizes.ts";
import { Build } from "../graph/build.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { isTuple, type NodeId, type OpName, type TensorType, tensorType } from "../graph/graph.ts";

export class Choose {
  readonly #int: (min: number, max: number) => number;

  constructor(int: (min: number, max: number) => number) {
    this.#int = int;
  }
  /** From min to max, both included. */
  int(min: number, max: number): number {
    return this.#int(min, max);
  }
  /** True in `share` of 100 cases. */
  chance(share: number): boolean {
    return this.#int(1, 100) <= share;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.#int(0, list.length - 1)]!;
  }
  /** Some of the list in its order. */
  some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.chance(50));
  }
  shuffled<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.#int(0, i);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }
}

export interface SketchOptions {
  /** The ops to make nodes of; sources and what fits operands to each other come on top. */
  readonly ops: readonly OpName[];
  readonly dtypes: readonly DType[];
}

/** Elements of a tensor, at most: graphs are small, so that many are tried. */
const MOST_ELEMENTS = 96;
const NUMBERS = [0, 1, -1, 2, -2, 3, 0.5, 4, 8, -0, 5, -0.25];

/** An operand made to order: any that fits, or one of a dtype and shape. Throws Unfit if it cannot be. */
export interface Supplier {
  any(fits: (dtype: DType) => boolean, inRank: (rank: number) => boolean): NodeId;
  of(dtype: DType, shape: readonly Size[]): NodeId;
}
/** What was drawn does not go together: to draw again. */
export class Unfit extends Error {}

/** Dims to draw shapes from, and a value for each. */
export function drawDims(choose: Choose): { dims: DimDecl[]; values: { [dim: string]: number } } {
  const dims: DimDecl[] = [];
  const values: { [dim: string]: number } = {};
  for (const name of ["N", "M"].slice(0, choose.int(0, 2))) {
    const multipleOf = choose.pick([1, 1, 1, 2]);
    const min = multipleOf * choose.int(1, 2);
    dims.push({ name, binding: choose.pick(["call", "instance"] as const), min, max: min + choose.int(0, 4), multipleOf });
    values[name] = Math.min(min + multipleOf * choose.int(0, 1), Math.floor(dims.at(-1)!.max / multipleOf) * multipleOf);
  }
  return { dims, values };
}

export class Sketch {
  readonly choose: Choose;
  readonly options: SketchOptions;
  readonly b: GraphBuilder;
  readonly g: Build;
  readonly dims: readonly DimDecl[];
  readonly values: DimValues;
  /** The sketch of a loop's or composite's body has no sources of its own but constants. */
  readonly isBody: boolean;
  /** Tensors to take operands from, oldest first. */
  readonly #pool: NodeId[] = [];
  #sources = 0;
  /** Where the operands of the node under construction come from, in their order; the pool and new sources where none is left. */
  #suppliers: Supplier[] = [];

  constructor(name: string, choose: Choose, options: SketchOptions, dims: readonly DimDecl[], values: DimValues, isBody = false) {
    this.choose = choose;
    this.options = options;
    this.b = new GraphBuilder(name);
    this.g = new Build(this.b, null);
    this.dims = dims;
    this.values = values;
    this.isBody = isBody;
    for (const d of dims) this.b.declareDim(d);
  }

  body(name: string): Sketch {
    return new Sketch(name, this.choose, this.options, this.dims, this.values, true);
  }

  /** A size's value and its least value over all bindings. */
  valueOf(s: Size): number {
    return evaluateSize(s, this.values);
  }
  leastOf(s: Size): number {
    return sizeRange(s, dim => this.dims.find(d => d.name === dim)).min;
  }
  isSmall(shape: readonly Size[]): boolean {
    return shape.reduce<number>((n, s) => n * this.valueOf(s), 1) <= MOST_ELEMENTS;
  }

  /** Puts a node, or the items of a tuple, among the operands of later nodes. */
  offer(id: NodeId): void {
    const type = this.b.valueType(id);
    const added = isTuple(type) ? type.items.map((_, i) => this.g.item(id, i)) : [id];
    this.#pool.push(...added);
  }
  get pool(): readonly NodeId[] {
    return this.#pool;
  }

  /** What `make` gives, its operands taken from the suppliers. Throws Unfit if it does not ask for all of them. */
  supplied<T>(suppliers: readonly Supplier[], make: () => T): T {
    const outer = this.#suppliers;
    this.#suppliers = [...suppliers];
    try {
      const made = make();
      if (this.#suppliers.length > 0) throw new Unfit();
      return made;
    } finally {
      this.#suppliers = outer;
    }
  }
  /** The next operand from its supplier; null if none is left. */
  #next(take: (from: Supplier) => NodeId): NodeId | null {
    const from = this.#suppliers.shift();
    return from ? this.supplied([], () => take(from)) : null;
  }

  /** A tensor that fits, mostly a late one; null if there is none. */
  find(fits: (t: TensorType) => boolean): NodeId | null {
    const found = this.#pool.filter(id => fits(this.g.type(id)));
    if (found.length === 0) return null;
    return this.choose.chance(50) ? found.at(-1)! : this.choose.pick(found);
  }
  /** A tensor that fits, found or made with a dtype that does. */
  some(fits: (dtype: DType) => boolean, rank?: readonly [number, number]): NodeId {
    const inRank = (n: number) => rank === undefined || (n >= rank[0] && n <= rank[1]);
    const supplied = this.#next(from => from.any(fits, inRank));
    if (supplied !== null) return supplied;
    const found = this.choose.chance(85) ? this.find(t => fits(t.dtype) && inRank(t.shape.length)) : null;
    if (found !== null) return found;
    const all = ["f32", "i32", "u32", "bool", "i8", "u8"] as const;
    const dtypes = this.options.dtypes.filter(fits);
    const dtype = dtypes.length > 0 ? this.choose.pick(dtypes) : all.find(fits)!;
    return this.source(dtype, this.shape(rank ?? [0, 3]));
  }
  /** A tensor of the dtype and shape, found or made. */
  of(dtype: DType, shape: readonly Size[]): NodeId {
    const supplied = this.#next(from => from.of(dtype, shape));
    if (supplied !== null) return supplied;
    const found = this.choose.chance(60) ? this.find(t => t.dtype === dtype && t.shape.length === shape.length && t.shape.every((s, i) => sameSize(s, shape[i]!))) : null;
    return found ?? (this.choose.chance(35) ? this.constant(dtype, shape) : this.source(dtype, shape));
  }
  like(id: NodeId): NodeId {
    const { dtype, shape } = this.g.type(id);
    return this.of(dtype, shape);
  }
  index(): NodeId {
    const supplied = this.#next(from => from.of("i32", []));
    if (supplied !== null) return supplied;
    return this.choose.chance(60) ? this.constant("i32", []) : this.of("i32", []);
  }

  size(): Size {
    if (this.dims.length > 0 && this.choose.chance(35)) return dimSize(this.choose.pick(this.dims).name);
    return this.choose.pick([1, 2, 2, 3, 3, 4]);
  }
  shape(rank: readonly [number, number]): Size[] {
    const shape = Array.from({ length: this.choose.int(rank[0], rank[1]) }, () => this.size());
    return this.isSmall(shape) ? shape : shape.map(() => 2);
  }

  number(dtype: DType): number {
    if (dtype === "bool") return this.choose.int(0, 1);
    if (!isFloat(dtype)) return Math.round(this.choose.pick(NUMBERS));
    return this.choose.chance(4) ? this.choose.pick([Infinity, -Infinity]) : this.choose.pick(NUMBERS);
  }
  /** One value in the shape, written out or repeated, or several values. */
  constant(dtype: DType, shape: readonly Size[]): NodeId {
    const type = tensorType(dtype, shape);
    const count = shape.reduce<number | null>((n, s) => (n !== null && typeof s === "number" ? n * s : null), 1);
    if (count !== null && shape.length > 0 && this.choose.chance(30)) return this.g.constant(Array.from({ length: count }, () => this.number(dtype)), type);
    return this.repeated(() => this.number(dtype), type);
  }
  /** One value for all elements, written out or repeated. */
  repeated(value: () => number, type: TensorType): NodeId {
    return this.choose.chance(50) ? this.g.constant(value(), type) : this.g.broadcastTo(this.g.scalar(value(), type.dtype), type, []);
  }
  /** A new input or the value of a new state; in a body, a constant. */
  source(dtype: DType, shape: readonly Size[]): NodeId {
    if (this.isBody) return this.constant(dtype, shape);
    const axes = shape.map((s, i) => (this.choose.chance(20) ? `axis${i}` : typeof s !== "number" && this.choose.chance(50) ? s.key : null));
    const type = tensorType(dtype, shape, axes);
    const isState = this.choose.chance(25);
    const name = `${isState ? "s" : "x"}${this.#sources++}`;
    if (isState) this.b.declareState({ name, type });
    const id = this.g.node(isState ? "state" : "input", [], { name, type });
    this.#pool.push(id);
    return id;
  }
}
