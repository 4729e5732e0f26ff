// Kernels as a program to load: each is an entry, k0, k1, …, that takes all of its buffers and gives those that it writes.
import { productSize, type Size } from "../../compiler/base/sizes.ts";
import { tensorType } from "../../compiler/graph/graph.ts";
import type { Kernel, Param } from "../../compiler/kernel/ir.ts";
import { alignedBytes } from "../../compiler/plan/arena.ts";
import type { CompiledProgram, Schedule, ScheduleBuffer, Step } from "../../compiler/plan/schedule.ts";

export const isWritten = (p: Param): boolean => p.access !== "read";

function scheduleOf(kernel: Kernel, k: number): Schedule {
  const slots: Size[] = [];
  const buffers: ScheduleBuffer[] = [];
  const place = ({ dtype, shape }: Param): number => {
    const slot = slots.push(alignedBytes({ dtype, shape })) - 1;
    return buffers.push({ dtype, shape, place: { kind: "slot", slot } }) - 1;
  };
  const port = (p: Param) => ({ name: p.name, type: tensorType(p.dtype, p.shape), buffer: place(p) });
  const inputs = kernel.params.map(port);
  const outputs = kernel.params.filter(isWritten).map(port);
  const target = (p: Param): number => outputs.find(o => o.name === p.name)?.buffer ?? inputs.find(i => i.name === p.name)!.buffer;
  const copies = outputs.map(({ name, buffer }): Step => ({ kind: "copy", from: inputs.find(i => i.name === name)!.buffer, to: buffer }));
  return {
    entry: `k${k}`, dims: kernel.dims, inputs, outputs, reads: [], writes: [], buffers, slots,
    steps: [...copies, { kind: "launch", kernel: k, buffers: kernel.params.map(target), tasks: productSize(kernel.grid.map(g => g.extent)), spans: kernel.spans }],
  };
}

export function programOfKernels(kernels: readonly Kernel[]): CompiledProgram {
  const named = kernels.map((k, i): Kernel => ({ ...k, name: `kernel_${i}` }));
  return { name: "kernels", dims: [], states: [], constants: [], procedures: [], lowerings: [{ machine: "gpu", kernels: named, schedules: named.map(scheduleOf) }] };
}
