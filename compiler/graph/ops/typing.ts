// What type rules share: shapes as text with axis names, and the checks that most ops make.
import type { DType } from "../../base/dtypes.ts";
import { type Size, sameSize, sizeText } from "../../base/sizes.ts";
import { isTuple, type TensorType, type ValueType } from "../graph.ts";
import { TypeRuleError } from "./definition.ts";

const axisText = (size: Size, name: string | null): string =>
  name === null || name === sizeText(size) ? sizeText(size) : `${name}=${sizeText(size)}`;

/** `f32[B, H=768]`. */
export const typeText = (t: ValueType): string =>
  isTuple(t) ? `(${t.items.map(typeText).join(", ")})` : `${t.dtype}[${t.shape.map((s, i) => axisText(s, t.axes[i] ?? null)).join(", ")}]`;

/** All inputs as tensors; a tuple must go through `item` first. */
export function tensors(inputs: readonly ValueType[]): TensorType[] {
  return inputs.map((t, i) => {
    if (isTuple(t)) throw new TypeRuleError(`input ${i + 1} is a tuple`, typeText(t), "a tensor", "take one of its items first");
    return t;
  });
}

export function tensorAt(inputs: readonly ValueType[], i: number): TensorType {
  const t = tensors(inputs)[i];
  if (!t) throw new TypeRuleError(`input ${i + 1} is missing`, `${inputs.length} inputs`, `at least ${i + 1}`);
  return t;
}

export function requireKind(t: TensorType, what: string, ok: (d: DType) => boolean): void {
  if (!ok(t.dtype)) throw new TypeRuleError(`the dtype does not fit`, typeText(t), what, "convert with cast");
}

export function requireAxis(axis: number, rank: number, what = "axis"): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= rank) {
    throw new TypeRuleError(`${what} ${axis} is out of range`, `rank ${rank}`, rank === 0 ? "a tensor with axes" : `0 to ${rank - 1}`);
  }
}

export function requireAxes(axes: readonly number[], rank: number): void {
  for (const a of axes) requireAxis(a, rank);
  if (new Set(axes).size !== axes.length) throw new TypeRuleError("an axis is named twice", `[${axes.join(", ")}]`, "different axes");
}

/** Names of two equal shapes: the first that is there. */
export const mergeAxes = (a: TensorType, b: TensorType): (string | null)[] => a.axes.map((n, i) => n ?? b.axes[i] ?? null);

export function requireSameShape(a: TensorType, b: TensorType): void {
  const at = a.shape.findIndex((s, i) => b.shape[i] === undefined || !sameSize(s, b.shape[i]));
  if (a.shape.length !== b.shape.length) {
    throw new TypeRuleError(`ranks ${a.shape.length} and ${b.shape.length} differ`, `${typeText(a)} and ${typeText(b)}`, "equal shapes");
  }
  if (at < 0) return;
  const [left, right] = [axisText(a.shape[at]!, a.axes[at]!), axisText(b.shape[at]!, b.axes[at]!)];
  throw new TypeRuleError(`axis ${at} is ${left} in one and ${right} in the other`, `${typeText(a)} and ${typeText(b)}`, "equal shapes",
    `broadcasting needs one of the two to be 1; check ${left} against ${right}`);
}

export function requireSameDtype(a: TensorType, b: TensorType): void {
  if (a.dtype !== b.dtype) {
    throw new TypeRuleError(`dtypes ${a.dtype} and ${b.dtype} differ`, `${typeText(a)} and ${typeText(b)}`, "one dtype", "convert one of them with cast");
  }
}

export function requireScalar(t: TensorType, dtype: DType, what: string): void {
  if (t.shape.length !== 0 || t.dtype !== dtype) throw new TypeRuleError(`${what} is not a scalar of ${dtype}`, typeText(t), `${dtype}[]`);
}

/** A type with some axes left out. */
export const withoutAxes = (t: TensorType, axes: readonly number[], dtype = t.dtype): TensorType => ({
  dtype, shape: t.shape.filter((_, i) => !axes.includes(i)), axes: t.axes.filter((_, i) => !axes.includes(i)),
});

/** A type with new sizes: an axis keeps its name only if it keeps its size. */
export const resized = (t: TensorType, shape: readonly Size[]): TensorType => ({
  dtype: t.dtype, shape, axes: t.axes.map((n, i) => (sameSize(t.shape[i]!, shape[i]!) ? n : null)),
});
