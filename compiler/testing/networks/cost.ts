// What it costs to interpret nodes, in operations on numbers.
import type { Size } from "../../base/sizes.ts";
import { isTuple, type Node, type TensorType } from "../../graph/graph.ts";
import { opDefinition } from "../../graph/ops.ts";

/** Of the nodes from number `first` on, with every size evaluated by `value`. */
export function costOf(nodes: readonly Node[], first: number, value: (size: Size) => number): number {
  const own = (n: Node): number => {
    if (n.op === "loop") return costOf(n.attrs.body.nodes, 0, value) * value(n.attrs.trips);
    if (n.op === "composite") return costOf(n.attrs.body.nodes, 0, value);
    const inputs = n.inputs.flatMap((i): TensorType[] => {
      const { type } = nodes[i]!;
      return isTuple(type) ? [] : [type];
    });
    const moved = isTuple(n.type) ? 0 : n.type.shape.reduce<number>((m, s) => m * value(s), 1);
    return inputs.length === n.inputs.length ? Math.max(moved, value(opDefinition(n.op).flops(n as never, inputs))) : moved;
  };
  return nodes.slice(first).reduce((sum, n) => sum + own(n), 0);
}
