// Loop kernels: elementwise roots over one shape, and reductions. The grid covers the outer axes, each task some thousand
// elements, vectors run along the last axis.
import { addSize, floorDivSize, maxSize, minSize, mulSize, productSize, type Size, subSize } from "../base/sizes.ts";
import { DTYPES } from "../base/dtypes.ts";
import { type Graph, isTuple, type NodeId, type NodeOf } from "../graph/graph.ts";
import { combine, forVectors, isBinaryOp, isUnaryOp, LANE, neutral, type ReduceKind, splitAxis } from "./elements.ts";
import * as e from "../kernel/expr.ts";
import { lanesOf } from "../../kernels/simd.ts";
import type { Draft, KernelScope, ValueId } from "./scope.ts";

/** Elements that a task of a loop kernel computes, about. */
const TASK = 4096;
/** Partial results of a reduction of much to little: a fixed number, so that its order depends on the shape alone. */
export const PARTIALS = 32;

/** Whether every tensor that the roots touch has their own shape, or is a scalar: then rows do not matter. */
export function isFlat(graph: Graph, stored: readonly boolean[], roots: readonly NodeId[]): boolean {
  const shape = shapeKey(graph, roots[0]!);
  if (shape === "") return false;
  const seen = new Set<NodeId>();
  const fits = (id: NodeId): boolean => {
    if (seen.has(id)) return true;
    seen.add(id);
    const n = graph.nodes[id]!;
    const key = shapeKey(graph, id);
    if (key === "" || (n.op === "const" && typeof n.attrs.value === "number")) return true;
    if (key !== shape) return false;
    if (stored[id] && !roots.includes(id)) return true;
    if (n.op === "broadcast") return shapeKey(graph, n.inputs[0]!) === "";
    if (n.op === "random") return true;
    if (!(isBinaryOp(n.op) || isUnaryOp(n.op) || ["select", "cast", "bitcast", "stop_gradient", "tag", "print"].includes(n.op))) return false;
    return n.inputs.every(fits);
  };
  return roots.every(fits);
}
const shapeKey = (graph: Graph, id: NodeId): string => {
  const { type } = graph.nodes[id]!;
  return isTuple(type) ? "tuple" : type.shape.map(s => (typeof s === "number" ? s : s.key)).join();
};

/** Calls `body` for vectors of the whole shape: declares the grid, and loops inside a task. */
export function overShape(scope: KernelScope, shape: readonly Size[], widest: number, prepare: () => void, body: (at: readonly Size[], lanes: number) => void): void {
  const { k } = scope;
  const rank = shape.length;
  if (rank === 0) {
    prepare();
    body([], 1);
    return;
  }
  if (k.simd.tasks === "elements") {
    const at = shape.map((extent, i) => k.grid(`n${i}`, extent));
    prepare();
    body(at, 1);
    return;
  }
  const last = shape[rank - 1]!;
  const along = (at: readonly Size[], start: Size, count: Size): void =>
    forVectors(k, count, widest, (i, lanes) => body([...at, lanes === 1 ? addSize(start, i) : addSize(addSize(start, i), LANE)], lanes));
  if (rank === 1 || (typeof last === "number" && last >= TASK) || typeof last !== "number") {
    const outer = shape.slice(0, -1).map((extent, i) => k.grid(`n${i}`, extent));
    const isSmall = typeof last === "number" && last <= TASK;
    const chunk = isSmall ? 0 : k.grid("chunk", floorDivSize(addSize(last, TASK - 1), TASK));
    prepare();
    along(outer, mulSize(chunk, TASK), isSmall ? last : minSize(TASK, maxSize(subSize(last, mulSize(chunk, TASK)), 0)));
    return;
  }
  // Rows are short: a task takes several of them.
  const rows = Math.max(1, Math.floor(TASK / Math.max(1, last)));
  const extent = shape[rank - 2]!;
  const outer = shape.slice(0, -2).map((n, i) => k.grid(`n${i}`, n));
  const isWhole = typeof extent === "number" && extent <= rows;
  const block = isWhole ? 0 : k.grid("block", floorDivSize(addSize(extent, rows - 1), rows));
  prepare();
  const start = mulSize(block, rows);
  k.for_("row", isWhole ? extent : minSize(rows, maxSize(subSize(extent, start), 0)), row => along([...outer, addSize(start, row)], 0, last));
}

/** Whole vectors unless something is wider than 32 bits. */
export const lanesFor = (scope: KernelScope, ids: readonly NodeId[]): number =>
  scope.hasDoubles || ids.some(id => DTYPES[scope.elements.type(id).dtype].bits === 64) ? 1 : lanesOf(scope.k.simd, "f32");

export function loopKernel(scope: KernelScope, roots: readonly NodeId[], flat: boolean): Draft {
  const { shape } = scope.elements.type(roots[0]!);
  overShape(scope, flat ? [productSize(shape)] : shape, lanesFor(scope, roots), () => scope.hoistScalars(roots),
    (at, lanes) => scope.storeAll(roots.map(id => ({ value: id, compute: () => scope.elements.value(id, at, lanes) })), at, lanes));
  return scope.finish(mulSize(roots.length, productSize(shape)));
}

const upperBound = (scope: KernelScope, size: Size): number => {
  if (typeof size === "number") return size;
  const bound = new Map(scope.graph.dims.map(d => [d.name, d.max]));
  return size.terms.reduce((sum, t) => sum + t.atoms.reduce((p, a) => p * (a.kind === "dim" ? (bound.get(a.name) ?? 2 ** 20) : 2 ** 20), t.coefficient), 0);
};

/** Whether a reduction has too few results, and too many elements to each, to be spread over tasks by its results alone. */
export function needsPartials(scope: KernelScope, root: NodeId): boolean {
  const node = scope.graph.nodes[root] as NodeOf<"reduce">;
  const results = upperBound(scope, productSize(scope.elements.type(root).shape));
  const { shape } = scope.elements.type(node.inputs[0]!);
  const first = shape[splitAxis(shape, node.attrs.axes)]!;
  const each = upperBound(scope, productSize(node.attrs.axes.map(a => shape[a]!)));
  return results < 2048 && each >= 2048 && node.attrs.axes.length > 0 && upperBound(scope, first) > 1;
}

const domainOf = (scope: KernelScope, root: NodeId) => {
  const node = scope.graph.nodes[root] as NodeOf<"reduce">;
  return { axes: node.attrs.axes, shape: scope.elements.type(node.inputs[0]!).shape, flops: productSize(scope.elements.type(node.inputs[0]!).shape) };
};

/** Reductions and the ends of their epilogues. */
export function reduceKernel(scope: KernelScope, roots: readonly NodeId[], ends: readonly NodeId[]): Draft {
  const { flops } = domainOf(scope, roots[0]!);
  overShape(scope, scope.elements.type(roots[0]!).shape, lanesFor(scope, roots), () => {}, (at, lanes) => {
    const values: ReturnType<typeof scope.elements.reduced> = [];
    scope.elements.scoped(() => values.push(...scope.elements.reduced(roots, at, lanes)));
    roots.forEach((id, i) => scope.finishAt(id, ends[i]!, at, values[i]!, lanes));
  });
  return scope.finish(mulSize(roots.length, flops));
}

/** Reduces ranges of the first reduced axis: `parts` hold [PARTIALS, ...result]. */
export function partialKernel(scope: KernelScope, roots: readonly NodeId[], parts: readonly ValueId[]): Draft {
  const { k } = scope;
  const { axes, shape, flops } = domainOf(scope, roots[0]!);
  const extent = shape[splitAxis(shape, axes)]!;
  const part = k.grid("part", PARTIALS);
  const share = floorDivSize(addSize(extent, PARTIALS - 1), PARTIALS);
  const from = minSize(mulSize(part, share), extent);
  // The maximum changes nothing, but shows the verifier that a loop over what is left starts at 0 or later.
  const count = maxSize(0, subSize(minSize(mulSize(addSize(part, 1), share), extent), from));
  const each = (at: readonly Size[], lanes: number): void => {
    const values: ReturnType<typeof scope.elements.reduced> = [];
    scope.elements.scoped(() => values.push(...scope.elements.reduced(roots, at, lanes, { from, count, most: Math.ceil(upperBound(scope, extent) / PARTIALS) })));
    parts.forEach((p, i) => scope.elements.store(scope.output(p), [part, ...at], values[i]!, lanes));
  };
  inTask(scope, scope.elements.type(roots[0]!).shape, lanesFor(scope, roots), each);
  return scope.finish(mulSize(roots.length, flops));
}

/** All indices of a small shape, inside the task of a kernel whose grid is still open: of a task of one element, one. */
export function inTask(scope: KernelScope, shape: readonly Size[], widest: number, body: (at: readonly Size[], lanes: number) => void): void {
  if (scope.k.simd.tasks === "elements") body(shape.map((extent, i) => scope.k.grid(`r${i}`, extent)), 1);
  else everyIndex(scope, shape, widest, body);
}

/** All indices of a small shape, inside a task. */
export function everyIndex(scope: KernelScope, shape: readonly Size[], widest: number, body: (at: readonly Size[], lanes: number) => void): void {
  const nest = (at: readonly Size[]): void => {
    const axis = at.length;
    if (axis === shape.length) body(at, 1);
    else if (axis === shape.length - 1) forVectors(scope.k, shape[axis]!, widest, (i, lanes) => body([...at, lanes === 1 ? i : addSize(i, LANE)], lanes));
    else scope.k.for_("i", shape[axis]!, i => nest([...at, i]));
  };
  nest([]);
}

/** A result of which a kernel before left `count` parts, [count, ...result]. */
export interface InParts {
  readonly anchor: NodeId;
  readonly end: NodeId;
  readonly kind: ReduceKind;
  readonly part: ValueId;
}

/** Combines parts in their order. */
export function combineKernel(scope: KernelScope, results: readonly InParts[], count: Size): Draft {
  const { k } = scope;
  const { shape } = scope.elements.type(results[0]!.anchor);
  overShape(scope, shape, lanesFor(scope, results.map(r => r.anchor)), () => {}, (at, lanes) => {
    const totals = results.map(r => k.mutable("total", e.splat(neutral(r.kind, scope.elements.type(r.anchor)), lanes)));
    k.for_("part", count, part => {
      const loaded = results.map(r => scope.elements.load(scope.input(r.part), [part, ...at], lanes));
      results.forEach((r, i) => k.assign(totals[i]!, combine(r.kind, totals[i]!, loaded[i]!)));
    });
    results.forEach((r, i) => scope.finishAt(r.anchor, r.end, at, k.let_("total", totals[i]!), lanes));
  });
  return scope.finish(mulSize(count, productSize(shape)));
}
