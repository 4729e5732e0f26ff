// What is wrong in what a program is given, or comes of it, said when it runs: the whole text.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { importProgram } from "../../compiler/cli/program-module.ts";
import { effectsOver } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { infoOfProgram, startInterpreter } from "../../runtime/interpret/backend.ts";
import { Program } from "../../runtime/load.ts";

let program: Program;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-errors-"));
  const traced = await importProgram("tests/errors/programs/running.ts");
  program = new Program(infoOfProgram(traced), startInterpreter({ program: traced, dims: {}, checkNan: true, perform: effectsOver(nodeFiles), print: () => undefined }), {});
});
afterAll(async () => {
  await program.close();
  await rm(folder, { recursive: true });
});

const cases: readonly (readonly [what: string, run: (p: Program) => Promise<unknown>, text: () => string])[] = [
  ["an unknown entry", p => p.call("rot"), () => `error ENTRY001: there is no entry \`rot\`
  found:    rot
  expected: one of look, root, count, invert`],
  ["a missing input", p => p.call("root"), () => `error INPUT001: \`root\` needs an input \`x\`
  found:    none
  expected: x: f32 [N]`],
  ["an input that the entry does not have", p => p.call("root", { x: [1, 2], y: [1] }), () => `error INPUT002: \`root\` has no input \`y\`
  found:    y
  expected: x`],
  ["a wrong dtype", p => p.call("count", { ids: new Float32Array(4) }), () => `error INPUT003: input \`ids\` of \`count\` has the wrong dtype
  found:    Float32Array
  expected: i32 [N]
  hint:     convert it to i32, or cast inside the entry`],
  ["a number that the dtype cannot hold", p => p.call("count", { ids: [1, 2.5] }), () => `error INPUT003: input \`ids\` of \`count\` holds a number that i32 cannot
  found:    2.5
  expected: i32 [N]`],
  ["a wrong rank", p => p.call("root", { x: [[1, 2]] }), () => `error INPUT004: input \`x\` of \`root\` has the wrong shape
  found:    f32 [1, 2]
  expected: f32 [N]
  hint:     it has 2 axes instead of 1`],
  ["a dim out of bounds", p => p.call("root", { x: new Float32Array(10) }), () => `error DIM001: dim N of \`root\` is out of bounds
  found:    N = 10
  expected: N: 2 … 8, a multiple of 2`],
  ["a dim that is no multiple", p => p.call("root", { x: [1, 2, 3] }), () => `error DIM001: dim N of \`root\` is out of bounds
  found:    N = 3
  expected: N: 2 … 8, a multiple of 2`],
  ["a state that is read before it has a value", p => p.call("look"), () => `tests/errors/programs/running.ts:6:22: error STATE101: \`look\` reads state \`table\` before it has a value
  expected: a first value, or a load or write before it`],
  ["NaN, with the op and the line that made it", p => p.call("root", { x: [2, 0.5] }), () => `tests/errors/programs/running.ts:9:68: error NAN001: NaN in \`root\`, made by sqrt
  found:    sqrt of shape [2]`],
  ["a picture that is none", async p => {
    await writeFile(join(folder, "photo.png"), "no picture at all");
    await p.run("turn", { photo: join(folder, "photo.png"), to: join(folder, "out.png") });
  }, () => `error IMAGE001: ${join(folder, "photo.png")}: not a picture that can be read
  found:    Input buffer contains unsupported image format
  expected: PNG, JPEG or WebP`],
  ["a picture that is not there", p => p.run("turn", { photo: join(folder, "gone.png"), to: join(folder, "out.png") }), () => `error FILE001: ${join(folder, "gone.png")}: cannot be read: no such file or folder
  found:    ENOENT`],
  ["an argument that is missing", p => p.run("turn", { to: join(folder, "out.png") }), () => `error ARG001: \`turn\` needs an argument \`photo\`
  expected: photo: picture, what to invert`],
  ["a count below 0", p => p.run("turn", { photo: "a.png", times: -5 }), () => `error ARG004: argument \`times\` of \`turn\` is out of bounds
  found:    -5
  expected: 0 … 2147483647`],
  ["a count that i32 does not hold", p => p.run("turn", { photo: "a.png", times: 99999999999 }), () => `error ARG004: argument \`times\` of \`turn\` is out of bounds
  found:    99999999999
  expected: 0 … 2147483647`],
  ["a count that is no number", p => p.run("turn", { photo: "a.png", times: NaN }), () => `error ARG003: argument \`times\` of \`turn\` has the wrong kind
  found:    NaN
  expected: an integer`],
  ["an argument that is not there", p => p.run("turn", { picture: "a.png" }), () => `error ARG002: \`turn\` has no argument \`picture\`
  found:    picture
  expected: photo, times, to`],
];

test.each(cases)("%s", async (_, run, text) => {
  const refused = await run(program).then(() => "nothing was refused", (error: Error) => error.message);
  expect(refused).toBe(text());
});

test("nothing half-written is left by what was refused", async () => expect(await readdir(folder)).toEqual(["photo.png"]));
