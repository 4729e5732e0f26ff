// Kernels and schedules that nobody vouches for: what could reach beyond its operands is refused before it becomes native code.
import { expect, test } from "vitest";
import { addSize } from "../../compiler/base/sizes.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { verifyLowering } from "../../compiler/container/verify.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import type { Lowering, Step } from "../../compiler/plan/schedule.ts";
import { dim, entry, f32 } from "sluice";

const N = dim("N", { max: 64 });
const lowering = compileProgram(traceProgram({ double: entry({ x: f32(N, 8) }, ({ x }) => ({ y: x.mul(2) })) }, "p"), ["v3"]).lowerings[0]!;
const changed = (change: (s: Step) => Step): Lowering => ({ ...lowering, schedules: lowering.schedules.map(s => ({ ...s, steps: [{ kind: "loop", trips: 1, index: 0, until: null, body: s.steps.map(change) }] })) });

test("what the compiler makes passes", () => {
  expect(() => verifyLowering(lowering)).not.toThrow();
  expect(() => verifyLowering(changed(s => s))).not.toThrow();
});

test("a launch of more tasks than the kernel's grid is refused", () => {
  const more = changed(s => (s.kind === "launch" ? { ...s, tasks: addSize(s.tasks, 1) } : s));
  expect(() => verifyLowering(more)).toThrow(/error SLX001: a launch of `double` has other tasks than its kernel's grid/);
});

test("a kernel with an operand smaller than it reads is refused", () => {
  const kernels = lowering.kernels.map(k => ({ ...k, params: k.params.map(p => ({ ...p, shape: [1, ...p.shape.slice(1)] })) }));
  expect(() => verifyLowering({ ...lowering, kernels })).toThrow(/error SLX001: a kernel may reach beyond its operands/);
});
