// The gradient of every op that has one, in random graphs around it, against differences.
import { expect, test } from "vitest";
import { OP_NAMES, opDefinition } from "../../compiler/graph/ops.ts";
import { respectsGradient } from "../../compiler/testing/index.ts";

test.each(OP_NAMES.filter(op => opDefinition(op).gradient !== "none").map(op => ({ op })))("$op", ({ op }) => {
  expect(respectsGradient(op, { seed: 5 })).toBeGreaterThan(0);
});

test("a gradient of NaN where the value is NaN on the way, as for NaN to the power of 0, which is 1, is no fault", () => {
  expect(respectsGradient("pow", { seed: 103, graphs: 150 })).toBeGreaterThan(0);
});
