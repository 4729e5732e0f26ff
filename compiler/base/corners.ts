// Sizes where their dims are at the ends of their bounds: what shows that a size may be less than nothing.
import { type DimDecl, type DimValues, dimsOf, evaluateSize, type Size, sizeRange } from "./sizes.ts";

/** The last, or the first, of the values that a dim may have. */
export const endOf = ({ min, max, multipleOf }: DimDecl, last: boolean): number => (last ? Math.floor(max / multipleOf) : Math.ceil(min / multipleOf)) * multipleOf;
/** Corners of the dims' bounds that are tried, at most: those of the first dims. */
const MOST_CORNERS = 2 ** 12;

/** The least value below 0 that the size has where each of its dims is at one end of its bounds, and these; null if none is below 0. */
export function smallestBelowZero(size: Size, decls: readonly DimDecl[]): { readonly size: number; readonly values: DimValues } | null {
  if (typeof size === "number") return size < 0 ? { size, values: {} } : null;
  const names = dimsOf(size);
  const used = decls.filter((d, i) => names.has(d.name) && decls.findIndex(other => other.name === d.name) === i);
  // Of a size that words make of shapes, the dims are declared elsewhere.
  if (used.length < names.size || sizeRange(size, name => used.find(d => d.name === name)).min >= 0) return null;
  let found: { readonly size: number; readonly values: DimValues } | null = null;
  for (let corner = 0; corner < Math.min(2 ** used.length, MOST_CORNERS); corner++) {
    const values = Object.fromEntries(used.map((d, i) => [d.name, endOf(d, (corner >> i) % 2 === 1)]));
    const at = evaluateSize(size, values);
    if (at < 0 && (found === null || at < found.size)) found = { size: at, values };
  }
  return found;
}
