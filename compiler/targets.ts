// What a program is compiled for. A target is one row here: the machine profile that its kernels are made for, and the code
// that they become. Several targets of one program share what they can: constants, and the lowering of a profile.
import type { CpuCode, Module } from "../runtime/program.ts";
import { SluiceError } from "./base/diagnostics.ts";
import { type CpuTarget, parseCpuTarget } from "./emit/cpu/level.ts";
import type { WasmVariant } from "./emit/wasm/instructions.ts";
import type { Program } from "./graph/graph.ts";
import type { MachineName } from "./kernel/machines.ts";
import type { CompiledProgram, Lowering } from "./plan/schedule.ts";

export type Target =
  /** A module for each kind of engine. */
  | { readonly kind: "wasm"; readonly variants: readonly WasmVariant[] }
  | { readonly kind: "cpu"; readonly cpu: CpuTarget };

/** As it is written: `wasm`, `cpu` (this machine's level), or levels with features, `cpu:v3,v4+vnni`. */
export type TargetText = "wasm" | "cpu" | `cpu:${string}`;

export const EVERY_ENGINE: readonly WasmVariant[] = [true, false].flatMap(shared => [true, false].map(relaxed => ({ relaxed, shared })));

export const noTarget = (text: string): SluiceError => new SluiceError({ code: "TARGET001", message: `there is no target ${text}`, found: text, expected: "wasm, or cpu with levels if not this machine's, as cpu:v3,v4+vnni" });

/** What `open` and `run` take. Throws SluiceError. */
export function runnable(text: string): TargetText | "interpret" {
  if (text === "interpret" || text === "wasm" || text === "cpu" || text.startsWith("cpu:")) return text as TargetText;
  throw noTarget(text);
}

/** Reads targets separated by commas; a level alone belongs to the `cpu:` before it. Throws SluiceError. */
export function parseTargets(text: string): Target[] {
  let prefix = "";
  return text.split(",").map((part): Target => {
    if (part === "wasm") return { kind: "wasm", variants: EVERY_ENGINE };
    if (part.startsWith("cpu")) prefix = "cpu:";
    else if (prefix === "") throw noTarget(text);
    return { kind: "cpu", cpu: parseCpuTarget(part.startsWith("cpu") ? part : `${prefix}${part}`) };
  });
}

export interface CompileOptions {
  /** The C compiler of cpu targets; the first that is found, if left out. */
  readonly cc?: string;
  /** The folder where compiled kernels are kept; one in the user's home, if left out. */
  readonly cache?: string;
}

const machineOf = (target: Target): MachineName => (target.kind === "wasm" ? "simd128" : target.cpu.level);
/** Runtimes take the first module that they can run: the highest level goes first. */
const rank = (target: Target): number => (target.kind === "wasm" ? 0 : (target.cpu.level === "v4" ? 10 : 5) + target.cpu.features.length);

/** The program with code for every target. Throws SluiceError where it cannot be planned, or a compiler is missing. */
export async function compileFor(program: Program, targets: readonly Target[], options: CompileOptions = {}): Promise<{ readonly program: CompiledProgram; readonly modules: readonly Module[] }> {
  // Loaded here, since what comes from the cache needs none of it.
  const { compileProgram } = await import("./compile.ts");
  const ordered = [...targets].sort((a, b) => rank(b) - rank(a));
  const compiled = compileProgram(program, [...new Set(ordered.map(machineOf))]);
  const modules: Module[] = [];
  for (const target of ordered) {
    const lowering = compiled.lowerings.findIndex(l => l.machine === machineOf(target));
    modules.push(...(await codeOf(target, compiled.lowerings[lowering]!, options)).map((code): Module => ({ ...code, lowering })));
  }
  return { program: compiled, modules };
}

async function codeOf(target: Target, { kernels }: Lowering, options: CompileOptions) {
  switch (target.kind) {
    case "wasm": {
      const { emitWasm } = await import("./emit/wasm/module.ts");
      return emitWasm(kernels, target.variants).map(code => ({ kind: "wasm" as const, ...code }));
    }
    case "cpu": return [{ kind: "cpu" as const, ...(await cpuCode(kernels, target.cpu, options)) }];
  }
}

export async function cpuCode(kernels: Lowering["kernels"], cpu: CpuTarget, options: CompileOptions): Promise<CpuCode> {
  const { compileCpu } = await import("./emit/cpu/compile.ts");
  return compileCpu(kernels, { ...cpu, ...options });
}
