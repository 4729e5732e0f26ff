// Kernel IR to C: the kernels of a program as a few translation units that compile at the same time. A kernel is the function
//   void k<i>(char *const *params, const int64_t *dims, int64_t low, int64_t high, char *scratch)
// of one address for each of its parameters, the values of its dims, a range of tasks in row-major order of its grid, and
// this worker's local memory, which starts at a multiple of 64.
import type { Size } from "../../base/sizes.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { Machine } from "./code.ts";
import { emitKernel } from "./function.ts";
import type { CpuTarget } from "./level.ts";
import { libraryText } from "./library.ts";

export interface SourceOptions extends CpuTarget {
  /** That take about as long to compile. */
  readonly units: number;
  /** Whether instructions are named by <immintrin.h> or by gcc's builtins. */
  readonly intrinsics: boolean;
}

export interface CSource {
  readonly units: readonly string[];
  /** The exported functions, by kernel. */
  readonly names: readonly string[];
  /** Bytes of local memory that a worker needs, kernel by kernel. */
  readonly scratch: readonly Size[];
}

export function emitC(kernels: readonly Kernel[], { level, features, units, intrinsics }: SourceOptions): CSource {
  const vnni = features.includes("vnni");
  const machine: Machine = { vectorBits: level === "v4" ? 512 : 256, vnni };
  const names = kernels.map((_, i) => `k${i}`);
  const emitted = kernels.map((kernel, i) => emitKernel(machine, kernel, names[i]!));
  const texts = balanced(emitted.map(e => e.text), units);
  return {
    units: texts.map(kernelTexts => {
      const text = kernelTexts.join("\n");
      return `${libraryText(text, { intrinsics, vnni })}\n${text}`;
    }),
    names, scratch: emitted.map(e => e.scratch),
  };
}

/** What a kernel takes beside its text to compile, in characters. */
const KERNEL_COST = 2500;

/** The texts in so many groups at most, those that take longest first into the group that takes least; one group, if there are no texts. */
function balanced(texts: readonly string[], count: number): string[][] {
  const groups = Array.from({ length: Math.max(1, Math.min(count, texts.length)) }, () => ({ texts: [] as string[], cost: 0 }));
  for (const text of [...texts].sort((a, b) => b.length - a.length)) {
    const least = groups.reduce((a, b) => (b.cost < a.cost ? b : a));
    least.texts.push(text);
    least.cost += text.length + KERNEL_COST;
  }
  return groups.map(g => g.texts);
}
