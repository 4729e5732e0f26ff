// Every op's gradient against differences in float64, first and second derivatives, and what has no gradient.
import { describe, expect, test } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { dimSize, type Size } from "../../compiler/base/sizes.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { float64 } from "../../compiler/graph/field.ts";
import { type BinaryOp, type ConvAttrs, type Graph, type NodeId, type OpName, tensorType, type UnaryOp } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { OP_NAMES, opDefinition } from "../../compiler/graph/ops.ts";
import { compareGradient, gradientGraph } from "../../compiler/testing/gradient.ts";
import { drawTensor } from "../../compiler/testing/values.ts";

const DIMS = { N: 3 };
const body = (name: string, inputs: readonly (readonly [string, DType, readonly Size[]])[], make: (g: Build, ...xs: NodeId[]) => readonly NodeId[]): Graph => {
  const b = new GraphBuilder(name);
  b.declareDim({ name: "N", binding: "call", min: 1, max: 8, multipleOf: 1 });
  const g = new Build(b, null);
  const xs = inputs.map(([name, dtype, shape]) => g.node("input", [], { name, type: tensorType(dtype, shape) }));
  make(g, ...xs).forEach((id, i) => b.outputs.push({ name: `y${i}`, id }));
  return b.finish();
};
const graph = (shapes: readonly (readonly Size[])[], make: (g: Build, ...xs: NodeId[]) => NodeId | readonly NodeId[]): Graph =>
  body("f", shapes.map((shape, i) => [`x${i}`, "f64", shape] as const), (g, ...xs) => [make(g, ...xs)].flat());

const checked = new Set<OpName>();
/** First and second derivatives agree with differences at positive and at mixed arguments. */
function agrees(f: Graph, { positive = false, second = true }: { positive?: boolean; second?: boolean } = {}): void {
  for (const n of f.nodes) checked.add(n.op);
  const inputs = Object.fromEntries(f.nodes.flatMap(n => {
    if (n.op !== "input") return [];
    const x = drawTensor(n.attrs.name, n.attrs.type, DIMS, 7, float64);
    return [[n.attrs.name, { ...x, data: positive ? x.data.map(Math.abs) : x.data }]];
  }));
  const first = compareGradient(f, inputs, DIMS);
  expect(first.wrong).toBeNull();
  expect(first.compared).toBeGreaterThan(0);
  if (!second) return;
  const g = gradientGraph(f);
  const again = compareGradient({ ...g, outputs: g.outputs.slice(1) }, inputs, DIMS);
  expect(again.wrong).toBeNull();
  expect(again.compared).toBeGreaterThan(0);
}
const i32 = (g: Build, ...values: number[]): NodeId => g.constant(values, tensorType("i32", [values.length]));
const index = (g: Build, value: number): NodeId => g.scalar(value, "i32");

describe("elementwise", () => {
  const anywhere: UnaryOp[] = ["neg", "abs", "exp", "sin", "cos", "tanh", "erf"];
  test.each(anywhere)("%s", op => agrees(graph([[2, 3]], (g, x) => g.unary(op, x!))));
  test.each<UnaryOp>(["log", "sqrt", "rsqrt"])("%s", op => agrees(graph([[4]], (g, x) => g.unary(op, x!)), { positive: true }));
  test.each<BinaryOp>(["add", "sub", "mul", "div", "max", "min", "atan2", "mod"])("%s", op => agrees(graph([[2, 3], [2, 3]], (g, a, b) => g.binary(op, a!, b!))));
  test("pow", () => agrees(graph([[5], [5]], (g, a, b) => g.binary("pow", a!, b!)), { positive: true }));
  test("pow with whole exponents, negative bases included", () => agrees(graph([[5]], (g, a) => g.binary("pow", a!, g.constant([0, 1, 2, 3, -2], tensorType("f64", [5]))))));
  test("select", () => agrees(graph([[3], [3]], (g, a, b) => g.select(g.binary("lt", a!, b!), g.mul(a!, a!), g.mul(b!, a!)))));
  test("cast between floats", () => agrees(graph([[3]], (g, a) => g.cast(g.mul(g.cast(a!, "f32"), g.cast(a!, "f32")), "f64"))));
});

describe("movement", () => {
  test("broadcast of new axes, of size 1 and of a dim", () => {
    agrees(graph([[3]], (g, x) => g.mul(g.node("broadcast", [x!], { dims: [1], shape: [2, 3], axes: [null, null] }), g.node("broadcast", [x!], { dims: [1], shape: [2, 3], axes: [null, null] }))));
    agrees(graph([[1, 2]], (g, x) => g.unary("exp", g.node("broadcast", [x!], { dims: [0, 2], shape: [dimSize("N"), 2, 2], axes: [null, null, null] }))));
  });
  test("reshape and transpose", () => agrees(graph([[2, 3, 2]], (g, x) => g.unary("sin", g.transpose(g.reshape(x!, [3, 4]), [1, 0])))));
  test("slice with strides", () => agrees(graph([[7, 5]], (g, x) => g.unary("sin", g.node("slice", [x!], { start: [1, 0], size: [3, 2], stride: [2, 3] })))));
  test("slice of a dim", () => agrees(graph([[dimSize("N"), 2]], (g, x) => g.unary("sin", g.node("slice", [x!], { start: [0, 1], size: [dimSize("N"), 1], stride: [1, 1] })))));
  test("dynamic_slice and dynamic_update, clamped", () => {
    agrees(graph([[4, 3]], (g, x) => g.unary("sin", g.node("dynamic_slice", [x!, index(g, 9), index(g, 1)], { axes: [0, 1], size: [2, 2] }))));
    agrees(graph([[4, 3], [2, 3]], (g, x, p) => g.unary("sin", g.node("dynamic_update", [x!, p!, index(g, 1)], { axes: [0] }))));
  });
  test("pad, flip, concat", () => {
    agrees(graph([[2, 3]], (g, x) => g.unary("exp", g.node("pad", [x!], { low: [1, 0], high: [0, 2], value: 0.5 }))));
    agrees(graph([[2, 3]], (g, x) => g.unary("exp", g.node("flip", [x!], { axes: [1] }))));
    agrees(graph([[2, 3], [2, 1]], (g, x, y) => g.unary("exp", g.node("concat", [x!, y!, x!], { axis: 1 }))));
  });
});

describe("reductions and scans", () => {
  const kinds = ["sum", "prod", "max", "min"] as const;
  test.each(kinds)("reduce %s", kind => agrees(graph([[2, 3, 2]], (g, x) => g.unary("sin", g.node("reduce", [x!], { kind, axes: [0, 2] })))));
  test("reduce over no axis", () => agrees(graph([[3]], (g, x) => g.unary("sin", g.node("reduce", [x!], { kind: "prod", axes: [] })))));
  for (const kind of kinds) {
    for (const reverse of [false, true]) {
      test(`scan ${kind}${reverse ? ", reverse" : ""}`, () => {
        agrees(graph([[2, 4]], (g, x) => g.unary("sin", g.node("scan", [x!], { kind, axis: 1, exclusive: false, reverse }))));
        if (kind === "sum" || kind === "prod") agrees(graph([[dimSize("N"), 2]], (g, x) => g.unary("sin", g.node("scan", [x!], { kind, axis: 0, exclusive: true, reverse }))));
      });
    }
  }
  test("a product with a zero in it", () => {
    const f = graph([[3]], (g, x) => g.node("reduce", [g.mul(x!, g.constant([1, 0, 1], tensorType("f64", [3])))], { kind: "prod", axes: [0] }));
    agrees(f);
    agrees(graph([[3]], (g, x) => g.node("scan", [g.mul(x!, g.constant([1, 0, 1], tensorType("f64", [3])))], { kind: "prod", axis: 0, exclusive: false, reverse: false })));
  });
  test("sort and topk", () => {
    for (const descending of [false, true]) agrees(graph([[2, 4]], (g, x) => g.unary("sin", g.item(g.node("sort", [x!], { axis: 1, descending }), 0))));
    agrees(graph([[4, 2]], (g, x) => g.unary("sin", g.item(g.node("topk", [x!], { k: 2, axis: 0 }), 0))));
  });
});

describe("contractions and convolutions", () => {
  test.each([
    [[0, 1], [1, 2], [0, 2]], [[0, 1], [1, 2], [2, 0]], [[0, 1, 2], [0, 2, 3], [0, 1, 3]], [[0, 1], [1, 0], []], [[0, 1], [2], [0, 2]], [[0, 1], [0, 1], [1]], [[0, 1, 2], [3], []],
  ])("contract %j %j %j", (a, b, out) => {
    agrees(graph([a.map(l => 2 + (l % 2)), b.map(l => 2 + (l % 2))], (g, x, y) => g.unary("sin", g.node("contract", [x!, y!], { a, b, out }))));
  });
  const convs: readonly (readonly [ConvAttrs, number, number])[] = [
    [{ stride: [1, 1], padding: [[0, 0], [0, 0]], dilation: [1, 1], groups: 1 }, 2, 3],
    [{ stride: [2, 1], padding: [[1, 1], [0, 2]], dilation: [1, 1], groups: 1 }, 3, 2],
    [{ stride: [1, 2], padding: [[2, 1], [1, 1]], dilation: [2, 1], groups: 2 }, 1, 4],
    [{ stride: [3, 2], padding: [[0, 0], [0, 0]], dilation: [1, 2], groups: 1 }, 1, 1],
  ];
  test.each(convs)("conv, conv_input and conv_filter with %j", (attrs, perGroup, out) => {
    const x = [1, 6, 5, perGroup * attrs.groups];
    const filter = [2, 3, perGroup, out];
    agrees(graph([x, filter], (g, x, f) => g.unary("sin", g.node("conv", [x!, f!], attrs))));
    const probe = graph([x, filter], (g, x, f) => g.node("conv", [x!, f!], attrs));
    const last = probe.nodes.at(-1)!.type;
    const y = "shape" in last ? last.shape : [];
    agrees(graph([y, filter], (g, y, f) => g.unary("sin", g.node("conv_input", [y!, f!], { ...attrs, size: [6, 5] }))));
    agrees(graph([x, y], (g, x, y) => g.unary("sin", g.node("conv_filter", [x!, y!], { ...attrs, size: [2, 3] }))));
  });
  test("a convolution over an image whose height is a dim", () => {
    const attrs = { stride: [1, 1], padding: [[1, 1], [1, 1]], dilation: [1, 1], groups: 1 } as const;
    agrees(graph([[1, dimSize("N"), 4, 1], [3, 3, 1, 2]], (g, x, f) => g.unary("sin", g.node("conv", [x!, f!], attrs))));
  });
});

describe("gather and scatter", () => {
  test("gather with repeated and clamped ids", () => agrees(graph([[4, 2]], (g, x) => g.unary("sin", g.node("gather", [x!, i32(g, 3, 1, 1, 7, -2)], { axis: 0, batch: 0 })))));
  test("gather in batches", () => agrees(graph([[2, 3, 2]], (g, x) => g.unary("sin", g.node("gather", [x!, g.reshape(i32(g, 0, 2, 1, 1), [2, 2])], { axis: 1, batch: 1 })))));
  for (const kind of ["set", "add", "max", "min"] as const) {
    test(`scatter ${kind} with repeated ids and ids out of range`, () => {
      agrees(graph([[4, 2], [5, 2]], (g, x, p) => g.unary("sin", g.node("scatter", [x!, i32(g, 3, 1, 1, 7, -2), p!], { kind, axis: 0, batch: 0 }))));
      agrees(graph([[2, 3], [2, 2]], (g, x, p) => g.unary("sin", g.node("scatter", [x!, g.reshape(i32(g, 0, 2, 1, 1), [2, 2]), p!], { kind, axis: 1, batch: 1 }))));
    });
  }
});

describe("bodies", () => {
  const F = "f64";
  test("a loop with an invariant, through the step", () => {
    const step = body("step", [["step", "i32", []], ["c", F, [2]], ["w", F, [2]]], (g, i, c, w) => [g.add(g.unary("sin", g.mul(c!, w!)), g.repeat(g.cast(i!, F), c!))]);
    agrees(graph([[2], [2]], (g, x, w) => g.item(g.node("loop", [x!, w!], { body: step, trips: 3, carries: 1, until: false }), 0)));
    agrees(graph([[2], [2]], (g, x, w) => g.item(g.node("loop", [x!, w!], { body: step, trips: dimSize("N"), carries: 1, until: false }), 0)));
  });
  test("a loop that makes no step passes its carry", () => {
    const step = body("step", [["step", "i32", []], ["c", F, [2]]], (g, _i, c) => [g.unary("sin", c!)]);
    agrees(graph([[2]], (g, x) => g.unary("cos", g.item(g.node("loop", [x!], { body: step, trips: 0, carries: 1, until: false }), 0))));
  });
  test("a loop that stops early, with several carries, one of them an integer", () => {
    const step = body("step", [["step", "i32", []], ["a", F, [2]], ["n", "i32", []], ["b", F, []]], (g, _i, a, n, b) => [
      g.mul(a!, g.repeat(b!, a!)), g.add(n!, g.scalar(2, "i32")), g.add(b!, g.sum(a!, [0])), g.binary("gt", n!, g.scalar(3, "i32")),
    ]);
    agrees(graph([[2], []], (g, a, b) => {
      const loop = g.node("loop", [a!, g.scalar(0, "i32"), b!], { body: step, trips: 9, carries: 3, until: true });
      return [g.item(loop, 0), g.item(loop, 2)];
    }));
  });
  test("a loop in a loop", () => {
    const inner = body("inner", [["step", "i32", []], ["c", F, []], ["w", F, []]], (g, _i, c, w) => [g.unary("sin", g.mul(c!, w!))]);
    const outer = body("outer", [["step", "i32", []], ["c", F, []], ["w", F, []]], (g, _i, c, w) => [g.add(c!, g.item(g.node("loop", [c!, w!], { body: inner, trips: 2, carries: 1, until: false }), 0))]);
    agrees(graph([[], []], (g, x, w) => g.item(g.node("loop", [x!, w!], { body: outer, trips: 2, carries: 1, until: false }), 0)));
  });
  test("a composite with two outputs", () => {
    const pair = body("pair", [["a", F, [2]], ["b", F, [2]]], (g, a, b) => [g.mul(a!, b!), g.unary("exp", b!)]);
    agrees(graph([[2], [2]], (g, a, b) => {
      const c = g.node("composite", [a!, b!], { name: "pair", attrs: {}, body: pair });
      return [g.item(c, 0), g.unary("sin", g.item(c, 1))];
    }));
  });
  test("a composite uses its own gradient", () => {
    const square = body("square", [["a", F, [2]]], (g, a) => [g.mul(a!, a!)]);
    const gradient = body("square_gradient", [["a", F, [2]], ["y", F, [2]], ["d", F, [2]]], (g, a, _y, d) => [g.mul(d!, g.add(a!, a!))]);
    agrees(graph([[2]], (g, a) => g.node("composite", [a!], { name: "square", attrs: {}, body: square, gradient })));
    const wrong = body("wrong", [["a", F, [2]], ["y", F, [2]], ["d", F, [2]]], (g, a, _y, d) => [g.mul(d!, a!)]);
    const f = graph([[2]], (g, a) => g.node("composite", [a!], { name: "square", attrs: {}, body: square, gradient: wrong }));
    expect(compareGradient(f, { x0: drawTensor("x0", tensorType(F, [2]), {}, 1, float64) }).wrong).toMatch(/element 0 of the gradient for x0/);
  });
});

test("identities pass their gradient, and stop_gradient stops it", () => {
  agrees(graph([[2]], (g, x) => g.mul(g.node("tag", [x!], { name: "here" }), x!)));
  const printed = graph([[2]], (g, x) => g.mul(g.node("print", [x!], { label: "x" }), x!));
  agrees({ ...printed, effects: [] });
  const stopped = graph([[2]], (g, x) => g.mul(g.node("stop_gradient", [x!], {}), g.fill(3, x!)));
  const found = gradientGraph(stopped).nodes[gradientGraph(stopped).outputs[1]!.id]!;
  expect(found.op).toBe("broadcast");
});

test("every op that has a gradient is checked above", () => {
  const differentiable = OP_NAMES.filter(op => opDefinition(op).gradient !== "none");
  expect(differentiable.filter(op => !checked.has(op))).toEqual([]);
});

test("powers at 0 have finite gradients", () => {
  const f = graph([[4]], (g, x) => g.binary("pow", g.sub(x!, x!), g.constant([0, 1, 2, 3], tensorType("f64", [4]))));
  const g = gradientGraph(graph([[4]], (g, x) => g.binary("pow", x!, g.constant([0, 1, 2, 3], tensorType("f64", [4])))));
  const zero = { x0: { dtype: "f64", shape: [4], data: new Float64Array(4) } } as const;
  const first = interpret(g, { inputs: zero }).outputs["d x0"]!.data;
  const second = interpret(gradientGraph({ ...g, outputs: g.outputs.slice(1) }), { inputs: zero }).outputs["d x0"]!.data;
  expect(Array.from(first, x => x + 0)).toEqual([0, Math.cos(2), 0, 0]);
  expect(Array.from(second, Number.isFinite)).toEqual([true, true, true, true]);
  agrees(f, { second: false });
});
