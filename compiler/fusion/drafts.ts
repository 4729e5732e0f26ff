// A graph as kernels over values: each group of the partition becomes one or two kernel drafts.
import { InternalError } from "../base/diagnostics.ts";
import { isFloat } from "../base/dtypes.ts";
import { streamWord } from "../base/random.ts";
import type { Size } from "../base/sizes.ts";
import { type Graph, isTuple, type NodeId, type NodeOf, type TensorType, tensorType as unnamed } from "../graph/graph.ts";
import type { SimdMachine } from "../kernel/machines.ts";
import { combineKernel, isFlat, loopKernel, needsPartials, partialKernel, PARTIALS, reduceKernel } from "./loops.ts";
import { argReduceKernel, contractNest, convFilterNest, convInputNest, convNest, scanKernel, scatterKernel, searchSortedKernel, sortKernel, updateKernel } from "./nests.ts";
import { type Group, partition, type PartitionOptions } from "./partition.ts";
import { contractionKernel } from "../../kernels/contraction.ts";
import { filterGradientGrid, filterGradientShape } from "../../kernels/filter-gradient.ts";
import { type Bands, bandsOf, chainedConvKernel, combineMomentsKernel, convMomentsKernel, imageMomentsKernel, momentPartShape, plainBands } from "./moments.ts";
import { contractKernel, contractPartsKernel, convInWorkgroups, convKernel, convolutionOf, filterGradientOf, filterPartsKernel, hasConstantChannels, fitsWorkgroups, hasConstantFilter, productOf, sharedConvolution } from "./products.ts";
import { lanesOf, registerDType } from "../../kernels/simd.ts";
import { workgroupContraction } from "../../kernels/simt/contraction.ts";
import { isWorthSharing, workgroupCut } from "../../kernels/simt/tile.ts";
import { verifyPartition } from "./verify-partition.ts";
import { type ReduceCut, reduceCut, reduceInWorkgroups, reducePartsInWorkgroups } from "./workgroup-reduce.ts";
import { chainedInWorkgroups, combineMomentsInWorkgroups, convMomentsInWorkgroups, imageMomentsInWorkgroups, type Squares, squarePartShape, squaresOf } from "./workgroup-moments.ts";
import { type Draft, KernelScope, type ValueId } from "./scope.ts";

/** What a schedule does for a graph, over values that have no place yet. */
export type Work =
  | { readonly kind: "kernel"; readonly draft: Draft }
  | { readonly kind: "copy"; readonly from: ValueId; readonly to: ValueId }
  /** An update of part of x in the buffer of the result: `x` is copied there first unless it lies there already. */
  | { readonly kind: "update"; readonly draft: Draft; readonly x: ValueId; readonly to: ValueId }
  | { readonly kind: "loop"; readonly node: NodeId; readonly carries: readonly ValueId[] }
  | { readonly kind: "effect"; readonly node: NodeId };

export interface Drafted {
  readonly works: readonly Work[];
  readonly stored: readonly boolean[];
  readonly typeOf: (value: ValueId) => TensorType;
  /** A value that no node has. */
  readonly temporary: (type: TensorType) => ValueId;
  /** Temporaries that no work writes, with their elements. */
  readonly constants: ReadonlyMap<ValueId, readonly number[]>;
}

/** Kernels for the machine's registers. `wanted`: nodes whose values must be left in a buffer. */
export function draftKernels(graph: Graph, wanted: readonly NodeId[], machine: SimdMachine, options: Pick<PartitionOptions, "fusion" | "kept" | "apart">): Drafted {
  /** Whether kernels are for threads, alone or in workgroups, and not for tasks that fill vector registers. */
  const isThreaded = machine.tasks === "elements";
  const hasDoubles = graph.nodes.some(n => !isTuple(n.type) && n.type.dtype === "f64");
  const partitioned = partition(graph, wanted, {
    ...options, fits: (conv, next) => !isThreaded || fitsWorkgroups(graph, conv, next), storesMoments: isThreaded,
    lanes: hasDoubles ? 1 : lanesOf(machine, "f32"),
  });
  verifyPartition(graph, wanted, partitioned);
  const { stored, groups, ends, summed, chained } = partitioned;
  const temporaries: TensorType[] = [];
  const temporary = (type: TensorType): ValueId => {
    temporaries.push(type);
    return -temporaries.length;
  };
  const typeOf = (value: ValueId): TensorType => {
    const type = value < 0 ? temporaries[-value - 1]! : graph.nodes[value]!.type;
    if (isTuple(type)) throw new InternalError(`value ${value} of ${graph.name} is a tuple`);
    return type;
  };
  // The name of a stream and the number of a draw are operands: kernels that draw alike are one.
  const constants = new Map<ValueId, readonly number[]>();
  const draws = new Map<NodeId, ValueId>();
  const drawOf = (id: NodeId): ValueId => {
    const { attrs: { stream, call } } = graph.nodes[id] as NodeOf<"random">;
    const draw = draws.get(id) ?? temporary(unnamed("u32", [2]));
    draws.set(id, draw);
    constants.set(draw, [streamWord(stream), call]);
    return draw;
  };
  const items = new Map<string, NodeId>();
  graph.nodes.forEach((n, id) => {
    if (n.op === "item" && stored[id]) items.set(`${n.inputs[0]}.${n.attrs.index}`, id);
  });
  const itemsOf = (id: NodeId): ValueId[] => {
    const { type } = graph.nodes[id]!;
    return isTuple(type) ? type.items.map((t, i) => items.get(`${id}.${i}`) ?? temporary(t)) : [];
  };
  const endOf = (id: NodeId): NodeId => ends.get(id) ?? id;
  const scope = (roots: readonly NodeId[], { flat = false, inRuns = false, workgroups = false } = {}): KernelScope =>
    new KernelScope({ graph, machine, stored, hasDoubles, roots: [...roots, ...roots.map(endOf)], name: `${graph.name}_${roots[0]}`.replace(/[^A-Za-z0-9_]/g, "_"), temporary: typeOf, drawOf, flat, inRuns, workgroups });

  const partOfMoments = new Map<NodeId, ValueId>();
  const kernel = (draft: Draft): Work => ({ kind: "kernel", draft });
  /** Where a kernel leaves what it sums of its bands. */
  const momentParts = (s: KernelScope, moments: NodeId): { readonly part: ValueId; readonly bands: Bands; readonly shape: readonly Size[] } => {
    const image = graph.nodes[moments]!.inputs[0]!;
    const conv = summed.get(moments);
    const { shape } = typeOf(image);
    const bands = conv === undefined ? plainBands(shape[1]!) : bandsOf(convolutionOf(s, conv));
    const part = partOfMoments.get(moments) ?? temporary(unnamed("f32", momentPartShape(shape, bands)));
    partOfMoments.set(moments, part);
    return { part, bands, shape };
  };
  const momentsWorks = (id: NodeId): Work[] => {
    const image = graph.nodes[id]!.inputs[0]!;
    const conv = summed.get(id);
    const works: Work[] = [];
    const s = scope(conv === undefined ? [] : [conv], { inRuns: conv !== undefined });
    const { part, bands, shape } = momentParts(s, id);
    if (conv === undefined) works.push(kernel(imageMomentsKernel(s, image, part)));
    else if (!stored[image]) works.push(kernel(convMomentsKernel(s, conv, image, part, false)));
    if (![...chained.values()].includes(id)) works.push(kernel(combineMomentsKernel(scope([id]), part, bands, shape, itemsOf(id) as [ValueId, ValueId])));
    return works;
  };
  /** The same on threads: of the squares of pixels that workgroups make. */
  const squareParts = (s: KernelScope, moments: NodeId): { readonly part: ValueId; readonly squares: Squares; readonly shape: readonly Size[] } => {
    const conv = summed.get(moments);
    const { shape } = typeOf(graph.nodes[moments]!.inputs[0]!);
    const squares = squaresOf(shape, conv === undefined ? undefined : sharedConvolution(s, conv)!.tile.pixels);
    const part = partOfMoments.get(moments) ?? temporary(unnamed("f32", squarePartShape(shape, squares)));
    partOfMoments.set(moments, part);
    return { part, squares, shape };
  };
  const summedConv = (moments: NodeId, conv: NodeId, end: NodeId, isStored: boolean): Work => {
    const s = scope([conv], { workgroups: true });
    return kernel(convMomentsInWorkgroups(s, conv, end, sharedConvolution(s, conv)!, squareParts(s, moments).part, isStored));
  };
  const threadedMoments = (id: NodeId): Work[] => {
    const image = graph.nodes[id]!.inputs[0]!;
    const conv = summed.get(id);
    const s = scope([id], { workgroups: true });
    const { part, squares, shape } = squareParts(s, id);
    const sums = conv === undefined ? [kernel(imageMomentsInWorkgroups(scope([], { workgroups: true }), image, part))] : stored[image] ? [] : [summedConv(id, conv, image, false)];
    return [...sums, kernel(combineMomentsInWorkgroups(s, part, squares, shape, itemsOf(id) as [ValueId, ValueId]))];
  };
  const threadedConv = (id: NodeId, node: NodeOf<"conv" | "conv_input">): Work[] => {
    const between = chained.get(id);
    const s = scope([id], { workgroups: true });
    if (between !== undefined) {
      const producer = summed.get(between)!;
      return [kernel(chainedInWorkgroups(s, id, endOf(id), { producer, end: endOf(producer) }))];
    }
    const moments = [...summed].find(([, conv]) => conv === id)?.[0];
    if (moments !== undefined) return [summedConv(moments, id, endOf(id), true)];
    const shared = sharedConvolution(s, id);
    return [kernel(shared ? convInWorkgroups(s, id, endOf(id), shared) : (node.op === "conv" ? convNest : convInputNest)(scope([id]), id, endOf(id)))];
  };
  const convWorks = (id: NodeId, node: NodeOf<"conv" | "conv_input">): Work[] => {
    const s = scope([id], { inRuns: true });
    const end = endOf(id);
    const between = chained.get(id);
    if (between !== undefined) {
      const producer = summed.get(between)!;
      const items = graph.nodes.flatMap((n, i) => (n.op === "item" && n.inputs[0] === between ? [i] : []));
      return [kernel(chainedConvKernel(s, id, end, { producer, end: endOf(producer), items }, momentParts(s, between).part))];
    }
    const moments = [...summed].find(([, conv]) => conv === id)?.[0];
    if (moments !== undefined) return [kernel(convMomentsKernel(s, id, end, momentParts(s, moments).part, true))];
    const nest = node.op === "conv" ? convNest : convInputNest;
    return [kernel(hasConstantFilter(s, node) ? convKernel(s, id, end) : nest(s, id, end))];
  };

  const combined = (id: NodeId, part: ValueId, parts: Size): Work => kernel(combineKernel(scope([id]), [{ anchor: id, end: endOf(id), kind: "sum", part }], parts));
  const productWorks = (id: NodeId, nest: typeof contractNest): Work[] => {
    const { spec } = productOf(scope([id]), id);
    if (!isWorthSharing(spec)) return [kernel(nest(scope([id]), id, endOf(id)))];
    const { parts } = workgroupCut(spec);
    const s = scope([id], { workgroups: true });
    if (parts === 1) return [kernel(contractKernel(s, id, endOf(id), workgroupContraction))];
    const part = temporary(unnamed(registerDType(spec.dtype), [parts, ...typeOf(id).shape]));
    return [kernel(contractPartsKernel(s, id, part)), combined(id, part, parts)];
  };

  const threadedReduce = (roots: readonly NodeId[], cut: ReduceCut): Work[] => {
    const s = scope(roots, { workgroups: true });
    if (cut.parts === 1) return [kernel(reduceInWorkgroups(s, roots, roots.map(endOf), cut))];
    const parts = roots.map(id => {
      const { dtype, shape } = typeOf(id);
      // Floats are rounded once, at the end.
      return temporary(unnamed(isFloat(dtype) ? registerDType(dtype) : dtype, [cut.parts, ...shape]));
    });
    const results = roots.map((id, i) => ({ anchor: id, end: endOf(id), kind: (graph.nodes[id] as NodeOf<"reduce">).attrs.kind, part: parts[i]! }));
    return [kernel(reducePartsInWorkgroups(s, roots, parts, cut)), kernel(combineKernel(scope(roots), results, cut.parts))];
  };

  const worksOf = ({ kind, roots }: Group): Work[] => {
    if (kind === "loop") {
      const flat = isFlat(graph, stored, roots);
      return [{ kind: "kernel", draft: loopKernel(scope(roots, { flat }), roots, flat) }];
    }
    if (kind === "reduce") {
      const cut = isThreaded ? reduceCut(scope(roots), roots) : null;
      if (cut) return threadedReduce(roots, cut);
      const first = scope(roots);
      if (!needsPartials(first, roots[0]!)) return [{ kind: "kernel", draft: reduceKernel(first, roots, roots.map(endOf)) }];
      const parts = roots.map(id => {
        const { dtype, shape } = typeOf(id);
        return temporary(unnamed(dtype, [PARTIALS, ...shape]));
      });
      return [{ kind: "kernel", draft: partialKernel(first, roots, parts) }, {
        kind: "kernel",
        draft: combineKernel(scope(roots), roots.map((id, i) => ({ anchor: id, end: endOf(id), kind: (graph.nodes[id] as NodeOf<"reduce">).attrs.kind, part: parts[i]! })), PARTIALS),
      }];
    }
    const id = roots[0]!;
    const node = graph.nodes[id]!;
    switch (node.op) {
      case "contract":
        // A sum of no products needs no panels.
        if (node.inputs.some(isEmpty)) return [kernel(contractNest(scope(roots), id, endOf(id)))];
        return isThreaded ? productWorks(id, contractNest) : [kernel(contractKernel(scope(roots), id, endOf(id), contractionKernel))];
      case "conv": case "conv_input":
        if (node.inputs.some(isEmpty)) return [kernel((node.op === "conv" ? convNest : convInputNest)(scope(roots), id, endOf(id)))];
        return (isThreaded ? threadedConv : convWorks)(id, node);
      case "composite": return (isThreaded ? threadedMoments : momentsWorks)(id);
      case "conv_filter": {
        const s = scope(roots, { inRuns: true });
        const isGeneral = !hasConstantChannels(s, node);
        // Its products of panels clamp positions into the image, and divide by its sides.
        if (node.inputs.some(i => isEmpty(i) || (isThreaded && typeOf(i).shape.some(n => s.elements.mayBeEmpty(n))))) return [kernel(convFilterNest(scope(roots), id, endOf(id)))];
        if (isThreaded && (!isGeneral || node.attrs.groups === 1)) return productWorks(id, convFilterNest);
        if (isGeneral) return [{ kind: "kernel", draft: convFilterNest(s, id, endOf(id)) }];
        const gradient = filterGradientOf(s, node);
        const part = temporary(unnamed(typeOf(id).dtype, filterGradientShape(gradient)));
        return [
          { kind: "kernel", draft: filterPartsKernel(s, gradient, part) },
          combined(id, part, filterGradientGrid(gradient)[0]!),
        ];
      }
      case "scan": return [{ kind: "kernel", draft: scanKernel(scope(roots), id) }];
      case "arg_reduce": return [{ kind: "kernel", draft: argReduceKernel(scope(roots), id) }];
      case "search_sorted": return [{ kind: "kernel", draft: searchSortedKernel(scope(roots), id) }];
      case "sort": case "topk": {
        const [values, ids] = itemsOf(id) as [ValueId, ValueId];
        return [{ kind: "kernel", draft: sortKernel(scope(roots), id, { values, ids }) }];
      }
      case "scatter": return [{ kind: "update", draft: scatterKernel(scope(roots), id), x: node.inputs[0]!, to: id }];
      case "dynamic_update": return [{ kind: "update", draft: updateKernel(scope(roots), id), x: node.inputs[0]!, to: id }];
      case "loop": return [{ kind: "loop", node: id, carries: itemsOf(id) }];
      default: throw new InternalError(`${node.op} (node ${id} of ${graph.name}) is not lowered`);
    }
  };
  /** Nothing is made of results that have no elements, whatever the dims are. */
  const isEmpty = (id: NodeId): boolean => {
    const { type } = graph.nodes[id]!;
    return (isTuple(type) ? type.items : [type]).every(t => t.shape.includes(0));
  };
  const works = groups.filter(g => g.roots.some(id => !isEmpty(id) || graph.nodes[id]!.op === "loop")).flatMap(worksOf);
  for (const node of graph.effects) works.push({ kind: "effect", node });
  return { works, stored, typeOf, temporary, constants };
}
