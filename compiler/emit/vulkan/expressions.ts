// Kernel expressions as SPIR-V values: one for each lane.
import { InternalError } from "../../base/diagnostics.ts";
import { addSize, dimSize, mulSize, productSize, type Size } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, REGISTER_TYPE, type ScalarType, typeOf } from "../../kernel/ir.ts";
import { mapOperands } from "../../kernel/share.ts";
import { registerElement } from "../names.ts";
import { binary, bitcast, cast, constantOf, multiplyAdd, typeOfScalar, unary, unsimplified } from "./arithmetic.ts";
import { type Assembler, CAPABILITY, type Id, OP } from "./assembler.ts";
import type { Features } from "./features.ts";
import { type Home, load } from "./memory.ts";
import type { Sizes, Width } from "./sizes.ts";

/** Values of one name, or the variables that hold them. */
export interface Named {
  readonly lanes: readonly Id[];
  readonly scalar: ScalarType;
  readonly isVariable: boolean;
}
export type Place =
  | { readonly kind: "memory"; readonly buffer: Buffer; readonly home: Home }
  /** The variables of each element's lanes. */
  | { readonly kind: "register"; readonly buffer: Buffer; readonly elements: readonly (readonly Id[])[] };

/** An element's number, in as many bits as the buffer's numbers need. */
export interface At {
  readonly index: Id;
  readonly width: Width;
}

/** The value that the thread has whose number in the workgroup is this one's xor the mask; all threads are here. */
export type Exchange = (scalar: ScalarType, value: Id, mask: number) => Id;

const DOT_PRODUCT = "SPV_KHR_integer_dot_product";
/** The format of a dot product's operands. */
const PACKED_4X8 = 0;

export class Expressions {
  readonly values = new Map<string, Named>();
  readonly buffers = new Map<string, Place>();
  readonly #m: Assembler;
  readonly #sizes: Sizes;
  readonly #features: Features;
  /** Distances between the threads whose values a reduction combines, one after the other. */
  readonly #halves: readonly number[];
  readonly #exchange: Exchange;

  constructor(assembler: Assembler, sizes: Sizes, features: Features, threads: number, exchange: Exchange) {
    this.#m = assembler;
    this.#sizes = sizes;
    this.#features = features;
    this.#halves = [16, 8, 4, 2, 1].filter(mask => mask < threads);
    this.#exchange = exchange;
  }

  scalar(e: Expr): Id {
    return this.lanes(e)[0]!;
  }

  lanes(e: Expr): Id[] {
    const m = this.#m;
    const { scalar, lanes } = typeOf(e);
    switch (e.kind) {
      case "const": return Array<Id>(lanes).fill(constantOf(m, scalar, e.value));
      case "size": return [this.#sizes.value(e.size, 32)];
      case "var": return this.#named(e.name);
      case "unary": return this.lanes(e.x).map(x => unary(m, e.op, scalar, x));
      case "binary": {
        const own = typeOf(e.a).scalar;
        return zip(this.lanes(e.a), this.lanes(e.b), unsimplified(m, e.op, e.a, e.b) ?? ((a, b) => binary(m, e.op, own, a, b)));
      }
      case "fma": {
        const [a, b, c] = [this.lanes(e.a), this.lanes(e.b), this.lanes(e.c)];
        return a.map((x, i) => multiplyAdd(m, scalar, x, b[i]!, c[i]!));
      }
      case "select": {
        const [condition, yes, no] = [this.lanes(e.condition), this.lanes(e.yes), this.lanes(e.no)];
        return yes.map((y, i) => m.value(OP.Select, typeOfScalar(m, scalar), condition[i]!, y, no[i]!));
      }
      case "cast": return this.lanes(e.x).map(x => cast(m, typeOf(e.x).scalar, e.to, x));
      case "bitcast": return this.lanes(e.x).map(x => bitcast(m, typeOf(e.x).scalar, e.to, x));
      case "load": return this.#load(e);
      case "gather": return this.#gather(e);
      case "splat": return Array<Id>(e.lanes).fill(this.scalar(e.x));
      case "vector": return e.items.map(item => this.scalar(item));
      case "lane": return [this.lanes(e.x)[e.lane]!];
      case "shuffle": {
        const both = [...this.lanes(e.a), ...this.lanes(e.b)];
        return e.lanes.map(lane => both[lane]!);
      }
      case "horizontal": {
        let level = this.lanes(e.x);
        while (level.length > 1) level = zip(level.slice(0, level.length / 2), level.slice(level.length / 2), (a, b) => binary(m, e.op, scalar, a, b));
        return level;
      }
      case "dot4": {
        const [a, b, c] = [this.lanes(e.a), this.lanes(e.b), this.lanes(e.c)];
        return a.map((x, i) => this.#dot4(x, b[i]!, c[i]!));
      }
      case "lookup16": return this.lanes(e.index).map(index => this.#entry(scalar, e.table, index));
      case "subgroup_xor": return this.lanes(e.x).map(x => this.#exchange(scalar, x, e.mask));
      // The tree of the interpreter: halves are combined until one is left, which all threads have.
      case "subgroup_reduce": return this.lanes(e.x).map(x => this.#halves.reduce((sum, mask) => binary(m, e.op, scalar, sum, this.#exchange(scalar, sum, mask)), x));
    }
  }

  #named(name: string): Id[] {
    const held = this.values.get(name);
    if (!held) return [this.#sizes.value(dimSize(name), 32)];
    return held.isVariable ? held.lanes.map(v => this.#m.value(OP.Load, typeOfScalar(this.#m, held.scalar), v)) : [...held.lanes];
  }

  place(name: string): Place {
    const place = this.buffers.get(name);
    if (!place) throw new InternalError(`buffer ${name} is used before it is defined`);
    return place;
  }

  size(size: Size): Id {
    return this.#sizes.value(size, 32);
  }

  /** The variables of a register buffer's element. */
  registers(place: Place & { kind: "register" }, index: readonly Expr[]): readonly Id[] {
    return registerElement(place, index, size => this.#sizes.constant(size));
  }

  /** The element at the index; the last axis counts `lane` more. */
  at(buffer: Buffer, index: readonly Expr[], lane = 0): At {
    const m = this.#m;
    const width = this.#sizes.width(productSize(buffer.shape));
    let stride: Size = 1;
    let place: Size = lane;
    const data: Id[] = [];
    for (let axis = index.length - 1; axis >= 0; axis--) {
      const polynomial = indexSize(this.#withNames(index[axis]!));
      if (polynomial === undefined) data.push(this.#scaled(this.scalar(index[axis]!), stride, width));
      else place = addSize(place, mulSize(polynomial, stride));
      stride = mulSize(stride, buffer.shape[axis]!);
    }
    const fixed = this.#sizes.value(place, width);
    return { width, index: data.reduce((sum, x) => m.value(OP.IAdd, m.int(width), sum, x), fixed) };
  }
  #scaled(value: Id, stride: Size, width: Width): Id {
    const m = this.#m;
    const wide = width === 64 ? m.value(OP.SConvert, m.int(64), value) : value;
    return stride === 1 ? wide : m.value(OP.IMul, m.int(width), wide, this.#sizes.value(stride, width));
  }
  /** Bound i32 names as symbols. */
  #withNames(e: Expr): Expr {
    if (e.kind === "var" && this.#sizes.names.has(e.name)) return { kind: "size", size: dimSize(e.name) };
    return mapOperands(e, x => this.#withNames(x));
  }

  #load(e: Expr & { kind: "load" }): Id[] {
    const place = this.place(e.buffer);
    const type = typeOfScalar(this.#m, e.type.scalar);
    if (place.kind === "register") return this.registers(place, e.index).map(v => this.#m.value(OP.Load, type, v));
    return Array.from({ length: e.type.lanes }, (_, lane) => {
      const { index, width } = this.at(place.buffer, e.index, lane);
      return load(this.#m, place.home, index, width);
    });
  }
  #gather(e: Expr & { kind: "gather" }): Id[] {
    const m = this.#m;
    const place = this.place(e.buffer);
    if (place.kind === "register") throw new InternalError(`gather from registers ${e.buffer}`);
    const { index: row, width } = this.at(place.buffer, [...e.index.slice(0, -1), { kind: "const", type: { scalar: "i32", lanes: 1 }, value: 0 }]);
    return this.lanes(e.index.at(-1)!).map(column => load(m, place.home, m.value(OP.IAdd, m.int(width), row, this.#scaled(column, 1, width)), width));
  }

  #dot4(a: Id, b: Id, c: Id): Id {
    const m = this.#m;
    const word = m.int(32);
    if (this.#features.use("dot8")) {
      m.needs(CAPABILITY.DotProduct, DOT_PRODUCT);
      m.needs(CAPABILITY.DotProductInput4x8BitPacked, DOT_PRODUCT);
      return m.value(OP.IAdd, word, m.value(OP.SDotKHR, word, a, b, PACKED_4X8), c);
    }
    const byte = (x: Id, i: number): Id => m.value(OP.ShiftRightArithmetic, word, m.value(OP.ShiftLeftLogical, word, x, m.constantInt(32, 24 - 8 * i)), m.constantInt(32, 24));
    return [0, 1, 2, 3].reduce((sum, i) => m.value(OP.IAdd, word, sum, m.value(OP.IMul, word, byte(a, i), byte(b, i))), c);
  }

  /** A binary search of the table by the index's bits. */
  #entry(scalar: ScalarType, table: readonly number[], index: Id): Id {
    const m = this.#m;
    const type = typeOfScalar(m, scalar);
    let level = table.map(x => constantOf(m, scalar, x));
    for (let bit = 0; level.length > 1; bit++) {
      const isSet = m.value(OP.INotEqual, m.bool(), m.value(OP.BitwiseAnd, m.int(32), index, m.constantInt(32, 1 << bit)), m.constantInt(32, 0));
      level = Array.from({ length: level.length / 2 }, (_, i) => m.value(OP.Select, type, isSet, level[2 * i + 1]!, level[2 * i]!));
    }
    return level[0]!;
  }

  /** What registers of the buffer's elements are. */
  registerType({ dtype }: Buffer): Id {
    return typeOfScalar(this.#m, REGISTER_TYPE[dtype]);
  }
}

const zip = (a: readonly Id[], b: readonly Id[], f: (a: Id, b: Id) => Id): Id[] => a.map((x, i) => f(x, b[i]!));
