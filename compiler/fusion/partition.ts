// Decides which values get a buffer and which are computed where they are read, and which of the former share a kernel.
// Anchors (contractions, convolutions, reductions, sorts, loops, …) always have a buffer; of the rest, results do, and what
// is costly and wanted by several kernels. Everything else is fused into its readers.
import { sizeText } from "../base/sizes.ts";
import { type Graph, isTuple, type Node, type NodeId, type OpName } from "../graph/graph.ts";

const ANCHORS: ReadonlySet<OpName> = new Set([
  "conv", "conv_input", "conv_filter", "contract", "reduce", "arg_reduce", "scan", "sort", "topk", "search_sorted", "scatter", "dynamic_update", "loop", "composite",
]);
/** Anchors that read their operands many times over, so that only cheap producers are computed in them. */
const REREADS: ReadonlySet<OpName> = new Set(["contract", "conv_filter", "sort", "topk", "search_sorted", "arg_reduce"]);
/** Ops whose operands must lie in memory. */
const NEEDS_BUFFERS: ReadonlySet<OpName> = new Set(["loop", "print", "assert"]);
const COSTLY: ReadonlySet<OpName> = new Set(["exp", "log", "sin", "cos", "tanh", "erf", "pow", "atan2"]);
const FREE: ReadonlySet<OpName> = new Set(["broadcast", "reshape", "transpose", "slice", "flip", "cast", "bitcast", "const", "iota", "size", "stop_gradient", "tag", "print", "assert", "item"]);

/** Operations along the longest path of one element; above CHEAP a value is not computed twice, above LONGEST never fused. */
const CHEAP = 12;
const LONGEST = 160;
const MOST_ROOTS = 24;

function ownWeight(op: OpName): number {
  if (FREE.has(op)) return 0;
  if (COSTLY.has(op)) return 10;
  if (op === "random") return 60;
  return op === "div" || op === "sqrt" || op === "rsqrt" || op === "mod" ? 4 : 1;
}

export const isAnchor = (op: OpName): boolean => ANCHORS.has(op);
/** Has a buffer that no kernel of this graph computes. */
export const isSource = (n: Node): boolean => n.op === "input" || n.op === "state" || (n.op === "const" && typeof n.attrs.value !== "number");

export interface Group {
  /** loop: elementwise roots over one shape. reduce: reductions over one shape and axes. anchor: one other anchor. */
  readonly kind: "loop" | "reduce" | "anchor";
  readonly roots: readonly NodeId[];
  /** Groups of a lower stage run before. */
  readonly stage: number;
}
export interface Partition {
  /** Whether a node is read from a buffer. */
  readonly stored: readonly boolean[];
  readonly groups: readonly Group[];
}

const shapeText = (n: Node): string => (isTuple(n.type) ? "" : n.type.shape.map(sizeText).join());

/** `wanted`: the nodes whose values the graph must leave in a buffer. */
export function partition(graph: Graph, wanted: readonly NodeId[]): Partition {
  const { nodes } = graph;
  const live = liveNodes(graph, wanted);
  const stored = nodes.map((n, id) => live[id]! && (isSource(n) || isAnchor(n.op) || (n.op === "item" && isAnchor(nodes[n.inputs[0]!]!.op))));
  /** Wanted but cheap: written, and still computed anew by its readers. */
  const written = new Set(wanted);
  for (const [id, n] of nodes.entries()) {
    if (!live[id]) continue;
    if (NEEDS_BUFFERS.has(n.op)) for (const i of n.inputs) stored[i] = true;
    // What is updated in part must lie somewhere first.
    if (n.op === "scatter" || n.op === "dynamic_update") stored[n.inputs[0]!] = true;
  }
  const readers = readersOf(graph, live);
  for (;;) {
    const weight = weigh(graph, stored, live);
    const stages = stagesOf(graph, stored, live);
    const owners = ownersOf(graph, stored, written, stages, live);
    const isRepeated = (id: NodeId): boolean => {
      const shape = shapeText(nodes[id]!);
      return readers[id]!.some(r => REREADS.has(nodes[r]!.op) || (nodes[r]!.op === "broadcast" && shape !== "" && shapeText(nodes[r]!) !== shape));
    };
    const again = new Set([...nodes.keys()].filter(id => live[id] && !stored[id] && weight[id]! > CHEAP && (owners[id] === SEVERAL || isRepeated(id))));
    // Of a path of such values the last is kept: what feeds only it is fused into it.
    const chosen = [...again].filter(id => !readers[id]!.every(r => again.has(r)));
    if (chosen.length === 0) return { stored, groups: groupsOf(graph, stored, written, stages, live) };
    for (const id of chosen) stored[id] = true;
  }
}

function liveNodes({ nodes }: Graph, wanted: readonly NodeId[]): boolean[] {
  const live = new Array<boolean>(nodes.length).fill(false);
  for (const id of wanted) live[id] = true;
  for (let id = nodes.length - 1; id >= 0; id--) if (live[id]) for (const i of nodes[id]!.inputs) live[i] = true;
  return live;
}

function readersOf({ nodes }: Graph, live: readonly boolean[]): NodeId[][] {
  const readers: NodeId[][] = nodes.map(() => []);
  nodes.forEach((n, id) => {
    if (live[id]) for (const i of n.inputs) readers[i]!.push(id);
  });
  return readers;
}

/** Operations along the longest path down to buffers. A path that grows too long is cut by storing a value of it. */
function weigh({ nodes }: Graph, stored: boolean[], live: readonly boolean[]): number[] {
  const weight: number[] = [];
  nodes.forEach((n, id) => {
    const below = Math.max(0, ...n.inputs.map(i => (stored[i] ? 1 : weight[i]!)));
    const own = isSource(n) || isAnchor(n.op) ? 1 : ownWeight(n.op) + below;
    if (own > LONGEST && live[id]) stored[id] = true;
    weight.push(own);
  });
  return weight;
}

/** When a value can first be read: after how many kernels in a row. */
function stagesOf({ nodes }: Graph, stored: readonly boolean[], live: readonly boolean[]): number[] {
  const stage: number[] = [];
  nodes.forEach((n, id) => {
    if (!live[id] || isSource(n)) return void stage.push(0);
    const before = Math.max(0, ...n.inputs.map(i => stage[i]!));
    stage.push(n.op === "item" ? before : stored[id] ? before + 1 : before);
  });
  return stage;
}

const SEVERAL = "several";

/** The kernel that a node is a root of. Written values are computed at the stage at which they could be read. */
function groupKey(n: Node, id: NodeId, stored: boolean, stage: number, input: Node | undefined): string {
  if (n.op === "reduce") return `reduce ${shapeText(input!)} ${n.attrs.axes.join()} ${stage}`;
  if (isAnchor(n.op)) return `anchor ${id}`;
  return `loop ${shapeText(n)} ${stored ? stage : stage + 1}`;
}

/** For each fused node the one kernel that computes it, or SEVERAL. */
function ownersOf(graph: Graph, stored: readonly boolean[], written: ReadonlySet<NodeId>, stages: readonly number[], live: readonly boolean[]): (string | null)[] {
  const owners = new Array<string | null>(graph.nodes.length).fill(null);
  const own = (id: NodeId, owner: string): void => {
    owners[id] = owners[id] === null || owners[id] === owner ? owner : SEVERAL;
  };
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const n = graph.nodes[id]!;
    if (!live[id] || isSource(n) || n.op === "item") continue;
    const key = groupKey(n, id, stored[id]!, stages[id]!, graph.nodes[n.inputs[0]!]);
    if (written.has(id) && !stored[id]) own(id, key);
    const owner = stored[id] ? key : owners[id]!;
    for (const i of n.inputs) if (!stored[i]) own(i, owner);
  }
  return owners;
}

function groupsOf(graph: Graph, stored: readonly boolean[], written: ReadonlySet<NodeId>, stages: readonly number[], live: readonly boolean[]): Group[] {
  const byKey = new Map<string, NodeId[]>();
  const stageOf = new Map<string, number>();
  graph.nodes.forEach((n, id) => {
    if (!live[id] || isSource(n) || n.op === "item" || !(stored[id] || written.has(id))) return;
    const key = groupKey(n, id, stored[id]!, stages[id]!, graph.nodes[n.inputs[0]!]);
    const list = byKey.get(key) ?? [];
    list.push(id);
    byKey.set(key, list);
    stageOf.set(key, stored[id] ? stages[id]! : stages[id]! + 1);
  });
  return [...byKey].flatMap(([key, roots]) => {
    const kind = key.slice(0, key.indexOf(" ")) as Group["kind"];
    const groups: Group[] = [];
    for (let i = 0; i < roots.length; i += MOST_ROOTS) groups.push({ kind, roots: roots.slice(i, i + MOST_ROOTS), stage: stageOf.get(key)! });
    return groups;
  }).sort((a, b) => a.stage - b.stage);
}
