// Kernels become a shared object by the system's C compiler: the units of source at the same time, then linked. The object
// imports nothing but memcpy and memset. What was compiled before comes from the cache, without the compiler being started.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { InternalError } from "../../base/diagnostics.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { CpuCode } from "../../../runtime/program.ts";
import { DEFAULT_CACHE, FileCache } from "./cache.ts";
import { type CCompiler, requireCompiler, requireVersion, runCompiler } from "./compiler.ts";
import { type CpuTarget, machineOptions } from "./level.ts";
import { emitC } from "./source.ts";

export interface CompileCpuOptions extends CpuTarget {
  /** The C compiler; by default the first that is found. */
  readonly cc?: string;
  /** The folder of what was compiled before; null keeps nothing. */
  readonly cache?: string | null;
  /** More options for the compiler. */
  readonly flags?: readonly string[];
}

// Only fma may fuse, integers wrap, and no access is told apart by its type. What traps or sets errno is of no interest.
const FLAGS = [
  "-std=gnu11", "-fPIC", "-ffreestanding", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv", "-fno-strict-aliasing",
  "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-fno-semantic-interposition", "-w",
];
const FLAGS_OF = {
  // As fast as by -O2, and compiled in half of the time: kernels come unrolled and vectorised. What is moved out of loops late
  // would take registers that sums need. Known bits, where pointers point, copies of names, what functions touch, every way to
  // step through a loop and registers for all loops but the tightest gain nothing.
  gcc: [
    "-O1", "-fgcse", "-fexpensive-optimizations", "-fno-move-loop-invariants", "-fno-tree-bit-ccp", "-fno-tree-pta", "-fno-tree-copy-prop", "-fno-ipa-pure-const", "-fno-ipa-modref",
    "--param=iv-consider-all-candidates-bound=5", "--param=ira-max-loops-num=4",
  ],
  clang: ["-O2"],
} as const;
const MOST_UNITS = 8;

/** The kernels as a shared object that exports k0, k1, …. Throws SluiceError where there is no compiler, and InternalError where it refuses the source. */
export async function compileCpu(kernels: readonly Kernel[], options: CompileCpuOptions): Promise<CpuCode> {
  const { level, features, cache: folder = DEFAULT_CACHE(), flags = [] } = options;
  const compiler = await requireCompiler(options.cc);
  const units = Math.min(availableParallelism(), MOST_UNITS);
  const source = emitC(kernels, { level, features, units, intrinsics: compiler.kind !== "gcc" });
  const all = [...FLAGS, ...FLAGS_OF[compiler.kind], ...machineOptions({ level, features }), ...(level === "v4" ? ["-mprefer-vector-width=512"] : []), ...flags];
  const cache = folder === null ? undefined : new FileCache(folder);
  const key = ["cpu kernels", compiler.identity, ...all, ...source.units].join("\0");
  const code = (bytes: Uint8Array): CpuCode => ({ level, features, bytes, scratch: source.scratch });
  const known = await cache?.read(key);
  if (known) return code(known);
  await requireVersion(compiler);
  const bytes = await build(compiler, source.units, all);
  await cache?.write(key, bytes);
  return code(bytes);
}

async function build(compiler: CCompiler, units: readonly string[], options: readonly string[]): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-kernels-"));
  const names = units.map((_, i) => `unit${i}`);
  const run = async (args: readonly string[]): Promise<void> => {
    const failure = await runCompiler(compiler, args, folder);
    if (failure !== undefined) throw new InternalError(`${compiler.path} refuses kernels, whose source is kept in ${folder}:\n${failure.trim()}`);
  };
  await Promise.all(names.map((name, i) => writeFile(join(folder, `${name}.c`), units[i]!)));
  await Promise.all(names.map(name => run([...options, "-c", `${name}.c`, "-o", `${name}.o`])));
  await run(["-shared", "-nostdlib", "-s", "-o", "kernels.so", ...names.map(name => `${name}.o`)]);
  const bytes = await readFile(join(folder, "kernels.so"));
  await rm(folder, { recursive: true });
  return new Uint8Array(bytes);
}
