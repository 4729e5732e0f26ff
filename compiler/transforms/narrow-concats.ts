// Concatenations of many pieces become concatenations of few, of few, …: a kernel looks at every piece for each element, so
// that its code, and its work, are bounded by how many there are.
import type { Graph, Node, NodeId, NodeOf } from "../graph/graph.ts";
import { rebuild, type Table } from "./rebuild.ts";
import type { Transform } from "./transform.ts";

export const narrowConcats = (most: number): Transform => {
  const place = (n: Node, table: Table): NodeId => {
    if (n.op !== "concat" || n.inputs.length <= most) return table.push(n);
    const { op, attrs, span } = n as NodeOf<"concat">;
    const joined = (pieces: readonly NodeId[]): NodeId => (pieces.length === 1 ? pieces[0]! : table.push(table.node(op, pieces, attrs, span)));
    let pieces = n.inputs;
    while (pieces.length > most) pieces = Array.from({ length: Math.ceil(pieces.length / most) }, (_, i) => joined(pieces.slice(i * most, (i + 1) * most)));
    return joined(pieces);
  };
  const run = (graph: Graph): Graph => rebuild(graph, run, place);
  return { name: "narrow-concats", summary: `concatenate at most ${most} pieces at once`, run };
};
