// What a program is compiled for. A target is one row here: the machine profile that its kernels are made for, and the code
// that they become. Several targets of one program share what they can: constants, and the lowering of a profile.
import type { NativeTarget } from "../runtime/native/backend.ts";
import { cudaDevices } from "../runtime/native/devices.ts";
import type { Module } from "../runtime/program.ts";
import { SluiceError } from "./base/diagnostics.ts";
import { type CpuTarget, parseCpuTarget } from "./emit/cpu/level.ts";
import type { WasmVariant } from "./emit/wasm/instructions.ts";
import type { LoweringOptions } from "./compile.ts";
import type { Program } from "./graph/graph.ts";
import type { Kernel } from "./kernel/ir.ts";
import type { MachineName } from "./kernel/machines.ts";
import type { CompiledProgram } from "./plan/schedule.ts";

export type Target =
  /** A module for each kind of engine. */
  | { readonly kind: "wasm"; readonly variants: readonly WasmVariant[] }
  | { readonly kind: "cpu"; readonly cpu: CpuTarget }
  | { readonly kind: "vulkan" }
  /** One module for all of them. */
  | { readonly kind: "cuda"; readonly architectures: readonly string[] };

/**
 * As it is written: `wasm`, `cpu` (this machine's level), or levels with features, `cpu:v3,v4+vnni`; `vulkan`, or with the number
 * or a part of the name of a device; `cuda` (for this machine's GPUs), with a device likewise, or with architectures, `cuda:sm_80,sm_90`.
 */
export type TargetText = "wasm" | "cpu" | `cpu:${string}` | "vulkan" | `vulkan:${string}` | "cuda" | `cuda:${string}`;

/** The reference interpreter: in float64, or with every op's result rounded to its dtype. */
export type InterpretText = "interpret" | "interpret:f32";
export const isInterpreted = (target: TargetText | InterpretText): target is InterpretText => target === "interpret" || target === "interpret:f32";

export const EVERY_ENGINE: readonly WasmVariant[] = [true, false].flatMap(shared => [true, false].map(relaxed => ({ relaxed, shared })));

export const noTarget = (text: string): SluiceError => new SluiceError({ code: "TARGET001", message: `there is no target ${text}`, found: text, expected: "wasm; cpu, with levels if not this machine's, as cpu:v3,v4+vnni; vulkan; cuda, with architectures if not this machine's, as cuda:sm_80,sm_90" });

/** What `open` and `run` take. Throws SluiceError. */
export function runnable(text: string): TargetText | InterpretText {
  if (/^(interpret(:f32)?|wasm|(cpu|vulkan|cuda)(:.+)?)$/.test(text)) return text as TargetText;
  throw noTarget(text);
}

const ARCHITECTURE = /^sm_\d+[af]?$/;
const isForArchitectures = (target: TargetText): boolean => target.startsWith("cuda:") && target.slice("cuda:".length).split(",").every(a => ARCHITECTURE.test(a));

/** What is compiled for a target that `runnable` takes: on which of its devices it will run, no code depends. */
export const compiledAs = (target: TargetText): string => (isForArchitectures(target) ? target : /^(vulkan|cuda):/.exec(target)?.[1] ?? target);
/** What of the native runtime runs it. */
export const runBy = (target: TargetText): NativeTarget => (isForArchitectures(target) ? "cuda" : /^(vulkan|cuda)/.test(target) ? (target as NativeTarget) : "cpu");

/** Reads targets separated by commas; a level or an architecture alone belongs to the `cpu:` or `cuda:` before it. Throws SluiceError. */
export function parseTargets(text: string): Target[] {
  let prefix = "";
  const targets: Target[] = [];
  const architectures = new Set<string>();
  for (const part of text.split(",")) {
    const [kind = ""] = part.split(":");
    if (part === "wasm") targets.push({ kind: "wasm", variants: EVERY_ENGINE });
    else if (part === "vulkan") targets.push({ kind: "vulkan" });
    else if (part === "cuda") for (const a of ownArchitectures()) architectures.add(a);
    else {
      if (kind === "cpu" || kind === "cuda") prefix = kind;
      const rest = part.slice(part.indexOf(":") + 1);
      if (prefix === "cuda" && ARCHITECTURE.test(rest)) architectures.add(rest);
      else if (prefix === "cpu") targets.push({ kind: "cpu", cpu: parseCpuTarget(kind === "cpu" ? part : `cpu:${part}`) });
      else throw noTarget(text);
    }
  }
  if (architectures.size > 0) targets.push({ kind: "cuda", architectures: [...architectures].sort() });
  return targets;
}

/** Of this machine's GPUs. Throws SluiceError where there is none. */
function ownArchitectures(): string[] {
  const hint = "without a GPU, name what it is for: --target cuda:sm_90";
  try {
    const architectures = cudaDevices({ isTested: false }).map(d => d.architecture);
    if (architectures.length > 0) return architectures;
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    throw new SluiceError({ ...error.diagnostic, hint: error.diagnostic.hint === undefined ? hint : `${error.diagnostic.hint}; ${hint}` });
  }
  throw new SluiceError({ code: "GPU001", message: "there is no CUDA device here", hint });
}

export interface CompileOptions extends LoweringOptions {
  /** The C compiler of cpu targets; the first that is found, if left out. */
  readonly cc?: string;
  /** NVIDIA's compiler, of cuda targets; the one of the path or of the toolkit, if left out. */
  readonly nvcc?: string;
  /** The folder where compiled kernels are kept; one in the user's home, if left out. */
  readonly cache?: string;
}

export function machineOf(target: Target): MachineName {
  switch (target.kind) {
    case "wasm": return "simd128";
    case "cpu": return target.cpu.level;
    case "vulkan": case "cuda": return "gpu";
  }
}
/** Runtimes take the first module that they can run: the highest level goes first. */
const rank = (target: Target): number => (target.kind !== "cpu" ? 0 : (target.cpu.level === "v4" ? 10 : 5) + target.cpu.features.length);

/** The program with code for every target. Throws SluiceError where it cannot be planned, or a compiler is missing. */
export async function compileFor(program: Program, targets: readonly Target[], options: CompileOptions = {}): Promise<{ readonly program: CompiledProgram; readonly modules: readonly Module[] }> {
  // Loaded here, since what comes from the cache needs none of it.
  const { compileProgram } = await import("./compile.ts");
  const ordered = [...targets].sort((a, b) => rank(b) - rank(a));
  const compiled = compileProgram(program, [...new Set(ordered.map(machineOf))], options);
  const modules: Module[] = [];
  for (const target of ordered) {
    const lowering = compiled.lowerings.findIndex(l => l.machine === machineOf(target));
    modules.push(...(await modulesOf(target, compiled.lowerings[lowering]!.kernels, lowering, options)));
  }
  return { program: compiled, modules };
}

/** The kernels of a lowering, which has this number, as code for the target. */
export async function modulesOf(target: Target, kernels: readonly Kernel[], lowering: number, options: CompileOptions): Promise<Module[]> {
  switch (target.kind) {
    case "wasm": {
      const { emitWasm } = await import("./emit/wasm/module.ts");
      return emitWasm(kernels, target.variants).map(code => ({ kind: "wasm", lowering, ...code }));
    }
    case "cpu": {
      const { compileCpu } = await import("./emit/cpu/compile.ts");
      return [{ kind: "cpu", lowering, ...(await compileCpu(kernels, { ...target.cpu, ...options })) }];
    }
    case "vulkan": {
      const { emitVulkan } = await import("./emit/vulkan/module.ts");
      return [{ kind: "vulkan", lowering, ...emitVulkan(kernels) }];
    }
    case "cuda": {
      const { cudaImage } = await import("./emit/cuda/module.ts");
      const { architectures } = target;
      return [{ kind: "cuda", lowering, ...(await cudaImage(kernels, { architectures, nvcc: options.nvcc, cache: options.cache })) }];
    }
  }
}
