// Convolutions and contractions by their generators, with what is read and written fused in.
import { productSize, type Size } from "../base/sizes.ts";
import type { NodeId, NodeOf } from "../graph/graph.ts";
import { type Convolution, convolutionKernel, inputGradient } from "../../kernels/convolution.ts";
import { type FilterGradient, filterGradientKernel, filterGradientShape } from "../../kernels/filter-gradient.ts";
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
  return scope.finish(productSize([2, ...scope.elements.type(id).shape, ...c.filter.shape.slice(0, 3)]));
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
