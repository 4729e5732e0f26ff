// Compiles programs one after the other in a process that has just been started, and prints for each when it was done, in
// milliseconds: the first from the process's start with all imports, the others from the end of the one before. Modules come
// as the command line's do: compiled for the start before.
// Arguments: paths of programs, with settings after a question mark.
import { enableCompileCache } from "node:module";

enableCompileCache();
const done: { readonly milliseconds: number; readonly bytes: number; readonly nodes: number; readonly kernels: number; readonly header: number }[] = [];
let start = 0;
const { importProgram } = await import("../../compiler/cli/program-module.ts");
const { build } = await import("../../compiler/index.ts");
for (const argument of process.argv.slice(2)) {
  const [path, settings] = argument.split("?") as [string, string | undefined];
  const traced = await importProgram(path, Object.fromEntries(new URLSearchParams(settings)));
  const bytes = await build(traced);
  const end = performance.now();
  // Reading is no part of compiling, and neither is loading what reads.
  const { readContainer } = await import("../../compiler/container/read.ts");
  const { program } = readContainer(bytes);
  done.push({
    milliseconds: end - start, bytes: bytes.length, nodes: traced.entries.reduce((sum, e) => sum + e.nodes.length, 0),
    kernels: program.lowerings[0]!.kernels.length, header: new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true),
  });
  start = performance.now();
}
process.stdout.write(`${JSON.stringify(done)}\n`);
