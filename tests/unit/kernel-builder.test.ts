// The builder makes names unique, checks operands at once, folds constants and binds what is used twice.
import { describe, expect, it } from "vitest";
import { addSize, dimSize, mulSize } from "../../compiler/base/sizes.ts";
import { add, cast, constant, fma, gt, index, max, min, mul, select, splat } from "../../compiler/kernel/expr.ts";
import type { Expr, Stmt } from "../../compiler/kernel/ir.ts";
import { fusedF32 } from "../../compiler/kernel/scalar.ts";
import { KernelBuilder } from "../../kernels/builder.ts";

const x: Expr = { kind: "var", name: "x", type: { scalar: "f32", lanes: 1 } };
const lets = (block: readonly Stmt[]): string[] => block.flatMap(s => (s.kind === "let" ? [s.name] : []));

describe("expressions", () => {
  it("fold constants at the exact type", () => {
    expect(add(constant("f32", 16777216), 1)).toEqual(constant("f32", 16777216));
    expect(mul(constant("i32", 65536), 65536)).toEqual(constant("i32", 0));
    expect(mul(x, 1)).toBe(x);
    expect(add(x, 0).kind).toBe("binary");
  });
  it("keep index arithmetic in sizes", () => {
    const i = dimSize("i");
    expect(add(mul(i, 4), 1)).toEqual(index(addSize(mulSize(i, 4), 1)));
    expect(min(i, 3).kind).toBe("size");
    expect(gt(i, 3).kind).toBe("binary");
  });
  it("splat scalars beside vectors and refuse other types", () => {
    expect(fma(splat(x, 4), x, 1)).toMatchObject({ kind: "fma", b: { kind: "splat", lanes: 4 }, c: { kind: "const", type: { lanes: 4 } } });
    expect(() => add(x, dimSize("i"))).toThrow("operands are f32, i32");
    expect(() => select(x, 1, x)).toThrow("select by f32");
    expect(() => max(cast("bool", x), cast("bool", x))).toThrow("max of bool");
  });
});

describe("fusedF32", () => {
  it("rounds once where f64 would round twice", () => {
    // 1 + 2^-24 exactly is a tie; the product adds a little more than the f64 sum can hold.
    const a = 1 + 2 ** -12;
    const tiny = 2 ** -60;
    expect(fusedF32(1, 1 + 2 ** -23, 2 ** -24 + tiny)).toBe(Math.fround(1 + 2 ** -22));
    expect(fusedF32(1, 1, 2 ** -24)).toBe(1);
    expect(fusedF32(1, 1, Math.fround(2 ** -24 * (1 + 2 ** -23)))).toBe(Math.fround(1 + 2 ** -23));
    expect(fusedF32(a, a, -1)).toBe(Math.fround(2 ** -11 + 2 ** -24));
  });
});

describe("KernelBuilder", () => {
  const builder = () => new KernelBuilder({ name: "k", machine: "simd", summary: "" });

  it("binds what a block uses twice, once", () => {
    const k = builder();
    const a = k.param("a", "f32", [8]);
    const y = k.param("y", "f32", [8], "write");
    const i = k.grid("i", 8);
    const v = k.load(a, [i]);
    const square = mul(v, v);
    k.store(y, [i], fma(square, square, 1));
    k.store(y, [i], add(mul(v, v), 2));
    const { body } = k.finish({ flops: 8 });
    expect(lets(body)).toEqual(["v", "t"]);
    expect(body[2]).toMatchObject({ kind: "store", value: { kind: "fma", a: { kind: "var", name: "t" }, b: { kind: "var", name: "t" } } });
    expect(body[3]).toMatchObject({ value: { kind: "binary", a: { kind: "var", name: "t" } } });
  });
  it("shares reads of mutables within one statement only", () => {
    const k = builder();
    const y = k.param("y", "f32", [8], "write");
    const m = k.mutable("m", constant("f32", 1));
    const read = mul(m, 3);
    k.store(y, [0], add(read, read));
    k.assign(m, 2);
    k.store(y, [1], read);
    const { body } = k.finish({ flops: 8 });
    expect(lets(body)).toEqual(["t"]);
    expect(body.at(-1)).toMatchObject({ value: { kind: "binary", a: { name: "m" } } });
  });
  it("gives each name once and nests blocks", () => {
    const k = builder();
    const y = k.param("y", "f32", [4, 4], "write");
    k.for_("i", 4, i => k.for_("i", 4, j => k.store(y, [i, j], 0)));
    expect(k.finish({ flops: 0 }).body).toMatchObject([{ variable: "i", body: [{ variable: "i1", body: [{ kind: "store" }] }] }]);
  });
  it("refuses a wrong number of indices, stores to inputs, and threads of simd kernels", () => {
    const k = builder();
    const a = k.param("a", "f32", [8, 8]);
    expect(() => k.load(a, [0])).toThrow("2 axes and is indexed by 1");
    expect(() => k.store(a, [0, 0], 1)).toThrow("a is read only");
    expect(() => k.thread("t", 32)).toThrow("only simt");
  });
});
