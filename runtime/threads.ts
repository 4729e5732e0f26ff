// How many threads a program may be given.
import { SluiceError } from "../compiler/base/diagnostics.ts";

/** More threads than this are never started. */
export const MOST_THREADS = 1024;

/** The number of threads, or what there is without one. Throws THREADS001. */
export function threadCount(given: number | undefined, usual: () => number): number {
  if (given === undefined) return usual();
  if (Number.isInteger(given) && given >= 1 && given <= MOST_THREADS) return given;
  throw new SluiceError({ code: "THREADS001", message: "threads are an integer", found: String(given), expected: `1 … ${MOST_THREADS}` });
}
