// Gradients of identities, composites and loops. A loop's gradient runs the loop again keeping every carry, then runs the
// body's gradient backwards over what was kept; a composite's is its own `gradient` graph, or its body's.
import { isFloat } from "../../../base/dtypes.ts";
import { backpropagate } from "../../../transforms/differentiate.ts";
import { Build } from "../../build.ts";
import { GraphBuilder } from "../../builder.ts";
import { copyInto } from "../../copy.ts";
import { type Graph, inputsOf, isTuple, type NodeId, type NodeOf, type TensorType } from "../../graph.ts";
import type { GradientContext, OpRows } from "../definition.ts";

type Control = "input" | "state" | "const" | "iota" | "size" | "random" | "stop_gradient" | "tag" | "print" | "assert" | "loop" | "composite" | "item";

const pass = (_node: unknown, { outputs }: GradientContext) => [outputs[0] ?? null];
const isFloatType = (t: TensorType) => isFloat(t.dtype);
const INDEX: TensorType = { dtype: "i32", shape: [], axes: [] };

/** (inputs…, gradients of the float outputs…) → gradients of the float inputs; zero where nothing depends. */
function gradientBody(body: Graph): Graph {
  const b = new GraphBuilder(`${body.name}_gradient`);
  const g = new Build(b, null);
  for (const d of body.dims) b.declareDim(d);
  const inputs = inputsOf(body).map(i => g.node("input", [], { name: i.name, type: i.type }));
  const outputs = floatOutputs(body);
  const seeds = outputs.map(o => g.node("input", [], { name: `d_${o.name}`, type: o.type }));
  const ids = copyInto(b, body, inputs);
  const wrt = inputs.filter(i => isFloatType(g.type(i)));
  const found = backpropagate(b, outputs.map((o, i) => [ids[o.id]!, seeds[i]!]), wrt);
  wrt.forEach((x, i) => b.outputs.push({ name: `d_${inputsOf(body)[inputs.indexOf(x)]!.name}`, id: found[i] ?? g.fill(0, x) }));
  return b.finish();
}

const floatOutputs = (body: Graph) => body.outputs.flatMap(o => {
  const type = body.nodes[o.id]!.type;
  return !isTuple(type) && isFloatType(type) ? [{ ...o, type }] : [];
});

/** Puts the gradients of the float inputs back among nulls for the others. */
function spread(g: Build, inputs: readonly NodeId[], node: NodeId): (NodeId | null)[] {
  const floats = inputs.filter(i => isFloatType(g.type(i))).length;
  let next = 0;
  return inputs.map(i => (isFloatType(g.type(i)) ? (floats === 1 ? node : g.item(node, next++)) : null));
}

function compositeGradient(node: NodeOf<"composite">, { b, id, outputs }: GradientContext): readonly (NodeId | null)[] {
  const g = new Build(b, node.span);
  const { attrs, inputs } = node;
  if (!inputs.some(i => isFloatType(g.type(i)))) return inputs.map(() => null);
  const results = attrs.body.outputs.map((_, i) => (attrs.body.outputs.length === 1 ? id : g.item(id, i)));
  const given = results.map((r, i) => outputs[i] ?? g.fill(0, r));
  const name = `${attrs.name}_gradient`;
  if (attrs.gradient) {
    const whole = g.node("composite", [...inputs, ...results, ...given], { name, attrs: attrs.attrs, body: attrs.gradient });
    return spread(g, inputs, whole);
  }
  const seeds = given.filter((_, i) => isFloatType(g.type(results[i]!)));
  return spread(g, inputs, g.node("composite", [...inputs, ...seeds], { name, attrs: attrs.attrs, body: gradientBody(attrs.body) }));
}

/** The loop once more, with every carry as it was at the start of each step, and the number of steps made. */
function loopWithHistory(g: Build, { inputs, attrs }: NodeOf<"loop">): { histories: NodeId[]; count: NodeId } {
  const { body, trips, carries, until } = attrs;
  const b = new GraphBuilder(`${body.name}_kept`);
  const h = new Build(b, g.span);
  b.declareDimsOf(g.b);
  const history = (t: TensorType): TensorType => ({ dtype: t.dtype, shape: [trips, ...t.shape], axes: [null, ...t.axes] });
  const carried = inputs.slice(0, carries);
  const step = h.node("input", [], { name: "step", type: INDEX });
  const now = carried.map((c, i) => h.node("input", [], { name: `carry${i}`, type: g.type(c) }));
  const kept = carried.map((c, i) => h.node("input", [], { name: `kept${i}`, type: history(g.type(c)) }));
  h.node("input", [], { name: "count", type: INDEX });
  const rest = inputs.slice(carries).map((v, i) => h.node("input", [], { name: `given${i}`, type: g.type(v) }));
  const ids = copyInto(b, body, [step, ...now, ...rest]);
  const results = body.outputs.map(o => ids[o.id]!);
  now.forEach((_, i) => b.outputs.push({ name: `carry${i}`, id: results[i]! }));
  now.forEach((c, i) => {
    const t = h.type(c);
    const row = h.reshape(c, [1, ...t.shape], [null, ...t.axes]);
    b.outputs.push({ name: `kept${i}`, id: h.node("dynamic_update", [kept[i]!, row, step], { axes: [0] }) });
  });
  b.outputs.push({ name: "count", id: h.add(step, h.scalar(1, "i32")) });
  if (until) b.outputs.push({ name: "until", id: results[carries]! });
  const blank = carried.map(c => g.broadcastTo(g.scalar(0, g.type(c).dtype), history(g.type(c)), []));
  const loop = g.node("loop", [...carried, ...blank, g.scalar(0, "i32"), ...inputs.slice(carries)], { body: b.finish(), trips, carries: 2 * carries + 1, until });
  return { histories: carried.map((_, i) => g.item(loop, carries + i)), count: g.item(loop, 2 * carries) };
}

function loopGradient(node: NodeOf<"loop">, { b, outputs }: GradientContext): readonly (NodeId | null)[] {
  const g = new Build(b, node.span);
  const { inputs, attrs: { body, trips, carries } } = node;
  const carried = inputs.slice(0, carries);
  const given = inputs.slice(carries);
  // Without a step every result is its carry, and there is no history to keep.
  if (trips === 0) return inputs.map((_, i) => (i < carries ? (outputs[i] ?? null) : null));
  const { histories, count } = loopWithHistory(g, node);

  const back = new GraphBuilder(`${body.name}_back`);
  const h = new Build(back, node.span);
  back.declareDimsOf(g.b);
  const floatCarries = carried.flatMap((c, i) => (isFloatType(g.type(c)) ? [i] : []));
  const floatGiven = given.flatMap((v, i) => (isFloatType(g.type(v)) ? [i] : []));
  const input = (name: string, like: NodeId) => h.node("input", [], { name, type: g.type(like) });
  const step = h.node("input", [], { name: "step", type: INDEX });
  const dCarry = floatCarries.map(i => input(`d_carry${i}`, carried[i]!));
  const dGiven = floatGiven.map(i => input(`d_given${i}`, given[i]!));
  const kept = histories.map((x, i) => input(`kept${i}`, x));
  const steps = h.node("input", [], { name: "count", type: INDEX });
  const rest = given.map((v, i) => input(`given${i}`, v));

  const position = h.sub(h.sub(steps, h.scalar(1, "i32")), step);
  const now = kept.map((k, i) => {
    const t = g.type(carried[i]!);
    return h.reshape(h.node("dynamic_slice", [k, position], { axes: [0], size: [1] }), t.shape, t.axes);
  });
  const ids = copyInto(back, body, [position, ...now, ...rest]);
  const wrt = [...floatCarries.map(i => now[i]!), ...floatGiven.map(i => rest[i]!)];
  const found = backpropagate(back, floatCarries.map((i, k) => [ids[body.outputs[i]!.id]!, dCarry[k]!]), wrt);
  floatCarries.forEach((i, k) => back.outputs.push({ name: `d_carry${i}`, id: found[k] ?? h.fill(0, now[i]!) }));
  floatGiven.forEach((i, k) => {
    const more = found[floatCarries.length + k];
    back.outputs.push({ name: `d_given${i}`, id: more === null || more === undefined ? dGiven[k]! : h.add(dGiven[k]!, more) });
  });
  back.outputs.push({ name: "until", id: h.binary("ge", h.add(step, h.scalar(1, "i32")), steps) });

  const firstCarry = floatCarries.map(i => outputs[i] ?? g.fill(0, carried[i]!));
  const firstGiven = floatGiven.map(i => g.fill(0, given[i]!));
  if (firstCarry.length === 0) return inputs.map(() => null);
  const loop = g.node("loop", [...firstCarry, ...firstGiven, ...histories, count, ...given], {
    body: back.finish(), trips, carries: firstCarry.length + firstGiven.length, until: true,
  });
  const gradients: (NodeId | null)[] = inputs.map(() => null);
  floatCarries.forEach((i, k) => (gradients[i] = g.item(loop, k)));
  floatGiven.forEach((i, k) => (gradients[carries + i] = g.item(loop, floatCarries.length + k)));
  return gradients;
}

export const control: { readonly [O in Control]: OpRows<O>[O]["gradient"] } = {
  input: "none", state: "none", const: "none", iota: "none", size: "none", random: "none", stop_gradient: "none", assert: "none",
  tag: pass, print: pass,
  // An item's gradient goes straight to its tuple: `backpropagate` does that.
  item: "none",
  composite: compositeGradient,
  loop: loopGradient,
};
