// `sluice build <program> -o path`: a standalone executable; with --target wasm, a folder that runs the program in a browser;
// to a .slx, a container for any of the targets.
import { join } from "node:path";
import type { Command } from "commander";
import { SluiceError } from "../base/diagnostics.ts";
import { withCompilerOptions, withProgramOptions } from "./options.ts";

interface BuildOptions {
  readonly set: readonly string[];
  readonly target?: string;
  readonly cc?: string;
  readonly nvcc?: string;
  readonly cache?: string;
  readonly fusion?: boolean;
  readonly output: string;
  readonly emitSource?: string;
  readonly json?: boolean;
}

interface Built {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** For people, after the files. */
  readonly text: string;
}

export function addBuild(program: Command): void {
  withCompilerOptions(withProgramOptions(program.command("build <program>")))
    .description("write an executable, a folder for browsers (--target wasm), or a container (-o name.slx)")
    .option("--target <targets>", "cpu (this machine's level; the default), cpu:v3,v4 (levels to choose from when it starts), vulkan, cuda:sm_80,sm_90, wasm")
    .requiredOption("-o, --output <path>", "where to write")
    .option("--emit-source <dir>", "where to write the kernels as C and CUDA C++ too")
    .option("--json", "as JSON")
    .action(async (path: string, options: BuildOptions) => {
      const { files, text } = await write(path, options);
      const bytes = files.reduce((sum, f) => sum + f.bytes, 0);
      if (options.json) process.stdout.write(`${JSON.stringify({ output: options.output, files, bytes })}\n`);
      else process.stdout.write(`${options.output}: ${files.length > 1 ? `${files.length} files, ` : ""}${(bytes / 1024).toFixed(0)} KiB; ${text}\n`);
    });
}

/** Throws SluiceError where no target of the container has any. */
async function sourceFiles(folder: string, target: string, container: Uint8Array): Promise<{ readonly path: string; readonly bytes: Uint8Array }[]> {
  const { readContainer } = await import("../container/read.ts");
  const { sourcesOf } = await import("../emit/sources.ts");
  const files = sourcesOf(readContainer(container));
  if (files.length === 0) throw new SluiceError({ code: "CLI011", message: "the program's kernels are nobody's source", found: `--emit-source with --target ${target}`, expected: "cpu or cuda targets", hint: "kernels for wasm and vulkan are written as binaries" });
  return files.map(({ name, text }) => ({ path: join(folder, name), bytes: new TextEncoder().encode(text) }));
}

async function write(program: string, options: BuildOptions): Promise<Built> {
  const { containerFor } = await import("./program-container.ts");
  const isContainer = options.output.endsWith(".slx");
  const { target = isContainer ? "wasm" : "cpu", output } = options;
  const { name, bytes } = await containerFor(program, { ...options, target });
  const { writeTogether } = await import("../../runtime/io/node-files.ts");
  if (options.emitSource !== undefined) await writeTogether(await sourceFiles(options.emitSource, target, bytes));
  if (isContainer) {
    await writeTogether([{ path: output, bytes }]);
    return { files: [{ path: output, bytes: bytes.length }], text: `sluice run ${output}` };
  }
  if (target === "wasm") {
    const { writeSite } = await import("./site.ts");
    return {
      files: await writeSite(output, name, bytes),
      text: "open index.html through any web server.\nFor several threads it sends: Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp",
    };
  }
  if (target.split(",").includes("wasm")) {
    throw new SluiceError({ code: "CLI008", message: "an executable holds no WebAssembly", found: `--target ${target}`, expected: "cpu, vulkan and cuda targets", hint: "build a container with -o name.slx, or the folder for browsers with --target wasm alone" });
  }
  const { readFile } = await import("node:fs/promises");
  const { requireBuilt } = await import("../../runtime/native/built.ts");
  const { withContainer } = await import("../container/executable.ts");
  const executable = withContainer(await readFile(requireBuilt("runner")), bytes);
  await writeTogether([{ path: output, bytes: executable, mode: 0o755 }]);
  return { files: [{ path: output, bytes: executable.length }], text: `${output.includes("/") ? output : `./${output}`} --help` };
}
