// The machine profiles that kernels are generated for: what a generator may know of the registers it fills. A program is
// lowered once for each profile it is to run on; a target (wasm, cpu at a level) names the profile it takes.

export interface SimdMachine {
  readonly name: MachineName;
  /** Bits of a vector register. */
  readonly vectorBits: 32 | 128 | 256 | 512;
  /** Vector registers that a kernel can keep values in. */
  readonly registers: 16 | 32;
  /** Bytes of the first cache for data that any such machine has. */
  readonly firstCache: number;
  /** What a task of a loop is: a range of some thousand elements, of which a worker has a few; or one element, on a GPU's thread. */
  readonly tasks: "ranges" | "elements";
}

export type MachineName = "simd128" | "v3" | "v4" | "gpu";

const FIRST_CACHE = 32 * 1024;

/** simd128: WebAssembly. v3, v4: the x86-64 levels with AVX2 and FMA, and with AVX-512. gpu: threads that have scalars only. */
export const MACHINES: { readonly [N in MachineName]: SimdMachine } = {
  simd128: { name: "simd128", vectorBits: 128, registers: 16, firstCache: FIRST_CACHE, tasks: "ranges" },
  v3: { name: "v3", vectorBits: 256, registers: 16, firstCache: FIRST_CACHE, tasks: "ranges" },
  v4: { name: "v4", vectorBits: 512, registers: 32, firstCache: FIRST_CACHE, tasks: "ranges" },
  gpu: { name: "gpu", vectorBits: 32, registers: 32, firstCache: FIRST_CACHE, tasks: "elements" },
};
