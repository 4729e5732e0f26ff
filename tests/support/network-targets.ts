// The targets that random networks run on: those of the conformance suite, native code for each level of processors, and with
// WebAssembly, where nothing else is slow, kernels for every machine.
import { parseCpuTarget, runsHere } from "../../compiler/emit/cpu/level.ts";
import type { NetworkTarget } from "../../compiler/testing/index.ts";
import { TEST_CACHE } from "./native-kernels.ts";
import { TARGETS } from "./targets.ts";

export interface NetworkTargetRow extends NetworkTarget {
  readonly name: string;
  /** Why it does not run here; undefined where it does. */
  readonly missing?: string;
}

const level = (name: "cpu:v3" | "cpu:v4"): NetworkTargetRow =>
  ({ name, options: { target: name, threads: 2, cache: TEST_CACHE }, ...(runsHere(parseCpuTarget(name)) ? {} : { missing: `this processor runs no code for ${name}` }) });

export const NETWORK_TARGETS: readonly NetworkTargetRow[] = [
  ...TARGETS.filter(t => t.name === "wasm").map(t => ({ ...t, machines: ["v3", "v4", "gpu"] as const })),
  level("cpu:v3"), level("cpu:v4"), ...TARGETS.filter(t => t.name !== "wasm" && t.name !== "cpu"),
];
