// Bodies: functions traced into graphs of their own, for composites, loops and custom gradients.
import { SluiceError } from "../base/diagnostics.ts";
import { isFloat } from "../base/dtypes.ts";
import { sameSize } from "../base/sizes.ts";
import { spanText } from "../base/span.ts";
import { type AttrValue, type Graph, isTuple, type NodeId, type TensorType } from "../graph/graph.ts";
import { outputTypes } from "../graph/ops/control.ts";
import { allAxes } from "../graph/build.ts";
import { type HasSource, nodeOf } from "./operands.ts";
import { userSpan } from "./source.ts";
import type { Tensor } from "./tensor.ts";
import { build, shapeText, trace, Trace, within } from "./trace.ts";
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
  if (backward) requireNothingLost(captured);
  const all = [...ids, ...captured];
  const results = outputTypes(graph);
  const gradient = backward && gradientBody(name, [...types, ...captured.map(id => g.type(id))], results, ids.length, backward);
  const node = g.node("composite", all, gradient ? { name, attrs, body: graph, gradient } : { name, attrs, body: graph });
  return results.length === 1 ? [wrap(node)] : allAxes(results.length).map(i => wrap(g.item(node, i)));
}

/** What a function with a gradient of its own uses from outside would get no gradient, in silence. */
function requireNothingLost(captured: readonly NodeId[]): void {
  const { b } = trace();
  const lost = captured.map(id => b.nodes[id]!).find(n => !isTuple(n.type) && isFloat(n.type.dtype) && n.op !== "const" && n.op !== "stop_gradient");
  if (lost === undefined) return;
  throw new SluiceError({
    code: "GRAD002", message: "a function with a gradient of its own uses a tensor from outside, which would get none", span: userSpan(),
    found: `${lost.op === "state" ? `state ${lost.attrs.name}` : `a tensor by ${lost.op}${lost.span ? ` at ${spanText(lost.span)}` : ""}`}`,
    expected: "every tensor that it uses among its inputs", hint: "pass it to withGradient as one of its inputs, or outside.stopGradient() if it gets none",
  });
}

function gradientBody(name: string, inputs: readonly TensorType[], results: readonly TensorType[], own: number, backward: (inputs: Tensor[], outputs: Tensor[], gradients: Tensor[]) => readonly Tensor[]): Graph {
  const { graph, captured } = traceBody(`${name}_gradient`, [], [...inputs, ...results, ...results], xs => {
    const given = backward(xs.slice(0, own), xs.slice(inputs.length, inputs.length + results.length), xs.slice(inputs.length + results.length));
    requireGradients(name, given, inputs.slice(0, own));
    // Integers and bools have no gradient; what stands for theirs is left out. What comes from outside gets none.
    const floats = (of: readonly Tensor[], from: number): Tensor[] => of.filter((_, i) => isFloat(inputs[from + i]!.dtype));
    const zeros = inputs.slice(own).map((_, i) => xs[own + i]!.mul(0));
    return numbered([...floats(given, 0), ...floats(zeros, own)]);
  });
  if (captured.length > 0) throw new SluiceError({ code: "GRAD002", message: `the gradient of ${name} uses a tensor from outside`, span: userSpan(), hint: "pass it to withGradient as one of its inputs" });
  return graph;
}

/** One gradient for each input, of its dtype and shape. Throws SluiceError GRAD007. */
function requireGradients(name: string, given: readonly Tensor[], inputs: readonly TensorType[]): void {
  const refuse = (message: string, found: string, expected: string): never => {
    throw new SluiceError({ code: "GRAD007", message: `the gradient of ${name} ${message}`, span: userSpan(), found, expected });
  };
  const typeText = (t: TensorType): string => `${t.dtype}${shapeText(t)}`;
  if (!Array.isArray(given) || given.length !== inputs.length) refuse("has not one value for each input", Array.isArray(given) ? `${given.length} values` : typeof given, `${inputs.length} values, in the inputs' order`);
  inputs.forEach((wanted, i) => {
    if (!isFloat(wanted.dtype)) return;
    const own = build().type(tensorNode(given[i]));
    const fits = own.dtype === wanted.dtype && own.shape.length === wanted.shape.length && own.shape.every((s, axis) => sameSize(s, wanted.shape[axis]!));
    if (!fits) refuse(`does not fit input ${i + 1}`, typeText(own), typeText(wanted));
  });
}

/** A value with a gradient written by hand: `backward(dy, ...xs)` gives the gradient of each of xs; what it gives for integers
 *  counts for nothing. Throws SluiceError GRAD002 where the function uses a float tensor that is not among xs. */
export function withGradient<X extends readonly Tensor[], Y extends Tensor>(xs: X, forward: (...xs: X) => Y, backward: (dy: Y, ...xs: X) => { readonly [i in keyof X]: Tensor }): Y {
  const [y] = composite("with_gradient", {}, xs as unknown as readonly HasSource[], inputs => [forward(...(inputs as unknown as X))],
    (inputs, _outputs, [dy]) => [...backward(dy as Y, ...(inputs as unknown as X))]);
  return y as Y;
}
