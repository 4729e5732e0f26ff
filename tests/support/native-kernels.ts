// Runs kernels that are compiled for the CPU in this process, on typed arrays: what tests of the emitter compare with the
// interpreter. The Node-API module beside this file is built once and kept in build/.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { byteLength } from "../../compiler/base/dtypes.ts";
import { type DimValues, evaluateSize } from "../../compiler/base/sizes.ts";
import { type CompileCpuOptions, compileCpu } from "../../compiler/emit/cpu/compile.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";

interface NativeKernels {
  open(path: string): unknown;
  call(library: unknown, name: string, params: readonly ArrayBufferLike[], dims: readonly number[], low: number, high: number, scratchBytes: number): void;
}

/** Outside of the user's own cache. */
export const TEST_CACHE = fileURLToPath(new URL("../../build/tests/kernels", import.meta.url));

const require = createRequire(import.meta.url);
let loaded: NativeKernels | undefined;

export function nativeKernels(): NativeKernels {
  if (loaded) return loaded;
  const source = fileURLToPath(new URL("native-kernels.cc", import.meta.url));
  const folder = fileURLToPath(new URL("../../build/tests", import.meta.url));
  const built = join(folder, "native-kernels.node");
  if (!existsSync(built) || statSync(built).mtimeMs < statSync(source).mtimeMs) {
    const headers = join(require.resolve("node-api-headers/package.json"), "..", "include");
    mkdirSync(folder, { recursive: true });
    const temporary = `${built}.${process.pid}`;
    execFileSync("g++", ["-std=c++20", "-O1", "-fPIC", "-shared", `-I${headers}`, source, "-o", temporary, "-ldl"]);
    renameSync(temporary, built);
  }
  return loaded = require(built) as NativeKernels;
}

/** Buffers are copied in and, where the kernel writes, out again. Tasks run in ranges of `piece`. */
export type CpuRunner = (kernel: number, buffers: { readonly [param: string]: ArrayBufferView }, dims?: DimValues, piece?: number) => void;

export async function cpuRunner(kernels: readonly Kernel[], options: CompileCpuOptions): Promise<CpuRunner> {
  const native = nativeKernels();
  const { bytes, scratch } = await compileCpu(kernels, { cache: TEST_CACHE, ...options });
  const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
  writeFileSync(join(folder, "kernels.so"), bytes);
  const library = native.open(join(folder, "kernels.so"));
  rmSync(folder, { recursive: true });
  return (k, buffers, dims = {}, piece = Infinity) => {
    const kernel = kernels[k]!;
    const params = kernel.params.map(p => {
      const length = byteLength(p.dtype, p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1));
      const { buffer, byteOffset } = buffers[p.name]!;
      return new Uint8Array(buffer, byteOffset, length).slice();
    });
    const tasks = kernel.grid.reduce((n, v) => n * evaluateSize(v.extent, dims), 1);
    const dimValues = kernel.dims.map(d => dims[d.name]!);
    const bytesOfScratch = evaluateSize(scratch[k]!, dims);
    for (let low = 0; low < tasks; low += piece) native.call(library, `k${k}`, params.map(p => p.buffer), dimValues, low, Math.min(tasks, low + piece), bytesOfScratch);
    kernel.params.forEach((p, i) => {
      if (p.access === "read") return;
      const { buffer, byteOffset } = buffers[p.name]!;
      new Uint8Array(buffer, byteOffset, params[i]!.length).set(params[i]!);
    });
  };
}
