// Differentiation as a pass: the gradients of the graph's first float scalar output become outputs of their own, one for each
// float input, named `gradient.` and the input.
import { SluiceError } from "../base/diagnostics.ts";
import { isFloat } from "../base/dtypes.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { copyInto } from "../graph/copy.ts";
import { type Graph, inputsOf, isTuple } from "../graph/graph.ts";
import { differentiate } from "./differentiate.ts";
import type { Transform } from "./transform.ts";

export const gradientOutputs: Transform = {
  name: "differentiate",
  summary: "add the gradients of the first float scalar output with respect to all float inputs as outputs",
  run(graph: Graph): Graph {
    const loss = graph.outputs.find(o => {
      const { type } = graph.nodes[o.id]!;
      return !isTuple(type) && isFloat(type.dtype) && type.shape.length === 0;
    });
    const inputs = inputsOf(graph).filter(i => isFloat(i.type.dtype));
    if (!loss) throw new SluiceError({ code: "GRAD003", message: `graph ${graph.name} has nothing to differentiate`, found: `outputs ${graph.outputs.map(o => o.name).join(", ") || "none"}`, expected: "an output that is a float scalar" });
    if (inputs.length === 0) throw new SluiceError({ code: "GRAD003", message: `graph ${graph.name} has nothing to differentiate with respect to`, found: `inputs ${inputsOf(graph).map(i => i.name).join(", ") || "none"}`, expected: "a float input" });
    const b = new GraphBuilder(graph.name);
    for (const d of graph.dims) b.declareDim(d);
    for (const s of graph.states) b.declareState(s);
    copyInto(b, graph, []);
    b.outputs.push(...graph.outputs);
    b.updates.push(...graph.updates);
    b.effects.push(...graph.effects);
    const names = new Set(graph.outputs.map(o => o.name));
    differentiate(b, loss.id, inputs.map(i => i.id)).forEach((id, i) => {
      let name = `gradient.${inputs[i]!.name}`;
      while (names.has(name)) name = `gradient.${name}`;
      names.add(name);
      b.outputs.push({ name, id });
    });
    return b.finish();
  },
};
