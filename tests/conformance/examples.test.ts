// The examples on every target beside the reference interpreter: training, random streams, optimizers and procedures, from
// the same seed. Rounding grows with steps, so there are few.
import { describe, expect, test } from "vitest";
import { open, type OpenOptions } from "../../compiler/open.ts";
import * as disc from "../../dsl-examples/disc.ts";
import * as noiser from "../../dsl-examples/noiser/index.ts";
import type { HostTensor } from "../../runtime/tensor.ts";
import { elementAt, elementCount } from "../../runtime/tensor.ts";
import { TARGETS } from "../support/targets.ts";

const numbers = (t: HostTensor): number[] => Array.from({ length: elementCount(t.shape) }, (_, i) => elementAt(t, i));

/** Losses of two steps and what they made of the states. */
async function learned(options: OpenOptions, program: { readonly [name: string]: unknown }, states: readonly string[]): Promise<number[]> {
  const opened = await open(program, { ...options, seed: 5 });
  try {
    const losses: number[] = [];
    for (let i = 0; i < 2; i++) losses.push((await opened.call("learn"))["loss"]!.item());
    const after = await Promise.all(states.map(name => opened.state.get(name)));
    return [...losses, ...after.flatMap(numbers)];
  } finally {
    await opened.close();
  }
}

function expectNear(found: readonly number[], wanted: readonly number[]): void {
  expect(found.length).toBe(wanted.length);
  const scale = Math.hypot(...wanted);
  expect(scale).toBeGreaterThan(0);
  expect(Math.hypot(...found.map((x, i) => x - wanted[i]!)) / scale).toBeLessThan(1e-4);
}

describe("a training step", () => {
  const programs = [["disc", disc, ["net.first.weight", "net.last.weight"]], ["NoiSER", noiser, ["net.in.weight", "net.out.bias"]]] as const;
  for (const [name, program, states] of programs) {
    const reference = learned({ target: "interpret" }, program, states);
    test.each(TARGETS)(`of ${name} on $name`, async ({ options }) => expectNear(await learned(options, program, states), await reference));
  }
});

test.each(TARGETS)("NoiSER's enhancement of any size on $name", async ({ options }) => {
  const opened = await open(noiser, options);
  const reference = await open(noiser, { target: "interpret" });
  try {
    for (const [height, width] of [[16, 16], [23, 37]] as const) {
      const image = { shape: [height, width, 3], data: Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * i * 31) % 251) };
      const [found, wanted] = await Promise.all([opened, reference].map(async p => numbers((await p.call("enhance", { image }))["image"]!)));
      // Bytes: a rounding may fall to either side.
      expect(Math.max(...found!.map((x, i) => Math.abs(x - wanted![i]!)))).toBeLessThanOrEqual(1);
      expect(new Set(wanted).size).toBeGreaterThan(20);
    }
  } finally {
    await opened.close();
    await reference.close();
  }
});
