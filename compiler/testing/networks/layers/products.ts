// Layers whose work is in products that are summed: linear over one or several axes, convolutions of every kind, attention.
import { addSize, mulSize, type Size } from "../../../base/sizes.ts";
import { type Dim, f32 } from "../../../dsl/dims.ts";
import { arange } from "../../../dsl/functions.ts";
import { attention, conv2d, linear, rope } from "../../../dsl/nn.ts";
import { state } from "../../../dsl/state.ts";
import type { Tensor } from "../../../dsl/tensor.ts";
import { build } from "../../../dsl/trace.ts";
import { tensorNode, wrap } from "../../../dsl/value.ts";
import type { Choose } from "../../sketch.ts";
import { type Building, dimOf, part, row, shapeOf } from "../building.ts";
import type { Layer } from "../description.ts";

export const isConstant = (s: Size | undefined): s is number => typeof s === "number";
/** Sizes at and around the edges of vectors and tiles, small ones more often. */
export function width(choose: Choose): number {
  const of = choose.int(1, 100);
  if (of <= 12) return 1;
  if (of <= 70) return choose.int(2, 20);
  return choose.pick(of <= 96 ? [8, 16, 16, 24, 32, 33, 64] : [48, 63, 65, 128, 768]);
}
/** A width with which a product of this many elements stays small. */
const widthFor = (choose: Choose, elements: number): number => Math.min(width(choose), Math.max(1, Math.floor(30_000 / Math.max(1, elements))));

interface Linear extends Layer {
  readonly kind: "linear";
  /** How many of the last axes it takes. */
  readonly axes: number;
  readonly to: readonly number[];
  readonly bias: boolean;
}
const linearRow = row<Linear>({
  kind: "linear", weight: 10,
  draw(choose, x, net) {
    const shape = shapeOf(x);
    const constants = shape.length - 1 - shape.findLastIndex(s => !isConstant(s));
    if (constants === 0) return null;
    const axes = choose.chance(75) ? 1 : Math.min(constants, choose.int(1, 2));
    const most = widthFor(choose, net.elements(x));
    return { axes, to: choose.chance(80) ? [most] : [choose.int(1, 3), choose.pick([2, 8, 16, most])].map(n => Math.min(n, most)), bias: choose.chance(60) };
  },
  apply({ axes, to, bias }, x, net) {
    const ins = shapeOf(x).slice(-axes);
    if (axes < 1 || ins.length < axes || to.length === 0 || !ins.every(s => isConstant(s) && s > 0)) return null;
    return net.part("linear", () => linear(ins as number[], [...to], { bias }))(x as never);
  },
});

interface Conv extends Layer {
  readonly kind: "conv" | "conv-transposed";
  readonly to: number;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** On every side; -1: as much as keeps the size at stride 1. */
  readonly padding: number;
  readonly groups: number;
  readonly bias: boolean;
}
/** A batch of sequences as images one high; null of anything else that is no batch of images. */
function asImage(x: Tensor): { readonly image: Tensor; back(y: Tensor): Tensor } | null {
  const shape = shapeOf(x);
  if (!isConstant(shape.at(-1)) || shape.at(-1) === 0) return null;
  if (shape.length === 4) return { image: x, back: y => y };
  if (shape.length !== 3) return null;
  return { image: x.unsqueeze(1), back: y => (shapeOf(y)[1] === 1 ? y.select({ 1: 0 }) : y) };
}
function drawConv(choose: Choose, x: Tensor, net: Building): Omit<Conv, "kind"> | null {
  const image = asImage(x);
  if (!image) return null;
  const channels = shapeOf(x).at(-1) as number;
  const one = (list: readonly number[]): number => choose.pick(list);
  const isSequence = shapeOf(x).length === 3;
  const kernel = [isSequence ? 1 : one([1, 1, 2, 3, 3, 5]), one([1, 1, 2, 3, 3, 4])];
  const divisors = [1, 2, 3, 4, channels].filter(g => channels % g === 0);
  const groups = choose.chance(70) ? 1 : one(divisors);
  const most = Math.max(1, Math.floor(40_000 / Math.max(1, (net.elements(x) * kernel[0]! * kernel[1]!) / groups)));
  const to = groups * Math.max(1, Math.min(Math.ceil(width(choose) / groups), Math.ceil(most / groups)));
  return {
    to, kernel, groups, bias: choose.chance(60), padding: one([-1, -1, -1, 0, 1, 2]),
    stride: [isSequence ? 1 : one([1, 1, 1, 2, 3]), one([1, 1, 1, 2])], dilation: [isSequence ? 1 : one([1, 1, 1, 2]), one([1, 1, 1, 2, 3])],
  };
}
const pair = (list: readonly number[]): [number, number] => [list[0]!, list[1]!];

/** Its sizes make sense, and the window lies in the padded image whatever the dims are. */
function fitsWindow({ to, kernel, stride, dilation, padding, groups }: Conv, image: Tensor, net: Building): boolean {
  const shape = shapeOf(image);
  if (to < 1 || groups < 1 || to % groups !== 0 || (shape[3] as number) % groups !== 0) return false;
  return [0, 1].every(i => {
    const reach = dilation[i]! * (kernel[i]! - 1);
    return kernel[i]! >= 1 && stride[i]! >= 1 && dilation[i]! >= 1 && padding >= -1 && net.range(shape[i + 1]!).min + (padding < 0 ? reach : 2 * padding) >= reach + 1;
  });
}
const convRow = row<Conv>({
  kind: "conv", weight: 9, draw: drawConv,
  apply(layer, x, net) {
    const shaped = asImage(x);
    if (!shaped || !fitsWindow(layer, shaped.image, net)) return null;
    const { to, kernel, stride, dilation, padding, groups, bias } = layer;
    const channels = shapeOf(x).at(-1) as number;
    const conv = net.part("conv", () => conv2d(channels, to, pair(kernel), { stride: pair(stride), dilation: pair(dilation), padding: padding < 0 ? "same" : padding, groups, bias }));
    return shaped.back(conv(shaped.image as never));
  },
});
const transposedRow = row<Conv>({
  kind: "conv-transposed", weight: 4, draw: drawConv,
  apply(layer, x, net) {
    const shaped = asImage(x);
    const { to, kernel, stride, dilation, groups, bias } = layer;
    const padding = Math.max(0, layer.padding);
    if (!shaped || !fitsWindow({ ...layer, padding: kernel[0]! * dilation[0]! + kernel[1]! * dilation[1]! }, shaped.image, net)) return null;
    const shape = shapeOf(shaped.image);
    // As large as a convolution would have to be given to make this image.
    const size = [0, 1].map(i => addSize(mulSize(shape[i + 1]!, stride[i]!), dilation[i]! * (kernel[i]! - 1) + 1 - stride[i]! - 2 * padding));
    if (size.some(s => net.range(s).min < 1) || shape.some((s, i) => (i === 1 || i === 2) && net.range(s).min < 1)) return null;
    const channels = shape[3] as number;
    const filter = net.part("filter", () => state(f32(kernel[0]!, kernel[1]!, to / groups, channels)));
    const y = wrap(build().node("conv_input", [tensorNode(shaped.image), tensorNode(filter)], {
      stride: pair(stride), dilation: pair(dilation), groups, padding: [[padding, padding], [padding, padding]], size: [size[0]!, size[1]!],
    }));
    return shaped.back(bias ? y.add(net.part("bias", () => state(f32(to))) as Tensor) : y);
  },
});

interface Attention extends Layer {
  readonly kind: "attention";
  readonly heads: number;
  readonly width: number;
  readonly causal: boolean;
  /** How far it looks to either side; -1: as far as there is. */
  readonly reach: number;
  readonly bias: boolean;
  readonly rope: boolean;
  /** Keys and values are the first of the positions only; 0: all. */
  readonly keys: number;
}
const attentionRow = row<Attention>({
  kind: "attention", weight: 5,
  draw(choose, x, net) {
    const shape = shapeOf(x);
    if (shape.length < 2 || shape.length > 3 || net.elements(x) > 1500) return null;
    const heads = choose.pick([1, 2, 2, 3, 4]);
    return { heads, width: choose.pick([1, 2, 4, 4, 8, 16]), causal: choose.chance(45), reach: choose.chance(25) ? choose.int(0, 3) : -1, bias: choose.chance(15), rope: choose.chance(20), keys: choose.chance(20) ? choose.int(1, 4) : 0 };
  },
  apply({ heads, width: each, causal, reach, bias, rope: turns, keys }, x, net) {
    const shape = shapeOf(x);
    const channels = shape.at(-1);
    if (shape.length < 2 || shape.length > 3 || !isConstant(channels) || channels < 1 || heads < 1 || each < 1) return null;
    const at = shape.length - 2;
    const positions = shape[at]!;
    const own = ["q", "k", "v"].map(name => net.part(name, () => linear(channels, [heads, each], { bias: name === "q" })));
    const isPart = keys > 0 && net.range(positions).min >= keys;
    const seen = isPart ? part(x, at, 0, keys) : x;
    let [q, k] = [own[0]!(x as never) as Tensor, own[1]!(seen as never) as Tensor];
    const v = own[2]!(seen as never) as Tensor;
    const [rows, columns] = [dimOf(positions), isPart ? keys : dimOf(positions)];
    if (turns && each % 2 === 0) [q, k] = [rope(q, arange(rows as Dim)), rope(k, arange(columns as Dim))];
    const distance = (): Tensor => (arange(rows as Dim) as Tensor).unsqueeze().sub(arange(columns as Dim) as never);
    const y = attention(q as never, k as never, v as never, {
      causal, ...(reach >= 0 ? { mask: distance().abs().le(reach) } : {}), ...(bias ? { bias: distance().cast("f32").mul(-0.25) as Tensor } : {}),
    }) as Tensor;
    return net.part("out", () => linear([heads, each], channels))(y as never);
  },
});

interface Gram extends Layer {
  readonly kind: "gram";
  readonly isSquared: boolean;
}
/** Products of the rows with each other, `x · xᵀ`, and what they make of the rows again. */
const gramRow = row<Gram>({
  kind: "gram", weight: 2,
  draw: (choose, x, net) => (shapeOf(x).length >= 2 && net.elements(x) <= 800 ? { isSquared: choose.chance(50) } : null),
  apply({ isSquared }, x) {
    const rank = shapeOf(x).length;
    if (rank < 2) return null;
    const perm = [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2];
    const turned = wrap(build().transpose(tensorNode(x), perm));
    const products = (x.matmul(turned as never) as Tensor).mul(0.25);
    return isSquared ? (products.matmul(x as never) as Tensor).mul(0.25) : products.tanh();
  },
});

export const PRODUCTS = [linearRow, convRow, transposedRow, attentionRow, gramRow];
