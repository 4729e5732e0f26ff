// The element types, in one table: width, kind, and how one element reads and rounds. A new dtype is one row.
// f16, bf16 and i4 are storage types on targets without arithmetic for them: kernels widen on load and round on store.

export type FloatType = "f64" | "f32" | "f16" | "bf16";
export type IntType = "i32" | "i16" | "i8" | "i4" | "u32" | "u16" | "u8";
export type DType = FloatType | IntType | "bool";

export interface DTypeInfo {
  /** Bits of one element in memory; i4 packs two to a byte, low nibble first. */
  readonly bits: 4 | 8 | 16 | 32 | 64;
  readonly kind: "float" | "signed" | "unsigned" | "bool";
  /** The value nearest to x that this dtype holds; a whole number wraps, as a cast from a wider integer does. */
  round(x: number): number;
}

const wrapSigned = (bits: number) => (x: number) => ((Math.trunc(x) + 2 ** (bits - 1)) & (2 ** bits - 1)) - 2 ** (bits - 1);
const wrapUnsigned = (bits: number) => (x: number) => Math.trunc(x) & (2 ** bits - 1);

/** Round to nearest, ties to even, at `mantissa` explicit bits with the given exponent range. */
function roundFloat(x: number, mantissa: number, minExponent: number, max: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), minExponent);
  const step = 2 ** (exponent - mantissa);
  const scaled = x / step;
  const low = Math.floor(scaled);
  const rest = scaled - low;
  const nearest = (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low) * step;
  if (nearest === 0 && x < 0) return -0;
  return Math.abs(nearest) > max ? Math.sign(x) * Infinity : nearest;
}

export const DTYPES: { readonly [D in DType]: DTypeInfo } = {
  f64: { bits: 64, kind: "float", round: x => x },
  f32: { bits: 32, kind: "float", round: Math.fround },
  f16: { bits: 16, kind: "float", round: x => roundFloat(x, 10, -14, 65504) },
  bf16: { bits: 16, kind: "float", round: x => roundFloat(x, 7, -126, 3.3895313892515355e38) },
  i32: { bits: 32, kind: "signed", round: x => Math.trunc(x) | 0 },
  i16: { bits: 16, kind: "signed", round: wrapSigned(16) },
  i8: { bits: 8, kind: "signed", round: wrapSigned(8) },
  i4: { bits: 4, kind: "signed", round: wrapSigned(4) },
  u32: { bits: 32, kind: "unsigned", round: x => Math.trunc(x) >>> 0 },
  u16: { bits: 16, kind: "unsigned", round: wrapUnsigned(16) },
  u8: { bits: 8, kind: "unsigned", round: wrapUnsigned(8) },
  bool: { bits: 8, kind: "bool", round: x => (x === 0 ? 0 : 1) },
};

export const isDType = (name: string): name is DType => Object.hasOwn(DTYPES, name);
export const isFloat = (d: DType): d is FloatType => DTYPES[d].kind === "float";
export const isInteger = (d: DType): d is IntType => DTYPES[d].kind === "signed" || DTYPES[d].kind === "unsigned";

/** The least and the largest value of an integer dtype. */
export function integerRange(d: IntType): { readonly low: number; readonly high: number } {
  const { bits, kind } = DTYPES[d];
  return kind === "signed" ? { low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1 } : { low: 0, high: 2 ** bits - 1 };
}

/** A float as an integer: truncated towards zero, then the nearest that the dtype holds; NaN is 0. */
export function saturated(x: number, d: IntType): number {
  const { low, high } = integerRange(d);
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high) + 0;
}

/** Bytes that `count` elements take, i4 rounded up to whole bytes. */
export const byteLength = (d: DType, count: number): number => Math.ceil((DTYPES[d].bits * count) / 8);
