// What a runtime needs of a compiled program: everything but the kernels' bodies. A CompiledProgram is one; a container
// gives one without the kernels' code being read. Modules hold the kernels of one of its lowerings as code.
import type { Size } from "../compiler/base/sizes.ts";
import type { Kernel } from "../compiler/kernel/ir.ts";
import type { CompiledProgram, Lowered, Lowering } from "../compiler/plan/schedule.ts";

export type KernelInfo = Pick<Kernel, "name" | "params" | "dims" | "summary">;

export interface RuntimeLowering extends Omit<Lowering, "kernels"> {
  readonly kernels: readonly KernelInfo[];
}
export interface RuntimeProgram extends Omit<CompiledProgram, "lowerings"> {
  readonly lowerings: readonly RuntimeLowering[];
}
/** What one machine runs. */
export type LoweredProgram = Lowered<RuntimeProgram>;

/** Kernels as a WebAssembly module, for one kind of engine. */
export interface WasmCode {
  /** The instructions it may use beyond SIMD128: relaxed fused multiply-add. */
  readonly relaxed: boolean;
  /** Whether the memory that it imports is shared between threads. */
  readonly shared: boolean;
  readonly bytes: Uint8Array;
  /** Bytes of local memory that a worker needs, kernel by kernel. */
  readonly scratch: readonly Size[];
}

/** Kernels as an ELF shared object, for processors of an x86-64 level that have the features beside it. */
export interface CpuCode {
  readonly level: "v3" | "v4";
  readonly features: readonly CpuFeature[];
  readonly bytes: Uint8Array;
  readonly scratch: readonly Size[];
}
export type CpuFeature = "vnni" | "bf16";

/** Kernels as SPIR-V modules behind a table, which emit/vulkan/module.ts describes. */
export interface VulkanCode {
  readonly bytes: Uint8Array;
  /** Bytes of local memory that a task needs, kernel by kernel. */
  readonly scratch: readonly Size[];
}

/** Kernels as fat binaries behind a table, which emit/cuda/module.ts writes. */
export interface CudaCode {
  /** What they have code for, as nvcc names it: `sm_90`. */
  readonly architectures: readonly string[];
  readonly bytes: Uint8Array;
  /** Bytes of local memory that a task needs, kernel by kernel. */
  readonly scratch: readonly Size[];
}

/** Code for the kernels of the lowering with that number. */
export type WasmModule = WasmCode & { readonly kind: "wasm"; readonly lowering: number };
export type CpuModule = CpuCode & { readonly kind: "cpu"; readonly lowering: number };
export type VulkanModule = VulkanCode & { readonly kind: "vulkan"; readonly lowering: number };
export type CudaModule = CudaCode & { readonly kind: "cuda"; readonly lowering: number };
export type Module = WasmModule | CpuModule | VulkanModule | CudaModule;
