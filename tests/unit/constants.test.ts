// Constants that are made outside of any entry: one in every graph that uses it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { arange, constant, dim, entry, f32, full, i32, int, iterate, log, procedure, state, traceProgram } from "sluice";
import { effectsOver } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { infoOfProgram, startInterpreter } from "../../runtime/interpret/backend.ts";
import { Program } from "../../runtime/load.ts";

const B = dim("B", { max: 8 });
const numbers = [1, 10, 100];
const rates = constant(numbers, f32(3));
const threshold = constant(0.5);
const ones = full(f32(B, 3), 1);
const ids = arange(B);
const bias = state(f32(3), () => rates.mul(2));

const traced = traceProgram({
  bias,
  scale: entry({ x: f32(B, 3) }, ({ x }) => ({ y: x.mul(rates).add(rates), z: x.add(ones) })),
  count: entry({ x: f32(B) }, ({ x }) => ({ y: x.mul(ids.cast("f32")).gt(threshold) })),
  turns: entry({}, () => ({ y: iterate(3, { x: full(f32(3), 1) }, ({ x }) => ({ x: x.mul(rates) })).x })),
  one: entry({ x: f32(B, 3) }, ({ x }) => ({ y: x.add(ones) }), { B: 1 }),
  biased: entry({}, () => ({ y: bias.add(rates) })),
  wide: entry({ by: f32() }, ({ by }) => ({ y: rates.mul(by) })),
  tell: procedure({ n: int(1) }, ({ n }) => log({ rate: n.add(threshold), whole: constant(3, i32()) })),
}, "constants");
// What is changed later is no part of the program.
numbers[0] = 7;

let program: Program;
const rows: unknown[] = [];
beforeAll(() => {
  program = new Program(infoOfProgram(traced), startInterpreter({ program: traced, dims: {}, checkNan: false, perform: effectsOver(nodeFiles), print: () => undefined }), {});
});
afterAll(() => program.close());
const y = async (name: string, inputs: Parameters<Program["call"]>[1] = {}): Promise<number[]> => [...(await program.call(name, inputs))["y"]!.data].map(Number);

test("several entries use it, and one entry several times by one node", async () => {
  expect(await y("scale", { x: [[1, 2, 3]] })).toEqual([2, 30, 400]);
  expect(await y("wide", { by: 3 })).toEqual([3, 30, 300]);
  const scale = traced.entries.find(e => e.name === "scale")!;
  expect(scale.nodes.filter(n => n.op === "const" && Array.isArray(n.attrs.value))).toHaveLength(1);
});
test("its sizes are those of the entry, bound where it fixes them", async () => {
  expect(await y("count", { x: [1, 1, 1] })).toEqual([0, 1, 1]);
  expect(await y("one", { x: [[1, 2, 3]] })).toEqual([2, 3, 4]);
});
test("bodies of loops and first values use it too", async () => {
  expect(await y("turns")).toEqual([1, 1000, 1000000]);
  expect(await y("biased")).toEqual([3, 30, 300]);
});
test("one number is a scalar of procedures", async () => {
  await program.run("tell", {}, { onRow: row => void rows.push(row) });
  expect(rows).toEqual([{ kind: "log", inLoop: false, values: [{ name: "rate", value: 1.5 }, { name: "whole", value: 3 }] }]);
});
test("its nodes stand where it is written", () => {
  const node = traced.entries.find(e => e.name === "scale")!.nodes.find(n => n.op === "const" && Array.isArray(n.attrs.value))!;
  expect(node.span).toMatchObject({ file: "tests/unit/constants.test.ts", line: 11 });
});
