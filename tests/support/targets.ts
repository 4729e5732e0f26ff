// The targets that the conformance suite runs on, in one table, and a random graph on one of them beside the reference.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { float64 } from "../../compiler/graph/field.ts";
import { open, type OpenOptions } from "../../compiler/open.ts";
import type { GraphCase } from "../../compiler/testing/graphs.ts";
import { differenceFromReference } from "../../compiler/testing/meaning.ts";
import { drawValues } from "../../compiler/testing/values.ts";
import { cudaShim } from "./cuda-shim.ts";
import { fromHost, programOf, toHost } from "./graph-programs.ts";
import { TEST_CACHE } from "./native-kernels.ts";

export interface TargetRow {
  readonly name: string;
  readonly options: OpenOptions;
  /** Every access to memory is watched: a few multiplications a microsecond. */
  readonly isWatched?: boolean;
}
/** All compiled targets. One that cannot run here fails; none is skipped. */
export const TARGETS: readonly TargetRow[] = [
  { name: "wasm", options: { target: "wasm", threads: 2 } },
  { name: "cpu", options: { target: "cpu", threads: 2, cache: TEST_CACHE } },
  { name: "vulkan", options: { target: "vulkan", validate: true } },
  // Through the whole of the compiler and the runtime, on a driver for tests.
  { name: "cuda-shim", options: { target: "cuda", nvcc: cudaShim(), cache: TEST_CACHE }, isWatched: true },
];

/** What differs on a target from the reference interpreter, or why it fails; null if nothing; undefined if the graph is refused by name. */
export async function differenceOn({ options }: TargetRow, c: GraphCase): Promise<string | null | undefined> {
  const { graph, dims, seed } = c;
  const values = drawValues(graph, dims, seed, float64);
  const bound = (binding: "instance" | "call") => Object.fromEntries(graph.dims.filter(d => d.binding === binding).map(d => [d.name, dims[d.name]!]));
  try {
    const opened = await open(programOf(graph), { ...options, dims: bound("instance"), print: () => {} });
    try {
      for (const [name, v] of Object.entries(values.states)) await opened.state.set(name, toHost(v));
      const outputs = await opened.call(graph.name, Object.fromEntries(Object.entries(values.inputs).map(([name, v]) => [name, toHost(v)])), bound("call"));
      const results = Object.entries(outputs).map(([name, t]) => [`output ${name}`, fromHost(t)] as const);
      const states = await Promise.all(graph.updates.map(async ({ name }) => [`update of ${name}`, fromHost(await opened.state.get(name))] as const));
      return differenceFromReference(c, values, new Map([...results, ...states]));
    } finally {
      await opened.close();
    }
  } catch (error) {
    // A state whose update cannot be done in place.
    if (error instanceof SluiceError && error.diagnostic.code === "STATE201") return undefined;
    return error instanceof Error ? error.message : String(error);
  }
}
