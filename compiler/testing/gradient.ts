// Compares derivatives with differences: the gradient that `differentiate` makes of a graph against how much its result
// changes when one element of an input does. Everything in float64, where a five-point difference is good to ten digits.
import { isFloat } from "../base/dtypes.ts";
import type { DimValues } from "../base/sizes.ts";
import { allAxes, Build } from "../graph/build.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { copyInto } from "../graph/copy.ts";
import type { NdArray } from "../graph/field.ts";
import { type Graph, inputsOf, isTuple, type NodeId } from "../graph/graph.ts";
import { interpret, type InterpretOptions } from "../graph/interpret.ts";
import { differentiate } from "../transforms/differentiate.ts";

const LOSS = "loss";
const gradientName = (input: string): string => `d ${input}`;

/**
 * The graph's inputs; outputs: a weighted sum of all float outputs, and its gradient for each float input. Weights differ from
 * element to element, so that no two gradients can cancel. The result can be given again: second derivatives.
 */
export function gradientGraph(graph: Graph): Graph {
  const b = new GraphBuilder(`${graph.name}_gradient`);
  for (const d of graph.dims) b.declareDim(d);
  for (const s of graph.states) b.declareState(s);
  const g = new Build(b, null);
  const inputs = inputsOf(graph).map(x => g.node("input", [], { name: x.name, type: x.type }));
  const ids = copyInto(b, graph, inputs);
  const parts = graph.outputs.map(o => ids[o.id]!).filter(id => isFloat(g.type(id).dtype)).map((id, i) => weightedSum(g, id, i));
  const loss = parts.length === 0 ? g.scalar(0, "f64") : parts.reduce((sum, part) => g.add(sum, part));
  const floats = inputs.filter(id => isFloat(g.type(id).dtype));
  b.outputs.push({ name: LOSS, id: loss });
  differentiate(b, loss, floats).forEach((d, i) => b.outputs.push({ name: gradientName(inputsOf(graph)[inputs.indexOf(floats[i]!)]!.name), id: d }));
  return b.finish();
}

/** Σ cos(1 + i + position) · x as f64. */
function weightedSum(g: Build, x: NodeId, i: number): NodeId {
  const t = g.type(x);
  const wide = g.cast(x, "f64");
  let angle = g.fill(1 + i, wide);
  t.shape.forEach((_, axis) => {
    angle = g.add(angle, g.mul(g.fill(1 + axis, wide), g.node("iota", [], { axis, type: { ...t, dtype: "f64" } })));
  });
  return g.sum(g.mul(g.unary("cos", angle), wide), allAxes(t.shape.length));
}

/** Whether a value on the way is one of these. */
function meets(graph: Graph, isOdd: (x: number) => boolean, at: Pick<InterpretOptions, "inputs" | "dims" | "states">): boolean {
  const outputs = graph.nodes.flatMap((n, id) => (isTuple(n.type) ? [] : [{ name: String(id), id }]));
  const values = interpret({ ...graph, outputs, updates: [] }, { ...at, onEffect: () => {} }).outputs;
  return Object.values(values).some(v => v.data.some(isOdd));
}

export interface GradientComparison {
  /** How many elements were compared: those where two step widths agree on the difference. */
  readonly compared: number;
  /** The first element that differs, in words. */
  readonly wrong: string | null;
}

/** The outputs of `gradientGraph(graph)` against differences of its loss. */
export function compareGradient(graph: Graph, inputs: { readonly [name: string]: NdArray }, dims: DimValues = {}, states: { readonly [name: string]: NdArray } = {}): GradientComparison {
  const differentiated = gradientGraph(graph);
  const run = (given: { readonly [name: string]: NdArray }) => interpret(differentiated, { inputs: given, states, dims, onEffect: () => {} }).outputs;
  const found = run(inputs);
  // Only the loss is needed for differences.
  const lossOnly: Graph = { ...differentiated, nodes: differentiated.nodes.slice(0, differentiated.outputs[0]!.id + 1), outputs: [differentiated.outputs[0]!] };
  let compared = 0;
  for (const { name, type } of inputsOf(graph)) {
    if (!isFloat(type.dtype)) continue;
    const x = inputs[name]!;
    const gradient = found[gradientName(name)]!;
    for (let i = 0; i < x.data.length; i++) {
      const lossAt = (by: number): number => {
        const data = x.data.slice();
        data[i] = data[i]! + by;
        return interpret(lossOnly, { inputs: { ...inputs, [name]: { ...x, data } }, states, dims, onEffect: () => {} }).outputs[LOSS]!.data[0]!;
      };
      const difference = (h: number): number => (8 * (lossAt(h) - lossAt(-h)) - (lossAt(2 * h) - lossAt(-2 * h))) / (12 * h);
      const [wide, narrow] = [difference(2e-3), difference(7e-4)];
      const limit = 1e-6 * Math.max(1, Math.abs(narrow));
      // Where the two disagree there is a kink, a step or a pole in between.
      if (!(Math.abs(wide - narrow) <= limit / 10)) continue;
      // Nor do they say anything where rounding of a large loss is as large as what is looked for.
      if (!(Math.abs(found[LOSS]!.data[0]!) * 1e-15 <= limit * 7e-4)) continue;
      compared++;
      if (!(Math.abs(gradient.data[i]! - narrow) <= limit)) {
        // At a pole the chain rule multiplies infinity by zero; and what is made of NaN, as NaN to the power of 0, has no gradient.
        const at = { inputs, dims, states };
        if (Number.isNaN(gradient.data[i]!) && (meets(differentiated, x => Math.abs(x) === Infinity, at) || meets(graph, Number.isNaN, at))) continue;
        return { compared, wrong: `element ${i} of the gradient for ${name} is ${gradient.data[i]}, and differences give ${narrow}` };
      }
    }
  }
  return { compared, wrong: null };
}
