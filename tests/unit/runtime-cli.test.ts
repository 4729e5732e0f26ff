// The command line over a container: what it prints, what it writes, and how it refuses.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeContainer } from "../../compiler/container/write.ts";
import { readNpy } from "../../runtime/io/npy.ts";
import { writeSafetensors } from "../../runtime/io/safetensors.ts";
import { tensorOfNumbers } from "../../runtime/tensor.ts";
import { sample, sampleModule } from "./runtime-sample.ts";

let folder = "";
let program = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-cli-"));
  program = join(folder, "sample.slx");
  await writeFile(program, writeContainer(sample, [sampleModule(true), sampleModule(false)]));
});
afterAll(() => rm(folder, { recursive: true }));

function sluice(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["compiler/cli/sluice.js", ...args], { encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}

describe("sluice run", () => {
  test("lists what a program has, with its arguments", () => {
    const { code, out } = sluice("run", program);
    expect(code).toBe(0);
    expect(out).toContain(`sluice run ${program} train\n    --steps <int>  how many (3)\n    --to <file>  weights\n`);
    expect(out).toContain(`sluice run ${program} double --input x=<f32 [N]>  → y: f32 [N]\n`);
  });

  test("runs a procedure with flags and writes its file", () => {
    const to = join(folder, "w.safetensors");
    const { code, out, err } = sluice("run", program, "train", "--steps", "5", `--to=${to}`, "--threads", "2");
    expect({ code, out }).toEqual({ code: 0, out: "last: f32 [4] [15, 15, 15, 15]\nafter 5 steps\n" });
    expect(err).toMatch(/^wasm, 2 threads, SIMD.*\n(?:(?:sum \d+|[1-4]\/5 .*)\n)*sum 60\n5\/5 {2}[\d.]+\/s {2}took \d+ s\n$/);
    expect(existsSync(to)).toBe(true);
  });

  test("--json gives one object a line", () => {
    const { out } = sluice("run", program, "train", "--steps", "2", "--to", join(folder, "w2.safetensors"), "--json");
    expect(out.trim().split("\n").map(line => JSON.parse(line))).toEqual([
      { kind: "log", sum: 44 }, { kind: "log", sum: 48 }, { kind: "emit", last: { dtype: "f32", shape: [4], data: [12, 12, 12, 12] } }, { kind: "emit", note: "after 2 steps" },
    ]);
  });

  test("a photo of any kind goes through an entry and keeps its alpha", async () => {
    const photo = join(folder, "photo.webp");
    await writeFile(photo, await sharp({ create: { width: 7, height: 5, channels: 4, background: { r: 250, g: 5, b: 100, alpha: 0.2 } } }).webp({ lossless: true }).toBuffer());
    const { code, out } = sluice("run", program, "invert", "--input", `image=${photo}`, "--out", join(folder, "out"));
    expect({ code, out }).toEqual({ code: 0, out: `image: ${join(folder, "out", "image.png")}\n` });
    const { data, info } = await sharp(join(folder, "out", "image.png")).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels, ...data.subarray(0, 4)]).toEqual([7, 5, 4, 5, 250, 155, 51]);
  });

  test("tensors are printed, or written as .npy", async () => {
    expect(sluice("run", program, "weigh").out).toBe("y: f32 [4] [2, 4, 6, 8]\n");
    sluice("run", program, "weigh", "--out", folder);
    expect([...readNpy("y", await readFile(join(folder, "y.npy"))).data]).toEqual([2, 4, 6, 8]);
    expect(sluice("run", program, "double", "--input", `x=${join(folder, "y.npy")}`).out).toBe("y: f32 [4] [4, 8, 12, 16]\n");
  });

  test("sizes that no input has are given as dims, at load or for the call", () => {
    const sized = "tests/errors/programs/sized.ts";
    expect(sluice("run", sized, "--dim", "C=3").out).toContain(`  sluice run ${sized} draw --dim B=<1 … 8> --dim C=<1 … 9>  → y: f32 [B], total: f32 []\n`);
    expect(sluice("run", sized, "draw", "--dim", "B=4", "--dim", "C=3").out).toBe("y: f32 [4] [3, 3, 3, 3]\ntotal: 6\n");
  });

  test("starts an entry or a procedure from states in a file, renamed where their names differ", async () => {
    const [own, theirs] = [join(folder, "own.safetensors"), join(folder, "theirs.safetensors")];
    const tensor = (fill: number) => tensorOfNumbers("f32", [4], Array(4).fill(fill));
    await writeFile(own, writeSafetensors(own, new Map([["counter", tensor(20)]])));
    await writeFile(theirs, writeSafetensors(theirs, new Map([["their.count", tensor(30)], ["unset", tensor(1)]])));
    expect(sluice("run", program, "count", "--states", own).out).toBe("value: f32 [4] [21, 21, 21, 21]\n");
    const renamed = sluice("run", program, "count", "--states", theirs, "--rename", "their.count=counter");
    expect(renamed).toMatchObject({ code: 0, out: "value: f32 [4] [31, 31, 31, 31]\n" });
    expect(renamed.err).toContain(`\nstates from ${theirs}\n`);
    expect(sluice("run", program, "count", "--states", theirs, "--rename", "their.cout=counter").err).toMatch(/error LOAD002: --rename their\.cout=counter names no tensor of \S*theirs\.safetensors\n {2}found: {4}their\.cout\n {2}expected: their\.count, unset\n/);
    expect(sluice("run", program, "count", "--rename", "their.count=counter").err).toMatch(/error LOAD002: --rename their\.count=counter names no tensor of a file, since there is none/);
    expect(sluice("run", program, "train", "--to", join(folder, "w3.safetensors"), "--states", own).out).toBe("last: f32 [4] [23, 23, 23, 23]\nafter 3 steps\n");
  });

  test("a file that merely lies in the folder is not loaded", async () => {
    const path = join(folder, "sample.safetensors");
    await writeFile(path, writeSafetensors(path, new Map([["counter", tensorOfNumbers("f32", [4], Array(4).fill(20))]])));
    const { status, stdout, stderr } = spawnSync(process.execPath, [resolve("compiler/cli/sluice.js"), "run", resolve(program), "count"], { cwd: folder, encoding: "utf8" });
    expect([status, stdout], stderr).toEqual([0, "value: f32 [4] [11, 11, 11, 11]\n"]);
  });

  test("--trace writes what happened when, also of a run that failed", async () => {
    const trace = join(folder, "trace.json");
    const launches = async (): Promise<unknown[]> => (JSON.parse(await readFile(trace, "utf8")) as { traceEvents: { cat: string; args: unknown }[] }).traceEvents.filter(e => e.cat === "launch").map(e => e.args);
    expect(sluice("run", program, "weigh", "--trace", trace).out).toBe("y: f32 [4] [2, 4, 6, 8]\n");
    expect(await launches()).toEqual([{ line: "sample.ts:18:3" }]);
    const { code, err } = sluice("run", program, "fails", "--input", "ok=0", "--trace", trace);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/sample\.ts:30:5: error ASSERT001: ok must hold\n$/) });
    expect(await launches()).toEqual([{ line: "sample.ts:15:3" }, { line: "sample.ts:12:3" }]);
  });

  const refusals: [string, () => string[], RegExp][] = [
    ["an unknown name", () => ["run", program, "tran"], /^error ENTRY001: .*has no entry or procedure `tran`\n.*\n {2}expected: one of train, resume/],
    ["an unknown flag", () => ["run", program, "train", "--step", "3"], /error ARG002: there is no argument `step`\n {2}found: {4}step\n {2}expected: one of steps, to/],
    ["a flag without a value", () => ["run", program, "train", "--to"], /error CLI001: --to needs a value/],
    ["a value that is no number", () => ["run", program, "train", "--steps", "many", "--to", "x"], /error CLI002: --steps is no number\n {2}found: {4}many/],
    ["a value that is empty", () => ["run", program, "train", "--steps=", "--to", "x"], /error CLI002: --steps is no number/],
    ["a value with something after it", () => ["run", program, "train", "--steps", "3x", "--to", "x"], /error CLI002: --steps is no number\n {2}found: {4}3x/],
    ["a hexadecimal value", () => ["run", program, "train", "--steps", "0x10", "--to", "x"], /error CLI002: --steps is no number\n {2}found: {4}0x10/],
    ["more than an i32 holds", () => ["run", program, "train", "--steps", "99999999999", "--to", "x"], /error ARG004: argument `steps` of `train` is out of bounds\n {2}found: {4}99999999999\n {2}expected: -2147483648 … 2147483647/],
    ["too many threads", () => ["run", program, "weigh", "--threads", "5000"], /^error CLI002: --threads takes an integer from 1 to 1024\n {2}found: {4}5000\n$/],
    ["far too many threads", () => ["run", program, "weigh", "--threads", "1000000"], /^error CLI002: --threads takes an integer from 1 to 1024\n {2}found: {4}1000000\n$/],
    ["no threads", () => ["run", program, "weigh", "--threads", "0"], /^error CLI002: --threads takes an integer from 1 to 1024\n/],
    ["a share of a thread", () => ["run", program, "weigh", "--threads", "1.5"], /^error CLI002: --threads takes an integer from 1 to 1024\n/],
    ["threads without a number", () => ["run", program, "weigh", "--threads="], /^error CLI002: --threads is no number\n/],
    ["a seed that is no integer", () => ["run", program, "weigh", "--seed", "1.5"], /error SEED001: a seed is an integer from 0 to 2\^32 - 1\n {2}found: {4}1\.5/],
    ["a dim below its bounds", () => ["run", program, "huge", "--dim", "N=-5"], /error DIM001: dim N of `huge` is out of bounds\n {2}found: {4}N = -5\n {2}expected: N: 1 … 3000000000/],
    ["a dim without a value", () => ["run", program, "huge", "--dim", "N="], /error CLI002: dim N is no number/],
    ["an input that does not exist", () => ["run", program, "double", "--input", "y=3"], /error INPUT002: there is no input `y`/],
    ["a picture where none is wanted", () => ["run", program, "double", "--input", "x=a.png"], /error INPUT004: input `x` is no picture/],
    ["a missing file", () => ["run", program, "invert", "--input", "image=gone.png"], /error FILE001: gone\.png: cannot be read: no such file or folder/],
    ["a missing program", () => ["run", "gone.slx", "train"], /error FILE001: gone\.slx: cannot be read/],
    ["a damaged program", () => ["run", "package.json", "train"], /error [A-Z]+\d+: /],
    ["a rename without a state", () => ["run", program, "count", "--states", "own.safetensors", "--rename", "counter"], /error CLI001: --rename takes name=value\n {2}found: {4}counter/],
    ["a trace of the interpreter", () => ["run", "tests/errors/programs/running.ts", "look", "--target", "interpret", "--trace", join(folder, "none.json")], /error RECORD002: the reference interpreter launches no kernels and records no trace\n/],
    ["an unknown target", () => ["run", program, "train", "--target", "metal"], /error TARGET001: there is no target metal/],
    ["a state without a value", () => ["run", program, "needs_unset"], /sample\.ts:7:1: error STATE101/],
  ];
  test.each(refusals)("%s: one message, exit code 1", (_, args, message) => {
    const { code, out, err } = sluice(...args());
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n\s+at /);
    expect({ code, out }).toEqual({ code: 1, out: "" });
  });
});

/** Versions of Node that are installed and do not run TypeScript. */
const old = [...new Set((process.env["PATH"] ?? "").split(":").map(folder => join(folder, "node")))].filter(node => {
  const [major = 0, minor = 0] = (spawnSync(node, ["--version"], { encoding: "utf8" }).stdout ?? "").slice(1).split(".").map(Number);
  return major >= 16 && (major < 22 || (major === 22 && minor < 18));
});
test.skipIf(old.length === 0)("a Node that does not run TypeScript is told so, in one message", () => {
  const { status, stdout, stderr } = spawnSync(old[0]!, ["compiler/cli/sluice.js", "run", program], { encoding: "utf8" });
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^error NODE001: this Node does not run TypeScript, which programs are written in\n {2}found: {4}Node \d+\.\d+\.\d+, .*\n {2}expected: Node 22\.18 or newer\n {2}hint: {5}.*\n$/);
});

test("sluice doctor says what there is", () => {
  expect(sluice("doctor").out).toMatch(/✓ WebAssembly SIMD +yes\n/);
  expect(sluice("doctor").out).toMatch(/✓ --target vulkan:0 +vulkan, .* GiB, workgroups of \d+ threads and \d+ KiB; self-tests passed: addresses, 64-bit integers and floats, /);
  expect(JSON.parse(sluice("doctor", "--json").out)).toContainEqual(expect.objectContaining({ what: "WebAssembly SIMD", ok: true }));
});
