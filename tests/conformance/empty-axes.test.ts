// Axes without elements, be it always or where a dim is bound to 0: every op that reduces, searches, sorts, moves or
// multiplies has one meaning there, on every target, and so have gradients.
import { describe, expect, test } from "vitest";
import { concat, dim, entry, f32, type F32, gradients, i32, instanceNorm, layerNorm, linear, module, state } from "sluice";
import type { DType } from "../../compiler/base/dtypes.ts";
import { dimSize, mulSize, type Size } from "../../compiler/base/sizes.ts";
import type { Build } from "../../compiler/graph/build.ts";
import { type NodeId, tensorType } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { expectCompiled } from "../support/compiled.ts";
import { graphOf } from "../support/op-graphs.ts";
import { numbersOf, RUNNERS, withProgram } from "../support/programs.ts";

type Input = (name: string, dtype: DType, ...shape: Size[]) => NodeId;
/** What is asked of an axis of n elements; `of` makes the names of inputs differ. */
type Asked = (g: Build, input: Input, n: Size, of: string) => readonly NodeId[];

const reductions: Asked = (g, input, n, of) => (["f32", "f16", "i32", "i8", "u8", "bool"] as const).flatMap(dtype => {
  const x = input(`${dtype}${of}`, dtype, n, 5);
  const kinds = dtype === "bool" ? (["max", "min"] as const) : dtype === "f16" ? (["sum", "max", "min"] as const) : (["sum", "prod", "max", "min"] as const);
  const scan = dtype === "f32" ? [g.node("scan", [x], { kind: "sum", axis: 0, exclusive: false, reverse: true })] : [];
  const positions = (["max", "min"] as const).map(kind => g.node("arg_reduce", [x], { kind, axis: 0 }));
  return [...kinds.flatMap(kind => [g.reduce(kind, x, [0]), g.reduce(kind, x, [0, 1]), g.reduce(kind, x, [1])]), ...positions, ...scan];
});

const orders: Asked = (g, input, n, of) => {
  const [x, list, values] = [input(`x${of}`, "f32", n, 3), input(`list${of}`, "f32", n), input(`values${of}`, "f32", 4)];
  const sorted = ([false, true] as const).map(descending => g.node("sort", [x], { axis: 0, descending }));
  return [...sorted.flatMap(s => [g.item(s, 0), g.item(s, 1)]), g.node("search_sorted", [list, values], {}), g.node("search_sorted", [values, list], {})];
};

const positions: Asked = (g, input, n, of) => (["i32", "u32"] as const).flatMap(ids => {
  const [x, at, some, many] = [input(`x${ids}${of}`, "f32", n, 4), input(`at${ids}${of}`, ids, 3), input(`some${ids}${of}`, ids, n), input(`many${ids}${of}`, "f32", 6, 4)];
  const part = input(`part${ids}${of}`, "f32", 3, 4);
  const put = (kind: "set" | "add"): NodeId[] => [g.node("scatter", [x, at, part], { kind, axis: 0, batch: 0 }), g.node("scatter", [many, some, x], { kind, axis: 0, batch: 0 })];
  return [g.node("gather", [x, at], { axis: 0, batch: 0 }), g.node("gather", [many, some], { axis: 0, batch: 0 }), ...put("set"), ...put("add")];
});

const movement: Asked = (g, input, n, of) => {
  const [x, y, start] = [input(`x${of}`, "f32", n, 6), input(`y${of}`, "f32", 2, 6), input(`start${of}`, "i32")];
  return [
    g.node("pad", [x], { low: [1, 2], high: [2, 0], value: -1.5 }), g.node("concat", [x, y, g.neg(x)], { axis: 0 }), g.node("concat", [y, x], { axis: 0 }),
    g.node("flip", [x], { axes: [0, 1] }), g.transpose(x, [1, 0]), g.reshape(x, [mulSize(n, 6)]), g.node("slice", [x], { start: [0, 1], size: [n, 2], stride: [1, 2] }),
    g.node("iota", [], { axis: 0, type: tensorType("i32", [n, 2]) }),
    g.node("dynamic_update", [x, g.node("slice", [y], { start: [0, 0], size: [0, 6], stride: [1, 1] }), start], { axes: [0] }),
  ];
};

const products: Asked = (g, input, n, of) => {
  const [a, b, c] = [input(`a${of}`, "f32", n, 9), input(`b${of}`, "f32", 9, 6), input(`c${of}`, "f32", 9, n)];
  const matrix = (x: NodeId, y: NodeId): NodeId => g.node("contract", [x, y], { a: [0, 1], b: [1, 2], out: [0, 2] });
  return [matrix(a, b), g.add(matrix(c, a), g.fill(1, matrix(c, a))), g.unary("exp", matrix(a, c))];
};

const images = (stride: number): Asked => (g, input, n, of) => {
  const attrs = { stride: [stride, stride], padding: [[2, 2], [1, 1]], dilation: [1, 1], groups: 1 } as const;
  const [x, filter] = [input(`image${of}`, "f32", 1, n, 3, 2), input(`filter${of}`, "f32", 3, 3, 2, 4)];
  const y = g.node("conv", [x, filter], attrs);
  return [g.unary("tanh", y), g.node("conv_input", [y, filter], { ...attrs, size: [n, 3] }), g.node("conv_filter", [x, y], { ...attrs, size: [3, 3] })];
};

const N = dimSize("N");
describe.each([["reductions", reductions], ["orders", orders], ["positions", positions], ["movement", movement], ["products", products], ["images", images(1)], ["images in strides", images(2)]] as const)("%s", (_, asked) => {
  // Each is compiled for every target, by two compilers of C++ among others.
  test.each([0, 3])("of a dim that may be 0 and is %i, and of an axis that is always empty", { timeout: 900_000 }, n => {
    const graph = graphOf((g, input) => [...asked(g, input, N, ""), ...asked(g, input, 0, "_of_none")], 0);
    return expectCompiled({ graph, dims: { N: n } });
  });
});

test("what a reduction of nothing gives is the other end of what the dtype holds", () => {
  const of = (dtype: DType) => {
    const graph = graphOf((g, input) => (["max", "min"] as const).map(kind => g.reduce(kind, input(`${kind}x`, dtype, N), [0])), 0);
    const empty = { dtype, shape: [0], data: new Float64Array(0) };
    const { outputs } = interpret(graph, { inputs: { maxx: empty, minx: empty }, dims: { N: 0 } });
    return [outputs["out0"]!.data[0], outputs["out1"]!.data[0]];
  };
  expect(of("f32")).toEqual([-Infinity, Infinity]);
  expect(of("i8")).toEqual([-128, 127]);
  expect(of("u16")).toEqual([0, 65535]);
  expect(of("bool")).toEqual([0, 1]);
});

describe("gradients", () => {
  const [B, H] = [dim("B", { min: 0, max: 8 }), dim("H", { min: 0, max: 9 })];
  const parts = { weight: state(f32(4, 4), 0.5), norm: layerNorm(4), dense: linear(4, 4), instance: instanceNorm(3) };
  const net = module(parts, (x: F32<["B", 4]>) => parts.norm(parts.dense(x)).matmul(parts.weight).tanh());
  const learn = entry({ x: f32(B, 4), image: f32(1, H, 5, 3), ids: i32(2) }, ({ x, image, ids }) => {
    const y = net(x);
    const taken = concat([y, y.neg()], "B").gather(ids);
    const ordered = y.sort("B").values.mul(2).sum().add(y.softmax("B").sum()).add(y.cumsum("B").sum());
    const loss = y.square().sum().add(taken.sum()).add(ordered).add(parts.instance(image).square().sum()).add(y.pad({ B: [1, 1] }).sum());
    const found = gradients(loss, net).entries();
    return { loss, largest: y.max("B"), which: x.argmax("B"), ...Object.fromEntries(found.map(({ path, gradient }) => [path.replaceAll(".", "_"), gradient])) };
  });
  const inputs = (b: number, h: number) => ({
    x: { shape: [b, 4], data: Float32Array.from({ length: 4 * b }, (_, i) => Math.sin(i)) },
    image: { shape: [1, h, 5, 3], data: Float32Array.from({ length: 15 * h }, (_, i) => Math.cos(i)) }, ids: [0, 5],
  });
  const found = (target: (typeof RUNNERS)[number]) => withProgram(target, { net, learn }, async p => {
    const all: { [output: string]: number[] } = {};
    for (const [b, h] of [[0, 0], [0, 4], [3, 0], [3, 4]] as const) {
      for (const [name, value] of Object.entries(await p.call("learn", inputs(b, h)))) all[`${name} of ${b} and ${h}`] = numbersOf(value);
    }
    return all;
  });
  test.each(RUNNERS.slice(1))("of layers over dims that are 0 are those of the interpreter on $name", async target => {
    const [wanted, got] = [await found(RUNNERS[0]!), await found(target)];
    expect(Object.keys(got)).toEqual(Object.keys(wanted));
    for (const [name, values] of Object.entries(wanted)) {
      values.forEach((w, i) => {
        const g = got[name]![i]!;
        if (Number.isFinite(w)) expect(Math.abs(g - w), `${name}: ${g} for ${w}`).toBeLessThanOrEqual(1e-3 * (1 + Math.abs(w)));
        else expect(g, name).toBe(w);
      });
    }
    expect(wanted["weight of 0 and 0"]!.every(x => x === 0)).toBe(true);
  });
});
