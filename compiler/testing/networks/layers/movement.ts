// Layers that move elements: pooling over windows, upsampling, axes split, merged and exchanged, padding, parts, rows of tables.
import { divideExactly, productSize, subSize } from "../../../base/sizes.ts";
import { type Dim, i32 } from "../../../dsl/dims.ts";
import { arange, constant } from "../../../dsl/functions.ts";
import { dropout, embedding } from "../../../dsl/nn.ts";
import type { Tensor } from "../../../dsl/tensor.ts";
import { build } from "../../../dsl/trace.ts";
import { tensorNode, wrap } from "../../../dsl/value.ts";
import { dimOf, part, row, shapeOf } from "../building.ts";
import type { Layer } from "../description.ts";
import { isConstant } from "./products.ts";

const letters = (n: number): string[] => Array.from({ length: n }, (_, i) => String.fromCharCode(97 + i));

interface Window extends Layer {
  readonly kind: "pool" | "window" | "upsample";
  /** Counted from the first. */
  readonly axis: number;
  readonly by: number;
  readonly how: "max" | "mean" | "sum" | "min";
}
/** Windows beside each other. */
const poolRow = row<Window>({
  kind: "pool", weight: 4,
  draw(choose, x) {
    const shape = shapeOf(x);
    const fitting = shape.flatMap((s, axis) => [2, 3, 4].filter(by => divideExactly(s, by) !== undefined).map(by => ({ axis, by })));
    return fitting.length === 0 ? null : { ...choose.pick(fitting), how: choose.pick(["max", "mean", "sum", "min"] as const) };
  },
  apply({ axis, by, how }, x, net) {
    const shape = shapeOf(x);
    const size = shape[axis];
    if (size === undefined || by < 1 || divideExactly(size, by) === undefined || net.range(size).min < 0) return null;
    const own = letters(shape.length);
    const split = own.map((l, i) => (i === axis ? `(${l} z)` : l)).join(" ");
    const parts = x.rearrange(`${split} -> ${own.join(" ")} z` as never, { z: by }) as Tensor;
    return parts[how]([shape.length] as never) as Tensor;
  },
});
/** Windows that overlap, as shifted parts put together. */
const windowRow = row<Window>({
  kind: "window", weight: 2,
  draw: (choose, x) => (shapeOf(x).length === 0 ? null : { axis: choose.int(0, shapeOf(x).length - 1), by: choose.int(2, 4), how: choose.pick(["max", "mean", "sum", "min"] as const) }),
  apply({ axis, by, how }, x, net) {
    const size = shapeOf(x)[axis];
    if (size === undefined || by < 1 || net.range(size).min < by) return null;
    const parts = Array.from({ length: by }, (_, i) => part(x, axis, i, subSize(size, by - 1)));
    const whole = parts.reduce((a, b) => (how === "max" ? a.maximum(b as never) : how === "min" ? a.minimum(b as never) : a.add(b as never)) as Tensor);
    return how === "mean" ? whole.mul(1 / by) : how === "sum" ? whole.mul(0.5) : whole;
  },
});
/** Each element as often as asked, beside each other. */
const upsampleRow = row<Window>({
  kind: "upsample", weight: 3,
  draw: (choose, x, net) => (shapeOf(x).length === 0 || net.elements(x) > 600 ? null : { axis: choose.int(0, shapeOf(x).length - 1), by: choose.int(2, 3), how: "sum" }),
  apply({ axis, by }, x) {
    const shape = shapeOf(x);
    if (axis >= shape.length || by < 1) return null;
    const own = letters(shape.length);
    return x.rearrange(`${own.join(" ")} -> ${own.map((l, i) => (i === axis ? `(${l} z)` : l)).join(" ")}` as never, { z: by }) as Tensor;
  },
});

interface Move extends Layer {
  readonly kind: "swap" | "merge" | "split" | "pad" | "flip" | "cut" | "every" | "unsqueeze";
  readonly axis: number;
  readonly other: number;
}
type Mover = (x: Tensor, axis: number, other: number, net: Parameters<typeof poolRow.apply>[2]) => Tensor | null;
const MOVES: { readonly [K in Move["kind"]]: Mover } = {
  swap(x, axis, other) {
    const rank = shapeOf(x).length;
    if (other >= rank || axis === other) return null;
    const perm = Array.from({ length: rank }, (_, i) => (i === axis ? other : i === other ? axis : i));
    return wrap(build().transpose(tensorNode(x), perm));
  },
  merge(x, axis) {
    const shape = shapeOf(x);
    if (axis + 1 >= shape.length) return null;
    return x.reshape(...shape.slice(0, axis).map(dimOf), dimOf(productSize([shape[axis]!, shape[axis + 1]!])), ...shape.slice(axis + 2).map(dimOf)) as Tensor;
  },
  split(x, axis, other) {
    const shape = shapeOf(x);
    const outer = other < 1 || shape.length >= 5 ? undefined : divideExactly(shape[axis]!, other);
    return outer === undefined ? null : x.reshape(...shape.slice(0, axis).map(dimOf), dimOf(outer), other, ...shape.slice(axis + 1).map(dimOf)) as Tensor;
  },
  pad: (x, axis, other) => x.pad({ [axis]: [other, other >> 1] }, 0.5) as Tensor,
  flip: (x, axis) => x.flip(axis as never) as Tensor,
  cut(x, axis, other, net) {
    const size = shapeOf(x)[axis]!;
    return net.range(size).min <= other ? null : part(x, axis, other >> 1, subSize(size, other));
  },
  every(x, axis, other, net) {
    const size = shapeOf(x)[axis]!;
    const outer = other < 1 ? undefined : divideExactly(size, other);
    if (outer === undefined || net.range(size).min < 0) return null;
    const shape = shapeOf(x);
    const split = x.reshape(...shape.slice(0, axis).map(dimOf), dimOf(outer), other, ...shape.slice(axis + 1).map(dimOf)) as Tensor;
    return split.select({ [axis + 1]: other - 1 } as never) as Tensor;
  },
  unsqueeze: (x, axis) => (shapeOf(x).length >= 4 ? null : x.unsqueeze(axis) as Tensor),
};
const moveRow = (kind: Move["kind"], weight: number) => row<Move>({
  kind, weight,
  draw: (choose, x) => (shapeOf(x).length === 0 ? null : { axis: choose.int(0, shapeOf(x).length - 1), other: choose.int(1, 3) }),
  apply: ({ axis, other }, x, net) => (axis >= shapeOf(x).length ? null : MOVES[kind](x, axis, other, net)),
});

interface Table extends Layer {
  readonly kind: "gather" | "scatter" | "take";
  readonly rows: number;
}
/** Rows of a table, by ids that follow from the position, added to x. */
const gatherRow = row<Table>({
  kind: "gather", weight: 2,
  draw: choose => ({ rows: choose.pick([1, 2, 5, 16]) }),
  apply({ rows }, x, net) {
    const shape = shapeOf(x);
    const last = shape.at(-1);
    if (shape.length < 2 || !isConstant(last) || rows < 1) return null;
    const ids = (arange(dimOf(shape.at(-2)!) as Dim) as Tensor).mul(7).mod(rows) as Tensor;
    return x.add(net.part("table", () => embedding(rows, last))(ids as never) as never) as Tensor;
  },
});
/** Rows of x are added where ids say, some out of range, into as many zeros. */
const scatterRow = row<Table>({
  kind: "scatter", weight: 1,
  draw: (choose, x) => (isConstant(shapeOf(x)[0]) ? { rows: choose.pick([1, 2, 5]) } : null),
  apply({ rows }, x) {
    const shape = shapeOf(x);
    const first = shape[0];
    if (!isConstant(first) || first < 1 || first > 4096 || rows < 1 || shape.length < 2) return null;
    const ids = constant(Array.from({ length: first }, (_, i) => ((i * 5) % (rows + 1)) - 1), i32(first));
    return x.mul(0.5).scatter("add", ids as never, x as never) as Tensor;
  },
});
/** One element of the last axis for each row. */
const takeRow = row<Table>({
  kind: "take", weight: 1,
  draw: (choose, x) => (shapeOf(x).length < 2 ? null : { rows: choose.int(1, 4) }),
  apply({ rows }, x, net) {
    const shape = shapeOf(x);
    if (shape.length !== 2 || net.range(shape[1]!).min < 1 || rows < 1) return null;
    const ids = (arange(dimOf(shape[0]!) as Dim) as Tensor).mod(rows) as Tensor;
    return (x.takeAlong(ids as never) as Tensor).unsqueeze().add(x as never) as Tensor;
  },
});

interface Cast extends Layer {
  readonly kind: "narrow";
  readonly to: "f16" | "bf16";
}
const castRow = row<Cast>({
  kind: "narrow", weight: 1,
  draw: choose => ({ to: choose.pick(["f16", "bf16"] as const) }),
  apply: ({ to }, x) => x.cast(to).mul(0.5).cast("f32") as Tensor,
});

interface Dropout extends Layer {
  readonly kind: "dropout";
  readonly p: number;
}
const dropoutRow = row<Dropout>({
  kind: "dropout", weight: 1,
  draw: choose => ({ p: choose.pick([0.1, 0.5]) }),
  apply({ p }, x, net) {
    if (p <= 0 || p >= 1 || net.isInLoop) return null;
    net.isRandom = true;
    return dropout(x, p, net.stream);
  },
});

export const MOVEMENTS = [
  poolRow, windowRow, upsampleRow, moveRow("swap", 2), moveRow("merge", 2), moveRow("split", 2), moveRow("pad", 2), moveRow("flip", 1), moveRow("cut", 2), moveRow("every", 1), moveRow("unsqueeze", 1),
  gatherRow, scatterRow, takeRow, castRow, dropoutRow,
];
