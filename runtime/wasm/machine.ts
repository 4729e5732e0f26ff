// The program in memory: constants, states and workspace in one WebAssembly memory, entries run on it by the crew. Lives in
// the leader. States are allocated when something that is run first needs them, and get their first value by running their
// init there. An entry that fails leaves the states that it writes unusable until they are given a value again.
import { byteLength, type DType } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { type DimValues, exactSize, sizeText } from "../../compiler/base/sizes.ts";
import { type Span, spanText } from "../../compiler/base/span.ts";
import type { Schedule, Step } from "../../compiler/plan/schedule.ts";
import { type PlacedSlots, placeSlots } from "../../compiler/plan/slots.ts";
import { checkDims, named, typeText } from "../arguments.ts";
import type { Machine } from "../procedure.ts";
import type { LoweredProgram, WasmCode } from "../program.ts";
import { StateTable } from "../states.ts";
import type { Trace } from "../trace.ts";
import { bytesOf, elementAt, elementCount, type HostTensor, shapeText, tensorOfBytes, tensorOfNumbers, tensorText } from "../tensor.ts";
import { type Bound, bindSchedule, type Effect, misfit, type Placed } from "./bind.ts";
import type { Crew, RecordStep } from "./crew.ts";
import { type Block, Heap } from "./heap.ts";

/** A tensor kept for a procedure, in a block of its own. */
export interface Handle extends Placed {
  readonly block: Block;
}

interface StateCell {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly block: Block;
}

interface Binding extends Bound {
  readonly block: Block;
  readonly arena: number;
}

export interface MachineOptions {
  readonly program: LoweredProgram;
  readonly scratch: WasmCode["scratch"];
  readonly memory: WebAssembly.Memory;
  readonly crew: Crew;
  readonly workers: number;
  /** Instance dims. */
  readonly dims: DimValues;
  readonly checkNan: boolean;
  readonly trace: Trace | null;
  /** Where memory is free. */
  readonly start: number;
  /** What all of it may take of memory. */
  readonly memoryBytes: number;
  print(text: string): void;
}

/** Bindings kept for sizes that come again. */
const BINDINGS = 64;

export class WasmMachine implements Machine<Handle> {
  readonly #o: MachineOptions;
  readonly #heap: Heap;
  readonly #schedules: ReadonlyMap<string, Schedule>;
  readonly #states: StateTable<LoweredProgram["states"][number]>;
  readonly #cells = new Map<string, StateCell>();
  readonly #constants: readonly Block[];
  readonly #bindings = new Map<string, Binding>();
  #arena: Block;
  #scratch: { block: Block; stride: number };
  #bytes: Uint8Array;

  constructor(options: MachineOptions) {
    this.#o = options;
    this.#heap = new Heap(options.memory, options.start, options.memoryBytes);
    this.#bytes = new Uint8Array(options.memory.buffer);
    this.#schedules = new Map(options.program.schedules.map(s => [s.entry, s]));
    this.#states = new StateTable(options.program.states);
    this.#constants = options.program.constants.map((c, i) => {
      const block = this.#heap.allocate(c.bytes.length, `constant ${i}`);
      this.#write(block.address, c.bytes);
      return block;
    });
    this.#arena = this.#heap.allocate(0, "workspace");
    this.#scratch = { block: this.#heap.allocate(0, "scratch"), stride: 0 };
  }

  call(entry: string, inputs: ReadonlyMap<string, Handle | HostTensor | number>, sizes: DimValues, wanted: readonly string[], span?: Span | null): ReadonlyMap<string, Handle | number> {
    const results = this.run(entry, inputs, sizes, { span });
    return new Map(wanted.map(name => {
      const result = named("output", "OUTPUT001", name, results);
      return [name, result.shape.length === 0 ? elementAt(this.read(result), 0) : this.#keep(result)];
    }));
  }

  /** Where the inputs of the next run of an entry with these dims will lie, if nothing else is run before it. */
  place(entry: string, sizes: DimValues): ReadonlyMap<string, Placed> {
    return this.#prepare(named("entry", "ENTRY001", entry, this.#schedules), new Map(), sizes).inputs;
  }

  /** The entry's states have values, and it is bound. */
  #prepare(schedule: Schedule, inputs: ReadonlyMap<string, Handle | HostTensor | number>, sizes: DimValues): Binding {
    const dims = this.#dimsOf(schedule, inputs, sizes);
    for (const name of schedule.reads) this.#prepareState(name, schedule.entry);
    return this.#bind(schedule, dims);
  }

  /** Runs an entry; where its outputs lie until the next run. Inputs that are not given may have been placed. `span`: the line of a procedure that calls. */
  run(
    entry: string, inputs: ReadonlyMap<string, Handle | HostTensor | number>, sizes: DimValues,
    { othersPlaced = false, span }: { readonly othersPlaced?: boolean; readonly span?: Span | null } = {},
  ): ReadonlyMap<string, Placed> {
    const schedule = named("entry", "ENTRY001", entry, this.#schedules);
    const { trace } = this.#o;
    const binding = this.#prepare(schedule, inputs, sizes);
    const begin = performance.now();
    for (const { name } of schedule.inputs) {
      if (!othersPlaced || inputs.has(name)) this.#put(entry, name, binding.inputs.get(name)!, inputs.get(name));
    }
    try {
      const start = binding.block.address + binding.tapeStart * 4;
      const record: RecordStep | null = trace && ((shown, since) => trace.add(binding.shown[shown]!.label, since, binding.shown[shown]!.bytes));
      const scratch = { address: this.#scratch.block.address, stride: this.#scratch.stride };
      this.#o.crew.lead(start, binding.block.address + binding.words.length * 4, scratch, index => this.#perform(entry, binding.effects[index]!), record);
    } catch (error) {
      this.#states.failed(entry, schedule.writes);
      throw error;
    }
    this.#states.wrote(schedule.writes);
    trace?.add({ kind: "call", name: entry, span: span ?? schedule.span ?? null }, begin);
    return binding.outputs;
  }

  shape(tensor: Handle): readonly number[] {
    return tensor.shape;
  }
  toHost(tensor: Handle): HostTensor {
    return this.read(tensor);
  }
  fromHost(tensor: HostTensor): Handle {
    const bytes = byteLength(tensor.dtype, elementCount(tensor.shape));
    const block = this.#heap.allocate(bytes, `a tensor ${tensor.dtype} ${shapeText(tensor.shape)}`);
    this.#write(block.address, bytesOf(tensor));
    return { dtype: tensor.dtype, shape: tensor.shape, address: block.address, bytes, block };
  }
  release(tensor: Handle): void {
    this.#heap.release(tensor.block);
  }

  /** A copy of what lies there. */
  read({ dtype, shape, address, bytes }: Placed): HostTensor {
    return tensorOfBytes(dtype, shape, this.#view().slice(address, address + bytes));
  }

  stateType(name: string): { readonly dtype: DType; readonly shape: readonly number[] } {
    return this.#cell(name);
  }
  getState(name: string): HostTensor {
    this.#prepareState(name, null);
    const { dtype, shape, block } = this.#cell(name);
    return this.read({ dtype, shape, address: block.address, bytes: byteLength(dtype, elementCount(shape)) });
  }
  setState(name: string, value: HostTensor): void {
    const cell = this.#cell(name);
    if (value.dtype !== cell.dtype || value.shape.join() !== cell.shape.join()) {
      throw new SluiceError({
        code: "STATE103", message: `state \`${name}\` has another type`, found: `${value.dtype} ${shapeText(value.shape)}`, expected: `${cell.dtype} ${shapeText(cell.shape)}`,
      });
    }
    this.#write(cell.block.address, bytesOf(value));
    this.#states.wrote([name]);
  }

  #view(): Uint8Array {
    if (this.#bytes.buffer !== this.#o.memory.buffer) this.#bytes = new Uint8Array(this.#o.memory.buffer);
    return this.#bytes;
  }
  #write(address: number, bytes: Uint8Array): void {
    this.#view().set(bytes, address);
  }

  #keep(placed: Placed): Handle {
    const block = this.#heap.allocate(placed.bytes, "a kept output");
    this.#view().copyWithin(block.address, placed.address, placed.address + placed.bytes);
    return { ...placed, address: block.address, block };
  }

  #put(entry: string, name: string, to: Placed, value: Handle | HostTensor | number | undefined): void {
    if (value === undefined) throw new SluiceError({ code: "INPUT001", message: `\`${entry}\` needs an input \`${name}\``, expected: `${to.dtype} ${shapeText(to.shape)}` });
    const source = typeof value === "number" ? tensorOfNumbers(to.dtype, [], [value]) : value;
    if (source.dtype !== to.dtype || source.shape.join() !== to.shape.join()) {
      throw new SluiceError({
        code: source.dtype === to.dtype ? "INPUT004" : "INPUT003", message: `input \`${name}\` of \`${entry}\` has the wrong ${source.dtype === to.dtype ? "shape" : "dtype"}`,
        found: `${source.dtype} ${shapeText(source.shape)}`, expected: `${to.dtype} ${shapeText(to.shape)}`,
      });
    }
    if ("address" in source) this.#view().copyWithin(to.address, source.address, source.address + source.bytes);
    else this.#write(to.address, bytesOf(source));
  }

  /** Every dim of the schedule: instance dims, given sizes, and the axes of the inputs. */
  #dimsOf(schedule: Schedule, inputs: ReadonlyMap<string, Handle | HostTensor | number>, sizes: DimValues): DimValues {
    const dims: { [dim: string]: number } = { ...this.#o.dims, ...sizes };
    for (const { name, type } of schedule.inputs) {
      const value = inputs.get(name);
      if (typeof value !== "object") continue;
      type.shape.forEach((size, axis) => {
        const extent = value.shape[axis];
        if (extent !== undefined && schedule.dims.some(d => d.name === sizeText(size))) dims[sizeText(size)] ??= extent;
      });
    }
    checkDims(schedule.entry, schedule.dims, dims);
    return dims;
  }

  #bind(schedule: Schedule, dims: DimValues): Binding {
    const key = `${schedule.entry}|${schedule.dims.map(d => dims[d.name]).join()}`;
    const known = this.#bindings.get(key);
    if (known && known.arena === this.#arena.address) return known;
    if (known) this.#forget(key, known);
    const where = schedule.dims.map(d => `${d.name} = ${dims[d.name]}`).join(", ");
    const slots = slotsOf(schedule, dims);
    this.#reserve(slots.bytes, schedule, dims, `\`${schedule.entry}\`${where ? ` at ${where}` : ""}`);
    const bound = bindSchedule({
      program: this.#o.program, schedule, dims, scratch: this.#o.scratch, workers: this.#o.workers, checkNan: this.#o.checkNan,
      // Blocks may be larger than what was asked for, but a schedule has no more than that.
      places: {
        arena: { address: this.#arena.address, bytes: slots.bytes },
        slots,
        state: name => {
          const { dtype, shape, block } = this.#cell(name);
          return { address: block.address, bytes: byteLength(dtype, elementCount(shape)) };
        },
        constant: index => ({ address: this.#constants[index]?.address ?? 0, bytes: this.#o.program.constants[index]?.bytes.length ?? 0 }),
      },
      allocate: bytes => this.#heap.allocate(bytes, `the schedule of \`${schedule.entry}\``),
    });
    this.#write(bound.block.address, new Uint8Array(bound.words.buffer));
    const binding = { ...bound, arena: this.#arena.address };
    for (const [oldest, old] of this.#bindings) {
      if (this.#bindings.size < BINDINGS) break;
      this.#forget(oldest, old);
    }
    this.#bindings.set(key, binding);
    return binding;
  }

  #forget(key: string, binding: Binding): void {
    this.#heap.release(binding.block);
    this.#bindings.delete(key);
  }

  /** Makes the arena and every worker's scratch large enough. Neither holds anything between runs. */
  #reserve(arena: number, schedule: Schedule, dims: DimValues, purpose: string): void {
    if (arena > this.#arena.bytes) {
      this.#heap.release(this.#arena);
      this.#arena = { address: 0, bytes: 0 };
      this.#arena = this.#heap.allocate(arena, purpose);
    }
    const stride = Math.max(0, ...kernelsOf(schedule.steps).map(k => exactSize(this.#o.scratch[k] ?? 0, dims) ?? 0));
    if (stride <= this.#scratch.stride) return;
    const aligned = Math.ceil(stride / 64) * 64;
    this.#heap.release(this.#scratch.block);
    this.#scratch = { block: { address: 0, bytes: 0 }, stride: 0 };
    this.#scratch = { block: this.#heap.allocate(aligned * this.#o.workers, `scratch of \`${schedule.entry}\``), stride: aligned };
  }

  #cell(name: string): StateCell {
    const known = this.#cells.get(name);
    if (known) return known;
    const { type, span } = this.#states.declaration(name);
    const shape = type.shape.map(size => {
      const extent = exactSize(size, this.#o.dims);
      if (extent !== undefined && extent >= 0) return extent;
      throw new SluiceError({
        code: "DIM002", message: `the size of state \`${name}\` depends on a dim that has no value`, expected: typeText(type), hint: "it is bound when the program is loaded", span,
      });
    });
    const block = this.#heap.allocate(byteLength(type.dtype, elementCount(shape)), `state \`${name}\``);
    const cell: StateCell = { dtype: type.dtype, shape, block };
    this.#cells.set(name, cell);
    return cell;
  }

  #prepareState(name: string, reader: string | null): void {
    this.#states.prepare(name, reader, ({ init }) => {
      if (init === null || init === reader) return false;
      const cell = this.#cell(name);
      const value = named("output", "OUTPUT001", "value", this.run(init, new Map(), {}));
      if (value.bytes !== byteLength(cell.dtype, elementCount(cell.shape))) throw new SluiceError({ code: "PLAN001", message: `the first value of state \`${name}\` has another size`, hint: "build the program again" });
      this.#view().copyWithin(cell.block.address, value.address, value.address + value.bytes);
      return true;
    });
  }

  #perform(entry: string, effect: Effect): void {
    switch (effect.kind) {
      case "print":
        this.#o.print(`${effect.label ? `${effect.label}: ` : ""}${tensorText(this.read(effect.value))}`);
        break;
      case "assert":
        if (elementAt(this.read(effect.value), 0) === 0) throw new SluiceError({ code: "ASSERT001", message: effect.message, span: effect.span });
        break;
      case "nan":
        for (const value of effect.values) this.#refuseNan(entry, effect, this.read(value));
        break;
    }
  }

  #refuseNan(entry: string, { kernel, spans }: Extract<Effect, { kind: "nan" }>, value: HostTensor): void {
    let first = -1;
    let found = 0;
    const elements = elementCount(value.shape);
    for (let i = 0; i < elements; i++) {
      if (!Number.isNaN(elementAt(value, i))) continue;
      if (found++ === 0) first = i;
    }
    if (found === 0) return;
    const info = this.#o.program.kernels[kernel]!;
    throw new SluiceError({
      code: "NAN001", span: spans[0], message: `NaN in \`${entry}\`, made by ${info.summary || info.name}`,
      found: `${found} of ${elements} elements of ${value.dtype} ${shapeText(value.shape)}, the first at ${shapeText(position(first, value.shape))}`,
      hint: nanHint(spans, info.summary),
    });
  }
}


/** Where the schedule's slots lie in the workspace. Throws PLAN001 where a size has no value or does not fit. */
function slotsOf({ entry, slots }: Schedule, dims: DimValues): PlacedSlots {
  const placed = placeSlots(slots, s => {
    const bytes = exactSize(s, dims);
    if (bytes === undefined) throw misfit(entry, "a size has no value");
    if (bytes < 0) throw misfit(entry, `a size is ${bytes}`);
    return bytes;
  });
  if (!Number.isSafeInteger(placed.bytes)) throw misfit(entry, "its workspace is larger than any memory");
  return placed;
}

/** Of a launch of several ops, where the others stand and what tells them apart. */
function nanHint(spans: readonly Span[], summary: string): string | undefined {
  const others = spans.length > 1 ? [`the kernel also computes ${spans.slice(1).map(spanText).join(", ")}`] : [];
  const hints = summary.includes(" + ") ? [...others, "--target interpret says which op it was"] : others;
  return hints.length > 0 ? hints.join("; ") : undefined;
}

/** The index of a row-major position. */
function position(flat: number, shape: readonly number[]): number[] {
  let rest = flat;
  return shape.map((_, axis) => {
    const below = elementCount(shape.slice(axis + 1));
    const at = Math.floor(rest / below);
    rest -= at * below;
    return at;
  });
}

const kernelsOf = (steps: readonly Step[]): number[] =>
  steps.flatMap(s => (s.kind === "launch" ? [s.kernel] : s.kind === "loop" ? kernelsOf(s.body) : []));
