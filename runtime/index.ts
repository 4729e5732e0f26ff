// Loads compiled programs under Node: `load(await readFile("noiser.slx"))` gives entries and procedures to call. A program
// that was just compiled is emitted for this engine; one from a container brings its modules.
import { Worker } from "node:worker_threads";
import { SluiceError } from "../compiler/base/diagnostics.ts";
import type { DimValues } from "../compiler/base/sizes.ts";
import { readContainer } from "../compiler/container/read.ts";
import { usableMemory, usableThreads } from "./cgroup.ts";
import { effectsOver } from "./io/effects.ts";
import { nodeFiles } from "./io/node-files.ts";
import { infoOf, instanceDims, Program, requireVulkan } from "./load.ts";
import { type NativeTarget, startNative } from "./native/backend.ts";
import type { Module, RuntimeProgram } from "./program.ts";
import { threadCount } from "./threads.ts";
import { startWasm, type WorkerHandle } from "./wasm/backend.ts";
import { engineFeatures } from "./wasm/features.ts";

export type { HostIn } from "./arguments.ts";
export type { Emitted, ProcedureRun, Program, ProgramState, RunOptions } from "./load.ts";
export type { HostArray, HostTensor } from "./tensor.ts";
export { hostTensor } from "./tensor.ts";

export interface LoadOptions {
  /** From 1 to 1024; by default, as many as this process may run at once. */
  readonly threads?: number;
  /** Values of the dims that are bound when a program is loaded. */
  readonly dims?: DimValues;
  /** Where the random streams start; 0 without one. */
  readonly seed?: number;
  /** "nan": stop at the first kernel that makes one, naming the op and the user's line. */
  readonly check?: "nan";
  /** Records every launch, copy, read and write with its times and the program's line, for `program.trace()`. */
  readonly trace?: boolean;
  /** Vulkan only: under its validation layers, which cost time; whatever they say is an error. */
  readonly validate?: boolean;
  /** Where `print` goes; by default to standard output. */
  readonly print?: (text: string) => void;
  /** What runs it: WebAssembly, the default, or the native runtime on its processor or on a device of Vulkan or CUDA, by number or part of its name. */
  readonly target?: "wasm" | NativeTarget;
  /** Native code can do anything that this process can: a container's is run only if its origin is trusted. */
  readonly trust?: boolean;
}

/** A container's bytes, or a compiled program with the modules that were emitted for it. */
export type Loadable = Uint8Array | { readonly program: RuntimeProgram; readonly modules: readonly Module[] };

export async function load(source: Loadable, options: LoadOptions = {}): Promise<Program> {
  const { program, modules } = source instanceof Uint8Array ? readContainer(source) : source;
  const dims = instanceDims(program, options.dims ?? {});
  const common = {
    dims, threads: threadCount(options.threads, usableThreads), checkNan: options.check === "nan", trace: options.trace === true,
    perform: effectsOver(nodeFiles), print: options.print ?? (text => process.stdout.write(`${text}\n`)),
  };
  const { target = "wasm", validate = false } = options;
  if (validate) requireVulkan(target);
  const backend = target === "wasm" ? await startWasm({ ...common, program, modules, features: engineFeatures(), memoryBytes: usableMemory(), spawn: spawnWorker }) : await startNative({ ...common, target, validate, bytes: trusted(source, options.trust) });
  const loaded = new Program(infoOf(program), backend, dims);
  if (options.seed !== undefined) await loaded.seed(options.seed);
  return loaded;
}

function trusted(source: Loadable, trust = false): Uint8Array {
  if (source instanceof Uint8Array && trust) return source;
  throw new SluiceError({ code: "SLX002", message: "native code is run from a container whose origin is trusted", found: source instanceof Uint8Array ? "a container without trust" : "a compiled program", hint: "trust: true, if you know who built it; or target: \"wasm\"" });
}

function spawnWorker(): WorkerHandle {
  // Beside this file, with its ending: TypeScript in the repository, JavaScript in the package.
  const ending = import.meta.url.slice(import.meta.url.lastIndexOf("."));
  const worker = new Worker(new URL(`./wasm/worker-node${ending}`, import.meta.url), { stderr: false });
  return {
    post: (message, transfer) => worker.postMessage(message, [...(transfer ?? [])]),
    onMessage: listener => void worker.on("message", listener),
    onFailure: listener => void worker.on("error", listener),
    keepAlive: yes => (yes ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}
