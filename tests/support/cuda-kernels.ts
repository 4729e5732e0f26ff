// Runs emitted CUDA C++ on this machine, on typed arrays: compiled by g++ against the shim in tests/cuda-shim, in two
// opposite orders of blocks and threads, which must write the same bytes. Whatever the shim finds wrong is thrown.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { byteLength } from "../../compiler/base/dtypes.ts";
import { evaluateSize } from "../../compiler/base/sizes.ts";
import { FileCache } from "../../compiler/emit/cpu/cache.ts";
import { HEADER, HEADER_FILE } from "../../compiler/emit/cuda/header.ts";
import { STORAGE_TYPE } from "../../compiler/emit/cuda/memory.ts";
import { emitCuda } from "../../compiler/emit/cuda/source.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import type { KernelRunner } from "./kernel-cases.ts";
import { nativeKernels, TEST_CACHE } from "./native-kernels.ts";

const SHIM = fileURLToPath(new URL("../cuda-shim", import.meta.url));
const SOURCES = ["shim.cc", "shadow.cc"];
const HEADERS = ["shim.h", "shadow.h", "fiber.h", "sluice-host.h"];
// The older C++ has the smaller <math.h>.
const KERNEL_FLAGS = ["-std=gnu++14", "-Og", "-w", "-fsanitize=thread", "--param", "tsan-instrument-func-entry-exit=0", `-I${SHIM}`];
const FLAGS = ["-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-fno-exceptions", "-march=x86-64-v3"];
const REPORT_BYTES = 1024;
/** Of a unit, unless there are fewer in all. */
const LEAST_KERNELS = 20;
/** Of a block of tasks: several blocks, the last of which is not full. */
const TASK_THREADS = 4;

const run = promisify(execFile);
const texts = (names: readonly string[]): string[] => names.map(name => readFileSync(join(SHIM, name), "utf8"));

/** The shim itself, which is built once. */
function shimObjects(): string[] {
  const folder = join(TEST_CACHE, "../cuda-shim");
  mkdirSync(folder, { recursive: true });
  const newest = Math.max(...[...SOURCES, ...HEADERS].map(name => statSync(join(SHIM, name)).mtimeMs));
  return SOURCES.map(name => {
    const built = join(folder, `${name}.o`);
    if (existsSync(built) && statSync(built).mtimeMs >= newest) return built;
    const temporary = `${built}.${process.pid}`;
    execFileSync("g++", [...FLAGS, "-std=c++17", "-O2", "-c", join(SHIM, name), "-o", temporary]);
    renameSync(temporary, built);
    return built;
  });
}

/** The functions that Node calls: void run_k<i>(params, dims, low, high, scratch), as kernels of the CPU are. */
function wrapperText(kernel: Kernel, name: string): string {
  const { params, dims } = kernel;
  const given = [...params.map((p, i) => `(${p.access === "read" ? "const " : ""}${STORAGE_TYPE[p.dtype]} *)p[${i}]`), ...dims.map((_, i) => `a.dims[${i}]`)];
  const at = dims.length + params.length;
  return `
extern "C" void run_${name}(char *const *params, const int64_t *dims, int64_t low, int64_t high, char *) {
  Arguments arguments{dims, low, high};
  const shim::Buffer buffers[] = {${params.map((p, i) => `{${JSON.stringify(p.name)}, params[${i}], dims[${dims.length + i}], ${p.access !== "read"}}`).join(", ")}};
  const shim::Launch launch{buffers, ${params.length}, dims[${at}], dims[${at + 1}], dims[${at + 2}], dims[${at + 3}] != 0};
  shim::launch(launch, [](void *context, char *const *p, char *scratch) {
    const Arguments &a = *(Arguments *)context;
    ${name}(${[...given, "a.low", "a.high", "scratch", `a.dims[${at + 2}]`].join(", ")});
  }, &arguments, params[${params.length}], ${REPORT_BYTES});
}
`;
}
const ARGUMENTS = "\nstruct Arguments { const int64_t *dims; int64_t low, high; };\n";

/** The units are compiled at the same time. */
async function build(units: readonly string[], flags: readonly string[]): Promise<Uint8Array> {
  const objects = shimObjects();
  const cache = new FileCache(TEST_CACHE);
  const key = ["cuda shim", ...FLAGS, ...KERNEL_FLAGS, ...flags, HEADER, ...units, ...texts([...SOURCES, ...HEADERS])].join("\0");
  const known = await cache.read(key);
  if (known) return known;
  const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
  writeFileSync(join(folder, HEADER_FILE), HEADER);
  await Promise.all(units.map(async (text, i) => {
    writeFileSync(join(folder, `unit${i}.cc`), text);
    await run("g++", [...FLAGS, ...KERNEL_FLAGS, ...flags, "-c", `unit${i}.cc`], { cwd: folder, maxBuffer: 1 << 26 });
  }));
  await run("g++", ["-shared", "-o", "kernels.so", ...units.map((_, i) => `unit${i}.o`), ...objects], { cwd: folder });
  const bytes = new Uint8Array(readFileSync(join(folder, "kernels.so")));
  rmSync(folder, { recursive: true });
  await cache.write(key, bytes);
  return bytes;
}

interface RunnerOptions {
  /** Plants faults in the text. */
  readonly edit?: (text: string) => string;
  /** More options for g++. */
  readonly flags?: readonly string[];
}

export async function cudaRunner(kernels: readonly Kernel[], { edit = text => text, flags = [] }: RunnerOptions = {}): Promise<KernelRunner> {
  const source = emitCuda(kernels, { units: Math.min(availableParallelism(), Math.ceil(kernels.length / LEAST_KERNELS)) });
  const wrappers = (unit: number): string => kernels.map((k, i) => (source.kernels[i]!.unit === unit ? wrapperText(k, source.kernels[i]!.name) : "")).join("");
  const bytes = await build(source.units.map((text, unit) => edit(text) + ARGUMENTS + wrappers(unit)), flags);
  const native = nativeKernels();
  const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
  writeFileSync(join(folder, "kernels.so"), bytes);
  const library = native.open(join(folder, "kernels.so"));
  rmSync(folder, { recursive: true });
  return (k, buffers, dims = {}, piece = Infinity) => {
    const kernel = kernels[k]!;
    const { name, threads, scratch } = source.kernels[k]!;
    const isTasks = kernel.machine === "simd";
    const lengths = kernel.params.map(p => byteLength(p.dtype, p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1)));
    const points = kernel.grid.reduce((n, v) => n * evaluateSize(v.extent, dims), 1);
    const inOrder = (isReversed: boolean): Uint8Array[] => {
      const params = kernel.params.map((p, i) => new Uint8Array(buffers[p.name]!.buffer, buffers[p.name]!.byteOffset, lengths[i]).slice());
      const report = new Uint8Array(REPORT_BYTES);
      const ranges: (readonly [number, number])[] = [];
      for (let low = 0; low < points; low += piece) ranges.push([low, Math.min(points, low + piece)]);
      for (const [low, high] of isReversed ? ranges.reverse() : ranges) {
        const blocks = Math.ceil((high - low) / (isTasks ? TASK_THREADS : 1));
        const launch = [blocks, isTasks ? TASK_THREADS : threads, evaluateSize(scratch, dims), Number(isReversed)];
        native.call(library, `run_${name}`, [...params, report].map(p => p.buffer), [...kernel.dims.map(d => dims[d.name]!), ...lengths, ...launch], low, high, 0);
        const fault = new TextDecoder().decode(report.subarray(0, report.indexOf(0)));
        if (fault !== "") throw new Error(`${kernel.name}: ${fault}`);
      }
      return params;
    };
    const [forward, backward] = [inOrder(false), inOrder(true)];
    kernel.params.forEach((p, i) => {
      if (p.access === "read") return;
      if (Buffer.compare(forward[i]!, backward[i]!) !== 0) throw new Error(`${kernel.name}: ${p.name} depends on the order of threads`);
      const { buffer, byteOffset } = buffers[p.name]!;
      new Uint8Array(buffer, byteOffset, lengths[i]).set(forward[i]!);
    });
  };
}
