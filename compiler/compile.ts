// A traced program becomes a compiled one: graphs are optimised, fused into kernels, and given places and an order.
import { InternalError } from "./base/diagnostics.ts";
import { productSize, type Size, sizeRange, sizeText } from "./base/sizes.ts";
import type { Span } from "./base/span.ts";
import { type Graph, inputsOf, isTuple, type Program, type TensorType } from "./graph/graph.ts";
import type { Kernel } from "./kernel/ir.ts";
import { type MachineName, MACHINES, type SimdMachine } from "./kernel/machines.ts";
import { kernelText } from "./kernel/text.ts";
import { verifyKernel } from "./kernel/verify.ts";
import { renameBuffers, shareSlots } from "./plan/arena.ts";
import { type BufferId, type CompiledProgram, type Constant, type Lowering, MOST_COUNTED, type Schedule, type ScheduleBuffer } from "./plan/schedule.ts";
import { planGraph, type Target } from "./plan/steps.ts";
import { isImageMoments } from "./fusion/moments.ts";
import { optimize } from "./pipeline.ts";
import { narrowConcats } from "./transforms/narrow-concats.ts";
import { encodeElements } from "./kernel/memory.ts";

/** What one kernel concatenates. */
const MOST_PIECES = 16;

type Placed = { dtype: ScheduleBuffer["dtype"]; shape: ScheduleBuffer["shape"]; place: ScheduleBuffer["place"] | null };

/** The kernels of one lowering; equal ones have one number. */
class KernelPool {
  readonly kernels: Kernel[] = [];
  readonly #kernelByText = new Map<string, number>();
  readonly #names = new Set<string>();

  add(k: Kernel): number {
    const { name, ...rest } = k;
    const text = kernelText({ ...rest, name: "", spans: [] });
    const known = this.#kernelByText.get(text);
    if (known !== undefined) return known;
    verifyKernel(k);
    this.#kernelByText.set(text, this.kernels.length);
    return this.kernels.push({ ...rest, name: this.#uniqueName(name) }) - 1;
  }
  #uniqueName(name: string): string {
    const unique = this.#names.has(name) ? `${name}_${this.kernels.length}` : name;
    this.#names.add(unique);
    return unique;
  }
}

/** The constants of one program. */
class ConstantPool {
  readonly constants: Constant[] = [];
  readonly #constantByText = new Map<string, number>();

  add({ dtype, shape }: TensorType, value: readonly number[]): number {
    const sizes = shape.map(s => {
      if (typeof s !== "number") throw new InternalError(`a constant of size ${sizeText(s)}`);
      return s;
    });
    const key = `${dtype} ${sizes.join()} ${value.join()}`;
    const known = this.#constantByText.get(key);
    if (known !== undefined) return known;
    const bytes = encodeElements(dtype, value);
    this.#constantByText.set(key, this.constants.length);
    return this.constants.push({ dtype, shape: sizes, bytes }) - 1;
  }
}

function scheduleOf(graph: Graph, machine: SimdMachine, fusion: boolean, kernels: KernelPool, constants: ConstantPool): Schedule {
  const buffers: Placed[] = [];
  const add = ({ dtype, shape }: Pick<Placed, "dtype" | "shape">, place: Placed["place"]): BufferId => buffers.push({ dtype, shape, place }) - 1;
  const bound = new Map<number, BufferId>();
  const inputs = inputsOf(graph).map(({ name, id, type }) => {
    const buffer = add(type, null);
    bound.set(id, buffer);
    return { name, type, buffer };
  });
  const states = new Map<string, BufferId>();
  const stateBuffer = (name: string, type: TensorType): BufferId => {
    const known = states.get(name) ?? add(type, { kind: "state", name });
    states.set(name, known);
    return known;
  };
  const nodeOfState = new Map<string, number>();
  graph.nodes.forEach((n, id) => {
    if (n.op !== "state") return;
    bound.set(id, stateBuffer(n.attrs.name, n.attrs.type));
    nodeOfState.set(n.attrs.name, id);
  });
  const typeOf = (id: number): TensorType => {
    const { type } = graph.nodes[id]!;
    if (isTuple(type)) throw new InternalError(`output ${id} of ${graph.name} is a tuple`);
    return type;
  };
  const outputs = graph.outputs.map(o => ({ name: o.name, type: typeOf(o.id), buffer: add(typeOf(o.id), null), id: o.id }));
  const targets: Target[] = [
    ...graph.updates.map(u => ({ value: u.id, buffer: stateBuffer(u.name, typeOf(u.id)), old: nodeOfState.get(u.name) ?? null, state: u.name })),
    ...outputs.map(o => ({ value: o.id, buffer: o.buffer, old: null, state: null })),
  ];
  // An entry's inputs come first and stand where it does; without them it begins with its first line.
  const span = graph.nodes.find(n => n.span !== null)?.span ?? null;
  const steps = planGraph({
    machine,
    fusion,
    kernel: k => kernels.add(k),
    constant: (type, value) => add(type, { kind: "constant", index: constants.add(type, value) }),
    buffer: type => add(type, null),
  }, graph, bound, targets, span);
  const { slotOf, slots } = shareSlots(buffers, b => buffers[b]!.place === null, steps, inputs.map(i => i.buffer), outputs.map(o => o.buffer), graph.dims);
  // A buffer that the plan made and did not use after all has no place, and is left out.
  const kept = buffers.flatMap(({ dtype, shape, place }, id): (ScheduleBuffer & { readonly id: BufferId })[] => {
    const slot = slotOf.get(id);
    return place !== null ? [{ id, dtype, shape, place }] : slot === undefined ? [] : [{ id, dtype, shape, place: { kind: "slot", slot } }];
  });
  const numbers = new Map(kept.map(({ id }, i) => [id, i]));
  const renamed = (id: BufferId): BufferId => numbers.get(id)!;
  return {
    entry: graph.name, dims: graph.dims,
    inputs: inputs.map(i => ({ ...i, buffer: renamed(i.buffer) })), outputs: outputs.map(({ name, type, buffer }) => ({ name, type, buffer: renamed(buffer) })),
    reads: [...nodeOfState.keys()], writes: graph.updates.map(u => u.name),
    buffers: kept.map(({ dtype, shape, place }) => ({ dtype, shape, place })),
    steps: renameBuffers(steps, renamed), slots, span, ...countsOf(graph),
  };
}

/** Of tensors that may have more elements, how many. */
function countsOf(graph: Graph): Pick<Schedule, "counts"> {
  const counts = new Map<string, { readonly elements: Size; readonly span: Span | null }>();
  const visit = ({ nodes, dims }: Graph): void => nodes.forEach(n => {
    for (const { shape } of isTuple(n.type) ? n.type.items : [n.type]) {
      const elements = productSize(shape);
      if (sizeRange(elements, name => dims.find(d => d.name === name)).max > MOST_COUNTED) counts.set(sizeText(elements), { elements, span: n.span });
    }
    if (n.op === "loop") visit(n.attrs.body);
  });
  visit(graph);
  return counts.size === 0 ? {} : { counts: [...counts.values()] };
}

export interface LoweringOptions {
  /** false: every op is a kernel of its own, to compare with. */
  readonly fusion?: boolean;
}

/** Lowered once for each machine, in their order. Throws SluiceError where a program asks for what cannot be planned. */
export function compileProgram(program: Program, machines: readonly MachineName[], { fusion = true }: LoweringOptions = {}): CompiledProgram {
  const inits = program.states.flatMap(s => (s.init ? [s.init] : []));
  const narrow = narrowConcats(MOST_PIECES);
  const graphs = [...program.entries, ...inits].map(g => narrow.run(optimize(g, fusion ? { keeps: isImageMoments } : {})));
  const constants = new ConstantPool();
  const lowerings = machines.map((machine): Lowering => {
    const kernels = new KernelPool();
    return { machine, schedules: graphs.map(g => scheduleOf(g, MACHINES[machine], fusion, kernels, constants)), kernels: kernels.kernels };
  });
  return {
    name: program.name, dims: program.dims,
    states: program.states.map(s => ({ name: s.name, type: s.type, init: s.init?.name ?? null, span: s.span })),
    constants: constants.constants, procedures: program.procedures, lowerings,
  };
}
