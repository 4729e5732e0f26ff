// The algebra of sizes: what a quotient and a remainder become, and that nothing it does changes a value.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { addSize, dimSize, dimsOf, divideExactly, evaluateSize, floorDivSize, modSize, mulSize, type Size, sizeRange, sizeText, subSize, substituteSize } from "../../compiler/base/sizes.ts";
import { flatten, unflatten } from "../../compiler/fusion/maps.ts";
import { indexExpressions, SYMBOLS, valuesOfSymbols } from "../support/index-expressions.ts";

const [x, y, S, W, H] = ["x", "y", "S", "W", "H"].map(dimSize) as [Size, Size, Size, Size, Size];
const plus = (...sizes: readonly Size[]): Size => sizes.reduce(addSize);
const times = (...sizes: readonly Size[]): Size => sizes.reduce(mulSize);

describe("a quotient", () => {
  it.each<[string, Size, Size, string]>([
    ["leaves what its divisor divides outside", plus(times(16, x), y), 16, "floordiv(y, 16) + x"],
    ["of a number that is left is that of the number", plus(times(16, x), 1), 16, "x"],
    ["has a constant of at least 0", subSize(x, 1), 4, "floordiv(x + 3, 4) - 1"],
    ["by a symbol as well", plus(times(S, x), y), S, "floordiv(y, S) + x"],
    ["of the last position is the last index", subSize(times(H, W), 1), W, "H - 1"],
    ["has no factor that all of it has", plus(times(6, x), times(6, y), 3), 8, "floordiv(3*x + 3*y + 1, 4)"],
    ["of a remainder is the remainder of a quotient", modSize(x, 12), 4, "mod(floordiv(x, 4), 3)"],
    ["has no lower part that counts for nothing", plus(times(16, x), times(8, modSize(y, 2)), modSize(y, 8)), 32, "floordiv(x, 2)"],
    ["has no factor that its part that counts has", plus(times(W, y), modSize(x, W)), times(H, W), "floordiv(y, H)"],
    ["by a sum leaves what that divides outside", plus(times(x, addSize(W, 2)), y), addSize(W, 2), "floordiv(y, W + 2) + x"],
  ])("%s", (_, a, b, wanted) => expect(sizeText(floorDivSize(a, b))).toBe(wanted));
});

describe("a remainder", () => {
  it.each<[string, Size, Size, string]>([
    ["has nothing that its divisor divides", plus(times(16, x), y, 17), 16, "mod(y + 1, 16)"],
    ["of a multiple and a number is the number", plus(times(16, x), 1), 16, "1"],
    ["of a common factor is a multiple", plus(times(4, x), 1), 8, "4*mod(x, 2) + 1"],
    ["of a remainder is that of the whole", modSize(x, 12), 4, "mod(x, 4)"],
    ["of a sum with a remainder is that of the sum", plus(modSize(x, 12), y), 4, "mod(x + y, 4)"],
    ["by a symbol leaves its multiples out", plus(times(S, x), y), S, "mod(y, S)"],
    ["of the last position is the last", subSize(times(H, W), 1), W, "W - 1"],
  ])("%s", (_, a, b, wanted) => expect(sizeText(modSize(a, b))).toBe(wanted));
});

describe("a position", () => {
  const shapes: (readonly Size[])[] = [[3, 4, 5], [1, S, 8], [H, W, 3], [2, 1, S, 1, 4], [W, H, S], [7]];
  it.each(shapes.map(shape => [`[${shape.map(sizeText).join(", ")}]`, shape] as const))("taken apart by %s and put together is itself", (_, shape) => {
    expect(sizeText(flatten(unflatten(x, shape), shape))).toBe("x");
  });
  it("that is a sum is found in its parts", () => {
    const parts = (p: Size): Size[] => unflatten(p, [9, 4, 16]);
    expect(sizeText(flatten(parts(plus(times(16, x), y)), [9, 4, 16]))).toBe("16*x + y");
  });
  it("taken apart in two ways is taken apart once", () => {
    const [a, b, c] = unflatten(x, [4, 3, 5]) as [Size, Size, Size];
    expect(unflatten(flatten([b, c], [3, 5]), [15]).concat(a).map(sizeText)).toEqual(["mod(x, 15)", "floordiv(floordiv(x, 5), 3)"]);
    expect(flatten([a, b], [4, 3])).toEqual(floorDivSize(x, 5));
    expect(sizeText(flatten([floorDivSize(x, 15), b], [4, 3]))).toBe("floordiv(x, 5)");
  });
  it("has no remainder along the first axis that is longer than 1", () => {
    expect(unflatten(x, [1, S, 8]).map(sizeText)).toEqual(["0", "floordiv(x, 8)", "mod(x, 8)"]);
    expect(unflatten(x, [1, 1, 128]).map(sizeText)).toEqual(["0", "0", "x"]);
  });
});

describe("division without a rest", () => {
  it("is found where the divisor is a sum", () => expect(sizeText(divideExactly(times(addSize(W, 2), x), addSize(W, 2))!)).toBe("x"));
  it("is not found where there is one", () => {
    expect(divideExactly(plus(times(4, x), 2), 4)).toBeUndefined();
    expect(divideExactly(x, times(x, 2))).toBeUndefined();
  });
});

describe("any expression", () => {
  const rangeOf = (name: string) => SYMBOLS.find(s => s.name === name);
  test("has the value that it is written with, which lies in its range", () => {
    fc.assert(fc.property(indexExpressions, fc.array(valuesOfSymbols, { minLength: 6, maxLength: 6 }), (written, samples) => {
      const { min, max } = sizeRange(written.size, rangeOf);
      for (const values of samples) {
        const wanted = written.value(values);
        expect(evaluateSize(written.size, values), `${written.text} as ${sizeText(written.size)}`).toBe(wanted);
        expect(min <= wanted && wanted <= max, `${wanted} in ${min} … ${max}`).toBe(true);
      }
    }), { numRuns: 3000, seed: 1 });
  });
  test("with symbols replaced has the value of what they are replaced by", () => {
    fc.assert(fc.property(indexExpressions, indexExpressions, valuesOfSymbols, (written, by, values) => {
      // Divisors do not depend on i.
      const replaced = substituteSize(written.size, name => (name === "i" ? by.size : undefined));
      expect(evaluateSize(replaced, values)).toBe(written.value({ ...values, i: by.value(values) }));
    }), { numRuns: 1500, seed: 2 });
  });
  test("keeps to the symbols that it is written with", () => {
    fc.assert(fc.property(indexExpressions, written => [...dimsOf(written.size)].forEach(name => expect(written.text).toContain(name))), { numRuns: 300, seed: 3 });
  });
});
