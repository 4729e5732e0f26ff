// Before native code is made of kernels that nobody vouches for: each kernel is verified to stay within its operands, and each
// launch runs the tasks of its kernel's grid and no others. Operands are held to their sizes when a schedule is bound.
import { productSize, sameSize, sizeText } from "../base/sizes.ts";
import { KernelInvariantError } from "../kernel/invariant.ts";
import { verifyKernel } from "../kernel/verify.ts";
import type { Lowering, Step } from "../plan/schedule.ts";
import { containerError } from "./layout.ts";

/** Throws SLX001. */
export function verifyLowering({ kernels, schedules }: Lowering): void {
  for (const k of kernels) {
    try {
      verifyKernel(k);
    } catch (error) {
      if (error instanceof KernelInvariantError) throw containerError("a kernel may reach beyond its operands", error.message);
      throw error;
    }
  }
  const tasks = kernels.map(k => productSize(k.grid.map(g => g.extent)));
  const walk = (entry: string, steps: readonly Step[]): void => {
    for (const s of steps) {
      if (s.kind === "loop") walk(entry, s.body);
      else if (s.kind === "launch" && !sameSize(s.tasks, tasks[s.kernel]!)) throw containerError(`a launch of \`${entry}\` has other tasks than its kernel's grid`, sizeText(s.tasks), sizeText(tasks[s.kernel]!));
    }
  };
  for (const { entry, steps } of schedules) walk(entry, steps);
}
