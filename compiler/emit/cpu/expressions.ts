// Kernel expressions as C: one C value for a scalar, one for each part of a vector. What is used more than once in a
// statement is held under a name before it.
import { InternalError } from "../../base/diagnostics.ts";
import { dimSize } from "../../base/sizes.ts";
import { type Buffer, type Expr, type ScalarType, typeOf } from "../../kernel/ir.ts";
import { isComparison, isFloatScalar } from "../../kernel/scalar.ts";
import { registerElement } from "../names.ts";
import { type Code, literal, partsOf, SCALAR_TYPE, vectorType } from "./code.ts";
import { castPart, castScalar, constantPart, multiplyAdd, partOfScalars, scalarBinary, scalarUnary, splatPart, vectorBinary, vectorUnary } from "./lanes.ts";
import { type AccessShape, accessShape, type Address, addressOf, loadElement, loadVector } from "./memory.ts";
import { castFromWide, castToWide, horizontalScalar, lookup16Parts, narrowMasks, scalarsOf, shuffleParts, widenMask } from "./permute.ts";
import type { Sizes } from "./sizes.ts";

export type BufferHome =
  | { readonly kind: "memory"; readonly buffer: Buffer; readonly base: string }
  /** The C names of the parts of each element. */
  | { readonly kind: "register"; readonly buffer: Buffer; readonly elements: readonly (readonly string[])[] };

export class Expressions {
  /** The C names of the parts of `let` and `mutable` values. */
  readonly values = new Map<string, readonly string[]>();
  readonly buffers = new Map<string, BufferHome>();
  readonly #code: Code;
  readonly #sizes: Sizes;
  /** Of the accesses in the kernel, for all copies of them. */
  readonly #shapes = new WeakMap<readonly Expr[], AccessShape>();

  constructor(code: Code, sizes: Sizes) {
    this.#code = code;
    this.#sizes = sizes;
  }

  scalar(e: Expr): string {
    return this.parts(e)[0]!;
  }

  parts(e: Expr): string[] {
    const code = this.#code;
    const { scalar, lanes } = typeOf(e);
    switch (e.kind) {
      case "const": return lanes === 1 ? [literal(scalar, e.value)] : this.#each(scalar, lanes, width => constantPart(scalar, width, e.value));
      case "size": return [this.#index(e)];
      case "var": return [...(this.values.get(e.name) ?? [this.#index({ kind: "size", size: dimSize(e.name) })])];
      case "unary": {
        const x = this.parts(e.x);
        return lanes === 1 ? [scalarUnary(e.op, scalar, x[0]!)] : this.#each(scalar, lanes, (width, i) => vectorUnary(e.op, scalar, width, x[i]!));
      }
      case "binary": return this.#binary(e);
      case "fma": {
        const [a, b, c] = [this.parts(e.a), this.parts(e.b), this.parts(e.c)];
        const parts = lanes === 1 ? [undefined] : partsOf(code.machine, scalar, lanes);
        return parts.map((part, i) => multiplyAdd(code, scalar, part, a[i]!, b[i]!, c[i]!));
      }
      case "select": return this.#select(e);
      case "cast": return this.#cast(e);
      case "bitcast": {
        const from = typeOf(e.x).scalar;
        const x = this.parts(e.x);
        if (from === e.to) return x;
        if (lanes > 1) return this.#each(scalar, lanes, (width, i) => `(${vectorType(scalar, width)})${x[i]}`);
        const [word] = x as [string];
        if (e.to === "f32") return [`float_u32(${from === "i32" ? `(uint32_t)${word}` : word})`];
        return [from === "f32" ? (e.to === "i32" ? `(int32_t)bits_f32(${word})` : `bits_f32(${word})`) : `(${SCALAR_TYPE[e.to]})${word}`];
      }
      case "load": return this.#load(e);
      case "gather": return this.#gather(e);
      case "splat": {
        if (e.lanes === 1) return this.parts(e.x);
        const x = code.hold(SCALAR_TYPE[scalar], this.scalar(e.x));
        return this.#each(scalar, lanes, width => splatPart(scalar, width, x));
      }
      case "vector": {
        const items = e.items.map(i => this.scalar(i));
        return lanes === 1 ? items : this.#ofScalars(scalar, items);
      }
      case "lane": {
        const from = typeOf(e.x).lanes;
        return from === 1 ? this.parts(e.x) : [scalarsOf(code, scalar, from, this.parts(e.x))[e.lane]!];
      }
      case "shuffle": {
        const from = typeOf(e.a).lanes;
        const [a, b] = [this.parts(e.a), this.parts(e.b)];
        if (from > 1) return shuffleParts(code, scalar, from, a, b, e.lanes);
        const held = [...a, ...b].map(x => code.hold(SCALAR_TYPE[scalar], x));
        const chosen = e.lanes.map(l => held[l]!);
        return chosen.length === 1 ? chosen : this.#ofScalars(scalar, chosen);
      }
      case "horizontal": return [horizontalScalar(code, e.op, scalar, typeOf(e.x).lanes, this.parts(e.x))];
      case "dot4": {
        const [a, b, c] = [this.parts(e.a), this.parts(e.b), this.parts(e.c)];
        if (lanes === 1) return [`dot4_i32(${a[0]}, ${b[0]}, ${c[0]})`];
        return this.#each(scalar, lanes, (width, i) => `dot4_i32x${width}(${a[i]}, ${b[i]}, ${c[i]})`);
      }
      case "lookup16": {
        const from = typeOf(e.index).scalar === "u32" ? "u32" : "i32";
        const type = scalar === "bool" ? "int32_t" : SCALAR_TYPE[scalar];
        const table = code.table(type, e.table.map(x => literal(scalar === "bool" ? "i32" : scalar, scalar === "bool" && lanes > 1 ? -x : x)));
        const index = this.parts(e.index);
        return lanes === 1 ? [`${table}[${index[0]} & 15]`] : lookup16Parts(code, scalar, table, lanes, from, index);
      }
      case "subgroup_xor": case "subgroup_reduce": throw new InternalError(`${e.kind} in a simd kernel`);
    }
  }

  #each(scalar: ScalarType, lanes: number, f: (width: number, i: number) => string): string[] {
    return partsOf(this.#code.machine, scalar, lanes).map(({ width }, i) => f(width, i));
  }
  #ofScalars(scalar: ScalarType, scalars: readonly string[]): string[] {
    return partsOf(this.#code.machine, scalar, scalars.length).map(({ first, count, width }) => partOfScalars(scalar, width, scalars.slice(first, first + count)));
  }

  /** Index arithmetic as an i32. */
  #index(e: Expr & { kind: "size" }): string {
    const size = this.#sizes.resolve(e.size);
    return typeof size === "number" ? literal("i32", size | 0) : `(int32_t)${this.#sizes.text(size)}`;
  }

  #binary(e: Expr & { kind: "binary" }): string[] {
    const code = this.#code;
    const { scalar, lanes } = typeOf(e.a);
    if (lanes > 1 && (e.op === "min" || e.op === "max")) {
      for (const [x, limit] of [[e.a, e.b], [e.b, e.a]] as const) if (isLimit(e.op, limit)) return this.#limited(e.op, x, limit.value);
    }
    const [a, b] = [this.parts(e.a), this.parts(e.b)];
    if (lanes === 1) return [scalarBinary(e.op, scalar, a[0]!, b[0]!)];
    const parts = partsOf(code.machine, scalar, lanes).map((part, i) => vectorBinary(code, e.op, scalar, part, a[i]!, b[i]!));
    return isComparison(e.op) && scalar === "f64" ? narrowMasks(code, lanes, parts) : parts;
  }

  /** min or max with a constant by the one instruction that lets a NaN on its right through. */
  #limited(op: "min" | "max", x: Expr, limit: number): string[] {
    const { scalar, lanes } = typeOf(x);
    const values = this.parts(x);
    return this.#each(scalar, lanes, (width, i) => {
      const constant = constantPart(scalar, width, limit);
      if (op === "min") return `below_${vectorType(scalar, width)}(${constant}, ${values[i]})`;
      // Of two zeros it keeps the right one, so that -0 is made 0 first.
      return `above_${vectorType(scalar, width)}(${constant}, ${limit === 0 ? `(${values[i]} + ${constant})` : values[i]})`;
    });
  }

  #select(e: Expr & { kind: "select" }): string[] {
    const code = this.#code;
    const { scalar, lanes } = typeOf(e.yes);
    if (lanes === 1) return [`(${this.scalar(e.condition)} ? ${this.scalar(e.yes)} : ${this.scalar(e.no)})`];
    const c = e.condition;
    if (isFloatScalar(scalar) && c.kind === "binary" && isSame(c.a, e.no) && isSame(c.b, e.yes) && (c.op === "lt" || c.op === "gt")) {
      // a < b ? b : a and a > b ? b : a are one instruction each.
      const [limits, values] = [this.parts(e.yes), this.parts(e.no)];
      return this.#each(scalar, lanes, (width, i) => `${c.op === "lt" ? "above" : "below"}_${vectorType(scalar, width)}(${limits[i]}, ${values[i]})`);
    }
    const masks = this.parts(c);
    const [yes, no] = [this.parts(e.yes), this.parts(e.no)];
    const wide = scalar === "f64" ? widenMask(code, lanes, masks) : masks;
    return this.#each(scalar, lanes, (width, i) => `select_${vectorType(scalar, width)}(${wide[i]}, ${yes[i]}, ${no[i]})`);
  }

  #cast(e: Expr & { kind: "cast" }): string[] {
    const { scalar: from, lanes } = typeOf(e.x);
    const x = this.parts(e.x);
    if (from === e.to) return x;
    if (lanes === 1) return [castScalar(from, e.to, x[0]!)];
    if (from === "f64") return castFromWide(this.#code, e.to, lanes, x);
    if (e.to === "f64") return castToWide(this.#code, from, lanes, x);
    return this.#each(from, lanes, (width, i) => castPart(from, e.to, width, x[i]!));
  }

  home(name: string): BufferHome {
    const home = this.buffers.get(name);
    if (!home) throw new InternalError(`buffer ${name} is used before it is defined`);
    return home;
  }
  /** The names of a register buffer's element. */
  registers(home: BufferHome & { kind: "register" }, index: readonly Expr[]): readonly string[] {
    return registerElement(home, index, size => this.#sizes.constant(size));
  }
  address(home: BufferHome & { kind: "memory" }, index: readonly Expr[]): Address {
    let shape = this.#shapes.get(index);
    if (!shape) this.#shapes.set(index, shape = accessShape(this.#sizes, home.buffer, index));
    return addressOf(this.#code, this.#sizes, home.base, home.buffer, shape, e => this.scalar(e));
  }

  #load(e: Expr & { kind: "load" }): string[] {
    const home = this.home(e.buffer);
    if (home.kind === "register") return [...this.registers(home, e.index)];
    const address = this.address(home, e.index);
    const { dtype } = home.buffer;
    return e.type.lanes === 1 ? [loadElement(dtype, address)] : loadVector(this.#code, dtype, e.type.lanes, address);
  }

  #gather(e: Expr & { kind: "gather" }): string[] {
    const home = this.home(e.buffer);
    if (home.kind === "register") throw new InternalError(`gather from registers ${e.buffer}`);
    const last = e.index.at(-1)!;
    const { scalar, lanes } = e.type;
    if (lanes === 1) return [loadElement(home.buffer.dtype, this.address(home, e.index))];
    const outer = e.index.slice(0, -1).map((x): Expr => x);
    const elements = scalarsOf(this.#code, "i32", lanes, this.parts(last)).map(i => {
      const index: Expr[] = [...outer, { kind: "var", name: "", type: { scalar: "i32", lanes: 1 } }];
      return loadElement(home.buffer.dtype, addressOf(this.#code, this.#sizes, home.base, home.buffer, accessShape(this.#sizes, home.buffer, index), x => (x === index.at(-1) ? i : this.scalar(x))));
    });
    return this.#ofScalars(scalar, elements);
  }
}

/** A float constant that min or max can take as `#limited` does. */
const isLimit = (op: "min" | "max", e: Expr): e is Expr & { kind: "const" } =>
  e.kind === "const" && isFloatScalar(e.type.scalar) && !Number.isNaN(e.value) && !(op === "min" && Object.is(e.value, -0));

/** Whether two expressions are visibly the same value. */
function isSame(a: Expr, b: Expr): boolean {
  if (a === b) return true;
  if (a.kind === "const" && b.kind === "const") return Object.is(a.value, b.value) && a.type.scalar === b.type.scalar && a.type.lanes === b.type.lanes;
  if (a.kind === "var" && b.kind === "var") return a.name === b.name;
  return a.kind === "splat" && b.kind === "splat" && a.lanes === b.lanes && isSame(a.x, b.x);
}
