// Reverse-mode differentiation as a graph transform: the gradient is ordinary nodes appended to the same builder, so it
// fuses with the rest and can be differentiated again. Only nodes between `wrt` and the seeds are visited.
import { isFloat } from "../base/dtypes.ts";
import { SluiceError } from "../base/diagnostics.ts";
import { Build } from "../graph/build.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import { isTuple, type NodeId } from "../graph/graph.ts";
import { opDefinition } from "../graph/ops.ts";
import { typeText } from "../graph/ops/typing.ts";

/**
 * The gradients of a scalar with respect to each of `wrt`; zeros where it does not depend on one.
 * Throws SluiceError GRAD001 if the loss is not a float scalar.
 */
export function differentiate(b: GraphBuilder, loss: NodeId, wrt: readonly NodeId[]): NodeId[] {
  const type = b.type(loss);
  const span = b.nodes[loss]?.span ?? null;
  if (type.shape.length !== 0 || !isFloat(type.dtype)) {
    throw new SluiceError({ code: "GRAD001", message: "only a float scalar has gradients", span, found: typeText(type), expected: "f32[]", hint: "reduce the loss with mean() or sum() first" });
  }
  const g = new Build(b, span);
  return backpropagate(b, [[loss, g.scalar(1, type.dtype)]], wrt).map((d, i) => d ?? g.fill(0, wrt[i]!));
}

/** Gradients of `wrt` given those of some nodes (`[node, its gradient]`); null where nothing depends. */
export function backpropagate(b: GraphBuilder, seeds: readonly (readonly [NodeId, NodeId])[], wrt: readonly NodeId[]): (NodeId | null)[] {
  const last = Math.max(-1, ...seeds.map(([id]) => id));
  const depends = dependents(b, wrt, last);
  // For each node the gradient of each of its results.
  const gradients = new Map<NodeId, (NodeId | null)[]>();
  const accumulate = (id: NodeId, d: NodeId) => {
    const node = b.nodes[id]!;
    const [owner, index] = node.op === "item" ? [node.inputs[0]!, node.attrs.index] : [id, 0];
    if (!depends[owner]) return;
    const type = b.valueType(owner);
    const slots = gradients.get(owner) ?? new Array<NodeId | null>(isTuple(type) ? type.items.length : 1).fill(null);
    const seen = slots[index] ?? null;
    slots[index] = seen === null ? d : new Build(b, node.span).add(seen, d);
    gradients.set(owner, slots);
  };
  for (const [id, d] of seeds) accumulate(id, d);
  for (let id = last; id >= 0; id--) {
    const outputs = gradients.get(id);
    const node = b.nodes[id]!;
    if (!outputs || node.op === "item" || !depends[id]) continue;
    const { gradient } = opDefinition(node.op);
    if (gradient === "none") continue;
    gradient(node, { b, node, id, outputs }).forEach((d, i) => {
      if (d !== null) accumulate(node.inputs[i]!, d);
    });
  }
  return wrt.map(id => {
    const node = b.nodes[id]!;
    return node.op === "item" ? (gradients.get(node.inputs[0]!)?.[node.attrs.index] ?? null) : (gradients.get(id)?.[0] ?? null);
  });
}

/** Which nodes up to `last` depend on one of `wrt` (or are one, or are the tuple that one is an item of). */
function dependents(b: GraphBuilder, wrt: readonly NodeId[], last: NodeId): Uint8Array {
  const marks = new Uint8Array(Math.max(last, ...wrt, -1) + 1);
  for (const id of wrt) {
    marks[id] = 1;
    const node = b.nodes[id]!;
    if (node.op === "item") marks[node.inputs[0]!] = 1;
  }
  for (let id = 0; id <= last; id++) {
    if (b.nodes[id]!.inputs.some(i => marks[i])) marks[id] = 1;
  }
  return marks;
}
