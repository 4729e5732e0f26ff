// Subgraphs of elementwise ops that have one kernel expression, shorter than that of their ops one by one. They are
// recognised where their last op is computed, so that it does not matter who wrote them out.
import { type Graph, isTuple, type Node, type NodeId } from "../graph/graph.ts";
import { type Expr, REGISTER_TYPE } from "../kernel/ir.ts";
import * as math from "../../kernels/math.ts";

/** The expression of the idiom's operand. */
export interface Idiom {
  readonly operand: NodeId;
  readonly compute: (x: Expr) => Expr;
}

/** The idiom that ends at the node, if one does. */
export function idiomAt(graph: Graph, id: NodeId): Idiom | null {
  const node = graph.nodes[id]!;
  if (isTuple(node.type) || REGISTER_TYPE[node.type.dtype] !== "f32") return null;
  const x = exactGelu(graph.nodes, node);
  return x === null ? null : { operand: x, compute: math.gelu };
}

/** x of x/2 · (erf(x/√2) + 1). */
function exactGelu(nodes: readonly Node[], node: Node): NodeId | null {
  for (const [half, other] of node.op === "mul" ? orders(node) : []) {
    const x = withConstant(nodes, half, "mul", 0.5);
    const erf = withConstant(nodes, other, "add", 1);
    if (x !== null && erf !== null && nodes[erf]!.op === "erf" && withConstant(nodes, nodes[erf]!.inputs[0]!, "mul", Math.SQRT1_2) === x) return x;
  }
  return null;
}

const orders = ({ inputs }: Node): [NodeId, NodeId][] => [[inputs[0]!, inputs[1]!], [inputs[1]!, inputs[0]!]];

/** The other operand of an op on a constant. */
function withConstant(nodes: readonly Node[], id: NodeId, op: "add" | "mul", value: number): NodeId | null {
  const node = nodes[id]!;
  if (node.op !== op) return null;
  const found = orders(node).find(([, c]) => {
    const constant = nodes[c]!;
    return constant.op === "const" && constant.attrs.value === value;
  });
  return found ? found[0] : null;
}
