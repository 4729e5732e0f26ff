// Compiles a graph for each machine and runs it on interpreted kernels in poisoned memory, and on every target on two threads,
// beside the reference interpreter in float64.
import { expect } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { compileProgram } from "../../compiler/compile.ts";
import type { NdArray } from "../../compiler/graph/field.ts";
import { decodeElements, encodeElements } from "../../compiler/kernel/memory.ts";
import { open } from "../../compiler/open.ts";
import { execute, type ExecuteOptions } from "../../compiler/plan/execute.ts";
import { type CompiledProgram, type Lowered, lowered } from "../../compiler/plan/schedule.ts";
import { countedOn, ranOn } from "./conformance.ts";
import { fromHost, type GraphRun, type Prepared, prepared, programOf, toHost } from "./graph-programs.ts";
import { TARGETS } from "./targets.ts";

/** Largest error of a result, as mean square over the reference's mean square. */
const LIMIT: { readonly [D in DType]?: number } = { f64: 1e-10, f32: 1e-10, f16: 1e-5, bf16: 1e-3 };

export function expectClose(name: string, got: NdArray, wanted: NdArray): void {
  expect([name, got.dtype, got.shape]).toEqual([name, wanted.dtype, wanted.shape]);
  const limit = LIMIT[wanted.dtype];
  if (limit === undefined) {
    expect([name, [...got.data]]).toEqual([name, [...wanted.data]]);
    return;
  }
  let [error, norm] = [0, 0];
  wanted.data.forEach((w, i) => {
    const g = got.data[i]!;
    if (Number.isFinite(w)) {
      error += (g - w) ** 2;
      norm += w * w;
    } else expect([name, i, g]).toEqual([name, i, w]);
  });
  expect(Number.isNaN(error) ? Infinity : error / (norm || 1), `${name}: normalised error`).toBeLessThanOrEqual(limit);
}

/** Refused unless outputs and states agree, in poisoned memory. */
export function expectExecuted(name: string, program: Lowered<CompiledProgram>, { dims, given, held, outputs, states }: Prepared, launch?: ExecuteOptions["launch"]): void {
  const memory = new Map(Object.entries(held).map(([state, v]) => [state, encodeElements(v.dtype, v.data)]));
  const got = execute(program, program.schedules[0]!, { inputs: given, states: memory, dims, ...(launch && { launch }) });
  for (const [output, value] of Object.entries(outputs)) expectClose(`${name} ${output}`, got[output]!, value);
  for (const [state, value] of Object.entries(states)) expectClose(`${name} state ${state}`, { ...value, data: decodeElements(value.dtype, memory.get(state)!, value.data.length) }, value);
}

/** Refused unless outputs and states agree with the reference interpreter. */
export async function expectCompiled(run: GraphRun): Promise<void> {
  const { graph } = run;
  const program = programOf(graph);
  const wanted = prepared(run);
  const { dims, given, held } = wanted;
  const compiled = compileProgram(program, ["simd128", "v3", "v4"]);
  compiled.lowerings.forEach(({ machine }, i) => expectExecuted(machine, lowered(compiled, i), wanted));

  ranOn("interpret");
  for (const target of TARGETS) {
    const opened = await open(program, { ...countedOn(target), print: () => {} });
    try {
      for (const [name, v] of Object.entries(held)) await opened.state.set(name, toHost(v));
      const outputs = await opened.call(graph.name, Object.fromEntries(Object.entries(given).map(([name, v]) => [name, toHost(v)])), dims);
      for (const [name, value] of Object.entries(wanted.outputs)) expectClose(`${target.name} ${name}`, fromHost(outputs[name]!), value);
      for (const [name, value] of Object.entries(wanted.states)) expectClose(`${target.name} state ${name}`, fromHost(await opened.state.get(name)), value);
    } finally {
      await opened.close();
    }
  }
}
