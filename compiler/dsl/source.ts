// Where the user wrote it: the first frame of the stack outside this package.
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Span } from "../base/span.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const OWN = ["compiler/", "runtime/", "kernels/", "dist/"].map(folder => root + folder);
const FRAME = /(?:\(|at )(?:async )?(file:\/\/[^)]+|\/[^)]+):(\d+):(\d+)\)?$/;

/** Places of frames by their text; null: not the user's. A loop in a program comes by the same lines again and again. */
const places = new Map<string, Span | null>();
function placeOf(frame: string): Span | null {
  const found = FRAME.exec(frame.trim());
  if (!found) return null;
  const file = found[1]!.startsWith("file:") ? fileURLToPath(found[1]!) : found[1]!;
  if (OWN.some(folder => file.startsWith(folder)) || file.includes("/node_modules/")) return null;
  const near = relative(process.cwd(), file.split("?")[0]!);
  return { file: near.startsWith("..") ? file : near, line: Number(found[2]), column: Number(found[3]) };
}

function firstPlace(frames: number): Span | null {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const frame of stack.split("\n")) {
    let place = places.get(frame);
    if (place === undefined) places.set(frame, (place = placeOf(frame)));
    if (place) return place;
  }
  return null;
}

/** The line of the program being traced that led here; null when called from within the package alone. */
export const userSpan = (): Span | null => firstPlace(8) ?? firstPlace(60);
