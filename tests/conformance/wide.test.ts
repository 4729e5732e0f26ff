// What is too much for one kernel is divided among several, and comes to the same on every target.
import { beforeAll, describe, expect, test } from "vitest";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { open } from "../../compiler/open.ts";
import { countedOn } from "../support/conformance.ts";
import { expectClose } from "../support/compiled.ts";
import { fromHost, type Prepared, prepared, toHost } from "../support/graph-programs.ts";
import { TARGETS } from "../support/targets.ts";
import { WIDE } from "../support/wide-programs.ts";

const { stridedSlices, halvedRows, transform, pieces, gathers, operand } = WIDE;
const traced = traceProgram({ stridedSlices, halvedRows, transform, pieces, gathers, operand }, "wide");

describe("wide graphs", () => {
  const runs = new Map<string, Prepared>();
  beforeAll(() => {
    for (const graph of traced.entries) runs.set(graph.name, prepared({ graph }));
  });
  test.each(TARGETS)("on $name", async target => {
    const program = await open(traced, countedOn(target));
    try {
      for (const [entryName, { given, outputs }] of runs) {
        const got = await program.call(entryName, Object.fromEntries(Object.entries(given).map(([name, v]) => [name, toHost(v)])));
        for (const [name, value] of Object.entries(outputs)) expectClose(`${entryName} ${name}`, fromHost(got[name]!), value);
      }
      expect(runs.size).toBe(6);
    } finally {
      await program.close();
    }
  });
});
