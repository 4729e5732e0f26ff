// How many expressions a kernel writes down for fused values: what `Elements` would make of them, counted without making it.
// A value that is read at several places is computed at each: halving an axis by adding its even and odd elements, ten
// times over, reads a thousand elements for each that is left. What vectors cannot load at once counts once for each lane, and
// a load counts what its index is computed of.
import { addSize, dimSize, type Size, sizeText, subSize } from "../base/sizes.ts";
import { type Graph, isTuple, type NodeId, type NodeOf } from "../graph/graph.ts";
import { atLane, dependsOnLane, isContiguous, isMovementOp, LANE } from "./elements.ts";
import { clampIndex, inputIndex, type MovementOp } from "./maps.ts";

export interface ExpansionOptions {
  /** Of the vectors that the kernel computes with. */
  readonly lanes: number;
  /** Expressions of an op itself. */
  weightOf(id: NodeId): number;
  /** Whether a value is not computed but read: from a buffer, or from registers that an anchor leaves it in. */
  isRead(id: NodeId): boolean;
  /** Counting ends soon after this many. */
  readonly most: number;
}

export class Expansion {
  readonly #graph: Graph;
  readonly #options: ExpansionOptions;
  readonly #seen = new Set<string>();
  #count = 0;

  constructor(graph: Graph, options: ExpansionOptions) {
    this.#graph = graph;
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** Counts what a value takes that the kernel computes at the index that it writes, beyond what was counted before. */
  compute(id: NodeId): void {
    this.#compute(id, this.#written(id), 1);
  }
  /** The same of a value that it may read from a buffer instead. */
  read(id: NodeId): void {
    this.#visit(id, this.#written(id), 1);
  }
  #written(id: NodeId): Size[] {
    const shape = this.#shape(id);
    const last = shape.length - 1;
    return shape.map((s, i): Size => (s === 1 ? 0 : i === last && this.#options.lanes > 1 ? addSize(dimSize(`at${i}`), LANE) : dimSize(`at${i}`)));
  }

  #shape(id: NodeId): readonly Size[] {
    const { type } = this.#graph.nodes[id]!;
    return isTuple(type) ? [] : type.shape;
  }

  /** `times`: how often it is written down, where each lane is computed alone. */
  #visit(id: NodeId, at: readonly Size[], times: number): void {
    const key = `${id}@${at.map(sizeText).join()}`;
    if (this.#count > this.#options.most || this.#seen.has(key)) return;
    this.#seen.add(key);
    if (!this.#options.isRead(id)) this.#compute(id, at, times);
    else this.#count += times * (1 + functionsIn(key)) * (at.some(dependsOnLane) && !isContiguous(at) ? this.#options.lanes : 1);
  }

  #compute(id: NodeId, at: readonly Size[], times: number): void {
    const node = this.#graph.nodes[id]!;
    this.#count += times * this.#options.weightOf(id);
    if (isMovementOp(node.op)) {
      const [from] = node.inputs;
      this.#visit(from!, inputIndex(node as NodeOf<MovementOp>, at, this.#shape(from!), this.#shape(id)), times);
      return;
    }
    switch (node.op) {
      case "concat": {
        let start: Size = 0;
        for (const from of node.inputs) {
          const extent = this.#shape(from)[node.attrs.axis]!;
          this.#count += 2 * times;
          this.#visit(from, at.map((x, i) => (i === node.attrs.axis ? clampIndex(subSize(x, start), extent) : x)), times);
          start = addSize(start, extent);
        }
        return;
      }
      case "pad": {
        const from = node.inputs[0]!;
        this.#visit(from, at.map((x, i) => (node.attrs.low[i] === 0 && node.attrs.high[i] === 0 ? x : clampIndex(subSize(x, node.attrs.low[i]!), this.#shape(from)[i]!))), times);
        return;
      }
      case "dynamic_slice": {
        const [from, ...starts] = node.inputs;
        for (const start of starts) this.#visit(start, [], times);
        this.#visit(from!, at.map((x, i) => (node.attrs.axes.includes(i) ? addSize(x, dimSize(`start${starts[node.attrs.axes.indexOf(i)]}`)) : x)), times);
        return;
      }
      case "gather": {
        const { axis, batch } = node.attrs;
        const [from, ids] = node.inputs as [NodeId, NodeId];
        const picked = this.#shape(ids).length - batch;
        const idAt = [...at.slice(0, batch), ...at.slice(axis, axis + picked)];
        const isByLane = idAt.some(dependsOnLane);
        const [own, often] = isByLane ? [at.map(x => atLane(x, 0)), times * this.#options.lanes] : [at, times];
        const ownId = isByLane ? idAt.map(x => atLane(x, 0)) : idAt;
        this.#visit(ids, ownId, often);
        this.#visit(from, [...own.slice(0, axis), dimSize(`row${id} ${ownId.map(sizeText).join()}`), ...own.slice(axis + picked)], often);
        return;
      }
      case "reduce": {
        const [from] = node.inputs as [NodeId];
        const kept = at.values();
        this.#visit(from, this.#shape(from).map((_, axis): Size => (node.attrs.axes.includes(axis) ? dimSize(`sum${id}.${axis}`) : kept.next().value ?? 0)), times);
        return;
      }
      case "random":
        for (const i of [0, 1]) this.#visit(node.inputs[0]!, [i], times);
        return;
      default:
        for (const i of node.inputs) this.#visit(i, at, times);
    }
  }
}

/** Divisions, remainders and bounds in the text of an index. */
const functionsIn = (text: string): number => text.split("(").length - 1;
