// Groups of states: what is saved with one, and patterns and names over it.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adam, dim, entry, f32, file, linear, load, module, only, procedure, random, save, sgd, state, traceProgram, without } from "sluice";
import { effectsOver } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { readSafetensors } from "../../runtime/io/safetensors.ts";
import { infoOfProgram, startInterpreter } from "../../runtime/interpret/backend.ts";
import { Program } from "../../runtime/load.ts";

const refusal = (f: () => unknown): string => {
  try {
    f();
    return "nothing was refused";
  } catch (error) {
    return (error as Error).message.replace(/^tests\/unit\/groups\.test\.ts:\d+:\d+: error /, "");
  }
};

describe("random streams are saved with the group that holds them", () => {
  const noise = random("noise");
  const net = module({ weight: state(f32(2), "ones"), drops: random("drops") }, () => undefined);
  const traced = traceProgram({
    noise, net,
    draw: entry({}, () => ({ y: noise.uniform(f32(2)).add(net.drops.uniform(f32(2))) })),
    keep: procedure({ to: file("") }, ({ to }) => save(to, { net, noise })),
    back: procedure({ from: file("") }, ({ from }) => load(from, { net, noise })),
    alone: procedure({ to: file("") }, ({ to }) => save(to, noise)),
  }, "streams");
  let program: Program;
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-groups-"));
    program = new Program(infoOfProgram(traced), startInterpreter({ program: traced, dims: {}, checkNan: false, perform: effectsOver(nodeFiles), print: () => undefined }), {});
  });
  afterAll(async () => {
    await program.close();
    await rm(folder, { recursive: true });
  });
  const drawn = async (): Promise<number[]> => [...(await program.call("draw"))["y"]!.data].map(Number);
  const namesIn = async (path: string): Promise<string[]> => [...readSafetensors(path, await readFile(path)).names].sort();

  test("and what is loaded goes on with the draws that would have come", async () => {
    const path = join(folder, "all.safetensors");
    await drawn();
    await program.run("keep", { to: path });
    const next = [await drawn(), await drawn()];
    expect(next[0]).not.toEqual(next[1]);
    await program.run("back", { from: path });
    expect([await drawn(), await drawn()]).toEqual(next);
    expect(await namesIn(path)).toEqual(["net.drops", "net.weight", "noise"]);
  });
  test("a stream alone has its own name in the file", async () => {
    const path = join(folder, "alone.safetensors");
    await program.run("alone", { to: path });
    expect(await namesIn(path)).toEqual(["noise"]);
  });
});

test("a group without a state is not saved or loaded in silence", () => {
  const nothing = procedure({}, () => save("a.safetensors", { rate: 3 }));
  expect(refusal(() => traceProgram({ f: entry({ x: f32(2) }, ({ x }) => ({ y: x.exp() })), nothing }, "p"))).toMatch(/^GROUP002: save: there is no state in the group\n/);
});

describe("patterns that match nothing are refused with the nearest names", () => {
  const net = module({ first: linear(2, 3), blocks: [module({ fc: linear(3, 3) }, () => undefined)] }, () => undefined);
  test.each<readonly [string, () => unknown, RegExp]>([
    ["only", () => only(net, "*.weigth"), /^GROUP001: only: no state is called \*\.weigth\n {2}found: {4}\*\.weigth\n {2}expected: first\.weight, blocks\.0\.fc\.weight, .*\n {2}hint: {5}\* stands for any characters but dots, \*\* for any$/],
    ["without", () => without(net, "frist.*"), /^GROUP001: without: no state is called frist\.\*\n.*\n {2}expected: first\.weight, first\.bias, /],
    ["decayOf", () => adam(net, { rate: 1, decay: 0.1, decayOf: "*.kernel" }), /^GROUP001: decayOf: no state is called \*\.kernel\n/],
    ["decayOf with a star too few", () => adam({ net: { deep: net.blocks } }, { rate: 1, decay: 0.1, decayOf: "*.weight" }), /^GROUP001: decayOf: no state is called \*\.weight\n.*\n {2}expected: net\.deep\.0\.fc\.weight/],
    ["l2Of", () => sgd(net, { rate: 1, l2: 0.1, l2Of: "weight" }), /^GROUP001: l2Of: no state is called weight\n.*\n {2}expected: first\.weight, /],
    ["rates", () => sgd(net, { rate: 1, rates: { "last.*": 1 } }), /^GROUP001: rates: no state is called last\.\*\n/],
    ["a rate that an earlier one takes all from", () => sgd(net, { rate: 1, rates: { "**": 1, "first.bias": 2 } }), /^GRAD005: rates: earlier patterns took all that first\.bias matches\n/],
    ["of what, without how much", () => sgd(net, { rate: 1, decayOf: "**.weight" }), /^GRAD005: decayOf says of what, and nothing says how much\n.*\n {2}expected: decay: a number that is not 0/],
    ["a rate that is no number", () => sgd(net, { rate: NaN }), /^GRAD006: rate is no number\n {2}found: {4}NaN/],
    ["a beta that is no number", () => adam(net, { rate: 1, betas: [0.9, NaN] }), /^GRAD006: betas is no number\n {2}found: {4}NaN/],
  ])("%s", (_, f, text) => expect(refusal(f)).toMatch(text));
  test("patterns that match are taken", () => expect(refusal(() => adam(net, { rate: 1, decay: 0.1, decayOf: "**.weight", rates: { "first.bias": 2, "**": 1 } }))).toBe("nothing was refused"));
});

describe("what an entry returns", () => {
  const B = dim("B", { max: 4 });
  const w = state(f32(2));
  const returning = (value: (x: unknown) => unknown) => traceProgram({ w, f: entry({ x: f32(B) }, (({ x }: { x: unknown }) => value(x)) as never) }, "p");
  test.each<readonly [string, (x: unknown) => unknown, string]>([
    ["a number", () => 3, "TRACE007: entry f returns 3\n  found:    3\n  expected: an object of tensors: { y: x.exp() }, or nothing\n  hint:     give it a name: ({ y })"],
    ["a tensor", x => x, "TRACE007: entry f returns a tensor\n  found:    a tensor\n  expected: an object of tensors: { y: x.exp() }, or nothing\n  hint:     give it a name: ({ y })"],
    ["a state", () => w, "TRACE007: entry f returns a tensor\n  found:    a tensor\n  expected: an object of tensors: { y: x.exp() }, or nothing\n  hint:     give it a name: ({ y })"],
    ["a list", x => [x], "TRACE007: entry f returns a list\n  found:    a list\n  expected: an object of tensors: { y: x.exp() }, or nothing\n  hint:     give each a name: ({ first, second })"],
    ["a dim", () => B, "TRACE007: entry f returns dim B\n  found:    dim B\n  expected: an object of tensors: { y: x.exp() }, or nothing"],
    ["a promise", async x => ({ x }), "TRACE007: entry f returns a promise\n  found:    a promise\n  expected: an object of tensors: { y: x.exp() }, or nothing\n  hint:     an entry is traced at once: its function is not async"],
    ["null", () => null, "TRACE007: entry f returns null\n  found:    null\n  expected: an object of tensors: { y: x.exp() }, or nothing"],
    ["nothing, and writes nothing", () => undefined, "TRACE008: entry f does nothing: it returns nothing and writes no state\n  expected: outputs by name, or a state that is set\n  hint:     an arrow function returns an object in parentheses: ({ x }) => ({ y: x.exp() })"],
    ["a dim as an output", () => ({ n: B }), "TRACE004: output n of entry f is not a tensor\n  found:    dim B\n  expected: a tensor\n  hint:     a size as a tensor is full(i32(), B)"],
    ["an object as an output", x => ({ a: { x } }), "TRACE004: output a of entry f is not a tensor\n  found:    an object\n  expected: a tensor\n  hint:     outputs are flat: give each tensor a name of its own"],
    ["undefined as an output", () => ({ a: undefined }), "TRACE004: output a of entry f is not a tensor\n  found:    undefined\n  expected: a tensor\n  hint:     leave it out where there is none"],
  ])("%s is refused", (_, value, text) => expect(refusal(() => returning(value))).toBe(text));
  test("a state under a name is its value, and an entry that only writes returns nothing", () => {
    expect(refusal(() => returning(() => ({ w })))).toBe("nothing was refused");
    expect(refusal(() => returning(() => void w.set(1)))).toBe("nothing was refused");
  });
});
