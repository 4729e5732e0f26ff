// Every op's type rule and its value in the reference interpreter, on small integers, in float64 and in the prime field.
import { afterAll, describe, expect, test } from "vitest";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { DType } from "../../compiler/base/dtypes.ts";
import { dimSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { erf, type Field, float64, type NdArray, PRIME, prime } from "../../compiler/graph/field.ts";
import { type BinaryOp, type Graph, type NodeId, type OpAttrs, type OpName, tensorType, type UnaryOp } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { OP_NAMES } from "../../compiler/graph/ops.ts";
import { typeText } from "../../compiler/graph/ops/typing.ts";

const N = dimSize("N");
const DIMS = [{ name: "N", binding: "call", min: 1, max: 64, multipleOf: 1 }] as const;
const a = (dtype: DType, shape: readonly number[], ...data: number[]): NdArray => ({ dtype, shape, data: Float64Array.from(data) });
const f32 = (...data: number[]): NdArray => a("f32", [data.length], ...data);
const i32 = (...data: number[]): NdArray => a("i32", [data.length], ...data);
const scalar = (x: number): NdArray => a("i32", [], x);
const bools = (...data: number[]): NdArray => a("bool", [data.length], ...data);
/** 0, 1, 2, … in the shape. */
const counting = (...shape: number[]): NdArray => a("f32", shape, ...Array.from({ length: shape.reduce((n, s) => n * s, 1) }, (_, i) => i));

const seen = new Set<OpName>();
function graphOf<O extends OpName>(op: O, inputs: readonly { readonly dtype: DType; readonly shape: readonly Size[] }[], attrs: OpAttrs[O]): Graph {
  seen.add(op);
  const b = new GraphBuilder(op);
  for (const d of DIMS) b.declareDim(d);
  const id = b.add(op, inputs.map((x, i) => b.add("input", [], { name: `x${i}`, type: tensorType(x.dtype, x.shape) })), attrs);
  const type = b.valueType(id);
  const items = "items" in type ? type.items.map((_, index) => b.add("item", [id], { index })) : [id];
  items.forEach((id, i) => b.outputs.push({ name: `y${i}`, id }));
  return b.finish();
}
/** The op's results, all of them. */
function all<O extends OpName>(op: O, inputs: readonly NdArray[], attrs: OpAttrs[O], field: Field = float64): NdArray[] {
  return Object.values(interpret(graphOf(op, inputs, attrs), { inputs: Object.fromEntries(inputs.map((x, i) => [`x${i}`, x])), dims: { N: 3 }, field }).outputs);
}
const values = <O extends OpName>(op: O, inputs: readonly NdArray[], attrs: OpAttrs[O], field?: Field): number[] => Array.from(all(op, inputs, attrs, field)[0]!.data, x => x + 0);
/** The same values in both fields, a negative one as its residue. */
function exact<O extends OpName>(op: O, inputs: readonly NdArray[], attrs: OpAttrs[O], expected: readonly number[]): void {
  expect(values(op, inputs, attrs)).toEqual(expected);
  const isFloat = all(op, inputs, attrs)[0]!.dtype.includes("f");
  const residues = inputs.map(x => (x.dtype.includes("f") ? { ...x, data: x.data.map(v => prime.literal(v, x.dtype)) } : x));
  expect(values(op, residues, attrs, prime)).toEqual(isFloat ? expected.map(x => (x < 0 ? x + PRIME : x)) : expected);
}
const type = <O extends OpName>(op: O, inputs: readonly (readonly [DType, ...Size[]])[], attrs: OpAttrs[O]): string => {
  const g = graphOf(op, inputs.map(([dtype, ...shape]) => ({ dtype, shape })), attrs);
  return g.outputs.map(o => typeText(g.nodes[o.id]!.type)).join(" ");
};
const refused = (make: () => unknown): string => {
  try {
    make();
  } catch (e) {
    if (e instanceof SluiceError) return e.diagnostic.message;
    throw e;
  }
  return "accepted";
};

describe("elementwise", () => {
  test.each<[UnaryOp, number[], number[]]>([
    ["neg", [2, -3, 0], [-2, 3, 0]], ["abs", [2, -3, 0], [2, 3, 0]], ["sign", [2, -3, 0], [1, -1, 0]],
    ["exp", [0], [1]], ["log", [1], [0]], ["sqrt", [9, 0], [3, 0]], ["rsqrt", [4], [0.5]], ["sin", [0], [0]], ["cos", [0], [1]], ["tanh", [0], [0]], ["erf", [0], [0]],
    ["floor", [1.5, -1.5], [1, -2]], ["ceil", [1.5, -1.5], [2, -1]], ["round", [0.5, 1.5, 2.5, -0.5, -1.5, 2.4], [0, 2, 2, 0, -2, 2]],
  ])("%s", (op, x, y) => {
    expect(values(op, [f32(...x)], {})).toEqual(y);
    expect(type(op, [["f32", N, 2]], {})).toBe("f32[N, 2]");
    // A keyed function in the prime field, and the same one every time.
    expect(values(op, [f32(5)], {}, prime)).toEqual(values(op, [f32(5)], {}, prime));
  });
  test("rounding keeps the sign of a zero", () => {
    expect([-0.5, -0.2, -0, 0.3].map(x => float64.unary("round", x, "f32"))).toEqual([-0, -0, -0, 0]);
  });
  test("is_finite and not", () => {
    expect(values("is_finite", [f32(1, NaN, Infinity, -Infinity)], {})).toEqual([1, 0, 0, 0]);
    expect(type("is_finite", [["f16", 2]], {})).toBe("bool[2]");
    expect(values("not", [bools(0, 1)], {})).toEqual([1, 0]);
    expect(values("not", [i32(0, 5)], {})).toEqual([-1, -6]);
    expect(values("not", [a("u8", [2], 0, 5)], {})).toEqual([255, 250]);
  });
  test.each<[BinaryOp, number[], number[], number[]]>([
    ["add", [1, -2], [3, 5], [4, 3]], ["sub", [1, -2], [3, 5], [-2, -7]], ["mul", [2, -2], [3, 5], [6, -10]], ["div", [6, -10], [3, 5], [2, -2]],
  ])("%s is exact in both fields", (op, x, y, z) => {
    exact(op, [f32(...x), f32(...y)], {}, z);
    exact(op, [i32(...x), i32(...y)], {}, z);
  });
  test.each<[BinaryOp, number[], number[], number[]]>([
    ["mod", [7, -7, 7], [3, 3, -3], [1, 2, -2]], ["pow", [2, 3], [3, 2], [8, 9]], ["max", [1, 5], [3, 2], [3, 5]], ["min", [1, 5], [3, 2], [1, 2]], ["atan2", [0], [1], [0]],
    ["eq", [1, 2], [1, 3], [1, 0]], ["ne", [1, 2], [1, 3], [0, 1]], ["lt", [1, 3], [2, 3], [1, 0]], ["le", [1, 4], [1, 3], [1, 0]], ["gt", [2, 3], [1, 3], [1, 0]], ["ge", [1, 2], [1, 3], [1, 0]],
  ])("%s", (op, x, y, z) => expect(values(op, [f32(...x), f32(...y)], {})).toEqual(z));
  test("integers wrap at their width, and nothing traps", () => {
    expect(values("add", [i32(2 ** 31 - 1), i32(1)], {})).toEqual([-(2 ** 31)]);
    expect(values("mul", [a("u32", [1], 2 ** 32 - 1), a("u32", [1], 2 ** 32 - 1)], {})).toEqual([1]);
    expect(values("mul", [i32(123456789), i32(987654321)], {})).toEqual([Math.imul(123456789, 987654321)]);
    expect(values("add", [a("i8", [2], 127, -128), a("i8", [2], 1, -1)], {})).toEqual([-128, 127]);
    expect(values("sub", [a("u8", [1], 0), a("u8", [1], 1)], {})).toEqual([255]);
    expect(values("mul", [a("i4", [1], 7), a("i4", [1], 7)], {})).toEqual([1]);
    expect(values("mul", [a("i16", [1], 300), a("i16", [1], 300)], {})).toEqual([90000 - 65536]);
    expect(values("div", [i32(7, -7, 7, -(2 ** 31)), i32(2, 2, 0, -1)], {})).toEqual([3, -3, 0, -(2 ** 31)]);
    expect(values("mod", [i32(7, -7, 7, -7), i32(3, 3, 0, -3)], {})).toEqual([1, 2, 0, -1]);
    expect(values("neg", [i32(-(2 ** 31))], {})).toEqual([-(2 ** 31)]);
    expect(values("neg", [a("u8", [1], 1)], {})).toEqual([255]);
    expect(values("abs", [a("i8", [1], -128)], {})).toEqual([-128]);
  });
  test("bits", () => {
    expect(values("and", [i32(6, -1), i32(3, 5)], {})).toEqual([2, 5]);
    expect(values("or", [i32(6, -8), i32(3, 5)], {})).toEqual([7, -3]);
    expect(values("xor", [i32(6), i32(3)], {})).toEqual([5]);
    expect(values("xor", [bools(0, 1, 1), bools(1, 1, 0)], {})).toEqual([1, 0, 1]);
    expect(values("or", [a("u32", [1], 0x80000000), a("u32", [1], 1)], {})).toEqual([0x80000001]);
    expect(values("shl", [i32(1, 1, 1), i32(4, 31, 33)], {})).toEqual([16, -(2 ** 31), 2]);
    expect(values("shl", [a("u8", [2], 255, 1), a("u8", [2], 1, 9)], {})).toEqual([254, 2]);
    expect(values("shr", [i32(-8, 8), i32(1, 2)], {})).toEqual([-4, 2]);
    expect(values("shr", [a("u32", [1], 2 ** 32 - 8), a("u32", [1], 1)], {})).toEqual([2 ** 31 - 4]);
    expect(values("mulhi", [a("u32", [1], 2 ** 32 - 1), a("u32", [1], 2 ** 32 - 1)], {})).toEqual([2 ** 32 - 2]);
    expect(values("mulhi", [i32(-1, 2 ** 30), i32(2, 8)], {})).toEqual([-1, 2]);
  });
  test("select takes each element from its side", () => exact("select", [bools(1, 0, 1), f32(1, 2, 3), f32(-1, -2, -3)], {}, [1, -2, 3]));
  test("what does not fit is refused", () => {
    expect(refused(() => type("add", [["f32", 2], ["f32", 3]], {}))).toMatch(/axis 0 is 2 in one and 3 in the other/);
    expect(refused(() => type("add", [["f32", N], ["f32", 3]], {}))).toMatch(/axis 0 is N/);
    expect(refused(() => type("add", [["f32", 2], ["f64", 2]], {}))).toMatch(/dtypes f32 and f64 differ/);
    expect(refused(() => type("add", [["f32", 2]] as never, {}))).toMatch(/1 inputs are given/);
    expect(refused(() => type("exp", [["i32", 2]], {}))).toMatch(/the dtype does not fit/);
    expect(refused(() => type("shl", [["f32", 2], ["f32", 2]], {}))).toMatch(/the dtype does not fit/);
    expect(refused(() => type("neg", [["bool", 2]], {}))).toMatch(/the dtype does not fit/);
    expect(refused(() => type("abs", [["u8", 2]], {}))).toMatch(/the dtype does not fit/);
    expect(refused(() => type("select", [["f32", 2], ["f32", 2], ["f32", 2]], {}))).toMatch(/the dtype does not fit/);
  });
});

test("erf against values of a table", () => {
  const table: readonly (readonly [number, number])[] = [[0.1, 0.1124629160182849], [0.5, 0.5204998778130465], [1, 0.8427007929497149], [2, 0.9953222650189527], [2.4, 0.9993114861033549], [2.6, 0.9997639655834707], [3, 0.9999779095030014], [4, 0.9999999845827421]];
  for (const [x, y] of table) {
    expect(Math.abs(erf(x) - y)).toBeLessThan(2e-16 * 4);
    expect(erf(-x)).toBe(-erf(x));
  }
});

describe("conversions", () => {
  test("cast saturates floats into integers, wraps integers, and rounds floats", () => {
    const cast = (from: NdArray, dtype: DType) => values("cast", [from], { dtype });
    expect(cast(f32(1.9, -1.9, NaN, 1e10, -1e10), "i32")).toEqual([1, -1, 0, 2 ** 31 - 1, -(2 ** 31)]);
    expect(cast(f32(-1, 5e9), "u32")).toEqual([0, 2 ** 32 - 1]);
    const wide = f32(NaN, 255.9, 256, 300, -1, -Infinity, Infinity, 4e9);
    expect(cast(wide, "u8")).toEqual([0, 255, 255, 255, 0, 0, 255, 255]);
    expect(cast(wide, "i8")).toEqual([0, 127, 127, 127, -1, -128, 127, 127]);
    expect(cast(wide, "i4")).toEqual([0, 7, 7, 7, -1, -8, 7, 7]);
    expect(cast(f32(65536, -1, 32768, -32769), "u16")).toEqual([65535, 0, 32768, 0]);
    expect(cast(f32(65536, -1, 32768, -32769), "i16")).toEqual([32767, -1, 32767, -32768]);
    expect(cast(i32(300, -1), "u8")).toEqual([44, 255]);
    expect(cast(i32(200), "i8")).toEqual([-56]);
    expect(cast(i32(9, -9), "i4")).toEqual([-7, 7]);
    expect(cast(f32(0, 0.5, NaN), "bool")).toEqual([0, 1, 1]);
    expect(cast(f32(1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -24, 2 ** -25), "f16")).toEqual([1, 1 + 2 ** -9, 65504, Infinity, 2 ** -24, 0]);
    expect(cast(f32(1 + 2 ** -8, 1 + 3 * 2 ** -8), "bf16")).toEqual([1, 1 + 2 ** -6]);
    expect(cast(i32(16777217), "f32")).toEqual([16777216]);
    expect(cast(bools(0, 1), "f32")).toEqual([0, 1]);
  });
  test("in the prime field casts to wider floats keep the residue, and all others are keyed functions", () => {
    expect(values("cast", [f32(5)], { dtype: "f64" }, prime)).toEqual([5]);
    expect(values("cast", [i32(-1)], { dtype: "f32" }, prime)).toEqual([PRIME - 1]);
    expect(values("cast", [f32(5)], { dtype: "f16" }, prime)).not.toEqual([5]);
    expect(values("cast", [i32(300)], { dtype: "u8" }, prime)).toEqual([44]);
  });
  test("bitcast reads the same bits", () => {
    expect(values("bitcast", [f32(1, -2)], { dtype: "u32" })).toEqual([0x3f800000, 0xc0000000]);
    expect(values("bitcast", [i32(0x40400000)], { dtype: "f32" })).toEqual([3]);
    expect(values("bitcast", [a("u32", [1], 2 ** 32 - 1)], { dtype: "i32" })).toEqual([-1]);
    expect(refused(() => type("bitcast", [["f16", 2]], { dtype: "i16" }))).toMatch(/between f32, i32 and u32/);
  });
});

describe("movement", () => {
  test("broadcast", () => {
    exact("broadcast", [f32(1, 2)], { dims: [1], shape: [2, 2], axes: [null, null] }, [1, 2, 1, 2]);
    exact("broadcast", [a("f32", [2, 1], 1, 2)], { dims: [0, 1], shape: [2, 3], axes: [null, null] }, [1, 1, 1, 2, 2, 2]);
    exact("broadcast", [a("f32", [1], 7)], { dims: [0], shape: [N], axes: [null] }, [7, 7, 7]);
    expect(refused(() => type("broadcast", [["f32", 2]], { dims: [0], shape: [3], axes: [null] }))).toMatch(/does not broadcast/);
    expect(refused(() => type("broadcast", [["f32", 2, 2]], { dims: [1, 0], shape: [2, 2], axes: [null, null] }))).toMatch(/dims do not ascend/);
  });
  test("reshape", () => {
    exact("reshape", [counting(2, 3)], { shape: [3, 2], axes: [null, null] }, [0, 1, 2, 3, 4, 5]);
    expect(type("reshape", [["f32", N, 4]], { shape: [2, mulSize(2, N)], axes: [null, null] })).toBe("f32[2, 2*N]");
    expect(refused(() => type("reshape", [["f32", N, 4]], { shape: [N, 5], axes: [null, null] }))).toMatch(/changes the number of elements/);
  });
  test("transpose", () => {
    exact("transpose", [counting(2, 3)], { perm: [1, 0] }, [0, 3, 1, 4, 2, 5]);
    exact("transpose", [counting(2, 2, 2)], { perm: [2, 0, 1] }, [0, 2, 4, 6, 1, 3, 5, 7]);
    expect(type("transpose", [["f32", N, 2, 3]], { perm: [1, 2, 0] })).toBe("f32[2, 3, N]");
    expect(refused(() => type("transpose", [["f32", 2, 3]], { perm: [0, 0] }))).toMatch(/named twice/);
  });
  test("slice", () => {
    exact("slice", [counting(3, 4)], { start: [1, 0], size: [2, 2], stride: [1, 3] }, [4, 7, 8, 11]);
    expect(type("slice", [["f32", N, 4]], { start: [0, 1], size: [subSize(N, 1), 2], stride: [1, 2] })).toBe("f32[N - 1, 2]");
    expect(refused(() => type("slice", [["f32", 4]], { start: [2], size: [3], stride: [1] }))).toMatch(/outside its bounds/);
    expect(refused(() => type("slice", [["f32", 5]], { start: [0], size: [3], stride: [3] }))).toMatch(/outside its bounds/);
    expect(refused(() => type("slice", [["f32", 5]], { start: [0], size: [3], stride: [0] }))).toMatch(/stride 0/);
  });
  test("a symbolic slice that leaves its bounds is refused when the dims are bound", () => {
    expect(refused(() => values("slice", [f32(1, 2, 3)], { start: [0], size: [mulSize(2, N)], stride: [1] }))).toMatch(/outside its bounds/);
    expect(refused(() => values("dynamic_slice", [f32(1, 2), scalar(0)], { axes: [0], size: [N] }))).toMatch(/outside its bounds/);
  });
  test("dynamic_slice and dynamic_update clamp their starts", () => {
    exact("dynamic_slice", [counting(4), scalar(1)], { axes: [0], size: [2] }, [1, 2]);
    exact("dynamic_slice", [counting(4), scalar(9)], { axes: [0], size: [2] }, [2, 3]);
    exact("dynamic_slice", [counting(2, 3), scalar(-4), scalar(1)], { axes: [0, 1], size: [1, 2] }, [1, 2]);
    exact("dynamic_update", [counting(4), f32(8, 9), scalar(3)], { axes: [0] }, [0, 1, 8, 9]);
    exact("dynamic_update", [counting(2, 2), a("f32", [2, 1], 8, 9), scalar(1)], { axes: [1] }, [0, 8, 2, 9]);
    expect(refused(() => type("dynamic_slice", [["f32", 4]], { axes: [0], size: [2] }))).toMatch(/one start for each axis/);
    expect(refused(() => type("dynamic_update", [["f32", 4, 2], ["f32", 2, 1], ["i32"]], { axes: [0] }))).toMatch(/axis 1 of the part/);
  });
  test("pad, flip, concat", () => {
    exact("pad", [a("f32", [1, 2], 1, 2)], { low: [1, 0], high: [0, 1], value: -3 }, [-3, -3, -3, 1, 2, -3]);
    exact("pad", [f32(1)], { low: [0], high: [N], value: 4 }, [1, 4, 4, 4]);
    exact("flip", [counting(2, 3)], { axes: [1] }, [2, 1, 0, 5, 4, 3]);
    exact("flip", [counting(2, 3)], { axes: [0, 1] }, [5, 4, 3, 2, 1, 0]);
    exact("concat", [a("f32", [2, 1], 1, 2), a("f32", [2, 2], 3, 4, 5, 6)], { axis: 1 }, [1, 3, 4, 2, 5, 6]);
    expect(type("concat", [["f32", N, 2], ["f32", 3, 2], ["f32", N, 2]], { axis: 0 })).toBe("f32[2*N + 3, 2]");
    expect(refused(() => type("concat", [["f32", N, 2], ["f32", 3, 1]], { axis: 0 }))).toMatch(/axis 1 differs/);
    expect(refused(() => type("pad", [["f32", 2]], { low: [-1], high: [0], value: 0 }))).toMatch(/negative/);
  });
});

describe("reductions, scans, sorting", () => {
  test("reduce", () => {
    exact("reduce", [counting(2, 3)], { kind: "sum", axes: [1] }, [3, 12]);
    exact("reduce", [counting(2, 3)], { kind: "sum", axes: [0, 1] }, [15]);
    exact("reduce", [counting(2, 2, 2)], { kind: "max", axes: [0, 2] }, [5, 7]);
    exact("reduce", [f32(2, 3, 4)], { kind: "prod", axes: [0] }, [24]);
    expect(values("reduce", [f32(2, -3, 4)], { kind: "min", axes: [0] })).toEqual([-3]);
    expect(values("reduce", [bools(0, 1)], { kind: "max", axes: [0] })).toEqual([1]);
    expect(values("reduce", [a("u8", [2], 200, 100)], { kind: "sum", axes: [0] })).toEqual([44]);
    expect(type("reduce", [["f32", N, 2, 3]], { kind: "sum", axes: [1] })).toBe("f32[N, 3]");
    expect(refused(() => type("reduce", [["bool", 2]], { kind: "sum", axes: [0] }))).toMatch(/the dtype does not fit/);
    expect(refused(() => type("reduce", [["f32", 2]], { kind: "sum", axes: [1] }))).toMatch(/out of range/);
  });
  test("arg_reduce takes the first of equals", () => {
    exact("arg_reduce", [a("f32", [2, 3], 5, 9, 9, 4, 4, 1)], { kind: "max", axis: 1 }, [1, 0]);
    exact("arg_reduce", [a("f32", [2, 3], 5, 9, 9, 1, 4, 1)], { kind: "min", axis: 1 }, [0, 0]);
    expect(type("arg_reduce", [["f32", N, 2]], { kind: "max", axis: 1 })).toBe("i32[N]");
  });
  test("scan", () => {
    const on = { axis: 0, exclusive: false, reverse: false } as const;
    exact("scan", [f32(1, 2, 3)], { ...on, kind: "sum" }, [1, 3, 6]);
    exact("scan", [f32(1, 2, 3)], { ...on, kind: "sum", exclusive: true }, [0, 1, 3]);
    exact("scan", [f32(2, 3, 4)], { ...on, kind: "prod", reverse: true }, [24, 12, 4]);
    exact("scan", [f32(2, 3, 4)], { ...on, kind: "prod", exclusive: true, reverse: true }, [12, 4, 1]);
    exact("scan", [f32(2, 5, 3)], { ...on, kind: "max" }, [2, 5, 5]);
    exact("scan", [f32(2, 5, 3)], { ...on, kind: "min", reverse: true }, [2, 3, 3]);
    exact("scan", [counting(2, 2)], { ...on, kind: "sum" }, [0, 1, 2, 4]);
    expect(refused(() => type("scan", [["f32", 2]], { ...on, kind: "max", exclusive: true }))).toMatch(/no first value/);
  });
  test("sort and topk are stable and keep NaN last", () => {
    const two = (op: "sort", x: NdArray, descending: boolean) => all(op, [x], { axis: 0, descending }).map(y => [...y.data]);
    expect(two("sort", f32(3, 1, 3, 2), false)).toEqual([[1, 2, 3, 3], [1, 3, 0, 2]]);
    expect(two("sort", f32(3, 1, 3, 2), true)).toEqual([[3, 3, 2, 1], [0, 2, 3, 1]]);
    expect(two("sort", f32(NaN, 1, 2), true)).toEqual([[2, 1, NaN], [2, 1, 0]]);
    expect(all("topk", [a("f32", [2, 3], 1, 3, 2, 6, 6, 4)], { k: 2, axis: 1 }).map(y => [...y.data])).toEqual([[3, 2, 6, 6], [1, 2, 0, 1]]);
    expect(type("topk", [["f32", N, 4]], { k: 2, axis: 1 })).toBe("f32[N, 2] i32[N, 2]");
    expect(refused(() => type("topk", [["f32", 4]], { k: 5, axis: 0 }))).toMatch(/more are asked for/);
  });
  test("search_sorted", () => {
    exact("search_sorted", [f32(1, 3, 3, 5), f32(0, 3, 4, 9)], {}, [0, 1, 3, 4]);
    expect(refused(() => type("search_sorted", [["f32", 2, 2], ["f32", 1]], {}))).toMatch(/not a vector/);
  });
});

describe("contractions and convolutions", () => {
  test("contract", () => {
    const [x, y] = [a("f32", [2, 3], 1, 2, 3, 4, 5, 6), a("f32", [3, 2], 1, 0, 2, 1, 0, -1)];
    exact("contract", [x, y], { a: [0, 1], b: [1, 2], out: [0, 2] }, [5, -1, 14, -1]);
    exact("contract", [x, y], { a: [0, 1], b: [1, 2], out: [2, 0] }, [5, 14, -1, -1]);
    exact("contract", [f32(1, 2), f32(3, 4)], { a: [0], b: [1], out: [0, 1] }, [3, 4, 6, 8]);
    exact("contract", [f32(1, 2), f32(3, 4)], { a: [0], b: [0], out: [] }, [11]);
    exact("contract", [f32(1, 2), f32(3, 4)], { a: [0], b: [1], out: [0] }, [7, 14]);
    exact("contract", [i32(2, 3), i32(4, 5)], { a: [0], b: [0], out: [0] }, [8, 15]);
    expect(type("contract", [["f16", N, 2], ["f16", 2, 5]], { a: [0, 1], b: [1, 2], out: [0, 2] })).toBe("f16[N, 5]");
    expect(refused(() => type("contract", [["f32", 2, 3], ["f32", 2, 4]], { a: [0, 1], b: [1, 2], out: [0, 2] }))).toMatch(/sizes multiplied together differ: 3 and 2/);
    expect(refused(() => type("contract", [["f32", 2, 2], ["f32", 2]], { a: [0, 0], b: [0], out: [0] }))).toMatch(/all different/);
    expect(refused(() => type("contract", [["f32", 2], ["f32", 2]], { a: [0], b: [0], out: [3] }))).toMatch(/labels of the operands/);
  });
  const plain = { stride: [1, 1], padding: [[0, 0], [0, 0]], dilation: [1, 1], groups: 1 } as const;
  const image = a("f32", [1, 3, 3, 1], 1, 2, 3, 4, 5, 6, 7, 8, 9);
  test("conv", () => {
    const filter = a("f32", [2, 2, 1, 1], 1, 2, 3, 4);
    exact("conv", [image, filter], plain, [37, 47, 67, 77]);
    exact("conv", [image, filter], { ...plain, padding: [[1, 0], [0, 0]], stride: [2, 1] }, [11, 18, 67, 77]);
    exact("conv", [image, filter], { ...plain, dilation: [2, 2] }, [1 + 6 + 21 + 36]);
    exact("conv", [a("f32", [1, 1, 1, 2], 2, 3), a("f32", [1, 1, 1, 4], 1, 2, 3, 4)], { ...plain, groups: 2 }, [2, 4, 9, 12]);
    expect(type("conv", [["f32", 1, N, 8, 3], ["f32", 3, 3, 3, 5]], { ...plain, padding: [[1, 1], [1, 1]] })).toBe("f32[1, N, 8, 5]");
  });
  test("conv_input and conv_filter are its transposes", () => {
    exact("conv_input", [a("f32", [1, 2, 2, 1], 1, 0, 0, 2), a("f32", [2, 2, 1, 1], 1, 2, 3, 4)], { ...plain, size: [3, 3] }, [1, 2, 0, 3, 6, 4, 0, 6, 8]);
    exact("conv_filter", [image, a("f32", [1, 2, 2, 1], 1, 0, 0, 2)], { ...plain, size: [2, 2] }, [11, 14, 20, 23]);
    // Rows that no window reaches get nothing.
    exact("conv_input", [a("f32", [1, 1, 1, 1], 5), a("f32", [1, 1, 1, 1], 2)], { ...plain, stride: [2, 2], size: [2, 2] }, [10, 0, 0, 0]);
  });
  test("what does not fit is refused", () => {
    const f = (x: readonly Size[], filter: readonly Size[], more: Partial<OpAttrs["conv"]> = {}) => refused(() => type("conv", [["f32", ...x], ["f32", ...filter]], { ...plain, ...more }));
    expect(f([1, 8, 8, 3], [3, 3, 4, 5])).toMatch(/channels of input and filter/);
    expect(f([8, 8, 3], [3, 3, 3, 5])).toMatch(/has 3 axes/);
    expect(f([1, 8, 8, 3], [N, 3, 3, 5])).toMatch(/not constant/);
    expect(f([1, 2, 8, 3], [3, 3, 3, 5])).toMatch(/does not fit into spatial axis 0/);
    expect(f([1, 8, 8, 4], [3, 3, 2, 5], { groups: 2 })).toMatch(/5 channels do not part into 2 groups/);
    expect(refused(() => type("conv_input", [["f32", 1, 2, 2, 1], ["f32", 2, 2, 1, 1]], { ...plain, size: [4, 3] }))).toMatch(/spatial axis 0 does not fit/);
    expect(refused(() => type("conv_filter", [["f32", 1, 3, 3, 3], ["f32", 1, 2, 2, 2]], { ...plain, groups: 2, size: [2, 2] }))).toMatch(/3 channels do not part/);
  });
});

describe("indexing", () => {
  test("gather clamps its ids", () => {
    exact("gather", [counting(3, 2), i32(2, 0, 9, -1)], { axis: 0, batch: 0 }, [4, 5, 0, 1, 4, 5, 0, 1]);
    exact("gather", [counting(2, 3), i32(2, 0)], { axis: 1, batch: 0 }, [2, 0, 5, 3]);
    exact("gather", [counting(2, 3), a("i32", [2, 2], 2, 0, 1, 1)], { axis: 1, batch: 1 }, [2, 0, 4, 4]);
    exact("gather", [counting(3), a("i32", [], 1)], { axis: 0, batch: 0 }, [1]);
    expect(type("gather", [["f32", 5, N, 2], ["i32", 5, 7]], { axis: 1, batch: 1 })).toBe("f32[5, 7, 2]");
    expect(refused(() => type("gather", [["f32", 5], ["f32", 2]], { axis: 0, batch: 0 }))).toMatch(/the dtype does not fit/);
    expect(refused(() => type("gather", [["f32", 5, 2], ["i32", 4]], { axis: 1, batch: 1 }))).toMatch(/batch axis 0 differs/);
  });
  test("scatter drops ids out of range and keeps the order of the ids", () => {
    exact("scatter", [f32(1, 1, 1), i32(0, 2, 0, 3, -1), f32(5, 6, 7, 8, 9)], { kind: "set", axis: 0, batch: 0 }, [7, 1, 6]);
    exact("scatter", [f32(1, 1, 1), i32(0, 2, 0, 3, -1), f32(5, 6, 7, 8, 9)], { kind: "add", axis: 0, batch: 0 }, [13, 1, 7]);
    exact("scatter", [f32(6, 1, 1), i32(0, 2), f32(5, 6)], { kind: "max", axis: 0, batch: 0 }, [6, 1, 6]);
    exact("scatter", [f32(6, 1, 1), i32(0, 2), f32(5, 6)], { kind: "min", axis: 0, batch: 0 }, [5, 1, 1]);
    exact("scatter", [counting(2, 2), a("i32", [2, 1], 1, 0), a("f32", [2, 1], 8, 9)], { kind: "set", axis: 1, batch: 1 }, [0, 8, 9, 3]);
    expect(refused(() => type("scatter", [["f32", 5], ["i32", 2], ["f32", 3]], { kind: "set", axis: 0, batch: 0 }))).toMatch(/axis 0 is 2 in one and 3/);
    expect(refused(() => type("scatter", [["bool", 5], ["i32", 2], ["bool", 2]], { kind: "add", axis: 0, batch: 0 }))).toMatch(/the dtype does not fit/);
  });
});

describe("sources, effects and bodies", () => {
  const body = (name: string, inputs: readonly (readonly [string, DType, readonly Size[]])[], make: (g: Build, ...xs: NodeId[]) => readonly NodeId[]): Graph => {
    const b = new GraphBuilder(name);
    const g = new Build(b, null);
    make(g, ...inputs.map(([name, dtype, shape]) => g.node("input", [], { name, type: tensorType(dtype, shape) }))).forEach((id, i) => b.outputs.push({ name: `y${i}`, id }));
    return b.finish();
  };
  test("const, iota and size", () => {
    exact("const", [], { value: 3, type: tensorType("f32", [2]) }, [3, 3]);
    exact("const", [], { value: [1, -2], type: tensorType("f32", [2]) }, [1, -2]);
    expect(values("const", [], { value: [300, -1.5], type: tensorType("u8", [2]) })).toEqual([44, 255]);
    exact("iota", [], { axis: 1, type: tensorType("f32", [2, N]) }, [0, 1, 2, 0, 1, 2]);
    exact("size", [], { size: subSize(mulSize(N, N), 1) }, [8]);
    expect(refused(() => type("const", [], { value: [1], type: tensorType("f32", [N]) }))).toMatch(/1 values are given/);
    expect(refused(() => type("iota", [], { axis: 1, type: tensorType("f32", [2]) }))).toMatch(/out of range/);
  });
  test("a half is the inverse of two in the prime field", () => {
    expect(prime.binary("mul", prime.literal(0.5, "f32"), 2, "f32")).toBe(1);
    expect(prime.binary("add", prime.literal(-0.375, "f32"), prime.literal(0.375, "f32"), "f32")).toBe(0);
    expect(prime.binary("mul", prime.binary("div", 7, 5, "f32"), 5, "f32")).toBe(7);
  });
  test("states, updates, and what is missing", () => {
    const b = new GraphBuilder("s");
    const g = new Build(b, null);
    b.declareState({ name: "w", type: tensorType("f32", [2]) });
    seen.add("state").add("input");
    const w = g.node("state", [], { name: "w", type: tensorType("f32", [2]) });
    b.updates.push({ name: "w", id: g.add(w, g.node("input", [], { name: "x", type: tensorType("f32", [2]) })) });
    b.outputs.push({ name: "before", id: w });
    const run = (inputs: { [name: string]: NdArray }, states: { [name: string]: NdArray }) => interpret(b.finish(), { inputs, states });
    const { outputs, updates } = run({ x: f32(1, 2) }, { w: f32(5, 6) });
    expect([...outputs["before"]!.data, ...updates["w"]!.data]).toEqual([5, 6, 6, 8]);
    expect(refused(() => run({ x: f32(1, 2) }, {}))).toMatch(/state w has no value/);
    expect(refused(() => run({}, { w: f32(1, 2) }))).toMatch(/input x has no value/);
    expect(refused(() => run({ x: f32(1) }, { w: f32(1, 2) }))).toMatch(/input x does not fit/);
  });
  test("identities and effects", () => {
    exact("stop_gradient", [f32(1, 2)], {}, [1, 2]);
    exact("tag", [f32(1, 2)], { name: "t" }, [1, 2]);
    exact("print", [f32(1, 2)], { label: "p" }, [1, 2]);
    expect(values("assert", [a("bool", [], 1)], { message: "holds" })).toEqual([1]);
    expect(refused(() => values("assert", [a("bool", [], 0)], { message: "x is small" }))).toMatch(/assertion failed: x is small/);
    expect(refused(() => type("assert", [["f32"]], { message: "" }))).toMatch(/not a scalar of bool/);
    const told: string[] = [];
    interpret(graphOf("print", [f32(4)], { label: "p" }), { inputs: { x0: f32(4) }, onEffect: (kind, text, value) => told.push(`${kind} ${text} ${value.data[0]}`) });
    expect(told).toEqual(["print p 4"]);
  });
  const step = body("step", [["i", "i32", []], ["c", "f32", [1]], ["w", "f32", [1]]], (g, i, c, w) => [g.add(g.mul(c!, w!), g.repeat(g.cast(i!, "f32"), c!))]);
  test("loop", () => {
    exact("loop", [f32(1), f32(2)], { body: step, trips: 3, carries: 1, until: false }, [12]);
    exact("loop", [f32(1), f32(2)], { body: step, trips: N, carries: 1, until: false }, [12]);
    exact("loop", [f32(1), f32(2)], { body: step, trips: 0, carries: 1, until: false }, [1]);
    const until = body("until", [["i", "i32", []], ["c", "i32", []]], (g, _i, c) => [g.add(c!, g.scalar(1, "i32")), g.binary("ge", c!, g.scalar(2, "i32"))]);
    exact("loop", [scalar(0)], { body: until, trips: 9, carries: 1, until: true }, [3]);
    expect(refused(() => type("loop", [["f32", 2], ["f32", 1]], { body: step, trips: 3, carries: 1, until: false }))).toMatch(/input c of step does not fit/);
    expect(refused(() => type("loop", [["f32", 1], ["f32", 1]], { body: step, trips: 3, carries: 2, until: false }))).toMatch(/gives 1 values/);
  });
  test("composite and item", () => {
    const pair = body("pair", [["a", "f32", [2]], ["b", "f32", [2]]], (g, x, y) => [g.add(x!, y!), g.mul(x!, y!)]);
    const results = all("composite", [f32(1, 2), f32(3, 4)], { name: "pair", attrs: {}, body: pair });
    expect(results.map(y => [...y.data])).toEqual([[4, 6], [3, 8]]);
    seen.add("item");
    expect(refused(() => type("composite", [["f32", 2]], { name: "pair", attrs: {}, body: pair }))).toMatch(/pair takes 2 inputs/);
    expect(refused(() => type("item", [["f32", 2]], { index: 0 }))).toMatch(/there is no item 0/);
  });
  test("random draws the same for the same key", () => {
    const key = a("u32", [2], 3, 4);
    const attrs = { kind: "uniform", stream: "s", call: 0, shape: [N], axes: [null] } as const;
    expect(values("random", [key], attrs)).toEqual(values("random", [key], attrs));
    expect(values("random", [key], attrs)).not.toEqual(values("random", [key], { ...attrs, call: 1 }));
    expect(type("random", [["u32", 2]], { ...attrs, kind: "bits" })).toBe("u32[N]");
    expect(refused(() => type("random", [["u32", 3]], attrs))).toMatch(/seed and step/);
  });
});

afterAll(() => expect(OP_NAMES.filter(op => !seen.has(op))).toEqual([]));
