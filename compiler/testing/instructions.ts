// One row for each op: how to add a node of it to a sketch, with operands and attributes that fit at every binding of the dims.
import { DTYPES, isFloat, isInteger } from "../base/dtypes.ts";
import { addSize, dimSize, floorDivSize, mulSize, productSize, type Size, subSize } from "../base/sizes.ts";
import { allAxes } from "../graph/build.ts";
import type { BinaryOp, ConvAttrs, Graph, NodeId, OpAttrs, OpName, TensorType, UnaryOp } from "../graph/graph.ts";
import { inputsOf, tensorType } from "../graph/graph.ts";
import { convOutputSize } from "../graph/ops/contraction.ts";
import type { Sketch } from "./sketch.ts";

/** Adds a node; null if nothing in the sketch suits the op. */
type Instruction = (s: Sketch) => NodeId | null;

const isNumber = (d: TensorType["dtype"]): boolean => d !== "bool";
const isSigned = (d: TensorType["dtype"]): boolean => isFloat(d) || DTYPES[d].kind === "signed";
const isBits = (d: TensorType["dtype"]): boolean => !isFloat(d);
const isAny = (): boolean => true;
export type Fits = (d: TensorType["dtype"]) => boolean;

/** The node and one like it, in either order. */
function pair(s: Sketch, x: NodeId): [NodeId, NodeId] {
  const y = s.choose.chance(8) ? x : s.like(x);
  return s.choose.chance(50) ? [x, y] : [y, x];
}
const identity = (op: "stop_gradient" | "tag" | "print"): Instruction => s => {
  const x = s.some(isAny);
  if (op === "stop_gradient") return s.g.node(op, [x], {});
  if (op === "tag") return s.g.node(op, [x], { name: `tag${s.b.nodes.length}` });
  if (s.isBody) return null;
  const id = s.g.node(op, [x], { label: `print${s.b.nodes.length}` });
  s.b.effects.push(id);
  return id;
};

/** Shapes with as many elements. */
export function reshapes(s: Sketch, shape: readonly Size[]): Size[][] {
  const found: Size[][] = [[productSize(shape)], [1, ...shape], [...shape, 1], shape.filter(n => n !== 1)];
  for (let i = 0; i + 1 < shape.length; i++) found.push([...shape.slice(0, i), mulSize(shape[i]!, shape[i + 1]!), ...shape.slice(i + 2)]);
  shape.forEach((n, i) => {
    if (typeof n === "number" && n % 2 === 0) found.push([...shape.slice(0, i), 2, n / 2, ...shape.slice(i + 1)]);
  });
  return found.filter(f => f.length <= 4 && s.isSmall(f));
}

/** A part of an axis: where it starts, its size and its stride. */
function range(s: Sketch, n: Size): { start: Size; size: Size; stride: number } {
  const least = Math.max(1, s.leastOf(n));
  if (s.choose.chance(30)) return { start: 0, size: n, stride: 1 };
  const start = s.choose.int(0, least - 1);
  if (typeof n !== "number" && s.choose.chance(60)) return { start, size: subSize(n, start), stride: 1 };
  const stride = s.choose.chance(30) ? s.choose.int(2, 3) : 1;
  return { start, size: s.choose.int(1, Math.floor((least - start - 1) / stride) + 1), stride };
}
/** The axes and the sizes of a part that fits at every binding. */
function part(s: Sketch, shape: readonly Size[]): { axes: number[]; size: Size[] } {
  const axes = s.choose.shuffled(s.choose.some(allAxes(shape.length)));
  return { axes, size: axes.map(a => (s.choose.chance(25) ? shape[a]! : s.choose.int(1, Math.max(1, s.leastOf(shape[a]!))))) };
}
/** An axis of at least one element at every binding; null without one. */
function axisOf(s: Sketch, shape: readonly Size[]): number | null {
  const axes = allAxes(shape.length).filter(a => s.leastOf(shape[a]!) >= 1);
  return axes.length === 0 ? null : s.choose.pick(axes);
}

function window(s: Sketch): { attrs: ConvAttrs; x: Size[]; filter: [number, number, number, number] } | null {
  const groups = s.choose.pick([1, 1, 2]);
  const filter: [number, number, number, number] = [s.choose.int(1, 2), s.choose.int(1, 3), s.choose.int(1, 2), groups * s.choose.int(1, 2)];
  const side = () => [s.choose.int(0, 1), s.choose.int(0, 2)] as const;
  const attrs = { stride: [s.choose.int(1, 2), s.choose.int(1, 2)], padding: [side(), side()], dilation: [s.choose.int(1, 2), 1], groups } as const;
  const spatial = (k: number, i: 0 | 1): Size => {
    const reach = attrs.dilation[i] * (k - 1) + 1;
    const n = s.choose.chance(25) && s.dims.length > 0 ? dimSize(s.choose.pick(s.dims).name) : s.choose.int(1, 4);
    return s.leastOf(n) + attrs.padding[i][0] + attrs.padding[i][1] >= reach ? n : reach;
  };
  const x = [s.choose.int(1, 2), spatial(filter[0], 0), spatial(filter[1], 1), filter[2] * groups];
  return s.isSmall(x) ? { attrs, x, filter } : null;
}
function convolution(op: "conv" | "conv_input" | "conv_filter"): Instruction {
  return s => {
    const w = window(s);
    if (!w) return null;
    const { attrs, x, filter } = w;
    const dtypes = s.options.dtypes.filter(isFloat);
    const dtype = dtypes.length > 0 ? s.choose.pick(dtypes) : "f32";
    const spatial = [convOutputSize(x[1]!, filter[0], attrs, 0), convOutputSize(x[2]!, filter[1], attrs, 1)] as const;
    const y = [x[0]!, ...spatial, filter[3]];
    if (!s.isSmall(y)) return null;
    if (op === "conv") return s.g.node(op, [s.of(dtype, x), s.of(dtype, filter)], attrs);
    if (op === "conv_input") return s.g.node(op, [s.of(dtype, y), s.of(dtype, filter)], { ...attrs, size: [x[1]!, x[2]!] });
    return s.g.node(op, [s.of(dtype, x), s.of(dtype, y)], { ...attrs, size: [filter[0], filter[1]] });
  };
}

/** Data, ids, and the shape of what the ids select. */
function selection(s: Sketch, fits: Fits): { x: NodeId; ids: NodeId; axis: number; batch: number; selected: Size[] } | null {
  const x = s.some(fits, [1, 3]);
  const { shape } = s.g.type(x);
  const axis = axisOf(s, shape);
  if (axis === null) return null;
  const batch = s.choose.chance(30) ? s.choose.int(0, axis) : 0;
  const own = s.shape([0, 2]);
  const selected = [...shape.slice(0, axis), ...own, ...shape.slice(axis + 1)];
  if (!s.isSmall(selected)) return null;
  return { x, axis, batch, selected, ids: s.of(s.choose.chance(85) ? "i32" : "u32", [...shape.slice(0, batch), ...own]) };
}

/** A body with the given inputs, some nodes, and outputs of the given types. */
function bodyOf(s: Sketch, name: string, inputs: readonly { name: string; type: TensorType }[], outputs: readonly TensorType[]): Graph {
  const body = s.body(name);
  for (const { name, type } of inputs) body.offer(body.g.node("input", [], { name, type }));
  grow(body, s.choose.int(1, 3));
  outputs.forEach((t, i) => body.b.outputs.push({ name: `y${i}`, id: body.of(t.dtype, t.shape) }));
  return body.b.finish();
}
const named = (s: Sketch, prefix: string, ids: readonly NodeId[]) => ids.map((id, i) => ({ name: `${prefix}${i}`, type: s.g.type(id) }));
const several = (s: Sketch, from: number, to: number): NodeId[] => Array.from({ length: s.choose.int(from, to) }, () => s.some(isAny));

/** The dtypes of the operands of elementwise ops. */
export const ELEMENTWISE: { readonly [O in UnaryOp | BinaryOp]: Fits } = {
  neg: isNumber, abs: isSigned, sign: isSigned, exp: isFloat, log: isFloat, sqrt: isFloat, rsqrt: isFloat, sin: isFloat, cos: isFloat, tanh: isFloat, erf: isFloat,
  floor: isFloat, ceil: isFloat, round: isFloat, not: isBits, is_finite: isFloat,
  add: isNumber, sub: isNumber, mul: isNumber, div: isNumber, mod: isNumber, pow: isFloat, atan2: isFloat, max: isAny, min: isAny,
  eq: isAny, ne: isAny, lt: isAny, le: isAny, gt: isAny, ge: isAny,
  and: isBits, or: isBits, xor: isBits, shl: isInteger, shr: isInteger, mulhi: d => d === "u32" || d === "i32",
};
const unary = (op: UnaryOp): Instruction => s => s.g.unary(op, s.some(ELEMENTWISE[op]));
const binary = (op: BinaryOp): Instruction => s => {
  const [a, b] = pair(s, s.some(ELEMENTWISE[op]));
  return s.g.binary(op, a, b);
};

export const INSTRUCTIONS: { readonly [O in OpName]: Instruction } = {
  neg: unary("neg"), abs: unary("abs"), sign: unary("sign"), exp: unary("exp"), log: unary("log"),
  sqrt: unary("sqrt"), rsqrt: unary("rsqrt"), sin: unary("sin"), cos: unary("cos"), tanh: unary("tanh"),
  erf: unary("erf"), floor: unary("floor"), ceil: unary("ceil"), round: unary("round"), not: unary("not"),
  is_finite: unary("is_finite"),
  add: binary("add"), sub: binary("sub"), mul: binary("mul"), div: binary("div"), mod: binary("mod"),
  pow: binary("pow"), atan2: binary("atan2"), max: binary("max"), min: binary("min"), eq: binary("eq"),
  ne: binary("ne"), lt: binary("lt"), le: binary("le"), gt: binary("gt"), ge: binary("ge"), and: binary("and"),
  or: binary("or"), xor: binary("xor"), shl: binary("shl"), shr: binary("shr"), mulhi: binary("mulhi"),
  select: s => {
    const [yes, no] = pair(s, s.some(isAny));
    return s.g.select(s.of("bool", s.g.type(yes).shape), yes, no);
  },
  cast: s => s.g.node("cast", [s.some(isAny)], { dtype: s.choose.pick(s.options.dtypes) }),
  bitcast: s => {
    const words = ["f32", "i32", "u32"] as const;
    return s.g.node("bitcast", [s.some(d => words.some(w => w === d))], { dtype: s.choose.pick(words) });
  },

  broadcast: s => {
    const x = s.some(isAny, [0, 3]);
    const from = s.g.type(x);
    const shape: Size[] = [];
    const dims: number[] = [];
    from.shape.forEach((n, i) => {
      if (s.choose.chance(30)) shape.push(s.size());
      dims.push(shape.length);
      shape.push(n === 1 && s.choose.chance(60) ? s.size() : from.shape[i]!);
    });
    if (shape.length === from.shape.length && s.choose.chance(50)) shape.push(s.size());
    return s.isSmall(shape) ? s.g.node("broadcast", [x], { dims, shape, axes: shape.map(() => null) }) : null;
  },
  reshape: s => {
    const x = s.some(isAny);
    const shapes = reshapes(s, s.g.type(x).shape);
    if (shapes.length === 0) return null;
    const shape = s.choose.pick(shapes);
    return s.g.node("reshape", [x], { shape, axes: shape.map(() => null) });
  },
  transpose: s => {
    const x = s.some(isAny, [1, 4]);
    return s.g.node("transpose", [x], { perm: s.choose.shuffled(allAxes(s.g.rank(x))) });
  },
  slice: s => {
    const x = s.some(isAny, [1, 4]);
    const ranges = s.g.type(x).shape.map(n => range(s, n));
    return s.g.node("slice", [x], { start: ranges.map(r => r.start), size: ranges.map(r => r.size), stride: ranges.map(r => r.stride) });
  },
  dynamic_slice: s => {
    const x = s.some(isAny, [1, 4]);
    const { axes, size } = part(s, s.g.type(x).shape);
    return s.g.node("dynamic_slice", [x, ...axes.map(() => s.index())], { axes, size });
  },
  dynamic_update: s => {
    const x = s.some(isAny, [1, 4]);
    const { dtype, shape } = s.g.type(x);
    const { axes, size } = part(s, shape);
    const given = s.of(dtype, shape.map((n, i) => (axes.includes(i) ? size[axes.indexOf(i)]! : n)));
    return s.g.node("dynamic_update", [x, given, ...axes.map(() => s.index())], { axes });
  },
  pad: s => {
    const x = s.some(isAny, [1, 4]);
    const { dtype, shape } = s.g.type(x);
    const amount = (): Size => (s.dims.length > 0 && s.choose.chance(10) ? dimSize(s.choose.pick(s.dims).name) : s.choose.pick([0, 0, 1, 2]));
    const [low, high] = [shape.map(amount), shape.map(amount)];
    return s.isSmall(shape.map((n, i) => addSize(n, addSize(low[i]!, high[i]!)))) ? s.g.node("pad", [x], { low, high, value: s.number(dtype) }) : null;
  },
  flip: s => {
    const x = s.some(isAny, [1, 4]);
    return s.g.node("flip", [x], { axes: s.choose.some(allAxes(s.g.rank(x))) });
  },
  concat: s => {
    const x = s.some(isAny, [1, 4]);
    const { dtype, shape } = s.g.type(x);
    const axis = s.choose.int(0, shape.length - 1);
    const parts = [x, ...Array.from({ length: s.choose.int(0, 2) }, () => s.of(dtype, shape.map((n, i) => (i === axis ? s.size() : n))))];
    const total = parts.reduce((n, p) => n + s.valueOf(s.g.type(p).shape[axis]!), 0);
    return s.isSmall(shape.map((n, i) => (i === axis ? total : n))) ? s.g.node("concat", s.choose.shuffled(parts), { axis }) : null;
  },

  reduce: s => {
    const x = s.some(isAny);
    const { dtype, shape } = s.g.type(x);
    const kind = s.choose.pick(dtype === "bool" ? (["max", "min"] as const) : (["sum", "prod", "max", "min"] as const));
    const axes = s.choose.shuffled(s.choose.some(allAxes(shape.length))).filter(a => s.leastOf(shape[a]!) >= 1);
    return s.g.node("reduce", [x], { kind, axes });
  },
  arg_reduce: s => {
    const x = s.some(isAny, [1, 4]);
    const axis = axisOf(s, s.g.type(x).shape);
    return axis === null ? null : s.g.node("arg_reduce", [x], { kind: s.choose.pick(["max", "min"]), axis });
  },
  scan: s => {
    const x = s.some(isNumber, [1, 4]);
    const kind = s.choose.pick(["sum", "prod", "max", "min"] as const);
    const axis = axisOf(s, s.g.type(x).shape);
    const exclusive = (kind === "sum" || kind === "prod") && s.choose.chance(50);
    return axis === null ? null : s.g.node("scan", [x], { kind, axis, exclusive, reverse: s.choose.chance(50) });
  },
  sort: s => {
    const x = s.some(isAny, [1, 4]);
    return s.g.node("sort", [x], { axis: s.choose.int(0, s.g.rank(x) - 1), descending: s.choose.chance(50) });
  },
  topk: s => {
    const x = s.some(isAny, [1, 4]);
    const { shape } = s.g.type(x);
    const axis = axisOf(s, shape);
    return axis === null ? null : s.g.node("topk", [x], { k: s.choose.int(1, s.leastOf(shape[axis]!)), axis });
  },
  search_sorted: s => {
    const list = s.some(isAny, [1, 1]);
    const { dtype } = s.g.type(list);
    return s.g.node("search_sorted", [list, s.of(dtype, s.shape([0, 2]))], {});
  },

  contract: s => {
    const x = s.some(isNumber, [0, 3]);
    const { dtype, shape } = s.g.type(x);
    const shared = s.choose.some(allAxes(shape.length));
    const own = s.shape([0, 2]);
    const labels = s.choose.shuffled([...shared, ...own.map((_, i) => shape.length + i)]);
    const sizeOf = (l: number): Size => (l < shape.length ? shape[l]! : own[l - shape.length]!);
    const everything = [...shape, ...own];
    if (!s.isSmall(everything) || !s.isSmall(labels.map(sizeOf))) return null;
    const y = s.of(dtype, labels.map(sizeOf));
    const out = s.choose.shuffled(allAxes(everything.length).filter(l => (l < shape.length && labels.includes(l) ? s.choose.chance(35) : s.choose.chance(85))));
    return out.length > 4 ? null : s.g.node("contract", [x, y], { a: allAxes(shape.length), b: labels, out });
  },
  conv: convolution("conv"), conv_input: convolution("conv_input"), conv_filter: convolution("conv_filter"),
  gather: s => {
    const found = selection(s, isAny);
    return found && s.g.node("gather", [found.x, found.ids], { axis: found.axis, batch: found.batch });
  },
  scatter: s => {
    const kind = s.choose.pick(["set", "add", "max", "min"] as const);
    const found = selection(s, kind === "add" ? isNumber : isAny);
    if (!found) return null;
    const { shape } = s.g.type(found.ids);
    const x = s.g.type(found.x);
    const selected = [...x.shape.slice(0, found.axis), ...shape.slice(found.batch), ...x.shape.slice(found.axis + 1)];
    return s.g.node("scatter", [found.x, found.ids, s.of(x.dtype, selected)], { kind, axis: found.axis, batch: found.batch });
  },

  loop: s => {
    if (s.isBody && s.choose.chance(70)) return null;
    const [carried, given] = [several(s, 1, 2), several(s, 0, 2)];
    const until = s.choose.chance(25);
    const scalar = tensorType("bool", []);
    const body = bodyOf(s, "step", [{ name: "step", type: tensorType("i32", []) }, ...named(s, "c", carried), ...named(s, "w", given)],
      [...carried.map(c => s.g.type(c)), ...(until ? [scalar] : [])]);
    const trips = s.dims.length > 0 && s.choose.chance(30) ? dimSize(s.choose.pick(s.dims).name) : s.choose.int(0, 3);
    return s.g.node("loop", [...carried, ...given], { body, trips, carries: carried.length, until });
  },
  composite: s => {
    if (s.isBody && s.choose.chance(70)) return null;
    const inputs = several(s, 1, 3);
    const outputs = Array.from({ length: s.choose.int(1, 2) }, () => s.g.type(s.choose.chance(70) ? s.choose.pick(inputs) : s.some(isAny)));
    const body = bodyOf(s, "part", named(s, "a", inputs), outputs);
    const attrs: OpAttrs["composite"]["attrs"] = s.choose.chance(30) ? { scale: s.choose.int(0, 9), exact: s.choose.chance(50) } : {};
    if (s.choose.chance(75)) return s.g.node("composite", inputs, { name: "part", attrs, body });
    const floats = inputsOf(body).filter(i => isFloat(i.type.dtype)).map(i => i.type);
    const gradient = bodyOf(s, "part_gradient", [...named(s, "a", inputs), ...outputs.map((type, i) => ({ name: `y${i}`, type })), ...outputs.map((type, i) => ({ name: `d${i}`, type }))], floats);
    return s.g.node("composite", inputs, { name: "part", attrs, body, gradient });
  },
  random: s => {
    const shape = s.shape([0, 2]);
    return s.g.node("random", [s.of("u32", [2])], { kind: s.choose.pick(["bits", "uniform", "normal"]), stream: s.choose.pick(["noise", "drop"]), call: s.choose.int(0, 2), shape, axes: shape.map(() => null) });
  },
  stop_gradient: identity("stop_gradient"), tag: identity("tag"), print: identity("print"),
  assert: s => {
    if (s.isBody) return null;
    const id = s.g.node("assert", [s.of("bool", [])], { message: `assert${s.b.nodes.length}` });
    s.b.effects.push(id);
    return id;
  },

  input: s => s.source(s.choose.pick(s.options.dtypes), s.shape([0, 3])),
  state: s => s.source(s.choose.pick(s.options.dtypes), s.shape([0, 3])),
  const: s => s.constant(s.choose.pick(s.options.dtypes), s.shape([0, 2])),
  iota: s => {
    const dtypes = s.options.dtypes.filter(isNumber);
    const shape = s.shape([1, 2]);
    return s.g.node("iota", [], { axis: s.choose.int(0, shape.length - 1), type: tensorType(dtypes.length > 0 ? s.choose.pick(dtypes) : "i32", shape) });
  },
  size: s => {
    const n = s.size();
    return s.g.node("size", [], { size: s.choose.pick([n, addSize(n, 1), mulSize(n, s.size()), floorDivSize(mulSize(n, 3), 2)]) });
  },
  // Tuples are taken apart as they are made.
  item: () => null,
};

/** Adds some nodes of the ops that the options allow. */
export function grow(s: Sketch, count: number): void {
  for (let i = 0; i < count; i++) {
    const id = INSTRUCTIONS[s.choose.pick(s.options.ops)](s);
    if (id !== null && !s.pool.includes(id)) s.offer(id);
  }
}
