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
const offset = (at: number, place: Size): Edit => withBuffer(at, { place: { kind: "arena", offset: place } });
const firstStep = (change: (step: Step) => Step): Edit => s => ({ steps: [change(s.steps[0]!), ...s.steps.slice(1)] });
const changed = (change: { readonly [key: string]: unknown }): Edit => firstStep(step => ({ ...step, ...change }) as Step);
const instead = (step: Step): Edit => firstStep(() => step);
const output = (shape: readonly Size[], dtype: DType = "f32"): Edit => s => ({ outputs: s.outputs.map(o => ({ ...o, type: tensorType(dtype, shape) })) });
const both = (a: Edit, b: Edit): Edit => s => ({ ...a(s), ...b({ ...s, ...a(s) }) });
const launch = (kernel: number, buffers: readonly number[]): Step => ({ kind: "launch", kernel, buffers, tasks: 1 });

const table: readonly (readonly [what: string, entry: string, edit: Edit, message: string])[] = [
  ["a place past the end of the workspace", "count", offset(1, 8192), "buffer 1 does not fit its place"],
  ["a place that begins in the workspace and ends past it", "count", offset(1, 4096 - 8), "buffer 1 does not fit its place"],
  ["a place before the workspace", "count", offset(1, -64), "a size is -64"],
  ["a place that is not aligned for vectors", "count", offset(1, 4), "buffer 1 does not fit its place"],
  ["a place that no number reaches", "count", offset(1, 2 ** 53 - 64), "buffer 1 does not fit its place"],
  ["a place whose offset is too large on the way", "double", offset(1, mulSize(2 ** 52, N)), "a size has no value"],
  ["a product of extents that no number holds", "count", withBuffer(1, { shape: [94906265, 94906265, 9] }), "buffer 1 does not fit its place"],
  ["more elements than a state has", "count", withBuffer(0, { shape: [5] }), "buffer 0 does not fit its place"],
  ["more elements than a constant has", "weigh", withBuffer(0, { shape: [17] }), "buffer 0 does not fit its place"],
  ["fewer elements than a kernel writes", "weigh", both(withBuffer(1, { shape: [1] }), output([1])), "buffer 1 is smaller than double four takes it to be"],
  ["fewer elements than a kernel reads", "weigh", withBuffer(0, { shape: [3] }), "buffer 0 is smaller than double four takes it to be"],
  ["narrower elements than a kernel writes", "weigh", both(withBuffer(1, { dtype: "f16" }), output([4], "f16")), "buffer 1 is smaller than double four takes it to be"],
  ["tasks of a dim that is not there", "count", changed({ tasks: missing }), "a size has no value"],
  ["fewer tasks than none", "count", changed({ tasks: -1 }), "a size is -1"],
  ["fewer operands than the kernel has", "count", changed({ buffers: [] }), "a launch does not fit kernel 2"],
  ["more operands than the kernel has", "count", changed({ buffers: [0, 1] }), "a launch does not fit kernel 2"],
  ["a launch that writes a constant", "weigh", instead(launch(5, [0])), "a step writes a constant"],
  ["a launch that reads and writes a constant", "weigh", instead(launch(2, [0])), "a step writes a constant"],
  ["a copy into a constant", "weigh", instead({ kind: "copy", from: 1, to: 0 }), "a step writes a constant"],
  ["a loop that counts in a constant", "weigh", both(withBuffer(0, { dtype: "i32", shape: [] }), instead({ kind: "loop", trips: 1, index: 0, until: null, body: [] })), "a step writes a constant"],
  ["an input that lies in a constant", "weigh", () => ({ inputs: [{ name: "x", type: tensorType("f32", [4]), buffer: 0 }] }), "a step writes a constant"],
  ["a copy between different sizes", "count", both(withBuffer(1, { shape: [2] }), output([2])), "a copy is between buffers of different sizes"],
  ["a copy onto itself, in part", "loop", both(both(both(withBuffer(1, { shape: [40] }), withBuffer(2, { dtype: "f32", shape: [40] })), output([40])), instead({ kind: "copy", from: 1, to: 2 })), "a copy is between buffers that overlap"],
  ["a loop whose index is too large", "loop", changed({ index: 1 }), "a loop's index is no i32"],
  ["a loop whose index is too small", "loop", changed({ index: 3 }), "a loop's index is no i32"],
  ["a loop that ends by more than a bool", "loop", changed({ until: 1 }), "a loop's end is no bool"],
  ["a loop that ends by nothing", "loop", both(withBuffer(3, { shape: [0] }), changed({ body: [] })), "a loop's end is no bool"],
  ["more trips than an index counts", "loop", changed({ trips: 2 ** 31 }), `a loop has ${2 ** 31} trips`],
  ["fewer trips than none", "loop", changed({ trips: -3 }), "a size is -3"],
  ["a fault in the body of a loop", "loop", changed({ body: [launch(4, [2, 1]), launch(2, [3])] }), "buffer 3 is smaller than increment takes it to be"],
  ["an assert of nothing", "count", s => ({ steps: [...s.steps, { kind: "assert", buffer: 2, message: "it must hold", span: null }], buffers: [...s.buffers, { dtype: "bool", shape: [0], place: { kind: "arena", offset: 64 } }] }), "an assert has no value"],
  ["an output of another shape than its buffer", "count", output([400]), "`value` has another type than its buffer"],
  ["an output of another dtype than its buffer", "count", output([4], "i32"), "`value` has another type than its buffer"],
  ["an output whose size divides by zero", "count", output([floorDivSize(mulSize(4, missing), 4)]), "a size has no value"],
  ["an input of another shape than its buffer", "count", () => ({ inputs: [{ name: "x", type: tensorType("f32", [100_000]), buffer: 1 }] }), "`x` has another type than its buffer"],
  ["a workspace without a size", "count", () => ({ arena: missing }), "its workspace has no size"],
  ["a workspace that is smaller than nothing", "count", () => ({ arena: -64 }), "its workspace has no size"],
  ["a workspace that is smaller than its buffers", "loop", () => ({ arena: 64 }), "buffer 2 does not fit its place"],
];

const cpu = await sampleCpuModule();
const runtimes: readonly (readonly [string, Module, "wasm" | "cpu"])[] = [["wasm", sampleModule(true), "wasm"], ["cpu", cpu, "cpu"]];

/** What is said of the entry with its schedule changed. */
async function refusal(entry: string, edit: Edit, modules: readonly Module[], target: "wasm" | "cpu"): Promise<string> {
  const schedules = lowering.schedules.map(s => (s.entry === entry ? { ...s, ...edit(s) } : s));
  const program: CompiledProgram = { ...sample, lowerings: [{ ...lowering, schedules }] };
  const opened = await load(writeContainer(program, modules), { target, threads: 1, trust: true });
  try {
    const inputs = Object.fromEntries(schedules.find(s => s.entry === entry)!.inputs.map(i => [i.name, new Float32Array(typeof i.type.shape[0] === "number" ? i.type.shape[0] : 4)]));
    return await opened.call(entry, inputs).then(() => "nothing was refused", (error: Error) => error.message);
  } finally {
    await opened.close();
  }
}

describe.each(runtimes)("a schedule that does not fit is refused before anything runs, %s", (_, module, target) => {
  test.each(table)("%s", async (_, entry, edit, message) => {
    expect(await refusal(entry, edit, [module], target)).toBe(`error PLAN001: the schedule of \`${entry}\` is malformed: ${message}\n  hint:     build the program again`);
  });

  test("as they are, the sample's schedules run", async () => {
    for (const entry of ["count", "weigh", "loop"]) expect(await refusal(entry, () => ({}), [module], target)).toBe("nothing was refused");
  });

  test("a launch whose kernel has less than no local memory", async () => {
    const odd = { ...module, scratch: module.scratch.map(() => -16) };
    expect(await refusal("count", () => ({}), [odd], target)).toMatch(/error PLAN001: the schedule of `(count|counter.init)` is malformed: a size is -16/);
  });
});
