// Number fields in which results are off as rounding may make them: the reference runs in each, and what moves there may
// differ as far. Rounding moves a result by a part of itself; it also takes it out of the range of floats, where the other
// order of the same operations may not, and it decides which zero comes of a sum.
import { type DType, DTYPES, type FloatType, isFloat } from "../base/dtypes.ts";
import { type Field, float64 } from "../graph/field.ts";
import type { BinaryOp, UnaryOp } from "../graph/graph.ts";

/** How far off the result of an inexact operation may be, as a part of itself. */
export type Precision = (dtype: DType) => number;

const EXACT: ReadonlySet<UnaryOp | BinaryOp> = new Set([
  "neg", "abs", "sign", "floor", "ceil", "round", "not", "is_finite", "max", "min", "eq", "ne", "lt", "le", "gt", "ge",
]);
/** Changes a result; told of what it was computed from. */
type Change = (y: number, operands: readonly number[], op: UnaryOp | BinaryOp, dtype: DType) => number;

/** float64 with every result of an inexact operation on floats changed. */
function changed(change: Change, cast: Field["cast"] = float64.cast): Field {
  const isOpen = (op: UnaryOp | BinaryOp, dtype: DType): boolean => !EXACT.has(op) && isFloat(dtype);
  return {
    ...float64, cast,
    unary(op, x, dtype) {
      const y = float64.unary(op, x, dtype);
      return isOpen(op, dtype) ? change(y, [x], op, dtype) : y;
    },
    binary(op, a, b, dtype) {
      const y = float64.binary(op, a, b, dtype);
      return isOpen(op, dtype) ? change(y, [a, b], op, dtype) : y;
    },
  };
}

const SMALLEST_NORMAL = 2 ** -1022;

/**
 * Each result is off by up to its precision, a denormal one by its unit, and casts to narrow floats round or not: the
 * interpreter rounds in a cast alone, so that a cast that goes takes its rounding with it.
 */
export function disturbed(seed: number, precision: Precision): Field {
  let state = Math.imul(seed, 7919);
  const off = (y: number, _operands: readonly number[], _op: string, dtype: DType): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const moved = y * (1 + (state / 2 ** 31) * precision(dtype));
    return y !== 0 && Math.abs(y) < SMALLEST_NORMAL ? moved + Math.sign(state) * Number.MIN_VALUE : moved;
  };
  return changed(off, (x, from, to) => (isFloat(from) && isFloat(to) && seed % 2 === 1 ? x : float64.cast(x, from, to)));
}
export const DISTURBANCES = [1, 2, 3, 4];

/** Where an operation has an infinite or a zero result of finite operands without leaving the range of floats. */
function isPole(op: UnaryOp | BinaryOp, operands: readonly number[]): boolean {
  const last = operands.at(-1)!;
  switch (op) {
    case "div": case "mod": case "log": case "rsqrt": return last === 0;
    case "pow": return operands[0] === 0;
    default: return false;
  }
}
/** Whether a zero comes of zeros or of what cancels, not of what is too small. */
function isExactZero(op: UnaryOp | BinaryOp, operands: readonly number[]): boolean {
  switch (op) {
    case "exp": return false;
    case "pow": case "div": return operands[0] === 0;
    case "mul": return operands.includes(0);
    default: return true;
  }
}

/** Results stay in range: the largest and the smallest number stand for what is beyond them. */
export const inRange: Field = changed((y, operands, op) => {
  if (!operands.every(Number.isFinite)) return y;
  if (Math.abs(y) === Infinity && !isPole(op, operands)) return Math.sign(y) * Number.MAX_VALUE;
  return y === 0 && !isExactZero(op, operands) ? (Object.is(y, -0) ? -Number.MIN_VALUE : Number.MIN_VALUE) : y;
});

/** Zeros are of the other sign. */
export const otherZeros: Field = changed(y => (y === 0 ? -y : y));

/** How far a target may round: by one unit in the last place of each operation, kernels of f64 computing transcendentals in f32. */
const ROUNDING: { readonly [D in FloatType]: number } = { f64: 2 ** -22, f32: 2 ** -22, bf16: 2 ** -7, f16: 2 ** -10 };
export const rounding: Precision = dtype => (isFloat(dtype) ? ROUNDING[dtype] : 0);

/** What a target may keep of a value where it is stored, overflow included; transcendentals of f64 see f32. */
const stored = (x: number, dtype: DType): number => (isFloat(dtype) ? DTYPES[dtype === "f64" ? "f32" : dtype].round(x) : x);
export const narrowed: Field = {
  ...float64,
  unary: (op, x, dtype) => stored(float64.unary(op, stored(x, dtype), dtype), dtype),
  binary: (op, a, b, dtype) => stored(float64.binary(op, stored(a, dtype), stored(b, dtype), dtype), dtype),
};
/** Fields that round where targets may. Each is for one run. */
export const roundingFields = (): Field[] => [...DISTURBANCES.map(seed => disturbed(seed, rounding)), narrowed];
/** Fields in which the results of each operation are all off in one direction, as those of a polynomial may be: sums of what
 *  should cancel show it. */
export const biasedFields = (): Field[] => [1, -1].flatMap(sign => [false, true].map(isMixed => changed((y, _operands, op, dtype) => y * (1 + (isMixed && op.length % 2 === 0 ? -sign : sign) * rounding(dtype)))));
