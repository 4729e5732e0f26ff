// Kernel IR to SPIR-V 1.5 for Vulkan 1.2: a module a kernel, or one for each set of features that it has a use for, behind a
// table. The image is little-endian words: a magic number, the version, the numbers of kernels and of modules; for each module
// its kernel, the threads and tasks of a workgroup, the size that its subgroups must have or 0, and where its words lie, counted
// from the end of the table; then the modules. Those of a kernel stand together, the one that wants most of a device first.
import type { Kernel } from "../../kernel/ir.ts";
import type { VulkanCode } from "../../../runtime/program.ts";
import { type KernelModule, kernelModules } from "./function.ts";

const MAGIC = 0x4b564c53;
const VERSION = 2;

export const emitVulkan = (kernels: readonly Kernel[]): VulkanCode => vulkanImage(kernels.map(kernelModules));

/** Of each kernel its modules. */
export function vulkanImage(modules: readonly (readonly KernelModule[])[]): VulkanCode {
  const table: number[] = [MAGIC, VERSION, modules.length, modules.flat().length];
  let first = 0;
  modules.forEach((ofKernel, kernel) => {
    for (const { words, threads, tasks, subgroup } of ofKernel) {
      table.push(kernel, threads, tasks, subgroup, first, words.length);
      first += words.length;
    }
  });
  const image = new Uint32Array(table.length + first);
  image.set(table);
  modules.flat().reduce((at, { words }) => {
    image.set(words, at);
    return at + words.length;
  }, table.length);
  return { bytes: new Uint8Array(image.buffer), scratch: modules.map(([best]) => best!.scratch) };
}
