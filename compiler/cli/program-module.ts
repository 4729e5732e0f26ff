// Programs named on the command line: a module is imported under its settings and its exports are traced. What is wrong with
// the path or in the user's module is a SluiceError; only faults of this package pass through as they are.
import { existsSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { InternalError, SluiceError } from "../base/diagnostics.ts";
import type { Span } from "../base/span.ts";
import { traceProgram, withSettings } from "../dsl/program.ts";
import type { Program } from "../graph/graph.ts";

const EXTENSIONS = [".ts", ".js", ".mts", ".mjs"];
const OWN = ["compiler/", "dist/"].map(folder => fileURLToPath(new URL("../..", import.meta.url)) + folder);

/** The traced program of a module, or of a folder with `index.ts`; `set` fills its settings. */
export async function importProgram(path: string, set: { readonly [name: string]: string } = {}): Promise<Program> {
  const file = moduleFile(path);
  const stem = basename(file, extname(file));
  const name = stem === "index" ? basename(dirname(file)) : stem;
  const url = pathToFileURL(file);
  // A module is evaluated once for each URL, and reads its settings then.
  if (Object.keys(set).length > 0) url.search = new URLSearchParams(set).toString();
  try {
    return traceProgram(await withSettings(() => import(url.href) as Promise<{ readonly [name: string]: unknown }>, set), name);
  } catch (error) {
    throw asUserError(error, file);
  }
}

function moduleFile(path: string): string {
  const full = resolve(path);
  if (!existsSync(full)) throw new SluiceError({ code: "PROGRAM002", message: `there is no file or folder ${path}`, hint: "a program is a TypeScript or JavaScript module, or a folder with index.ts" });
  const file = statSync(full).isDirectory() ? ["index.ts", "index.js", "index.mjs"].map(name => join(full, name)).find(existsSync) : full;
  if (file === undefined) throw new SluiceError({ code: "PROGRAM002", message: `the folder ${path} has no index.ts`, hint: "name the program's file" });
  if (!EXTENSIONS.includes(extname(file))) throw new SluiceError({ code: "PROGRAM002", message: `${path} is no program`, found: extname(file) || "no extension", expected: EXTENSIONS.join(", ") });
  return file;
}

function asUserError(error: unknown, file: string): unknown {
  if (error instanceof SluiceError || error instanceof InternalError) return error;
  const thrown = error instanceof Error ? error : new Error(String(error));
  const span = thrownAt(thrown);
  const isOurs = span !== null && OWN.some(folder => resolve(span.file).startsWith(folder));
  // Node's own errors have a code and, imports being ours, no place but ours.
  if (isOurs && !("code" in thrown)) return error;
  const missing = /Cannot find package '([^']+)'/.exec(thrown.message)?.[1];
  return new SluiceError({
    code: "PROGRAM003", message: `the program ${near(file)} cannot be loaded`, span: isOurs ? null : span, found: `${thrown.name}: ${thrown.message.split("\n")[0]}`,
    ...(missing === undefined ? {} : { hint: `install it beside the program: npm install ${missing}` }),
  });
}

/** The path as the user would type it. */
function near(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

/** The first place in a file that an error's stack names; a syntax error's stack begins with it. */
function thrownAt(error: Error): Span | null {
  const [, place, line, column] = /(?:^|\(|at )(?:async )?(file:\/\/[^)\s]+?|\/[^)\s]+?):(\d+)(?::(\d+))?\)?$/m.exec(error.stack ?? "") ?? [];
  if (place === undefined) return null;
  const file = place.startsWith("file:") ? fileURLToPath(place.split("?")[0]!) : place.split("?")[0]!;
  return { file: near(file), line: Number(line), column: Number(column ?? 1) };
}
