// Replaces composites by their bodies and stop_gradient by its operand: what only differentiation needs is gone afterwards,
// so gradients are made before. Composites that are kept, for a generator that knows their name, have this done in their bodies.
import { InternalError } from "../base/diagnostics.ts";
import { type Graph, inputsOf, isTuple, type Node, type NodeId, type TensorType } from "../graph/graph.ts";
import { rebuild, type Table } from "./rebuild.ts";
import type { Fired, Transform } from "./transform.ts";

type Composite = Node & { readonly op: "composite" };

/** Whether a composite stays, by what it is given. */
export type Keeps = (node: Node, ...inputs: readonly TensorType[]) => boolean;

/** `keeps` says which composites stay as they are. */
export const inlineComposites = (keeps: Keeps = () => false): Transform => ({
  name: "inline-composites",
  summary: "replace composites by their bodies, and stop_gradient by its operand",
  run: (graph, fired = () => undefined) => new Inliner(keeps, fired).graph(graph),
});

class Inliner {
  readonly #keeps: Keeps;
  readonly #fired: Fired;

  constructor(keeps: Keeps, fired: Fired) {
    this.#keeps = keeps;
    this.#fired = fired;
  }

  graph(graph: Graph): Graph {
    // The results of a composite of several outputs that is inlined, by the place of one of them.
    const tuples = new Map<NodeId, readonly NodeId[]>();
    return rebuild(graph, body => this.graph(body), (n, table) => this.#place(n, table, tuples));
  }

  #place(n: Node, table: Table, tuples: Map<NodeId, readonly NodeId[]>): NodeId {
    if (n.op === "stop_gradient") {
      this.#fired("inline-stop-gradient");
      return n.inputs[0]!;
    }
    if (n.op === "item") return tuples.get(n.inputs[0]!)?.[n.attrs.index] ?? table.push(n);
    if (n.op !== "composite" || this.#keeps(n, ...n.inputs.map(i => tensorAt(table, i)))) return table.push(n);
    this.#fired(`inline-${n.attrs.name}`);
    const results = this.#inlined(n, table);
    if (results.length === 1) return results[0]!;
    // The tuple itself stands for its items until they are taken; nothing else may use it, and it is dropped as dead.
    const id = table.push(n);
    tuples.set(id, results);
    return id;
  }

  /** Appends the nodes of a body, whose own composites are inlined already; the places of its outputs. */
  #inlined({ attrs: { body }, inputs }: Composite, table: Table): NodeId[] {
    const bound = new Map(inputsOf(body).map((p, i) => [p.id, inputs[i]!]));
    const ids: NodeId[] = [];
    body.nodes.forEach((n, id) => {
      const given = bound.get(id);
      ids.push(given ?? table.push(table.node(n.op, n.inputs.map(i => ids[i]!), n.attrs, n.span)));
    });
    return body.outputs.map(o => ids[o.id]!);
  }
}

function tensorAt(table: Table, id: NodeId): TensorType {
  const type = table.type(id);
  if (isTuple(type)) throw new InternalError(`a composite takes the tuple %${id}`);
  return type;
}
