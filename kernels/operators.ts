// Elementwise graph ops as kernel expressions: one row an op. Values stand in registers at REGISTER_TYPE of their dtype, so
// narrow integers are wrapped after arithmetic, and f16 and bf16 round only at casts and stores.
import { InternalError } from "../compiler/base/diagnostics.ts";
import { type DType, DTYPES, integerRange, isFloat, isInteger } from "../compiler/base/dtypes.ts";
import type { Arithmetic } from "../compiler/base/random.ts";
import type { BinaryOp, UnaryOp } from "../compiler/graph/graph.ts";
import * as e from "../compiler/kernel/expr.ts";
import { type Expr, REGISTER_TYPE, typeOf } from "../compiler/kernel/ir.ts";
import * as math from "./math.ts";

/** Back into the range of a dtype narrower than its register. */
function wrapped(x: Expr, dtype: DType): Expr {
  const { bits, kind } = DTYPES[dtype];
  if (kind === "signed" && bits < 32) return e.shr(e.shl(x, 32 - bits), 32 - bits);
  if (kind === "unsigned" && bits < 32) return e.and(x, 2 ** bits - 1);
  return x;
}

const isNan = (x: Expr): Expr => e.ne(x, x);

/** f32 arithmetic for functions that have no f64 form: the polynomials are f32's. */
const viaF32 = (f: (...xs: Expr[]) => Expr) => (...xs: Expr[]): Expr => {
  const scalar = typeOf(xs[0]!).scalar;
  return e.cast(scalar, f(...xs.map(x => e.cast("f32", x))));
};

const FLOAT_UNARY: { readonly [O in Exclude<UnaryOp, "not">]: (x: Expr) => Expr } = {
  neg: e.neg, abs: e.abs, sqrt: e.sqrt, floor: e.floor, ceil: e.ceil, round: e.roundEven,
  exp: viaF32(x => math.exp(x!)), log: viaF32(x => math.log(x!)), sin: viaF32(x => math.sin(x!)), cos: viaF32(x => math.cos(x!)),
  tanh: viaF32(x => math.tanh(x!)), erf: viaF32(x => math.erf(x!)), rsqrt: math.rsqrt,
  sign: x => e.select(e.gt(x, 0), 1, e.select(e.lt(x, 0), -1, x)),
  is_finite: x => e.lt(e.abs(x), Infinity),
};

export function unaryOperator(op: UnaryOp, x: Expr, dtype: DType): Expr {
  if (op === "not") return dtype === "bool" ? e.not(x) : wrapped(e.xor(x, REGISTER_TYPE[dtype] === "u32" ? 0xffffffff : -1), dtype);
  if (isFloat(dtype)) return FLOAT_UNARY[op](x);
  switch (op) {
    case "neg": return wrapped(e.sub(e.constant(typeOf(x).scalar, 0, typeOf(x).lanes), x), dtype);
    case "abs": return wrapped(e.select(e.lt(x, 0), e.sub(e.constant("i32", 0, typeOf(x).lanes), x), x), dtype);
    case "sign": return e.select(e.gt(x, 0), 1, e.select(e.lt(x, 0), -1, x));
    default: throw new InternalError(`${op} of ${dtype}`);
  }
}

/** a − ⌊a/b⌋·b. */
const floatMod = (a: Expr, b: Expr): Expr => e.sub(a, e.mul(e.floor(e.div(a, b)), b));

/** Quotient and remainder by zero are 0: the divisor is replaced, and so is the result. */
function integerDivision(op: "div" | "mod", a: Expr, b: Expr): Expr {
  const isZero = e.eq(b, 0);
  // −2³¹ / −1 overflows, which traps on some targets: a divisor of −1 negates instead.
  const signed = typeOf(a).scalar === "i32";
  const isMinusOne = signed ? e.eq(b, -1) : null;
  const safe = e.select(isMinusOne ? e.or(isZero, isMinusOne) : isZero, 1, b);
  if (op === "div") {
    const quotient = e.div(a, safe);
    return e.select(isZero, 0, isMinusOne ? e.select(isMinusOne, e.sub(e.constant("i32", 0, typeOf(a).lanes), a), quotient) : quotient);
  }
  const rest = e.rem(a, safe);
  const floored = signed ? e.select(e.and(e.ne(rest, 0), e.lt(e.xor(rest, b), 0)), e.add(rest, b), rest) : rest;
  return e.select(isMinusOne ? e.or(isZero, isMinusOne) : isZero, 0, floored);
}

export function binaryOperator(op: BinaryOp, a: Expr, b: Expr, dtype: DType): Expr {
  switch (op) {
    case "eq": case "ne": case "lt": case "le": case "gt": case "ge":
      return dtype === "bool" ? boolComparison(op, a, b) : e.binary(op, a, b);
    case "and": case "or": case "xor": return e.binary(op, a, b);
    default:
  }
  if (dtype === "bool") {
    if (op === "max") return e.or(a, b);
    if (op === "min") return e.and(a, b);
    throw new InternalError(`${op} of bool`);
  }
  if (isFloat(dtype)) {
    switch (op) {
      case "add": case "sub": case "mul": case "div": case "max": case "min": return e.binary(op, a, b);
      case "mod": return floatMod(a, b);
      case "pow": return viaF32((x, y) => math.pow(x!, y!))(...sameLanes(a, b));
      case "atan2": return viaF32((x, y) => math.atan2(x!, y!))(...sameLanes(a, b));
      default: throw new InternalError(`${op} of ${dtype}`);
    }
  }
  switch (op) {
    case "add": case "sub": case "mul": return wrapped(e.binary(op, a, b), dtype);
    case "max": case "min": case "mulhi": return e.binary(op, a, b);
    case "div": case "mod": {
      const [x, y] = sameLanes(a, b);
      return wrapped(integerDivision(op, x!, y!), dtype);
    }
    case "shl": case "shr": return wrapped(e.binary(op, a, e.and(b, DTYPES[dtype].bits - 1)), dtype);
    default: throw new InternalError(`${op} of ${dtype}`);
  }
}

function sameLanes(...xs: readonly Expr[]): Expr[] {
  const lanes = Math.max(...xs.map(x => typeOf(x).lanes));
  return xs.map(x => e.splat(x, lanes));
}

function boolComparison(op: "eq" | "ne" | "lt" | "le" | "gt" | "ge", a: Expr, b: Expr): Expr {
  switch (op) {
    case "ne": return e.xor(a, b);
    case "eq": return e.not(e.xor(a, b));
    case "lt": return e.and(e.not(a), b);
    case "gt": return e.and(a, e.not(b));
    case "le": return e.or(e.not(a), b);
    case "ge": return e.or(a, e.not(b));
  }
}

/** To the nearest f16, ties to even, in f32 registers. */
function roundF16(x: Expr): Expr {
  const bits = e.bitcast("u32", x);
  const even = e.and(e.add(bits, e.add(e.and(e.shr(bits, 13), 1), 0xfff)), 0xffffe000);
  const size = e.abs(x);
  // Below the smallest normal the spacing is 2⁻²⁴, which is that of f32 just above 0.5.
  const subnormal = e.sub(e.add(size, 0.5), 0.5);
  const signed = e.bitcast("f32", e.or(e.bitcast("u32", subnormal), e.and(bits, 0x80000000)));
  const normal = e.bitcast("f32", even);
  const infinite = e.bitcast("f32", e.or(e.and(bits, 0x80000000), 0x7f800000));
  return e.select(e.lt(size, 2 ** -14), signed, e.select(e.ge(size, 65520), infinite, e.select(isNan(x), x, normal)));
}

/** To the nearest bf16, ties to even, in f32 registers. */
function roundBf16(x: Expr): Expr {
  const bits = e.bitcast("u32", x);
  const even = e.and(e.add(bits, e.add(e.and(e.shr(bits, 16), 1), 0x7fff)), 0xffff0000);
  return e.select(isNan(x), x, e.bitcast("f32", even));
}

export function castOperator(x: Expr, from: DType, to: DType): Expr {
  if (from === to) return x;
  if (to === "bool") return e.ne(x, 0);
  const target = REGISTER_TYPE[to];
  if (isFloat(to)) {
    const value = e.cast(target, from === "bool" ? e.select(x, e.constant("i32", 1, typeOf(x).lanes), 0) : x);
    const narrows = isFloat(from) ? DTYPES[from].bits > DTYPES[to].bits || (DTYPES[from].bits === 16 && from !== to) : true;
    return to === "f16" && narrows ? roundF16(value) : to === "bf16" && narrows ? roundBf16(value) : value;
  }
  if (from === "bool") return e.select(x, e.constant(target, 1, typeOf(x).lanes), 0);
  return isFloat(from) ? saturatedCast(x, to) : wrapped(e.bitcast(target, x), to);
}

/** A float saturates at 32 bits as it is converted, then at the width of a narrower integer. */
function saturatedCast(x: Expr, to: DType): Expr {
  const target = REGISTER_TYPE[to];
  const whole = e.cast(target, x);
  if (!isInteger(to) || DTYPES[to].bits === 32) return whole;
  const { low, high } = integerRange(to);
  const below = e.min(whole, e.constant(target, high));
  return target === "u32" ? below : e.max(below, e.constant(target, low));
}

/** The steps of the random generator on expressions of some lanes. */
export const expressionArithmetic: Arithmetic<Expr> = {
  word: x => e.constant("u32", x), real: x => e.constant("f32", x),
  addWord: e.add, xor: e.xor, and: e.and, or: e.or,
  shiftLeft: (a, by) => e.shl(a, by), shiftRight: (a, by) => e.shr(a, by),
  // Words below 2²⁴ here, which i32 and u32 convert alike.
  toReal: a => e.cast("f32", a),
  bitsOf: x => e.bitcast("u32", x), realOf: x => e.bitcast("f32", x),
  add: e.add, sub: e.sub, mul: e.mul, sqrt: e.sqrt,
  whereLess: (a, b, yes, no) => e.select(e.lt(a, b), yes, no),
};
