// Random numbers are the same to the bit on every target: bits, uniforms and normals, at any size and thread count.
import { expect, test } from "vitest";
import { dimSize } from "../../compiler/base/sizes.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type Graph, tensorType } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { open } from "../../compiler/open.ts";
import { countedOn } from "../support/conformance.ts";
import { fromHost, programOf, toHost } from "../support/graph-programs.ts";
import { TARGETS } from "../support/targets.ts";

const KINDS = ["bits", "uniform", "normal"] as const;

function draws(): Graph {
  const b = new GraphBuilder("draws");
  b.declareDim({ name: "N", binding: "call", min: 1, max: 10_000, multipleOf: 1 });
  const g = new Build(b, null);
  const key = b.add("input", [], { name: "key", type: tensorType("u32", [2]) });
  for (const kind of KINDS) b.outputs.push({ name: kind, id: g.node("random", [key], { kind, stream: "noise", call: 3, shape: [dimSize("N"), 7], axes: [null, null] }) });
  return b.finish();
}

test.each(TARGETS)("on $name", async target => {
  const graph = draws();
  const program = await open(programOf(graph), countedOn(target));
  try {
    for (const [N, words] of [[1, [0, 0]], [1237, [42, 7]], [613, [0xffffffff, 0xffffffff]]] as const) {
      const key = { dtype: "u32", shape: [2], data: Float64Array.from(words) } as const;
      const wanted = interpret(graph, { inputs: { key }, dims: { N } }).outputs;
      const got = await program.call("draws", { key: toHost(key) }, { N });
      for (const kind of KINDS) expect([kind, fromHost(got[kind]!).data]).toEqual([kind, wanted[kind]!.data]);
      expect(wanted["normal"]!.data.some(x => x < 0) && wanted["normal"]!.data.some(x => x > 0)).toBe(true);
    }
  } finally {
    await program.close();
  }
});
