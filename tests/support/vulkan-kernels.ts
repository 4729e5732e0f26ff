// Runs kernels on a Vulkan device, on typed arrays: what tests of the emitter compare with the interpreter. Each kernel is
// an entry that takes all of its buffers and gives those that it writes.
import { byteLength, DTYPES } from "../../compiler/base/dtypes.ts";
import { addSize, type DimValues, evaluateSize, floorDivSize, mulSize, productSize, type Size } from "../../compiler/base/sizes.ts";
import { type KernelModule, kernelModules } from "../../compiler/emit/vulkan/function.ts";
import { vulkanImage } from "../../compiler/emit/vulkan/module.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import { tensorType } from "../../compiler/graph/graph.ts";
import type { Kernel, Param } from "../../compiler/kernel/ir.ts";
import type { Schedule, ScheduleBuffer, Step } from "../../compiler/plan/schedule.ts";
import { load } from "../../runtime/index.ts";
import { tensorOfBytes } from "../../runtime/tensor.ts";
import type { KernelRunner } from "./kernel-cases.ts";

const ALIGNMENT = 64;
const isWritten = (p: Param): boolean => p.access !== "read";

function scheduleOf(kernel: Kernel, k: number): Schedule {
  let end: Size = 0;
  const buffers: ScheduleBuffer[] = [];
  const place = ({ dtype, shape }: Param): number => {
    const bytes = floorDivSize(addSize(mulSize(productSize(shape), DTYPES[dtype].bits), 7), 8);
    buffers.push({ dtype, shape, place: { kind: "arena", offset: end } });
    end = addSize(end, mulSize(ALIGNMENT, floorDivSize(addSize(bytes, ALIGNMENT - 1), ALIGNMENT)));
    return buffers.length - 1;
  };
  const port = (p: Param) => ({ name: p.name, type: tensorType(p.dtype, p.shape), buffer: place(p) });
  const inputs = kernel.params.map(port);
  const outputs = kernel.params.filter(isWritten).map(port);
  const target = (p: Param): number => outputs.find(o => o.name === p.name)?.buffer ?? inputs.find(i => i.name === p.name)!.buffer;
  const copies = outputs.map(({ name, buffer }): Step => ({ kind: "copy", from: inputs.find(i => i.name === name)!.buffer, to: buffer }));
  return {
    entry: `k${k}`, dims: kernel.dims, inputs, outputs, reads: [], writes: [], buffers, arena: end,
    steps: [...copies, { kind: "launch", kernel: k, buffers: kernel.params.map(target), tasks: productSize(kernel.grid.map(g => g.extent)) }],
  };
}

/** `choose`: which modules of a kernel the device may take. */
export async function vulkanRunner(kernels: readonly Kernel[], choose: (modules: readonly KernelModule[]) => readonly KernelModule[] = all => all): Promise<KernelRunner> {
  const named = kernels.map((k, i): Kernel => ({ ...k, name: `kernel_${i}` }));
  const container = writeContainer({
    name: "kernels", dims: [], states: [], constants: [], procedures: [], lowerings: [{ machine: "gpu", kernels: named, schedules: named.map(scheduleOf) }],
  }, [{ kind: "vulkan", lowering: 0, ...vulkanImage(named.map(k => choose(kernelModules(k)))) }]);
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
