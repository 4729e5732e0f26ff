// Kernels become images that the CUDA driver loads, by nvcc: of each translation unit one, with a cubin for each wanted
// architecture and PTX of the lowest, of which a driver makes code for newer ones. What was compiled before comes from the
// cache. Needs no GPU.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { InternalError } from "../../base/diagnostics.ts";
import type { Kernel } from "../../kernel/ir.ts";
import { DEFAULT_CACHE, FileCache } from "../cpu/cache.ts";
import { HEADER, HEADER_FILE } from "./header.ts";
import { type Nvcc, requireArchitectures, requireNvcc, runNvcc, toolkitOf } from "./nvcc.ts";
import { type CudaKernel, emitCuda } from "./source.ts";

export interface CompileCudaOptions {
  /** As nvcc names them: `sm_90`. */
  readonly architectures: readonly string[];
  /** The compiler; by default the one that is found. */
  readonly nvcc?: string | undefined;
  /** The folder of what was compiled before; null keeps nothing. */
  readonly cache?: string | null | undefined;
}

/** What a thread of a kernel takes on an architecture, as ptxas tells. */
export interface Usage {
  readonly kernel: string;
  readonly architecture: string;
  readonly registers: number;
  /** Of a block. */
  readonly sharedBytes: number;
  /** Bytes of registers that did not fit, stored and loaded. */
  readonly spillStores: number;
  readonly spillLoads: number;
}

export interface CompiledCuda {
  readonly architectures: readonly string[];
  /** The toolkit that compiled it, as the driver counts versions: 12040 is CUDA 12.4. */
  readonly toolkit: number;
  /** Fat binaries. */
  readonly images: readonly Uint8Array[];
  /** `unit` is the number of the image. */
  readonly kernels: readonly CudaKernel[];
  readonly usage: readonly Usage[];
}

/** Whatever the text says about products and sums, none are fused. */
const FLAGS = ["-std=c++17", "-fmad=false", "-Xptxas", "-v", "-fatbin"];
/** Of a unit, unless there are fewer in all: starting nvcc takes longer than a kernel. */
const LEAST_KERNELS = 8;

/** Throws SluiceError where there is no nvcc or it does not know an architecture, and InternalError where it refuses the source. */
export async function compileCuda(kernels: readonly Kernel[], { architectures, nvcc: wanted, cache: folder = DEFAULT_CACHE() }: CompileCudaOptions): Promise<CompiledCuda> {
  const nvcc = await requireNvcc(wanted);
  const source = emitCuda(kernels, { units: Math.min(availableParallelism(), Math.ceil(kernels.length / LEAST_KERNELS)) });
  const cache = folder === null ? undefined : new FileCache(folder);
  const units = await Promise.all(source.units.map(async unit => {
    const key = ["cuda kernels", nvcc.version, ...FLAGS, ...architectures, HEADER, unit].join("\0");
    const known = await cache?.read(key);
    if (known) return unpacked(known);
    await requireArchitectures(nvcc, architectures);
    const built = await build(nvcc, unit, architectures);
    await cache?.write(key, packed(built));
    return built;
  }));
  return { architectures, toolkit: toolkitOf(nvcc), images: units.map(u => u.image), kernels: source.kernels, usage: units.flatMap(u => u.usage) };
}

interface Unit {
  readonly image: Uint8Array;
  readonly usage: readonly Usage[];
}

const numberOf = (architecture: string): number => Number(/\d+/.exec(architecture)?.[0]);

async function build(nvcc: Nvcc, text: string, architectures: readonly string[]): Promise<Unit> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-kernels-"));
  await writeFile(join(folder, HEADER_FILE), HEADER);
  await writeFile(join(folder, "kernels.cu"), text);
  const virtual = (architecture: string): string => architecture.replace("sm_", "compute_");
  const lowest = virtual([...architectures].sort((a, b) => numberOf(a) - numberOf(b))[0]!);
  const codes = [...architectures.map(a => `arch=${virtual(a)},code=${a}`), `arch=${lowest},code=${lowest}`];
  const said = await runNvcc(nvcc, [...FLAGS, ...codes.flatMap(code => ["-gencode", code]), "-o", "kernels.fatbin", "kernels.cu"], folder);
  const image = new Uint8Array(await readFile(join(folder, "kernels.fatbin")));
  await rm(folder, { recursive: true });
  return { image, usage: usageOf(said) };
}

/** Reads what `ptxas -v` prints. */
export function usageOf(said: string): Usage[] {
  const entries = said.matchAll(/Compiling entry function '(\w+)' for '(\w+)'\n.*?Function properties for \1\n.*? frame, (\d+) bytes spill stores, (\d+) bytes spill loads\n.*?Used (\d+) registers([^\n]*)/gs);
  return [...entries].map(([, kernel, architecture, stores, loads, registers, rest]) => ({
    kernel: kernel!, architecture: architecture!, registers: Number(registers), sharedBytes: Number(/(\d+) bytes smem/.exec(rest!)?.[1] ?? 0), spillStores: Number(stores), spillLoads: Number(loads),
  }));
}

/** In the cache: the length of the usage as JSON, it, and the image. */
function packed({ image, usage }: Unit): Uint8Array {
  const json = Buffer.from(JSON.stringify(usage));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, image]);
}
function unpacked(bytes: Uint8Array): Unit {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = 4 + all.readUInt32LE(0);
  const usage: unknown = JSON.parse(all.toString("utf8", 4, end));
  if (!Array.isArray(usage)) throw new InternalError("a cached CUDA unit has no list of what its kernels take");
  return { image: bytes.slice(end), usage: usage as Usage[] };
}
