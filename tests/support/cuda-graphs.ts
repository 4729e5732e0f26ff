// Graphs on CUDA without a GPU: the kernels of all of them are compiled together, as CUDA C++ that the host shim runs, and their
// schedules executed in poisoned memory.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { float64 } from "../../compiler/graph/field.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { decodeElements, encodeElements } from "../../compiler/kernel/memory.ts";
import { execute, type ExecuteOptions } from "../../compiler/plan/execute.ts";
import { type CompiledProgram, type Lowered, lowered } from "../../compiler/plan/schedule.ts";
import type { GraphCase } from "../../compiler/testing/graphs.ts";
import { differenceFromReference } from "../../compiler/testing/meaning.ts";
import { drawValues } from "../../compiler/testing/values.ts";
import { expectExecuted, type GraphRun, prepared } from "./compiled.ts";
import { ranOn } from "./conformance.ts";
import { cudaRunner } from "./cuda-kernels.ts";
import { programOf } from "./targets.ts";

interface OnCuda {
  readonly program: Lowered<CompiledProgram>;
  readonly launch: ExecuteOptions["launch"];
}

/** Undefined for a graph that is refused by name. */
async function compiledTogether(graphs: readonly Graph[]): Promise<(OnCuda | undefined)[]> {
  const programs = graphs.map(graph => {
    try {
      return lowered(compileProgram(programOf(graph), ["gpu"]), 0);
    } catch (error) {
      // A state whose update cannot be done in place.
      if (error instanceof SluiceError && error.diagnostic.code === "STATE201") return undefined;
      throw error;
    }
  });
  const run = await cudaRunner(programs.flatMap(p => p?.kernels ?? []));
  let next = 0;
  return programs.map(program => {
    if (!program) return undefined;
    const first = next;
    next += program.kernels.length;
    return { program, launch: (kernel, buffers, dims) => run(first + kernel, buffers, dims) };
  });
}

/** Refused unless each graph's outputs and states agree with the reference interpreter. */
export async function expectOnCuda(runs: readonly GraphRun[]): Promise<void> {
  ranOn("cuda, host shim", runs.length);
  (await compiledTogether(runs.map(r => r.graph))).forEach((on, i) => expectExecuted(`cuda, graph ${i}`, on!.program, prepared(runs[i]!), on!.launch));
}

/** What differs from the reference interpreter, case by case; null if nothing; undefined if the graph is refused by name. */
export async function differencesOnCuda(cases: readonly GraphCase[]): Promise<(string | null | undefined)[]> {
  const compiled = await compiledTogether(cases.map(c => c.graph));
  return compiled.map((on, i) => {
    const c = cases[i]!;
    if (!on) return undefined;
    const values = drawValues(c.graph, c.dims, c.seed, float64);
    const states = new Map(Object.entries(values.states).map(([name, v]) => [name, encodeElements(v.dtype, v.data)]));
    const outputs = execute(on.program, on.program.schedules[0]!, { inputs: values.inputs, states, dims: c.dims, launch: on.launch });
    const updates = c.graph.updates.map(({ name }) => {
      const { dtype, shape, data } = values.states[name]!;
      return [`update of ${name}`, { dtype, shape, data: decodeElements(dtype, states.get(name)!, data.length) }] as const;
    });
    return differenceFromReference(c, values, new Map([...Object.entries(outputs).map(([name, v]) => [`output ${name}`, v] as const), ...updates]));
  });
}
