// Bodies: functions traced into graphs of their own, for composites, loops and custom gradients.
import { SluiceError } from "../base/diagnostics.ts";
import type { AttrValue, Graph, NodeId, TensorType } from "../graph/graph.ts";
import { outputTypes } from "../graph/ops/control.ts";
import { allAxes } from "../graph/build.ts";
import { type HasSource, nodeOf } from "./operands.ts";
import { userSpan } from "./source.ts";
import type { Tensor } from "./tensor.ts";
import { build, trace, Trace, within } from "./trace.ts";
import { tensorNode, wrap } from "./value.ts";

/** A body and, for each of its inputs after the first `types.length`, the outer node it stands for. */
export interface TracedBody {
  readonly graph: Graph;
  readonly captured: readonly NodeId[];
}

/** Traces a function of tensors of the given types; what it returns are the outputs, by name or number. */
export function traceBody(name: string, names: readonly string[], types: readonly TensorType[], f: (inputs: Tensor[]) => Readonly<Record<string, Tensor>>): TracedBody {
  const t = new Trace(name, trace());
  within(t, () => {
    for (const d of t.parent!.b.dims()) t.b.declareDim(d);
    const inputs = types.map((type, i) => wrap(t.b.add("input", [], { name: names[i] ?? `x${i}`, type }, null)));
    for (const [output, value] of Object.entries(f(inputs))) t.b.outputs.push({ name: output, id: tensorNode(value) });
  });
  return { graph: t.finish(), captured: [...t.captured.keys()] };
}

const numbered = (values: readonly Tensor[]): Record<string, Tensor> => Object.fromEntries(values.map((v, i) => [`y${i}`, v]));

/** A named subgraph. A body that uses other tensors from outside takes them as further inputs. */
export function composite(name: string, attrs: { readonly [key: string]: AttrValue }, inputs: readonly HasSource[], f: (inputs: Tensor[]) => readonly Tensor[], backward?: (inputs: Tensor[], outputs: Tensor[], gradients: Tensor[]) => readonly Tensor[]): Tensor[] {
  const g = build();
  const ids = inputs.map(nodeOf);
  const types = ids.map(id => g.type(id));
  const { graph, captured } = traceBody(name, [], types, xs => numbered(f(xs)));
  const all = [...ids, ...captured];
  const results = outputTypes(graph);
  const gradient = backward && gradientBody(name, [...types, ...captured.map(id => g.type(id))], results, ids.length, backward);
  const node = g.node("composite", all, gradient ? { name, attrs, body: graph, gradient } : { name, attrs, body: graph });
  return results.length === 1 ? [wrap(node)] : allAxes(results.length).map(i => wrap(g.item(node, i)));
}

function gradientBody(name: string, inputs: readonly TensorType[], results: readonly TensorType[], own: number, backward: (inputs: Tensor[], outputs: Tensor[], gradients: Tensor[]) => readonly Tensor[]): Graph {
  const { graph, captured } = traceBody(`${name}_gradient`, [], [...inputs, ...results, ...results], xs => {
    const given = backward(xs.slice(0, own), xs.slice(inputs.length, inputs.length + results.length), xs.slice(inputs.length + results.length));
    const zeros = inputs.slice(own).map((_, i) => xs[own + i]!.mul(0));
    return numbered([...given, ...zeros]);
  });
  if (captured.length > 0) throw new SluiceError({ code: "GRAD002", message: `the gradient of ${name} uses a tensor from outside`, span: userSpan(), hint: "pass it to withGradient as one of its inputs" });
  return graph;
}

/** A value with a gradient written by hand: `backward(dy, ...xs)` gives the gradient of each of xs. */
export function withGradient<X extends readonly Tensor[], Y extends Tensor>(xs: X, forward: (...xs: X) => Y, backward: (dy: Y, ...xs: X) => { readonly [i in keyof X]: Tensor }): Y {
  const [y] = composite("with_gradient", {}, xs as unknown as readonly HasSource[], inputs => [forward(...(inputs as unknown as X))],
    (inputs, _outputs, [dy]) => [...backward(dy as Y, ...(inputs as unknown as X))]);
  return y as Y;
}
