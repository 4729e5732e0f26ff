// Reductions by workgroups: threads divide what goes into a result, each adds up its share, and the shares are combined by
// halves in shared memory. A share of floats is added up in blocks of at most BLOCK elements. Threads are neighbours in memory: along a row that is reduced, or along the results where those
// lie side by side. Where results are few, workgroups divide what goes into one as well and leave parts, which a second
// kernel combines. The order follows from shapes alone.
import { isFloat } from "../base/dtypes.ts";
import { addSize, floorDivSize, minSize, modSize, mulSize, productSize, type Size, sizeRange } from "../base/sizes.ts";
import type { NodeId, NodeOf } from "../graph/graph.ts";
import * as e from "../kernel/expr.ts";
import { type Expr, REGISTER_TYPE } from "../kernel/ir.ts";
import type { Mutable } from "../../kernels/builder.ts";
import { castOperator } from "../../kernels/operators.ts";
import { ceilDiv } from "../../kernels/simd.ts";
import { MOST_SHARED, MOST_THREADS, partsFor } from "../../kernels/simt/tile.ts";
import { allBelow, isWhole, overThreads } from "../../kernels/simt/workgroup.ts";
import { BLOCK } from "../../kernels/sums.ts";
import { combine, neutral } from "./elements.ts";
import { unflatten } from "./maps.ts";
import type { Draft, KernelScope, ValueId } from "./scope.ts";

export interface ReduceCut {
  /** Threads that share a result, and results of a workgroup, which are neighbours along the last axis that is kept. */
  readonly along: number;
  readonly across: number;
  /** Whether neighbouring threads share a result: rows are reduced. */
  readonly byRows: boolean;
  /** Workgroups that share a result. */
  readonly parts: number;
}

/** Elements to a result up to which a thread alone makes it. */
const SHORT = 32;
/** Elements to a row up to which some threads make it, of which a workgroup has several. */
const MEDIUM = 1024;
const FEW_THREADS = 32;
/** Results, side by side, that keep a device busy with a thread each, where they are not made of very many. */
const MANY = 16384;

const domainOf = (scope: KernelScope, root: NodeId) => {
  const node = scope.graph.nodes[root] as NodeOf<"reduce">;
  const { shape } = scope.elements.type(node.inputs[0]!);
  const axes = [...node.attrs.axes].sort((a, b) => a - b);
  const kept = shape.map((_, i) => i).filter(i => !axes.includes(i));
  return { shape, axes, kept, count: productSize(axes.map(a => shape[a]!)) };
};

/** Null where each result is better made by one thread. */
export function reduceCut(scope: KernelScope, roots: readonly NodeId[]): ReduceCut | null {
  const { shape, axes, kept, count } = domainOf(scope, roots[0]!);
  const range = (s: Size) => sizeRange(s, name => scope.graph.dims.find(d => d.name === name));
  // What is divided by has to be there.
  if (axes.slice(1).some(a => range(shape[a]!).min < 1)) return null;
  const each = range(count).max;
  const byRows = axes.includes(shape.length - 1);
  const last = kept.length === 0 ? 1 : range(shape[kept.at(-1)!]!).max;
  const outer = kept.slice(0, -1).reduce((p, a) => p * Math.max(1, range(shape[a]!).max), 1);
  if (each <= SHORT || (!byRows && outer * last >= MANY && each <= MEDIUM)) return null;
  // Of each root every thread has a place in shared memory.
  const most = Math.min(MOST_THREADS, 2 ** Math.floor(Math.log2(MOST_SHARED / 8 / roots.length)));
  const across = byRows ? (each <= MEDIUM && last > 1 ? most / FEW_THREADS : 1) : Math.min(most / 8, FEW_THREADS, 2 ** Math.ceil(Math.log2(last)));
  const parts = partsFor(outer * Math.ceil(last / across), each, MEDIUM / 2);
  return { along: most / across, across, byRows, parts };
}

/** Grid, threads and body; `leave` gets the values of a result, at its index, in one thread. */
function reduce(scope: KernelScope, roots: readonly NodeId[], { along, across, byRows, parts }: ReduceCut, leave: (at: readonly Size[], values: readonly Expr[], part: Size) => void): void {
  const { k, elements } = scope;
  const { shape, axes, kept, count } = domainOf(scope, roots[0]!);
  const part = parts === 1 ? 0 : k.grid("part", parts);
  const outer = kept.slice(0, -1).map((axis, i) => k.grid(`n${i}`, shape[axis]!));
  const last = kept.length === 0 ? 1 : shape[kept.at(-1)!]!;
  const block = kept.length === 0 ? 0 : k.grid("block", ceilDiv(last, across));
  const thread = k.thread("t", along * across);
  const [fast, slow] = [modSize(thread, byRows ? along : across), floorDivSize(thread, byRows ? along : across)];
  const position = k.index("position", e.index(byRows ? fast : slow));
  const own = k.index("own", e.index(byRows ? slow : fast));
  const result = k.index("result", e.index(addSize(mulSize(block, across), own)));
  const at = kept.length === 0 ? [] : [...outer, result];
  const isInside = kept.length === 0 ? allBelow([own, 1, across === 1]) : allBelow([result, last, isWhole(last, across)]);
  const nodes = roots.map(id => scope.graph.nodes[id] as NodeOf<"reduce">);
  const types = nodes.map(n => elements.type(n.inputs[0]!));
  const totals = nodes.map((n, i) => k.mutable("total", neutral(n.attrs.kind, types[i]!)));
  const share = parts === 1 ? count : ceilDiv(count, parts);
  const from = parts === 1 ? 0 : minSize(mulSize(part, share), count);
  const end = parts === 1 ? count : minSize(addSize(from, share), count);
  const addUp = (first: Size, last: Size, onto: readonly Mutable[]): void => k.for_("r", last, r => elements.scoped(() => {
    const index: Size[] = [];
    kept.forEach((axis, i) => (index[axis] = at[i]!));
    unflatten(r, axes.map(a => shape[a]!)).forEach((x, i) => (index[axes[i]!] = x));
    const values = nodes.map(n => elements.value(n.inputs[0]!, index, 1));
    nodes.forEach((n, i) => k.assign(onto[i]!, combine(n.attrs.kind, onto[i]!, values[i]!)));
  }), { from: addSize(first, position), step: along });
  const most = Math.min(sizeRange(count, name => scope.graph.dims.find(d => d.name === name)).max, 2 ** 31) / parts / along;
  const isBlocked = most > BLOCK && nodes.some((n, i) => n.attrs.kind === "sum" && isFloat(types[i]!.dtype));
  k.if_(isInside, () => {
    if (!isBlocked) {
      addUp(from, end, totals);
      return;
    }
    const step = BLOCK * along;
    k.for_("block", ceilDiv(share, step), block => {
      const first = addSize(from, mulSize(block, step));
      const own = nodes.map((n, i) => k.mutable("block", neutral(n.attrs.kind, types[i]!)));
      addUp(first, minSize(addSize(first, step), end), own);
      nodes.forEach((n, i) => k.assign(totals[i]!, combine(n.attrs.kind, totals[i]!, own[i]!)));
    });
  });
  const shared = types.map(({ dtype }) => k.alloc("shares", REGISTER_TYPE[dtype], byRows ? [across, along] : [along, across], "shared"));
  const place = (of: Size): Size[] => (byRows ? [own, of] : [of, own]);
  const keep = (): void => totals.forEach((total, i) => k.store(shared[i]!, place(position), total));
  keep();
  overThreads(k, position, along, other => {
    nodes.forEach((n, i) => k.assign(totals[i]!, combine(n.attrs.kind, totals[i]!, k.load(shared[i]!, place(other)))));
    keep();
  });
  k.if_(e.eq(e.index(position), 0), () => k.if_(isInside, () => leave(at, totals.map((total, i) => {
    const { dtype } = types[i]!;
    const held = k.let_("total", total);
    // Sums of narrow integers wrap once, at the end.
    return isFloat(dtype) || dtype === "bool" ? held : castOperator(held, REGISTER_TYPE[dtype] as "i32" | "u32", dtype);
  }), part)));
}

/** Reductions and the ends of their epilogues. */
export function reduceInWorkgroups(scope: KernelScope, roots: readonly NodeId[], ends: readonly NodeId[], cut: ReduceCut): Draft {
  reduce(scope, roots, cut, (at, values) => roots.forEach((id, i) => scope.finishAt(id, ends[i]!, at, values[i]!, 1)));
  return scope.finish(flopsOf(scope, roots));
}

/** Leaves [part, …result] of each. */
export function reducePartsInWorkgroups(scope: KernelScope, roots: readonly NodeId[], parts: readonly ValueId[], cut: ReduceCut): Draft {
  reduce(scope, roots, cut, (at, values, part) => parts.forEach((p, i) => scope.elements.store(scope.output(p), [part, ...at], values[i]!, 1)));
  return scope.finish(flopsOf(scope, roots));
}

const flopsOf = (scope: KernelScope, roots: readonly NodeId[]): Size => mulSize(roots.length, productSize(domainOf(scope, roots[0]!).shape));
