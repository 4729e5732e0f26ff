// Convolution kernels agree bit for bit with the graph interpreter on small integers, for every tile and odd shapes, with
// symbolic sizes, fused producers and gradients; the verifier accepts each of them.
import { describe, expect, it } from "vitest";
import { addSize, type DimValues, evaluateSize, type Size } from "../../compiler/base/sizes.ts";
import type { NdArray } from "../../compiler/graph/field.ts";
import type { ConvAttrs } from "../../compiler/graph/graph.ts";
import { convOutputSize } from "../../compiler/graph/ops/contraction.ts";
import { add, max } from "../../compiler/kernel/expr.ts";
import { type Convolution, convolutionKernel, convolutionShape } from "../../kernels/convolution.ts";
import { type FilterGradient, filterGradientKernel, filterGradientShape } from "../../kernels/filter-gradient.ts";
import type { KernelBuilder } from "../../kernels/builder.ts";
import type { Sink, Source } from "../../kernels/fused.ts";
import { inputGradient } from "../../kernels/input-gradient.ts";
import { workgroupConvolution } from "../../kernels/simt/convolution.ts";
import { chainTile, convolutionTile } from "../../kernels/simt/convolution-tile.ts";
import { type Built, dim, H, integers, N, reference, verified, verifiedInWorkgroups, W } from "./kernels-sample.ts";

const attrs = (stride = 1, padding = 1, dilation = 1, groups = 1): ConvAttrs => ({
  stride: [stride, stride], padding: [[padding, padding], [padding, padding]], dilation: [dilation, dilation], groups,
});
const values = (sizes: readonly Size[], dims: DimValues): number[] => sizes.map(s => evaluateSize(s, dims));
const DIMS = [dim("N", 64), dim("H"), dim("W")];

describe("convolution", () => {
  it.each<[string, { shape?: [number, number, number]; filter: [number, number, number, number]; attrs?: ConvAttrs; bind?: DimValues }]>([
    ["3 to 32 channels", { shape: [1, 9, 13], filter: [3, 3, 3, 32] }],
    ["3 to 32 channels, symbolic", { filter: [3, 3, 3, 32], bind: { N: 2, H: 18, W: 7 } }],
    ["32 to 3 channels", { shape: [2, 5, 8], filter: [3, 3, 32, 3] }],
    ["32 to 3 channels, symbolic", { filter: [3, 3, 32, 3], bind: { N: 1, H: 17, W: 5 } }],
    ["strips", { shape: [1, 4, 70], filter: [3, 3, 32, 3] }],
    ["strips, symbolic", { filter: [3, 3, 32, 3], bind: { N: 1, H: 5, W: 53 } }],
    ["strips under a stride", { filter: [3, 3, 32, 1], attrs: attrs(2), bind: { N: 1, H: 7, W: 151 } }],
    ["strips, dilation and uneven padding", { filter: [3, 2, 32, 3], attrs: { stride: [1, 1], padding: [[1, 2], [0, 5]], dilation: [1, 3], groups: 1 }, bind: { N: 1, H: 6, W: 67 } }],
    ["cropped strips", { filter: [2, 3, 32, 2], attrs: { stride: [1, 1], padding: [[-1, 0], [-2, 1]], dilation: [1, 1], groups: 1 }, bind: { N: 1, H: 6, W: 90 } }],
    ["one to one", { filter: [3, 3, 1, 1], bind: { N: 1, H: 4, W: 14 } }],
    ["odd channels", { shape: [1, 6, 7], filter: [3, 3, 5, 13] }],
    ["fewer channels than lanes", { shape: [1, 6, 7], filter: [3, 3, 5, 3] }],
    ["many odd channels", { shape: [1, 3, 5], filter: [1, 3, 17, 9], attrs: attrs(1, 1) }],
    ["1x1", { filter: [1, 1, 8, 8], attrs: attrs(1, 0), bind: { N: 2, H: 3, W: 5 } }],
    ["stride 2", { filter: [3, 3, 4, 8], attrs: attrs(2), bind: { N: 1, H: 9, W: 12 } }],
    ["stride 3 and no padding", { filter: [2, 2, 8, 2], attrs: attrs(3, 0), bind: { N: 1, H: 11, W: 9 } }],
    ["dilation", { filter: [3, 3, 3, 8], attrs: attrs(1, 2, 2), bind: { N: 1, H: 6, W: 7 } }],
    ["groups", { shape: [1, 5, 6], filter: [3, 3, 4, 12], attrs: attrs(1, 1, 1, 2) }],
    ["groups over inputs", { shape: [1, 5, 6], filter: [3, 3, 8, 4], attrs: attrs(1, 1, 1, 2) }],
    ["depthwise", { filter: [3, 3, 1, 6], attrs: attrs(2, 1, 1, 6), bind: { N: 1, H: 7, W: 9 } }],
    ["uneven padding", { filter: [4, 2, 3, 5], attrs: { stride: [2, 1], padding: [[0, 3], [2, 0]], dilation: [1, 3], groups: 1 }, bind: { N: 2, H: 8, W: 7 } }],
    ["cropping", { filter: [2, 2, 3, 8], attrs: { stride: [1, 1], padding: [[-1, 0], [-2, 1]], dilation: [1, 1], groups: 1 }, bind: { N: 1, H: 8, W: 9 } }],
  ])("%s", (name, { shape, filter, attrs: a = attrs(), bind = {} }) => {
    const channels = filter[2] * a.groups;
    const sizes: Size[] = [...(shape ?? [N, H, W]), channels];
    const dims = Object.keys(bind).map(d => dim(d, 4096, a.padding[0][0] < 0 ? 6 : 5 ));
    const x = integers(values(sizes, bind), 1);
    const w = integers(filter, 2);
    const output: [Size, Size] = [convOutputSize(sizes[1]!, filter[0], a, 0), convOutputSize(sizes[2]!, filter[1], a, 1)];
    const built = (body: (k: KernelBuilder, c: Convolution, sink: Sink) => void): Built => ({
      name, dims: bind["H"] === undefined ? [] : dims,
      inputs: [{ name: "x", shape: sizes, data: x }, { name: "w", shape: filter, data: w }],
      output: { dtype: "f32", shape: [sizes[0]!, ...output, filter[3]] },
      body: (k, [xs, ws], sink) => body(k, { attrs: a, x: { source: xs! }, filter: ws!, output }, sink),
    });
    const wanted = [...reference("conv", [x, w], a).data];
    expect(verified(built(convolutionKernel), bind)).toEqual(wanted);
    expect(verifiedInWorkgroups(built((k, c, sink) => workgroupConvolution(k, c, convolutionTile(c)!, sink)), bind).output).toEqual(wanted);
  });
});

describe("fused producers", () => {
  const chain = (x: NdArray, filters: readonly NdArray[], a: readonly ConvAttrs[]): NdArray =>
    filters.reduce((rows, w, i) => {
      const { dtype, shape, data } = rows;
      return reference("conv", [{ dtype, shape, data: i === 0 ? data : data.map(v => Math.max(v + 1, 0)) }, w], a[i]!);
    }, x);
  it.each<[string, readonly (readonly [number, number, number, number])[], readonly ConvAttrs[], DimValues]>([
    ["3 to 32 to 3", [[3, 3, 3, 32], [3, 3, 32, 3]], [attrs(), attrs()], { N: 2, H: 19, W: 7 }],
    ["more rows than a band", [[3, 3, 1, 5], [3, 3, 5, 1]], [attrs(), attrs()], { N: 1, H: 67, W: 3 }],
    ["three deep", [[3, 3, 2, 4], [1, 1, 4, 8], [3, 3, 8, 3]], [attrs(), attrs(1, 0), attrs()], { N: 1, H: 9, W: 8 }],
    ["strides", [[3, 3, 2, 4], [3, 3, 4, 5]], [attrs(2), attrs(2)], { N: 1, H: 17, W: 13 }],
    ["a strided consumer that waits", [[2, 3, 3, 5], [3, 3, 5, 9]], [attrs(1, 1), attrs(2, 2)], { N: 1, H: 45, W: 9 }],
    ["a cropping consumer", [[3, 3, 2, 9], [3, 3, 9, 4]], [attrs(), { stride: [1, 1], padding: [[-1, 0], [-2, 1]], dilation: [1, 1], groups: 1 }], { N: 1, H: 12, W: 11 }],
    ["a strided consumer of an odd filter", [[2, 2, 3, 5], [5, 5, 5, 4]], [attrs(1, 0), attrs(3, 2)], { N: 1, H: 18, W: 15 }],
  ])("%s", (name, filters, a, bind) => {
    const x = integers([bind["N"]!, bind["H"]!, bind["W"]!, filters[0]![2]], 1);
    const ws = filters.map((f, i) => integers(f, i + 2));
    const shapeOf = (sources: readonly { shape: readonly Size[] }[]): Size[] => {
      let size: [Size, Size] = [H, W];
      sources.forEach((_, i) => { size = [convOutputSize(size[0], filters[i]![0], a[i]!, 0), convOutputSize(size[1], filters[i]![1], a[i]!, 1)]; });
      return [N, ...size, filters.at(-1)![3]];
    };
    const built = (body: (k: KernelBuilder, c: Convolution, sink: Sink) => void): Built => ({
      name, dims: [dim("N", 64), dim("H", 4096, 8), dim("W", 4096, 8)].map(d => ({ ...d, min: Math.min(d.min, bind[d.name]!) })),
      inputs: [{ name: "x", shape: [N, H, W, filters[0]![2]], data: x }, ...ws.map((w, i) => ({ name: `w${i}`, shape: filters[i]!, data: w }))],
      output: { dtype: "f32", shape: shapeOf(ws) },
      body(k, [xs, ...sources], sink) {
        let c: Convolution | undefined;
        let size: [Size, Size] = [H, W];
        sources.forEach((filter, i) => {
          size = [convOutputSize(size[0], filters[i]![0], a[i]!, 0), convOutputSize(size[1], filters[i]![1], a[i]!, 1)];
          c = { attrs: a[i]!, x: c ? { convolution: c, finish: (_, __, v) => max(add(v, 1), 0) } : { source: xs! }, filter, output: size };
        });
        expect(convolutionShape(c!)).toEqual(shapeOf(ws));
        body(k, c!, sink);
      },
    });
    const wanted = [...chain(x, ws, a).data];
    expect(verified(built(convolutionKernel), bind)).toEqual(wanted);
    // A workgroup makes two at a time.
    if (filters.length === 2) expect(verifiedInWorkgroups(built((k, c, sink) => workgroupConvolution(k, c, chainTile((c.x as { convolution: Convolution }).convolution, c)!, sink)), bind).output).toEqual(wanted);
  });
});

describe("input gradient", () => {
  it.each<[string, readonly [number, number, number, number], ConvAttrs, DimValues]>([
    ["32 to 3", [3, 3, 3, 32], attrs(), { N: 1, H: 6, W: 7 }],
    ["3 to 32", [3, 3, 32, 3], attrs(), { N: 1, H: 6, W: 7 }],
    ["no padding", [3, 3, 4, 5], attrs(1, 0), { N: 1, H: 8, W: 7 }],
    ["wide padding", [1, 2, 4, 5], attrs(1, 2), { N: 2, H: 5, W: 6 }],
    ["groups and dilation", [3, 3, 4, 8], attrs(1, 2, 2, 2), { N: 1, H: 6, W: 7 }],
    ["stride 2", [3, 3, 4, 5], attrs(2), { N: 1, H: 9, W: 8 }],
    ["stride 3", [2, 2, 4, 5], attrs(3, 0), { N: 1, H: 10, W: 9 }],
  ])("%s", (name, filter, a, bind) => {
    const output: [Size, Size] = [convOutputSize(H, filter[0], a, 0), convOutputSize(W, filter[1], a, 1)];
    const w = integers(filter, 2);
    const dy = integers([bind["N"]!, ...values(output, bind), filter[3]], 3);
    const built = (body: (k: KernelBuilder, c: Convolution, sink: Sink) => void): Built => ({
      name, dims: DIMS.map(d => ({ ...d, min: d.name === "N" ? 1 : 5 })),
      inputs: [{ name: "dy", shape: [N, ...output, filter[3]], data: dy }, { name: "w", shape: filter, data: w }],
      output: { dtype: "f32", shape: [N, H, W, filter[2] * a.groups] },
      body: (k, [dys, ws], sink) => body(k, inputGradient(a, dys!, ws!, [H, W]), sink),
    });
    const wanted = [...reference("conv_input", [dy, w], { ...a, size: [bind["H"]!, bind["W"]!] }).data];
    expect(verified(built(convolutionKernel), bind)).toEqual(wanted);
    // Under a stride it is left to a nest of loops.
    if (a.stride[0] === 1) expect(verifiedInWorkgroups(built((k, c, sink) => workgroupConvolution(k, c, convolutionTile(c)!, sink)), bind).output).toEqual(wanted);
  });
});

describe("filter gradient", () => {
  it.each<[string, readonly [number, number, number, number], ConvAttrs, DimValues]>([
    ["3 to 32", [3, 3, 3, 32], attrs(), { N: 2, H: 5, W: 7 }],
    ["32 to 3", [3, 3, 32, 3], attrs(), { N: 1, H: 40, W: 6 }],
    ["8 to 1", [1, 1, 8, 1], attrs(1, 0), { N: 1, H: 33, W: 6 }],
    ["odd channels", [2, 3, 5, 7], attrs(1, 1), { N: 2, H: 6, W: 5 }],
    ["few channels", [3, 3, 2, 3], attrs(), { N: 1, H: 65, W: 5 }],
    ["stride and groups", [3, 3, 3, 12], attrs(2, 1, 1, 2), { N: 1, H: 9, W: 8 }],
    ["groups over inputs", [3, 2, 8, 4], attrs(1, 1, 2, 2), { N: 1, H: 7, W: 8 }],
    ["stride 3", [2, 2, 4, 5], attrs(3, 0), { N: 1, H: 10, W: 9 }],
  ])("%s", (name, filter, a, bind) => {
    for (const symbolic of [true, false]) {
      const spatial: [Size, Size] = symbolic ? [H, W] : [bind["H"]!, bind["W"]!];
      const output: [Size, Size] = [convOutputSize(spatial[0], filter[0], a, 0), convOutputSize(spatial[1], filter[1], a, 1)];
      const xShape = [N, ...spatial, filter[2] * a.groups];
      const x = integers(values(xShape, bind), 1);
      const dy = integers(values([N, ...output, filter[3]], bind), 2);
      const spec = (xs: Source, dys: Source): FilterGradient => ({ attrs: a, x: xs, dy: dys, size: [filter[0], filter[1]] });
      const unread = (shape: readonly Size[]): Source => ({ dtype: "f32", shape, read: () => { throw new Error("read"); } });
      const shape = filterGradientShape(spec(unread(xShape), unread([N, ...output, filter[3]])));
      const partial = verified({
        name, dims: symbolic ? DIMS.map(d => ({ ...d, min: d.name === "N" ? 1 : 5 })) : DIMS.slice(0, 1),
        inputs: [{ name: "x", shape: xShape, data: x }, { name: "dy", shape: [N, ...output, filter[3]], data: dy }],
        output: { dtype: "f32", shape },
        body: (k, [xs, dys], sink) => filterGradientKernel(k, spec(xs!, dys!), sink),
      }, bind);
      expect(shape[0]).toBeLessThanOrEqual(32);
      const [bands, size] = [shape[0] as number, filter.reduce((p, n) => p * n, 1)];
      const sum = Array.from({ length: size }, (_, i) => Array.from({ length: bands }, (__, b) => partial[b * size + i]!).reduce((s, v) => s + v, 0));
      expect(sum).toEqual([...reference("conv_filter", [x, dy], { ...a, size: [filter[0], filter[1]] }).data]);
    }
  });
});

describe("shapes", () => {
  it("of a chain end in the last filter's channels", () => {
    const source = (shape: readonly Size[]) => ({ dtype: "f32" as const, shape, read: () => { throw new Error("not read"); } });
    const first: Convolution = { attrs: attrs(), x: { source: source([N, H, W, 3]) }, filter: source([3, 3, 3, 32]), output: [H, W] };
    const second: Convolution = { attrs: attrs(1, 0), x: { convolution: first, finish: (_, __, v) => v }, filter: source([2, 2, 32, 3]), output: [addSize(H, -1), addSize(W, -1)] };
    expect(convolutionShape(second)).toEqual([N, addSize(H, -1), addSize(W, -1), 3]);
  });
});
