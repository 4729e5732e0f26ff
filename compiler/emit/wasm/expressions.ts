// Kernel expressions as WebAssembly values: one value for a scalar, one v128 for each two or four lanes of a vector.
import { InternalError } from "../../base/diagnostics.ts";
import { dimSize } from "../../base/sizes.ts";
import { type Buffer, type Expr, type ScalarType, typeOf } from "../../kernel/ir.ts";
import { isComparison, isFloatScalar } from "../../kernel/scalar.ts";
import { registerElement } from "../names.ts";
import type { Addresses } from "./addresses.ts";
import { bitcastParts, castParts, widenMask } from "./casts.ts";
import { type Code, lanesPerPart, partCount } from "./code.ts";
import {
  bits, constantPart, constantScalar, extractLane, multiplyAdd, narrowMasks, partOf, scalarBinary, scalarUnary, shiftPart, splatPart, vectorBinary, vectorUnary,
} from "./lanes.ts";
import { loadElement, loadNibbleBytes, loadSplat, loadVector } from "./memory.ts";
import { bytesOfLanes, dot4Part, horizontalScalar, lookup16Parts, shuffleParts } from "./permute.ts";
import type { Sizes } from "./sizes.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

/** What a name holds: the parts of a value; or, where that is all that is made of it, a float scalar in all lanes, or lanes
 *  of i4 as bytes of 0 … 15. */
export interface Held {
  readonly locals: readonly number[];
  readonly form: "parts" | "splatted" | "nibbles";
}
export type BufferHome =
  | { readonly kind: "memory"; readonly buffer: Buffer }
  /** The parts of each element. */
  | { readonly kind: "register"; readonly buffer: Buffer; readonly elements: readonly (readonly number[])[] };

export class Expressions {
  readonly values = new Map<string, Held>();
  readonly buffers = new Map<string, BufferHome>();
  readonly #code: Code;
  readonly #sizes: Sizes;
  readonly #addresses: Addresses;

  constructor(code: Code, sizes: Sizes, addresses: Addresses) {
    this.#code = code;
    this.#sizes = sizes;
    this.#addresses = addresses;
  }

  scalar(e: Expr): Ref {
    return this.parts(e)[0]!;
  }

  parts(e: Expr): Ref[] {
    const code = this.#code;
    const { scalar, lanes } = typeOf(e);
    switch (e.kind) {
      case "const": return lanes === 1 ? [constantScalar(scalar, e.value)] : this.#each(partCount(e.type), () => constantPart(code, scalar, [e.value]));
      case "size": return [this.#sizes.value(e.size)];
      case "var": return this.#variable(e.name);
      case "unary": return this.parts(e.x).map(x => (lanes === 1 ? scalarUnary(code, e.op, scalar, x) : vectorUnary(code, e.op, scalar, x)));
      case "binary": return this.#binary(e);
      case "fma": {
        const [a, b, c] = [this.parts(e.a), this.parts(e.b), this.parts(e.c)];
        return a.map((x, i) => multiplyAdd(code, scalar, lanes, x, b[i]!, c[i]!));
      }
      case "select": return this.#select(e);
      case "cast": return castParts(code, typeOf(e.x).scalar, e.to, lanes, this.parts(e.x));
      case "bitcast": return bitcastParts(typeOf(e.x).scalar, e.to, lanes, this.parts(e.x));
      case "load": return this.#load(e);
      case "gather": return this.#gather(e);
      case "splat": return this.#splat(e);
      case "vector": return this.#vector(e.items, scalar);
      case "lane": {
        const per = lanesPerPart(scalar);
        return lanes === typeOf(e.x).lanes ? this.parts(e.x) : [extractLane(scalar, this.parts(e.x)[Math.floor(e.lane / per)]!, e.lane % per)];
      }
      case "shuffle": {
        const from = typeOf(e.a).lanes;
        const operands = from === 1 ? [...this.parts(e.a), ...this.parts(e.b)] : undefined;
        if (operands) return e.lanes.length === 1 ? [operands[e.lanes[0]!]!] : this.#chosen(operands, e.lanes, scalar);
        return shuffleParts(code, scalar, from, this.parts(e.a), this.parts(e.b), e.lanes);
      }
      case "horizontal": return [horizontalScalar(code, e.op, scalar, typeOf(e.x).lanes, this.parts(e.x))];
      case "dot4": {
        const [a, b, c] = [this.parts(e.a), this.parts(e.b), this.parts(e.c)];
        if (lanes === 1) return [m.i32.add(m.i32x4.extract_lane(dot4Part(code, m.i32x4.splat(a[0]!), m.i32x4.splat(b[0]!)), 0), c[0]!)];
        return a.map((x, i) => m.i32x4.add(dot4Part(code, x, b[i]!), c[i]!));
      }
      case "lookup16": return this.#lookup16(e);
      case "subgroup_xor": case "subgroup_reduce": throw new InternalError(`${e.kind} in a simd kernel`);
    }
  }

  #each(count: number, f: (i: number) => Ref): Ref[] {
    return Array.from({ length: count }, (_, i) => f(i));
  }

  #variable(name: string): Ref[] {
    const held = this.values.get(name);
    if (!held) return [this.#sizes.value(dimSize(name))];
    if (held.form !== "parts") throw new InternalError(`${name} is held ${held.form} and is used otherwise`);
    return held.locals.map(l => this.#code.get(l));
  }

  #binary(e: Expr & { kind: "binary" }): Ref[] {
    const code = this.#code;
    const { scalar, lanes } = typeOf(e.a);
    if (lanes > 1 && (e.op === "min" || e.op === "max")) {
      for (const [x, limit] of [[e.a, e.b], [e.b, e.a]] as const) if (isLimit(e.op, limit)) return this.#limited(e.op, x, limit.value);
    }
    const a = this.parts(e.a);
    if (lanes === 1) return [scalarBinary(code, e.op, scalar, a[0]!, this.scalar(e.b))];
    if (e.op === "shl" || e.op === "shr") {
      const by = this.#uniform(e.b);
      if (by) return a.map(x => shiftPart(e.op as "shl" | "shr", scalar, x, by()));
    }
    const b = this.parts(e.b);
    const per = lanesPerPart(scalar);
    const parts = a.map((x, i) => vectorBinary(code, e.op, scalar, Math.min(per, lanes - i * per), x, b[i]!));
    return isComparison(e.op) && scalar === "f64" ? narrowMasks(code, parts) : parts;
  }

  /** min or max with a constant by the one instruction that lets a NaN on its left through. */
  #limited(op: "min" | "max", x: Expr, limit: number): Ref[] {
    const { scalar } = typeOf(x);
    const floats = scalar === "f64" ? m.f64x2 : m.f32x4;
    const constant = (): Ref => constantPart(this.#code, scalar, [limit]);
    return this.parts(x).map(part => {
      if (op === "min") return floats.pmin(part, constant());
      // Of two zeros it keeps the left one, so that -0 is made 0 first.
      return floats.pmax(limit === 0 ? floats.add(part, constant()) : part, constant());
    });
  }

  /** The scalar that all lanes of an i32 vector visibly hold. */
  #uniform(e: Expr): (() => Ref) | undefined {
    if (e.kind === "const") return () => m.i32.const(e.value | 0);
    if (e.kind !== "splat") return undefined;
    return this.#code.hold(this.scalar(e.x), "i32");
  }

  #select(e: Expr & { kind: "select" }): Ref[] {
    const { scalar, lanes } = typeOf(e.yes);
    if (lanes === 1) return [m.select(this.scalar(e.condition), this.scalar(e.yes), this.scalar(e.no))];
    const c = e.condition;
    if (isFloatScalar(scalar) && c.kind === "binary" && isSame(c.a, e.no) && isSame(c.b, e.yes) && (c.op === "lt" || c.op === "gt")) {
      // a < b ? b : a and a > b ? b : a are one instruction each.
      const limits = this.parts(e.yes);
      const floats = scalar === "f64" ? m.f64x2 : m.f32x4;
      return this.parts(e.no).map((x, i) => (c.op === "lt" ? floats.pmax(x, limits[i]!) : floats.pmin(x, limits[i]!)));
    }
    const narrow = this.parts(c);
    const yes = this.parts(e.yes);
    const no = this.parts(e.no);
    const masks = scalar === "f64" ? widenMask(this.#code, yes.length, narrow) : narrow;
    return yes.map((x, i) => m.laneSelect(x, no[i]!, masks[i]!));
  }

  #home(name: string): BufferHome {
    const home = this.buffers.get(name);
    if (!home) throw new InternalError(`buffer ${name} is used before it is defined`);
    return home;
  }

  /** The locals of a register buffer's element. */
  registers(home: BufferHome & { kind: "register" }, index: readonly Expr[]): readonly number[] {
    return registerElement(home, index, size => this.#sizes.constant(size));
  }
  home(name: string): BufferHome {
    return this.#home(name);
  }
  address(buffer: Buffer, index: readonly Expr[]) {
    return this.#addresses.element(buffer, index, e => this.scalar(e));
  }

  #load(e: Expr & { kind: "load" }): Ref[] {
    const home = this.#home(e.buffer);
    if (home.kind === "register") return this.registers(home, e.index).map(l => this.#code.get(l));
    const { dtype } = home.buffer;
    const at = this.address(home.buffer, e.index);
    return e.type.lanes === 1 ? [loadElement(this.#code, dtype, at)] : loadVector(this.#code, dtype, e.type.lanes, at);
  }

  #gather(e: Expr & { kind: "gather" }): Ref[] {
    const home = this.#home(e.buffer);
    const last = e.index.at(-1)!;
    const { scalar, lanes } = e.type;
    if (home.kind === "register") throw new InternalError(`gather from registers ${e.buffer}`);
    const indices = this.#scalars(last);
    const outer = e.index.slice(0, -1);
    const elements = indices.map(i => {
      const index: Expr[] = [...outer, { kind: "var", name: "", type: { scalar: "i32", lanes: 1 } }];
      const at = this.#addresses.element(home.buffer, index, x => (x === index.at(-1) ? i() : this.scalar(x)));
      return loadElement(this.#code, home.buffer.dtype, at);
    });
    if (lanes === 1) return elements;
    const per = lanesPerPart(scalar);
    return this.#each(partCount(e.type), i => this.#code.hold(partOf(scalar, elements.slice(i * per, (i + 1) * per)), "v128")());
  }

  /** Each lane of a vector as a scalar. */
  #scalars(e: Expr): (() => Ref)[] {
    const { scalar, lanes } = typeOf(e);
    if (e.kind === "vector") return e.items.map(item => this.#code.hold(this.scalar(item), this.#code.typeOf({ scalar, lanes: 1 })));
    if (lanes === 1) return [this.#code.hold(this.scalar(e), "i32")];
    const per = lanesPerPart(scalar);
    const held = this.parts(e).map(p => this.#code.hold(p));
    return Array.from({ length: lanes }, (_, i) => () => extractLane(scalar, held[Math.floor(i / per)]!(), i % per));
  }

  #splat(e: Expr & { kind: "splat" }): Ref[] {
    const code = this.#code;
    const type = typeOf(e);
    const count = partCount(type);
    if (e.lanes === 1) return this.parts(e.x);
    const held = e.x.kind === "var" ? this.values.get(e.x.name) : undefined;
    if (held?.form === "splatted") return this.#each(count, () => code.get(held.locals[0]!));
    const part = this.splatted(e.x);
    if (count === 1) return [part];
    const all = code.hold(part);
    return this.#each(count, () => all());
  }

  /** The scalar in all lanes of one v128. */
  splatted(x: Expr): Ref {
    const home = x.kind === "load" ? this.#home(x.buffer) : undefined;
    if (x.kind === "load" && home?.kind === "memory") return loadSplat(this.#code, home.buffer.dtype, this.address(home.buffer, x.index));
    return splatPart(typeOf(x).scalar, this.scalar(x));
  }

  #vector(items: readonly Expr[], scalar: ScalarType): Ref[] {
    if (items.length === 1) return this.parts(items[0]!);
    const per = lanesPerPart(scalar);
    return this.#each(Math.ceil(items.length / per), p => {
      const own = items.slice(p * per, (p + 1) * per);
      const numbers = own.map(i => (i.kind === "const" ? i.value : i.kind === "size" ? this.#sizes.constant(i.size) : undefined));
      if (numbers.every(n => n !== undefined)) return constantPart(this.#code, scalar, [...numbers, ...Array<number>(per - numbers.length).fill(0)]);
      return partOf(scalar, own.map(i => this.scalar(i)));
    });
  }

  /** A vector of two scalars in any order. */
  #chosen(operands: readonly Ref[], lanes: readonly number[], scalar: ScalarType): Ref[] {
    const held = operands.map(o => this.#code.hold(o, this.#code.typeOf({ scalar, lanes: 1 })));
    const per = lanesPerPart(scalar);
    return this.#each(Math.ceil(lanes.length / per), p => partOf(scalar, lanes.slice(p * per, (p + 1) * per).map(l => held[l]!())));
  }

  #lookup16(e: Expr & { kind: "lookup16" }): Ref[] {
    const { scalar, lanes } = e.type;
    const indices = this.nibbles(e.index) ?? this.#lowNibbles(e.index);
    const parts = lookup16Parts(this.#code, scalar, e.table, lanes, indices);
    return lanes === 1 ? [extractLane(scalar, parts[0]!, 0)] : parts;
  }
  #lowNibbles(e: Expr): Ref[] {
    const lanes = this.parts(e).map(i => (typeOf(e).lanes === 1 ? m.i32x4.splat(i) : i));
    return bytesOfLanes(this.#code, lanes).map(i => m.v128.and(i, bits(this.#code, 0x0f0f0f0f)));
  }
  /** Lanes of i4 in memory, or held since they were loaded, as bytes of 0 … 15; undefined for anything else. */
  nibbles(e: Expr): Ref[] | undefined {
    if (e.kind === "var") {
      const held = this.values.get(e.name);
      return held?.form === "nibbles" ? held.locals.map(l => this.#code.get(l)) : undefined;
    }
    if (e.kind !== "load") return undefined;
    const home = this.#home(e.buffer);
    if (home.kind === "register" || home.buffer.dtype !== "i4") return undefined;
    return loadNibbleBytes(this.#code, e.type.lanes, this.address(home.buffer, e.index));
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
