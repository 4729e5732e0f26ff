// Where the user wrote it: the first frame of the stack outside this package.
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Span } from "../base/span.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const OWN = ["compiler/", "runtime/", "kernels/", "dist/"].map(folder => root + folder);
const NODES_OWN = "ErrorPrepareStackTrace";
const FRAME = /(?:\(|at )(?:async )?(file:\/\/[^)]+|\/[^)]+):(\d+):(\d+)\)?$/;

/** A file as messages name it; null: not the user's. */
function userFile(name: string): string | null {
  if (!name.startsWith("file:") && !name.startsWith("/")) return null;
  const file = name.startsWith("file:") ? fileURLToPath(name) : name;
  if (OWN.some(folder => file.startsWith(folder)) || file.includes("/node_modules/")) return null;
  const near = relative(process.cwd(), file.split("?")[0]!);
  return near.startsWith("..") ? file : near;
}

/** What is made of each key once: frames come by the same files and lines again and again. */
const remembering = <T>(make: (key: string) => T): ((key: string) => T) => {
  const made = new Map<string, T>();
  return key => {
    if (!made.has(key)) made.set(key, make(key));
    return made.get(key) as T;
  };
};
const fileOf = remembering(userFile);
const placeOf = remembering((frame): Span | null => {
  const [, name, line, column] = FRAME.exec(frame.trim()) ?? [];
  const file = name === undefined ? null : fileOf(name);
  return file === null ? null : { file, line: Number(line), column: Number(column) };
});

function firstPlace(frames: number): Span | null {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = frames;
  // Whoever maps places back to their sources does so in the text; with Node's own preparation the frames are quicker.
  const isMapped = process.sourceMapsEnabled || (prepareStackTrace?.name ?? NODES_OWN) !== NODES_OWN;
  if (!isMapped) Error.prepareStackTrace = (_, sites) => sites;
  const stack = new Error().stack as unknown as string | readonly NodeJS.CallSite[];
  Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  if (typeof stack !== "string") {
    for (const site of stack) {
      const file = fileOf(site.getFileName() ?? "");
      if (file !== null) return { file, line: site.getLineNumber() ?? 0, column: site.getColumnNumber() ?? 0 };
    }
    return null;
  }
  for (const frame of stack.split("\n")) {
    const place = placeOf(frame);
    if (place) return place;
  }
  return null;
}

let isUnlined = false;
/** Words that `f` uses stand at no line. To look for lines takes most of the time of tracing, and what nobody wrote has none. */
export function withoutLines<R>(f: () => R): R {
  const before = isUnlined;
  isUnlined = true;
  try {
    return f();
  } finally {
    isUnlined = before;
  }
}

/** The line of the program being traced that led here; null when called from within the package alone. */
export const userSpan = (): Span | null => (isUnlined ? null : firstPlace(8) ?? firstPlace(60));
