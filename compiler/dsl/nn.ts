// The usual layers and losses. Axes come last in, first out: an image is [batch, height, width, channels], a weight of linear
// is [...in, ...out].
import { SluiceError } from "../base/diagnostics.ts";
import { type DType, type FloatType, isFloat } from "../base/dtypes.ts";
import { addSize, sameSize } from "../base/sizes.ts";
import { allAxes } from "../graph/build.ts";
import type { TensorType } from "../graph/graph.ts";
import { requireAtLeast } from "./bounds.ts";
import { composite } from "./composite.ts";
import { Dim, type DimLike, requireCount, requireSize, type Spec } from "./dims.ts";
import { arange, constant } from "./functions.ts";
import { axesOf, axisOf, type HasSource, nodeOf, typeOfSource } from "./operands.ts";
import type { Random } from "./random.ts";
import { einsumNode } from "./rearrange.ts";
import type { Axis, AxisOf, Cat, LayerFit, Lead, Shape, ShapeOf } from "./shapes.ts";
import { userSpan } from "./source.ts";
import { type Init, module, state } from "./state.ts";
import type { Bool, F32, I32, State, Tensor } from "./tensor.ts";
import { axisText, build, shapeText } from "./trace.ts";
import { moments, tensorNode, wrap } from "./value.ts";

type Many = DimLike | readonly DimLike[];
type ManyOf<L> = L extends readonly DimLike[] ? ShapeOf<L> : [AxisOf<L>];

/** A layer takes the axes `I` at the end of its input and returns `O` in their place. Its weight is `[...I, ...O]`. */
export interface Linear<I extends Shape, O extends Shape> {
  <D extends DType, X extends Shape>(x: LayerFit<"linear", X, I, Tensor<D, X>>): Tensor<D, Cat<Lead<X, I>, O>>;
  readonly weight: State<any, [...I, ...O]>;
  readonly bias: State<any, O>;
}
export interface Norm<I extends Shape> {
  <D extends DType, X extends Shape>(x: LayerFit<"norm", X, I, Tensor<D, X>>): Tensor<D, X>;
  readonly weight: State<any, I>;
  readonly bias: State<any, I>;
}
export interface Embedding<V extends Axis, H extends Axis> {
  <X extends Shape>(ids: I32<X>): Tensor<any, [...X, H]>;
  readonly weight: State<any, [V, H]>;
}
export interface Conv2dOptions {
  readonly stride?: number | readonly [number, number];
  /** "same" keeps the size at stride 1 (the default); a number pads all four sides. */
  readonly padding?: "same" | number;
  readonly dilation?: number | readonly [number, number];
  readonly groups?: number;
  readonly bias?: boolean;
  readonly init?: Init;
}
export interface Conv2d<I extends Axis, O extends Axis> {
  /** Axes are batch, height, width, channels. */
  <D extends DType, B extends Axis, H extends Axis, W extends Axis>(x: Tensor<D, [B, H, W, I]>): Tensor<D, [B, H, W, O]>;
  readonly weight: State;
  readonly bias: State;
}

const list = (d: Many): readonly DimLike[] => (Array.isArray(d) ? d : [d as DimLike]);
const constantSize = (what: string, d: DimLike): number => {
  requireSize(d);
  const size = d instanceof Dim ? d.value : d;
  if (typeof size === "number") return size;
  throw new SluiceError({ code: "DIM004", message: `${what} needs a constant size`, span: userSpan(), found: size.key, expected: "a number, or a dim of one value" });
};
const count = (what: string, dims: readonly DimLike[]): number => dims.reduce<number>((n, d) => n * constantSize(what, d), 1);
const specOf = (spec: FloatType, dims: readonly DimLike[]): Spec<any, any> => {
  dims.forEach(requireSize);
  return { spec, shape: undefined, dims };
};
const pair = (x: number | readonly [number, number]): [number, number] => (typeof x === "number" ? [x, x] : [x[0], x[1]]);
const typeOf = (x: Tensor) => typeOfSource((x as unknown as HasSource).source);

/** A layer takes other sizes at the end of its input. */
function endError(layer: string, input: TensorType, ends: Pick<TensorType, "shape" | "axes">, hint?: string): SluiceError {
  const lead = input.shape.length - ends.shape.length;
  const [taken, given] = [shapeText(ends).slice(1, -1), lead < 0 ? shapeText(input) : shapeText({ shape: input.shape.slice(lead), axes: input.axes.slice(lead) }).slice(1, -1)];
  return new SluiceError({ code: "SHAPE008", message: `${layer}: the input ends in ${given} where the layer takes ${taken}`, span: userSpan(), found: shapeText(input), expected: `[…, ${taken}]`, ...(hint ? { hint } : {}) });
}

function requireFloat(layer: string, t: TensorType): void {
  if (!isFloat(t.dtype)) throw new SluiceError({ code: "DTYPE004", message: `${layer}: the input is not of a float dtype`, span: userSpan(), found: `${t.dtype}${shapeText(t)}`, expected: "f32, f16, bf16 or f64", hint: "convert it: x.cast(\"f32\")" });
}

/** A batch of images with these channels. */
function requireImage(layer: string, t: TensorType, channels: DimLike): void {
  const wanted = channels instanceof Dim ? channels.value : channels;
  if (t.shape.length === 4 && sameSize(t.shape[3]!, wanted)) return;
  const c = channels instanceof Dim ? axisText(channels.value, channels.name) : String(channels);
  throw new SluiceError({
    code: "SHAPE008", message: `${layer}: ${t.shape.length === 4 ? `the input has ${axisText(t.shape[3]!, t.axes[3]!)} channels where the layer takes ${c}` : `the input has ${t.shape.length} axes instead of 4`}`, span: userSpan(),
    found: shapeText(t), expected: `[batch, height, width, ${c}]`, ...(t.shape.length === 3 ? { hint: "one image is a batch of one: x.unsqueeze(0)" } : {}),
  });
}

/** Layers whose weights are kept in a dtype; they compute in the dtype of what they are given. */
export function layers(dtype: FloatType) {
  const inDtype = (w: Tensor, x: Tensor): Tensor => w.cast(x.dtype);

  function linear<const I extends Many, const O extends Many>(from: I, to: O, opts: { bias?: boolean; init?: Init } = {}): Linear<Extract<ManyOf<I>, Shape>, Extract<ManyOf<O>, Shape>> {
    const [ins, outs] = [list(from), list(to)];
    const fan = { in: count("linear", ins), out: count("linear", outs) };
    const weight = state(specOf(dtype, [...ins, ...outs]), opts.init ?? "kaiming", fan);
    const bias = opts.bias === false ? undefined : state(specOf(dtype, outs), "kaiming", fan);
    const forward = (x: Tensor): Tensor => {
      const [t, w] = [typeOf(x), typeOf(weight)];
      requireFloat("linear", t);
      const lead = t.shape.length - ins.length;
      const fits = lead >= 0 && ins.every((d, i) => (d instanceof Dim ? d.value : d) === t.shape[lead + i]);
      if (!fits) throw endError("linear", t, { shape: w.shape.slice(0, ins.length), axes: w.axes.slice(0, ins.length) }, `the layer's weight is ${shapeText(w)}`);
      const labels = { x: allAxes(t.shape.length), w: [...allAxes(ins.length).map(i => lead + i), ...allAxes(outs.length).map(i => 100 + i)] };
      const y = wrap(build().node("contract", [tensorNode(x), tensorNode(inDtype(weight, x))], { a: labels.x, b: labels.w, out: [...allAxes(lead), ...allAxes(outs.length).map(i => 100 + i)] }));
      return bias ? y.add(inDtype(bias, x)) : y;
    };
    return module(bias ? { weight, bias } : { weight }, forward) as unknown as Linear<Extract<ManyOf<I>, Shape>, Extract<ManyOf<O>, Shape>>;
  }

  function conv2d<const I extends DimLike, const O extends DimLike>(from: I, to: O, kernel: number | readonly [number, number], opts: Conv2dOptions = {}): Conv2d<AxisOf<I>, AxisOf<O>> {
    const [kh, kw] = pair(kernel);
    const { groups = 1, padding = "same" } = opts;
    const [inputs, outputs] = [constantSize("conv2d", from), constantSize("conv2d", to)];
    [kh, kw].forEach(k => requireCount("conv2d", "window", k));
    requireCount("conv2d", "number of groups", groups);
    if (padding !== "same") requireCount("conv2d", "padding", padding, 0);
    if (inputs % groups !== 0 || outputs % groups !== 0) throw new SluiceError({ code: "SHAPE009", message: `conv2d: ${groups} groups do not divide the channels`, span: userSpan(), found: `${inputs} to ${outputs} channels`, expected: `multiples of ${groups}` });
    const [stride, dilation] = [pair(opts.stride ?? 1), pair(opts.dilation ?? 1)];
    stride.forEach(n => requireCount("conv2d", "stride", n));
    dilation.forEach(n => requireCount("conv2d", "dilation", n));
    const around = (k: number, d: number): [number, number] => {
      if (typeof padding === "number") return [padding, padding];
      const total = d * (k - 1);
      return [Math.floor(total / 2), total - Math.floor(total / 2)];
    };
    const fan = { in: (kh * kw * inputs) / groups, out: (kh * kw * outputs) / groups };
    const weight = state(specOf(dtype, [kh, kw, inputs / groups, to]), opts.init ?? "kaiming", fan);
    const bias = opts.bias === false ? undefined : state(specOf(dtype, [to]), "kaiming", fan);
    const attrs = { stride, dilation, groups, padding: [around(kh, dilation[0]), around(kw, dilation[1])] as const };
    const forward = (x: Tensor): Tensor => {
      const t = typeOf(x);
      requireFloat("conv2d", t);
      requireImage("conv2d", t, from);
      [kh, kw].forEach((k, i) => {
        const [before, after] = attrs.padding[i]!;
        requireAtLeast("conv2d", `${["height", "width"][i]} of ${shapeText(t)}, with its padding,`, addSize(t.shape[i + 1]!, before + after), dilation[i]! * (k - 1) + 1);
      });
      const y = wrap(build().node("conv", [tensorNode(x), tensorNode(inDtype(weight, x))], attrs));
      return bias ? y.add(inDtype(bias, x)) : y;
    };
    return module(bias ? { weight, bias } : { weight }, forward) as unknown as Conv2d<AxisOf<I>, AxisOf<O>>;
  }

  function embedding<const V extends DimLike, const H extends DimLike>(rows: V, width: H, opts: { init?: Init } = {}): Embedding<AxisOf<V>, AxisOf<H>> {
    const weight = state(specOf(dtype, [rows, width]), opts.init ?? (rng => rng.normal(specOf("f32", [rows, width])).mul(0.02)));
    return module({ weight }, (ids: Tensor) => {
      if (typeOf(ids).dtype !== "i32") throw new SluiceError({ code: "DTYPE003", message: "embedding: the ids are not integers", span: userSpan(), found: typeOf(ids).dtype, expected: "i32" });
      return weight.gather(ids);
    }) as unknown as Embedding<AxisOf<V>, AxisOf<H>>;
  }

  const normLayer = <const I extends Many>(layer: string, over: I, affine: boolean, withBias: boolean, norm: (x: Tensor, axes: readonly number[]) => Tensor): Norm<Extract<ManyOf<I>, Shape>> => {
    const dims = list(over);
    const weight = affine ? state(specOf(dtype, dims), "ones") : undefined;
    const bias = affine && withBias ? state(specOf(dtype, dims), "zeros") : undefined;
    const forward = (x: Tensor): Tensor => {
      const t = typeOf(x);
      requireFloat(layer, t);
      const lead = t.shape.length - dims.length;
      if (lead < 0 || dims.some((d, i) => (d instanceof Dim ? d.value : d) !== t.shape[lead + i])) {
        throw endError(layer, t, { shape: dims.map(d => (d instanceof Dim ? d.value : d)), axes: dims.map(d => (d instanceof Dim ? d.name : null)) });
      }
      const y = norm(x, allAxes(dims.length).map(i => lead + i));
      const scaled = weight ? y.mul(inDtype(weight, x)) : y;
      return bias ? scaled.add(inDtype(bias, x)) : scaled;
    };
    return module({ ...(weight ? { weight } : {}), ...(bias ? { bias } : {}) }, forward) as unknown as Norm<Extract<ManyOf<I>, Shape>>;
  };
  const layerNorm = <const I extends Many>(over: I, opts: { eps?: number; affine?: boolean } = {}) =>
    normLayer("layerNorm", over, opts.affine ?? true, true, (x, axes) => standardize(x, axes, opts.eps));
  const rmsNorm = <const I extends Many>(over: I, opts: { eps?: number } = {}) =>
    normLayer("rmsNorm", over, true, false, (x, axes) => x.mul(x.square().mean(axes, { keepdims: true }).add(opts.eps ?? 1e-6).rsqrt()));
  /** Over height and width of each channel of each image. */
  const instanceNorm = <const C extends DimLike>(channels: C, opts: { eps?: number; affine?: boolean } = {}): Norm<[AxisOf<C>]> =>
    normLayer("instanceNorm", [channels], opts.affine ?? false, true, x => {
      requireImage("instanceNorm", typeOf(x), channels);
      return standardize(x, [1, 2], opts.eps);
    }) as unknown as Norm<[AxisOf<C>]>;
  /** Over height, width and the channels of each of `groups` groups. */
  const groupNorm = <const C extends DimLike>(groups: number, channels: C, opts: { eps?: number; affine?: boolean } = {}): Norm<[AxisOf<C>]> => {
    requireCount("groupNorm", "number of groups", groups);
    return normLayer("groupNorm", [channels], opts.affine ?? true, true, x => {
      const t = typeOf(x);
      requireImage("groupNorm", t, channels);
      const n = constantSize("groupNorm", channels);
      if (n % groups !== 0) throw new SluiceError({ code: "SHAPE009", message: `groupNorm: ${groups} groups do not divide ${n} channels`, span: userSpan() });
      const g = build();
      const split = wrap(g.reshape(tensorNode(x), [...t.shape.slice(0, -1), groups, n / groups]));
      return wrap(g.reshape(tensorNode(standardize(split, [1, 2, 4], opts.eps)), t.shape, t.axes));
    }) as unknown as Norm<[AxisOf<C>]>;
  };
  return { linear, conv2d, embedding, layerNorm, rmsNorm, instanceNorm, groupNorm };
}
export const { linear, conv2d, embedding, layerNorm, rmsNorm, instanceNorm, groupNorm } = layers("f32");

/** Zero mean and unit variance over the axes. */
export function standardize<T extends Tensor>(x: T, over: readonly (string | number)[], eps = 1e-5): T {
  const axes = axesOf("standardize", typeOf(x), over);
  const [mean, variance] = moments(x, axes);
  const g = build();
  const back = (v: Tensor) => wrap(g.unreduce(tensorNode(v), tensorNode(x), axes));
  return x.sub(back(mean)).mul(back(variance.add(eps).rsqrt())) as T;
}

/** Each element is 0 with probability p, the others grow by 1/(1 − p). Without a stream nothing is dropped: pass one where you train. */
export function dropout<T extends Tensor>(x: T, p: number, rng?: Random): T {
  if (!(p >= 0 && p < 1)) throw new SluiceError({ code: "NN001", message: "dropout: the probability is out of range", span: userSpan(), found: String(p), expected: "0 or more, and less than 1" });
  if (!rng || p === 0) return x;
  // The axes of x keep their names, and those without one get none.
  const { shape, axes } = typeOf(x);
  const drawn = rng.uniform(specOf("f32", shape.map((s, i) => new Dim(axes[i] ?? "drawn", s, []))));
  const keep = wrap(build().reshape(tensorNode(drawn), shape, axes)).ge(p);
  return keep.where(x.mul(1 / (1 - p)), 0) as T;
}

export interface AttentionOptions {
  /** A position sees itself and what is before it. */
  readonly causal?: boolean;
  /** True where it may look; broadcasts to [.., heads, S, T] from [S, T] or [.., S, T]. */
  readonly mask?: Bool<any>;
  /** Added to the scores. */
  readonly bias?: Tensor;
  readonly scale?: number;
}
/** `q [S A E]`, `k v [T A E]`, or all with a batch before; the softmax and the sums are f32. */
export function attention<D extends DType, S extends Axis, A extends Axis, E extends Axis, T extends Axis>(
  q: Tensor<D, [S, A, E]>, k: Tensor<D, [T, NoInfer<A>, NoInfer<E>]>, v: Tensor<D, [NoInfer<T>, NoInfer<A>, NoInfer<E>]>, opts?: AttentionOptions): Tensor<D, [S, A, E]>;
export function attention<D extends DType, B extends Axis, S extends Axis, A extends Axis, E extends Axis, T extends Axis>(
  q: Tensor<D, [B, S, A, E]>, k: Tensor<D, [NoInfer<B>, T, NoInfer<A>, NoInfer<E>]>, v: Tensor<D, [NoInfer<B>, NoInfer<T>, NoInfer<A>, NoInfer<E>]>, opts?: AttentionOptions): Tensor<D, [B, S, A, E]>;
export function attention(q: Tensor, k: Tensor, v: Tensor, { causal = false, mask, bias, scale }: AttentionOptions = {}): Tensor {
  const t = typeOf(q);
  requireHeads(t, typeOf(k), typeOf(v));
  const batch = t.shape.length === 4 ? "b " : "";
  const width = constantSize("attention", new Dim("E", t.shape.at(-1) ?? 1, []));
  const extra = [mask, bias].filter(x => x !== undefined);
  const [y] = composite("attention", { causal, scale: scale ?? 1 / Math.sqrt(width), mask: mask !== undefined, bias: bias !== undefined }, [q, k, v, ...extra] as unknown as HasSource[], inputs => {
    const [qs, ks, vs] = inputs as [Tensor, Tensor, Tensor];
    const wide = (x: Tensor) => tensorNode(x.cast("f32"));
    let scores = wrap(einsumNode(`${batch}s a e, ${batch}t a e -> ${batch}a s t`, [wide(qs), wide(ks)])).mul(scale ?? 1 / Math.sqrt(width));
    if (bias) scores = scores.add(inputs[mask ? 4 : 3]!.cast("f32"));
    if (mask) scores = inputs[3]!.where(scores, -1e30);
    if (causal) {
      const type = typeOf(scores);
      const [rows, columns] = [type.shape.at(-2)!, type.shape.at(-1)!].map((size, i) => new Dim(type.axes.at(i - 2) ?? "n", size, []));
      scores = arange(columns!).le(arange(rows!).unsqueeze()).where(scores, -1e30);
    }
    return [wrap(einsumNode(`${batch}a s t, ${batch}t a e -> ${batch}s a e`, [tensorNode(scores.softmax(-1)), wide(vs)])).cast(t.dtype)];
  });
  return y!;
}

/** Queries, keys and values of one number of heads and one width, with as many values as keys. */
function requireHeads(q: TensorType, k: TensorType, v: TensorType): void {
  const rank = q.shape.length;
  const fits = (rank === 3 || rank === 4) && [k, v].every(t => t.shape.length === rank) &&
    q.shape.every((size, i) => sameSize(k.shape[i]!, v.shape[i]!) && (i === rank - 3 || sameSize(size, k.shape[i]!)));
  if (fits) return;
  throw new SluiceError({
    code: "SHAPE008", message: "attention: queries, keys and values do not fit", span: userSpan(), found: `q ${shapeText(q)}, k ${shapeText(k)}, v ${shapeText(v)}`,
    expected: "q [S, heads, width], k and v [T, heads, width], or all three with one batch before", hint: "rearrange puts positions before heads: \"b a s e -> b s a e\"",
  });
}

/** −log p of the id at each position, in f32; 0 where the id is negative. */
export function crossEntropy<X extends Shape>(logits: Tensor<any, [...X, any]>, ids: I32<X>): F32<X> {
  const [l, i] = [typeOf(logits), typeOf(ids as Tensor)];
  requireFloat("crossEntropy", l);
  if (i.dtype !== "i32") throw new SluiceError({ code: "DTYPE003", message: "crossEntropy: the ids are not integers", span: userSpan(), found: i.dtype, expected: "i32" });
  if (l.shape.length !== i.shape.length + 1 || i.shape.some((size, axis) => !sameSize(size, l.shape[axis]!))) {
    throw new SluiceError({ code: "SHAPE008", message: "crossEntropy: there is not one id for each row of the logits", span: userSpan(), found: `logits ${shapeText(l)}, ids ${shapeText(i)}`, expected: `ids ${shapeText({ shape: l.shape.slice(0, -1), axes: l.axes.slice(0, -1) })}` });
  }
  const p = (logits as Tensor).cast("f32").logSoftmax(-1);
  const chosen = p.takeAlong((ids as Tensor).maximum(0) as never) as Tensor;
  return (ids as Tensor).ge(0).where(chosen.neg(), 0) as F32<X>;
}

/** Rotary positions: pairs of the last axis (first half with second half) turn by position · base^(−2i/E). x: [.., S, A, E]. */
export function rope<T extends Tensor>(x: T, positions: I32<any>, opts: { base?: number } = {}): T {
  const t = typeOf(x);
  const width = constantSize("rope", new Dim("E", t.shape.at(-1) ?? 1, []));
  if (width % 2 !== 0) throw new SluiceError({ code: "SHAPE009", message: "rope: the last axis does not divide into pairs", span: userSpan(), found: shapeText(t), expected: "an even size" });
  const half = width / 2;
  const rates = constant(allAxes(half).map(i => (opts.base ?? 10000) ** (-i / half)));
  const angle = (positions as Tensor).cast("f32").unsqueeze().mul(rates).unsqueeze(1);
  const g = build();
  const at = axisOf("rope", t, -1);
  const part = (start: number) => wrap(g.slice(nodeOf(x as unknown as HasSource), new Map([[at, { start, size: half }]]))).cast("f32");
  const [a, b] = [part(0), part(half)];
  const [cos, sin] = [angle.cos(), angle.sin()];
  const turned = g.node("concat", [tensorNode(a.mul(cos).sub(b.mul(sin))), tensorNode(b.mul(cos).add(a.mul(sin)))], { axis: at });
  return wrap(g.reshape(tensorNode(wrap(turned).cast(t.dtype)), t.shape, t.axes)) as T;
}
