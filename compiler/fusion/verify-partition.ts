// Accepts a partition or throws PartitionInvariantError with the number of what it breaks:
//   1  what is stored or wanted, and is no source, is written by exactly one kernel
//   2  a kernel's roots are of its kind: fused values of one shape, reductions of one domain, or one other anchor
//   3  the path from an anchor to the end of its epilogue goes from each node to its only reader; nothing inside it is stored
//      or wanted, and its end is stored unless the anchor is summed
//   4  no node is on two paths
//   5  what a kernel computes leads down to buffers, with no anchor on the way but its own
//   6  what a kernel reads from a buffer was written at an earlier stage
import { InternalError } from "../base/diagnostics.ts";
import { type Graph, isTuple, type Node, type NodeId } from "../graph/graph.ts";
import { type Group, isAnchor, isSource, liveNodes, type Partition, readersOf, shapeText } from "./partition.ts";

export class PartitionInvariantError extends InternalError {
  readonly invariant: number;

  constructor(graph: string, invariant: number, detail: string) {
    super(`the partition of graph ${graph} breaks invariant ${invariant}: ${detail}`);
    this.name = "PartitionInvariantError";
    this.invariant = invariant;
  }
}

/** Throws PartitionInvariantError if no correct kernels can be made of the partition. */
export function verifyPartition(graph: Graph, wanted: readonly NodeId[], partition: Partition): void {
  new PartitionVerifier(graph, wanted, partition).run();
}

class PartitionVerifier {
  readonly #graph: Graph;
  readonly #wanted: ReadonlySet<NodeId>;
  readonly #partition: Partition;
  readonly #live: readonly boolean[];
  /** The kernel that writes each value. */
  readonly #writer = new Map<NodeId, Group>();

  constructor(graph: Graph, wanted: readonly NodeId[], partition: Partition) {
    this.#graph = graph;
    this.#wanted = new Set(wanted);
    this.#partition = partition;
    this.#live = liveNodes(graph, wanted);
  }

  run(): void {
    for (const group of this.#partition.groups) this.#enter(group);
    this.#graph.nodes.forEach((n, id) => {
      const isKept = this.#partition.stored[id] === true || this.#wanted.has(id);
      if (this.#live[id] && isKept && !isSource(n) && !this.#writer.has(this.#maker(id))) this.#fail(1, `no kernel writes ${this.#name(id)}`);
    });
    this.#checkPaths();
    for (const group of this.#partition.groups) for (const root of group.roots) this.#checkComputed(root, group);
  }

  #fail(invariant: number, detail: string): never {
    throw new PartitionInvariantError(this.#graph.name, invariant, detail);
  }
  #node(id: NodeId): Node {
    return this.#graph.nodes[id]!;
  }
  #name(id: NodeId): string {
    return `${this.#node(id).op} (node ${id})`;
  }
  #endOf(anchor: NodeId): NodeId {
    return this.#partition.ends.get(anchor) ?? anchor;
  }
  /** The node whose kernel writes a value: items are written by that of the tuple. */
  #maker(id: NodeId): NodeId {
    const n = this.#node(id);
    return n.op === "item" && isAnchor(this.#node(n.inputs[0]!).op) ? n.inputs[0]! : id;
  }

  #enter(group: Group): void {
    const [first, ...more] = group.roots;
    if (first === undefined) this.#fail(2, "a kernel has no roots");
    for (const root of group.roots) {
      const written = this.#endOf(root);
      if (this.#writer.has(written)) this.#fail(1, `two kernels write ${this.#name(written)}`);
      this.#writer.set(written, group);
      const { op } = this.#node(root);
      if (group.kind !== (op === "reduce" ? "reduce" : isAnchor(op) ? "anchor" : "loop")) this.#fail(2, `${this.#name(root)} is a root of a ${group.kind} kernel`);
      if (this.#domain(root) !== this.#domain(first)) this.#fail(2, `${this.#name(root)} and ${this.#name(first)} share a kernel and no domain`);
    }
    if (group.kind === "anchor" && more.length > 0) this.#fail(2, `${this.#name(first)} shares its kernel`);
  }
  #domain(root: NodeId): string {
    const n = this.#node(root);
    return n.op === "reduce" ? `${shapeText(this.#node(n.inputs[0]!))} ${n.attrs.axes.join()}` : shapeText(n);
  }

  #checkPaths(): void {
    const { ends, stored, summed } = this.#partition;
    const readers = readersOf(this.#graph, this.#live);
    const summedConvs = new Set(summed.values());
    const pathOf = new Map<NodeId, NodeId>();
    for (const [anchor, end] of ends) {
      for (let id = anchor; ; ) {
        const other = pathOf.get(id);
        if (other !== undefined) this.#fail(4, `${this.#name(id)} is on the paths of ${this.#name(other)} and ${this.#name(anchor)}`);
        pathOf.set(id, anchor);
        if (id === end) break;
        if (stored[id] || this.#wanted.has(id)) this.#fail(3, `${this.#name(id)} has a buffer inside the path of ${this.#name(anchor)}`);
        const [reader, ...more] = new Set(readers[id]);
        if (reader === undefined || more.length > 0) this.#fail(3, `${this.#name(id)} has not one reader inside the path of ${this.#name(anchor)}`);
        id = reader;
      }
      if (!stored[end] && !summedConvs.has(anchor)) this.#fail(3, `the path of ${this.#name(anchor)} ends at ${this.#name(end)}, which has no buffer`);
    }
  }

  /** What the kernel computes for a root: the end of its epilogue down to the anchor, and what the root reads. */
  #checkComputed(root: NodeId, group: Group): void {
    const { chained, summed, stored } = this.#partition;
    const end = this.#endOf(root);
    if (end !== root) this.#checkDown(this.#node(end).inputs, { at: root, through: new Set() }, group);
    // Moments, and a convolution that makes its input's rows again, compute the convolution before them.
    const moments = this.#node(root).op === "composite" ? root : chained.get(root);
    const before = moments === undefined ? undefined : summed.get(moments);
    const isAgain = before !== undefined && !stored[this.#endOf(before)];
    this.#checkDown(this.#node(root).inputs, { at: undefined, through: new Set(isAgain ? [moments!, before] : []) }, group);
  }

  /** Whether what the values are computed of leads down to full buffers. `at`: the anchor whose value the kernel holds. */
  #checkDown(values: readonly NodeId[], own: { readonly at: NodeId | undefined; readonly through: ReadonlySet<NodeId> }, group: Group): void {
    const seen = new Set<NodeId>(own.at === undefined ? [] : [own.at]);
    const open = [...values];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      const n = this.#node(id);
      if (isSource(n)) continue;
      if (this.#partition.stored[id]) {
        const writer = this.#writer.get(this.#maker(id));
        if (writer !== undefined && writer.stage >= group.stage) this.#fail(6, `${this.#name(id)} is written at stage ${writer.stage} and read at stage ${group.stage}`);
        continue;
      }
      if ((isAnchor(n.op) || isTuple(n.type)) && !own.through.has(id)) this.#fail(5, `the kernel of ${this.#name(group.roots[0]!)} would compute ${this.#name(id)}`);
      open.push(...n.inputs);
    }
  }
}
