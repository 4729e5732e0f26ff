// Walks a graph once and writes a new one: the frame of most passes. Each node is handed on with its inputs already replaced,
// and gets a place in the new table; what nothing needs any more is dropped. Types are inferred anew only where those of the
// inputs changed, so a walk costs little more than the copying.
import { sameSize, type Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import { type Graph, isTuple, type Node, type NodeId, type OpAttrs, type OpName, type TensorType, type ValueType } from "../graph/graph.ts";
import { inferType } from "../graph/ops.ts";
import { withoutDeadCode } from "./sweep.ts";

const sameTensor = (a: TensorType, b: TensorType): boolean =>
  a === b || (a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((s: Size, i) => sameSize(s, b.shape[i]!)) && a.axes.every((name, i) => name === b.axes[i]));

/** Equal in dtype, sizes and axis names. */
export function sameType(a: ValueType, b: ValueType): boolean {
  if (a === b) return true;
  if (isTuple(a) || isTuple(b)) return isTuple(a) && isTuple(b) && a.items.length === b.items.length && a.items.every((t, i) => sameTensor(t, b.items[i]!));
  return sameTensor(a, b);
}

/** The nodes written so far. */
export class Table {
  readonly nodes: Node[] = [];

  push(n: Node): NodeId {
    return this.nodes.push(n) - 1;
  }
  /** A node that stands nowhere yet. */
  node<O extends OpName>(op: O, inputs: readonly NodeId[], attrs: OpAttrs[O], span: Span | null): Node {
    return { op, inputs, attrs, type: inferType(op, inputs.map(i => this.nodes[i]!.type), attrs, span), span } as Node;
  }
  type(id: NodeId): ValueType {
    return this.nodes[id]!.type;
  }
}

/** The graph with each node placed by `place`: as it is, by `table.push`, or as another. `body` rewrites bodies. */
export function rebuild(graph: Graph, body: (g: Graph) => Graph, place: (n: Node, table: Table) => NodeId): Graph {
  const table = new Table();
  const ids: NodeId[] = [];
  let changed = false;
  graph.nodes.forEach((old, id) => {
    const n = replaced(withBodies(old, body), old, ids, graph, table);
    ids.push(place(n, table));
    changed ||= ids[id] !== id || table.nodes[id] !== old;
  });
  if (!changed && table.nodes.length === graph.nodes.length) return withoutDeadCode(graph);
  const named = (list: Graph["outputs"]): Graph["outputs"] => list.map(o => (ids[o.id] === o.id ? o : { name: o.name, id: ids[o.id]! }));
  return withoutDeadCode({ ...graph, nodes: table.nodes, outputs: named(graph.outputs), updates: named(graph.updates), effects: graph.effects.map(id => ids[id]!) });
}

/** The node with its inputs replaced; the node itself if none is. */
function replaced(n: Node, old: Node, ids: readonly NodeId[], graph: Graph, table: Table): Node {
  const moved = n.inputs.some(i => ids[i] !== i);
  const retyped = n.inputs.some(i => !sameType(table.type(ids[i]!), graph.nodes[i]!.type));
  if (!moved && !retyped && n === old) return n;
  const inputs = moved ? n.inputs.map(i => ids[i]!) : n.inputs;
  return retyped || n !== old ? table.node(n.op, inputs, n.attrs, n.span) : ({ ...n, inputs } as Node);
}

function withBodies(n: Node, body: (g: Graph) => Graph): Node {
  if (n.op === "loop") {
    const own = body(n.attrs.body);
    return own === n.attrs.body ? n : { ...n, attrs: { ...n.attrs, body: own } };
  }
  if (n.op !== "composite") return n;
  const own = body(n.attrs.body);
  const gradient = n.attrs.gradient && body(n.attrs.gradient);
  if (own === n.attrs.body && gradient === n.attrs.gradient) return n;
  return { ...n, attrs: { ...n.attrs, body: own, ...(gradient ? { gradient } : {}) } };
}
