// Our own passes and every rewrite rule, with the kit that users get: a thousand graphs each, exactly in the prime field where
// a rule holds there, then in float64.
import { describe, expect, test } from "vitest";
import { OP_NAMES } from "../../compiler/graph/ops.ts";
import { isIdempotent, preservesMeaning, roundTrips } from "../../compiler/testing/index.ts";
import { rewriteWith } from "../../compiler/transforms/rewrite.ts";
import { FIELD_EXACT, OWN_TRANSFORMS, RULES } from "../support/transforms.ts";

describe.each(OWN_TRANSFORMS)("$name", transform => {
  test("preserves meaning", () => {
    const { graphs, changed, comparedInPrimeField } = preservesMeaning(transform, { isFieldExact: FIELD_EXACT, seed: 1 });
    expect(graphs).toBe(1000);
    expect(changed).toBeGreaterThan(200);
    expect(comparedInPrimeField).toBeGreaterThan(100);
  });
  test("has nothing to do on its own result", () => isIdempotent(transform, { seed: 2 }));
});

// Graphs of the rule's own ops, so that it finds something to do.
test.each(RULES)("rule $name", rule => {
  const words: readonly string[] = rule.from.match(/[a-z_0-9]+/g) ?? [];
  const ops = OP_NAMES.filter(op => words.includes(op));
  preservesMeaning(rewriteWith(rule.name, "one rule", [rule]), { isFieldExact: FIELD_EXACT, seed: 3, ...(ops.length > 0 ? { ops } : {}) });
});

test("any graph is read back as it was written", () => roundTrips(undefined, { seed: 4 }));
