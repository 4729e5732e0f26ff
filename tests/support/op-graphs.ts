// Graphs that together hold every op, in the shapes, dtypes and places that kernels treat differently.
import { type DType, DTYPES, isFloat } from "../../compiler/base/dtypes.ts";
import { dimSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type Graph, isTuple, type NodeId, tensorType } from "../../compiler/graph/graph.ts";
import type { GraphRun, RunGraph } from "./graph-programs.ts";

const N = dimSize("N");

/** A graph whose result, or results if it is a tuple, are its outputs. */
export function graphOf(make: (g: Build, input: (name: string, dtype: DType, ...shape: Size[]) => NodeId) => NodeId | readonly NodeId[], min = 1): Graph {
  const b = new GraphBuilder("case");
  b.declareDim({ name: "N", binding: "call", min, max: 64, multipleOf: 1 });
  const g = new Build(b, null);
  const made = make(g, (name, dtype, ...shape) => b.add("input", [], { name, type: tensorType(dtype, shape) }));
  const results = typeof made === "number" ? [made] : made;
  let count = 0;
  for (const id of results) {
    const type = b.valueType(id);
    const parts = isTuple(type) ? type.items.map((_, i) => g.item(id, i)) : [id];
    for (const part of parts) b.outputs.push({ name: `out${count++}`, id: part });
  }
  return b.finish();
}

export interface OpGraph extends GraphRun {
  /** What it shows, and of which kind of ops. */
  readonly name: string;
  readonly family: string;
}
export const OP_GRAPHS: OpGraph[] = [];

let current = "";
function family(name: string, add: () => void): void {
  current = name;
  add();
}
const checkGraph = (name: string, graph: Graph, run: RunGraph = {}): void => void OP_GRAPHS.push({ ...run, name, family: current, graph });
const check = (name: string, make: Parameters<typeof graphOf>[0], run: RunGraph = { dims: { N: 7 } }): void => checkGraph(name, graphOf(make), run);

family("elementwise", () => {
  for (const dtype of ["f32", "f64", "i32", "u32", "i8", "u8", "i16", "u16"] as const) {
    check(`arithmetic of ${dtype}`, (g, input) => {
      const [a, b] = [input("a", dtype, N, 5), input("b", dtype, N, 5)];
      return (["add", "sub", "mul", "max", "min", "mod"] as const).map(op => g.binary(op, a, b));
    });
  }
  for (const dtype of ["i32", "u32", "i8", "u8"] as const) {
    check(`bits and division of ${dtype}`, (g, input) => {
      const [a, b] = [input("a", dtype, 33), input("b", dtype, 33)];
      return [...(["div", "and", "or", "xor", "shl", "shr"] as const).map(op => g.binary(op, a, b)), g.unary("not", a), g.unary("neg", a)];
    });
  }
  check("comparisons, select and bools", (g, input) => {
    const [a, b, p, q] = [input("a", "f32", 3, N), input("b", "f32", 3, N), input("p", "bool", 3, N), input("q", "bool", 3, N)];
    const compared = (["eq", "ne", "lt", "le", "gt", "ge"] as const).map(op => g.binary(op, a, b));
    const logic = (["and", "or", "xor", "eq", "lt", "max"] as const).map(op => g.binary(op, p, q));
    return [...compared, ...logic, g.unary("not", p), g.select(p, a, b), g.select(g.binary("lt", a, b), p, q)];
  });
  check("functions of f32", (g, input) => {
    const x = input("x", "f32", N, 9);
    const positive = g.add(g.unary("abs", x), g.fill(0.5, x));
    return [...(["exp", "sin", "cos", "tanh", "erf", "floor", "ceil", "round", "sign", "abs", "is_finite"] as const).map(op => g.unary(op, x)),
      ...(["log", "sqrt", "rsqrt"] as const).map(op => g.unary(op, positive)), g.binary("pow", positive, x), g.binary("atan2", x, positive)];
  });
  for (const from of ["f32", "f16", "bf16", "i32", "u8", "i4", "bool"] as const) {
    check(`casts from ${from}`, (g, input) => {
      const x = input("x", from, N, 6);
      return (["f64", "f32", "f16", "bf16", "i32", "u32", "i8", "u8", "i4", "bool"] as const).map(to => g.cast(x, to));
    });
  }
  const EDGES = [7, 8, 15, 16, 31, 32].flatMap(bits => [-1, 0, 1].flatMap(by => [2 ** bits + by, -(2 ** bits) + by, 2 ** bits + by / 2]));
  const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 0.5, -0.5, 0.999, -0.999, 1.5, -1.5, 300.75, -300.75, 3e4, 7e4, 1e10, -1e10, 3e38, ...EDGES];
  const specialOf = (dtype: DType, values: readonly number[]) => ({ dtype, shape: [values.length], data: Float64Array.from(values, DTYPES[dtype].round) });
  for (const from of ["f64", "f32", "f16", "bf16"] as const) {
    check(`casts from ${from} to integers saturate`, (g, input) => {
      const x = input("x", from, SPECIAL.length);
      const value = g.constant([...specialOf(from, SPECIAL).data], tensorType(from, [SPECIAL.length]));
      return (["i32", "i16", "i8", "i4", "u32", "u16", "u8", "bool"] as const).flatMap(to => [g.cast(x, to), g.cast(value, to), g.cast(g.mul(x, g.fill(1, x)), to)]);
    }, { dims: { N: 1 }, inputs: { x: specialOf(from, SPECIAL) } });
  }
  for (const from of ["i32", "i16", "u32", "u16"] as const) {
    check(`casts from ${from} to narrower integers wrap`, (g, input) => {
      const edges = EDGES.filter(x => Number.isInteger(x) && DTYPES[from].round(x) === x);
      const x = input("x", from, EDGES.length);
      const value = g.constant(edges, tensorType(from, [edges.length]));
      return (["i32", "i16", "i8", "i4", "u32", "u16", "u8", "bool"] as const).flatMap(to => [g.cast(x, to), g.cast(value, to)]);
    }, { dims: { N: 1 }, inputs: { x: specialOf(from, EDGES.map(Math.trunc)) } });
  }
  const DIVISORS = [0, -0, 1, -1, 2, 0, 3, -0, 0];
  const DIVIDENDS = [1, 1, -1, 0, -0, 0, 5, -7, -(2 ** 31)];
  for (const dtype of ["f64", "f32", "f16", "bf16", "i32", "i16", "i8", "i4", "u32", "u16", "u8"] as const) {
    check(`division of ${dtype} by zeros, constant and not`, (g, input) => {
      const [a, b] = [input("a", dtype, DIVIDENDS.length), input("b", dtype, DIVIDENDS.length)];
      const zeros = isFloat(dtype) ? [0, -0] : [0];
      const list = (values: readonly number[]): NodeId => g.constant(values.map(DTYPES[dtype].round), tensorType(dtype, [values.length]));
      return (["div", "mod"] as const).flatMap(op => [
        g.binary(op, a, b), ...zeros.flatMap(z => [g.binary(op, a, g.fill(z, a)), g.binary(op, g.fill(z, a), b), g.binary(op, g.fill(1, a), g.fill(z, a))]),
        g.binary(op, list(DIVIDENDS), list(DIVISORS)), g.binary(op, a, list(DIVISORS)), g.binary(op, list(DIVIDENDS), b),
      ]);
    }, { dims: { N: 1 }, inputs: { a: specialOf(dtype, DIVIDENDS), b: specialOf(dtype, DIVISORS) } });
  }
  for (const dtype of ["f64", "f32", "f16"] as const) {
    check(`what ${dtype} makes of constants with NaN, infinities and zeros`, (g, input) => {
      const x = input("x", dtype, 9);
      const constants = [0, -0, 1, -1, Infinity, -Infinity, NaN].map(c => g.fill(c, x));
      const found = (["add", "sub", "mul", "div", "mod", "max", "min"] as const).flatMap(op => [...constants.flatMap(c => [g.binary(op, x, c), g.binary(op, c, x)]), g.binary(op, x, x)]);
      // The sign of a zero shows in its reciprocal.
      return [...found, ...found.map(y => g.div(g.fill(1, y), y))];
    }, { dims: { N: 1 }, inputs: { x: specialOf(dtype, [NaN, Infinity, -Infinity, 0, -0, 0.5, -0.5, 1.5, -1.5]) } });
  }
  check("f16 and bf16 round at casts and stores", (g, input) => {
    const x = input("x", "f32", 40);
    const third = g.mul(x, g.fill(1 / 3, x));
    return (["f16", "bf16"] as const).flatMap(d => [g.cast(third, d), g.cast(g.cast(third, d), "f32"), g.mul(g.cast(third, d), g.cast(x, d))]);
  });
  check("bitcast", (g, input) => g.node("bitcast", [g.node("bitcast", [input("x", "f32", 11)], { dtype: "i32" })], { dtype: "u32" }));
  check("a scalar from an input of none", (g, input) => g.mul(input("x", "f32"), g.scalar(3, "f32")));
});

family("movement", () => {
  check("transpose, flip, slice and reshape, fused", (g, input) => {
    const x = input("x", "f32", N, 6, 4);
    const t = g.transpose(x, [1, 0, 2]);
    const f = g.node("flip", [t], { axes: [0, 2] });
    const s = g.node("slice", [f], { start: [1, 0, 1], size: [2, N, 3], stride: [2, 1, 1] });
    return [g.neg(s), g.reshape(x, [mulSize(N, 6), 4]), g.reshape(x, [N, 24]), g.reshape(g.transpose(x, [0, 2, 1]), [mulSize(N, 24)])];
  });
  check("padding that wraps", (g, input) => (["i4", "u8"] as const).map(d => g.cast(g.node("pad", [input(`x_${d}`, d, 3)], { low: [1], high: [1], value: d === "i4" ? 8 : 257 }), "i32")));
  check("pad of both sides, and of rows alone", (g, input) => {
    const x = input("x", "f32", N, 5);
    return [g.node("pad", [x], { low: [1, 2], high: [3, 0], value: -1.5 }), g.node("pad", [g.neg(x)], { low: [0, 0], high: [2, 0], value: 0 })];
  });
  check("concat along each axis", (g, input) => {
    const [a, b] = [input("a", "i32", N, 5), input("b", "i32", N, 5)];
    return [g.node("concat", [a, b, g.neg(a)], { axis: 0 }), g.node("concat", [a, b], { axis: 1 })];
  });
  check("broadcast of rows and columns", (g, input) => {
    const [row, column] = [input("row", "f32", 6), input("column", "f32", N)];
    const shape = { shape: [N, 6], axes: [null, null] };
    return g.add(g.broadcastTo(row, shape, [1]), g.broadcastTo(column, shape, [0]));
  });
  check("iota, constants and sizes", (g, input) => {
    const x = input("x", "f32", N, 5);
    const iota = (axis: number) => g.node("iota", [], { axis, type: tensorType("f32", [N, 5]) });
    const list = g.constant([3, 1, 4, 1, 5], tensorType("f32", [5]));
    return [g.add(g.mul(x, iota(0)), iota(1)), g.add(g.broadcastTo(list, g.type(x), [1]), g.repeat(g.size(N, "f32"), x))];
  });
  check("dynamic slice and update, clamped", (g, input) => {
    const [x, part, start] = [input("x", "f32", 9, N), input("part", "f32", 2, N), input("start", "i32")];
    return [g.node("dynamic_slice", [x, start], { axes: [0], size: [3] }), g.node("dynamic_update", [x, part, start], { axes: [0] })];
  }, { dims: { N: 5 }, inputs: { start: { dtype: "i32", shape: [], data: Float64Array.of(8) } } });
});

family("reductions", () => {
  for (const axes of [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]]) {
    check(`sum, max, min and product over ${axes}`, (g, input) => {
      const x = input("x", "f32", N, 6, 5);
      return (["sum", "max", "min"] as const).map(kind => g.reduce(kind, x, axes)).concat(g.reduce("prod", g.mul(x, g.fill(0.5, x)), axes));
    });
  }
  check("a long sum to one, in parts", (g, input) => {
    const x = input("x", "f32", 100, 60);
    return [g.reduce("sum", g.mul(x, x), [0, 1]), g.reduce("max", x, [0, 1]), g.reduce("sum", x, [0])];
  });
  check("integers and bools", (g, input) => {
    const [x, p] = [input("x", "i8", N, 40), input("p", "bool", N, 12)];
    return [g.reduce("sum", x, [1]), g.reduce("max", x, [0]), g.reduce("max", p, [1]), g.reduce("min", p, [0, 1])];
  });
  check("with an epilogue and a second reduction of it", (g, input) => {
    const x = input("x", "f32", N, 17);
    const m = g.reduce("max", x, [1]);
    const shifted = g.unary("exp", g.binary("sub", x, g.unreduce(m, x, [1])));
    return g.div(shifted, g.unreduce(g.sum(shifted, [1]), x, [1]));
  });
  check("positions of extremes", (g, input) => {
    const x = input("x", "f32", N, 9);
    return [g.node("arg_reduce", [x], { kind: "max", axis: 1 }), g.node("arg_reduce", [x], { kind: "min", axis: 0 })];
  });
  for (const [exclusive, reverse] of [[false, false], [true, false], [false, true], [true, true]] as const) {
    check(`scan, exclusive ${exclusive}, reverse ${reverse}`, (g, input) => {
      const x = input("x", "f32", N, 6);
      return [0, 1].flatMap(axis => (["sum", "prod"] as const).map(kind => g.node("scan", [x], { kind, axis, exclusive, reverse })));
    });
  }
  check("running maximum", (g, input) => g.node("scan", [input("x", "i32", N, 6)], { kind: "max", axis: 0, exclusive: false, reverse: false }));
  check("sort, top k and search", (g, input) => {
    const x = input("x", "f32", N, 13);
    const sorted = g.node("sort", [x], { axis: 1, descending: false });
    const list = g.constant([-2, -0.5, 0.25, 1], tensorType("f32", [4]));
    return [sorted, g.node("sort", [x], { axis: 0, descending: true }), g.node("topk", [x], { k: 4, axis: 1 }), g.node("search_sorted", [list, x], {})];
  });
});

family("gather and scatter", () => {
  for (const axis of [0, 1, 2]) {
    check(`gather along ${axis}`, (g, input) => g.node("gather", [input("x", "f32", 5, N, 6), input("ids", "i32", 3, 2)], { axis, batch: 0 }));
  }
  check("gather with a batch", (g, input) => g.node("gather", [input("x", "f32", 4, 6, 5), input("ids", "i32", 4, 3)], { axis: 1, batch: 1 }));
  check("ids of u32, symbolic extents", (g, input) => {
    const [x, ids] = [input("x", "f32", N, 3), input("ids", "u32", 4)];
    return [g.node("gather", [x, ids], { axis: 0, batch: 0 }), g.node("scatter", [x, ids, input("part", "f32", 4, 3)], { kind: "add", axis: 0, batch: 0 })];
  });
  for (const kind of ["set", "add", "max", "min"] as const) {
    check(`scatter ${kind}`, (g, input) => [
      g.node("scatter", [input("x", "f32", 5, N), input("ids", "i32", 6), input("part", "f32", 6, N)], { kind, axis: 0, batch: 0 }),
      g.node("scatter", [input("y", "i32", 3, 4, 5), input("at", "i32", 3, 6), input("q", "i32", 3, 6, 5)], { kind, axis: 1, batch: 1 }),
    ]);
  }
});

family("products", () => {
  const cases: [string, number[], number[], number[]][] = [
    ["matrix", [0, 1], [1, 2], [0, 2]], ["transposed result", [0, 1], [1, 2], [2, 0]], ["transposed operands", [1, 0], [2, 1], [0, 2]],
    ["batched", [3, 0, 1], [3, 1, 2], [3, 0, 2]], ["batch last", [0, 1, 3], [1, 2, 3], [0, 2, 3]], ["two rows and columns", [0, 3, 1], [1, 2, 4], [0, 3, 2, 4]],
    ["sum of two", [0, 1, 3], [3, 1, 2], [0, 2]], ["vector", [0, 1], [1], [0]], ["outer", [0], [1], [0, 1]], ["dot", [0], [0], []], ["a sum beside it", [0, 1, 4], [1, 2], [0, 2]],
  ];
  const sizes: readonly Size[] = [N, 6, 9, 3, 2];
  for (const [name, a, b, out] of cases) {
    check(`contract: ${name}`, (g, input) => {
      const [x, y] = [input("x", "f32", ...a.map(l => sizes[l]!)), input("y", "f32", ...b.map(l => sizes[l]!))];
      const z = g.node("contract", [x, y], { a, b, out });
      return [g.add(z, g.fill(1, z)), g.node("contract", [g.cast(x, "i32"), g.cast(y, "i32")], { a, b, out })];
    });
  }
  for (const dtype of ["i8", "i16", "u8"] as const) {
    check(`contract of ${dtype}, whose sums wrap before anything is made of them`, (g, input) => {
      const [x, y] = [input("x", dtype, N, 40), input("y", dtype, 40, 6)];
      const z = g.node("contract", [g.mul(x, g.fill(113, x)), g.mul(y, g.fill(97, y))], { a: [0, 1], b: [1, 2], out: [0, 2] });
      return g.binary("lt", z, g.fill(3, z));
    });
  }
  check("contract of f64 and bf16", (g, input) => {
    const [x, y] = [input("x", "f64", N, 5), input("y", "f64", 5, 6)];
    const attrs = { a: [0, 1], b: [1, 2], out: [0, 2] };
    return [g.node("contract", [x, y], attrs), g.node("contract", [g.cast(x, "bf16"), g.cast(y, "bf16")], attrs)];
  });
  for (const [name, stride, padding, dilation, groups] of [["plain", 1, 1, 1, 1], ["stride", 2, 1, 1, 1], ["dilation", 1, 2, 2, 1], ["groups", 1, 1, 1, 2], ["all", 2, 2, 2, 2]] as const) {
    const attrs = { stride: [stride, stride], padding: [[padding, padding], [padding, padding]], dilation: [dilation, dilation], groups } as const;
    check(`convolution and its gradients: ${name}`, (g, input) => {
      const [x, filter] = [input("x", "f32", 2, N, 8, 4), input("filter", "f32", 3, 3, 4 / groups, 6)];
      const y = g.node("conv", [x, filter], attrs);
      return [g.unary("tanh", y), g.node("conv_input", [y, filter], { ...attrs, size: [N, 8] }), g.node("conv_filter", [x, y], { ...attrs, size: [3, 3] })];
    }, { dims: { N: 9 } });
  }
  check("convolution over a computed image, few channels", (g, input) => {
    const x = input("x", "u8", 1, N, 6, 3);
    const image = g.mul(g.cast(x, "f32"), g.fill(0.25, g.cast(x, "f32")));
    return g.node("conv", [image, input("filter", "f32", 3, 3, 3, 5)], { stride: [1, 1], padding: [[1, 1], [1, 1]], dilation: [1, 1], groups: 1 });
  });
});

family("control", () => {
  const body = (until: boolean): Graph => {
    const b = new GraphBuilder("body");
    b.declareDim({ name: "N", binding: "call", min: 1, max: 64, multipleOf: 1 });
    const g = new Build(b, null);
    const step = b.add("input", [], { name: "step", type: tensorType("i32", []) });
    const x = b.add("input", [], { name: "x", type: tensorType("f32", [N]) });
    const total = b.add("input", [], { name: "total", type: tensorType("f32", []) });
    const by = b.add("input", [], { name: "by", type: tensorType("f32", [N]) });
    const next = g.add(g.mul(x, by), g.repeat(g.cast(step, "f32"), x));
    b.outputs.push({ name: "x", id: next }, { name: "total", id: g.add(total, g.sum(g.unary("abs", x), [0])) });
    if (until) b.outputs.push({ name: "until", id: g.binary("ge", step, g.scalar(2, "i32")) });
    return b.finish();
  };
  for (const until of [false, true]) {
    check(`loop, until ${until}`, (g, input) => {
      const [x, by] = [input("x", "f32", N), input("by", "f32", N)];
      return g.node("loop", [x, g.scalar(0, "f32"), g.mul(by, g.fill(0.5, by))], { body: body(until), trips: 5, carries: 2, until });
    });
  }
  check("carries that change places", (g, input) => {
    const b = new GraphBuilder("swap");
    b.add("input", [], { name: "step", type: tensorType("i32", []) });
    const [p, q] = ["p", "q"].map(name => b.add("input", [], { name, type: tensorType("f32", [4]) }));
    b.outputs.push({ name: "p", id: q! }, { name: "q", id: p! });
    return g.node("loop", [input("a", "f32", 4), input("b", "f32", 4)], { body: b.finish(), trips: 3, carries: 2, until: false });
  });
  check("random numbers", (g, input) => {
    const key = input("key", "u32", 2);
    return (["bits", "uniform", "normal"] as const).map(kind => g.node("random", [key], { kind, stream: "s", call: 1, shape: [N, 5], axes: [null, null] }));
  });
  check("one random number beside many elements", (g, input) => {
    const x = input("x", "f32", N);
    return g.add(x, g.repeat(g.node("random", [input("key", "u32", 2)], { kind: "uniform", stream: "s", call: 1, shape: [], axes: [] }), x));
  });
  check("effects leave values as they are", (g, input) => {
    const x = input("x", "f32", N);
    const shown = g.node("print", [g.mul(x, x)], { label: "x" });
    const tagged = g.node("tag", [shown], { name: "t" });
    return g.neg(g.node("stop_gradient", [tagged], {}));
  });
  check("one value as several outputs, and an input as one", (g, input) => {
    const x = input("x", "f32", N);
    const y = g.neg(x);
    return [y, y, x];
  });
});

family("states", () => {
  function stateful(make: (g: Build, state: (name: string, dtype: DType, ...shape: Size[]) => NodeId) => { readonly [state: string]: NodeId }): Graph {
    const b = new GraphBuilder("states");
    const g = new Build(b, null);
    const updates = make(g, (name, dtype, ...shape) => {
      b.declareState({ name, type: tensorType(dtype, shape) });
      return b.add("state", [], { name, type: tensorType(dtype, shape) });
    });
    for (const [name, id] of Object.entries(updates)) b.updates.push({ name, id });
    return b.finish();
  }
  checkGraph("updated in place, all from old values", stateful((g, state) => {
    const [a, b] = [state("a", "f32", 50), state("b", "f32", 50)];
    return { a: g.add(a, b), b: g.mul(a, b) };
  }));
  checkGraph("exchanged, and one copied", stateful((_, state) => {
    const [a, b] = [state("a", "f32", 9), state("b", "f32", 9)];
    state("c", "f32", 9);
    return { a: b, b: a, c: a };
  }));
  checkGraph("moved within themselves", stateful((g, state) => {
    const a = state("a", "f32", 6, 6);
    return { a: g.transpose(a, [1, 0]) };
  }));
  checkGraph("a part written, twice", stateful((g, state) => {
    const [cache, x, at] = [state("cache", "f32", 8, 5), state("x", "f32", 2, 5), state("at", "i32")];
    const once = g.node("dynamic_update", [cache, x, at], { axes: [0] });
    const twice = g.node("dynamic_update", [once, g.neg(x), g.add(at, g.scalar(2, "i32"))], { axes: [0] });
    return { cache: twice, at: g.add(at, g.scalar(1, "i32")) };
  }), { states: { at: { dtype: "i32", shape: [], data: Float64Array.of(1) } } });
  checkGraph("read before they are written, in many kernels", stateful((g, state) => {
    const [w, x] = [state("w", "f32", 6, 6), state("x", "f32", 6, 6)];
    const y = g.node("contract", [x, w], { a: [0, 1], b: [1, 2], out: [0, 2] });
    const z = g.node("contract", [y, w], { a: [0, 1], b: [2, 1], out: [0, 2] });
    return { w: g.binary("sub", w, g.mul(g.fill(0.125, w), z)), x: y };
  }));
  checkGraph("scattered into", stateful((g, state) => {
    const [table, ids, rows] = [state("table", "f32", 7, 4), state("ids", "i32", 5), state("rows", "f32", 5, 4)];
    return { table: g.node("scatter", [table, ids, rows], { kind: "add", axis: 0, batch: 0 }) };
  }), { states: { ids: { dtype: "i32", shape: [5], data: Float64Array.of(0, 6, 2, 2, 9) } } });
});

family("sizes", () => {
  for (const n of [1, 3, 4, 5, 31, 64]) {
    check(`N = ${n}`, (g, input) => {
      const x = input("x", "f32", N, 3);
      const inner = g.node("slice", [x], { start: [0, 1], size: [N, 2], stride: [1, 1] });
      return [g.unary("exp", inner), g.sum(x, [0]), g.node("iota", [], { axis: 0, type: tensorType("i32", [subSize(mulSize(N, 2), 1)]) })];
    }, { dims: { N: n } });
  }
});

/** So large that on GPUs workgroups make each result, or share one. */
family("long sums", () => {
  for (const [name, shape, axes] of [
    ["rows", [5, 100], [1]], ["long rows", [3, 1500], [1]], ["one row", [1, 4100], [1]], ["columns", [300, 6], [0]], ["columns between", [2, 90, 40], [1]],
    ["all of an image", [1, 70, N, 3], [0, 1, 2]], ["everything", [N, 700], [0, 1]], ["outer and inner", [50, 3, N], [0, 2]],
  ] as const) {
    check(`${name}, several at once`, (g, input) => {
      const x = input("x", "f32", ...shape);
      return (["sum", "max", "min"] as const).map(kind => g.reduce(kind, x, [...axes])).concat(g.sum(g.mul(x, x), [...axes]));
    });
  }
  for (const dtype of ["f64", "f16", "bf16", "i32", "i8", "u8"] as const) {
    check(`of ${dtype}`, (g, input) => {
      const x = input("x", dtype, 3, 700);
      return [g.sum(x, [1]), g.reduce("max", x, [1]), g.sum(x, [0, 1])];
    });
  }
  check("of bools", (g, input) => {
    const p = input("p", "bool", 3, 100);
    return [g.reduce("max", p, [1]), g.reduce("min", p, [1])];
  });
  check("softmax and normalisation of long rows", (g, input) => {
    const x = input("x", "f32", N, 200);
    const shifted = g.unary("exp", g.binary("sub", x, g.unreduce(g.reduce("max", x, [1]), x, [1])));
    const centred = g.binary("sub", x, g.unreduce(g.div(g.sum(x, [1]), g.fill(200, g.sum(x, [1]))), x, [1]));
    return [g.div(shifted, g.unreduce(g.sum(shifted, [1]), x, [1])), g.mul(centred, g.unreduce(g.unary("rsqrt", g.sum(g.mul(centred, centred), [1])), x, [1]))];
  });
});
