// Random streams: numbers by counter, so that the same seed gives the same bits on every target. A stream's state is its seed
// and its step; each entry that draws moves the step on by one.
import type { DType } from "../base/dtypes.ts";
import type { Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import type { TensorType } from "../graph/graph.ts";
import { declare } from "./declared.ts";
import { type DimLike, type Num, requireCount, type Spec, u32 } from "./dims.ts";
import { constant } from "./functions.ts";
import { hasSource, operandNode } from "./operands.ts";
import type { AxisOf, Drop, Shape } from "./shapes.ts";
import { userSpan } from "./source.ts";
import type { I32, Tensor } from "./tensor.ts";
import { build, type StateHandle, trace } from "./trace.ts";
import { stateTensor, tensorNode, wrap } from "./value.ts";

export interface Random {
  /** Standard normal, mean 0 and variance 1. */
  normal<D extends DType, S extends Shape>(spec: Spec<D, S>): Tensor<D, S>;
  /** In [0, 1). */
  uniform<D extends DType, S extends Shape>(spec: Spec<D, S>): Tensor<D, S>;
  /** 32 random bits each. */
  bits<S extends Shape>(spec: Spec<"u32", S>): Tensor<"u32", S>;
  /** Below the bound; the bias of the remainder is under bound / 2^32. */
  integers<S extends Shape>(spec: Spec<"i32" | "u32", S>, below: Num): I32<S>;
  permutation<const N extends DimLike>(n: N): I32<[AxisOf<N>]>;
  /** One id per row of probabilities (last axis), which need not add up to one. */
  sample<S extends Shape>(p: Tensor<"f32", S>): I32<Drop<S, -1>>;
}

/** The state of a stream; a program exports the stream, and its export is its name. */
export interface RandomStream extends Random {
  readonly stream: StateHandle;
  readonly span: Span | null;
}

const KEY: TensorType = { dtype: "u32", shape: [2], axes: [null] };
/** What `--seed` sets: every stream starts from it, and initial values are drawn with it. */
export const SEED: StateHandle = { name: "seed", type: KEY, decls: [] };

type Kind = "bits" | "uniform" | "normal";

export function random(name: string): RandomStream {
  const span = userSpan();
  const stream: StateHandle = { name: null, type: KEY, decls: [] };
  const tensor = stateTensor(stream);
  const drawShape = (kind: Kind, shape: readonly Size[], axes: readonly (string | null)[]): Tensor => {
    const t = trace();
    const root = t.root();
    // Initial values are drawn by the state's own name, so that none depends on another.
    const key = root.initial === null ? tensorNode(tensor) : t.readState(SEED);
    const owner = root.initial ?? name;
    const call = root.draws.get(owner) ?? 0;
    root.draws.set(owner, call + 1);
    if (call === 0 && root.initial === null) {
      const drawn = userSpan();
      root.atEnd.push(() => root.standingAt(drawn, () => tensor.set(tensor.add(constant([0, 1], u32(2))))));
    }
    return wrap(build().node("random", [key], { kind, stream: owner, call, shape, axes }));
  };
  const draw = (kind: Kind, spec: Spec): Tensor => {
    const { shape, axes } = trace().shapeOf(spec.dims);
    return drawShape(kind, shape, axes).cast(spec.spec);
  };
  const self: RandomStream = {
    stream,
    span,
    normal: spec => draw("normal", spec),
    uniform: spec => draw("uniform", spec),
    bits: spec => draw("bits", spec),
    integers(spec, below) {
      if (typeof below === "number") requireCount("integers", "bound", below);
      const bits = draw("bits", u32(...spec.dims));
      const bound = hasSource(below) ? (below as unknown as Tensor).cast("u32") : wrap(operandNode(below, "u32"));
      return bits.mod(bound).cast("i32");
    },
    permutation: n => draw("bits", u32(n)).sort(0).ids,
    sample(p) {
      const total = (p as Tensor).cumsum(-1);
      const t = build().type(tensorNode(p));
      const rest = t.shape.slice(0, -1);
      const threshold = drawShape("uniform", [...rest, 1], [...t.axes.slice(0, -1), null]).mul((p as Tensor).sum(-1, { keepdims: true }));
      return total.le(threshold).cast("i32").sum(-1);
    },
  };
  // Where a group is saved, the stream in it is too, so that what is loaded goes on with the draws that would have come.
  declare(Object.assign(stream, { stream: name, dims: [2], span, first: () => wrap(trace().readState(SEED)), tensor }), self);
  return self;
}
