// Layers that work along axes: activations, norms, softmax, reductions, scans, sorting.
import { sameSize } from "../../../base/sizes.ts";
import { f32 } from "../../../dsl/dims.ts";
import { arange } from "../../../dsl/functions.ts";
import { groupNorm, instanceNorm, layerNorm, rmsNorm, standardize } from "../../../dsl/nn.ts";
import { state } from "../../../dsl/state.ts";
import type { Tensor } from "../../../dsl/tensor.ts";
import { part, row, shapeOf } from "../building.ts";
import type { Layer } from "../description.ts";
import { isConstant } from "./products.ts";

/** Smooth or not, and of values that stay small. */
const ACTIVATIONS: { readonly [name: string]: (x: Tensor) => Tensor } = {
  relu: x => x.relu(), tanh: x => x.tanh(), gelu: x => x.gelu(), sigmoid: x => x.sigmoid(), silu: x => x.silu(), "gelu of tanh": x => x.gelu({ approximate: "tanh" }),
  double: x => x.mul(2), square: x => x.square().mul(0.25), sin: x => x.sin(), softplus: x => x.clamp(-8, 8).exp().add(1).log(), leaky: x => x.gt(0).where(x, x.mul(0.1)) as Tensor,
  clamp: x => x.clamp(-1, 1), abs: x => x.abs(), reciprocal: x => x.square().add(1).pow(-1) as Tensor, root: x => x.square().add(0.5).sqrt(), detached: x => x.stopGradient().mul(0.5).add(x) as Tensor,
};
interface Activation extends Layer {
  readonly kind: "activation";
  readonly of: string;
}
const activationRow = row<Activation>({
  kind: "activation", weight: 10,
  draw: choose => ({ of: choose.pick(Object.keys(ACTIVATIONS)) }),
  apply: ({ of }, x) => ACTIVATIONS[of]?.(x) ?? null,
});

interface Norm extends Layer {
  readonly kind: "norm";
  readonly of: "layer" | "rms" | "instance" | "group" | "standardize";
  /** How many of the last axes; the axis that is standardised, counted from the last. */
  readonly axes: number;
  readonly groups: number;
  readonly affine: boolean;
}
const normRow = row<Norm>({
  kind: "norm", weight: 6,
  draw(choose, x) {
    const rank = shapeOf(x).length;
    if (rank === 0) return null;
    const of = choose.pick(rank === 4 ? (["layer", "rms", "instance", "group", "standardize"] as const) : (["layer", "layer", "rms", "standardize"] as const));
    return { of, axes: choose.chance(75) ? 1 : 2, groups: choose.pick([1, 2, 3, 4]), affine: choose.chance(60) };
  },
  apply({ of, axes, groups, affine }, x, net) {
    const shape = shapeOf(x);
    if (shape.length < axes || axes < 1) return null;
    if (of === "standardize") return standardize(x, [shape.length - axes], 0.01);
    const over = shape.slice(of === "layer" || of === "rms" ? -axes : -1);
    if (!over.every(s => isConstant(s) && s > 0)) return null;
    const dims = over as number[];
    if (of === "layer") return net.part("norm", () => layerNorm(dims, { eps: 0.01, affine }))(x as never);
    if (of === "rms") return net.part("norm", () => rmsNorm(dims, { eps: 0.01 }))(x as never);
    if (shape.length !== 4) return null;
    if (of === "instance") return net.part("norm", () => instanceNorm(dims[0]!, { eps: 0.01, affine }))(x as never);
    return groups >= 1 && dims[0]! % groups === 0 ? net.part("norm", () => groupNorm(groups, dims[0]!, { eps: 0.01, affine }))(x as never) : null;
  },
});

interface Softmax extends Layer {
  readonly kind: "softmax";
  /** Counted from the last. */
  readonly axis: number;
  readonly log: boolean;
}
const softmaxRow = row<Softmax>({
  kind: "softmax", weight: 3,
  draw: (choose, x) => (shapeOf(x).length === 0 ? null : { axis: choose.chance(70) ? 1 : choose.int(1, shapeOf(x).length), log: choose.chance(30) }),
  apply({ axis, log }, x) {
    if (axis < 1 || axis > shapeOf(x).length) return null;
    return log ? x.logSoftmax(-axis).mul(0.25) : x.softmax(-axis);
  },
});

interface Reduce extends Layer {
  readonly kind: "reduce";
  /** Counted from the last. */
  readonly axis: number;
  readonly how: "sum" | "mean" | "max" | "min" | "variance";
  /** The axis is dropped or kept with size 1, or the result is taken off every element. */
  readonly result: "drop" | "keep" | "subtract";
}
const reduceRow = row<Reduce>({
  kind: "reduce", weight: 5,
  draw(choose, x) {
    const rank = shapeOf(x).length;
    if (rank === 0) return null;
    return { axis: choose.int(1, rank), how: choose.pick(["sum", "mean", "mean", "max", "min", "variance"] as const), result: choose.pick(rank > 2 ? (["drop", "keep", "subtract", "subtract"] as const) : (["keep", "subtract", "subtract"] as const)) };
  },
  apply({ axis, how, result }, x, net) {
    const shape = shapeOf(x);
    if (axis < 1 || axis > shape.length) return null;
    // Of no elements there is no mean and no extreme to go on with.
    if (how !== "sum" && net.range(shape.at(-axis)!).min < 1) return null;
    const at = [shape.length - axis] as never;
    const value = (result === "drop" ? x[how](at) : x[how](at, { keepdims: true })) as Tensor;
    const tame = how === "sum" ? value.mul(0.25) : value;
    return result === "subtract" ? x.sub(tame as never) as Tensor : tame;
  },
});

interface Scan extends Layer {
  readonly kind: "scan";
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}
const scanRow = row<Scan>({
  kind: "scan", weight: 2,
  draw: (choose, x) => (shapeOf(x).length === 0 ? null : { axis: choose.int(1, shapeOf(x).length), exclusive: choose.chance(30), reverse: choose.chance(30) }),
  apply: ({ axis, exclusive, reverse }, x) => (axis < 1 || axis > shapeOf(x).length ? null : x.cumsum(-axis as never, { exclusive, reverse }).mul(0.2)),
});

interface Order extends Layer {
  readonly kind: "sort" | "top-k" | "extreme";
  readonly axis: number;
  readonly k: number;
}
/** Sorted along an axis; the largest few; or 1 at the largest and 0 elsewhere, which passes no gradient. */
const orderRow = (kind: Order["kind"]) => row<Order>({
  kind, weight: 1,
  draw: (choose, x, net) => (shapeOf(x).length === 0 || net.elements(x) > 500 ? null : { axis: choose.chance(60) ? 1 : choose.int(1, shapeOf(x).length), k: choose.int(1, 3) }),
  apply({ axis, k }, x, net) {
    const shape = shapeOf(x);
    if (axis < 1 || axis > shape.length) return null;
    const least = net.range(shape.at(-axis)!).min;
    if (kind === "sort") return x.sort(-axis as never, { descending: k > 1 }).values;
    if (kind === "top-k") return least >= k ? x.topK(k, -axis as never).values : null;
    const size = shape.at(-1)!;
    if (axis !== 1 || least < 1 || !isConstant(size)) return null;
    return (arange(size) as Tensor).eq((x.argmax(-1 as never) as Tensor).unsqueeze() as never).cast("f32").add(x.mul(0.5) as never) as Tensor;
  },
});

interface Scale extends Layer {
  readonly kind: "scale";
  readonly by: "number" | "vector" | "positions";
  readonly how: "add" | "mul" | "sub" | "maximum";
}
/** A state that is added to or multiplied with every row; positions are rows of a table that is as long as the axis may become. */
const scaleRow = row<Scale>({
  kind: "scale", weight: 4,
  draw: choose => ({ by: choose.pick(["number", "vector", "vector", "positions"] as const), how: choose.pick(["add", "mul", "sub", "maximum"] as const) }),
  apply({ by, how }, x, net) {
    const shape = shapeOf(x);
    const last = shape.at(-1);
    if (by === "number") return x[how](net.part("scale", () => state(f32())) as never) as Tensor;
    if (!isConstant(last)) return null;
    if (by === "vector") return x[how](net.part("scale", () => state(f32(last))) as never) as Tensor;
    const positions = shape.at(-2);
    if (positions === undefined) return null;
    const { max } = net.range(positions);
    if (max * last > 1 << 16) return null;
    const table = net.part("scale", () => state(f32(max, last)));
    return x[how]((sameSize(positions, max) ? table : part(table as Tensor, 0, 0, positions)) as never) as Tensor;
  },
});

export const ROWS = [activationRow, normRow, softmaxRow, reduceRow, scanRow, orderRow("sort"), orderRow("top-k"), orderRow("extreme"), scaleRow];
