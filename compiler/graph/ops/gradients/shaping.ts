// Gradients of movement, indexing, reductions, scans and sorting.
import { isFloat } from "../../../base/dtypes.ts";
import { addSize, mulSize, productSize, sameSize, type Size, subSize } from "../../../base/sizes.ts";
import { allAxes, Build, restAfter } from "../../build.ts";
import { GraphBuilder } from "../../builder.ts";
import type { NodeId, NodeOf, OpName } from "../../graph.ts";
import type { GradientContext, OpRows } from "../definition.ts";

type Shaping =
  | "broadcast" | "reshape" | "transpose" | "slice" | "dynamic_slice" | "dynamic_update" | "pad" | "flip" | "concat"
  | "gather" | "scatter" | "reduce" | "arg_reduce" | "scan" | "sort" | "topk" | "search_sorted";

/** For ops with one float result: no gradient of it, no gradient of the inputs. */
const rule = <O extends OpName>(of: (g: Build, node: NodeOf<O>, dy: NodeId, y: NodeId) => readonly (NodeId | null)[]) =>
  (node: NodeOf<O>, { b, id, outputs }: GradientContext): readonly (NodeId | null)[] => {
    const dy = outputs[0];
    return dy === null || dy === undefined || !isFloat(b.type(dy).dtype) ? node.inputs.map(() => null) : of(new Build(b, node.span), node, dy, id);
  };

/** Zeros around x so that it fills a strided slice's source: elements `stride` apart, then pads. */
function unslice(g: Build, dy: NodeId, start: readonly Size[], stride: readonly number[], whole: readonly Size[]): NodeId {
  let x = dy;
  const axes = allAxes(whole.length);
  for (const a of axes.filter(i => stride[i]! > 1)) {
    // Along a strided axis every element gets a group of `stride`, itself first and zeros after; the last group is cut.
    const shape = g.type(x).shape;
    const n = shape[a]!;
    const single = g.reshape(x, [...shape.slice(0, a + 1), 1, ...shape.slice(a + 1)]);
    const padded = g.node("pad", [single], { low: [...shape, 0].map(() => 0), high: [...shape, 0].map((_, i) => (i === a + 1 ? stride[a]! - 1 : 0)), value: 0 });
    const flat = g.reshape(padded, shape.map((s, i) => (i === a ? mulSize(n, stride[a]!) : s)));
    const needed = addSize(mulSize(subSize(n, 1), stride[a]!), 1);
    x = g.slice(flat, new Map([[a, { start: 0, size: needed }]]));
  }
  const shape = g.type(x).shape;
  return g.node("pad", [x], { low: start, high: axes.map(i => restAfter(whole[i]!, start[i]!, shape[i]!)), value: 0 });
}

/** dy put back where a gather or sort took it from: added at the ids along the axis. */
function addAt(g: Build, like: NodeId, ids: NodeId, dy: NodeId, axis: number): NodeId {
  // The ids have the part's own shape; with the axis last, the axes before it are a batch.
  const rank = g.rank(like);
  const perm = [...allAxes(rank).filter(i => i !== axis), axis];
  const back = allAxes(rank).map(i => perm.indexOf(i));
  const zeros = g.transpose(g.fill(0, like), perm);
  const added = g.node("scatter", [zeros, g.transpose(ids, perm), g.transpose(dy, perm)], { kind: "add", axis: rank - 1, batch: rank - 1 });
  return g.transpose(added, back);
}

const sortedGradient = (axis: number, node: NodeOf<"sort"> | NodeOf<"topk">, { b, id, outputs }: GradientContext): (NodeId | null)[] => {
  const dy = outputs[0];
  const g = new Build(b, node.span);
  return [dy === null || dy === undefined || !isFloat(g.type(dy).dtype) ? null : addAt(g, node.inputs[0]!, g.item(id, 1), dy, axis)];
};

export const shaping: { readonly [O in Shaping]: OpRows<O>[O]["gradient"] } = {
  broadcast: rule<"broadcast">((g, { inputs: [x], attrs }, dy) => {
    const from = g.type(x!);
    const repeated = allAxes(attrs.shape.length).filter(i => {
      const at = attrs.dims.indexOf(i);
      return at < 0 || (from.shape[at] === 1 && !sameSize(attrs.shape[i]!, 1));
    });
    return [g.reshape(g.sum(dy, repeated), from.shape)];
  }),
  reshape: rule<"reshape">((g, { inputs: [x] }, dy) => [g.reshape(dy, g.type(x!).shape, g.type(x!).axes)]),
  transpose: rule<"transpose">((g, { attrs: { perm } }, dy) => [g.transpose(dy, allAxes(perm.length).map(i => perm.indexOf(i)))]),
  slice: rule<"slice">((g, { inputs: [x], attrs }, dy) => [unslice(g, dy, attrs.start, attrs.stride, g.type(x!).shape)]),
  dynamic_slice: rule<"dynamic_slice">((g, { inputs: [x, ...starts], attrs }, dy) =>
    [g.node("dynamic_update", [g.fill(0, x!), dy, ...starts], { axes: attrs.axes }), ...starts.map(() => null)]),
  dynamic_update: rule<"dynamic_update">((g, { inputs: [, part, ...starts], attrs }, dy) => {
    const size = attrs.axes.map(a => g.type(part!).shape[a]!);
    return [
      g.node("dynamic_update", [dy, g.fill(0, part!), ...starts], { axes: attrs.axes }),
      g.node("dynamic_slice", [dy, ...starts], { axes: attrs.axes, size }), ...starts.map(() => null),
    ];
  }),
  pad: rule<"pad">((g, { inputs: [x], attrs }, dy) => {
    const shape = g.type(x!).shape;
    return [g.slice(dy, new Map(shape.map((size, i) => [i, { start: attrs.low[i]!, size }])))];
  }),
  flip: rule<"flip">((g, { attrs }, dy) => [g.node("flip", [dy], attrs)]),
  concat: rule<"concat">((g, { inputs, attrs: { axis } }, dy) => {
    let start: Size = 0;
    return inputs.map(x => {
      const size = g.type(x).shape[axis]!;
      const part = g.slice(dy, new Map([[axis, { start, size }]]));
      start = addSize(start, size);
      return part;
    });
  }),
  // Clamped reads of ids outside the bounds land on the first or last slice, and so does their gradient.
  gather: rule<"gather">((g, { inputs: [x, ids], attrs }, dy) => {
    const last = g.cast(g.size(subSize(g.type(x!).shape[attrs.axis]!, 1)), g.type(ids!).dtype);
    const clamped = g.binary("max", g.binary("min", ids!, g.repeat(last, ids!)), g.fill(0, ids!));
    return [g.node("scatter", [g.fill(0, x!), clamped, dy], { kind: "add", ...attrs }), null];
  }),
  scatter: rule<"scatter">((g, { inputs: [x, ids, part], attrs: { kind, axis, batch } }, dy, y) => {
    const at = { axis, batch };
    const taken = g.node("gather", [dy, ids!], at);
    const n = g.cast(g.size(g.type(x!).shape[axis]!), g.type(ids!).dtype);
    const inside = g.binary("and", g.binary("ge", ids!, g.fill(0, ids!)), g.binary("lt", ids!, g.repeat(n, ids!)));
    const partType = g.type(part!);
    const idRank = g.rank(ids!) - batch;
    const over = (id: NodeId) => g.broadcastTo(id, { shape: partType.shape, axes: partType.axes }, [...allAxes(batch), ...allAxes(idRank).map(i => axis + i)]);
    const none = g.fill(0, part!);
    if (kind === "add") return [dy, null, g.select(over(inside), taken, none)];
    if (kind === "set") {
      // The part that stayed is the last one at its id: the one whose number is found there.
      const shape = g.type(ids!).shape;
      const order = g.reshape(g.node("iota", [], { axis: 0, type: { dtype: "i32", shape: [productSize(shape)], axes: [null] } }), shape);
      const numbers = over(order);
      const blank = g.broadcastTo(g.scalar(-1, "i32"), g.type(x!), []);
      const winner = g.node("scatter", [blank, ids!, numbers], { kind: "set", axis, batch });
      const stayed = g.binary("and", over(inside), g.binary("eq", g.node("gather", [winner, ids!], at), numbers));
      return [g.select(g.binary("lt", winner, g.fill(0, winner)), dy, g.fill(0, dy)), null, g.select(stayed, taken, none)];
    }
    // Extremes: whoever equals the result takes its gradient, in equal shares.
    const won = g.binary("and", over(inside), g.binary("eq", part!, g.node("gather", [y, ids!], at)));
    const kept = g.binary("eq", x!, y);
    const ones = g.select(won, g.fill(1, part!), none);
    const shares = g.node("scatter", [g.select(kept, g.fill(1, x!), g.fill(0, x!)), ids!, ones], { kind: "add", axis, batch });
    const share = g.div(dy, shares);
    return [g.select(kept, share, g.fill(0, dy)), null, g.select(won, g.node("gather", [share, ids!], at), none)];
  }),
  reduce: rule<"reduce">((g, { inputs: [x], attrs: { kind, axes } }, dy, y) => {
    const over = (id: NodeId) => g.unreduce(id, x!, axes);
    if (kind === "sum") return [over(dy)];
    if (kind === "prod") {
      // The product of all others, as products before and after, so that zeros do no harm.
      const flatAxes = [...allAxes(g.rank(x!)).filter(i => !axes.includes(i)), ...axes];
      const moved = g.transpose(x!, flatAxes);
      const shape = g.type(moved).shape;
      const kept = shape.length - axes.length;
      const flat = g.reshape(moved, [...shape.slice(0, kept), productSize(shape.slice(kept))]);
      const scan = (reverse: boolean) => g.node("scan", [flat], { kind: "prod", axis: kept, exclusive: true, reverse });
      const others = g.transpose(g.reshape(g.mul(scan(false), scan(true)), shape), allAxes(shape.length).map(i => flatAxes.indexOf(i)));
      return [g.mul(over(dy), others)];
    }
    // Equal extremes share the gradient.
    const hit = g.binary("eq", x!, over(y));
    const ones = g.select(hit, g.fill(1, x!), g.fill(0, x!));
    return [g.mul(over(g.div(dy, g.sum(ones, axes))), ones)];
  }),
  scan: rule<"scan">((g, { inputs: [x], attrs }, dy, y) => {
    const { kind, axis, exclusive, reverse } = attrs;
    const back = (t: NodeId, open: boolean) => g.node("scan", [t], { kind: "sum", axis, exclusive: open, reverse: !reverse });
    if (kind === "sum") return [back(dy, exclusive)];
    if (kind === "prod") return [scanProductGradient(g, x!, dy, axis, exclusive, reverse)];
    // A running extreme's gradient goes to the element that set it: where the value changed, and to it until the next change.
    const shape = g.type(x!).shape;
    const first = { start: reverse ? 1 : 0, size: subSize(shape[axis]!, 1) };
    const edge = (t: NodeId) => g.slice(t, new Map([[axis, { start: reverse ? subSize(shape[axis]!, 1) : 0, size: 1 }]]));
    const before = g.node("concat", reverse ? [g.slice(y, new Map([[axis, first]])), edge(x!)] : [edge(x!), g.slice(y, new Map([[axis, first]]))], { axis });
    const positions = g.node("iota", [], { axis, type: { ...g.type(x!), dtype: "i32" } });
    const isEdge = g.binary("eq", positions, g.broadcastTo(reverse ? g.size(subSize(shape[axis]!, 1)) : g.scalar(0, "i32"), g.type(x!), []));
    const set = g.binary("or", isEdge, g.binary(kind === "max" ? "gt" : "lt", x!, before));
    const setter = g.select(set, positions, g.broadcastTo(reverse ? g.size(shape[axis]!) : g.scalar(-1, "i32"), g.type(x!), []));
    const owner = g.node("scan", [setter], { kind: reverse ? "min" : "max", axis, exclusive: false, reverse });
    return [addAt(g, x!, owner, dy, axis)];
  }),
  sort: (node, context) => sortedGradient(node.attrs.axis, node, context),
  topk: (node, context) => sortedGradient(node.attrs.axis, node, context),
  arg_reduce: "none", search_sorted: "none",
};

/**
 * d cumprod: dx[i] = Σ_{k ≥ i} dy[k] · Π_{j ≤ k, j ≠ i} x[j], without dividing by x, so that zeros do no harm:
 * P[i] (the product before i) times S[i], where S[i] = dy[i] + x[i+1] · S[i+1] is a loop against the scan's direction.
 */
function scanProductGradient(g: Build, x: NodeId, dy: NodeId, axis: number, exclusive: boolean, reverse: boolean): NodeId {
  const t = g.type(x);
  const n = t.shape[axis]!;
  // Of an exclusive scan, y[k] has no x[k]: its gradient belongs to the element before.
  const lag = (v: NodeId) => {
    const kept = g.slice(v, new Map([[axis, { start: reverse ? 0 : 1, size: subSize(n, 1) }]]));
    const amount = t.shape.map((_, i) => (i === axis ? 1 : 0));
    const none = t.shape.map(() => 0);
    return g.node("pad", [kept], { low: reverse ? amount : none, high: reverse ? none : amount, value: 0 });
  };
  const own = exclusive ? lag(dy) : dy;
  const body = new GraphBuilder("product_tail");
  const h = new Build(body, g.span);
  const slot = { ...t, shape: t.shape.map((s, i) => (i === axis ? 1 : s)), axes: t.axes.map((a, i) => (i === axis ? null : a)) };
  const step = h.node("input", [], { name: "step", type: { dtype: "i32", shape: [], axes: [] } });
  const running = h.node("input", [], { name: "running", type: slot });
  const tails = h.node("input", [], { name: "tails", type: t });
  const xs = h.node("input", [], { name: "x", type: t });
  const dys = h.node("input", [], { name: "dy", type: t });
  const position = reverse ? step : h.sub(h.size(subSize(n, 1)), step);
  const at = { axes: [axis], size: [1] };
  const tail = h.add(h.node("dynamic_slice", [dys, position], at), running);
  const next = h.mul(h.node("dynamic_slice", [xs, position], at), tail);
  body.outputs.push({ name: "running", id: next }, { name: "tails", id: h.node("dynamic_update", [tails, tail, position], { axes: [axis] }) });
  body.declareDimsOf(g.b);
  const zero = g.broadcastTo(g.scalar(0, t.dtype), slot, []);
  const loop = g.node("loop", [zero, g.fill(0, x), x, own], { body: body.finish(), trips: n, carries: 2, until: false });
  return g.mul(g.node("scan", [x], { kind: "prod", axis, exclusive: true, reverse }), g.item(loop, 1));
}
