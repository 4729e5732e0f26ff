// Kernel IR to CUDA C++: the kernels of a program as a few translation units, and the header that they include. Each kernel
// is one extern "C" __global__ function k<i> of these arguments, in this order:
//
//   one pointer for each parameter, to a multiple of 16 bytes
//   one int64_t for each dim, in the order of Kernel.dims
//   int64_t low, high         the tasks to run: points of the grid by their numbers in row-major order
//   char *scratch             memory for all threads of the launch that may have a task, at a multiple of 64 bytes
//   int64_t scratch_bytes     how many of them each has: CudaKernel.scratch, evaluated in the dims
//
// A launch has blocks along x only, ⌈(high - low) / tasks⌉ of them, of `threads` threads along x. Of kernels whose tasks do
// not depend on each other (machine "simd") thread number t of the launch runs task low + t in scratch + t · scratch_bytes,
// and threads beyond the last task do nothing; such blocks may be smaller, with as many tasks as threads. Of kernels of
// workgroups (machine "simt") block b is task low + b, and there is no scratch. Shared memory is static.
import type { Size } from "../../base/sizes.ts";
import type { Kernel } from "../../kernel/ir.ts";
import { emitKernel } from "./function.ts";
import { HEADER_FILE } from "./header.ts";

export interface CudaSource {
  readonly units: readonly string[];
  /** By kernel: the exported function, and the unit it is in. */
  readonly kernels: readonly CudaKernel[];
}
export interface CudaKernel {
  readonly name: string;
  readonly unit: number;
  /** Of a block. */
  readonly threads: number;
  readonly tasks: number;
  /** Bytes that each task needs. */
  readonly scratch: Size;
}

/** The kernels in `units` texts of about the same length. */
export function emitCuda(kernels: readonly Kernel[], { units }: { readonly units: number }): CudaSource {
  const emitted = kernels.map((kernel, i) => ({ name: `k${i}`, ...emitKernel(kernel, `k${i}`) }));
  const groups = Array.from({ length: Math.max(1, Math.min(units, kernels.length)) }, () => ({ texts: [] as string[], length: 0 }));
  const unitOf = new Map<string, number>();
  // The longest first into the shortest.
  for (const { name, text } of [...emitted].sort((a, b) => b.text.length - a.text.length)) {
    const shortest = groups.reduce((best, g, i) => (g.length < groups[best]!.length ? i : best), 0);
    groups[shortest]!.texts.push(text);
    groups[shortest]!.length += text.length;
    unitOf.set(name, shortest);
  }
  return {
    units: groups.map(g => `#include "${HEADER_FILE}"\n\n${g.texts.join("\n")}`),
    kernels: emitted.map(({ name, threads, tasks, scratch }) => ({ name, unit: unitOf.get(name)!, threads, tasks, scratch })),
  };
}
