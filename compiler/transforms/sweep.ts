// Drops the nodes of a graph that no output, update, effect or tag needs. Inputs stay, for they are what the graph is called with; a state
// that is neither read nor updated any more is no longer declared. Bodies are left as they are.
import { type Graph, type Node, type NodeId, rootsOf } from "../graph/graph.ts";

const stays = (n: Node): boolean => n.op === "input" || n.op === "tag";

export function withoutDeadCode(graph: Graph): Graph {
  const { nodes } = graph;
  const live = new Uint8Array(nodes.length);
  for (const id of rootsOf(graph)) live[id] = 1;
  let count = 0;
  for (let id = nodes.length - 1; id >= 0; id--) {
    const n = nodes[id]!;
    if (stays(n)) live[id] = 1;
    if (!live[id]) continue;
    count++;
    for (const i of n.inputs) live[i] = 1;
  }
  if (count === nodes.length) return graph;
  const ids = new Int32Array(nodes.length);
  const kept: Node[] = [];
  const states = new Set(graph.updates.map(u => u.name));
  nodes.forEach((n, id) => {
    if (!live[id]) return;
    ids[id] = kept.length;
    if (n.op === "state") states.add(n.attrs.name);
    kept.push(n.inputs.some(i => ids[i] !== i) ? ({ ...n, inputs: n.inputs.map(i => ids[i]!) } as Node) : n);
  });
  const named = (list: Graph["outputs"]): Graph["outputs"] => list.map(o => ({ name: o.name, id: ids[o.id]! }));
  const moved = (id: NodeId): NodeId => ids[id]!;
  return { ...graph, states: graph.states.filter(s => states.has(s.name)), nodes: kept, outputs: named(graph.outputs), updates: named(graph.updates), effects: graph.effects.map(moved) };
}
