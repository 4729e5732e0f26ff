// The first example whole: enhancing is two kernels, serves pictures of every size, and means what the reference says.
import { open } from "sluice";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as noiser from "../../dsl-examples/noiser/index.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { MACHINES } from "../../compiler/kernel/machines.ts";
import type { HostTensor } from "../../runtime/tensor.ts";
import { numbersOf, RUNNERS, withProgram } from "../support/programs.ts";
import { TARGETS } from "../support/targets.ts";

test("enhancing a picture is two kernels, and on GPUs a third that adds up the statistics of the first one's workgroups", () => {
  const { lowerings } = compileProgram(traceProgram(noiser, "noiser"), Object.values(MACHINES).map(m => m.name));
  for (const { machine, schedules } of lowerings) expect([machine, schedules.find(s => s.entry === "enhance")!.steps.map(s => s.kind)]).toEqual([machine, Array(machine === "gpu" ? 3 : 2).fill("launch")]);
});

/** Brighter to the right and below, with a pattern: no two pixels of a row alike. */
const picture = (height: number, width: number): HostTensor["data"] =>
  Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37 + Math.floor(i / (3 * width)) * 11) % 97);

describe.each(TARGETS)("$name", target => {
  const both = [RUNNERS[0]!, target];
  let programs: Awaited<ReturnType<typeof open<typeof noiser>>>[] = [];
  beforeAll(async () => {
    programs = await Promise.all(both.map(({ options }) => open(noiser, { ...options, seed: 7 })));
  });
  afterAll(() => Promise.all(programs.map(p => p.close())));

  test.each([[1, 1], [1, 7], [5, 1], [2, 2], [3, 17], [16, 16], [31, 47], [2, 1300], [1030, 3]])("a picture of %d × %d", async (height, width) => {
    const image = { shape: [height, width, 3], data: picture(height, width) };
    const [wanted, got] = await Promise.all(programs.map(async p => numbersOf((await p.call("enhance", { image })).image)));
    expect(got!.length).toBe(height * width * 3);
    expect(got!.filter((v, i) => Math.abs(v - wanted![i]!) > 1)).toEqual([]);
  });

  test("training follows the reference, and the same seed gives the same bits", async () => {
    const losses = (runner: typeof target, steps: number) => withProgram(runner, noiser, async p => {
      const seen: number[] = [];
      for (let i = 0; i < steps; i++) seen.push((await p.call("learn", {}))["loss"]!.item());
      return seen;
    });
    const steps = target.isWatched ? 1 : 5;
    const [[wanted], first, second] = [await losses(RUNNERS[0]!, 1), await losses(target, steps), await losses(target, steps)];
    expect(second).toEqual(first);
    expect(first[0]).toBeCloseTo(wanted!, 4);
  });
});
