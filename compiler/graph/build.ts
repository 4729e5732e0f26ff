// Short words for making nodes, used wherever graphs are written by hand: gradients, rewrites, composites, the DSL.
// Nothing broadcasts silently here: operands have one shape, and `fill` and `broadcastTo` say what repeats.
import { productSize, type Size, sameSize, subSize } from "../base/sizes.ts";
import type { DType } from "../base/dtypes.ts";
import type { Span } from "../base/span.ts";
import type { GraphBuilder } from "./builder.ts";
import type { BinaryOp, NodeId, OpAttrs, OpName, TensorType, UnaryOp } from "./graph.ts";

export class Build {
  readonly b: GraphBuilder;
  #span: Span | null | (() => Span | null);

  /** A function gives the span when the first node is made: finding the user's line costs more than the node. */
  constructor(b: GraphBuilder, span: Span | null | (() => Span | null)) {
    this.b = b;
    this.#span = span;
  }

  get span(): Span | null {
    if (typeof this.#span === "function") this.#span = this.#span();
    return this.#span;
  }
  type(x: NodeId): TensorType {
    return this.b.type(x);
  }
  rank(x: NodeId): number {
    return this.type(x).shape.length;
  }
  node<O extends OpName>(op: O, inputs: readonly NodeId[], attrs: OpAttrs[O]): NodeId {
    return this.b.add(op, inputs, attrs, this.span);
  }
  unary(op: UnaryOp, x: NodeId): NodeId {
    return this.node(op, [x], {});
  }
  binary(op: BinaryOp, a: NodeId, b: NodeId): NodeId {
    return this.node(op, [a, b], {});
  }
  add(a: NodeId, b: NodeId): NodeId {
    return this.binary("add", a, b);
  }
  sub(a: NodeId, b: NodeId): NodeId {
    return this.binary("sub", a, b);
  }
  mul(a: NodeId, b: NodeId): NodeId {
    return this.binary("mul", a, b);
  }
  div(a: NodeId, b: NodeId): NodeId {
    return this.binary("div", a, b);
  }
  neg(x: NodeId): NodeId {
    return this.unary("neg", x);
  }
  select(condition: NodeId, yes: NodeId, no: NodeId): NodeId {
    return this.node("select", [condition, yes, no], {});
  }
  cast(x: NodeId, dtype: DType): NodeId {
    return this.type(x).dtype === dtype ? x : this.node("cast", [x], { dtype });
  }
  constant(value: number | readonly number[], type: TensorType): NodeId {
    return this.node("const", [], { value, type });
  }
  scalar(value: number, dtype: DType): NodeId {
    return this.constant(value, { dtype, shape: [], axes: [] });
  }
  /** One value in the dtype and shape of x. */
  fill(value: number, like: NodeId): NodeId {
    const t = this.type(like);
    return this.broadcastTo(this.scalar(value, t.dtype), t, []);
  }
  /** x with its axes at `dims` of the type's shape, repeated along the others. */
  broadcastTo(x: NodeId, type: Pick<TensorType, "shape" | "axes">, dims: readonly number[]): NodeId {
    const from = this.type(x);
    if (from.shape.length === type.shape.length && from.shape.every((s, i) => sameSize(s, type.shape[i]!))) return x;
    return this.node("broadcast", [x], { dims, shape: type.shape, axes: type.axes });
  }
  /** A scalar repeated in the shape of another node. */
  repeat(x: NodeId, like: NodeId): NodeId {
    return this.broadcastTo(x, this.type(like), []);
  }
  /** A reduced tensor put back over the axes that the reduction dropped. */
  unreduce(x: NodeId, like: NodeId, axes: readonly number[]): NodeId {
    const t = this.type(like);
    return this.broadcastTo(x, t, t.shape.map((_, i) => i).filter(i => !axes.includes(i)));
  }
  reshape(x: NodeId, shape: readonly Size[], axes?: readonly (string | null)[]): NodeId {
    const t = this.type(x);
    if (t.shape.length === shape.length && t.shape.every((s, i) => sameSize(s, shape[i]!)) && !axes) return x;
    return this.node("reshape", [x], { shape, axes: axes ?? shape.map(() => null) });
  }
  transpose(x: NodeId, perm: readonly number[]): NodeId {
    return perm.every((p, i) => p === i) ? x : this.node("transpose", [x], { perm });
  }
  sum(x: NodeId, axes: readonly number[]): NodeId {
    return axes.length === 0 ? x : this.node("reduce", [x], { kind: "sum", axes });
  }
  reduce(kind: "sum" | "prod" | "max" | "min", x: NodeId, axes: readonly number[]): NodeId {
    return axes.length === 0 ? x : this.node("reduce", [x], { kind, axes });
  }
  /** A slice with stride 1, given the ranges of some axes. */
  slice(x: NodeId, ranges: ReadonlyMap<number, { start: Size; size: Size }>): NodeId {
    const t = this.type(x);
    return this.node("slice", [x], {
      start: t.shape.map((_, i) => ranges.get(i)?.start ?? 0), size: t.shape.map((s, i) => ranges.get(i)?.size ?? s), stride: t.shape.map(() => 1),
    });
  }
  item(x: NodeId, index: number): NodeId {
    return this.node("item", [x], { index });
  }
  /** A size as a scalar of the dtype. */
  size(s: Size, dtype: DType = "i32"): NodeId {
    return typeof s === "number" ? this.scalar(s, dtype) : this.cast(this.node("size", [], { size: s }), dtype);
  }
  /** The number of elements along the axes, as a scalar. */
  count(x: NodeId, axes: readonly number[], dtype: DType): NodeId {
    return this.size(productSize(axes.map(a => this.type(x).shape[a]!)), dtype);
  }
}

/** 0 … rank − 1. */
export const allAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);
/** What comes after a part of `size` that starts at `start`. */
export const restAfter = (whole: Size, start: Size, size: Size): Size => subSize(subSize(whole, start), size);
