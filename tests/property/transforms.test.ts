// Our own passes and every rewrite rule, with the kit that users get: a thousand graphs for each pass, and graphs around each
// rule until it was applied fifty times; exactly in the prime field where that holds, then in float64 on ordinary and special values.
import { describe, expect, test } from "vitest";
import { isIdempotent, preservesMeaning, roundTrips } from "../../compiler/testing/index.ts";
import { rewriteWith } from "../../compiler/transforms/rewrite.ts";
import { OWN_TRANSFORMS, RULES } from "../support/transforms.ts";

describe.each(OWN_TRANSFORMS)("$name", transform => {
  // Rules are tried one by one below.
  test("preserves meaning", () => {
    const { graphs, changed, comparedInPrimeField } = preservesMeaning(transform, { seed: 1, firings: 0 });
    expect(graphs).toBe(1000);
    expect(changed).toBeGreaterThan(200);
    expect(comparedInPrimeField).toBeGreaterThan(transform.exact === "float64" ? -1 : 100);
  });
  test("has nothing to do on its own result", () => isIdempotent(transform, { seed: 2 }));
});

test.each(RULES)("rule $name", rule => {
  const { rules, changed } = preservesMeaning(rewriteWith(rule.name, "one rule", [rule]), { seed: 3, around: rule.name });
  expect(rules.get(rule.name)).toBeGreaterThanOrEqual(50);
  expect(changed).toBeGreaterThan(0);
});

test("any graph is read back as it was written", () => roundTrips(undefined, { seed: 4 }));
