// Builds a graph node by node: types are inferred and checked by the op table as each node is made, so a wrong program
// fails at the line that wrote it. The only way nodes come into being, in tracing and in passes alike.
import { InternalError } from "../base/diagnostics.ts";
import type { DimDecl } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import { type Graph, isTuple, type Named, type Node, type NodeId, type OpAttrs, type OpName, type StateDecl, type TensorType, type ValueType } from "./graph.ts";
import { inferType } from "./ops.ts";

export class GraphBuilder {
  readonly name: string;
  readonly nodes: Node[] = [];
  readonly #dims = new Map<string, DimDecl>();
  readonly #states = new Map<string, StateDecl>();
  readonly outputs: Named[] = [];
  readonly updates: Named[] = [];
  readonly effects: NodeId[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Appends a node and returns its id. Throws SluiceError, with the span, if the inputs do not fit the op. */
  add<O extends OpName>(op: O, inputs: readonly NodeId[], attrs: OpAttrs[O], span: Span | null = null): NodeId {
    const types = inputs.map(i => this.valueType(i));
    const type = inferType(op, types, attrs, span);
    this.nodes.push({ op, inputs, attrs, type, span } as Node);
    return this.nodes.length - 1;
  }

  valueType(id: NodeId): ValueType {
    const node = this.nodes[id];
    if (!node) throw new InternalError(`node ${id} is used before it exists`);
    return node.type;
  }

  /** The type of a node that is not a tuple. */
  type(id: NodeId): TensorType {
    const t = this.valueType(id);
    if (isTuple(t)) throw new InternalError(`node ${id} is a tuple; take an item`);
    return t;
  }

  declareDim(d: DimDecl): void {
    this.#dims.set(d.name, d);
  }
  dim(name: string): DimDecl | undefined {
    return this.#dims.get(name);
  }
  /** Bodies see the dims of the graph they stand in. */
  declareDimsOf(other: GraphBuilder): void {
    for (const d of other.#dims.values()) this.declareDim(d);
  }
  dims(): readonly DimDecl[] {
    return [...this.#dims.values()];
  }
  declareState(s: StateDecl): void {
    this.#states.set(s.name, s);
  }

  /** The frozen graph. */
  finish(): Graph {
    return {
      name: this.name, dims: [...this.#dims.values()], states: [...this.#states.values()], nodes: [...this.nodes],
      outputs: [...this.outputs], updates: [...this.updates], effects: [...this.effects],
    };
  }
}
