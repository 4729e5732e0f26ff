// Convolutions and contractions by their generators, with what is read and written fused in.
import { addSize, floorDivSize, mulSize, productSize, type Size, subSize } from "../base/sizes.ts";
import { type Graph, isTuple, type NodeId, type NodeOf } from "../graph/graph.ts";
import * as e from "../kernel/expr.ts";
import { type Expr, typeOf } from "../kernel/ir.ts";
import type { KernelBuilder } from "../../kernels/builder.ts";
import type { Contraction } from "../../kernels/contraction-cut.ts";
import { type Convolution, convolutionKernel } from "../../kernels/convolution.ts";
import { type FilterGradient, filterGradientKernel, filterGradientShape } from "../../kernels/filter-gradient.ts";
import type { Sink, Source } from "../../kernels/fused.ts";
import { inputGradient } from "../../kernels/input-gradient.ts";
import { workgroupConvolution } from "../../kernels/simt/convolution.ts";
import { chainTile, type ConvolutionShape, type ConvolutionTile, convolutionTile } from "../../kernels/simt/convolution-tile.ts";
import { workgroupContraction } from "../../kernels/simt/contraction.ts";
import { withLanes } from "./elements.ts";
import { unflatten } from "./maps.ts";
import type { Draft, KernelScope, ValueId } from "./scope.ts";

const isConstant = (shape: readonly Size[]): boolean => shape.every(s => typeof s === "number");

/** The generators hold filters in registers and local memory, so their sizes must be known. */
export const hasConstantFilter = (scope: KernelScope, node: NodeOf<"conv" | "conv_input">): boolean =>
  isConstant(scope.elements.type(node.inputs[1]!).shape) && isConstant(scope.elements.type(node.inputs[0]!).shape.slice(3));

export const hasConstantChannels = (scope: KernelScope, { inputs }: NodeOf<"conv_filter">): boolean => inputs.every(i => isConstant(scope.elements.type(i).shape.slice(3)));

export function convolutionOf(scope: KernelScope, id: NodeId): Convolution {
  const node = scope.graph.nodes[id] as NodeOf<"conv" | "conv_input">;
  const [x, filter] = [scope.source(node.inputs[0]!), scope.source(node.inputs[1]!)];
  if (node.op === "conv_input") return inputGradient(node.attrs, x, filter, (node as NodeOf<"conv_input">).attrs.size);
  const [, height, width] = scope.elements.type(id).shape as [Size, Size, Size];
  return { attrs: node.attrs, x: { source: x }, filter, output: [height, width] };
}

export function convKernel(scope: KernelScope, id: NodeId, end: NodeId): Draft {
  const c = convolutionOf(scope, id);
  convolutionKernel(scope.k, c, scope.sink(id, end));
  return scope.finish(flopsOfConv(scope, id, c));
}

/** What a tile of a convolution depends on; null where it is not constant. */
function shapeOfConv({ nodes }: Graph, id: NodeId): ConvolutionShape | null {
  const node = nodes[id] as NodeOf<"conv">;
  const [filter, result] = [nodes[node.inputs[1]!]!.type, node.type];
  if (isTuple(filter) || isTuple(result) || !isConstant(filter.shape)) return null;
  return { attrs: node.attrs, filter, output: [result.shape[1]!, result.shape[2]!] };
}
/** Whether workgroups can make a convolution, or both of two in a row. */
export function fitsWorkgroups(graph: Graph, conv: NodeId, next?: NodeId): boolean {
  const [first, second] = [conv, next].map(id => (id === undefined ? null : shapeOfConv(graph, id)));
  if (!first) return false;
  if (next === undefined) return convolutionTile(first) !== null;
  return second != null && chainTile(first, second) !== null;
}

/** A convolution that workgroups can make, with its tile; null where it is left to a nest of loops. */
export interface SharedConvolution {
  readonly c: Convolution;
  readonly tile: ConvolutionTile;
}
export function sharedConvolution(scope: KernelScope, id: NodeId): SharedConvolution | null {
  if (!hasConstantFilter(scope, scope.graph.nodes[id] as NodeOf<"conv" | "conv_input">)) return null;
  const c = convolutionOf(scope, id);
  const tile = convolutionTile(c);
  return tile && { c, tile };
}

export const flopsOfConv = (scope: KernelScope, id: NodeId, { filter }: Convolution): Size => productSize([2, ...scope.elements.type(id).shape, ...filter.shape.slice(0, 3)]);

export function convInWorkgroups(scope: KernelScope, id: NodeId, end: NodeId, { c, tile }: SharedConvolution): Draft {
  workgroupConvolution(scope.k, c, tile, scope.sink(id, end));
  return scope.finish(flopsOfConv(scope, id, c));
}

export function filterGradientOf(scope: KernelScope, { attrs, inputs }: NodeOf<"conv_filter">): FilterGradient {
  return { attrs, x: scope.source(inputs[0]!), dy: scope.source(inputs[1]!), size: attrs.size };
}

/** Leaves the sums over bands of rows in `part`. */
export function filterPartsKernel(scope: KernelScope, gradient: FilterGradient, part: ValueId): Draft {
  filterGradientKernel(scope.k, gradient, { write: (_k, at, value) => scope.elements.storeLanes(scope.output(part), at, value) });
  const [, ...filter] = filterGradientShape(gradient);
  return scope.finish(productSize([2, ...gradient.dy.shape.slice(0, 3), ...filter]));
}

/** Labels of an einsum by their part in a matrix product; `a` and `b` are swapped where the result's last axis comes from a. */
function rolesOf({ attrs, inputs }: NodeOf<"contract">) {
  const isSwapped = attrs.out.length > 0 && !attrs.b.includes(attrs.out.at(-1)!) && attrs.a.includes(attrs.out.at(-1)!);
  const [a, b] = isSwapped ? [{ id: inputs[1]!, labels: attrs.b }, { id: inputs[0]!, labels: attrs.a }] : [{ id: inputs[0]!, labels: attrs.a }, { id: inputs[1]!, labels: attrs.b }];
  const inBoth = (l: number): boolean => a.labels.includes(l) && b.labels.includes(l);
  return {
    a, b,
    batch: attrs.out.filter(inBoth),
    m: attrs.out.filter(l => !b.labels.includes(l)),
    n: attrs.out.filter(l => !a.labels.includes(l)),
    k: [...new Set([...a.labels, ...b.labels])].filter(l => !attrs.out.includes(l)),
  };
}

/** A node as a batched matrix product, and where an element of the product lies in the result. */
export interface Product {
  readonly spec: Contraction;
  place(at: readonly Size[]): Size[];
}

/** The gradient of a filter: the pixels under each of its elements, times the gradients of the pixels made of them. */
function filterProduct(scope: KernelScope, id: NodeId): Product {
  const { elements, k } = scope;
  const { attrs: { stride, padding, dilation, groups }, inputs } = scope.graph.nodes[id] as NodeOf<"conv_filter">;
  const [x, dy] = [inputs[0]!, inputs[1]!];
  const [, height, width] = elements.type(x).shape as [Size, Size, Size, Size];
  const { dtype, shape: filter } = elements.type(id);
  const pixels = elements.type(dy).shape.slice(0, 3);
  const [window, outputs] = [filter.slice(0, 3), divided(filter[3]!, groups)];
  const groupOf = (at: readonly Size[]): Size => (groups === 1 ? 0 : at[0]!);
  /** Where an output and an element of the window meet in x, and whether that is inside. */
  const under = (axis: 0 | 1, output: Size, element: Size, extent: Size): { at: Size; isInside: Expr } => {
    const position = k.let_("p", e.index(subSize(addSize(mulSize(output, stride[axis]), mulSize(element, dilation[axis])), padding[axis][0])));
    return { at: k.index("p", e.min(e.max(position, 0), e.index(subSize(extent, 1)))), isInside: e.and(e.ge(position, 0), e.lt(position, e.index(extent))) };
  };
  const batch = groups === 1 ? [] : [groups];
  const [m, depth] = [productSize(window), productSize(pixels)];
  return {
    spec: {
      batch, m, n: outputs, k: depth, turned: { a: true, b: false }, dtype, dims: scope.graph.dims,
      a: {
        dtype, shape: [...batch, depth, m],
        read: (_k, at) => elements.scoped(() => {
          const [n, oy, ox] = unflatten(at.at(-2)!, pixels) as [Size, Size, Size];
          const [ky, kx, c] = unflatten(at.at(-1)!, window) as [Size, Size, Size];
          const [row, column] = [under(0, oy, ky, height), under(1, ox, kx, width)];
          const value = elements.value(x, [n, row.at, column.at, addSize(mulSize(groupOf(at), window[2]!), c)], 1);
          return e.select(e.and(row.isInside, column.isInside), value, e.constant(typeOf(value).scalar, 0));
        }),
      },
      b: {
        dtype, shape: [...batch, depth, outputs],
        read: (_k, at) => elements.scoped(() => elements.value(dy, [...unflatten(at.at(-2)!, pixels), addSize(mulSize(groupOf(at), outputs), at.at(-1)!)], 1)),
      },
    },
    place: at => [...unflatten(at.at(-2)!, window), addSize(mulSize(groupOf(at), outputs), at.at(-1)!)],
  };
}
const divided = (s: Size, by: number): Size => (typeof s === "number" ? s / by : floorDivSize(s, by));

export function productOf(scope: KernelScope, id: NodeId): Product {
  return scope.graph.nodes[id]!.op === "conv_filter" ? filterProduct(scope, id) : einsum(scope, id);
}

function einsum(scope: KernelScope, id: NodeId): Product {
  const { elements } = scope;
  const node = scope.graph.nodes[id] as NodeOf<"contract">;
  const roles = rolesOf(node);
  const sizes = new Map<number, Size>();
  for (const { id: from, labels } of [roles.a, roles.b]) labels.forEach((l, i) => sizes.set(l, elements.type(from).shape[i]!));
  const sizesOf = (labels: readonly number[]): Size[] => labels.map(l => sizes.get(l)!);
  const [m, n, k] = [roles.m, roles.n, roles.k].map(labels => productSize(sizesOf(labels))) as [Size, Size, Size];
  /** The index of each label from one position in each group. */
  const indices = (at: readonly Size[], ...groups: readonly (readonly [labels: readonly number[], position: Size])[]): Map<number, Size> => {
    const index = new Map(groups.flatMap(([labels, position]) => unflatten(position, sizesOf(labels)).map((x, i) => [labels[i]!, x] as const)));
    roles.batch.forEach((l, i) => index.set(l, at[i]!));
    return index;
  };
  const operand = ({ id: from, labels }: typeof roles.a, rows: readonly number[], columns: readonly number[], shape: readonly Size[]): Source => ({
    dtype: elements.type(from).dtype, shape, inMemory: scope.isInMemory(from) && rows.length <= 1 && columns.length <= 1,
    read: (_k, at, lanes) => elements.scoped(() => {
      const position = lanes === 1 ? at : withLanes(at);
      const index = indices(position, [rows, position.at(-2)!], [columns, position.at(-1)!]);
      return e.splat(elements.value(from, labels.map(l => index.get(l)!), lanes), lanes);
    }),
  });
  const batch = sizesOf(roles.batch);
  // Vectors run along an operand's last axis, whichever that is.
  const turned = { a: roles.m.includes(roles.a.labels.at(-1)!), b: roles.k.includes(roles.b.labels.at(-1)!) };
  return {
    spec: {
      batch, m, n, k, turned, dtype: elements.type(id).dtype, dims: scope.graph.dims,
      a: turned.a ? operand(roles.a, roles.k, roles.m, [...batch, k, m]) : operand(roles.a, roles.m, roles.k, [...batch, m, k]),
      b: turned.b ? operand(roles.b, roles.n, roles.k, [...batch, n, k]) : operand(roles.b, roles.k, roles.n, [...batch, k, n]),
    },
    place: at => {
      const index = indices(at, [roles.m, at.at(-2)!], [roles.n, at.at(-1)!]);
      return node.attrs.out.map(l => index.get(l)!);
    },
  };
}

/** Generators differ in who makes what: tasks of vectors, or workgroups of threads. */
type ContractionGenerator = (k: KernelBuilder, c: Contraction, sink: Sink) => void;
const flopsOf = ({ batch, m, n, k }: Contraction): Size => productSize([2, ...batch, m, n, k]);

export function contractKernel(scope: KernelScope, id: NodeId, end: NodeId, generator: ContractionGenerator): Draft {
  const { spec, place } = productOf(scope, id);
  generator(scope.k, spec, {
    open: () => scope.hoistScalars([id, end]),
    write: (kernel, at, value) => {
      const { lanes } = typeOf(value);
      scope.finishAt(id, end, place(lanes === 1 ? at : withLanes(at)), kernel.let_("y", value), lanes);
    },
  });
  return scope.finish(flopsOf(spec));
}

/** Leaves parts of the sums in `part`, [parts, ...result]. */
export function contractPartsKernel(scope: KernelScope, id: NodeId, part: ValueId): Draft {
  const { spec, place } = productOf(scope, id);
  workgroupContraction(scope.k, spec, {
    open: () => scope.hoistScalars([id]),
    write: (_k, [number, ...at], value) => scope.elements.store(scope.output(part), [number!, ...place(at)], value, 1),
  });
  return scope.finish(flopsOf(spec));
}
