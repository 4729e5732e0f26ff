// A program's container: compiled, or as it was compiled before. What the container follows from is its key in the cache: the
// program as it was traced, the targets, their compilers and Sluice's own files. Only what such a compiler makes is worth a look there.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toJson } from "./container/json.ts";
import { DEFAULT_CACHE, FileCache } from "./emit/cpu/cache.ts";
import { requireCompiler } from "./emit/cpu/compiler.ts";
import { requireNvcc } from "./emit/cuda/nvcc.ts";
import type { Program } from "./graph/graph.ts";
import { compileFor, type CompileOptions, parseTargets, type Target } from "./targets.ts";

/** Changes whenever a file of Sluice's does. */
function ownIdentity(): string {
  const root = fileURLToPath(new URL("..", import.meta.url));
  return ["compiler", "kernels", "runtime"].flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map(name => {
    const { size, mtimeMs } = statSync(join(root, folder, name));
    return `${name} ${size} ${mtimeMs}`;
  })).join("\n");
}

async function keyOf(program: Program, targets: readonly Target[], { cc, nvcc, fusion = true }: CompileOptions): Promise<string> {
  const has = (kind: Target["kind"]): boolean => targets.some(t => t.kind === kind);
  const compilers = [has("cpu") ? (await requireCompiler(cc)).identity : "", has("cuda") ? (await requireNvcc(nvcc)).version : ""];
  return ["container", ownIdentity(), ...compilers, JSON.stringify({ targets, fusion }), JSON.stringify(toJson(program))].join("\0");
}

/** With code for every target. Throws SluiceError where the program cannot be planned, or a compiler is missing. */
export async function containerOf(program: Program, target: string, options: CompileOptions): Promise<Uint8Array> {
  const targets = parseTargets(target);
  const fresh = async (): Promise<Uint8Array> => {
    const { writeContainer } = await import("./container/write.ts");
    const { program: compiled, modules } = await compileFor(program, targets, options);
    return writeContainer(compiled, modules);
  };
  if (targets.every(t => t.kind !== "cpu" && t.kind !== "cuda")) return fresh();
  const cache = new FileCache(options.cache ?? DEFAULT_CACHE());
  const key = await keyOf(program, targets, options);
  const known = await cache.read(key);
  if (known) return known;
  const bytes = await fresh();
  await cache.write(key, bytes);
  return bytes;
}
