// The gradient of a convolution's input is a convolution too, and is generated as one.
import { addSize, floorDivSize, mulSize, type Size, subSize } from "../compiler/base/sizes.ts";
import type { ConvAttrs } from "../compiler/graph/graph.ts";
import { vector } from "../compiler/kernel/expr.ts";
import type { Expr } from "../compiler/kernel/ir.ts";
import type { Convolution } from "./convolution.ts";
import type { Source } from "./fused.ts";
import { constantSize } from "./ring.ts";

/** dx of a convolution as a convolution of dy with the filter flipped and transposed; x has the given height and width. */
export function inputGradient(attrs: ConvAttrs, dy: Source, filter: Source, size: readonly [Size, Size]): Convolution {
  const [kh, kw, perGroup, outputs] = filter.shape.map(constantSize) as [number, number, number, number];
  const { groups, dilation, padding, stride } = attrs;
  const before = [0, 1].map(i => dilation[i]! * ([kh, kw][i]! - 1) - padding[i]![0]) as [number, number];
  const perGroupOut = outputs / groups;
  const transposed: Source = {
    dtype: filter.dtype,
    shape: [kh, kw, perGroupOut, perGroup * groups],
    read(k, [ky, kx, o, channel], lanes) {
      const one = (c: Size): Expr => {
        const g = groups === 1 ? 0 : floorDivSize(c, perGroup);
        return filter.read(k, [subSize(kh - 1, ky!), subSize(kw - 1, kx!), subSize(c, mulSize(g, perGroup)), addSize(mulSize(g, perGroupOut), o!)], 1);
      };
      const items = Array.from({ length: lanes }, (_, l) => one(addSize(channel!, l)));
      return lanes === 1 ? items[0]! : vector(items);
    },
  };
  return {
    attrs: { stride: [1, 1], padding: [[before[0], before[0]], [before[1], before[1]]], dilation, groups },
    x: { source: dy }, filter: transposed, output: size, spread: stride,
  };
}
