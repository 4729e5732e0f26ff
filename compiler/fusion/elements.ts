// The value of any node at an index, as a kernel expression: producers are computed where they are read, down to buffers.
// An index is a list of sizes in the kernel's variables; when a vector is asked for, its lanes differ in the symbol LANE,
// which stands for 0 … lanes − 1. What has no vector form is computed lane by lane.
import { InternalError } from "../base/diagnostics.ts";
import { DTYPES, integerRange, isFloat, isInteger } from "../base/dtypes.ts";
import { drawWords, normalOf, uniformOf } from "../base/random.ts";
import { addSize, dimSize, floorDivSize, mulSize, type Size, sizeRange, sizeText, subSize, substituteSize } from "../base/sizes.ts";
import { type Graph, isTuple, type NodeId, type NodeOf, type TensorType } from "../graph/graph.ts";
import * as e from "../kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE, typeOf } from "../kernel/ir.ts";
import type { KernelBuilder } from "../../kernels/builder.ts";
import { lanesOf, restOf } from "../../kernels/simd.ts";
import { binaryOperator, castOperator, expressionArithmetic, unaryOperator } from "../../kernels/operators.ts";
import { idiomAt } from "./idioms.ts";
import { clampIndex, flatten, inputIndex, isNonNegative, type MovementOp } from "./maps.ts";
import { forBlocks, sumLevels } from "../../kernels/sums.ts";

const LANE_NAME = "lane#";
export const LANE: Size = dimSize(LANE_NAME);
export const dependsOnLane = (s: Size): boolean => typeof s !== "number" && s.key.includes(LANE_NAME);
export const atLane = (s: Size, lane: number): Size => (dependsOnLane(s) ? substituteSize(s, d => symbolAtLane(d, lane)) : s);

/** Lanes that run on through a row of pixels: the pixel and the channel of the element `first` + lane. */
const pixelLane = (first: number, channels: number): Size => dimSize(`${LANE_NAME}/${first}/${channels}`);
const channelLane = (first: number, channels: number): Size => dimSize(`${LANE_NAME}%${first}%${channels}`);
function symbolAtLane(name: string, lane: number): Size | undefined {
  if (name === LANE_NAME) return lane;
  if (!name.startsWith(LANE_NAME)) return undefined;
  const [first, channels] = name.slice(LANE_NAME.length + 1).split(name[LANE_NAME.length]!).map(Number) as [number, number];
  return name[LANE_NAME.length] === "/" ? Math.floor((first + lane) / channels) : (first + lane) % channels;
}
/** The index of elements of a row of pixels from `first` on, counted from pixel x. */
export const runIndex = (row: readonly Size[], x: Size, first: number, channels: number): Size[] => [...row, addSize(x, pixelLane(first, channels)), channelLane(first, channels)];

/** The position in a row of pixels of an index whose last axes are pixels and channels. */
function positionInRow(x: Size, channel: Size, channels: number): Size {
  const run = typeof channel === "number" ? null : new RegExp(`^${LANE_NAME}%(\\d+)%${channels}$`).exec(channel.key);
  const first = Number(run?.[1]);
  const start = run ? subSize(x, pixelLane(first, channels)) : 0;
  return run && !dependsOnLane(start) ? addSize(addSize(mulSize(start, channels), first), LANE) : addSize(mulSize(x, channels), channel);
}

/** The index of a vector along the last axis. */
export const withLanes = (at: readonly Size[]): Size[] => at.map((x, i) => (i === at.length - 1 ? addSize(x, LANE) : x));

const BINARY: ReadonlySet<string> = new Set(["add", "sub", "mul", "div", "mod", "pow", "max", "min", "atan2", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "shl", "shr", "mulhi"]);
const UNARY: ReadonlySet<string> = new Set(["neg", "abs", "sign", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "erf", "floor", "ceil", "round", "not", "is_finite"]);
const MOVEMENT: ReadonlySet<string> = new Set(["broadcast", "reshape", "transpose", "slice", "flip"]);

export const isBinaryOp = (op: string): boolean => BINARY.has(op);
export const isUnaryOp = (op: string): boolean => UNARY.has(op);
export const isMovementOp = (op: string): boolean => MOVEMENT.has(op);

export type ReduceKind = "sum" | "prod" | "max" | "min";

/** Where an element that is not computed here comes from: a buffer, or a value that the kernel holds. */
export type Origin = { readonly buffer: Buffer } | { readonly value: (at: readonly Size[], lanes: number) => Expr };

/** The neutral element of a reduction in registers. */
export function neutral(kind: ReduceKind, { dtype }: TensorType): Expr {
  const scalar = REGISTER_TYPE[dtype];
  if (scalar === "bool") return e.constant("bool", kind === "min" ? 1 : 0);
  if (kind === "sum" || kind === "prod") return e.constant(scalar, kind === "sum" ? 0 : 1);
  if (isFloat(dtype)) return e.constant(scalar, kind === "max" ? -Infinity : Infinity);
  if (!isInteger(dtype)) throw new InternalError(`a reduction of ${dtype} has no neutral element`);
  const { low, high } = integerRange(dtype);
  return e.constant(scalar, kind === "max" ? low : high);
}
export const COMBINE = { sum: "add", prod: "mul", max: "max", min: "min" } as const;

/** Elements of an axis: `count` of them, which is at most `most`. */
export interface SumRange {
  readonly from: Size;
  readonly count: Size;
  readonly most: number;
}

export class Elements {
  readonly k: KernelBuilder;
  readonly graph: Graph;
  readonly #origin: (id: NodeId) => Origin | undefined;
  readonly #drawOf: (id: NodeId) => Buffer;
  /** Of flat kernels: every tensor is one row of all its elements. */
  readonly #flat: boolean;
  #known: Map<string, Expr>[] = [new Map()];
  readonly #channels = new Map<string, number>();

  /** `drawOf`: the buffer that holds what tells a random node's draw from others, the word of its stream and its call. */
  constructor(k: KernelBuilder, graph: Graph, origin: (id: NodeId) => Origin | undefined, drawOf: (id: NodeId) => Buffer, flat = false) {
    this.k = k;
    this.graph = graph;
    this.#origin = origin;
    this.#drawOf = drawOf;
    this.#flat = flat;
  }

  type(id: NodeId): TensorType {
    const t = this.graph.nodes[id]!.type;
    if (isTuple(t)) throw new InternalError(`node ${id} of ${this.graph.name} is a tuple`);
    return t;
  }

  /** Values found inside are forgotten at its end, since they are bound in an inner block. */
  scoped<T>(body: () => T): T {
    this.#known.push(new Map());
    const result = body();
    this.#known.pop();
    return result;
  }

  /** `lanes` elements from the index on along the last axis. */
  read(id: NodeId, at: readonly Size[], lanes: number): Expr {
    const index = lanes === 1 ? at : withLanes(at);
    return e.splat(this.value(id, index, lanes), lanes);
  }

  /** The elements at an index in LANE; a scalar if all lanes are equal. */
  value(id: NodeId, at: readonly Size[], lanes: number): Expr {
    const wide = lanes > 1 && at.some(dependsOnLane);
    const key = keyOf(id, at, wide ? lanes : 1);
    for (let i = this.#known.length - 1; i >= 0; i--) {
      const known = this.#known[i]!.get(key);
      if (known) return known;
    }
    const value = this.#compute(id, at, wide ? lanes : 1);
    this.#known.at(-1)!.set(key, value);
    return value;
  }

  /** Reads what tells the draw from others here, for all the blocks inside this one. */
  bindDraw(id: NodeId): void {
    for (const i of [0, 1]) this.#known.at(-1)!.set(drawKey(id, i), this.k.let_("scalar", this.#drawWord(id, i)));
  }
  #drawWord(id: NodeId, i: number): Expr {
    const known = this.#known.findLast(values => values.has(drawKey(id, i)))?.get(drawKey(id, i));
    return known ?? this.load(this.#drawOf(id), [i], 1);
  }

  /** Evaluates a scalar here, for all the blocks inside this one. */
  bind(id: NodeId, at: readonly Size[]): void {
    this.#known.at(-1)!.set(keyOf(id, at, 1), this.k.let_("scalar", this.value(id, at, 1)));
  }

  #byLane(id: NodeId, at: readonly Size[], lanes: number): Expr {
    return e.vector(Array.from({ length: lanes }, (_, l) => this.value(id, at.map(x => atLane(x, l)), 1)));
  }

  #compute(id: NodeId, at: readonly Size[], lanes: number): Expr {
    const origin = this.#origin(id);
    if (origin) return "value" in origin ? origin.value(at, lanes) : this.load(origin.buffer, at, lanes);
    const node = this.graph.nodes[id]!;
    const type = this.type(id);
    const operand = (i: number): Expr => this.value(node.inputs[i]!, at, lanes);
    const idiom = idiomAt(this.graph, id);
    if (idiom) return idiom.compute(this.value(idiom.operand, at, lanes));
    if (isBinaryOp(node.op)) return binaryOperator(node.op as Parameters<typeof binaryOperator>[0], ...both(operand(0), operand(1)), this.type(node.inputs[0]!).dtype);
    if (isUnaryOp(node.op)) return unaryOperator(node.op as Parameters<typeof unaryOperator>[0], operand(0), type.dtype === "bool" ? this.type(node.inputs[0]!).dtype : type.dtype);
    if (isMovementOp(node.op)) {
      const from = node.inputs[0]!;
      // A tensor of one element may become a scalar on the way, and one of one element again.
      if (this.#flat) return this.value(from, this.type(from).shape.length === 0 ? [] : at.length === 0 ? [0] : at, lanes);
      return this.value(from, inputIndex(node as NodeOf<MovementOp>, at, this.type(from).shape, type.shape), lanes);
    }
    switch (node.op) {
      case "select": return e.select(operand(0), ...both(operand(1), operand(2)));
      case "cast": return castOperator(operand(0), this.type(node.inputs[0]!).dtype, type.dtype);
      case "bitcast": return e.bitcast(REGISTER_TYPE[type.dtype], operand(0));
      case "stop_gradient": case "tag": case "print": case "assert": return operand(0);
      case "const":
        if (typeof node.attrs.value !== "number") break;
        return constantOf(type, node.attrs.value);
      case "size": return e.index(node.attrs.size);
      case "iota": return castOperator(this.#number(at[node.attrs.axis]!, lanes), "i32", type.dtype);
      case "random": return this.#random(id, node, at, lanes);
      case "pad": return this.#padded(node, at, lanes);
      case "concat": return this.#joined(node, at, lanes);
      case "dynamic_slice": return this.value(node.inputs[0]!, this.#offset(node.inputs.slice(1), node.attrs.axes, type.shape, this.type(node.inputs[0]!).shape, at), lanes);
      case "gather": return this.#gathered(id, node, at, lanes);
      default:
    }
    throw new InternalError(`${node.op} (node ${id} of ${this.graph.name}) has no value at an index`);
  }

  /** An index as an i32, a vector where its lanes differ. */
  #number(x: Size, lanes: number): Expr {
    if (lanes === 1 || !dependsOnLane(x)) return e.index(x);
    const [first, second] = [atLane(x, 0), atLane(x, 1)];
    const step = subSize(second, first);
    const isLinear = typeof step === "number" && Array.from({ length: lanes }, (_, l) => l).every(l => sizeText(atLane(x, l)) === sizeText(addSize(first, l * step)));
    if (!isLinear) return e.vector(Array.from({ length: lanes }, (_, l) => e.index(atLane(x, l))));
    const offsets = e.vector(Array.from({ length: lanes }, (_, l) => e.constant("i32", l * step)));
    return e.add(e.splat(e.index(first), lanes), offsets);
  }

  /** Elements of a buffer: one load where the lanes are neighbours, else lane by lane. */
  load(buffer: Buffer, logical: readonly Size[], lanes: number): Expr {
    const { k } = this;
    const at = this.#place(buffer, logical);
    if (lanes === 1 || !at.some(dependsOnLane)) return k.load(buffer, at);
    const start = at.map(x => atLane(x, 0));
    if (isContiguous(at)) return k.load(buffer, start, lanes);
    return e.vector(Array.from({ length: lanes }, (_, l) => k.load(buffer, at.map(x => atLane(x, l)))));
  }

  /** Stores the lanes of a value at an index in LANE. */
  store(buffer: Buffer, logical: readonly Size[], value: Expr, lanes: number): void {
    const at = this.#place(buffer, logical);
    const wide = e.splat(value, lanes);
    if (lanes === 1) this.k.store(buffer, at, value);
    else if (isContiguous(at)) this.k.store(buffer, at.map(x => atLane(x, 0)), wide);
    else {
      const held = this.k.let_("v", wide);
      for (let l = 0; l < lanes; l++) this.k.store(buffer, at.map(x => atLane(x, l)), e.lane(held, l));
    }
  }

  /** The index in a buffer, which may have rows of pixels as one axis. */
  #place(buffer: Buffer, at: readonly Size[]): readonly Size[] {
    const channels = this.#channels.get(buffer.name);
    return channels === undefined ? at : [...at.slice(0, -2), positionInRow(at.at(-2)!, at.at(-1)!, channels)];
  }
  /** Says that the last axis of a buffer is that of pixels and of so many channels. */
  joinPixels(buffer: Buffer, channels: number): void {
    this.#channels.set(buffer.name, channels);
  }

  /** Stores a value's lanes from the index on along the last axis. */
  storeLanes(buffer: Buffer, at: readonly Size[], value: Expr): void {
    const { lanes } = typeOf(value);
    this.store(buffer, lanes === 1 ? at : withLanes(at), value, lanes);
  }

  /** Whether an axis may have no elements. */
  mayBeEmpty(extent: Size): boolean {
    return sizeRange(extent, name => this.graph.dims.find(d => d.name === name)).min < 1;
  }
  /** The most elements that an axis may have. */
  #most(extent: Size): number {
    return Math.min(sizeRange(extent, name => this.graph.dims.find(d => d.name === name)).max, 2 ** 31);
  }
  /** What is read of a tensor of these extents; 0 where it has no elements, since there no index can be clamped into it. */
  unlessEmpty(extents: readonly Size[], { dtype }: TensorType, lanes: number, read: () => Expr): Expr {
    const { k } = this;
    const nothing = e.constant(REGISTER_TYPE[dtype], 0, lanes);
    const open = extents.filter(s => this.mayBeEmpty(s));
    if (open.length === 0) return read();
    if (open.includes(0)) return nothing;
    const held = k.mutable("v", nothing);
    k.if_(open.map(s => e.lt(e.index(0), e.index(s))).reduce(e.and), () => this.scoped(() => k.assign(held, e.splat(read(), lanes))));
    return k.let_("v", held);
  }

  #random(id: NodeId, node: NodeOf<"random">, at: readonly Size[], lanes: number): Expr {
    const wordOf = (word: Expr): Expr => e.splat(word, lanes);
    const [seed, step] = [wordOf(this.value(node.inputs[0]!, [0], 1)), wordOf(this.value(node.inputs[0]!, [1], 1))];
    const [stream, call] = [wordOf(this.#drawWord(id, 0)), wordOf(this.#drawWord(id, 1))];
    const position = this.#flat ? (at[0] ?? 0) : flatten(at, node.attrs.shape);
    const index = e.bitcast("u32", this.#number(position, lanes));
    const a = { ...expressionArithmetic, word: (x: number) => e.constant("u32", x, lanes), real: (x: number) => e.constant("f32", x, lanes) };
    const words = drawWords(a, [seed, step], [stream, call], index);
    return node.attrs.kind === "bits" ? words[0] : node.attrs.kind === "uniform" ? uniformOf(a, words[0]) : normalOf(a, words);
  }

  /** Whether low ≤ x < high, of an index in LANE; undefined where that is plain. */
  #inside(x: Size, low: Size, high: Size, lanes: number): Expr | undefined {
    const number = this.#number(x, lanes);
    const conditions: Expr[] = [];
    if (low !== 0 || !isNonNegative(x)) conditions.push(e.ge(number, e.index(low)));
    conditions.push(e.lt(number, e.index(high)));
    return conditions.reduce((a, b) => e.and(a, b));
  }

  #padded(node: NodeOf<"pad">, at: readonly Size[], lanes: number): Expr {
    const from = node.inputs[0]!;
    const type = this.type(from);
    const fill = constantOf(type, node.attrs.value);
    let condition: Expr | undefined;
    const clamped: Size[] = [];
    const inner = at.map((x, i) => {
      const [low, high] = [node.attrs.low[i]!, node.attrs.high[i]!];
      if (low === 0 && high === 0) return x;
      clamped.push(type.shape[i]!);
      const inside = this.#inside(x, low, addSize(low, type.shape[i]!), lanes);
      condition = condition && inside ? e.and(...both(condition, inside)) : (inside ?? condition);
      return clampIndex(subSize(x, low), type.shape[i]!);
    });
    const value = this.unlessEmpty(clamped, type, lanes, () => this.value(from, inner, lanes));
    return condition ? e.select(condition, ...both(value, fill)) : value;
  }

  #joined(node: NodeOf<"concat">, at: readonly Size[], lanes: number): Expr {
    const { axis } = node.attrs;
    const x = at[axis]!;
    let start: Size = 0;
    let result: Expr | undefined;
    for (const from of node.inputs) {
      const extent = this.type(from).shape[axis]!;
      const within = at.map((y, i) => (i === axis ? clampIndex(subSize(x, start), extent) : y));
      const value = this.unlessEmpty([extent], this.type(from), lanes, () => this.value(from, within, lanes));
      result = result === undefined ? value : e.select(e.ge(this.#number(x, lanes), e.index(start)), ...both(value, result));
      start = addSize(start, extent);
    }
    return result!;
  }

  /** The index moved by starts that are data, clamped so that the part fits. */
  #offset(starts: readonly NodeId[], axes: readonly number[], part: readonly Size[], whole: readonly Size[], at: readonly Size[]): Size[] {
    return at.map((x, i) => {
      const which = axes.indexOf(i);
      return which < 0 ? x : addSize(x, this.start(starts[which]!, part[i]!, whole[i]!));
    });
  }
  /** A start that is data, clamped, as an index. */
  start(id: NodeId, part: Size, whole: Size): Size {
    const room = subSize(whole, part);
    if (room === 0) return 0;
    return this.k.index("start", e.min(e.max(this.value(id, [], 1), e.index(0)), e.index(room)));
  }

  #gathered(id: NodeId, node: NodeOf<"gather">, at: readonly Size[], lanes: number): Expr {
    const { axis, batch } = node.attrs;
    const [from, ids] = [node.inputs[0]!, node.inputs[1]!];
    const x = this.type(from);
    const idType = this.type(ids);
    const picked = idType.shape.length - batch;
    const idAt = [...at.slice(0, batch), ...at.slice(axis, axis + picked)];
    if (lanes > 1 && idAt.some(dependsOnLane)) return this.#byLane(id, at, lanes);
    const extent = x.shape[axis]!;
    return this.unlessEmpty([extent], x, lanes, () => {
      const row = clampedId(this.value(ids, idAt, 1), extent);
      return this.value(from, [...at.slice(0, axis), this.k.index("row", row), ...at.slice(axis + picked)], lanes);
    });
  }

  /**
   * Reductions of one domain and the same axes, in one nest of loops, at an index of their result.
   * `part`: only that range of the axis that `splitAxis` names.
   */
  reduced(ids: readonly NodeId[], at: readonly Size[], lanes: number, part?: SumRange): Expr[] {
    const { k } = this;
    const nodes = ids.map(id => this.graph.nodes[id] as NodeOf<"reduce">);
    const { axes } = nodes[0]!.attrs;
    const shape = this.type(nodes[0]!.inputs[0]!).shape;
    const reduced = [...axes].sort((a, b) => a - b);
    const kept = shape.map((_, i) => i).filter(i => !axes.includes(i));
    const inner = reduced.at(-1)!;
    // Lanes run along the last axis: of the result when it is kept, else of what is summed.
    const acrossLanes = lanes === 1 && inner === shape.length - 1 && nodes.every(n => DTYPES[this.type(n.inputs[0]!).dtype].bits <= 32 && this.type(n.inputs[0]!).dtype !== "bool" && n.attrs.kind !== "prod");
    const width = acrossLanes ? lanesOf(k.simd, "f32") : lanes;
    const totals = nodes.map(n => k.mutable("total", e.splat(neutral(n.attrs.kind, this.type(n.inputs[0]!)), width)));
    const index: Size[] = [];
    kept.forEach((axis, i) => (index[axis] = at[i]!));
    const neutrals = nodes.map(n => neutral(n.attrs.kind, this.type(n.inputs[0]!)));
    type Totals = readonly ReturnType<KernelBuilder["mutable"]>[];
    const add = (onto: Totals, values: readonly Expr[]): void => nodes.forEach((n, i) => k.assign(onto[i]!, combine(n.attrs.kind, onto[i]!, values[i]!)));
    const accumulate = (onto: Totals, count: number): void => this.scoped(() => {
      const values = nodes.map(n => e.splat(this.value(n.inputs[0]!, index, count), count));
      add(onto, count === width ? values : values.map((v, i) => firstLanes(v, neutrals[i]!, width)));
    });
    const range = reduced.map((axis): SumRange => (part && axis === splitAxis(shape, axes) ? part : { from: 0, count: shape[axis]!, most: this.#most(shape[axis]!) }));
    const isBlocked = nodes.some(n => n.attrs.kind === "sum" && isFloat(this.type(n.inputs[0]!).dtype));
    const levels = isBlocked ? sumLevels(range.map((r, axis) => (acrossLanes && axis === reduced.length - 1 ? Math.ceil(r.most / width) : r.most))) : reduced.map((_, axis) => ({ axis, step: 1, fresh: false }));
    const loop = (number: number, ranges: readonly SumRange[], outer: Totals): void => {
      const { axis, step, fresh } = levels[number]!;
      const { from, count } = ranges[axis]!;
      const own = fresh ? neutrals.map(x => k.mutable("block", e.splat(x, width))) : outer;
      const elements = acrossLanes && reduced[axis] === inner ? step * width : step;
      if (step > 1) forBlocks(k, from, count, elements, (start, size) => loop(number + 1, ranges.with(axis, { from: start, count: size, most: elements }), own));
      else if (number < levels.length - 1) {
        k.for_("r", count, r => {
          index[reduced[axis]!] = addSize(from, r);
          loop(number + 1, ranges, own);
        });
      } else if (!acrossLanes) {
        k.for_("r", count, r => {
          index[inner] = addSize(from, r);
          accumulate(own, lanes);
        });
      } else {
        forVectors(k, count, width, (r, many) => {
          index[inner] = addSize(addSize(from, r), many > 1 ? LANE : 0);
          accumulate(own, many);
        });
      }
      if (fresh) add(outer, own);
    };
    loop(0, range, totals);
    return nodes.map((n, i) => {
      const total = k.let_("total", totals[i]!);
      const kind = n.attrs.kind;
      const scalar = acrossLanes ? (kind === "prod" ? total : e.horizontal(kind === "sum" ? "add" : kind, total)) : total;
      // Sums of narrow integers wrap once, at the end.
      const { dtype } = this.type(n.inputs[0]!);
      return isFloat(dtype) || dtype === "bool" ? scalar : castOperator(scalar, REGISTER_TYPE[dtype] as "i32" | "u32", dtype);
    });
  }
}

/** The reduced axis that is divided among tasks: the first that is longer than 1. */
export function splitAxis(shape: readonly Size[], axes: readonly number[]): number {
  const ascending = [...axes].sort((a, b) => a - b);
  return ascending.find(a => shape[a] !== 1) ?? ascending[0]!;
}

const drawKey = (id: NodeId, i: number): string => `draw ${id} ${i}`;
const keyOf = (id: NodeId, at: readonly Size[], lanes: number): string => `${id}@${at.map(sizeText).join()}x${lanes}`;

/** The value in the first lanes, and another in the rest. */
function firstLanes(x: Expr, rest: Expr, width: number): Expr {
  const { lanes } = typeOf(x);
  if (lanes === 1) return e.vector([x, ...Array.from({ length: width - 1 }, () => rest)]);
  return e.shuffle(x, e.splat(rest, lanes), Array.from({ length: width }, (_, l) => Math.min(l, lanes)));
}

export function combine(kind: ReduceKind, a: Expr, b: Expr): Expr {
  if (typeOf(a).scalar === "bool") return kind === "max" ? e.or(a, b) : e.and(a, b);
  return e.binary(COMBINE[kind], a, b);
}

/** A loop over `count` elements, `width` at once; then, of a constant count, in narrower vectors down to four; then one by one. */
export function forVectors(k: KernelBuilder, count: Size, width: number, body: (at: Size, lanes: number) => void): void {
  if (width === 1) {
    k.for_("i", count, i => body(i, 1));
    return;
  }
  if (typeof count === "number") {
    const whole = count - (count % width);
    if (whole > 0) k.for_("i", whole, i => body(i, width), { step: width });
    const rest = width > 4 ? restOf(count, width).filter(r => r.lanes >= 4) : [];
    for (const { from, lanes } of rest) body(from, lanes);
    const single = rest.reduce((from, { lanes }) => from + lanes, whole);
    if (single < count) k.for_("i", count, i => body(i, 1), { from: single });
    return;
  }
  const whole = mulSize(floorDivSize(count, width), width);
  k.for_("i", whole, i => body(i, width), { step: width });
  k.for_("i", count, i => body(i, 1), { from: whole });
}

/** Integers wrap as the dtype holds them. */
const constantOf = ({ dtype }: TensorType, value: number): Expr => e.constant(REGISTER_TYPE[dtype], isFloat(dtype) ? value : DTYPES[dtype].round(value));

export const isContiguous = (at: readonly Size[]): boolean => {
  const last = at.at(-1);
  return last !== undefined && !at.slice(0, -1).some(dependsOnLane) && dependsOnLane(last) && !dependsOnLane(subSize(last, LANE));
};

const both = (a: Expr, b: Expr): [Expr, Expr] => {
  const lanes = Math.max(typeOf(a).lanes, typeOf(b).lanes);
  return [e.splat(a, lanes), e.splat(b, lanes)];
};

export function clampedId(id: Expr, extent: Size): Expr {
  const last = e.index(subSize(extent, 1));
  // Ids of u32 that are too large for i32 are large all the same.
  if (typeOf(id).scalar === "u32") return e.cast("i32", e.min(id, e.bitcast("u32", last)));
  return e.min(e.max(id, e.index(0)), last);
}
