// Kernel IR to SPIR-V 1.5 for Vulkan 1.2: one module a kernel, behind a table. The image is little-endian words: a magic
// number, the version, the number of kernels; for each the threads and tasks of a workgroup and where its words lie, counted
// from the end of the table; then the modules.
import type { Kernel } from "../../kernel/ir.ts";
import type { VulkanCode } from "../../../runtime/program.ts";
import { kernelModule } from "./function.ts";

const MAGIC = 0x4b564c53;
const VERSION = 1;

export function emitVulkan(kernels: readonly Kernel[]): VulkanCode {
  const modules = kernels.map(kernelModule);
  const table: number[] = [MAGIC, VERSION, modules.length];
  let first = 0;
  for (const { words, threads, tasks } of modules) {
    table.push(threads, tasks, first, words.length);
    first += words.length;
  }
  const image = new Uint32Array(table.length + first);
  image.set(table);
  modules.reduce((at, { words }) => {
    image.set(words, at);
    return at + words.length;
  }, table.length);
  return { bytes: new Uint8Array(image.buffer), scratch: modules.map(k => k.scratch) };
}
