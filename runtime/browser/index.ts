// Loads a container in a browser. With cross-origin isolation it runs on several threads over shared memory; without it,
// on one, and `description` says so.
import { readContainer } from "../../compiler/container/read.ts";
import type { DimValues } from "../../compiler/base/sizes.ts";
import { effectsOver, type HostFiles } from "../io/effects.ts";
import { infoOf, instanceDims, Program } from "../load.ts";
import { threadCount } from "../threads.ts";
import { startWasm, type WorkerHandle } from "../wasm/backend.ts";
import { engineFeatures } from "../wasm/features.ts";

export interface BrowserLoadOptions {
  readonly files: HostFiles;
  readonly threads?: number;
  readonly dims?: DimValues;
  readonly print?: (text: string) => void;
}

export async function load(container: Uint8Array, options: BrowserLoadOptions): Promise<Program> {
  const { program, modules } = readContainer(container);
  const dims = instanceDims(program, options.dims ?? {});
  const features = { ...engineFeatures(), threads: globalThis.crossOriginIsolated && engineFeatures().threads };
  const backend = await startWasm({
    program, modules, features, dims, threads: threadCount(options.threads, () => navigator.hardwareConcurrency), memoryBytes: Infinity, checkNan: false, trace: false,
    spawn: spawnWorker, perform: effectsOver(options.files), print: options.print ?? (text => console.log(text)),
  });
  return new Program(infoOf(program), backend, dims);
}

function spawnWorker(): WorkerHandle {
  const worker = new Worker(new URL(`./worker-browser${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url), { type: "module" });
  return {
    post: (message, transfer) => worker.postMessage(message, [...(transfer ?? [])]),
    onMessage: listener => worker.addEventListener("message", event => listener(event.data)),
    onFailure: listener => worker.addEventListener("error", event => listener(new Error(event.message))),
    keepAlive: () => {},
    terminate: () => worker.terminate(),
  };
}
