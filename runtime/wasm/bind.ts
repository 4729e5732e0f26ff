// Binds a schedule to values of its dims: every size is evaluated, every buffer gets its address, and the steps become a
// tape of i32 words that the crew walks, with the kernels' argument blocks before it. A schedule whose buffers do not fit
// their place, or are smaller than its kernels take them to be, is refused here (PLAN001), so that nothing in a container
// can make the runtime touch memory that is not the program's. The native runtime's exec/bind.cc makes the same checks.
import { byteLength, type DType } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { type DimValues, dimSize, exactSize, type Size } from "../../compiler/base/sizes.ts";
import type { Span } from "../../compiler/base/span.ts";
import { MOST_COUNTED, type Schedule, type Step } from "../../compiler/plan/schedule.ts";
import type { PlacedSlots } from "../../compiler/plan/slots.ts";
import type { LoweredProgram, WasmCode } from "../program.ts";
import type { TraceLabel } from "../trace.ts";
import { COPY, EFFECT, LAUNCH, LOOP } from "./crew.ts";
import type { Block } from "./heap.ts";

/** A tensor that lies in the program's memory. */
export interface Placed {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly address: number;
  readonly bytes: number;
}

/** What the leader does between launches. */
export type Effect =
  | { readonly kind: "print"; readonly value: Placed; readonly label: string; readonly span: Span | null }
  | { readonly kind: "assert"; readonly value: Placed; readonly message: string; readonly span: Span | null }
  /** Float results of a launch, to be searched for NaN. */
  | { readonly kind: "nan"; readonly kernel: number; readonly spans: readonly Span[]; readonly values: readonly Placed[] };

/** What a trace shows of a launch or a copy. */
export interface Shown {
  readonly label: TraceLabel;
  readonly bytes: number;
}

/** Where things lie in memory. */
export interface Places {
  /** As large as all slots together. */
  readonly arena: Block;
  readonly slots: PlacedSlots;
  state(name: string): Block;
  constant(index: number): Block;
}

export interface Bound {
  /** The words of all argument blocks and then of the tape; addresses in it are relative to memory, not to the block. */
  readonly words: Int32Array;
  /** Where the tape starts, in words. */
  readonly tapeStart: number;
  readonly effects: readonly Effect[];
  readonly shown: readonly Shown[];
  readonly inputs: ReadonlyMap<string, Placed>;
  readonly outputs: ReadonlyMap<string, Placed>;
}

/** Tasks claimed at once are so small that each worker comes back about this many times. */
const PIECES_PER_WORKER = 4;
/** What an index of type i32 counts to. */
const TRIP_LIMIT = 2 ** 31 - 1;

export const misfit = (entry: string, message: string): SluiceError =>
  new SluiceError({ code: "PLAN001", message: `the schedule of \`${entry}\` is malformed: ${message}`, hint: "build the program again" });

/** A launch's tasks are counted in words that the crew adds to. */
const MOST_TASKS = 2 ** 30;

function tooMany(entry: string, message: string, found: number, most: number, span: Span | null, dims: DimValues): SluiceError {
  const values = Object.entries(dims).map(([name, value]) => `${name} = ${value}`).join(", ");
  return new SluiceError({
    code: "WASM002", message: `\`${entry}\` is too large for WebAssembly, whose indices have 32 bits: ${message}`, span,
    found: `${found}${values === "" ? "" : ` with ${values}`}`, expected: `at most ${most}`, hint: "use target: \"cpu\", or smaller sizes",
  });
}

export interface BindOptions {
  readonly program: LoweredProgram;
  readonly schedule: Schedule;
  readonly dims: DimValues;
  /** Bytes of local memory, kernel by kernel. */
  readonly scratch: WasmCode["scratch"];
  readonly places: Places;
  readonly workers: number;
  readonly checkNan: boolean;
  /** Allocates the block that `words` will be written to. */
  allocate(bytes: number): Block;
}

export function bindSchedule(options: BindOptions): Bound & { readonly block: Block } {
  const { program, schedule, dims, places } = options;
  const size = (s: Size): number => {
    const value = exactSize(s, dims);
    if (value === undefined) throw misfit(schedule.entry, "a size has no value");
    if (value < 0) throw misfit(schedule.entry, `a size is ${value}`);
    return value;
  };
  const slot = (i: number): Block => {
    const [start, bytes] = [places.slots.starts[i], places.slots.sizes[i]];
    if (start === undefined || bytes === undefined) throw misfit(schedule.entry, `there is no slot ${i}`);
    return { address: places.arena.address + start, bytes };
  };
  /** NaN if the product is too large to be exact. */
  const bytesOf = (dtype: DType, shape: readonly number[]): number => {
    const elements = shape.reduce((n, extent) => n * extent, 1);
    return Number.isSafeInteger(elements) ? byteLength(dtype, elements) : Number.NaN;
  };
  for (const { elements, span } of schedule.counts ?? []) {
    const found = size(elements);
    if (found > MOST_COUNTED) throw tooMany(schedule.entry, "a tensor has more elements", found, MOST_COUNTED, span, dims);
  }
  if (places.slots.bytes > places.arena.bytes) throw misfit(schedule.entry, "its workspace is too small");
  const buffers = schedule.buffers.map((b, i): Placed => {
    const shape = b.shape.map(size);
    const bytes = bytesOf(b.dtype, shape);
    const home = b.place.kind === "slot" ? slot(b.place.slot) : b.place.kind === "state" ? places.state(b.place.name) : places.constant(b.place.index);
    if (!(bytes <= home.bytes)) throw misfit(schedule.entry, `buffer ${i} does not fit its place`);
    return { dtype: b.dtype, shape, address: home.address, bytes };
  });
  const at = (id: number): Placed => {
    const b = buffers[id];
    if (!b) throw misfit(schedule.entry, `there is no buffer ${id}`);
    return b;
  };
  const written = (id: number): Placed => {
    const b = at(id);
    if (schedule.buffers[id]!.place.kind === "constant") throw misfit(schedule.entry, "a step writes a constant");
    return b;
  };

  const args: number[] = [];
  const tape: number[] = [];
  /** Positions on the tape that hold a word offset into `args`, to be made an address. */
  const argPositions: number[] = [];
  const effects: Effect[] = [];
  const shown: Shown[] = [];
  const addEffect = (e: Effect): void => {
    tape.push(EFFECT, effects.length);
    effects.push(e);
  };

  const addLaunch = ({ kernel, buffers: ids, tasks: extent, spans }: Extract<Step, { kind: "launch" }>): void => {
    const info = program.kernels[kernel];
    if (!info || info.params.length !== ids.length) throw misfit(schedule.entry, `a launch does not fit kernel ${kernel}`);
    const tasks = size(extent);
    size(options.scratch[kernel] ?? 0);
    if (tasks === 0) return;
    if (tasks >= MOST_TASKS) throw tooMany(schedule.entry, `a launch of ${info.name} has ${tasks} tasks`, tasks, MOST_TASKS - 1, spans[0] ?? null, dims);
    const operands = ids.map((id, i) => {
      const param = info.params[i]!;
      const placed = param.access === "read" ? at(id) : written(id);
      if (!(bytesOf(param.dtype, param.shape.map(size)) <= placed.bytes)) throw misfit(schedule.entry, `buffer ${id} is smaller than ${info.name} takes it to be`);
      return placed;
    });
    while (args.length % (64 / 4) !== 0) args.push(0);
    tape.push(LAUNCH, kernel, args.length, tasks, Math.max(1, Math.floor(tasks / (options.workers * PIECES_PER_WORKER))), shown.length);
    argPositions.push(tape.length - 4);
    shown.push({ label: { kind: "launch", name: info.summary || info.name, span: spans[0] ?? null }, bytes: 0 });
    for (const { address } of operands) args.push(address | 0);
    for (const d of info.dims) args.push(size(dimSize(d.name)));
    if (!options.checkNan) return;
    const values = operands.filter((v, i) => info.params[i]!.access !== "read" && v.dtype.includes("f"));
    if (values.length > 0) addEffect({ kind: "nan", kernel, spans, values });
  };

  const addCopy = (step: Extract<Step, { kind: "copy" }>): void => {
    const from = at(step.from);
    const to = written(step.to);
    if (from.bytes !== to.bytes) throw misfit(schedule.entry, "a copy is between buffers of different sizes");
    // Places never overlap in part: what lies elsewhere lies apart.
    if (from.bytes === 0 || from.address === to.address) return;
    tape.push(COPY, from.address | 0, to.address | 0, from.bytes | 0, shown.length);
    shown.push({ label: { kind: "copy", name: "copy", span: step.span ?? null }, bytes: from.bytes });
  };

  const addSteps = (steps: readonly Step[]): void => {
    for (const s of steps) {
      switch (s.kind) {
        case "launch":
          addLaunch(s);
          break;
        case "copy":
          addCopy(s);
          break;
        case "loop": {
          const index = written(s.index);
          if (index.bytes !== 4) throw misfit(schedule.entry, "a loop's index is no i32");
          const until = s.until === null ? null : at(s.until);
          if (until !== null && until.bytes !== 1) throw misfit(schedule.entry, "a loop's end is no bool");
          const trips = size(s.trips);
          if (trips > TRIP_LIMIT) throw misfit(schedule.entry, `a loop has ${trips} trips`);
          tape.push(LOOP, trips, index.address | 0, until === null ? 0 : until.address | 0, 0);
          const body = tape.length;
          addSteps(s.body);
          tape[body - 1] = tape.length - body;
          break;
        }
        case "print":
          addEffect({ kind: "print", value: at(s.buffer), label: s.label, span: s.span });
          break;
        case "assert":
          if (at(s.buffer).bytes === 0) throw misfit(schedule.entry, "an assert has no value");
          addEffect({ kind: "assert", value: at(s.buffer), message: s.message, span: s.span });
          break;
      }
    }
  };
  addSteps(schedule.steps);
  const ports = (list: Schedule["inputs"], place: (id: number) => Placed): Map<string, Placed> => new Map(list.map(({ name, type, buffer }) => {
    const placed = place(buffer);
    if (placed.dtype !== type.dtype || placed.shape.join() !== type.shape.map(size).join()) {
      throw misfit(schedule.entry, `\`${name}\` has another type than its buffer`);
    }
    return [name, placed];
  }));
  const inputs = ports(schedule.inputs, written);
  const outputs = ports(schedule.outputs, at);
  while (args.length % (64 / 4) !== 0) args.push(0);

  const block = options.allocate((args.length + tape.length) * 4);
  for (const position of argPositions) tape[position] = (block.address + tape[position]! * 4) | 0;
  const words = Int32Array.from([...args, ...tape]);
  return { words, tapeStart: args.length, effects, shown, inputs, outputs, block };
}
