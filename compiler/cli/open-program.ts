// Opens what a command names: a container, ready to run.
import { load } from "../../runtime/index.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import type { Program } from "../../runtime/load.ts";
import { SluiceError } from "../base/diagnostics.ts";
import { readContainer } from "../container/read.ts";
import type { ProgramOptions } from "./run.ts";
import { assignment, numberOf } from "./values.ts";

export async function openForCommand(path: string, options: ProgramOptions): Promise<Program> {
  const threads = options.threads === undefined ? undefined : numberOf("--threads", options.threads);
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) throw new SluiceError({ code: "CLI002", message: "--threads takes a positive integer", found: options.threads });
  const dims = Object.fromEntries(options.dim.map(text => {
    const [name, value] = assignment("--dim", text);
    return [name, numberOf(`dim ${name}`, value)];
  }));
  const seed = options.seed === undefined ? undefined : numberOf("--seed", options.seed);
  return load(await nodeFiles.read(path), { threads, dims, seed, check: options.check, print: text => (options.json ? process.stderr : process.stdout).write(`${text}\n`) });
}

/** A program's container, for a folder or a file that is built. */
export async function containerFor(path: string): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  const bytes = await nodeFiles.read(path);
  return { name: readContainer(bytes).program.name, bytes };
}
