// The number field that the reference interpreter computes in, as a parameter: float64, where floats are what they are;
// f32, where the result of each op is rounded to its dtype as a target holds it; or a prime field, where two graphs related by
// an algebraic rewrite agree exactly and transcendentals are keyed uninterpreted functions. Integers and bools are ordinary in
// all of them.
import { type DType, DTYPES, type FloatType, isFloat, isInteger, saturated } from "../base/dtypes.ts";
import type { BinaryOp, UnaryOp } from "./graph.ts";

/** Row-major, one float64 an element whatever the dtype. */
export interface NdArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface Field {
  readonly name: "float64" | "f32" | "prime";
  /** What is kept of an element of an op's result, where that is not all of it. */
  readonly kept?: (x: number, dtype: FloatType) => number;
  /** A literal as an element: a rational's residue in the prime field. */
  literal(x: number, dtype: DType): number;
  unary(op: UnaryOp, x: number, dtype: DType): number;
  /** For comparisons `dtype` is the operands'. */
  binary(op: BinaryOp, a: number, b: number, dtype: DType): number;
  /** Between dtypes; rounds in float64. */
  cast(x: number, from: DType, to: DType): number;
}

/** erf by its series near 0 and the continued fraction of erfc beyond (Abramowitz and Stegun 7.1.6, 7.1.14). */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let [term, sum] = [a, a];
    for (let n = 1; Math.abs(term) > 1e-17 * sum && n < 200; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

const roundEven = (x: number): number => {
  const low = Math.floor(x);
  const rest = x - low;
  const nearest = rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
  return nearest === 0 && x < 0 ? -0 : nearest;
};

const UNARY: { readonly [O in Exclude<UnaryOp, "not" | "is_finite">]: (x: number) => number } = {
  neg: x => -x, abs: Math.abs, sign: x => (Number.isNaN(x) ? x : Math.sign(x)), exp: Math.exp, log: Math.log, sqrt: Math.sqrt, rsqrt: x => 1 / Math.sqrt(x),
  sin: Math.sin, cos: Math.cos, tanh: Math.tanh, erf, floor: Math.floor, ceil: Math.ceil, round: roundEven,
};
const truth = (x: boolean): number => (x ? 1 : 0);

/** Comparisons, and what integers and bools do: the same in every field. */
function integerBinary(op: BinaryOp, a: number, b: number, dtype: DType): number {
  const wrap = DTYPES[dtype].round;
  const signed = DTYPES[dtype].kind === "signed";
  switch (op) {
    case "add": return wrap(a + b);
    case "sub": return wrap(a - b);
    case "mul": return dtype === "u32" || dtype === "i32" ? wrap(signed ? Math.imul(a, b) : Math.imul(a, b) >>> 0) : wrap(a * b);
    // Division by zero is 0, and so is its remainder: no target traps.
    case "div": return b === 0 ? 0 : wrap(Math.trunc(a / b));
    case "mod": return b === 0 ? 0 : wrap(a - Math.floor(a / b) * b);
    case "max": return Math.max(a, b);
    case "min": return Math.min(a, b);
    case "and": return wrap(a & b);
    case "or": return wrap(a | b);
    case "xor": return wrap(a ^ b);
    // Shifts count modulo the width.
    case "shl": return wrap(a << (b & (DTYPES[dtype].bits - 1)));
    case "shr": return wrap(signed ? a >> (b & (DTYPES[dtype].bits - 1)) : a >>> (b & (DTYPES[dtype].bits - 1)));
    case "mulhi": return signed ? Number((BigInt(a) * BigInt(b)) >> 32n) : Number((BigInt(a >>> 0) * BigInt(b >>> 0)) >> 32n);
    default: return compare(op, a, b);
  }
}

function compare(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case "eq": return truth(a === b);
    case "ne": return truth(a !== b);
    case "lt": return truth(a < b);
    case "le": return truth(a <= b);
    case "gt": return truth(a > b);
    case "ge": return truth(a >= b);
    default: throw new RangeError(`${op} is not an operation on these operands`);
  }
}

function integerUnary(op: UnaryOp, x: number, dtype: DType): number {
  if (op === "not") return dtype === "bool" ? truth(x === 0) : DTYPES[dtype].round(~x);
  if (op === "neg" || op === "abs" || op === "sign") return DTYPES[dtype].round(UNARY[op](x));
  throw new RangeError(`${op} is not an operation on ${dtype}`);
}

export const float64: Field = {
  name: "float64",
  literal: (x, dtype) => (isFloat(dtype) ? x : DTYPES[dtype].round(x)),
  unary(op, x, dtype) {
    if (op === "is_finite") return truth(Number.isFinite(x));
    return isFloat(dtype) && op !== "not" ? UNARY[op](x) : integerUnary(op, x, dtype);
  },
  binary(op, a, b, dtype) {
    if (!isFloat(dtype)) return integerBinary(op, a, b, dtype);
    switch (op) {
      case "add": return a + b;
      case "sub": return a - b;
      case "mul": return a * b;
      case "div": return a / b;
      case "mod": return a - Math.floor(a / b) * b;
      case "pow": return a ** b;
      case "atan2": return Math.atan2(a, b);
      case "max": return Math.max(a, b);
      case "min": return Math.min(a, b);
      default: return compare(op, a, b);
    }
  },
  // A float saturates as an integer, whatever the width; an integer wraps as a narrower one.
  cast(x, from, to) {
    if (isFloat(from) && isInteger(to)) return saturated(x, to);
    return to === "f32" && isFloat(from) ? x : DTYPES[to].round(x);
  },
};

/**
 * float64 in which each op's result, and what is given to a graph, is rounded to its dtype: f32, f16 and bf16 as targets store
 * them, f64 not at all. A sum or a product of many is one op: it is made in float64 and rounded once.
 */
export const f32Field: Field = { ...float64, name: "f32", kept: (x, dtype) => DTYPES[dtype].round(x) };

/** A prime below 2^26: products of residues are exact in float64. */
export const PRIME = 67108859;

const reduce = (x: number): number => x - Math.floor(x / PRIME) * PRIME;
const product = (a: number, b: number): number => reduce(a * b);

function inverse(a: number): number {
  let [result, base, exponent] = [1, a, PRIME - 2];
  for (; exponent > 0; exponent = Math.floor(exponent / 2)) {
    if (exponent % 2 === 1) result = product(result, base);
    base = product(base, base);
  }
  return result;
}

/** A keyed function without any law of its own: mixes the operands' residues and the op's name. */
function uninterpreted(key: string, a: number, b = 0): number {
  let h = 0x9e3779b9;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x85ebca6b);
  h = Math.imul(h ^ (a | 0), 0xc2b2ae35);
  h ^= h >>> 15;
  h = Math.imul(h ^ (b | 0), 0x27d4eb2f);
  h ^= h >>> 13;
  h = Math.imul(h, 0x165667b1);
  return reduce((h ^ (h >>> 16)) >>> 0);
}

/** A literal's residue: a dyadic fraction exactly; values without one (infinity, NaN) get residues of their own. */
function residue(x: number): number {
  if (!Number.isFinite(x)) return uninterpreted("literal", Number.isNaN(x) ? 1 : x > 0 ? 2 : 3);
  let [numerator, scale] = [x, 1];
  while (!Number.isInteger(numerator) && Math.abs(numerator) < 2 ** 52) {
    numerator *= 2;
    scale = product(scale, 2);
  }
  return product(reduce(numerator), inverse(scale));
}

export const prime: Field = {
  name: "prime",
  literal: (x, dtype) => (isFloat(dtype) ? residue(x) : DTYPES[dtype].round(x)),
  unary(op, x, dtype) {
    if (!isFloat(dtype)) return integerUnary(op, x, dtype);
    if (op === "neg") return reduce(-x);
    const y = uninterpreted(op, x);
    return op === "is_finite" ? y & 1 : y;
  },
  binary(op, a, b, dtype) {
    if (!isFloat(dtype)) return integerBinary(op, a, b, dtype);
    switch (op) {
      case "add": return reduce(a + b);
      case "sub": return reduce(a - b);
      case "mul": return product(a, b);
      case "div": return b === 0 ? uninterpreted("div", a) : product(a, inverse(b));
      // An order of its own keeps max and min commutative, associative and idempotent.
      case "max": return Math.max(a, b);
      case "min": return Math.min(a, b);
      case "mod": case "pow": case "atan2": return uninterpreted(op, a, b);
      default: return compare(op, a, b);
    }
  },
  cast(x, from, to) {
    if (isFloat(from) && isFloat(to)) return DTYPES[to].bits >= DTYPES[from].bits ? x : uninterpreted(`cast ${to}`, x);
    if (isFloat(from)) return to === "bool" ? truth(x !== 0) : DTYPES[to].round(uninterpreted(`cast ${to}`, x));
    return isFloat(to) ? reduce(x) : DTYPES[to].round(x);
  },
};
