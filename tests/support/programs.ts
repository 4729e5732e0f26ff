// Programs opened on every target there is, and numbers to compare: what a user would compute by hand beside what comes out.
import { expect } from "vitest";
import { open, type Openable } from "../../compiler/open.ts";
import type { HostIn } from "../../runtime/arguments.ts";
import type { Program } from "../../runtime/load.ts";
import { elementAt, elementCount, type HostTensor } from "../../runtime/tensor.ts";
import { countedOn } from "./conformance.ts";
import { type TargetRow, TARGETS } from "./targets.ts";

/** The reference interpreter among the targets: what a program means is what a user expects of it too. */
export const RUNNERS: readonly TargetRow[] = [{ name: "interpret", options: { target: "interpret" } }, ...TARGETS];

/** Opens a program and closes it after use. */
export async function withProgram<R>(target: TargetRow, exports: Openable, use: (p: Program) => Promise<R>): Promise<R> {
  const program = await open(exports, { ...countedOn(target), seed: 7, print: () => {} });
  try {
    return await use(program);
  } finally {
    await program.close();
  }
}

/** The outputs of one call. */
export const callOnce = (target: TargetRow, exports: Openable, entry: string, inputs: { readonly [name: string]: HostIn }): Promise<{ [output: string]: HostTensor }> =>
  withProgram(target, exports, p => p.call(entry, inputs));

export const numbersOf = (t: HostTensor | undefined): number[] => (t ? Array.from({ length: elementCount(t.shape) }, (_, i) => elementAt(t, i)) : []);

/** Each number within a relative error, which of small ones is absolute. */
export function expectNear(got: HostTensor | undefined, wanted: ArrayLike<number>, limit = 2e-5): void {
  const numbers = numbersOf(got);
  expect(numbers.length).toBe(wanted.length);
  numbers.forEach((x, i) => expect(Math.abs(x - wanted[i]!) / (1 + Math.abs(wanted[i]!)), `element ${i}: ${x} for ${wanted[i]}`).toBeLessThanOrEqual(limit));
}

/** Values between -scale and scale, always the same for one seed. */
export function values(count: number, scale = 1, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return scale * (state / 1073741824 - 1);
  });
}
