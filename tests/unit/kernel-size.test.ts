// No kernel becomes so large that a compiler of C, SPIR-V or WebAssembly needs minutes for it: what is written down for one
// kernel is bounded, whatever the graph. Expressions are counted, since time depends on the machine.
import { describe, expect, test } from "vitest";
import { compileProgram } from "../../compiler/compile.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { MACHINES, type MachineName } from "../../compiler/kernel/machines.ts";
import { WIDE } from "../support/wide-programs.ts";

const MOST = 12_000;

/** Expressions and statements of a kernel, of which each has a kind. */
function sizeOf(part: unknown): number {
  if (Array.isArray(part)) return part.reduce<number>((n, x) => n + sizeOf(x), 0);
  if (typeof part !== "object" || part === null) return 0;
  return ("kind" in part ? 1 : 0) + Object.values(part).reduce<number>((n, x) => n + sizeOf(x), 0);
}

describe.each(Object.keys(MACHINES) as MachineName[])("for %s", machine => {
  test.each(Object.keys(WIDE) as (keyof typeof WIDE)[])("%s", name => {
    const { kernels } = compileProgram(traceProgram({ [name]: WIDE[name] }, "wide"), [machine]).lowerings[0]!;
    expect(Math.max(...kernels.map(k => sizeOf(k.body)))).toBeLessThan(MOST);
  });
});

test("what fits one kernel is one", () => {
  const kernelsOf = (name: keyof typeof WIDE): number => compileProgram(traceProgram({ [name]: WIDE[name] }, "wide"), ["gpu"]).lowerings[0]!.kernels.length;
  expect(kernelsOf("meshed")).toBe(1);
  expect(kernelsOf("wideOutputs")).toBe(1);
});
