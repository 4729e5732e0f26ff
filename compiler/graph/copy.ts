// Copies nodes of one graph into a builder, inputs replaced by given nodes: how bodies are inlined and extended.
import type { GraphBuilder } from "./builder.ts";
import { type Graph, inputsOf, type NodeId } from "./graph.ts";

/** Appends the body's nodes with its inputs bound, and returns the new id of every node of the body. */
export function copyInto(b: GraphBuilder, body: Graph, inputs: readonly NodeId[]): NodeId[] {
  for (const d of body.dims) b.declareDim(d);
  const bound = new Map(inputsOf(body).map((input, i) => [input.id, inputs[i]!]));
  const ids: NodeId[] = [];
  body.nodes.forEach((n, id) => {
    const given = bound.get(id);
    ids.push(given ?? b.add(n.op, n.inputs.map(i => ids[i]!), n.attrs, n.span));
  });
  return ids;
}
