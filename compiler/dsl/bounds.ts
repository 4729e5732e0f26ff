// Sizes that depend on dims: whether something holds for every value within the dims' bounds, so that a program which could
// read outside of a tensor is refused where it is written, with values that show it.
import { smallestBelowZero } from "../base/corners.ts";
import { SluiceError } from "../base/diagnostics.ts";
import { dimsOf, type DimValues, type Size, sizeText, subSize } from "../base/sizes.ts";
import type { TensorType } from "../graph/graph.ts";
import { userSpan } from "./source.ts";
import { axisText, shapeText, trace } from "./trace.ts";

/** Values of the dims for which the size is negative; null if there are none. */
function negativeFor(size: Size): DimValues | null {
  const { b } = trace();
  const decls = [...dimsOf(size)].map(name => b.dim(name)).filter(d => d !== undefined);
  return smallestBelowZero(size, decls)?.values ?? null;
}

const valuesText = (values: DimValues): string => {
  const list = Object.entries(values).map(([name, value]) => `${name} = ${value}`).join(", ");
  return list === "" ? "" : ` where ${list}`;
};

/** The part `[start, start + length)` of an axis lies in it, whatever the dims are. Throws SluiceError SHAPE010. */
export function requireInside(word: string, t: TensorType, axis: number, start: Size, length: Size): void {
  const size = t.shape[axis]!;
  const end = subSize(start, subSize(0, length));
  const outside = negativeFor(start) ?? negativeFor(length) ?? negativeFor(subSize(size, end));
  if (outside === null) return;
  throw new SluiceError({
    code: "SHAPE010", message: `${word}: the part lies outside axis ${t.axes[axis] ?? axis} of ${shapeText(t)}${valuesText(outside)}`, span: userSpan(),
    found: `${sizeText(start)} to ${sizeText(end)}`, expected: `within 0 to ${axisText(size, t.axes[axis]!)}`,
    ...(Object.keys(outside).length > 0 ? { hint: "the dims' bounds allow it: give a min or a max that does not" } : {}),
  });
}

/** As many as are asked for are there, whatever the dims are. Throws SluiceError SHAPE010. */
export function requireAtLeast(word: string, what: string, size: Size, least: Size): void {
  const short = negativeFor(subSize(size, least));
  if (short === null) return;
  throw new SluiceError({
    code: "SHAPE010", message: `${word}: ${what} is too small${valuesText(short)}`, span: userSpan(), found: sizeText(size), expected: `${sizeText(least)} or more`,
    ...(Object.keys(short).length > 0 ? { hint: "the dims' bounds allow it: give a min or a max that does not" } : {}),
  });
}
