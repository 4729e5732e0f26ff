// Invariants 7, 8 and 9 of the verifier: a workgroup runs in the interpreter with small dims on zeros, without arithmetic on
// floats and, of loops that do the same in every round, only the first rounds and the last. Whatever it finds (races of
// threads, reads of copies under way or of unwritten memory) is reported.
import { DTYPES } from "../base/dtypes.ts";
import { evaluateSize } from "../base/sizes.ts";
import { interpretKernel } from "./interpret.ts";
import { KernelInvariantError } from "./invariant.ts";
import type { Kernel } from "./ir.ts";
import { withoutFloats } from "./places.ts";

// Enough for three rounds of most tilings.
const SMALL = 48;

/** What is wrong, or undefined. */
export function enumerateWorkgroups(kernel: Kernel): KernelInvariantError | undefined {
  const dims = Object.fromEntries(kernel.dims.map(d => {
    const wanted = Math.min(Math.max(d.min, SMALL), d.max);
    const below = Math.floor(wanted / d.multipleOf) * d.multipleOf;
    return [d.name, below < d.min ? Math.ceil(d.min / d.multipleOf) * d.multipleOf : below];
  }));
  const places = withoutFloats(kernel);
  const buffers = Object.fromEntries(places.params.map(p => {
    const count = p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1);
    return [p.name, new Uint8Array(Math.ceil((count * DTYPES[p.dtype].bits) / 8))];
  }));
  try {
    interpretKernel(places, { buffers, dims, tasks: 1, skipsRounds: true });
    return undefined;
  } catch (e) {
    if (e instanceof KernelInvariantError) return e;
    // A division by what was read as zero says nothing about the kernel.
    if (e instanceof RangeError) return undefined;
    throw e;
  }
}
