// A kernel that is being written for a part of a graph: its parameters are declared as values are read and written, and
// every read is recorded, so that the plan knows what may be written in place.
import { DTYPES } from "../base/dtypes.ts";
import { mulSize, productSize, sameSize, type Size, sizeText } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import { type Graph, isTuple, type NodeId, type TensorType } from "../graph/graph.ts";
import { typeOf, type Expr, type Kernel, type Param, REGISTER_TYPE } from "../kernel/ir.ts";
import * as e from "../kernel/expr.ts";
import type { SimdMachine } from "../kernel/machines.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import type { Sink, Source } from "../../kernels/fused.ts";
import { castOperator } from "../../kernels/operators.ts";
import { goesInRuns } from "../../kernels/simd.ts";
import { Elements, type Origin, runIndex, withLanes } from "./elements.ts";

/** A node's value, or (negative) a temporary of the plan. */
export type ValueId = number;

export interface Draft {
  readonly kernel: Kernel;
  /** In the order of the kernel's parameters. */
  readonly operands: readonly { readonly value: ValueId; readonly access: Param["access"] }[];
  /** Values read anywhere but at the index that is being written, so that their buffer cannot be written at the same time. */
  readonly readElsewhere: ReadonlySet<ValueId>;
}

export interface ScopeOptions {
  readonly graph: Graph;
  readonly machine: SimdMachine;
  readonly stored: readonly boolean[];
  /** Whether any value of the graph is f64. */
  readonly hasDoubles: boolean;
  readonly name: string;
  readonly roots: readonly NodeId[];
  /** Type of a temporary. */
  temporary(value: ValueId): TensorType;
  /** The temporary that holds the word of a random node's stream and its call. */
  drawOf(id: NodeId): ValueId;
  readonly flat?: boolean;
  /** Whether a grid point is a workgroup of threads, and no task. */
  readonly workgroups?: boolean;
  /** Whether tensors of few channels have rows of pixels as one axis, so that vectors may run across pixels. */
  readonly inRuns?: boolean;
}

export class KernelScope {
  readonly k: KernelBuilder;
  readonly graph: Graph;
  readonly elements: Elements;
  readonly #options: ScopeOptions;
  readonly #operands: { value: ValueId; access: Param["access"]; buffer: Param }[] = [];
  readonly #held = new Map<NodeId, Origin>();
  /** What this kernel computes: not read from the buffer that it goes to. */
  readonly #own: ReadonlySet<NodeId>;
  readonly #readElsewhere = new Set<ValueId>();
  readonly #spans = new Map<string, Span>();
  readonly #words: string[] = [];
  /** The index being written, as text; reads at it are reads in place. */
  #writing: string | null = null;

  constructor(options: ScopeOptions) {
    this.#options = options;
    this.#own = new Set(options.roots);
    this.graph = options.graph;
    this.k = new KernelBuilder({ name: options.name, machine: options.workgroups === true ? "simt" : "simd", simd: options.machine, summary: "", dims: options.graph.dims });
    this.elements = new Elements(this.k, options.graph, id => this.#origin(id), id => this.input(options.drawOf(id)), options.flat ?? false);
  }

  get hasDoubles(): boolean {
    return this.#options.hasDoubles;
  }

  typeOf(value: ValueId): TensorType {
    return value < 0 ? this.#options.temporary(value) : this.elements.type(value);
  }
  #shape(value: ValueId): readonly Size[] {
    const { shape } = this.typeOf(value);
    return this.#options.flat && shape.length > 0 ? [productSize(shape)] : shape;
  }

  #origin(id: NodeId): Origin | undefined {
    const held = this.#held.get(id);
    if (held) return held;
    if (!this.#options.stored[id] || this.#own.has(id)) {
      this.#describe(id);
      return undefined;
    }
    const buffer = this.input(id);
    return {
      value: (at, lanes) => {
        if (at.map(sizeText).join() !== this.#writing) this.#readElsewhere.add(id);
        return this.elements.load(buffer, at, lanes);
      },
    };
  }

  /** A node whose value this kernel computes by other means than its op. */
  hold(id: NodeId, origin: Origin): void {
    this.#held.set(id, origin);
  }

  /** Whether a value is read from a buffer, as registers hold it. */
  isInMemory(id: NodeId): boolean {
    const { dtype } = this.elements.type(id);
    return !this.isHeld(id) && this.#options.stored[id] === true && !this.#own.has(id) && REGISTER_TYPE[dtype] === dtype;
  }

  isHeld(id: NodeId): boolean {
    return this.#held.has(id);
  }

  #describe(id: NodeId): void {
    const node = this.graph.nodes[id]!;
    if (node.span) this.#spans.set(`${node.span.file}:${node.span.line}`, node.span);
    if (!["const", "broadcast", "reshape", "input", "state", "size", "cast", "item"].includes(node.op)) this.#words.push(node.op);
  }

  /** The parameter from which a value is read. */
  input(value: ValueId): Param {
    return this.#parameter(value, "read");
  }
  output(value: ValueId, access: "write" | "readwrite" = "write"): Param {
    if (value >= 0) this.#describe(value);
    return this.#parameter(value, access);
  }
  #parameter(value: ValueId, access: Param["access"]): Param {
    const known = this.#operands.find(o => o.value === value && o.access === access);
    if (known) return known.buffer;
    const node = this.graph.nodes[value];
    const shape = this.#shape(value);
    const channels = shape.at(-1);
    const isRows = this.#options.inRuns === true && node !== undefined && shape.length >= 3 && typeof channels === "number" && goesInRuns(channels);
    // Its name says nothing of the value: equal layers are one kernel, whatever their states are called.
    const buffer = this.k.param(access === "read" ? "in" : "out", this.typeOf(value).dtype, isRows ? [...shape.slice(0, -2), mulSize(shape.at(-2)!, channels)] : shape, access);
    if (isRows) this.elements.joinPixels(buffer, channels);
    this.#operands.push({ value, access, buffer });
    return buffer;
  }

  /** Values of all roots at one index, then their stores: in place, none is overwritten before the others have read it. */
  storeAll(roots: readonly { readonly value: ValueId; compute(): Expr }[], at: readonly Size[], lanes: number): void {
    this.elements.scoped(() => {
      this.#writing = at.map(sizeText).join();
      const values = roots.map(r => this.k.let_("y", r.compute()));
      this.#writing = null;
      roots.forEach((r, i) => this.elements.store(this.output(r.value), at, values[i]!, lanes));
    });
  }

  /** A node as generators read it. */
  source(id: NodeId): Source {
    const { dtype, shape } = this.elements.type(id);
    // Generators read in blocks of their own: nothing that one read binds is known to the next.
    const channels = shape.at(-1);
    return {
      dtype, shape, read: (_k, at, lanes) => this.elements.scoped(() => this.elements.read(id, at, lanes)),
      ...(this.#options.inRuns === true && typeof channels === "number" ? {
        readRun: (_k, row, x, first, lanes) => this.elements.scoped(() => e.splat(this.elements.value(id, runIndex(row, x, first, channels), lanes), lanes)),
      } : {}),
    };
  }

  /** Where a generator leaves an anchor's result: its epilogue is computed there and then, and the end of it stored. */
  sink(anchor: NodeId, end: NodeId): Sink {
    const channels = this.elements.type(anchor).shape.at(-1);
    return {
      open: () => this.hoistScalars([anchor, end]),
      write: (k, at, value) => {
        const { lanes } = typeOf(value);
        this.finishAt(anchor, end, lanes === 1 ? at : withLanes(at), k.let_("y", value), lanes);
      },
      ...(this.#options.inRuns === true && typeof channels === "number" ? {
        writeRun: (k, row, x, first, value) => this.finishAt(anchor, end, runIndex(row, x, first, channels), k.let_("y", value), typeOf(value).lanes),
      } : {}),
    };
  }
  /** Stores the epilogue of an anchor's value at an index in LANE. */
  finishAt(anchor: NodeId, end: NodeId, at: readonly Size[], value: Expr, lanes: number): void {
    const to = this.#epilogueIndex(anchor, end, at);
    // Sums of products of narrow integers wrap once, at the end, as those of reductions have done by now.
    const { dtype } = this.elements.type(anchor);
    const isNarrow = DTYPES[dtype].bits < 32 && (DTYPES[dtype].kind === "signed" || DTYPES[dtype].kind === "unsigned") && this.graph.nodes[anchor]!.op !== "reduce";
    const held = isNarrow ? this.k.let_("y", castOperator(value, REGISTER_TYPE[dtype] as "i32" | "u32", dtype)) : value;
    this.whileHeld(anchor, held, () => this.storeAll([{ value: end, compute: () => this.elements.value(end, to, lanes) }], to, lanes));
  }
  /** While `body` runs, the node has this one value. */
  whileHeld<T>(id: NodeId, value: Expr, body: () => T): T {
    this.#describe(id);
    this.#held.set(id, { value: () => value });
    const result = this.elements.scoped(body);
    this.#held.delete(id);
    return result;
  }
  /** Where the element of an anchor ends: epilogues move elements only between shapes that differ in axes of size 1. */
  #epilogueIndex(anchor: NodeId, end: NodeId, at: readonly Size[]): readonly Size[] {
    const [from, to] = [this.elements.type(anchor).shape, this.elements.type(end).shape];
    const kept = at.filter((_, i) => from[i] !== 1);
    return from.length === to.length && from.every((s, i) => sameSize(s, to[i]!)) ? at : to.map(s => (s === 1 ? 0 : kept.shift()!));
  }

  /** Binds what does not depend on the element, before the loops begin. */
  hoistScalars(roots: readonly NodeId[]): void {
    const seen = new Set<NodeId>();
    const visit = (id: NodeId): void => {
      if (seen.has(id)) return;
      seen.add(id);
      const node = this.graph.nodes[id]!;
      if (isTuple(node.type) || this.#held.has(id)) return;
      if (node.type.shape.length === 0 && node.op !== "const") {
        this.elements.bind(id, []);
        return;
      }
      if (this.#options.stored[id] && !this.#own.has(id)) return;
      if (node.op === "random") {
        for (const i of [0, 1]) this.elements.bind(node.inputs[0]!, [i]);
        this.elements.bindDraw(id);
      }
      for (const i of node.inputs) visit(i);
    };
    for (const id of roots) for (const i of this.#inputsToVisit(id)) visit(i);
  }
  #inputsToVisit(id: NodeId): readonly NodeId[] {
    const node = this.graph.nodes[id]!;
    return !isTuple(node.type) && node.type.shape.length === 0 && node.op !== "reduce" ? [] : node.inputs;
  }

  finish(flops: Size): Draft {
    const kernel = this.k.finish({ flops });
    const words = [...new Set(this.#words)];
    return {
      kernel: { ...kernel, spans: [...this.#spans.values()], summary: words.slice(0, 12).join(" + ") + (words.length > 12 ? " + …" : "") },
      operands: this.#operands.map(({ value, access }) => ({ value, access })),
      readElsewhere: this.#readElsewhere,
    };
  }
}
