// What is wrong, as the command line says it over a program's module: one message on standard error, whole, exit code 1,
// nothing on standard output, nothing half-written.
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { writeNpy } from "../../runtime/io/npy.ts";
import { writeSafetensors } from "../../runtime/io/safetensors.ts";
import { tensorOfNumbers } from "../../runtime/tensor.ts";

const program = "tests/errors/programs/running.ts";
const ran = "wasm, 2 threads, relaxed SIMD\n";
let folder = "";
const at = (name: string): string => join(folder, name);
const given = ["bad.png", "ints.safetensors", "long.npy", "negative.npy", "noise.png", "part.safetensors", "small.png"];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-errors-"));
  await writeFile(at("ints.safetensors"), writeSafetensors("x", new Map([["x", tensorOfNumbers("i32", [2], [1, 2])]])));
  await writeFile(at("long.npy"), writeNpy("x", tensorOfNumbers("f32", [10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])));
  await writeFile(at("negative.npy"), writeNpy("x", tensorOfNumbers("f32", [2], [2, 0.5])));
  await writeFile(at("part.safetensors"), writeSafetensors("x", new Map([["first.bias", tensorOfNumbers("f32", [64], new Array(64).fill(0))]])));
  await writeFile(at("bad.png"), "no picture at all");
  await sharp({ create: { width: 2, height: 3, channels: 3, background: "red" } }).png().toFile(at("small.png"));
  await sharp({ create: { width: 200, height: 200, channels: 3, noise: { type: "gaussian", mean: 128, sigma: 60 }, background: "black" } }).png().toFile(at("noise.png"));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(async () => expect(await readdir(folder)).toEqual(given));

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
const said = ({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }): Said => ({ code: status, out: stdout, err: stderr });
const sluice = (...args: readonly string[]): Said => said(spawnSync(process.execPath, ["compiler/cli/sluice.js", ...args], { encoding: "utf8" }));
/** Under a limit of 32 KiB for each file that is written, which a program reaches and no script of ours: what a full disk is to a writer. */
const limited = (...args: readonly string[]): Said => said(spawnSync("bash", ["-c", "ulimit -f 32; exec \"$@\"", "bash", process.execPath, "compiler/cli/sluice.js", ...args], { encoding: "utf8" }));

const cases: readonly (readonly [what: string, run: () => Said, text: () => string])[] = [
  ["an unknown entry", () => sluice("run", program, "rot"), () => `error ENTRY001: ${program} has no entry or procedure \`rot\`
  found:    rot
  expected: one of turn, count, invert, look, root
`],
  ["a missing input", () => sluice("run", program, "root", "--threads", "2"), () => `${ran}error INPUT001: \`root\` needs an input \`x\`
  found:    none
  expected: x: f32 [N]
`],
  ["a wrong dtype", () => sluice("run", program, "root", "--threads", "2", "--input", `x=${at("ints.safetensors")}`), () => `${ran}error INPUT003: input \`x\` of \`root\` has the wrong dtype
  found:    i32
  expected: f32 [N]
  hint:     convert it to f32, or cast inside the entry
`],
  ["a number of a file that the input cannot hold", () => sluice("run", program, "count", "--threads", "2", "--input", `ids=${at("negative.npy")}`), () => `${ran}error NPY002: ${at("negative.npy")}: a number does not fit i32
  found:    0.5 at [1]
  expected: integers from -2147483648 to 2147483647
`],
  ["a part of a module's states", () => sluice("run", "dsl-examples/disc.ts", "train", "--threads", "2", "--states", at("part.safetensors")), () => `${ran}error LOAD004: ${at("part.safetensors")}: only a part of \`net\` is there
  found:    missing: \`net.first.weight\`, \`net.second.weight\`, \`net.second.bias\`, \`net.last.weight\`, \`net.last.bias\`
  hint:     --partial says that a part is meant; what is missing keeps its first value
`],
  ["a renamed tensor that no file has", () => sluice("run", "dsl-examples/disc.ts", "train", "--threads", "2", "--states", at("part.safetensors"), "--rename", "first.bais=net.last.bias"), () => `${ran}error LOAD002: --rename first.bais=net.last.bias names no tensor of ${at("part.safetensors")}
  found:    first.bais
  expected: first.bias
`],
  ["a dim out of bounds", () => sluice("run", program, "root", "--threads", "2", "--input", `x=${at("long.npy")}`), () => `${ran}error DIM001: dim N of \`root\` is out of bounds
  found:    N = 10
  expected: N: 2 … 8, a multiple of 2
`],
  ["a picture that is too small", () => sluice("run", program, "invert", "--threads", "2", "--input", `image=${at("small.png")}`, "--out", at("out")), () => `${ran}error DIM001: dim H of \`invert\` is out of bounds
  found:    H = 3
  expected: H: 4 … 4096
`],
  ["a bad picture", () => sluice("run", program, "invert", "--threads", "2", "--input", `image=${at("bad.png")}`), () => `${ran}error IMAGE001: ${at("bad.png")}: not a picture that can be read
  found:    Input buffer contains unsupported image format
  expected: PNG, JPEG or WebP
`],
  ["a file of a kind that cannot be read", () => sluice("run", program, "invert", "--threads", "2", "--input", "image=photo.tiff"), () => `${ran}error INPUT006: input \`image\` is no number, and no file of a kind that can be read
  found:    photo.tiff
  expected: a picture (.png, .jpg, .webp), a tensor (.npy, .safetensors) or a number
`],
  ["a state that is read before it has a value", () => sluice("run", program, "look", "--threads", "2"), () => `${ran}${program}:6:22: error STATE101: \`look\` reads state \`table\` before it has a value
  expected: a first value, or a load or write before it
`],
  ["NaN in a kernel of several ops", () => sluice("run", program, "root", "--threads", "2", "--check", "nan", "--input", `x=${at("negative.npy")}`), () => `${ran}${program}:9:75: error NAN001: NaN in \`root\`, made by mul + sqrt + sub
  found:    1 of 2 elements of f32 [2], the first at [1]
  hint:     --target interpret says which op it was
`],
  ["NaN, op by op", () => sluice("run", program, "root", "--target", "interpret", "--check", "nan", "--input", `x=${at("negative.npy")}`), () => `${program}:9:68: error NAN001: NaN in \`root\`, made by sqrt
  found:    sqrt of shape [2]
`],
  ["a shape mismatch three calls deep", () => sluice("run", "tests/errors/programs/three-calls-deep.ts", "forward"), () => `tests/errors/programs/three-calls-deep.ts:12:12: error SHAPE002: add: shapes [B, 784] and [B, 10] do not broadcast
  found:    784 against 10 at the last axis
  expected: equal sizes, or 1, counting axes from the right
  hint:     a size of 1 repeats: unsqueeze makes one; rearrange and reshape move what is there
`],
  ["an einsum typo, with its column", () => sluice("run", "tests/errors/programs/einsum-typo.ts"), () => `tests/errors/programs/einsum-typo.ts:6:86: error PATTERN001: einsum: unexpected character ";" (column 6)
  found:    b s h; h k -> b s k
                 ^
  expected: letters, 1, parentheses, commas and ->
`],
  ["an if on a comparison of tensors", () => sluice("run", "tests/errors/programs/branch.ts", "clip"), () => `tests/errors/programs/branch.ts:6:21: error TRACE009: a tensor is used as a condition of JavaScript, which always takes the same branch
  found:    a tensor, which has no value while the program is traced
  expected: a choice that is made when the program runs
  hint:     in an entry condition.where(yes, no); in a procedure when(condition, yes, no), or loop(condition, body)
`],
  ["two writes to one state", () => sluice("run", "tests/errors/programs/two-writes.ts", "add"), () => `tests/errors/programs/two-writes.ts:7:9: error STATE001: state total is written twice in entry add
  found:    set first at tests/errors/programs/two-writes.ts:6:9
  expected: one set of each state in an entry
  hint:     compute the final value first, then set it once
`],
  ["text that is no graph, with the line, the column and a caret", () => sluice("opt", "tests/errors/programs/malformed.slir"), () => `tests/errors/programs/malformed.slir:5:3: error SLIR001: this cannot stand here
5 |   output y = %1
  |   ^
  found:    \`output\`
  expected: \`]\`
`],
  ["text with what a terminal would act on", () => sluice("opt", "tests/errors/programs/escapes.slir"), () => `tests/errors/programs/escapes.slir:2:10: error SLIR001: this character begins nothing
2 |   %0 = in·[31mput x : f32[4]
  |          ^
  found:    "\\u001b"
  expected: names, %nodes, numbers, text in quotes and signs
`],
  ["a file that is no text", () => sluice("opt", "tests/errors/programs/binary.slir"), () => `error SLIR002: tests/errors/programs/binary.slir is no text
  found:    12 bytes: 7f 45 4c 46 02 01 01 00 …
  expected: graphs as text, in UTF-8
  hint:     sluice opt writes such a file: sluice opt program.ts -o program.slir
`],
  ["two graphs where one is meant", () => sluice("opt", program, "root", "--entry", "look"), () => `error CLI004: two graphs are named, and one is meant
  found:    root and --entry look
  expected: one of them, or neither for all graphs
`],
  ["a count below 0", () => sluice("run", program, "turn", "--threads", "2", "--photo", at("noise.png"), "--times", "-5"), () => `${ran}error ARG004: argument \`times\` of \`turn\` is out of bounds
  found:    -5
  expected: 0 … 2147483647
`],
  ["a count that i32 does not hold", () => sluice("run", program, "turn", "--threads", "2", "--photo", at("noise.png"), "--times", "99999999999"), () => `${ran}error ARG004: argument \`times\` of \`turn\` is out of bounds
  found:    99999999999
  expected: 0 … 2147483647
`],
  ["an op that is not there", () => sluice("opt", "tests/errors/programs/unknown-op.slir"), () => `tests/errors/programs/unknown-op.slir:3:8: error SLIR001: there is no op negate
3 |   %1 = negate %0 : f32[4]
  |        ^
`],
  ["a graph whose types do not fit", () => sluice("opt", "tests/errors/programs/misfit.slir"), () => `tests/errors/programs/misfit.slir:4:3: error SLIR001: add: axis 0 is 4 in one and 5 in the other
4 |   %2 = add %0, %1 : f32[4]
  |   ^
  found:    f32[4] and f32[5]
  expected: equal shapes
  hint:     broadcasting needs one of the two to be 1; check 4 against 5
`],
  ["a dim of calls for a procedure", () => sluice("run", "tests/errors/programs/sized.ts", "twice", "--threads", "2", "--dim", "B=4", "--dim", "C=3"), () => `${ran}error CLI010: \`twice\` is a procedure and binds dim B itself
  found:    --dim B=4
  hint:     dims of calls are given with an entry
`],
  ["a dim that the program does not have", () => sluice("run", "tests/errors/programs/sized.ts", "draw", "--dim", "D=4"), () => `error DIM003: \`sized\` has no dim D that is bound when it is loaded
  found:    D
  expected: C: 1 … 9
`],
  ["a setting that the program does not have", () => sluice("run", program, "root", "--set", "width=3"), () => `error SET002: the program has no setting width
  found:    --set width=3
`],
  ["a full disk while a picture is written", () => limited("run", program, "turn", "--threads", "2", "--photo", at("noise.png"), "--to", at("new/turned.png")), () => `${ran}error FILE003: ${at("new/turned.png")}: cannot be written, and nothing was changed: files may not be so large here
  found:    EFBIG
`],
  ["a full disk while a program is built", () => limited("build", program, "--target", "wasm", "-o", at("site")), () => `error FILE003: ${at("site/program.slx")}: cannot be written, and nothing was changed: files may not be so large here
  found:    EFBIG
`],
];

test.each(cases)("%s", (_, run, text) => expect(run()).toEqual({ code: 1, out: "", err: text() }));

test("opt takes a graph's name after the program, as run does", () => {
  const [named, chosen, all] = [sluice("opt", program, "root"), sluice("opt", program, "--entry", "root"), sluice("opt", program)];
  expect(named).toEqual(chosen);
  expect(named.out).toMatch(/^graph root /);
  expect(named.out.match(/^graph /gm)).toHaveLength(1);
  expect(all.out.match(/^graph /gm)!.length).toBeGreaterThan(1);
});
