// Runs a schedule by the kernel interpreter in a memory of its own, poisoned wherever nothing is alive: the null device, on
// which plans and kernels are judged against the reference interpreter.
import { InternalError } from "../base/diagnostics.ts";
import { byteLength } from "../base/dtypes.ts";
import { type DimValues, dimSize, evaluateSize } from "../base/sizes.ts";
import type { NdArray } from "../graph/field.ts";
import { interpretKernel } from "../kernel/interpret.ts";
import { decodeElements, encodeElements } from "../kernel/memory.ts";
import { livesOf } from "./arena.ts";
import type { BufferId, CompiledProgram, Lowered, Schedule, Step } from "./schedule.ts";
import { placeSlots } from "./slots.ts";

export interface ExecuteOptions {
  readonly inputs?: { readonly [name: string]: NdArray };
  /** Written in place. */
  readonly states: Map<string, Uint8Array>;
  readonly dims: DimValues;
  readonly onEffect?: (kind: "print" | "assert", value: NdArray) => void;
  /** Runs the kernel of that number; the interpreter does, unless another is given. */
  readonly launch?: (kernel: number, buffers: { readonly [param: string]: Uint8Array }, dims: DimValues) => void;
}

/** As a NaN in every float, and as nonsense in integers. */
const POISON = 0xff;

export function execute(program: Pick<Lowered<CompiledProgram>, "kernels" | "constants">, schedule: Schedule, options: ExecuteOptions): { [output: string]: NdArray } {
  const { dims, states, inputs = {}, launch = (kernel, buffers, dims) => interpretKernel(program.kernels[kernel]!, { buffers, dims }) } = options;
  const slots = placeSlots(schedule.slots, s => evaluateSize(s, dims));
  const arena = new Uint8Array(slots.bytes).fill(POISON);
  const buffers = schedule.buffers.map(b => {
    const shape = b.shape.map(s => evaluateSize(s, dims));
    const count = shape.reduce((n, s) => n * s, 1);
    const bytes = byteLength(b.dtype, count);
    const place = b.place;
    if (place.kind === "constant") return { dtype: b.dtype, shape, count, data: new Uint8Array(program.constants[place.index]!.bytes), arena: false };
    if (place.kind === "state") {
      const data = states.get(place.name) ?? new Uint8Array(bytes).fill(POISON);
      states.set(place.name, data);
      return { dtype: b.dtype, shape, count, data, arena: false };
    }
    const start = slots.starts[place.slot]!;
    if (bytes > slots.sizes[place.slot]!) throw new InternalError(`a buffer of ${schedule.entry} is larger than its slot`);
    return { dtype: b.dtype, shape, count, data: arena.subarray(start, start + bytes), arena: true };
  });
  const at = (id: BufferId) => buffers[id]!;
  const value = (id: BufferId): NdArray => ({ dtype: at(id).dtype, shape: at(id).shape, data: decodeElements(at(id).dtype, at(id).data, at(id).count) });
  for (const { name, buffer } of schedule.inputs) {
    const given = inputs[name];
    if (!given) throw new InternalError(`input ${name} has no value`);
    at(buffer).data.set(encodeElements(given.dtype, given.data));
  }
  const lives = livesOf(schedule.steps, schedule.inputs.map(p => p.buffer), schedule.outputs.map(p => p.buffer));
  let now = 0;
  let loopDepth = 0;
  /** What is dead after this step is made nonsense, so that a plan that reads it shows. */
  const bury = (): void => {
    if (loopDepth > 0) return;
    for (const [id, life] of lives) if (life.last === now && at(id).arena) at(id).data.fill(POISON);
  };
  const run = (steps: readonly Step[]): void => {
    for (const s of steps) {
      now++;
      switch (s.kind) {
        case "launch": {
          const kernel = program.kernels[s.kernel]!;
          const launchDims = Object.fromEntries(kernel.dims.map(d => [d.name, evaluateSize(dimSize(d.name), dims)]));
          launch(s.kernel, Object.fromEntries(kernel.params.map((p, i) => [p.name, at(s.buffers[i]!).data])), launchDims);
          break;
        }
        case "copy": {
          const [from, to] = [at(s.from).data, at(s.to).data];
          if (from.length !== to.length) throw new InternalError("a copy between buffers of different sizes");
          to.set(from);
          break;
        }
        case "loop": {
          const start = now;
          const trips = evaluateSize(s.trips, dims);
          loopDepth++;
          for (let i = 0; i < trips; i++) {
            now = start;
            at(s.index).data.set(encodeElements("i32", [i]));
            run(s.body);
            if (s.until !== null && at(s.until).data[0] !== 0) break;
          }
          loopDepth--;
          now = start + countSteps(s.body) + 1;
          break;
        }
        case "print": case "assert": options.onEffect?.(s.kind, value(s.buffer));
      }
      bury();
    }
  };
  run(schedule.steps);
  return Object.fromEntries(schedule.outputs.map(o => [o.name, value(o.buffer)]));
}

const countSteps = (steps: readonly Step[]): number => steps.reduce((n, s) => n + 1 + (s.kind === "loop" ? countSteps(s.body) + 1 : 0), 0);
