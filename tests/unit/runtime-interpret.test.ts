// The reference interpreter behind the same interface as the compiled program: states, procedures and refusals alike.
import { expect, test } from "vitest";
import { dimSize } from "../../compiler/base/sizes.ts";
import type { Span } from "../../compiler/base/span.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type Graph, type Program as Traced, tensorType } from "../../compiler/graph/graph.ts";
import { infoOfProgram, startInterpreter } from "../../runtime/interpret/backend.ts";
import { Program } from "../../runtime/load.ts";

const at = (line: number): Span => ({ file: "user.ts", line, column: 1 });
const vector = tensorType("f32", [2]);

function graph(name: string, build: (b: GraphBuilder) => void): Graph {
  const b = new GraphBuilder(name);
  build(b);
  return b.finish();
}
const first = graph("total.init", b => b.outputs.push({ name: "value", id: b.add("const", [], { value: [1, 2], type: vector }, at(1)) }));
const add = graph("add", b => {
  b.declareState({ name: "total", type: vector });
  const x = b.add("input", [], { name: "x", type: vector }, at(2));
  const sum = b.add("add", [b.add("state", [], { name: "total", type: vector }, at(3)), x], {}, at(4));
  b.updates.push({ name: "total", id: sum });
  b.outputs.push({ name: "sum", id: sum }, { name: "most", id: b.add("reduce", [sum], { kind: "max", axes: [0] }, at(5)) });
});
const root = graph("root", b => {
  b.declareDim({ name: "N", binding: "call", min: 1, max: 8, multipleOf: 1 });
  const x = b.add("input", [], { name: "x", type: tensorType("f32", [dimSize("N")]) }, at(6));
  b.outputs.push({ name: "y", id: b.add("neg", [b.add("sqrt", [x], {}, at(7))], {}, at(8)) });
});
const traced: Traced = {
  name: "traced", dims: root.dims, entries: [add, root],
  states: [{ name: "total", type: vector, span: at(1), init: first }, { name: "unset", type: vector, span: at(9) }],
  procedures: [{
    name: "sum", slots: 3, args: [{ name: "times", kind: "int", help: "", init: 2, slot: 0 }], body: [
      { kind: "list_new", list: 1, dtype: "f32" }, { kind: "list_push", list: 1, value: { scalar: { kind: "const", value: 10 } } }, { kind: "list_push", list: 1, value: { scalar: { kind: "const", value: 20 } } },
      { kind: "list_range", list: 1, start: { kind: "const", value: 0 }, length: { kind: "const", value: 2 }, slot: 2 },
      { kind: "repeat", count: { kind: "slot", slot: 0 }, index: 1, body: [
        { kind: "call", entry: "add", inputs: [{ name: "x", tensor: 2 }], sizes: [], outputs: [{ name: "most", slot: 1 }] }, { kind: "log", values: [{ name: "most", value: { kind: "slot", slot: 1 } }] },
      ] },
    ],
  }],
};
const open = (checkNan = false) => new Program(infoOfProgram(traced), startInterpreter({ program: traced, dims: {}, checkNan, perform: async () => undefined, print: () => {} }), {});

test("entries, states and procedures run", async () => {
  const program = open();
  expect([...(await program.call("add", { x: [1, 1] })).sum!.data]).toEqual([2, 3]);
  const seen: unknown[] = [];
  for await (const { name, value } of program.run("sum", { times: 3 })) seen.push([name, value]);
  expect(seen).toEqual([["most", 23], ["most", 43], ["most", 63]]);
  await program.state.set("total", [5, 6]);
  expect([...(await program.state.get("total")).data]).toEqual([5, 6]);
});

test("what is wrong is refused with the same words", async () => {
  const program = open(true);
  await expect(program.call("root", { x: new Array(9).fill(1) })).rejects.toThrow("DIM001: dim N of `root` is out of bounds");
  await expect(program.state.get("unset")).rejects.toThrow("user.ts:9:1: error STATE101: reading state `unset` before it has a value");
  await expect(program.call("root", { x: [4, -4] })).rejects.toThrow("user.ts:7:1: error NAN001: NaN in `root`, made by sqrt");
});
