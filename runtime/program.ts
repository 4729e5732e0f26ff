// What a runtime needs of a compiled program: everything but the kernels' bodies. A CompiledProgram is one; a container
// gives one without the kernels' code being read.
import type { Size } from "../compiler/base/sizes.ts";
import type { Kernel } from "../compiler/kernel/ir.ts";
import type { CompiledProgram } from "../compiler/plan/schedule.ts";

export type KernelInfo = Pick<Kernel, "name" | "params" | "dims" | "spans" | "summary">;

export interface RuntimeProgram extends Omit<CompiledProgram, "kernels"> {
  readonly kernels: readonly KernelInfo[];
}

/** The kernels of one program as a WebAssembly module, for one kind of engine. */
export interface WasmModule {
  /** The instructions it may use beyond SIMD128: relaxed fused multiply-add. */
  readonly relaxed: boolean;
  /** Whether the memory that it imports is shared between threads. */
  readonly shared: boolean;
  readonly bytes: Uint8Array;
  /** Bytes of local memory that a worker needs, kernel by kernel. */
  readonly scratch: readonly Size[];
}
