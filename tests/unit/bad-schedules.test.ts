// Schedules that do not fit their places or their kernels. Each is refused before anything runs, in the same words by both
// runtimes: this one table is what holds the checks of runtime/wasm/bind.ts and runtime/native/exec/bind.cc together.
import { describe, expect, test } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { dimSize, floorDivSize, mulSize, type Size } from "../../compiler/base/sizes.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import { tensorType } from "../../compiler/graph/graph.ts";
import type { CompiledProgram, Schedule, ScheduleBuffer, Step } from "../../compiler/plan/schedule.ts";
import { load } from "../../runtime/index.ts";
import type { Module } from "../../runtime/program.ts";
import { sample, sampleCpuModule, sampleModule } from "./runtime-sample.ts";

type Edit = (s: Schedule) => Partial<Schedule>;

const lowering = sample.lowerings[0]!;
const missing = dimSize("M");
const N = dimSize("N");
const withBuffer = (at: number, change: Partial<ScheduleBuffer>): Edit => s => ({ buffers: s.buffers.map((b, i) => (i === at ? { ...b, ...change } : b)) });
const slots = (...bytes: readonly Size[]): Edit => () => ({ slots: bytes });
const firstStep = (change: (step: Step) => Step): Edit => s => ({ steps: [change(s.steps[0]!), ...s.steps.slice(1)] });
const changed = (change: { readonly [key: string]: unknown }): Edit => firstStep(step => ({ ...step, ...change }) as Step);
const instead = (step: Step): Edit => firstStep(() => step);
const output = (shape: readonly Size[], dtype: DType = "f32"): Edit => s => ({ outputs: s.outputs.map(o => ({ ...o, type: tensorType(dtype, shape) })) });
const both = (a: Edit, b: Edit): Edit => s => ({ ...a(s), ...b({ ...s, ...a(s) }) });
const launch = (kernel: number, buffers: readonly number[]): Step => ({ kind: "launch", kernel, buffers, tasks: 1, spans: [] });

/** Refused when dims are bound. */
const atBinding: readonly (readonly [what: string, entry: string, edit: Edit, message: string])[] = [
  ["a place past the end of the workspace", "count", slots(0), "buffer 1 does not fit its place"],
  ["a slot of less than no bytes", "count", slots(-64), "a size is -64"],
  ["slots that no number reaches together", "count", slots(2 ** 53 - 64, 2 ** 53 - 64), "its workspace is larger than any memory"],
  ["a slot whose size is too large on the way", "double", slots(64, mulSize(2 ** 52, N)), "a size has no value"],
  ["a product of extents that no number holds", "count", both(withBuffer(1, { shape: [94906265, 94906265, 9] }), output([94906265, 94906265, 9])), "buffer 1 does not fit its place"],
  ["more elements than a state has", "count", withBuffer(0, { shape: [5] }), "buffer 0 does not fit its place"],
  ["more elements than a constant has", "weigh", withBuffer(0, { shape: [17] }), "buffer 0 does not fit its place"],
  ["fewer elements than a kernel writes", "weigh", both(withBuffer(1, { shape: [1] }), output([1])), "buffer 1 is smaller than double four takes it to be"],
  ["fewer elements than a kernel reads", "weigh", withBuffer(0, { shape: [3] }), "buffer 0 is smaller than double four takes it to be"],
  ["fewer tasks than none", "count", changed({ tasks: -1 }), "a size is -1"],
  ["a copy between different sizes", "count", both(withBuffer(1, { shape: [2] }), output([2])), "a copy is between buffers of different sizes"],
  ["more trips than an index counts", "loop", changed({ trips: 2 ** 31 }), `a loop has ${2 ** 31} trips`],
  ["fewer trips than none", "loop", changed({ trips: -3 }), "a size is -3"],
  ["a fault in the body of a loop", "loop", both(both(withBuffer(1, { shape: [2] }), output([2])), changed({ body: [launch(2, [1])] })), "buffer 1 is smaller than increment takes it to be"],
  ["an output of another shape than its buffer", "count", output([400]), "`value` has another type than its buffer"],
  ["an input of another shape than its buffer", "count", () => ({ inputs: [{ name: "x", type: tensorType("f32", [100_000]), buffer: 1 }] }), "`x` has another type than its buffer"],
  ["a workspace that is smaller than its buffers", "loop", slots(16, 0, 1), "buffer 2 does not fit its place"],
];
/** Refused when the container is read. */
const atReading: typeof atBinding = [
  ["narrower elements than a kernel writes", "weigh", both(withBuffer(1, { dtype: "f16" }), output([4], "f16")), "steps[0].buffers[1]: expected a buffer of f32"],
  ["tasks of a dim that is not there", "count", changed({ tasks: missing }), "steps[0].tasks: expected dims of the entry"],
  ["fewer operands than the kernel has", "count", changed({ buffers: [] }), "steps[0].buffers: expected 1 buffers"],
  ["more operands than the kernel has", "count", changed({ buffers: [0, 1] }), "steps[0].buffers: expected 1 buffers"],
  ["a launch that writes a constant", "weigh", instead(launch(5, [0])), "steps[0].buffers[0]: expected a buffer that is no constant"],
  ["a launch that reads and writes a constant", "weigh", instead(launch(2, [0])), "steps[0].buffers[0]: expected a buffer that is no constant"],
  ["a copy into a constant", "weigh", instead({ kind: "copy", from: 1, to: 0 }), "steps[0].to: expected a buffer that is no constant"],
  ["a constant of another type", "weigh", withBuffer(0, { dtype: "i32", shape: [] }), "buffers[0]: expected f32 with 1 axis"],
  ["an input that lies in a constant", "weigh", () => ({ inputs: [{ name: "x", type: tensorType("f32", [4]), buffer: 0 }] }), "inputs[0].buffer: expected a buffer in a slot"],
  ["a loop whose index is too large", "loop", changed({ index: 1 }), "steps[0].index: expected i32 with 0 axes"],
  ["a loop whose index is too small", "loop", changed({ index: 3 }), "steps[0].index: expected i32 with 0 axes"],
  ["a loop that ends by more than a bool", "loop", changed({ until: 1 }), "steps[0].until: expected bool with 0 axes"],
  ["a loop that ends by nothing", "loop", both(withBuffer(3, { shape: [0] }), changed({ body: [] })), "steps[0].until: expected bool with 0 axes"],
  ["an assert of nothing", "count", s => ({ steps: [...s.steps, { kind: "assert", buffer: 2, message: "it must hold", span: null }], buffers: [...s.buffers, { dtype: "bool", shape: [0], place: { kind: "slot", slot: 0 } }] }), "steps[2].buffer: expected bool with 0 axes"],
  ["an output of another dtype than its buffer", "count", output([4], "i32"), "outputs[0].buffer: expected i32 with 1 axis"],
  ["an output whose size is of a dim that is not there", "count", output([floorDivSize(mulSize(4, missing), 4)]), "outputs[0].type.shape: expected dims of the entry"],
  ["a workspace of a dim that is not there", "count", slots(missing), "slots[0]: expected dims of the entry"],
];

const cpu = await sampleCpuModule();
const runtimes: readonly (readonly [string, Module, "wasm" | "cpu"])[] = [["wasm", sampleModule(true), "wasm"], ["cpu", cpu, "cpu"]];

/** What is said of the entry with its schedule changed. */
async function refusal(entry: string, edit: Edit, modules: readonly Module[], target: "wasm" | "cpu"): Promise<string> {
  const schedules = lowering.schedules.map(s => (s.entry === entry ? { ...s, ...edit(s) } : s));
  const program: CompiledProgram = { ...sample, lowerings: [{ ...lowering, schedules }] };
  const container = writeContainer(program, modules);
  const opened = await load(container, { target, threads: 1, trust: true }).catch((error: Error) => error.message);
  if (typeof opened === "string") return opened;
  try {
    const inputs = Object.fromEntries(schedules.find(s => s.entry === entry)!.inputs.map(i => [i.name, new Float32Array(typeof i.type.shape[0] === "number" ? i.type.shape[0] : 4)]));
    return await opened.call(entry, inputs).then(() => "nothing was refused", (error: Error) => error.message);
  } finally {
    await opened.close();
  }
}

describe.each(runtimes)("a schedule that does not fit is refused before anything runs, %s", (_, module, target) => {
  test.each(atBinding)("%s", async (_, entry, edit, message) => {
    expect(await refusal(entry, edit, [module], target)).toBe(`error PLAN001: the schedule of \`${entry}\` is malformed: ${message}\n  hint:     build the program again`);
  });

  test.each(atReading)("%s", async (_, entry, edit, message) => {
    const found = await refusal(entry, edit, [module], target);
    expect(found).toMatch(/^error SLX001: the header cannot be read/);
    expect(found).toContain(message);
  });

  test("as they are, the sample's schedules run", async () => {
    for (const entry of ["count", "weigh", "loop"]) expect(await refusal(entry, () => ({}), [module], target)).toBe("nothing was refused");
  });

  test("a launch whose kernel has less than no local memory", async () => {
    const odd = { ...module, scratch: module.scratch.map(() => -16) };
    expect(await refusal("count", () => ({}), [odd], target)).toMatch(/error PLAN001: the schedule of `(count|counter.init)` is malformed: a size is -16/);
  });
});
