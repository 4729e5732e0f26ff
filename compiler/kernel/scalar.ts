// The arithmetic of kernel IR on one lane, exact at the stated type: what constant folding, the interpreter and the tests
// of kernels/math all compute with. Bools are 0 and 1; u32 values are never negative.
import { DTYPES } from "../base/dtypes.ts";
import { InternalError } from "../base/diagnostics.ts";
import type { BinaryOp, ScalarType, UnaryOp } from "./ir.ts";

/** The value of x once it is held in a register of this type; integers wrap. */
export const ROUND: { readonly [S in ScalarType]: (x: number) => number } = {
  f64: x => x, f32: Math.fround, f16: DTYPES.f16.round, i32: x => x | 0, u32: x => x >>> 0, bool: x => (x === 0 ? 0 : 1),
};

export const isFloatScalar = (s: ScalarType): boolean => s === "f64" || s === "f32" || s === "f16";

const COMPARISONS: ReadonlySet<BinaryOp> = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);
export const isComparison = (op: BinaryOp): boolean => COMPARISONS.has(op);

const BITWISE: ReadonlySet<BinaryOp> = new Set(["and", "or", "xor"]);
const INTEGER_ONLY: ReadonlySet<BinaryOp> = new Set(["shl", "shr", "mulhi"]);
const FLOAT_ONLY: ReadonlySet<UnaryOp> = new Set(["sqrt", "floor", "ceil", "trunc", "round_even"]);

/** Whether the operation exists at this type: bits of integers and bools, shifts of integers, roots and rounding of floats. */
export function hasBinary(op: BinaryOp, s: ScalarType): boolean {
  if (BITWISE.has(op)) return !isFloatScalar(s);
  if (INTEGER_ONLY.has(op)) return s === "i32" || s === "u32";
  return s !== "bool" || op === "eq" || op === "ne";
}
export function hasUnary(op: UnaryOp, s: ScalarType): boolean {
  if (op === "not") return !isFloatScalar(s);
  return FLOAT_ONLY.has(op) ? isFloatScalar(s) : s !== "bool";
}

function roundEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest < 0.5 || (rest === 0.5 && low % 2 === 0)) return low === 0 && (x < 0 || Object.is(x, -0)) ? -0 : low;
  return low + 1 === 0 ? -0 : low + 1;
}

export function unaryValue(op: UnaryOp, s: ScalarType, x: number): number {
  const round = ROUND[s];
  switch (op) {
    case "neg": return isFloatScalar(s) ? -x : round(-x);
    case "abs": return isFloatScalar(s) ? Math.abs(x) : round(Math.abs(x));
    case "sqrt": return round(Math.sqrt(x));
    case "floor": return Math.floor(x);
    case "ceil": return Math.ceil(x);
    case "trunc": return Math.trunc(x);
    case "round_even": return roundEven(x);
    case "not": return s === "bool" ? 1 - x : round(~x);
  }
}

function mulHigh(s: ScalarType, a: number, b: number): number {
  const high = (BigInt(a) * BigInt(b)) >> 32n;
  return s === "i32" ? Number(BigInt.asIntN(32, high)) : Number(BigInt.asUintN(32, high));
}

export function binaryValue(op: BinaryOp, s: ScalarType, a: number, b: number): number {
  const round = ROUND[s];
  const float = isFloatScalar(s);
  switch (op) {
    case "add": return round(a + b);
    case "sub": return round(a - b);
    case "mul": return float ? round(a * b) : round(Math.imul(a, b));
    case "div":
      if (!float && b === 0) throw new RangeError("integer division by zero");
      return float ? round(a / b) : round(Math.trunc(a / b));
    case "rem":
      if (!float && b === 0) throw new RangeError("integer remainder by zero");
      return float ? round(a % b) : round(a % b);
    case "min": return Math.min(a, b);
    case "max": return Math.max(a, b);
    case "and": return round(a & b);
    case "or": return round(a | b);
    case "xor": return round(a ^ b);
    case "shl": return round(a << (b & 31));
    case "shr": return s === "i32" ? a >> (b & 31) : a >>> (b & 31);
    case "mulhi": return mulHigh(s, a, b);
    case "eq": return a === b ? 1 : 0;
    case "ne": return a !== b ? 1 : 0;
    case "lt": return a < b ? 1 : 0;
    case "le": return a <= b ? 1 : 0;
    case "gt": return a > b ? 1 : 0;
    case "ge": return a >= b ? 1 : 0;
  }
}

const bits = new DataView(new ArrayBuffer(8));

/** a·b + c at f32, rounded once: the f64 sum is rounded to odd, so that rounding it to f32 cannot round twice. */
export function fusedF32(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  if (!Number.isFinite(sum)) return Math.fround(sum);
  const back = sum - product;
  const error = product - (sum - back) + (c - back);
  if (error === 0) return Math.fround(sum);
  bits.setFloat64(0, sum);
  const word = bits.getBigInt64(0);
  if ((word & 1n) === 0n) bits.setBigInt64(0, word + (error > 0 === sum > 0 ? 1n : -1n));
  return Math.fround(bits.getFloat64(0));
}

/** a·b + c; f32 is rounded once when `fused`, every other type after each operation. */
export function fmaValue(s: ScalarType, a: number, b: number, c: number, fused: boolean): number {
  return fused && s === "f32" ? fusedF32(a, b, c) : binaryValue("add", s, binaryValue("mul", s, a, b), c);
}

export function castValue(from: ScalarType, to: ScalarType, x: number): number {
  if (isFloatScalar(from) && (to === "i32" || to === "u32")) {
    const whole = Math.trunc(x);
    if (Number.isNaN(whole)) return 0;
    return to === "i32" ? Math.min(Math.max(whole, -(2 ** 31)), 2 ** 31 - 1) + 0 : Math.min(Math.max(whole, 0), 2 ** 32 - 1) + 0;
  }
  return ROUND[to](x);
}

/** Whether values of the two types have the same width, so that their bits can be taken for each other. */
export const canBitcast = (from: ScalarType, to: ScalarType): boolean => [from, to].every(s => s === "f32" || s === "i32" || s === "u32");

export function bitcastValue(from: ScalarType, to: ScalarType, x: number): number {
  if (!canBitcast(from, to)) throw new InternalError(`no bitcast from ${from} to ${to}`);
  if (from === "f32") bits.setFloat32(0, x);
  else bits.setInt32(0, x | 0);
  return to === "f32" ? bits.getFloat32(0) : to === "i32" ? bits.getInt32(0) : bits.getUint32(0);
}
