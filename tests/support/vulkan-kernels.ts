// Runs kernels on a Vulkan device, on typed arrays: what tests of the emitter compare with the interpreter.
import { byteLength } from "../../compiler/base/dtypes.ts";
import { type DimValues, evaluateSize } from "../../compiler/base/sizes.ts";
import { type KernelModule, kernelModules } from "../../compiler/emit/vulkan/function.ts";
import { vulkanImage } from "../../compiler/emit/vulkan/module.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import type { Kernel, Param } from "../../compiler/kernel/ir.ts";
import { load } from "../../runtime/index.ts";
import { tensorOfBytes } from "../../runtime/tensor.ts";
import type { KernelRunner } from "./kernel-cases.ts";
import { isWritten, programOfKernels } from "./kernel-program.ts";

/** `choose`: which modules of a kernel the device may take. */
export async function vulkanRunner(kernels: readonly Kernel[], choose: (modules: readonly KernelModule[]) => readonly KernelModule[] = all => all): Promise<KernelRunner> {
  const container = writeContainer(programOfKernels(kernels), [{ kind: "vulkan", lowering: 0, ...vulkanImage(kernels.map(k => choose(kernelModules(k)))) }]);
  const program = await load(container, { target: "vulkan", trust: true, validate: true });
  return async (k, buffers, dims: DimValues = {}) => {
    const kernel = kernels[k]!;
    const bytesOf = (p: Param): Uint8Array => {
      const { buffer, byteOffset } = buffers[p.name]!;
      return new Uint8Array(buffer, byteOffset, byteLength(p.dtype, p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1)));
    };
    const shapeOf = (p: Param): number[] => p.shape.map(s => evaluateSize(s, dims));
    const own = Object.fromEntries(kernel.dims.map(d => [d.name, dims[d.name]!]));
    const results = await program.call(`k${k}`, Object.fromEntries(kernel.params.map(p => [p.name, tensorOfBytes(p.dtype, shapeOf(p), bytesOf(p).slice())])), own);
    for (const p of kernel.params.filter(isWritten)) {
      const { data } = results[p.name]!;
      bytesOf(p).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  };
}
