// Kernel IR to CUDA C++: the kernels of a program as a few translation units, and the header that they include. Each kernel
// is one extern "C" __global__ function k<i> of these arguments, in this order:
//
//   one pointer for each parameter, to a multiple of 16 bytes (4 bits short of a byte count as a byte)
//   one int64_t for each dim, in the order of Kernel.dims
//   of kernels whose tasks do not depend on each other (machine "simd"), also
//     int64_t low, high         the tasks to run, as row-major numbers of points of the grid
//     char *scratch             memory for every task that the launch may have threads for, a multiple of 64 bytes
//     int64_t scratch_bytes     how many of them each has: `scratch`, evaluated in the dims
//
// Such a kernel takes blocks of at most `threads` threads along x, as many as have a thread for each of high - low tasks;
// thread number t of the launch runs task low + t in scratch + t · scratch_bytes. A kernel of workgroups (machine "simt")
// takes exactly `threads` threads along x and one block along x for each point of its grid. Shared memory is static.
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
  /** Of a block: exactly so many for workgroups, at most for tasks. */
  readonly threads: number;
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
    kernels: emitted.map(({ name, threads, scratch }) => ({ name, unit: unitOf.get(name)!, threads, scratch })),
  };
}
