// Replaces composites by their bodies, in the graph and in the bodies of its loops.
import { GraphBuilder } from "../graph/builder.ts";
import { type Graph, inputsOf, type Node, type NodeId, type TensorType } from "../graph/graph.ts";

/** Whether a composite stays, by what it is given. */
export type Keeps = (node: Node, ...inputs: readonly TensorType[]) => boolean;

/** `keeps` says which composites stay as they are. */
export function inlineComposites(graph: Graph, keeps: Keeps = () => false): Graph {
  if (!graph.nodes.some(n => n.op === "composite" || n.op === "loop")) return graph;
  const b = new GraphBuilder(graph.name);
  for (const d of graph.dims) b.declareDim(d);
  for (const s of graph.states) b.declareState(s);
  const ids = copyInlined(b, graph, new Map(), keeps);
  const renamed = (list: Graph["outputs"]): Graph["outputs"] => list.map(o => ({ name: o.name, id: ids[o.id]! }));
  return { ...b.finish(), outputs: renamed(graph.outputs), updates: renamed(graph.updates), effects: graph.effects.map(id => ids[id]!) };
}

/** Appends the nodes of a body, its inputs bound; the new id of each. A tuple that was inlined has none. */
function copyInlined(b: GraphBuilder, body: Graph, bound: ReadonlyMap<NodeId, NodeId>, keeps: Keeps): NodeId[] {
  for (const d of body.dims) b.declareDim(d);
  const ids: NodeId[] = [];
  const tuples = new Map<NodeId, readonly NodeId[]>();
  body.nodes.forEach((n, id) => {
    const inputs = n.inputs.map(i => ids[i]!);
    const given = bound.get(id);
    const tuple = n.op === "item" ? tuples.get(n.inputs[0]!) : undefined;
    if (given !== undefined) ids.push(given);
    else if (tuple && n.op === "item") ids.push(tuple[n.attrs.index]!);
    else if (n.op === "composite" && !keeps(n, ...inputs.map(i => b.type(i)))) {
      const inner = n.attrs.body;
      const copied = copyInlined(b, inner, new Map(inputsOf(inner).map((p, i) => [p.id, inputs[i]!])), keeps);
      const results = inner.outputs.map(o => copied[o.id]!);
      if (results.length > 1) tuples.set(id, results);
      ids.push(results.length > 1 ? -1 : results[0]!);
    } else if (n.op === "loop") ids.push(b.add("loop", inputs, { ...n.attrs, body: inlineComposites(n.attrs.body, keeps) }, n.span));
    else ids.push(b.add(n.op, inputs, n.attrs, n.span));
  });
  return ids;
}
