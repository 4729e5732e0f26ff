// From drafted works to the steps of a schedule: every value gets its buffer, works get an order. A value that replaces a
// state is computed in the state's own buffer where all readers of the old value can go first; an update of part of a state
// must be. Where fused values stand in its way they are stored first, and kernels that were shared are made apart; what is
// left needs the old value after the new one, and is refused by name.
import { SluiceError } from "../base/diagnostics.ts";
import { type Drafted, draftKernels, type Work } from "../fusion/drafts.ts";
import { isSource } from "../fusion/partition.ts";
import type { Draft, ValueId } from "../fusion/scope.ts";
import { type Graph, inputsOf, type NodeId, type TensorType } from "../graph/graph.ts";
import { productSize } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import type { Kernel } from "../kernel/ir.ts";
import type { SimdMachine } from "../kernel/machines.ts";
import { Order } from "./order.ts";
import type { BufferId, ScheduleBuffer, Step } from "./schedule.ts";

/** What lowering adds to: kernels and constants are the program's, buffers the entry's. */
export interface Plan {
  /** Whose registers kernels are made for. */
  readonly machine: SimdMachine;
  /** Whether ops share kernels. */
  readonly fusion: boolean;
  /** Number of a kernel; equal kernels have one. */
  kernel(k: Kernel): number;
  constant(type: TensorType, value: readonly number[]): BufferId;
  buffer(type: Pick<ScheduleBuffer, "dtype" | "shape">): BufferId;
}

/** Where a value must end. */
export interface Target {
  readonly value: NodeId;
  readonly buffer: BufferId;
  /** What lies in the buffer at first: a state, or a value that a loop carries. */
  readonly old: NodeId | null;
  /** Named when it cannot be done in place. */
  readonly state: string | null;
}

/** `span`: of the entry or the loop, where no line of the graph made a value. */
export function planGraph(plan: Plan, graph: Graph, bound: ReadonlyMap<NodeId, BufferId>, targets: readonly Target[], span: Span | null): Step[] {
  const open = targets.filter(t => t.value !== t.old);
  let drafting: Drafting = { kept: new Set(), apart: false };
  for (;;) {
    const attempt = new GraphPlan(plan, graph, bound, open, span, drafting);
    const refusal = attempt.settle();
    if (refusal === undefined) return attempt.steps();
    const fused = refusal.operands.filter(id => !drafting.kept.has(id));
    if (fused.length === 0 && drafting.apart) {
      throw new SluiceError({
        code: "STATE201", span: graph.nodes[refusal.update]?.span ?? null, message: `state \`${refusal.state}\` cannot be updated in place in \`${graph.name}\``,
        found: "its old value is read where the new one is already needed", hint: "read the state before it is written, or keep a second state",
      });
    }
    drafting = { kept: new Set([...drafting.kept, ...fused]), apart: fused.length === 0 };
  }
}

/** How a graph is cut into kernels, beyond what partition thinks best. */
interface Drafting {
  /** Values that are stored before they are read, and states that updates read from a copy. */
  readonly kept: ReadonlySet<NodeId>;
  /** Whether values that could share a kernel have kernels of their own. */
  readonly apart: boolean;
}

/** An update that cannot be done in place as kernels are now, and the fused values that it and those in its way are computed of. */
interface Refusal {
  readonly state: string;
  readonly update: ValueId;
  readonly operands: readonly NodeId[];
}

class GraphPlan {
  readonly #plan: Plan;
  readonly #graph: Graph;
  readonly #span: Span | null;
  readonly #drafted: Drafted;
  readonly #works: Work[];
  readonly #homes = new Map<ValueId, BufferId>();
  readonly #targets: readonly { readonly value: ValueId; readonly target: Target }[];
  readonly #order: Order;
  readonly #writer = new Map<ValueId, number>();
  readonly #readers = new Map<ValueId, number[]>();
  /** Updates that find x in their own buffer. */
  readonly #inPlace = new Set<Work>();
  #refusal: Refusal | undefined;

  constructor(plan: Plan, graph: Graph, bound: ReadonlyMap<NodeId, BufferId>, targets: readonly Target[], span: Span | null, drafting: Drafting) {
    this.#plan = plan;
    this.#graph = graph;
    this.#span = span;
    const wanted = [...targets.map(t => t.value), ...graph.effects.map(id => graph.nodes[id]!.inputs[0]!)];
    this.#drafted = draftKernels(graph, wanted, plan.machine, { fusion: plan.fusion, ...drafting });
    this.#works = this.#withCopies(this.#drafted.works, drafting.kept);
    for (const [id, buffer] of bound) this.#homes.set(id, buffer);
    const updates = this.#works.filter(w => w.kind === "update");
    const beginningOf = (value: ValueId): ValueId => {
      const update = updates.find(w => w.to === value);
      return update ? beginningOf(update.x) : value;
    };
    // What is no result of a kernel, or is updated in part later where it lies, is copied, and the copy is a value like others.
    this.#targets = targets.map(target => {
      const isOwn = !isSource(graph.nodes[target.value]!);
      if (isOwn && (!updates.some(w => w.x === target.value) || beginningOf(target.value) === target.old)) return { value: target.value, target };
      const copy = this.#drafted.temporary(this.#drafted.typeOf(target.value));
      this.#works.push({ kind: "copy", from: target.value, to: copy });
      return { value: copy, target };
    });
    this.#works.forEach((w, i) => {
      for (const v of this.#writes(w)) this.#writer.set(v, i);
      for (const v of this.#reads(w)) this.#readers.set(v, [...(this.#readers.get(v) ?? []), i]);
    });
    this.#order = new Order(this.#works.length);
    for (const [v, readers] of this.#readers) {
      const writer = this.#writer.get(v);
      if (writer !== undefined) for (const r of readers) this.#order.add(writer, r);
    }
    const effects = this.#works.flatMap((w, i) => (w.kind === "effect" ? [i] : []));
    effects.slice(1).forEach((second, i) => this.#order.add(effects[i]!, second));
  }

  /** Updates read copies of the states among what is kept. */
  #withCopies(works: readonly Work[], kept: ReadonlySet<NodeId>): Work[] {
    return works.flatMap((w): Work[] => {
      if (w.kind !== "update") return [w];
      const states = this.#graph.nodes[w.to]!.inputs.slice(1).filter(id => kept.has(id) && isSource(this.#graph.nodes[id]!));
      const copies = new Map(states.map(id => [id as ValueId, this.#drafted.temporary(this.#drafted.typeOf(id))]));
      if (copies.size === 0) return [w];
      const operands = w.draft.operands.map(o => (o.access === "read" ? { ...o, value: copies.get(o.value) ?? o.value } : o));
      return [...[...copies].map(([from, to]): Work => ({ kind: "copy", from, to })), { ...w, draft: { ...w.draft, operands } }];
    });
  }

  /** Gives values the buffers of targets where they can have them. Returns what stands in the way of an update in place, if anything does. */
  settle(): Refusal | undefined {
    for (const t of this.#targets) if (!this.#homes.has(t.value)) this.#settle(t.value, t.target.buffer, t.target.old, t.target.state);
    if (this.#refusal !== undefined) return this.#refusal;
    this.#graph.nodes.forEach((n, id) => {
      if (n.op === "const" && typeof n.attrs.value !== "number" && this.#drafted.stored[id]) this.#homes.set(id, this.#plan.constant(n.attrs.type, n.attrs.value));
    });
    for (const [value, elements] of this.#drafted.constants) this.#homes.set(value, this.#plan.constant(this.#drafted.typeOf(value), elements));
    // Updates of what no target holds still avoid a copy where they can.
    for (const w of this.#works) if (w.kind === "update" && !this.#homes.has(w.to)) this.#settle(w.to, this.#plan.buffer(this.#drafted.typeOf(w.to)), null, null);
    return undefined;
  }

  #refuse(state: string, update: Work & { readonly kind: "update" }, old: ValueId): void {
    if (this.#refusal !== undefined) return;
    const { nodes } = this.#graph;
    const inTheWay = (this.#readers.get(old) ?? []).flatMap(r => {
      const w = this.#works[r]!;
      return w.kind === "update" ? [w] : [];
    });
    const operands = [update, ...inTheWay].flatMap(w => nodes[w.to]!.inputs.slice(1));
    // What is made of the old value where the new one is known can be made before.
    const [ofOld, ofNew] = [new Set([old]), new Set([update.to])];
    nodes.forEach((n, id) => {
      if (n.inputs.some(i => ofNew.has(i))) ofNew.add(id);
      else if (!this.#drafted.stored[id] && n.inputs.some(i => ofOld.has(i))) ofOld.add(id);
    });
    const before = nodes.flatMap((n, id) => (ofNew.has(id) ? n.inputs.filter(i => ofOld.has(i) && !ofNew.has(i)) : []));
    const canBeKept = (id: NodeId): boolean => !this.#drafted.stored[id] || nodes[id]!.op === "state";
    this.#refusal = { state, update: update.to, operands: [...new Set([...operands.filter(canBeKept), ...before.filter(id => !this.#drafted.stored[id])])] };
  }

  #reads(w: Work): ValueId[] {
    switch (w.kind) {
      case "kernel": return w.draft.operands.filter(o => o.access === "read").map(o => o.value);
      case "update": return [w.x, ...w.draft.operands.filter(o => o.access === "read").map(o => o.value)];
      case "copy": return [w.from];
      case "loop": return [...this.#graph.nodes[w.node]!.inputs];
      case "effect": return [this.#graph.nodes[w.node]!.inputs[0]!];
    }
  }
  #writes(w: Work): readonly ValueId[] {
    switch (w.kind) {
      case "kernel": return w.draft.operands.filter(o => o.access !== "read").map(o => o.value);
      case "update": case "copy": return [w.to];
      case "loop": return w.carries;
      case "effect": return [];
    }
  }

  /** Whether the writer may overwrite what others read: they go first, and it reads it only where it writes. */
  #canOverwrite(writer: number, old: ValueId): boolean {
    const w = this.#works[writer]!;
    return (this.#readers.get(old) ?? []).every(r => {
      if (r !== writer) return !this.#order.reaches(writer, r);
      if (w.kind === "loop") return false;
      return w.kind === "copy" || w.kind === "effect" || !w.draft.readElsewhere.has(old);
    });
  }
  #readersFirst(writer: number, old: ValueId): void {
    for (const r of this.#readers.get(old) ?? []) this.#order.add(r, writer);
  }

  /** Gives a value a buffer in which `old` lies, if its readers can go first. The buffer of a partial update is that of what it updates. */
  #settle(value: ValueId, buffer: BufferId, old: ValueId | null, state: string | null): void {
    const writer = this.#writer.get(value);
    if (writer === undefined) return;
    const w = this.#works[writer]!;
    const cannot = (old: ValueId): void => {
      if (state !== null && w.kind === "update") this.#refuse(state, w, old);
    };
    if (old !== null && !this.#canOverwrite(writer, old)) {
      cannot(old);
      return;
    }
    if (w.kind === "update") {
      if (w.x === old) {
        this.#homes.set(value, buffer);
        this.#inPlace.add(w);
        this.#readersFirst(writer, old);
        return;
      }
      const isOwn = !this.#homes.has(w.x) && this.#writer.has(w.x);
      if (isOwn && this.#canOverwrite(writer, w.x) && !this.#targets.some(t => t.value === w.x)) {
        if (old !== null) this.#readersFirst(writer, old);
        this.#readersFirst(writer, w.x);
        this.#settle(w.x, buffer, old, state);
        if (this.#homes.get(w.x) === buffer) {
          this.#homes.set(value, buffer);
          this.#inPlace.add(w);
          return;
        }
      }
      if (state !== null && old !== null) {
        cannot(w.x);
        return;
      }
    }
    this.#homes.set(value, buffer);
    if (old !== null) this.#readersFirst(writer, old);
  }

  #home(value: ValueId): BufferId {
    const known = this.#homes.get(value);
    if (known !== undefined) return known;
    const { dtype, shape } = this.#drafted.typeOf(value);
    const fresh = this.#plan.buffer({ dtype, shape });
    this.#homes.set(value, fresh);
    return fresh;
  }

  steps(): Step[] {
    const steps: Step[] = [];
    for (const i of this.#order.sorted()) this.#emit(this.#works[i]!, steps);
    for (const { value, target } of this.#targets) {
      if (this.#home(value) !== target.buffer) steps.push({ kind: "copy", from: this.#home(value), to: target.buffer, span: this.#spanOf(target.value) });
    }
    return steps;
  }

  #emit(w: Work, steps: Step[]): void {
    switch (w.kind) {
      case "kernel":
        steps.push(this.#launch(w.draft));
        break;
      case "copy":
        steps.push({ kind: "copy", from: this.#home(w.from), to: this.#home(w.to), span: this.#spanOf(w.from) });
        break;
      case "update":
        if (!this.#inPlace.has(w)) steps.push({ kind: "copy", from: this.#home(w.x), to: this.#home(w.to), span: this.#spanOf(w.x, w.to) });
        steps.push(this.#launch(w.draft));
        break;
      case "effect": {
        const node = this.#graph.nodes[w.node]!;
        const buffer = this.#home(node.inputs[0]!);
        if (node.op === "print") steps.push({ kind: "print", buffer, label: node.attrs.label, span: node.span });
        else if (node.op === "assert") steps.push({ kind: "assert", buffer, message: node.attrs.message, span: node.span });
        break;
      }
      case "loop":
        this.#emitLoop(w, steps);
    }
  }

  /** Where the first of the values was written that a line of the user made. */
  #spanOf(...values: readonly ValueId[]): Span | null {
    return values.map(v => this.#graph.nodes[v]?.span).find(s => s) ?? this.#span;
  }

  #launch(draft: Draft): Step {
    return {
      kind: "launch", kernel: this.#plan.kernel(draft.kernel), buffers: draft.operands.map(o => this.#home(o.value)),
      tasks: productSize(draft.kernel.grid.map(g => g.extent)),
      spans: draft.kernel.spans.length > 0 || this.#span === null ? draft.kernel.spans : [this.#span],
    };
  }

  #emitLoop({ node: id, carries }: Work & { kind: "loop" }, steps: Step[]): void {
    const node = this.#graph.nodes[id]!;
    if (node.op !== "loop") return;
    const { body, trips, until } = node.attrs;
    const index = this.#plan.buffer({ dtype: "i32", shape: [] });
    const held = carries.map(v => this.#home(v));
    node.inputs.slice(0, carries.length).forEach((v, i) => steps.push({ kind: "copy", from: this.#home(v), to: held[i]!, span: this.#spanOf(v, id) }));
    const parameters = inputsOf(body);
    const places = [index, ...held, ...node.inputs.slice(carries.length).map(v => this.#home(v))];
    const stop = until ? this.#plan.buffer({ dtype: "bool", shape: [] }) : null;
    const targets: Target[] = body.outputs.slice(0, carries.length).map((o, i) => ({ value: o.id, buffer: held[i]!, old: parameters[i + 1]!.id, state: null }));
    if (stop !== null) targets.push({ value: body.outputs[carries.length]!.id, buffer: stop, old: null, state: null });
    steps.push({ kind: "loop", trips, index, until: stop, body: planGraph(this.#plan, body, new Map(parameters.map((p, i) => [p.id, places[i]!])), targets, this.#spanOf(id)) });
  }
}
