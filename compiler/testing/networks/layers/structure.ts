// Layers made of layers: branches that meet, residuals, weights used several times, loops; and what keeps values: recurrences
// and caches.
import { addSize, sameSize } from "../../../base/sizes.ts";
import { type Dim, f32 } from "../../../dsl/dims.ts";
import { arange, concat, full, iterate } from "../../../dsl/functions.ts";
import { attention, linear } from "../../../dsl/nn.ts";
import { state } from "../../../dsl/state.ts";
import type { State, Tensor } from "../../../dsl/tensor.ts";
import { type Building, dimOf, part, row, shapeOf } from "../building.ts";
import type { Layer } from "../description.ts";
import { isConstant } from "./products.ts";

type Layers = readonly Layer[];
const sameShape = (x: Tensor, y: Tensor): boolean => shapeOf(x).length === shapeOf(y).length && shapeOf(x).every((s, i) => sameSize(s, shapeOf(y)[i]!));

interface Meet extends Layer {
  readonly kind: "meet";
  readonly how: "add" | "mul" | "sub" | "maximum" | "gate" | "concat" | "where";
  readonly branches: readonly Layers[];
}
/** y with the last axis of x, through a linear layer if it has to be; undefined where another axis differs. */
function fitted(y: Tensor, x: Tensor, name: string, net: Building): Tensor | undefined {
  if (sameShape(x, y)) return y;
  const [to, from] = [shapeOf(x), shapeOf(y)];
  const [out, own] = [to.at(-1), from.at(-1)];
  if (to.length !== from.length || !isConstant(out) || !isConstant(own) || out < 1 || own < 1 || !to.slice(0, -1).every((s, i) => sameSize(s, from[i]!))) return undefined;
  return net.part(name, () => linear(own, out, { bias: false }))(y as never) as Tensor;
}
function meeting(how: Meet["how"], a: Tensor, b: Tensor): Tensor {
  switch (how) {
    case "gate": return a.mul(b.sigmoid() as never) as Tensor;
    case "where": return b.gt(0).where(a, b) as Tensor;
    case "concat": return concat([a, b], -1) as Tensor;
    default: return a[how](b as never) as Tensor;
  }
}
const meetRow = row<Meet>({
  kind: "meet", weight: 14, nests: true,
  draw(choose, x, net) {
    const count = choose.chance(75) ? 2 : choose.int(1, 4);
    const branches = Array.from({ length: count }, () => net.drawn(choose, x, choose.pick([0, 1, 1, 1, 2, 3])));
    return { how: choose.pick(["add", "add", "add", "mul", "sub", "maximum", "gate", "gate", "concat", "where"] as const), branches };
  },
  apply({ how, branches }, x, net) {
    const [first, ...others] = branches.map((body, i) => net.apply(body, x, i));
    if (!first) return null;
    return others.reduce((a, b, i) => {
      const fitting = how === "concat" && sameSize(shapeOf(a).at(-1) ?? 1, shapeOf(b).at(-1) ?? 1) ? (sameShape(a, b) ? b : undefined) : fitted(b, a, `fit${i}`, net);
      return fitting === undefined || (how === "concat" && shapeOf(a).length === 0) ? a : meeting(how, a, fitting);
    }, first);
  },
});

interface Residual extends Layer {
  readonly kind: "residual";
  readonly body: readonly Layers[];
}
const residualRow = row<Residual>({
  kind: "residual", weight: 7, nests: true,
  draw: (choose, x, net) => ({ body: [net.drawn(choose, x, choose.int(1, 4))] }),
  apply({ body }, x, net) {
    const y = fitted(net.apply(body[0] ?? [], x), x, "fit", net);
    return y === undefined ? null : x.add(y as never) as Tensor;
  },
});

interface Repeat extends Layer {
  readonly kind: "shared" | "iterate";
  readonly times: number;
  readonly body: readonly Layers[];
}
/** The same layers with the same weights, several times one after the other. */
const sharedRow = row<Repeat>({
  kind: "shared", weight: 4, nests: true,
  draw: (choose, x, net) => ({ times: choose.int(2, 3), body: [net.drawn(choose, x, choose.int(1, 3))] }),
  apply({ times, body }, x, net) {
    let y = x;
    for (let i = 0; i < Math.min(times, 4); i++) {
      const next = fitted(net.apply(body[0] ?? [], y), x, "fit", net);
      if (next === undefined) return null;
      y = next;
    }
    return y;
  },
});
/** The same in a loop of the graph. */
const iterateRow = row<Repeat>({
  kind: "iterate", weight: 3, nests: true,
  draw: (choose, x, net) => (net.elements(x) > 400 ? null : { times: choose.int(0, 3), body: [net.drawn(choose, x, choose.int(1, 2))] }),
  apply({ times, body }, x, net) {
    let fits = true;
    const { v } = net.inLoop(() => iterate(Math.min(times, 4), { v: x }, ({ v: now }) => {
      const next = fitted(net.apply(body[0] ?? [], now), now, "fit", net);
      fits &&= next !== undefined;
      return { v: next === undefined ? now : next.tanh() };
    }));
    return fits ? v : null;
  },
});

interface Recur extends Layer {
  readonly kind: "recur";
  readonly cell: "rnn" | "gru" | "lstm";
  readonly hidden: number;
  readonly gives: "last" | "mean" | "all";
}
/** Along the axis before the last, from its first position on. */
const recurRow = row<Recur>({
  kind: "recur", weight: 4,
  draw(choose, x, net) {
    const shape = shapeOf(x);
    if (shape.length < 2 || shape.length > 3 || net.elements(x) > 400) return null;
    return { cell: choose.pick(["rnn", "gru", "lstm"] as const), hidden: choose.pick([1, 2, 3, 4, 8]), gives: choose.pick(["last", "mean", "all"] as const) };
  },
  apply({ cell, hidden, gives }, x, net) {
    const shape = shapeOf(x);
    const [steps, inputs] = [shape.at(-2), shape.at(-1)];
    // A position of an axis that may have none is refused.
    if (steps === undefined || net.range(steps).min < 1 || shape.length > 3 || !isConstant(inputs) || inputs < 1 || hidden < 1) return null;
    const gates = cell === "rnn" ? 1 : cell === "gru" ? 3 : 4;
    const own = net.part("own", () => linear(inputs, [gates, hidden]));
    const past = net.part("past", () => linear(hidden, [gates, hidden], { bias: false }));
    const batch = shape.slice(0, -2).map(dimOf);
    const zero = full(f32(...batch, hidden)) as Tensor;
    const first: { readonly [name in "h" | "c" | "sum" | "all"]: Tensor } = { h: zero, c: zero, sum: zero, all: gives === "all" ? (full(f32(dimOf(steps), ...batch, hidden)) as Tensor) : zero };
    const last = iterate(dimOf(steps), first, (now, i) => {
      const [a, b] = [own(x.select({ [shape.length - 2]: i } as never) as never) as Tensor, past(now.h as never) as Tensor];
      const at = (g: number): readonly [Tensor, Tensor] => [a.select({ [-2]: g } as never) as Tensor, b.select({ [-2]: g } as never) as Tensor];
      const both = (g: number): Tensor => at(g)[0].add(at(g)[1] as never) as Tensor;
      const mix = (keep: Tensor, old: Tensor, fresh: Tensor): Tensor => keep.mul(old as never).add(keep.neg().add(1).mul(fresh as never) as never) as Tensor;
      let [h, c] = [now.h, now.c];
      if (cell === "rnn") h = both(0).tanh();
      else if (cell === "gru") h = mix(both(0).sigmoid(), h, at(2)[0].add(both(1).sigmoid().mul(at(2)[1] as never) as never).tanh() as Tensor);
      else {
        c = both(0).sigmoid().mul(c as never).add(both(1).sigmoid().mul(both(2).tanh() as never) as never) as Tensor;
        h = both(3).sigmoid().mul(c.tanh() as never) as Tensor;
      }
      const all = gives === "all" ? (now.all.scatter("set", i.unsqueeze() as never, h.unsqueeze(0) as Tensor) as Tensor) : now.all;
      return { h, c, sum: now.sum.add(h as never) as Tensor, all };
    });
    if (gives === "last") return last.h;
    if (gives === "mean") return last.sum.mul(0.25).add(last.c as never) as Tensor;
    return shape.length === 2 ? last.all : last.all.rearrange("s b h -> b s h" as never) as Tensor;
  },
});

interface Cache extends Layer {
  readonly kind: "cache";
  readonly capacity: number;
  /** The whole is read with what was not written yet hidden, or only what is there. */
  readonly reads: "whole" | "part" | "rows";
}
/** Rows go into a state at a position bound at each call, and attention looks at all that are there. */
const cacheRow = row<Cache>({
  kind: "cache", weight: 4,
  draw(choose, x, net) {
    const shape = shapeOf(x);
    if (shape.length !== 2 || !net.dims.has("P") || net.elements(x) > 400) return null;
    return { capacity: choose.chance(85) ? choose.pick([8, 16, 32, 40]) : choose.pick([256, 2048, 4096]), reads: choose.pick(["whole", "part", "part", "rows"] as const) };
  },
  apply({ capacity, reads }, x, net) {
    const shape = shapeOf(x);
    const [rows, last] = [shape[0], shape[1]];
    const position = net.dims.get("P");
    if (net.isInLoop || shape.length !== 2 || !position || !isConstant(last) || last < 1 || rows === undefined) return null;
    const end = addSize(position.value, rows);
    const held = Math.max(capacity, net.range(end).max);
    if (held > 5000 || held * last > 1 << 16) return null;
    const keys = net.cache("keys", () => ({ of: state(f32(held, 1, last)) })).of as State;
    const q = x.unsqueeze(1) as Tensor;
    keys.put({ 0: position as never }, q);
    const seen = reads === "part" ? part(keys, 0, 0, end) : keys;
    if (reads === "rows") return x.add(part(keys, 0, 0, rows).select({ 1: 0 } as never) as never) as Tensor;
    const columns = reads === "part" ? dimOf(end) : held;
    const at = (arange(dimOf(rows) as Dim) as Tensor).add(position as never).unsqueeze() as Tensor;
    const mask = (arange(columns as Dim) as Tensor).le(at as never);
    return (attention(q as never, seen as never, seen as never, { mask }) as Tensor).select({ 1: 0 } as never) as Tensor;
  },
});

export const STRUCTURES = [meetRow, residualRow, sharedRow, iterateRow, recurRow, cacheRow];
