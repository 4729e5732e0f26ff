// Random graphs of all ops on every compiled target, against the reference interpreter: as far as an element moves under
// roundings of the reference's operations, a target may be from it, and no further. `npm run fuzz` goes on with more.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { graphText } from "../../compiler/testing/index.ts";
import { ranOn } from "../support/conformance.ts";
import { compilable } from "../support/graph-programs.ts";
import { differenceOn, TARGETS, type TargetRow } from "../support/targets.ts";

const COUNT = 30;
const SEED = 20261125;

const UNFUSED: TargetRow = { name: "wasm", options: { target: "wasm", threads: 2, fusion: false } };

test.each([...TARGETS.map(target => ({ name: target.name, target })), { name: "wasm, every op a kernel of its own", target: UNFUSED }])("random graphs on $name", async ({ target }) => {
  let refused = 0;
  await fc.assert(fc.asyncProperty(compilable(8), async c => {
    const difference = await differenceOn(target, c);
    if (difference === undefined) {
      refused++;
      return;
    }
    ranOn(target.name);
    expect(difference, graphText(c.graph)).toBeNull();
  }), { numRuns: COUNT, seed: SEED, endOnFailure: true });
  expect(refused).toBeLessThan(COUNT / 10);
});
