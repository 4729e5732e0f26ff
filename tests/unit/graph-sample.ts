// A graph in which every op occurs, over dims of both bindings, states and odd numbers and names.
import { dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type BinaryOp, type Graph, type NodeId, tensorType, type UnaryOp } from "../../compiler/graph/graph.ts";

const DIMS = [
  { name: "N", binding: "call", min: 8, max: 4096, multipleOf: 8 },
  { name: "L", binding: "instance", min: 0, max: 100, multipleOf: 1 },
] as const;

function body(name: string, make: (b: Build) => readonly NodeId[]): Graph {
  const b = new GraphBuilder(name);
  for (const d of DIMS) b.declareDim(d);
  make(new Build(b, { file: "a: \"b\".ts", line: 3, column: 0 })).forEach((id, i) => b.outputs.push({ name: `y${i}`, id }));
  return b.finish();
}

export function everyOp(): Graph {
  const b = new GraphBuilder("every op");
  for (const d of DIMS) b.declareDim(d);
  const [N, L] = [dimSize("N"), dimSize("L")];
  const g = new Build(b, { file: "folder/model.ts", line: 12, column: 5 });
  const without = new Build(b, null);
  const input = (name: string, dtype: "f32" | "i32" | "u32" | "bool", shape: readonly Size[], axes?: readonly (string | null)[]) => without.node("input", [], { name, type: tensorType(dtype, shape, axes) });
  const x = input("x", "f32", [N, 4], ["N", "my axis"]);
  const i = input("ids", "i32", [N], [null]);
  const w = input("words", "u32", [2], ["_"]);
  const p = input("p", "bool", [N, 4], ["rows", null]);
  const image = input("image", "f32", [1, 8, L, 4]);
  const filter = input("filter", "f32", [3, 3, 2, 6]);
  for (const op of ["neg", "abs", "sign", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "erf", "floor", "ceil", "round", "is_finite"] satisfies UnaryOp[]) g.unary(op, x);
  for (const op of ["add", "sub", "mul", "div", "mod", "pow", "max", "min", "atan2", "eq", "ne", "lt", "le", "gt", "ge"] satisfies BinaryOp[]) g.binary(op, x, x);
  for (const op of ["and", "or", "xor", "shl", "shr", "mulhi"] satisfies BinaryOp[]) g.binary(op, i, i);
  g.unary("not", p);
  g.select(p, x, g.fill(-0, x));
  g.cast(i, "f16");
  g.node("bitcast", [w], { dtype: "f32" });
  g.constant([NaN, Infinity, -Infinity, -0, 1e-7, 0.1, 1e21], tensorType("f32", [7]));
  g.constant([], tensorType("i4", [0]));
  g.constant(NaN, tensorType("bf16", [L, 2]));
  g.node("iota", [], { axis: 1, type: tensorType("i32", [2, minSize(N, subSize(mulSize(2, L), 1))]) });
  g.node("size", [], { size: subSize(mulSize(mulSize(N, L), 2), maxSize(floorDivSize(N, 3), modSize(L, 5))) });
  g.node("broadcast", [i], { dims: [1], shape: [3, N], axes: ["copies", "N"] });
  g.reshape(x, [4, N]);
  g.transpose(x, [1, 0]);
  g.node("slice", [x], { start: [1, 0], size: [subSize(N, 2), 2], stride: [1, 2] });
  const at = g.scalar(1, "i32");
  const part = g.node("dynamic_slice", [x, at], { axes: [0], size: [4] });
  g.node("dynamic_update", [x, part, at], { axes: [0] });
  g.node("pad", [x], { low: [0, 1], high: [L, 0], value: -Infinity });
  g.node("flip", [x], { axes: [0, 1] });
  g.node("concat", [x, x], { axis: 1 });
  const sum = g.sum(x, [1]);
  g.node("arg_reduce", [x], { kind: "max", axis: 0 });
  g.node("scan", [x], { kind: "prod", axis: 0, exclusive: true, reverse: false });
  g.node("contract", [x, x], { a: [0, 1], b: [0, 2], out: [2, 1] });
  const conv = { stride: [1, 2], padding: [[1, 1], [0, 2]], dilation: [1, 1], groups: 2 } as const;
  const y = g.node("conv", [image, filter], conv);
  g.node("conv_input", [y, filter], { ...conv, size: [8, L] });
  g.node("conv_filter", [image, y], { ...conv, size: [3, 3] });
  g.node("gather", [x, i], { axis: 1, batch: 1 });
  g.node("scatter", [x, i, sum], { kind: "add", axis: 1, batch: 1 });
  const sorted = g.node("sort", [x], { axis: 0, descending: true });
  g.item(sorted, 1);
  g.item(g.node("topk", [x], { k: 2, axis: 1 }), 0);
  g.node("search_sorted", [sum, x], {});
  const loop = body("step", b => {
    const step = b.node("input", [], { name: "step", type: tensorType("i32", []) });
    const carried = b.node("input", [], { name: "c", type: tensorType("f32", [N], [null]) });
    return [b.add(carried, b.fill(0.5, carried)), b.binary("gt", step, b.scalar(3, "i32"))];
  });
  g.item(g.node("loop", [sum], { body: loop, trips: L, carries: 1, until: true }), 0);
  g.node("random", [w], { kind: "normal", stream: "net.noise", call: 3, shape: [N], axes: ["N"] });
  g.node("stop_gradient", [x], {});
  g.node("tag", [x], { name: "after \"x\"\n" });
  const printed = g.node("print", [sum], { label: "the sum" });
  const asserted = g.node("assert", [g.node("const", [], { value: 1, type: tensorType("bool", []) })], { message: "holds" });
  const type = tensorType("f32", [N], ["N"]);
  const square = body("square", b => {
    const v = b.node("input", [], { name: "x0", type });
    return [b.mul(v, v)];
  });
  const gradient = body("square_gradient", b => {
    const [v, , dy] = ["x0", "y0", "dy0"].map(name => b.node("input", [], { name, type })) as [NodeId, NodeId, NodeId];
    return [b.mul(b.fill(2, v), b.mul(v, dy))];
  });
  const named = g.node("broadcast", [sum], { dims: [0], shape: [N], axes: ["N"] });
  const attrs = { rate: -0, exact: true, mode: "none", "odd key": [1, NaN], empty: [], words: ["a", "true"] };
  const squared = g.node("composite", [named], { name: "square", attrs, body: square, gradient });
  b.declareState({ name: "net.w", type });
  b.declareState({ name: "count", type: tensorType("i32", []) });
  g.node("state", [], { name: "net.w", type });
  b.outputs.push({ name: "y", id: squared }, { name: "an output", id: x });
  b.updates.push({ name: "net.w", id: named });
  b.effects.push(asserted, printed);
  return b.finish();
}
