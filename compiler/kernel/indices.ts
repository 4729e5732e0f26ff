// What index expressions mean to the verifier: an exact polynomial where the expression is one, bounds where it is data
// that was visibly clamped, and the facts that a condition on indices gives to the code under it.
import { DTYPES } from "../base/dtypes.ts";
import { addSize, dimSize, floorDivSize, maxSize, minSize, mulSize, type Size, subSize } from "../base/sizes.ts";
import { type Buffer, type Expr, typeOf } from "./ir.ts";
import type { Knowledge } from "./prove.ts";

/** The polynomial that the expression is, whatever memory holds. Names bound by `let` stand for themselves. */
export function indexSize(e: Expr): Size | undefined {
  switch (e.kind) {
    case "size": return e.size;
    case "const": return e.type.scalar === "i32" && e.type.lanes === 1 ? e.value : undefined;
    case "binary": {
      const a = indexSize(e.a);
      const b = a === undefined ? undefined : indexSize(e.b);
      if (a === undefined || b === undefined) return undefined;
      switch (e.op) {
        case "add": return addSize(a, b);
        case "sub": return subSize(a, b);
        case "mul": return mulSize(a, b);
        case "min": return minSize(a, b);
        case "max": return maxSize(a, b);
        default: return undefined;
      }
    }
    default: return undefined;
  }
}

/** Any of `lower` bounds the value from below, any of `upper` from above, lane by lane. */
export interface Bounds {
  readonly lower: readonly Size[];
  readonly upper: readonly Size[];
}
const NOTHING: Bounds = { lower: [], upper: [] };

const isNonNegative = (b: Bounds): boolean => b.lower.some(l => typeof l === "number" && l >= 0);
const each = (a: readonly Size[], b: readonly Size[], f: (a: Size, b: Size) => Size): Size[] => a.flatMap(x => b.map(y => f(x, y)));
/** Of a value that is one or the other. */
const either = (a: Bounds, b: Bounds): Bounds => ({ lower: each(a.lower, b.lower, minSize), upper: each(a.upper, b.upper, maxSize) });
const negated = (b: Bounds): Bounds => ({ lower: b.upper.map(x => mulSize(x, -1)), upper: b.lower.map(x => mulSize(x, -1)) });

/** Where an expression stands: only names that `knows` has are fixed; mutables are not. */
export interface Place {
  readonly knows: Knowledge;
  readonly buffers: ReadonlyMap<string, Buffer>;
}

export function boundsOf(e: Expr, place: Place): Bounds {
  const bounds = rawBounds(e, place);
  return typeOf(e).scalar === "u32" ? { lower: [0, ...bounds.lower], upper: bounds.upper } : bounds;
}

function rawBounds(e: Expr, place: Place): Bounds {
  const of = (x: Expr): Bounds => boundsOf(x, place);
  const exact = indexSize(e);
  if (exact !== undefined) return { lower: [exact], upper: [exact] };
  switch (e.kind) {
    case "const": return e.type.scalar === "i32" || e.type.scalar === "u32" ? { lower: [e.value], upper: [e.value] } : NOTHING;
    case "var": return place.knows.has(e.name) ? { lower: [dimSize(e.name)], upper: [dimSize(e.name)] } : NOTHING;
    case "load": case "gather": {
      const { bits, kind } = DTYPES[place.buffers.get(e.buffer)?.dtype ?? "f32"];
      if (kind === "bool") return { lower: [0], upper: [1] };
      if (bits > 16 || kind === "float") return NOTHING;
      return kind === "unsigned" ? { lower: [0], upper: [2 ** bits - 1] } : { lower: [-(2 ** (bits - 1))], upper: [2 ** (bits - 1) - 1] };
    }
    case "splat": case "lane": return of(e.x);
    case "vector": return e.items.map(of).reduce(either);
    case "shuffle": return either(of(e.a), of(e.b));
    case "select": return either(of(e.yes), of(e.no));
    case "lookup16": return e.type.scalar === "i32" ? { lower: [Math.min(...e.table)], upper: [Math.max(...e.table)] } : NOTHING;
    case "cast": case "bitcast": {
      const from = typeOf(e.x).scalar;
      if (from === "bool") return { lower: [0], upper: [1] };
      if (e.to !== "i32" && e.to !== "u32") return NOTHING;
      return from === "i32" || from === "u32" ? onlyIfSmall(of(e.x), place.knows) : NOTHING;
    }
    case "binary": return binaryBounds(e, of, place.knows);
    default: return NOTHING;
  }
}

/** Bounds that survive a change of sign: those of a value known to lie in 0 … 2³¹ - 1. */
const onlyIfSmall = (b: Bounds, knows: Knowledge): Bounds => (b.lower.some(l => knows.range(l).min >= 0) && b.upper.some(u => knows.range(u).max < 2 ** 31) ? b : NOTHING);

const withoutCasts = (e: Expr): Expr => (e.kind === "cast" || e.kind === "splat" ? withoutCasts(e.x) : e);

function binaryBounds(e: Expr & { kind: "binary" }, of: (x: Expr) => Bounds, knows: Knowledge): Bounds {
  const a = of(e.a);
  const b = of(e.b);
  const constant = e.b.kind === "const" ? e.b.value : e.b.kind === "size" && typeof e.b.size === "number" ? e.b.size : undefined;
  switch (e.op) {
    case "min": return { lower: each(a.lower, b.lower, minSize), upper: [...a.upper, ...b.upper] };
    case "max": return { lower: [...a.lower, ...b.lower], upper: each(a.upper, b.upper, maxSize) };
    case "add": return { lower: each(a.lower, b.lower, addSize), upper: each(a.upper, b.upper, addSize) };
    case "sub": return { lower: each(a.lower, negated(b).lower, addSize), upper: each(a.upper, negated(b).upper, addSize) };
    case "and": {
      const masks = [e.a, e.b].flatMap(x => (x.kind === "const" && x.value >= 0 ? [x.value] : []));
      return masks.length > 0 ? { lower: [0], upper: masks } : NOTHING;
    }
    case "mul": case "shl": {
      const factor = e.op === "mul" ? constant : constant === undefined ? undefined : 2 ** constant;
      if (factor === undefined) return NOTHING;
      const scaled = (xs: readonly Size[]): Size[] => xs.map(x => mulSize(x, factor));
      return factor >= 0 ? { lower: scaled(a.lower), upper: scaled(a.upper) } : { lower: scaled(a.upper), upper: scaled(a.lower) };
    }
    case "rem": {
      const divisor = constant ?? indexSize(withoutCasts(e.b));
      if (divisor === undefined || knows.range(divisor).min < 1) return NOTHING;
      return { lower: [isNonNegative(a) ? 0 : subSize(1, divisor)], upper: [subSize(divisor, 1)] };
    }
    case "div": case "shr": {
      const divisor = e.op === "div" ? constant : constant === undefined ? undefined : 2 ** constant;
      if (divisor === undefined || divisor <= 0 || !isNonNegative(a)) return NOTHING;
      return { lower: [0], upper: a.upper.map(x => floorDivSize(x, divisor)) };
    }
    default: return NOTHING;
  }
}

/** Sizes that are at least 0 where the condition holds (or does not). `named`: what a condition that has a name is. */
export function factsOf(e: Expr, holds: boolean, knows: Knowledge, named: (name: string) => Expr | undefined): Size[] {
  const of = (x: Expr, so: boolean): Size[] => factsOf(x, so, knows, named);
  if (e.kind === "var" && e.type.scalar === "bool") {
    const condition = named(e.name);
    return condition ? of(condition, holds) : [];
  }
  if (e.kind === "unary" && e.op === "not") return of(e.x, !holds);
  if (e.kind !== "binary") return [];
  if (e.op === "and" && typeOf(e.a).scalar === "bool") return holds ? [...of(e.a, true), ...of(e.b, true)] : [];
  if (e.op === "or" && typeOf(e.a).scalar === "bool") return holds ? [] : [...of(e.a, false), ...of(e.b, false)];
  const a = symbolOf(e.a, knows);
  const b = symbolOf(e.b, knows);
  if (a === undefined || b === undefined) return [];
  const less = (x: Size, y: Size): Size => subSize(subSize(y, x), 1);
  switch (e.op) {
    case "lt": return [holds ? less(a, b) : subSize(a, b)];
    case "ge": return [holds ? subSize(a, b) : less(a, b)];
    case "le": return [holds ? subSize(b, a) : less(b, a)];
    case "gt": return [holds ? less(b, a) : subSize(b, a)];
    case "eq": return holds ? [subSize(a, b), subSize(b, a)] : [];
    case "ne": return holds ? [] : [subSize(a, b), subSize(b, a)];
    default: return [];
  }
}
const symbolOf = (e: Expr, knows: Knowledge): Size | undefined =>
  e.kind === "var" && e.type.scalar === "i32" && e.type.lanes === 1 && knows.has(e.name) ? dimSize(e.name) : indexSize(e);
