// Gradients of elementwise ops and conversions.
import { isFloat } from "../../../base/dtypes.ts";
import { Build } from "../../build.ts";
import type { ElementwiseOp, NodeId } from "../../graph.ts";
import type { GradientContext, OpDefinition } from "../definition.ts";

type Rule = OpDefinition<ElementwiseOp | "cast" | "bitcast">["gradient"];
/** Inputs, result and gradient of an op with one result. */
const rule = (of: (g: Build, inputs: readonly NodeId[], y: NodeId, dy: NodeId) => readonly (NodeId | null)[]): Rule =>
  (node, { b, id, outputs }: GradientContext) => {
    const dy = outputs[0];
    return dy === null || dy === undefined || !isFloat(b.type(dy).dtype) ? node.inputs.map(() => null) : of(new Build(b, node.span), node.inputs, id, dy);
  };
const one = (of: (g: Build, x: NodeId, y: NodeId, dy: NodeId) => NodeId): Rule => rule((g, [x], y, dy) => [of(g, x!, y, dy)]);

/** Where a wins the gradient is a's; a tie gives half to each. */
const extreme = (wins: "gt" | "lt"): Rule => rule((g, [a, b], _y, dy) => {
  const half = g.mul(dy, g.fill(0.5, dy));
  const none = g.fill(0, dy);
  const tie = g.binary("eq", a!, b!);
  const first = g.binary(wins, a!, b!);
  return [g.select(tie, half, g.select(first, dy, none)), g.select(tie, half, g.select(first, none, dy))];
});

export const elementwise: { readonly [O in ElementwiseOp | "cast" | "bitcast"]: Rule } = {
  neg: one((g, _x, _y, dy) => g.neg(dy)),
  abs: one((g, x, _y, dy) => g.mul(dy, g.unary("sign", x))),
  exp: one((g, _x, y, dy) => g.mul(dy, y)),
  log: one((g, x, _y, dy) => g.div(dy, x)),
  sqrt: one((g, _x, y, dy) => g.div(g.mul(dy, g.fill(0.5, dy)), y)),
  rsqrt: one((g, x, y, dy) => g.mul(dy, g.div(g.mul(y, g.fill(-0.5, y)), x))),
  sin: one((g, x, _y, dy) => g.mul(dy, g.unary("cos", x))),
  cos: one((g, x, _y, dy) => g.neg(g.mul(dy, g.unary("sin", x)))),
  tanh: one((g, _x, y, dy) => g.mul(dy, g.sub(g.fill(1, y), g.mul(y, y)))),
  erf: one((g, x, _y, dy) => g.mul(dy, g.mul(g.fill(2 / Math.sqrt(Math.PI), x), g.unary("exp", g.neg(g.mul(x, x)))))),
  add: rule((_g, _inputs, _y, dy) => [dy, dy]),
  sub: rule((g, _inputs, _y, dy) => [dy, g.neg(dy)]),
  mul: rule((g, [a, b], _y, dy) => [g.mul(dy, b!), g.mul(dy, a!)]),
  div: rule((g, [, b], y, dy) => [g.div(dy, b!), g.neg(g.div(g.mul(dy, y), b!))]),
  mod: rule((g, [a, b], _y, dy) => [dy, g.neg(g.mul(dy, g.unary("floor", g.div(a!, b!))))]),
  // The exponent's gradient is 0 where the base is not positive: log is not defined there. b·a^(b−1) is 0 where b is 0, also
  // where a is 0 and the power has a pole.
  pow: rule((g, [a, b], y, dy) => {
    const one = g.fill(1, b!);
    const lower = g.select(g.binary("eq", b!, g.fill(0, b!)), one, g.sub(b!, one));
    const positive = g.binary("gt", a!, g.fill(0, a!));
    const log = g.unary("log", g.select(positive, a!, g.fill(1, a!)));
    return [g.mul(dy, g.mul(b!, g.binary("pow", a!, lower))), g.mul(dy, g.select(positive, g.mul(y, log), g.fill(0, y)))];
  }),
  atan2: rule((g, [y, x], _r, dr) => {
    const scaled = g.div(dr, g.add(g.mul(x!, x!), g.mul(y!, y!)));
    return [g.mul(scaled, x!), g.neg(g.mul(scaled, y!))];
  }),
  max: extreme("gt"), min: extreme("lt"),
  select: rule((g, [condition], _y, dy) => [null, g.select(condition!, dy, g.fill(0, dy)), g.select(condition!, g.fill(0, dy), dy)]),
  cast: (node, context) => {
    const dy = context.outputs[0];
    const from = context.b.type(node.inputs[0]!).dtype;
    return dy === null || dy === undefined || !isFloat(from) || !isFloat(context.b.type(dy).dtype) ? [null] : [new Build(context.b, node.span).cast(dy, from)];
  },
  // Steps have gradient 0 wherever they have one, and bits have none.
  sign: "none", floor: "none", ceil: "none", round: "none", not: "none", is_finite: "none", bitcast: "none",
  eq: "none", ne: "none", lt: "none", le: "none", gt: "none", ge: "none",
  and: "none", or: "none", xor: "none", shl: "none", shr: "none", mulhi: "none",
};
