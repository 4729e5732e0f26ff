// Decides which values get a buffer and which are computed where they are read, and which of the former share a kernel.
// Anchors (contractions, convolutions, reductions, sorts, loops, …) always have a buffer; of the rest, results do, and what
// is costly and wanted by several kernels. Everything else is fused into its readers.
import { sizeText } from "../base/sizes.ts";
import { type Graph, isTuple, type Node, type NodeId, type OpName } from "../graph/graph.ts";
import { opDefinition } from "../graph/ops.ts";
import { REGISTER_TYPE, type ScalarType } from "../kernel/ir.ts";
import { CHEAP, CHEAP_CONVOLUTION, LEAVES_VECTORS, LONGEST, MOST_EXPRESSIONS, MOST_READ, MOST_REPEATED, MOST_ROOTS, ownWeight, TRIVIAL } from "./costs.ts";
import { isBinaryOp, isMovementOp, isUnaryOp } from "./elements.ts";
import { Expansion } from "./expansion.ts";

const ANCHORS: ReadonlySet<OpName> = new Set([
  "conv", "conv_input", "conv_filter", "contract", "reduce", "arg_reduce", "scan", "sort", "topk", "search_sorted", "scatter", "dynamic_update", "loop", "composite",
]);
/** Anchors that read their operands many times over, so that only cheap producers are computed in them. */
const REREADS: ReadonlySet<OpName> = new Set(["contract", "conv_filter", "sort", "topk", "search_sorted", "arg_reduce"]);
/** Anchors whose kernels write elementwise functions of their result. */
const HAS_EPILOGUE: ReadonlySet<OpName> = new Set(["conv", "conv_input", "contract", "reduce"]);
const ONE_TO_ONE: ReadonlySet<OpName> = new Set(["select", "cast", "bitcast", "stop_gradient", "tag"]);
/** Ops whose operands must lie in memory. */
const NEEDS_BUFFERS: ReadonlySet<OpName> = new Set(["loop", "print", "assert"]);

const registersOf = ({ type }: Node): ScalarType | undefined => (isTuple(type) ? undefined : REGISTER_TYPE[type.dtype]);

export const isAnchor = (op: OpName): boolean => ANCHORS.has(op);
/** Has a buffer that no kernel of this graph computes. */
export const isSource = (n: Node): boolean => n.op === "input" || n.op === "state" || (n.op === "const" && typeof n.attrs.value !== "number");

/** Views, and what only names or holds a value, cost nothing; any other op reads its inputs and writes its result. */
export const isFree = ({ op }: Node): boolean => ["source", "movement", "item", "effect"].includes(opDefinition(op).family) || op === "stop_gradient" || op === "tag";

export interface Group {
  /** loop: elementwise roots over one shape. reduce: reductions over one shape and axes. anchor: one other anchor. */
  readonly kind: "loop" | "reduce" | "anchor";
  /** Of the two latter the anchors themselves, whose results may go through an epilogue. */
  readonly roots: readonly NodeId[];
  /** Groups of a lower stage run before. */
  readonly stage: number;
}
export interface Partition {
  /** Whether a node is read from a buffer. */
  readonly stored: readonly boolean[];
  readonly groups: readonly Group[];
  /** Anchors that have an epilogue: the last node of the path, which is stored instead of the anchor. */
  readonly ends: ReadonlyMap<NodeId, NodeId>;
  /** Of each moments composite the convolution that makes its image, whose kernel sums it. */
  readonly summed: ReadonlyMap<NodeId, NodeId>;
  /** Of each convolution that computes its input's rows anew, by another convolution, the moments between the two. */
  readonly chained: ReadonlyMap<NodeId, NodeId>;
}

const withoutOnes = (n: Node): string => (isTuple(n.type) ? "" : n.type.shape.filter(s => s !== 1).map(sizeText).join());
export const shapeText = (n: Node): string => (isTuple(n.type) ? "" : n.type.shape.map(sizeText).join());

export interface PartitionOptions {
  /** false: every op that is not free is a kernel of its own. */
  readonly fusion: boolean;
  /** Whether a convolution's kernel can sum what it makes, and whether the next one's can make it again. */
  fits(conv: NodeId, next?: NodeId): boolean;
  /** Whether moments are combined in a kernel of their own, and not in each that reads them. */
  readonly storesMoments: boolean;
  /** Of the vectors that kernels compute with. */
  readonly lanes: number;
  /** Values that the plan needs in buffers, whoever reads them. */
  readonly kept?: ReadonlySet<NodeId>;
  /** Whether values that could share a kernel have kernels of their own. */
  readonly apart?: boolean;
}

/** `wanted`: the nodes whose values the graph must leave in a buffer. */
export function partition(graph: Graph, wanted: readonly NodeId[], options: PartitionOptions): Partition {
  return new Partitioner(graph, wanted, options).run();
}

const SEVERAL = "several";

class Partitioner {
  readonly #graph: Graph;
  readonly #nodes: readonly Node[];
  /** Of each value that was looked at, expressions that it takes at most. */
  readonly #most: number[] = [];
  readonly #options: PartitionOptions;
  readonly #live: boolean[];
  readonly #readers: readonly NodeId[][];
  readonly #stored: boolean[];
  /** Wanted, be it cheap: written, and still computed anew by its readers if it is. */
  readonly #written: ReadonlySet<NodeId>;
  readonly #ends = new Map<NodeId, NodeId>();
  readonly #anchorOfEnd = new Map<NodeId, NodeId>();
  /** Of each node on the path from an anchor to the end of its epilogue, both included, the anchor: a node is on one path. */
  readonly #pathOf = new Map<NodeId, NodeId>();
  readonly #summed = new Map<NodeId, NodeId>();
  readonly #chained = new Map<NodeId, NodeId>();

  constructor(graph: Graph, wanted: readonly NodeId[], options: PartitionOptions) {
    this.#graph = graph;
    this.#nodes = graph.nodes;
    this.#options = options;
    this.#written = new Set(wanted);
    this.#live = liveNodes(graph, wanted);
    this.#readers = readersOf(graph, this.#live);
    const nodes = this.#nodes;
    this.#stored = nodes.map((n, id) => this.#live[id]! && (options.kept?.has(id) || isSource(n) || isAnchor(n.op) || (n.op === "item" && isAnchor(nodes[n.inputs[0]!]!.op))));
    nodes.forEach((n, id) => {
      if (!this.#live[id]) return;
      if (NEEDS_BUFFERS.has(n.op)) for (const i of n.inputs) this.#stored[i] = true;
      // What is updated in part must lie somewhere first.
      if (n.op === "scatter" || n.op === "dynamic_update") this.#stored[n.inputs[0]!] = true;
    });
    if (!options.fusion) {
      nodes.forEach((n, id) => {
        if (this.#live[id] && !isFree(n)) this.#stored[id] = true;
      });
      return;
    }
    nodes.forEach((n, id) => {
      if (this.#live[id] && HAS_EPILOGUE.has(n.op)) this.#extend(id);
    });
    const composites = [...nodes.keys()].filter(id => this.#live[id] && nodes[id]!.op === "composite");
    // Whether two convolutions are chained is judged where no path is too long and no value too wide.
    if (composites.length > 0) {
      this.#cutLongPaths();
      this.#cutWideValues();
    }
    for (const id of composites) this.#chain(id, nodes[id]!.inputs[0]!);
  }

  /** Moments of a convolution are summed by it; if but one other convolution reads that image, it makes the rows again instead. */
  #chain(moments: NodeId, image: NodeId): void {
    const anchor = this.#anchorOfEnd.get(image) ?? image;
    const conv = this.#nodes[anchor]!;
    if (conv.op !== "conv" || shapeText(conv) !== shapeText(this.#nodes[image]!) || [...this.#summed.values()].includes(anchor) || !this.#options.fits(anchor)) return;
    this.#summed.set(moments, anchor);
    const filter = this.#nodes[conv.inputs[1]!]!.type;
    const products = isTuple(filter) ? Infinity : filter.shape.slice(0, 3).reduce<number>((p, s) => p * (typeof s === "number" ? s : Infinity), 1);
    if (products > CHEAP_CONVOLUTION || this.#written.has(image)) return;
    const items = this.#options.storesMoments ? [] : this.#readers[moments]!;
    for (const id of [image, ...items]) this.#stored[id] = false;
    let isTooLong = false;
    this.#weigh(() => (isTooLong = true));
    const owners = this.#owners(this.#stages());
    const readers = [...this.#readers[image]!.filter(r => r !== moments), ...items.flatMap(i => this.#readers[i]!)];
    const kernels = new Set(readers.map(r => (this.#stored[r] ? this.#key(r, []) : owners[r])));
    const [only] = kernels;
    const consumer = kernels.size === 1 && only?.startsWith("anchor ") ? Number(only.slice("anchor ".length)) : -1;
    const node = this.#nodes[consumer];
    // Its rows wait in the ring of the consumer's before they are finished.
    const inSameType = node?.op === "conv" && registersOf(node) === registersOf(conv);
    if (inSameType && !isTooLong && this.#expressions(node.inputs[0]!, MOST_READ) <= MOST_READ && this.#options.fits(anchor, consumer) && this.#isPointwise(image, node.inputs[0]!)) this.#chained.set(consumer, moments);
    else for (const id of [image, ...items]) this.#stored[id] = true;
  }

  /** Whether `to` reads `from` element for element, and nothing else of its size that is not computed. */
  #isPointwise(from: NodeId, to: NodeId): boolean {
    const reads = new Map<NodeId, boolean>([[from, true]]);
    const visit = (id: NodeId): boolean => {
      const known = reads.get(id);
      if (known !== undefined) return known;
      const n = this.#nodes[id]!;
      const does = !this.#stored[id] && n.op !== "item" && n.inputs.map(visit).includes(true);
      reads.set(id, does);
      return does;
    };
    if (!visit(to)) return false;
    return [...reads].every(([id, does]) => !does || id === from || this.#isOneToOne(from, id));
  }

  /** Follows the only reader of an anchor's result, and of that reader's, as long as each element gives one element. */
  #extend(anchor: NodeId): void {
    const path = [anchor];
    for (let end = anchor; ;) {
      const [reader, ...more] = new Set(this.#readers[end]);
      if (reader === undefined || more.length > 0 || this.#written.has(end) || (end !== anchor && this.#stored[end])) break;
      // Where two paths meet, the one reads what the other leaves in a buffer.
      if (this.#pathOf.has(reader) || !this.#isOneToOne(end, reader)) break;
      path.push(reader);
      end = reader;
    }
    if (path.length === 1) return;
    for (const id of path) this.#pathOf.set(id, anchor);
    this.#stored[anchor] = false;
    this.#endPath(anchor, path.at(-1)!);
  }
  #endPath(anchor: NodeId, end: NodeId): void {
    const before = this.#ends.get(anchor);
    if (before !== undefined) this.#anchorOfEnd.delete(before);
    this.#stored[end] = true;
    this.#ends.set(anchor, end);
    this.#anchorOfEnd.set(end, anchor);
  }
  /** Stores a value; one inside a path is the path's end from now on, and what came after it no part of the path. */
  #store(id: NodeId): void {
    this.#stored[id] = true;
    const anchor = this.#pathOf.get(id);
    if (anchor === undefined || anchor === id || this.#ends.get(anchor) === id) return;
    for (let after = this.#readers[id]![0]!; ; after = this.#readers[after]![0]!) {
      this.#pathOf.delete(after);
      if (after === this.#ends.get(anchor)) break;
    }
    this.#endPath(anchor, id);
  }
  #isOneToOne(from: NodeId, to: NodeId): boolean {
    const [a, b] = [this.#nodes[from]!, this.#nodes[to]!];
    if (b.op === "reshape") return withoutOnes(a) === withoutOnes(b);
    // A slice of everything is all of it.
    if (b.op === "slice" && shapeText(a) === shapeText(b) && b.attrs.stride.every(s => s === 1)) return true;
    return shapeText(a) === shapeText(b) && (isUnaryOp(b.op) || isBinaryOp(b.op) || ONE_TO_ONE.has(b.op));
  }

  run(): Partition {
    // What a chained convolution reads of the moments between the two is made in its own tasks.
    const chains = new Set([...this.#chained.keys()].map(id => `anchor ${id}`));
    for (;;) {
      const weight = this.#weigh(() => {});
      const stages = this.#stages();
      const owners = this.#owners(stages);
      const isMadeTwice = (id: NodeId): boolean => weight[id]! > CHEAP && owners[id] === SEVERAL;
      const isMadeOften = (id: NodeId): boolean =>
        this.#isRepeated(id) && !chains.has(owners[id]!) && (weight[id]! > TRIVIAL || this.#expressions(id, MOST_REPEATED) > MOST_REPEATED);
      const again = new Set([...this.#nodes.keys()].filter(id =>
        this.#live[id] && !this.#stored[id] && !isAnchor(this.#nodes[id]!.op) && !this.#isRemade(id) && (isMadeTwice(id) || isMadeOften(id))));
      // Of a path of such values the last is kept: what feeds only it is fused into it.
      const chosen = [...again].filter(id => !this.#readers[id]!.every(r => again.has(r)));
      // Only then: a path through what will be stored anyway would be cut where it happens to have grown too long, and of equal
      // layers each would be cut elsewhere.
      if (chosen.length === 0 && !this.#cutLongPaths() && !this.#cutWideValues()) return { stored: this.#stored, groups: this.#groups(stages), ends: this.#ends, summed: this.#summed, chained: this.#chained };
      for (const id of chosen) this.#store(id);
    }
  }

  /** The result of a convolution that is made again where it is read. */
  #isRemade(id: NodeId): boolean {
    const anchor = this.#anchorOfEnd.get(id);
    return anchor !== undefined && !this.#stored[id] && [...this.#summed.values()].includes(anchor);
  }

  /** Whether a kernel would compute the value anew for each of many elements that read it. */
  #isRepeated(id: NodeId): boolean {
    const shape = shapeText(this.#nodes[id]!);
    return this.#readers[id]!.some(r => {
      const reader = this.#nodes[r]!;
      return REREADS.has(reader.op) || (reader.op === "broadcast" && shape !== "" && shapeText(reader) !== shape);
    });
  }

  /** Operations along the longest path down to buffers. Told of each fused value whose path is too long; if that one is
   *  stored then, its readers' paths begin at it. */
  #weigh(tooLong: (id: NodeId) => void): readonly number[] {
    const weight: number[] = [];
    this.#nodes.forEach((n, id) => {
      const below = Math.max(0, ...n.inputs.map(i => (this.#stored[i] ? 1 : weight[i]!)));
      const own = isSource(n) || isAnchor(n.op) ? 1 : ownWeight(n.op) + below;
      if (own > LONGEST && this.#live[id] && !this.#stored[id]) tooLong(id);
      weight.push(own);
    });
    return weight;
  }
  /** Whether there were any. */
  #cutLongPaths(): boolean {
    let found = false;
    this.#weigh(id => {
      this.#store(id);
      found = true;
    });
    return found;
  }

  /** Stores values that others are computed of until no kernel writes down too many expressions for one. Inputs come first, so
   *  that each value is counted when those below it are few. Whether there were any. */
  #cutWideValues(): boolean {
    const before = this.#stored.filter(Boolean).length;
    this.#nodes.forEach((n, id) => {
      if (!this.#live[id] || isSource(n)) return;
      if (isAnchor(n.op)) for (const i of n.inputs) this.#cutRead(i);
      else this.#cutWide(id);
    });
    return this.#stored.filter(Boolean).length > before;
  }
  #cutWide(id: NodeId): void {
    for (;;) {
      const expressions = this.#expressions(id, MOST_EXPRESSIONS);
      this.#most[id] = expressions;
      if (expressions <= MOST_EXPRESSIONS) return;
      const below = this.#nodes[id]!.inputs.map(i => this.#beneathViews(i)).filter(i => this.#isFused(i));
      const widest = Math.max(...below.map(i => this.#most[i]!));
      const cut = below.find(i => this.#most[i] === widest);
      if (cut === undefined) return;
      this.#store(cut);
    }
  }
  #cutRead(id: NodeId): void {
    const read = this.#beneathViews(id);
    if (this.#isFused(read) && this.#expressions(id, MOST_READ) > MOST_READ) this.#store(read);
  }

  /** Whether a kernel finds a value in a buffer, or in the registers where an anchor leaves it. */
  #isRead(id: NodeId): boolean {
    return this.#stored[id]! || isSource(this.#nodes[id]!) || isAnchor(this.#nodes[id]!.op);
  }
  /** Whether a value is computed where it is read, and could be stored. */
  #isFused(id: NodeId): boolean {
    const n = this.#nodes[id]!;
    return !this.#isRead(id) && !["item", "const", "size", "iota"].includes(n.op);
  }
  #beneathViews(id: NodeId): NodeId {
    const n = this.#nodes[id]!;
    return !this.#stored[id] && isMovementOp(n.op) ? this.#beneathViews(n.inputs[0]!) : id;
  }

  /** Expressions that a kernel writes down for an element of a value, exactly only where they may be more than `most`. */
  #expressions(id: NodeId, most: number): number {
    const atMost = this.#atMost(id);
    if (atMost <= most) return atMost;
    const expansion = this.#expansion(most);
    expansion.compute(id);
    return expansion.count;
  }
  #expansion(most: number): Expansion {
    const { lanes } = this.#options;
    return new Expansion(this.#graph, { lanes, most, weightOf: i => ownWeight(this.#nodes[i]!.op), isRead: i => this.#isRead(i) });
  }
  /** As if nothing were shared, and nothing read in whole vectors after it was moved. */
  #atMost(id: NodeId): number {
    const n = this.#nodes[id]!;
    const below = n.inputs.reduce((sum, i) => sum + (this.#isRead(i) ? 1 : this.#most[i]!), 0);
    const isByLane = LEAVES_VECTORS.has(n.op) || (n.op === "slice" && n.attrs.stride.some(s => s !== 1));
    const often = isByLane ? this.#options.lanes : 1;
    return ownWeight(n.op) + often * below + (n.op === "concat" ? 2 * n.inputs.length : 0);
  }

  /** When a value can first be read: after how many kernels in a row. */
  #stages(): number[] {
    const stage: number[] = [];
    this.#nodes.forEach((n, id) => {
      if (!this.#live[id] || isSource(n)) return void stage.push(0);
      const before = Math.max(0, ...n.inputs.map(i => stage[i]!));
      stage.push(n.op === "item" ? before : this.#stored[id] ? before + 1 : before);
    });
    return stage;
  }

  /** The kernel that computes a value that is stored or written. */
  #key(id: NodeId, stages: readonly number[]): string {
    const anchor = this.#anchorOfEnd.get(id) ?? id;
    const n = this.#nodes[anchor]!;
    if (!this.#options.fusion || this.#options.apart) return `${n.op === "reduce" ? "reduce" : isAnchor(n.op) ? "anchor" : "loop"} ${anchor}`;
    if (n.op === "reduce") return `reduce ${shapeText(this.#nodes[n.inputs[0]!]!)} ${n.attrs.axes.join()} ${stages[id]}`;
    return isAnchor(n.op) ? `anchor ${anchor}` : `loop ${shapeText(n)} ${this.#stageOf(id, stages)}`;
  }
  /** Written values are computed at the stage at which they could be read. */
  #stageOf(id: NodeId, stages: readonly number[]): number {
    return this.#stored[id] ? stages[id]! : stages[id]! + 1;
  }

  /** For each fused node the one kernel that computes it, or SEVERAL. */
  #owners(stages: readonly number[]): (string | null)[] {
    const owners = new Array<string | null>(this.#nodes.length).fill(null);
    const own = (id: NodeId, owner: string | null): void => {
      owners[id] = owners[id] === null || owners[id] === owner ? owner : SEVERAL;
    };
    for (let id = this.#nodes.length - 1; id >= 0; id--) {
      const n = this.#nodes[id]!;
      if (!this.#live[id] || isSource(n) || n.op === "item") continue;
      const isRoot = this.#stored[id]!;
      if (this.#written.has(id) && !isRoot) own(id, this.#key(id, stages));
      const owner = isRoot ? this.#key(id, stages) : owners[id]!;
      for (const i of n.inputs) if (!this.#stored[i]) own(i, owner);
    }
    return owners;
  }

  #groups(stages: readonly number[]): Group[] {
    const byKey = new Map<string, { roots: NodeId[]; stage: number }>();
    this.#nodes.forEach((n, id) => {
      if (!this.#live[id] || isSource(n) || n.op === "item" || !(this.#stored[id] || this.#written.has(id))) return;
      const key = this.#key(id, stages);
      const group = byKey.get(key) ?? { roots: [], stage: this.#stageOf(id, stages) };
      group.roots.push(this.#anchorOfEnd.get(id) ?? id);
      byKey.set(key, group);
    });
    return [...byKey].flatMap(([key, { roots, stage }]) => {
      const kind = key.slice(0, key.indexOf(" ")) as Group["kind"];
      const groups: Group[] = [];
      for (const some of this.#apart(roots)) groups.push({ kind, roots: some, stage });
      return groups;
    }).sort((a, b) => a.stage - b.stage);
  }

  /** Roots that could share a kernel, in as few as they do not make too large. */
  #apart(roots: readonly NodeId[]): (readonly NodeId[])[] {
    if (roots.length === 1) return [roots];
    const apart: NodeId[][] = [];
    let expansion = this.#expansion(MOST_EXPRESSIONS);
    const add = (root: NodeId): void => {
      const end = this.#ends.get(root);
      const isAnchored = isAnchor(this.#nodes[root]!.op);
      if (isAnchored) for (const i of this.#nodes[root]!.inputs) expansion.read(i);
      // An anchor itself is computed by other means than an index.
      if (end !== undefined || !isAnchored) expansion.compute(end ?? root);
    };
    for (const root of roots) {
      add(root);
      if (apart.length === 0 || expansion.count > MOST_EXPRESSIONS || apart.at(-1)!.length === MOST_ROOTS) {
        apart.push([]);
        if (apart.length > 1) {
          expansion = this.#expansion(MOST_EXPRESSIONS);
          add(root);
        }
      }
      apart.at(-1)!.push(root);
    }
    return apart;
  }
}

export function liveNodes({ nodes }: Graph, wanted: readonly NodeId[]): boolean[] {
  const live = new Array<boolean>(nodes.length).fill(false);
  for (const id of wanted) live[id] = true;
  for (let id = nodes.length - 1; id >= 0; id--) if (live[id]) for (const i of nodes[id]!.inputs) live[i] = true;
  return live;
}

export function readersOf({ nodes }: Graph, live: readonly boolean[]): NodeId[][] {
  const readers: NodeId[][] = nodes.map(() => []);
  nodes.forEach((n, id) => {
    if (live[id]) for (const i of n.inputs) readers[i]!.push(id);
  });
  return readers;
}

