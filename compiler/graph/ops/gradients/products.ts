// Gradients of contractions and convolutions: each is bilinear, and its derivatives are other forms of the same product.
import type { Size } from "../../../base/sizes.ts";
import { Build } from "../../build.ts";
import type { ConvAttrs, NodeId, TensorType } from "../../graph.ts";
import type { OpRows } from "../definition.ts";

type Products = "contract" | "conv" | "conv_input" | "conv_filter";

/** The gradient of the operand with labels `own`: the other operand contracted with dy; labels only `own` has are repeated. */
function operandGradient(g: Build, dy: NodeId, out: readonly number[], other: NodeId, otherLabels: readonly number[], own: readonly number[], ownType: TensorType): NodeId {
  const found = own.filter(l => out.includes(l) || otherLabels.includes(l));
  const partial = g.node("contract", [dy, other], { a: out, b: otherLabels, out: found });
  return g.broadcastTo(partial, ownType, found.map(l => own.indexOf(l)));
}

const shapeOf = (t: TensorType): [Size, Size] => [t.shape[1]!, t.shape[2]!];
const window = ({ stride, padding, dilation, groups }: ConvAttrs): ConvAttrs => ({ stride, padding, dilation, groups });
/** The spatial size of a filter; convolutions only type-check with constant ones. */
const filterSize = (t: TensorType): [number, number] => [Number(t.shape[0]), Number(t.shape[1])];

export const products: { readonly [O in Products]: OpRows<O>[O]["gradient"] } = {
  contract: ({ inputs: [a, b], attrs, span }, context) => {
    const dy = context.outputs[0];
    if (dy === null || dy === undefined) return [null, null];
    const g = new Build(context.b, span);
    return [operandGradient(g, dy, attrs.out, b!, attrs.b, attrs.a, g.type(a!)), operandGradient(g, dy, attrs.out, a!, attrs.a, attrs.b, g.type(b!))];
  },
  conv: ({ inputs: [x, filter], attrs, span }, context) => {
    const dy = context.outputs[0];
    if (dy === null || dy === undefined) return [null, null];
    const g = new Build(context.b, span);
    return [
      g.node("conv_input", [dy, filter!], { ...window(attrs), size: shapeOf(g.type(x!)) }),
      g.node("conv_filter", [x!, dy], { ...window(attrs), size: filterSize(g.type(filter!)) }),
    ];
  },
  conv_input: ({ inputs: [dy, filter], attrs, span }, context) => {
    const dx = context.outputs[0];
    if (dx === null || dx === undefined) return [null, null];
    const g = new Build(context.b, span);
    return [g.node("conv", [dx, filter!], window(attrs)), g.node("conv_filter", [dx, dy!], { ...window(attrs), size: filterSize(g.type(filter!)) })];
  },
  conv_filter: ({ inputs: [x, dy], attrs, span }, context) => {
    const df = context.outputs[0];
    if (df === null || df === undefined) return [null, null];
    const g = new Build(context.b, span);
    return [g.node("conv_input", [dy!, df], { ...window(attrs), size: shapeOf(g.type(x!)) }), g.node("conv", [x!, df], window(attrs))];
  },
};
