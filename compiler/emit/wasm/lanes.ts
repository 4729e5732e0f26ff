// Arithmetic on one wasm value: a scalar, or a v128 of two or four lanes. Lane masks are 32 bits a lane, whatever they
// were compared from. f16 in registers is an f32 that is rounded after each operation. What WebAssembly has no vector
// instruction for is done lane by lane.
import { InternalError } from "../../base/diagnostics.ts";
import type { BinaryOp, ScalarType, UnaryOp } from "../../kernel/ir.ts";
import { isFloatScalar } from "../../kernel/scalar.ts";
import { type Code, lanesPerPart } from "./code.ts";
import { halfOfFloat, floatOfHalf } from "./halves.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

/** The v128 that holds the numbers. */
export function constantPart(code: Code, scalar: ScalarType, values: readonly number[]): Ref {
  const at = (i: number): number => values[i % values.length]!;
  const view = new DataView(new ArrayBuffer(16));
  for (let i = 0; i < lanesPerPart(scalar); i++) {
    if (scalar === "f64") view.setFloat64(8 * i, at(i), true);
    else if (isFloatScalar(scalar)) view.setFloat32(4 * i, at(i), true);
    else view.setInt32(4 * i, scalar === "bool" ? -at(i) : at(i), true);
  }
  return code.constant(new Uint8Array(view.buffer));
}
export const constantScalar = (scalar: ScalarType, value: number): Ref =>
  scalar === "f64" ? m.f64.const(value) : isFloatScalar(scalar) ? m.f32.const(value) : m.i32.const(value | 0);

/** The same 32 bits in all lanes. */
export const bits = (code: Code, word: number): Ref => constantPart(code, "i32", [word]);

export const floats = (s: ScalarType) => (s === "f64" ? m.f64x2 : m.f32x4);

export function splatPart(s: ScalarType, x: Ref): Ref {
  if (s === "bool") return m.i32x4.splat(m.i32.sub(m.i32.const(0), x));
  return isFloatScalar(s) ? (s === "f64" ? m.f64x2 : m.f32x4).splat(x) : m.i32x4.splat(x);
}
export function extractLane(s: ScalarType, part: Ref, lane: number): Ref {
  if (s === "bool") return m.i32.and(m.i32x4.extract_lane(part, lane), m.i32.const(1));
  return isFloatScalar(s) ? (s === "f64" ? m.f64x2 : m.f32x4).extract_lane(part, lane) : m.i32x4.extract_lane(part, lane);
}
/** The v128 of as many scalars as there are; the last fills what is left. */
export function partOf(s: ScalarType, scalars: readonly Ref[]): Ref {
  return scalars.slice(1).reduce((part, x, i) => {
    if (s === "bool") return m.i32x4.replace_lane(part, i + 1, m.i32.sub(m.i32.const(0), x));
    return isFloatScalar(s) ? floats(s).replace_lane(part, i + 1, x) : m.i32x4.replace_lane(part, i + 1, x);
  }, splatPart(s, scalars[0]!));
}

/** Lanes of 32 bits of a, then of b, by number. */
export const shuffleWords = (a: Ref, b: Ref, words: readonly number[]): Ref => m.i8x16.shuffle(a, b, words.flatMap(w => [4 * w, 4 * w + 1, 4 * w + 2, 4 * w + 3]));

/** The scalar function on each lane. */
export function laneByLane(code: Code, s: ScalarType, lanes: number, operands: readonly Ref[], f: (...scalars: Ref[]) => Ref, to: ScalarType = s): Ref {
  const held = operands.map(o => code.hold(o));
  return partOf(to, Array.from({ length: lanes }, (_, lane) => f(...held.map(h => extractLane(s, h(), lane)))));
}

export const roundHalf = (code: Code, lanes: number, x: Ref): Ref => floatOfHalf(code, lanes, halfOfFloat(code, lanes, x));

export function scalarUnary(code: Code, op: UnaryOp, s: ScalarType, x: Ref): Ref {
  if (isFloatScalar(s)) {
    const f = s === "f64" ? m.f64 : m.f32;
    switch (op) {
      case "neg": case "abs": case "floor": case "ceil": case "trunc": return f[op](x);
      case "sqrt": return s === "f16" ? roundHalf(code, 1, f.sqrt(x)) : f.sqrt(x);
      case "round_even": return f.nearest(x);
      case "not": throw new InternalError("not of a float");
    }
  }
  switch (op) {
    case "neg": return m.i32.sub(m.i32.const(0), x);
    case "abs": {
      if (s === "u32") return x;
      const held = code.hold(x, "i32");
      return m.select(m.i32.lt_s(held(), m.i32.const(0)), m.i32.sub(m.i32.const(0), held()), held());
    }
    case "not": return s === "bool" ? m.i32.eqz(x) : m.i32.xor(x, m.i32.const(-1));
    default: throw new InternalError(`${op} of ${s}`);
  }
}

export function vectorUnary(code: Code, op: UnaryOp, s: ScalarType, x: Ref): Ref {
  if (op === "not") return m.v128.not(x);
  if (isFloatScalar(s)) {
    const f = floats(s);
    if (op === "sqrt") return s === "f16" ? roundHalf(code, 4, f.sqrt(x)) : f.sqrt(x);
    return op === "round_even" ? f.nearest(x) : f[op](x);
  }
  if (op === "neg") return m.i32x4.neg(x);
  if (op === "abs") return s === "u32" ? x : m.i32x4.abs(x);
  throw new InternalError(`${op} of ${s}`);
}

const rounds = (s: ScalarType, op: BinaryOp): boolean => s === "f16" && ["add", "sub", "mul", "div"].includes(op);

export function scalarBinary(code: Code, op: BinaryOp, s: ScalarType, a: Ref, b: Ref): Ref {
  if (isFloatScalar(s)) {
    const f = s === "f64" ? m.f64 : m.f32;
    switch (op) {
      case "add": case "sub": case "mul": case "div": return rounds(s, op) ? roundHalf(code, 1, f[op](a, b)) : f[op](a, b);
      case "min": case "max": case "eq": case "ne": case "lt": case "le": case "gt": case "ge": return f[op](a, b);
      case "rem": {
        const exact = s === "f64" ? [a, b] : [m.f64.promote(a), m.f64.promote(b)];
        const rest = m.remainder(exact[0]!, exact[1]!);
        return s === "f64" ? rest : m.f32.demote(rest);
      }
      default: throw new InternalError(`${op} of ${s}`);
    }
  }
  const i = m.i32;
  const signed = s === "i32";
  switch (op) {
    case "add": case "sub": case "mul": case "and": case "or": case "xor": case "shl": case "eq": case "ne": return i[op](a, b);
    case "shr": return signed ? i.shr_s(a, b) : i.shr_u(a, b);
    case "lt": return signed ? i.lt_s(a, b) : i.lt_u(a, b);
    case "le": return signed ? i.le_s(a, b) : i.le_u(a, b);
    case "gt": return signed ? i.gt_s(a, b) : i.gt_u(a, b);
    case "ge": return signed ? i.ge_s(a, b) : i.ge_u(a, b);
    case "rem": return signed ? i.rem_s(a, b) : i.rem_u(a, b);
    case "div": {
      if (!signed) return i.div_u(a, b);
      // The one quotient that does not fit wraps, where div_s would trap.
      const divisor = code.hold(b, "i32");
      const dividend = code.hold(a, "i32");
      const isMinusOne = (): Ref => i.eq(divisor(), i.const(-1));
      return m.select(isMinusOne(), i.sub(i.const(0), dividend()), i.div_s(dividend(), m.select(isMinusOne(), i.const(1), divisor())));
    }
    case "min": case "max": {
      const x = code.hold(a, "i32");
      const y = code.hold(b, "i32");
      return m.select(scalarBinary(code, op === "min" ? "lt" : "gt", s, x(), y()), x(), y());
    }
    case "mulhi": {
      const wide = (x: Ref): Ref => (signed ? m.i64.extend_s(x) : m.i64.extend_u(x));
      return i.wrap(m.i64.shr_u(m.i64.mul(wide(a), wide(b)), m.i64.const(32)));
    }
  }
}

/** Of v128 operands. Comparisons of f64 give masks of 64 bits a lane. */
export function vectorBinary(code: Code, op: BinaryOp, s: ScalarType, lanes: number, a: Ref, b: Ref): Ref {
  if (s === "bool") {
    if (op === "eq") return m.v128.not(m.v128.xor(a, b));
    if (op === "ne") return m.v128.xor(a, b);
  }
  if (op === "and" || op === "or" || op === "xor") return m.v128[op](a, b);
  if (op === "rem" || (op === "div" && !isFloatScalar(s)) || op === "shl" || op === "shr") {
    return laneByLane(code, s, lanes, [a, b], (x, y) => scalarBinary(code, op, s, x!, y!));
  }
  if (isFloatScalar(s)) {
    if (op === "mulhi") throw new InternalError(`${op} of ${s}`);
    const result = floats(s)[op](a, b);
    return rounds(s, op) ? roundHalf(code, 4, result) : result;
  }
  const i = m.i32x4;
  const signed = s === "i32";
  switch (op) {
    case "add": case "sub": case "mul": case "eq": case "ne": return i[op](a, b);
    case "min": return signed ? i.min_s(a, b) : i.min_u(a, b);
    case "max": return signed ? i.max_s(a, b) : i.max_u(a, b);
    case "lt": return signed ? i.lt_s(a, b) : i.lt_u(a, b);
    case "le": return signed ? i.le_s(a, b) : i.le_u(a, b);
    case "gt": return signed ? i.gt_s(a, b) : i.gt_u(a, b);
    case "ge": return signed ? i.ge_s(a, b) : i.ge_u(a, b);
    case "mulhi": {
      const x = code.hold(a);
      const y = code.hold(b);
      const [low, high] = signed
        ? [m.i64x2.extmul_low_i32x4_s(x(), y()), m.i64x2.extmul_high_i32x4_s(x(), y())]
        : [m.i64x2.extmul_low_i32x4_u(x(), y()), m.i64x2.extmul_high_i32x4_u(x(), y())];
      return shuffleWords(low, high, [1, 3, 5, 7]);
    }
    case "div": throw new InternalError(`${op} of ${s} vectors`);
  }
}

/** Shift of every lane by the same number of bits. */
export const shiftPart = (op: "shl" | "shr", s: ScalarType, x: Ref, by: Ref): Ref =>
  op === "shl" ? m.i32x4.shl(x, by) : s === "i32" ? m.i32x4.shr_s(x, by) : m.i32x4.shr_u(x, by);

/** Masks of 64 bits a lane, as masks of 32. */
export function narrowMasks(code: Code, masks: readonly Ref[]): Ref[] {
  const held = masks.map(x => code.hold(x));
  return Array.from({ length: Math.ceil(masks.length / 2) }, (_, i) => shuffleWords(held[2 * i]!(), (held[2 * i + 1] ?? held[2 * i]!)(), [0, 2, 4, 6]));
}

/** Lane by lane a·b + c. */
export function multiplyAdd(code: Code, s: ScalarType, lanes: number, a: Ref, b: Ref, c: Ref): Ref {
  if (lanes === 1) return scalarBinary(code, "add", s, scalarBinary(code, "mul", s, a, b), c);
  if (s === "f32" || s === "f64") return (s === "f64" ? m.f64x2 : m.f32x4).multiplyAdd(a, b, c);
  return vectorBinary(code, "add", s, lanes, vectorBinary(code, "mul", s, lanes, a, b), c);
}
