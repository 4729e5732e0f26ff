// From a program's module to something that runs: trace, compile, emit for an engine, load.
import { availableParallelism } from "node:os";
import { load, type LoadOptions } from "../runtime/index.ts";
import { effectsOver } from "../runtime/io/effects.ts";
import { nodeFiles } from "../runtime/io/node-files.ts";
import { infoOfProgram, startInterpreter } from "../runtime/interpret/backend.ts";
import { instanceDims, Program } from "../runtime/load.ts";
import type { WasmCode, WasmModule } from "../runtime/program.ts";
import { engineFeatures } from "../runtime/wasm/features.ts";
import { SluiceError } from "./base/diagnostics.ts";
import { compileProgram } from "./compile.ts";
import { writeContainer } from "./container/write.ts";
import { traceProgram } from "./dsl/program.ts";
import type { Program as TracedProgram } from "./graph/graph.ts";
import type { OpenedProgram } from "./opened.ts";

export interface OpenOptions extends LoadOptions {
  /** wasm: compiled, the default. interpret: the reference interpreter in float64, for tests and for comparison. */
  readonly target?: "wasm" | "interpret";
  /** For messages and traces. */
  readonly name?: string;
}

/** The exports of a program's module, or a program that was traced before. */
export type Openable = TracedProgram | { readonly [name: string]: unknown };

const isTraced = (p: Openable): p is TracedProgram => Array.isArray(p["entries"]) && Array.isArray(p["procedures"]) && typeof p["name"] === "string";
const traced = (source: Openable, name: string): TracedProgram => (isTraced(source) ? source : traceProgram(source, name));

/** Of the only lowering. */
const asModules = (code: readonly WasmCode[]): WasmModule[] => code.map(c => ({ kind: "wasm", lowering: 0, ...c }));

/** A program to call: `const p = await open(await import("./model.ts"))`, then `await p.call("entry", { x })`. */
export function open(source: TracedProgram, options?: OpenOptions): Promise<Program>;
export function open<P extends { readonly [name: string]: unknown }>(source: P, options?: OpenOptions): Promise<OpenedProgram<P>>;
export function open(source: Openable, options?: OpenOptions): Promise<Program>;
export async function open(source: Openable, options: OpenOptions = {}): Promise<Program> {
  const { target = "wasm", name = "program", ...rest } = options;
  const program = traced(source, name);
  if (target === "interpret") return interpreted(program, rest);
  const compiled = compileProgram(program, ["simd128"]);
  const features = engineFeatures();
  if (!features.simd) throw new SluiceError({ code: "WASM001", message: "this engine cannot run WebAssembly SIMD", hint: "use target: \"interpret\"" });
  const { emitWasm } = await import("./emit/wasm/module.ts");
  const threads = options.threads ?? availableParallelism();
  const code = await emitWasm(compiled.lowerings[0]!.kernels, [{ relaxed: features.relaxedSimd, shared: features.threads && threads > 1 }]);
  return load({ program: compiled, modules: asModules(code) }, rest);
}

async function interpreted(program: TracedProgram, options: LoadOptions): Promise<Program> {
  const info = infoOfProgram(program);
  const dims = instanceDims(info, options.dims ?? {});
  const backend = startInterpreter({ program, dims, checkNan: options.check === "nan", perform: effectsOver(nodeFiles), print: options.print ?? (text => process.stdout.write(`${text}\n`)) });
  const opened = new Program(info, backend, dims);
  if (options.seed !== undefined) await opened.seed(options.seed);
  return opened;
}

/** A container that holds a module for every kind of engine with SIMD. */
export async function build(source: Openable, name = "program"): Promise<Uint8Array> {
  const compiled = compileProgram(traced(source, name), ["simd128"]);
  const { emitWasm } = await import("./emit/wasm/module.ts");
  const variants = [true, false].flatMap(shared => [true, false].map(relaxed => ({ relaxed, shared })));
  return writeContainer(compiled, asModules(await emitWasm(compiled.lowerings[0]!.kernels, variants)));
}
