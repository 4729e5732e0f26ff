// Where the user wrote it: the first frame of the stack outside this package.
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Span } from "../base/span.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const OWN = ["compiler/", "runtime/", "kernels/", "dist/"].map(folder => root + folder);
const FRAME = /(?:\(|at )(?:async )?(file:\/\/[^)]+|\/[^)]+):(\d+):(\d+)\)?$/;

/** The line of the program being traced that led here; null when called from within the package alone. */
export function userSpan(): Span | null {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n").slice(2)) {
    const found = FRAME.exec(line.trim());
    if (!found) continue;
    const file = found[1]!.startsWith("file:") ? fileURLToPath(found[1]!) : found[1]!;
    if (OWN.some(folder => file.startsWith(folder)) || file.includes("/node_modules/vitest/")) continue;
    const near = relative(process.cwd(), file.split("?")[0]!);
    return { file: near.startsWith("..") ? file : near, line: Number(found[2]), column: Number(found[3]) };
  }
  return null;
}
