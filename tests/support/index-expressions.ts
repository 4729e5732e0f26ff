// Index expressions as they are written, beside what the algebra of sizes makes of them: random ones, over symbols between
// bounds, so that every simplification can be compared with plain integer arithmetic.
import * as fc from "fast-check";
import { addSize, type DimDecl, type DimValues, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";

/** The expression as a size, and its value by its definition. */
export interface Written {
  readonly size: Size;
  value(values: DimValues): number;
  readonly text: string;
  /** For what a failing property prints. */
  [fc.toStringMethod](): string;
}

export const SYMBOLS: readonly DimDecl[] = [
  { name: "M", binding: "call", min: 1, max: 4, multipleOf: 1 }, { name: "N", binding: "call", min: 2, max: 7, multipleOf: 1 },
  { name: "i", binding: "call", min: 0, max: 11, multipleOf: 1 }, { name: "j", binding: "call", min: 0, max: 4, multipleOf: 1 },
  { name: "k", binding: "call", min: 0, max: 12, multipleOf: 4 },
];

/** Values of all symbols between their bounds. */
export const valuesOfSymbols: fc.Arbitrary<DimValues> = fc.record(Object.fromEntries(SYMBOLS.map(({ name, min, max, multipleOf }) =>
  [name, fc.integer({ min: Math.ceil(min / multipleOf), max: Math.floor(max / multipleOf) }).map(n => n * multipleOf)])));

const written = (text: string, size: Size, value: Written["value"]): Written => ({ text, size, value, [fc.toStringMethod]: () => text });
const number = (n: number): Written => written(String(n), n, () => n);
const symbol = (name: string): Written => written(name, dimSize(name), values => values[name]!);
const apply = (text: string, size: (a: Size, b: Size) => Size, value: (a: number, b: number) => number) => (a: Written, b: Written): Written =>
  written(`${text}(${a.text}, ${b.text})`, size(a.size, b.size), values => value(a.value(values), b.value(values)));

export const WRITTEN = {
  add: apply("add", addSize, (a, b) => a + b),
  sub: apply("sub", subSize, (a, b) => a - b),
  mul: apply("mul", mulSize, (a, b) => a * b + 0),
  min: apply("min", minSize, Math.min),
  max: apply("max", maxSize, Math.max),
  floordiv: apply("floordiv", floorDivSize, (a, b) => Math.floor(a / b)),
  mod: apply("mod", modSize, (a, b) => a - Math.floor(a / b) * b),
};

/** Divisors are extents: numbers and products of dims, and sums of those, all at least 1. */
const divisor: fc.Arbitrary<Written> = fc.oneof(
  { arbitrary: fc.constantFrom(1, 2, 3, 4, 5, 6, 8, 12, 16).map(number), weight: 5 },
  fc.constantFrom(symbol("M"), symbol("N"), WRITTEN.mul(symbol("M"), symbol("N")), WRITTEN.mul(number(2), symbol("N")), WRITTEN.mul(number(4), WRITTEN.mul(symbol("M"), symbol("N"))), WRITTEN.add(symbol("N"), number(2)), WRITTEN.add(symbol("N"), symbol("M"))),
);

/** Sums, products, divisions, minima and maxima, nested. */
export const indexExpressions: fc.Arbitrary<Written> = fc.letrec<{ e: Written }>(tie => {
  const e = tie("e");
  const binary = (f: (a: Written, b: Written) => Written, b: fc.Arbitrary<Written> = e) => fc.tuple(e, b).map(([x, y]) => f(x, y));
  return {
    e: fc.oneof({ depthSize: "medium", maxDepth: 6 },
      fc.oneof(fc.constantFrom("i", "i", "j", "k", "M", "N").map(symbol), fc.integer({ min: -9, max: 17 }).map(number)),
      binary(WRITTEN.add), binary(WRITTEN.sub), binary(WRITTEN.mul, fc.constantFrom(2, 3, 4, -1, 8, 16).map(number)), binary(WRITTEN.mul, fc.constantFrom("M", "N", "j").map(symbol)),
      binary(WRITTEN.min), binary(WRITTEN.max), binary(WRITTEN.floordiv, divisor), binary(WRITTEN.mod, divisor), binary(WRITTEN.floordiv, divisor), binary(WRITTEN.mod, divisor),
      // A position of which both parts are used.
      fc.tuple(e, divisor, divisor).map(([x, n, m]) => WRITTEN.add(WRITTEN.mul(WRITTEN.mod(WRITTEN.floordiv(x, n), m), n), WRITTEN.mod(x, n))),
      fc.tuple(e, divisor, divisor).map(([x, n, m]) => WRITTEN.add(WRITTEN.mul(WRITTEN.floordiv(x, n), WRITTEN.mul(n, m)), WRITTEN.mul(WRITTEN.mod(x, n), m))),
    ),
  };
}).e;
