// Arithmetic on one scalar. Integers of 32 bits have no sign of their own; bools are SPIR-V's; f16 in registers is an f32
// that is rounded after each operation. Sums and products are marked so that no driver fuses them.
import { InternalError } from "../../base/diagnostics.ts";
import { type BinaryOp, type Expr, type ScalarType, typeOf, type UnaryOp } from "../../kernel/ir.ts";
import { isFloatScalar } from "../../kernel/scalar.ts";
import { type Assembler, DECORATION, EXTENDED, type Id, OP } from "./assembler.ts";
import { floatOfHalf, halfOfFloat } from "./halves.ts";
import { remainder } from "./remainder.ts";

export const typeOfScalar = (m: Assembler, s: ScalarType): Id => (s === "bool" ? m.bool() : s === "f64" ? m.float(64) : isFloatScalar(s) ? m.float(32) : m.int(32));

export function constantOf(m: Assembler, s: ScalarType, value: number): Id {
  if (s === "bool") return m.constantBool(value !== 0);
  return isFloatScalar(s) ? m.constantFloat(s === "f64" ? 64 : 32, value) : m.constantInt(32, value | 0);
}

const roundHalf = (m: Assembler, x: Id): Id => floatOfHalf(m, halfOfFloat(m, x));
/** Of an f32 operation, the f16. */
const held = (m: Assembler, s: ScalarType, x: Id): Id => (s === "f16" ? roundHalf(m, x) : x);

export function exact(m: Assembler, op: number, type: Id, a: Id, b: Id): Id {
  const id = m.value(op, type, a, b);
  m.decorate(id, DECORATION.NoContraction);
  return id;
}

export function unary(m: Assembler, op: UnaryOp, s: ScalarType, x: Id): Id {
  const type = typeOfScalar(m, s);
  if (isFloatScalar(s)) {
    switch (op) {
      case "neg": return m.value(OP.FNegate, type, x);
      case "abs": return m.extended(EXTENDED.FAbs, type, x);
      case "floor": return signedAs(m, s, x, m.extended(EXTENDED.Floor, type, x));
      case "ceil": return signedAs(m, s, x, m.extended(EXTENDED.Ceil, type, x));
      case "trunc": return signedAs(m, s, x, m.extended(EXTENDED.Trunc, type, x));
      case "round_even": return signedAs(m, s, x, m.extended(EXTENDED.RoundEven, type, x));
      case "sqrt": return held(m, s, m.extended(EXTENDED.Sqrt, type, x));
      case "not": throw new InternalError("not of a float");
    }
  }
  switch (op) {
    case "neg": return m.value(OP.SNegate, type, x);
    case "abs": return s === "u32" ? x : m.extended(EXTENDED.SAbs, type, x);
    case "not": return m.value(s === "bool" ? OP.LogicalNot : OP.Not, type, x);
    default: throw new InternalError(`${op} of ${s}`);
  }
}

/** A whole number near an f64: drivers that make it of integers lose the sign of a zero, which is the number's. */
function signedAs(m: Assembler, s: ScalarType, x: Id, whole: Id): Id {
  if (s !== "f64") return whole;
  const word = m.int(64);
  const sign = m.value(OP.BitwiseAnd, word, m.value(OP.Bitcast, word, x), m.constantInt(64, -(2 ** 63)));
  return m.value(OP.Bitcast, m.float(64), m.value(OP.BitwiseOr, word, m.value(OP.Bitcast, word, whole), sign));
}

const FLOAT = { add: OP.FAdd, sub: OP.FSub, mul: OP.FMul, div: OP.FDiv } as const;
const FLOAT_COMPARE = { eq: OP.FOrdEqual, ne: OP.FUnordNotEqual, lt: OP.FOrdLessThan, le: OP.FOrdLessThanEqual, gt: OP.FOrdGreaterThan, ge: OP.FOrdGreaterThanEqual } as const;
const BOOL = { and: OP.LogicalAnd, or: OP.LogicalOr, xor: OP.LogicalNotEqual, eq: OP.LogicalEqual, ne: OP.LogicalNotEqual } as const;
const INTEGER = { add: OP.IAdd, sub: OP.ISub, mul: OP.IMul, and: OP.BitwiseAnd, or: OP.BitwiseOr, xor: OP.BitwiseXor } as const;
const SIGNED_COMPARE = { eq: OP.IEqual, ne: OP.INotEqual, lt: OP.SLessThan, le: OP.SLessThanEqual, gt: OP.SGreaterThan, ge: OP.SGreaterThanEqual } as const;
const UNSIGNED_COMPARE = { eq: OP.IEqual, ne: OP.INotEqual, lt: OP.ULessThan, le: OP.ULessThanEqual, gt: OP.UGreaterThan, ge: OP.UGreaterThanEqual } as const;

const has = <T extends object>(table: T, op: string): op is keyof T & string => op in table;

export function binary(m: Assembler, op: BinaryOp, s: ScalarType, a: Id, b: Id): Id {
  const type = typeOfScalar(m, s);
  if (s === "bool") {
    if (has(BOOL, op)) return m.value(BOOL[op], type, a, b);
    throw new InternalError(`${op} of ${s}`);
  }
  if (isFloatScalar(s)) {
    if (has(FLOAT, op)) return held(m, s, exact(m, FLOAT[op], type, a, b));
    if (has(FLOAT_COMPARE, op)) return m.value(FLOAT_COMPARE[op], m.bool(), a, b);
    if (op === "min" || op === "max") return extreme(m, op, s, a, b);
    if (op !== "rem") throw new InternalError(`${op} of ${s}`);
    if (s === "f64") return remainder(m, a, b);
    const wide = (x: Id): Id => m.value(OP.FConvert, m.float(64), x);
    return m.value(OP.FConvert, type, remainder(m, wide(a), wide(b)));
  }
  const signed = s === "i32";
  if (has(INTEGER, op)) return m.value(INTEGER[op], type, a, b);
  const compare = signed ? SIGNED_COMPARE : UNSIGNED_COMPARE;
  if (has(compare, op)) return m.value(compare[op], m.bool(), a, b);
  switch (op) {
    case "min": case "max": return m.value(OP.Select, type, m.value(compare[op === "min" ? "lt" : "gt"], m.bool(), a, b), a, b);
    case "shl": case "shr": {
      const by = m.value(OP.BitwiseAnd, type, b, m.constantInt(32, 31));
      return m.value(op === "shl" ? OP.ShiftLeftLogical : signed ? OP.ShiftRightArithmetic : OP.ShiftRightLogical, type, a, by);
    }
    case "mulhi": {
      const both = m.value(signed ? OP.SMulExtended : OP.UMulExtended, m.global(OP.TypeStruct, [type, type]), a, b);
      return m.value(OP.CompositeExtract, type, both, 1);
    }
    case "div": case "rem": {
      if (!signed) return m.value(op === "div" ? OP.UDiv : OP.UMod, type, a, b);
      // The one quotient that does not fit wraps, where the instruction is undefined.
      const isMinusOne = m.value(OP.IEqual, m.bool(), b, m.constantInt(32, -1));
      const quotient = m.value(op === "div" ? OP.SDiv : OP.SRem, type, a, m.value(OP.Select, type, isMinusOne, m.constantInt(32, 1), b));
      return m.value(OP.Select, type, isMinusOne, op === "div" ? m.value(OP.SNegate, type, a) : m.constantInt(32, 0), quotient);
    }
    default: throw new InternalError(`${op} of ${s}`);
  }
}

/** What is known of an operand when code is emitted. */
type Known = { readonly kind: "constant"; readonly value: number } | { readonly kind: "name"; readonly name: string } | null;
const knownOf = (x: Expr): Known =>
  x.kind === "const" ? { kind: "constant", value: x.value } : x.kind === "splat" ? knownOf(x.x) : x.kind === "var" ? { kind: "name", name: x.name } : null;
const isZero = (x: Known): x is Known & { kind: "constant" } => x?.kind === "constant" && x.value === 0;

/**
 * A float operation that Mesa's lavapipe simplifies though NaN, infinities and signs of zero are not kept so: with a constant zero,
 * x / 0 is whatever lies in a register, 0 / x and 0 · x are 0, x + 0 is x, and 0 - x is -x; x - x is 0. Undefined for any other, which `binary` does.
 */
export function unsimplified(m: Assembler, op: BinaryOp, x: Expr, y: Expr): ((a: Id, b: Id) => Id) | undefined {
  const s = typeOf(x).scalar;
  if (!isFloatScalar(s)) return undefined;
  const [left, right] = [knownOf(x), knownOf(y)];
  const type = typeOfScalar(m, s);
  const constant = (value: number): Id => constantOf(m, s, value);
  const hasValue = (a: Id): Id => m.value(OP.FOrdLessThan, m.bool(), m.extended(EXTENDED.FAbs, type, a), constant(Infinity));
  const where = (condition: Id, yes: Id, no: Id): Id => m.value(OP.Select, type, condition, yes, no);
  const bits = s === "f64" ? 64 : 32;
  const word = m.int(bits);
  /** The zero with the sign that a product with x, or a quotient, has. */
  const signedBy = (zero: number, a: Id): Id => {
    const sign = m.value(OP.BitwiseAnd, word, m.value(OP.Bitcast, word, a), m.constantInt(bits, bits === 64 ? -(2 ** 63) : -(2 ** 31)));
    const zeroBits = m.value(OP.Bitcast, word, constant(zero));
    return m.value(OP.Bitcast, type, m.value(OP.BitwiseXor, word, sign, zeroBits));
  };
  switch (op) {
    case "div":
      if (isZero(right)) return a => exact(m, OP.FMul, type, a, constant(1 / right.value));
      if (isZero(left)) return (_, b) => where(m.value(OP.FOrdNotEqual, m.bool(), b, constant(0)), signedBy(left.value, b), constant(NaN));
      return undefined;
    case "mul":
      if (isZero(right)) return a => where(hasValue(a), signedBy(right.value, a), constant(NaN));
      if (isZero(left)) return (_, b) => where(hasValue(b), signedBy(left.value, b), constant(NaN));
      return undefined;
    case "add":
      if (isZero(right) && Object.is(right.value, 0)) return a => where(m.value(OP.FOrdEqual, m.bool(), a, constant(0)), constant(0), a);
      if (isZero(left) && Object.is(left.value, 0)) return (_, b) => where(m.value(OP.FOrdEqual, m.bool(), b, constant(0)), constant(0), b);
      return undefined;
    case "sub":
      if (isZero(right) && Object.is(right.value, -0)) return a => where(m.value(OP.FOrdEqual, m.bool(), a, constant(0)), constant(0), a);
      if (isZero(left) && Object.is(left.value, 0)) return (_, b) => where(m.value(OP.FOrdEqual, m.bool(), b, constant(0)), constant(0), m.value(OP.FNegate, type, b));
      return left?.kind === "name" && right?.kind === "name" && left.name === right.name ? a => where(hasValue(a), constant(0), constant(NaN)) : undefined;
    default: return undefined;
  }
}

/** IEEE minimum and maximum: NaN wins, and -0 is less than 0. */
function extreme(m: Assembler, op: "min" | "max", s: ScalarType, a: Id, b: Id): Id {
  const type = typeOfScalar(m, s);
  const bits = m.int(s === "f64" ? 64 : 32);
  const first = m.value(OP.LogicalOr, m.bool(), m.value(op === "min" ? OP.FOrdLessThan : OP.FOrdGreaterThan, m.bool(), a, b), m.value(OP.IsNan, m.bool(), a));
  // Of equal numbers the signs may differ.
  const merged = m.value(OP.Bitcast, type, m.value(op === "min" ? OP.BitwiseOr : OP.BitwiseAnd, bits, m.value(OP.Bitcast, bits, a), m.value(OP.Bitcast, bits, b)));
  return m.value(OP.Select, type, m.value(OP.FOrdEqual, m.bool(), a, b), merged, m.value(OP.Select, type, first, a, b));
}

/** a·b + c, fused or not as the device likes; integers and f16 round after each operation. */
export function multiplyAdd(m: Assembler, s: ScalarType, a: Id, b: Id, c: Id): Id {
  if (s === "f32" || s === "f64") {
    const id = m.extended(EXTENDED.Fma, typeOfScalar(m, s), a, b, c);
    m.decorate(id, DECORATION.NoContraction);
    return id;
  }
  return binary(m, "add", s, binary(m, "mul", s, a, b), c);
}

export function cast(m: Assembler, from: ScalarType, to: ScalarType, x: Id): Id {
  if (from === to) return x;
  const type = typeOfScalar(m, to);
  if (to === "bool") return m.value(isFloatScalar(from) ? OP.FUnordNotEqual : OP.INotEqual, type, x, constantOf(m, from, 0));
  if (from === "bool") return m.value(OP.Select, type, x, constantOf(m, to, 1), constantOf(m, to, 0));
  if (isFloatScalar(from)) {
    if (to === "i32" || to === "u32") return truncated(m, from, to, x);
    const sameWidth = (from === "f64") === (to === "f64");
    return held(m, to, sameWidth ? x : m.value(OP.FConvert, type, x));
  }
  return isFloatScalar(to) ? held(m, to, m.value(from === "i32" ? OP.ConvertSToF : OP.ConvertUToF, type, x)) : x;
}

/** Saturated: what is out of range has no meaning for the instruction. */
function truncated(m: Assembler, from: ScalarType, to: "i32" | "u32", x: Id): Id {
  const type = m.int(32);
  const [low, high] = to === "i32" ? [-(2 ** 31), 2 ** 31] : [0, 2 ** 32];
  const isAbove = m.value(OP.FOrdGreaterThanEqual, m.bool(), x, constantOf(m, from, high));
  const isBelow = m.value(OP.FOrdLessThanEqual, m.bool(), x, constantOf(m, from, low));
  const isOut = m.value(OP.LogicalOr, m.bool(), m.value(OP.LogicalOr, m.bool(), isAbove, isBelow), m.value(OP.IsNan, m.bool(), x));
  const floatType = typeOfScalar(m, from);
  const inside = m.value(OP.Select, floatType, isOut, constantOf(m, from, 0), x);
  const whole = m.value(to === "i32" ? OP.ConvertFToS : OP.ConvertFToU, type, inside);
  const limited = m.value(OP.Select, type, isBelow, m.constantInt(32, low | 0), whole);
  return m.value(OP.Select, type, isAbove, m.constantInt(32, (high - 1) | 0), limited);
}

export function bitcast(m: Assembler, from: ScalarType, to: ScalarType, x: Id): Id {
  if (from === "f64" || to === "f64") throw new InternalError(`bitcast from ${from} to ${to}`);
  return isFloatScalar(from) === isFloatScalar(to) ? x : m.value(OP.Bitcast, typeOfScalar(m, to), x);
}
