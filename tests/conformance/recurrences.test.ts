// Loops inside graphs that go along an axis of an input, on every target, against the same steps made in plain numbers.
import { describe, expect, test } from "vitest";
import { entry, f32, full, iterate, type Tensor } from "sluice";
import { callOnce, expectNear, RUNNERS } from "../support/programs.ts";

describe.each(RUNNERS)("$name", target => {
  test("an input that only a loop reads is there in every step, beside values that live within one", async () => {
    const f = entry({ x: f32(5, 1), w: f32(1, 2) }, ({ x, w }) => {
      const { h } = iterate(5, { h: full(f32(1)) as Tensor }, (now, i) => {
        const own = (x as Tensor).select({ 0: i }).unsqueeze(0).matmul(w).reshape(2).add(1);
        const past = now.h.add(1).reshape(1, 1).matmul(w).reshape(2);
        return { h: past.select({ 0: 0 }).add(past.select({ 0: 1 })).add(own.select({ 0: 0 })).unsqueeze().mul(0.5) as Tensor };
      });
      return { h };
    });
    const [x, w] = [[3, -1, 4, 1.5, -5], [0.25, 0.5]] as const;
    const wanted = x.reduce((h, v) => 0.5 * ((h + 1) * w[0] + (h + 1) * w[1] + v * w[0] + 1), 0);
    const { h } = await callOnce(target, { f }, "f", { x: x.map(v => [v]), w: [[...w]] });
    expect(wanted).not.toBe(0);
    expectNear(h, [wanted]);
  });
});
