// From a program's module to something that runs: trace, compile, emit for an engine, load. A program imports this with its
// words, so runtimes are loaded when one is wanted.
import type { LoadOptions } from "../runtime/index.ts";
import type { Program } from "../runtime/load.ts";
import { threadCount } from "../runtime/threads.ts";
import { SluiceError } from "./base/diagnostics.ts";
import { containerOf } from "./build.ts";
import { traceProgram } from "./dsl/program.ts";
import type { Program as TracedProgram } from "./graph/graph.ts";
import type { OpenedProgram } from "./opened.ts";
import { compileFor, compiledAs, type CompileOptions, type InterpretText, isInterpreted, runBy, type TargetText } from "./targets.ts";

export interface OpenOptions extends Omit<LoadOptions, "target" | "trust">, CompileOptions {
  /** wasm is the default. cpu: native code for this machine, or for a level below it. vulkan, cuda: the GPUs that are here. interpret: the reference interpreter in float64, for tests and for comparison; interpret:f32 rounds the result of each op to its dtype, as targets do. */
  readonly target?: TargetText | InterpretText;
  /** For messages and traces. */
  readonly name?: string;
}

/** The exports of a program's module, or a program that was traced before. */
export type Openable = TracedProgram | { readonly [name: string]: unknown };

const isTraced = (p: Openable): p is TracedProgram => Array.isArray(p["entries"]) && Array.isArray(p["procedures"]) && typeof p["name"] === "string";
const traced = (source: Openable, name: string): TracedProgram => (isTraced(source) ? source : traceProgram(source, name));

/** A program to call: `const p = await open(await import("./model.ts"))`, then `await p.call("entry", { x })`. */
export function open(source: TracedProgram, options?: OpenOptions): Promise<Program>;
export function open<P extends { readonly [name: string]: unknown }>(source: P, options?: OpenOptions): Promise<OpenedProgram<P>>;
export function open(source: Openable, options?: OpenOptions): Promise<Program>;
export async function open(source: Openable, options: OpenOptions = {}): Promise<Program> {
  const { target = "wasm", name = "program", cc, nvcc, cache, fusion, ...rest } = options;
  const { usableThreads } = await import("../runtime/cgroup.ts");
  const threads = threadCount(options.threads, usableThreads);
  const program = traced(source, name);
  if (isInterpreted(target)) return interpreted(program, target === "interpret" ? "float64" : "f32", rest);
  const { load } = await import("../runtime/index.ts");
  if (target !== "wasm") return load(await containerOf(program, compiledAs(target), { cc, nvcc, cache, fusion }), { ...rest, target: runBy(target), trust: true });
  const { engineFeatures } = await import("../runtime/wasm/features.ts");
  const features = engineFeatures();
  if (!features.simd) throw new SluiceError({ code: "WASM001", message: "this engine cannot run WebAssembly SIMD", hint: "use target: \"interpret\"" });
  return load(await compileFor(program, [{ kind: "wasm", variants: [{ relaxed: features.relaxedSimd, shared: features.threads && threads > 1 }] }], { fusion }), rest);
}

async function interpreted(program: TracedProgram, field: "float64" | "f32", options: LoadOptions): Promise<Program> {
  if (options.trace) throw new SluiceError({ code: "RECORD002", message: "the reference interpreter launches no kernels and records no trace", found: "interpret", expected: "wasm or cpu" });
  const { infoOfProgram, startInterpreter } = await import("../runtime/interpret/backend.ts");
  const { effectsOver } = await import("../runtime/io/effects.ts");
  const { nodeFiles } = await import("../runtime/io/node-files.ts");
  const { instanceDims, Program, requireVulkan } = await import("../runtime/load.ts");
  if (options.validate) requireVulkan("interpret");
  const info = infoOfProgram(program);
  const dims = instanceDims(info, options.dims ?? {});
  const backend = startInterpreter({ program, dims, field, checkNan: options.check === "nan", perform: effectsOver(nodeFiles), print: options.print ?? (text => process.stdout.write(`${text}\n`)) });
  const opened = new Program(info, backend, dims);
  if (options.seed !== undefined) await opened.seed(options.seed);
  return opened;
}

export interface BuildOptions extends CompileOptions {
  /** Separated by commas; wasm by default, which runs on every kind of engine with SIMD. */
  readonly target?: string;
  readonly name?: string;
}

/** The program's container, with code for every target. */
export const build = async (source: Openable, { target = "wasm", name = "program", ...options }: BuildOptions = {}): Promise<Uint8Array> => containerOf(traced(source, name), target, options);
