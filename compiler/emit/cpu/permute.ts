// Across the lanes of vectors: shuffles, reductions in their fixed order, and the casts and masks of f64, whose parts hold
// other lanes than those of 32 bits.
import type { ScalarType } from "../../kernel/ir.ts";
import { isFloatScalar } from "../../kernel/scalar.ts";
import { bitsOf, type Code, type Part, partsOf, vectorType } from "./code.ts";
import { extractLane, partOfScalars, vectorBinary } from "./lanes.ts";

/** A vector of C that lanes are taken from; its text is a name. */
interface Source {
  readonly text: string;
  readonly width: number;
}
interface Place {
  readonly source: Source;
  readonly lane: number;
}

const numbers = (n: number, f: (i: number) => number): string => Array.from({ length: n }, (_, i) => f(i)).join(", ");
const resized = (x: Source, width: number): Source =>
  x.width === width ? x : { text: `__builtin_shufflevector(${x.text}, ${x.text}, ${numbers(width, i => (i < x.width ? i : -1))})`, width };

/** A vector of `width` lanes, the first of which are the wanted ones. */
function joined(code: Code, scalar: ScalarType, wanted: readonly Place[], width: number): string {
  const sources = [...new Set(wanted.map(w => w.source))];
  const [first, ...others] = sources as [Source, ...Source[]];
  if (others.length === 0 && wanted.every((w, i) => w.lane === i)) return resized(first, width).text;
  const merge = (a: Source, b: Source, lane: (i: number) => number): Source =>
    ({ text: `__builtin_shufflevector(${a.text}, ${b.text}, ${numbers(width, lane)})`, width });
  // One source after the other is merged into the lanes that come from it.
  const second = others[0] ?? first;
  const both = Math.max(first.width, second.width);
  let result = merge(resized(first, both), resized(second, both), i => {
    const w = wanted[i];
    return w?.source === first ? w.lane : w?.source === second ? both + w.lane : -1;
  });
  for (const source of others.slice(1)) {
    const held = { text: code.hold(vectorType(scalar, width), result.text), width };
    const wide = Math.max(width, source.width);
    result = merge(resized(held, wide), resized(source, wide), i => {
      const w = wanted[i];
      return w?.source === source ? wide + w.lane : i;
    });
  }
  return result.text;
}

function placesOf(code: Code, scalar: ScalarType, lanes: number, values: readonly string[]): Place[] {
  const held = code.holdParts(scalar, lanes, values);
  return partsOf(code.machine, scalar, lanes).flatMap(({ count, width }, i) => {
    const source = { text: held[i]!, width };
    return Array.from({ length: count }, (_, lane) => ({ source, lane }));
  });
}

/** Lanes of a, then of b, by number. */
export function shuffleParts(code: Code, scalar: ScalarType, from: number, a: readonly string[], b: readonly string[], lanes: readonly number[]): string[] {
  const left = placesOf(code, scalar, from, a);
  const all = [...left, ...(a.every((x, i) => x === b[i]) ? left : placesOf(code, scalar, from, b))];
  const wanted = lanes.map(l => all[l]!);
  if (lanes.length === 1) return [extractLane(scalar, wanted[0]!.source.text, wanted[0]!.lane)];
  return partsOf(code.machine, scalar, lanes.length).map(p => joined(code, scalar, wanted.slice(p.first, p.first + p.count), p.width));
}

/** Each lane as a scalar. */
export const scalarsOf = (code: Code, scalar: ScalarType, lanes: number, values: readonly string[]): string[] =>
  placesOf(code, scalar, lanes, values).map(({ source, lane }) => extractLane(scalar, source.text, lane));

/** Halves are combined until one lane is left. */
export function horizontalScalar(code: Code, op: "add" | "max" | "min", s: ScalarType, lanes: number, values: readonly string[]): string {
  const [part] = partsOf(code.machine, s, lanes) as [Part];
  let level = values;
  while (level.length > 1) level = level.slice(0, level.length / 2).map((x, i) => vectorBinary(code, op, s, part, x, level[i + level.length / 2]!));
  let last: Source = { text: level[0]!, width: part.width };
  for (let half = part.count / 2; half >= 1; half /= 2) {
    const held: Source = { text: code.hold(vectorType(s, last.width), last.text), width: last.width };
    const width = Math.max(half, 128 / bitsOf(s));
    const lanesFrom = (first: number): string => joined(code, s, Array.from({ length: half }, (_, i) => ({ source: held, lane: first + i })), width);
    last = { text: vectorBinary(code, op, s, { first: 0, count: half, width }, lanesFrom(0), lanesFrom(half)), width };
  }
  return extractLane(s, code.hold(vectorType(s, last.width), last.text), 0);
}

/** The lanes of each part that f64 has, as vectors of 32 bits a lane. */
function splitForWide(code: Code, scalar: ScalarType, lanes: number, values: readonly string[]): { text: string; width: number }[] {
  const places = placesOf(code, scalar, lanes, values);
  return partsOf(code.machine, "f64", lanes).map(({ first, count, width }) => ({ text: joined(code, scalar, places.slice(first, first + count), width), width }));
}
/** Vectors of 32 bits a lane that have the lanes of f64 parts, as the parts of a value. */
function joinFromWide(code: Code, scalar: ScalarType, lanes: number, values: readonly string[]): string[] {
  const places = partsOf(code.machine, "f64", lanes).flatMap(({ count, width }, i) => {
    const source = { text: code.hold(vectorType(scalar, width), values[i]!), width };
    return Array.from({ length: count }, (_, lane) => ({ source, lane }));
  });
  return partsOf(code.machine, scalar, lanes).map(p => joined(code, scalar, places.slice(p.first, p.first + p.count), p.width));
}

export const widenMask = (code: Code, lanes: number, masks: readonly string[]): string[] =>
  splitForWide(code, "bool", lanes, masks).map(({ text, width }) => `__builtin_convertvector(${text}, i64x${width})`);

export function narrowMasks(code: Code, lanes: number, masks: readonly string[]): string[] {
  const narrow = partsOf(code.machine, "f64", lanes).map(({ width }, i) => {
    const words = code.hold(`i32x${2 * width}`, `(i32x${2 * width})${masks[i]!}`);
    return `__builtin_shufflevector(${words}, ${words}, ${numbers(width, l => 2 * l)})`;
  });
  return joinFromWide(code, "bool", lanes, narrow);
}

export function castToWide(code: Code, from: ScalarType, lanes: number, values: readonly string[]): string[] {
  return splitForWide(code, from, lanes, values).map(({ text, width }) => `__builtin_convertvector(${from === "bool" ? `-${text}` : text}, f64x${width})`);
}
export function castFromWide(code: Code, to: ScalarType, lanes: number, values: readonly string[]): string[] {
  const parts = partsOf(code.machine, "f64", lanes);
  if (to === "bool") return narrowMasks(code, lanes, parts.map(({ width }, i) => `(${values[i]} != (f64x${width}){0})`));
  if (to === "f16") {
    const scalars = scalarsOf(code, "f64", lanes, values).map(x => `half_f64(${x})`);
    return partsOf(code.machine, to, lanes).map(p => partOfScalars(to, p.width, scalars.slice(p.first, p.first + p.count)));
  }
  return joinFromWide(code, to, lanes, parts.map(({ width }, i) => (isFloatScalar(to) ? `__builtin_convertvector(${values[i]}, f32x${width})` : `${to}_of_f64x${width}(${values[i]})`)));
}

/** Entries of a table of 16, lane by lane. */
export function lookup16Parts(code: Code, s: ScalarType, table: string, lanes: number, from: "i32" | "u32", indices: readonly string[]): string[] {
  if (s === "f64") {
    const scalars = scalarsOf(code, from, lanes, indices).map(i => `${table}[${i} & 15]`);
    return partsOf(code.machine, s, lanes).map(p => partOfScalars(s, p.width, scalars.slice(p.first, p.first + p.count)));
  }
  return partsOf(code.machine, s, lanes).map(({ width }, i) => {
    const index = from === "i32" ? indices[i]! : `(i32x${width})${indices[i]!}`;
    const found = `lookup_i32x${width}(${table}, ${index})`;
    return s === "i32" || s === "bool" ? found : `(${vectorType(s, width)})${found}`;
  });
}
