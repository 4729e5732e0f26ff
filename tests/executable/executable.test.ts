// Executables as their user has them: one file, its own --help, pictures and tensors in and out, states from files, clear
// refusals, and a root folder that holds nothing but the C library.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { readNpy, writeNpy } from "../../runtime/io/npy.ts";
import { pictureTensor } from "../../runtime/io/pictures.ts";
import { readSafetensors, writeSafetensors } from "../../runtime/io/safetensors.ts";
import { tensorOfNumbers } from "../../runtime/tensor.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
let folder = "";
const at = (name: string): string => join(folder, name);
const said = ({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }): Said => ({ code: status, out: stdout, err: stderr });
const run = (program: string, ...args: readonly string[]): Said => said(spawnSync(`./${program}`, args, { cwd: folder, encoding: "utf8" }));
/** What it prints; it must succeed. */
const output = (program: string, ...args: readonly string[]): string => {
  const result = run(program, ...args);
  expect(result, result.err).toMatchObject({ code: 0 });
  return result.out;
};
const build = (program: string, to: string, ...options: readonly string[]): Said =>
  said(spawnSync(process.execPath, ["compiler/cli/sluice.js", "build", program, "-o", to, "--cache", TEST_CACHE, ...options], { encoding: "utf8" }));
/** The command line, in the same folder. */
const sluice = (...args: readonly string[]): Said => said(spawnSync(process.execPath, [resolve("compiler/cli/sluice.js"), ...args], { cwd: folder, encoding: "utf8" }));

/** Without the line that says what runs it. */
const refusal = (...args: readonly [string, ...string[]]): string => {
  const { code, out, err } = run(...args);
  expect([code, out]).toEqual([1, ""]);
  return err.replace(/^cpu, .*\n/, "");
};
const bytesOf = (name: string): Promise<Uint8Array> => readFile(at(name));

describe("an executable", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-executable-"));
    for (const [program, name] of [["dsl-examples/noiser", "noiser"], ["tests/errors/programs/running.ts", "running"], ["tests/executable/thumbnail.ts", "thumbnail"], ["dsl-examples/noiser", "noiser.slx"]] as const) {
      const built = build(program, at(name));
      expect(built, built.err).toMatchObject({ code: 0 });
    }
    await writeFile(at("x.npy"), writeNpy("x", tensorOfNumbers("f32", [4], [1, 2, 5, 10])));
    await writeFile(at("ints.safetensors"), writeSafetensors("x", new Map([["x", tensorOfNumbers("i32", [2], [1, 2])]])));
    await writeFile(at("part.safetensors"), writeSafetensors("t", new Map([["in.bias", tensorOfNumbers("f32", [32], Array(32).fill(0))]])));
    await writeFile(at("rest.safetensors"), writeSafetensors("t", new Map([["out.bias", tensorOfNumbers("f32", [3], [0, 0, 0])]])));
    await writeFile(at("long.npy"), writeNpy("x", tensorOfNumbers("f32", [10], Array(10).fill(1))));
    await writeFile(at("matrix.npy"), writeNpy("x", tensorOfNumbers("f32", [2, 2], Array(4).fill(1))));
    await writeFile(at("negative.npy"), writeNpy("x", tensorOfNumbers("f32", [2], [2, 0.5])));
    await writeFile(at("table.safetensors"), writeSafetensors("t", new Map([["table", tensorOfNumbers("f32", [4], [1, 2, 3, 4])]])));
    await writeFile(at("theirs.safetensors"), writeSafetensors("t", new Map([["their.name", tensorOfNumbers("f32", [4], [9, 9, 9, 9])]])));
    await writeFile(at("misshapen.safetensors"), writeSafetensors("t", new Map([["table", tensorOfNumbers("f32", [5], [1, 2, 3, 4, 5])]])));
    await writeFile(at("bad.png"), "no picture at all");
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("is one small file that says what it offers", async () => {
    expect((await stat(at("noiser"))).size).toBeLessThan(3 * 2 ** 20);
    const help = output("noiser", "--help");
    expect(output("noiser")).toBe(help);
    for (const line of [
      "  ./noiser train", "    --steps <int>  training steps (2000)", "    --to <file>    weights, .safetensors (noiser.safetensors)",
      "  ./noiser enhance --image <u8 [H, W, 3]>  → image: u8 [H, W, 3]", "  net.out.weight                       f32 [3, 3, 32, 3]",
    ]) expect(help.split("\n")).toContain(line);
    expect(help).toMatch(/\nDims\n {2}H {2}1 … \d+\n/);
    expect(help).toMatch(/\nMade for\n {2}cpu:v\d.* \(taken on this machine: v\d/);
    expect(output("noiser", "train", "--help")).toMatch(/--steps <int> +training steps \(2000\)\n/);
  });

  test("trains with its arguments as flags, the same from the same seed, and enhances with what it saved", async () => {
    expect(output("noiser", "train", "--steps", "3", "--to", "a.safetensors")).toBe("");
    output("noiser", "train", "--steps=3", "--to", "b.safetensors", "--threads", "1");
    output("noiser", "train", "--steps", "3", "--to", "c.safetensors", "--seed", "7");
    expect(await bytesOf("b.safetensors")).toEqual(await bytesOf("a.safetensors"));
    expect(await bytesOf("c.safetensors")).not.toEqual(await bytesOf("a.safetensors"));
    expect([...readSafetensors("a", await bytesOf("a.safetensors")).names].sort()).toEqual(["in.bias", "in.weight", "out.bias", "out.weight"]);

    await writeFile(at("photo.png"), await sharp({ create: { width: 60, height: 50, channels: 4, background: "#40608080", noise: { type: "gaussian", mean: 90, sigma: 30 } } }).png().toBuffer());
    expect(output("noiser", "enhance", "--image", "photo.png", "--states", "net=a.safetensors", "--out", "new/bright.png")).toBe("image: new/bright.png\n");
    const theirs = spawnSync(process.execPath, ["compiler/cli/sluice.js", "run", "dsl-examples/noiser", "enhance", "--target", "wasm", "--input", `image=${at("photo.png")}`, "--states", at("a.safetensors"), "--out", at("wasm")], { encoding: "utf8" });
    expect(theirs.status, theirs.stderr).toBe(0);
    const [ours, wasm] = await Promise.all([nodeFiles.readPicture(at("new/bright.png")), nodeFiles.readPicture(at("wasm/image.png"))]);
    expect([ours.width, ours.height, ours.alpha]).toEqual([60, 50, wasm.alpha]);
    expect(Math.max(...ours.rgb)).toBeGreaterThan(Math.min(...ours.rgb));
    expect(Math.max(...ours.rgb.map((v, i) => Math.abs(v - wasm.rgb[i]!)))).toBeLessThanOrEqual(1);
  });

  const noise = (channels: 1 | 2 | 3 | 4) => sharp(Uint8Array.from({ length: 24 * 18 * channels }, (_, i) => (i * 7919 + ((i * i) % 251)) % 256), { raw: { width: 24, height: 18, channels } });
  const pictures: readonly (readonly [name: string, make: () => Sharp])[] = [
    ["rgb.png", () => noise(3).png()], ["grey.png", () => noise(1).toColourspace("b-w").png()], ["grey-alpha.png", () => noise(2).png()],
    ["alpha.png", () => noise(4).png({ progressive: true })], ["palette.png", () => noise(3).png({ palette: true })], ["deep.png", () => noise(3).toColourspace("rgb16").png()],
    ["turned.png", () => noise(3).withMetadata({ orientation: 6 }).png()],
  ];
  test.each(pictures)("reads %s as sharp does", async (name, make) => {
    await writeFile(at(name), await make().toBuffer());
    output("running", "invert", "--image", name, "--out", "inverted.npy");
    const expected = pictureTensor(await nodeFiles.readPicture(at(name)), "u8");
    const found = readNpy("i", await bytesOf("inverted.npy"));
    expect([found.shape, [...found.data]]).toEqual([expected.shape, [...expected.data].map(v => 255 - v)]);
  });

  test("reads JPEG within a few levels of sharp, turned as EXIF says", async () => {
    for (const orientation of [1, 3, 6, 8]) {
      await writeFile(at("p.jpg"), await sharp({ create: { width: 40, height: 24, channels: 3, background: "teal" } }).composite([{ input: await noise(3).png().toBuffer(), left: 3, top: 2 }]).blur(2).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer());
      output("running", "invert", "--image", "p.jpg", "--out", "inverted.npy");
      const expected = pictureTensor(await nodeFiles.readPicture(at("p.jpg")), "u8");
      const found = readNpy("i", await bytesOf("inverted.npy"));
      expect(found.shape).toEqual(expected.shape);
      expect(Math.max(...[...found.data].map((v, i) => Math.abs(255 - v - expected.data[i]!)))).toBeLessThanOrEqual(4);
    }
  });

  test.each([["small", 20, 30], ["large", 90, 70]] as const)("resizes within a few levels of sharp, alpha too: %s", async (procedure, height, width) => {
    await writeFile(at("soft.png"), await noise(4).resize(50, 44).blur(1.5).png().toBuffer());
    output("thumbnail", procedure, "--photo", "soft.png", "--to", "resized.png");
    const expected = await nodeFiles.resizePicture(await nodeFiles.readPicture(at("soft.png")), height, width);
    const found = await nodeFiles.readPicture(at("resized.png"));
    expect([found.width, found.height]).toEqual([width, height]);
    expect(Math.max(...found.rgb.map((v, i) => Math.abs(255 - v - expected.rgb[i]!)))).toBeLessThanOrEqual(6);
    expect(Math.max(...found.alpha!.map((v, i) => Math.abs(v - expected.alpha![i]!)))).toBeLessThanOrEqual(6);
  });

  test("takes and gives .npy, safetensors, numbers and text; small outputs are printed", async () => {
    expect(output("running", "root", "--x", "x.npy")).toBe("y: f32 [4] [0, 2, 4, 6]\n");
    expect(JSON.parse(output("running", "root", "--x", "x.npy", "--json"))).toEqual({ output: "y", dtype: "f32", shape: [4], data: [0, 2, 4, 6] });
    output("running", "root", "--x", "x.npy", "--out", "y.safetensors");
    expect([...readSafetensors("y", await bytesOf("y.safetensors")).find("y")!.data]).toEqual([0, 2, 4, 6]);
    output("running", "root", "--x", "x.npy", "--out", "results");
    expect([...readNpy("y", await bytesOf("results/y.npy")).data]).toEqual([0, 2, 4, 6]);
  });

  test("starts from states in a file, renamed where their names differ", () => {
    expect(output("running", "look", "--states", "table.safetensors")).toBe("y: f32 [4] [2, 3, 4, 5]\n");
    expect(output("running", "look", "--states", "theirs.safetensors", "--rename", "their.name=table")).toBe("y: f32 [4] [10, 10, 10, 10]\n");
    expect(refusal("running", "look", "--states", "theirs.safetensors")).toMatch(/^error STATE105: theirs\.safetensors fits no module of `running`\n/);
    for (const more of [["table.safetensors"], ["theirs.safetensors"], ["misshapen.safetensors"], ["theirs.safetensors", "--rename", "their.name=table"], ["theirs.safetensors", "--rename", "their.name=tables"], ["net=theirs.safetensors"], ["table.safetensors", "--rename", "table"]]) {
      const [ours, theirs] = [run("running", "look", "--states", ...more), sluice("run", resolve("tests/errors/programs/running.ts"), "look", "--states", ...more)];
      const text = ({ code, out, err }: Said): unknown => ({ code, out, err: err.replace(/^(cpu|wasm), .*\n/, "").replace(/took .*/, "took") });
      expect(text(theirs), more.join(" ")).toEqual(text(ours));
    }
    expect(refusal("running", "look", "--states", "misshapen.safetensors")).toBe("error LOAD001: misshapen.safetensors: the file's tensors are not those that are wanted\n  found:    misshapen: `table` f32 [5] instead of f32 [4]\n");
  });

  const parts: readonly (readonly string[])[] = [
    ["part.safetensors"], ["net=part.safetensors"], ["part.safetensors", "--states", "rest.safetensors"], ["part.safetensors", "--states", "part.safetensors", "--partial"],
    ["part.safetensors", "--rename", "in.bais=net.in.bias"], ["part.safetensors", "--rename", "in.bias=net.in.bais"],
  ];
  test.each(parts.map(more => [more.join(" "), more] as const))("a part of a module's states, or a name that is none, is refused as `sluice run` does: %s", (_, more) => {
    const [ours, theirs] = [run("noiser", "train", "--states", ...more), sluice("run", "noiser.slx", "train", "--states", ...more)];
    const text = ({ code, out, err }: Said): unknown => ({ code, out, err: err.replace(/^(cpu|wasm), .*\n/, "") });
    expect(ours.err).toMatch(/error LOAD00[1-4]/);
    expect(text(theirs)).toEqual(text(ours));
  });
  test("a part of a module's states is taken where a part is meant", () => {
    output("noiser", "train", "--steps", "1", "--to", "d.safetensors", "--states", "part.safetensors", "--partial");
  });

  const refusals: readonly (readonly [what: string, args: readonly [string, ...string[]], text: string | RegExp])[] = [
    ["an unknown command", ["running", "rot"], "error ENTRY001: ./running has no entry or procedure `rot`\n  found:    rot\n  expected: one of turn, count, invert, look, root\n"],
    ["a missing input", ["running", "root"], "error INPUT001: `root` needs an input `x`\n  found:    none\n  expected: x: f32 [N]\n"],
    ["an unknown input", ["running", "root", "--z", "x.npy"], "error INPUT002: `root` has no input `z`\n  found:    z\n  expected: x\n  hint:     --help lists all options too\n"],
    ["a wrong dtype", ["running", "root", "--x", "ints.safetensors"], "error INPUT003: input `x` of `root` has the wrong dtype\n  found:    i32\n  expected: f32 [N]\n  hint:     convert it to f32, or cast inside the entry\n"],
    ["a wrong shape", ["running", "root", "--x", "matrix.npy"], "error INPUT004: input `x` of `root` has the wrong shape\n  found:    f32 [2, 2]\n  expected: f32 [N]\n  hint:     it has 2 axes instead of 1\n"],
    ["a dim out of bounds", ["running", "root", "--x", "long.npy"], "error DIM001: dim N of `root` is out of bounds\n  found:    N = 10\n  expected: N: 2 … 8, a multiple of 2\n"],
    ["no picture", ["running", "invert", "--image", "bad.png"], "error IMAGE001: bad.png: not a picture that can be read\n  found:    neither PNG nor JPEG\n  expected: PNG or JPEG\n"],
    ["a state without a value", ["running", "look"], "tests/errors/programs/running.ts:6:22: error STATE101: `look` reads state `table` before it has a value\n  expected: a first value, or a load or write before it\n"],
    ["NaN, where it is asked for", ["running", "root", "--x", "negative.npy", "--check", "nan"], /^tests\/errors\/programs\/running\.ts:9:\d+: error NAN001: NaN in `root`, made by /],
    ["an unknown argument", ["running", "turn", "--photos", "p.png"], "error ARG002: `turn` has no argument `photos`\n  found:    photos\n  expected: photo, times, to\n  hint:     --help lists all options too\n"],
    ["a missing argument", ["running", "turn"], "error ARG001: `turn` needs an argument `photo`\n  expected: photo: picture, what to invert\n"],
    ["an argument that is no number", ["running", "turn", "--photo", "p.png", "--times", "x"], "error CLI002: --times is no number\n  found:    x\n"],
    ["an argument that is empty", ["running", "turn", "--photo", "p.png", "--times", ""], "error CLI002: --times is no number\n"],
    ["an argument with something after it", ["running", "turn", "--photo", "p.png", "--times", "3x"], "error CLI002: --times is no number\n  found:    3x\n"],
    ["an argument that is NaN", ["running", "turn", "--photo", "p.png", "--times", "NaN"], "error CLI002: --times is no number\n  found:    NaN\n"],
    ["a hexadecimal argument", ["running", "turn", "--photo", "p.png", "--times", "0x10"], "error CLI002: --times is no number\n  found:    0x10\n"],
    ["an argument past what i32 holds", ["running", "turn", "--photo", "p.png", "--times", "99999999999"], "error ARG004: argument `times` of `turn` is out of bounds\n  found:    99999999999\n  expected: 0 … 2147483647\n"],
    ["an argument just past what i32 holds", ["running", "turn", "--photo", "p.png", "--times", "2147483648"], "error ARG004: argument `times` of `turn` is out of bounds\n  found:    2147483648\n  expected: 0 … 2147483647\n"],
    ["an argument below its bounds", ["running", "turn", "--photo", "p.png", "--times=-5"], "error ARG004: argument `times` of `turn` is out of bounds\n  found:    -5\n  expected: 0 … 2147483647\n"],
    ["an infinite argument", ["running", "turn", "--photo", "p.png", "--times", "Infinity"], "error ARG004: argument `times` of `turn` is out of bounds\n  found:    Infinity\n  expected: 0 … 2147483647\n"],
    ["a dim outside of its bounds", ["running", "root", "--x", "x.npy", "--dim", "N=-5"], "error DIM001: dim N of `root` is out of bounds\n  found:    N = -5\n  expected: N: 2 … 8, a multiple of 2\n"],
    ["a dim that is no integer", ["running", "root", "--x", "x.npy", "--dim", "N=2.5"], "error DIM001: dim N of `root` is out of bounds\n  found:    N = 2.5\n  expected: N: 2 … 8, a multiple of 2\n"],
    ["a dim without a value", ["running", "root", "--x", "x.npy", "--dim", "N="], "error CLI002: dim N is no number\n"],
    ["a seed below 0", ["running", "root", "--x", "x.npy", "--seed=-1"], "error SEED001: a seed is an integer from 0 to 2^32 - 1\n  found:    -1\n"],
    ["a seed that is empty", ["running", "root", "--x", "x.npy", "--seed", ""], "error CLI002: --seed is no number\n"],
    ["too many threads", ["running", "root", "--x", "x.npy", "--threads", "5000"], "error CLI002: --threads takes an integer from 1 to 1024\n  found:    5000\n"],
    ["no threads", ["running", "root", "--x", "x.npy", "--threads", "0"], "error CLI002: --threads takes an integer from 1 to 1024\n  found:    0\n"],
    ["an argument that is no integer", ["running", "turn", "--photo", "p.png", "--times", "1.5"], "error ARG003: argument `times` of `turn` has the wrong kind\n  found:    1.5\n  expected: an integer\n"],
    ["an output that is too large to print", ["running", "invert", "--image", "rgb.png"], "error CLI003: output `image` is too large to print\n  found:    1296 elements\n  hint:     say where it goes: --out file or folder\n"],
    ["a dim that it does not have", ["running", "root", "--x", "x.npy", "--dim", "Q=3"], "error DIM003: `running` has no dim Q that is bound when it is loaded\n  found:    Q\n  expected: none\n"],
    ["a place that cannot be written", ["running", "root", "--x", "x.npy", "--out", "x.npy/y.npy"], "error FILE003: x.npy/y.npy: cannot be written, and nothing was changed: a part of the path is no folder\n  found:    ENOTDIR\n"],
  ];
  test.each(refusals)("refuses %s with one message and exit code 1", (_, args, text) => expect(refusal(...args)).toEqual(typeof text === "string" ? text : expect.stringMatching(text)));

  test("times an entry, on inputs of its own if none are given", () => {
    expect(JSON.parse(output("noiser", "enhance", "--bench", "--runs", "3", "--dim", "H=40", "--dim", "W=30", "--json"))).toMatchObject({ entry: "enhance", runs: 3, unit: "ms", best: expect.any(Number) });
    expect(output("noiser", "enhance", "--bench", "--runs", "2", "--image", "rgb.png")).toMatch(/^enhance\(image u8 \[18, 24, 3\]\): best [\d.]+ ms, median [\d.]+ ms of 2 runs\n$/);
  });

  const events = async (): Promise<{ cat: string; name: string; args: { line?: string } }[]> => JSON.parse(await readFile(at("trace.json"), "utf8")).traceEvents;

  test("traces every launch with the user's line, as `sluice run` does, and a run that fails too", async () => {
    output("noiser", "enhance", "--image", "rgb.png", "--out", "t.png", "--states", "net=a.safetensors", "--trace", "trace.json");
    const ours = await events();
    expect(ours.filter(e => e.cat === "call").map(e => e.name)).toContain("enhance");
    expect(JSON.stringify(ours.filter(e => e.cat === "launch").map(e => e.args))).toMatch(/dsl-examples\/noiser\/index\.ts:\d+/);
    const said = sluice("run", resolve("dsl-examples/noiser"), "enhance", "--target", "cpu", "--cache", TEST_CACHE, "--input", "image=rgb.png", "--out", "t", "--states", "net=a.safetensors", "--trace", "trace.json");
    expect(said, said.err).toMatchObject({ code: 0 });
    const untimed = (all: typeof ours): unknown => all.map(({ cat, name, args }) => [cat, name, JSON.stringify(args).replaceAll(/[^"]*(?=dsl-examples)/g, "")]);
    expect(untimed(await events())).toEqual(untimed(ours));
    refusal("running", "root", "--x", "negative.npy", "--check", "nan", "--trace", "trace.json");
    expect((await events()).map(e => e.cat)).toContain("launch");
  });

  test.each([
    ["train", ["--steps", "2", "--to", "b.safetensors"], ["call", "copy", "launch", "write"]],
    ["brighten", ["--weights", "a.safetensors", "--photo", "rgb.png", "--to", "t.png"], ["call", "launch", "read", "write"]],
  ])("the trace of %s has the user's line for every launch, copy, call, read and write", async (procedure, args, kinds) => {
    output("noiser", procedure, ...args, "--trace", "trace.json");
    const all = await events();
    expect([...new Set(all.map(e => e.cat))].toSorted()).toEqual(kinds);
    expect(all.filter(e => !/dsl-examples\/noiser\/index\.ts:\d+:\d+$/.test(e.args.line ?? ""))).toEqual([]);
  });

  test("Ctrl-C ends a procedure between two calls, and nothing is saved", async () => {
    const child = spawn("./noiser", ["train", "--steps", "1000000", "--to", "never.safetensors"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    let err = "";
    let isAsked = false;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
      // Once it runs, and once only: a second one ends it at once.
      if (isAsked || !/^\d+\/1000000/m.test(err)) return;
      isAsked = true;
      child.kill("SIGINT");
    });
    const [code] = await once(child, "close") as [number];
    expect([code, err.slice(err.indexOf("error"))]).toEqual([130, "error CLI005: interrupted\n"]);
    expect(await readdir(folder)).not.toContain("never.safetensors");
  });

  test("cut short or damaged, it says so", async () => {
    const size = (await stat(at("noiser"))).size;
    await copyFile(at("noiser"), at("cut"));
    await truncate(at("cut"), size - 5000);
    expect(refusal("cut", "--help")).toMatch(/^error SLX001: this is the native runner alone, or an executable that was cut short\n/);
    const bytes = await bytesOf("noiser");
    bytes[size - 20_000]! ^= 1;
    await writeFile(at("flipped"), bytes);
    await chmod(at("flipped"), 0o755);
    expect(refusal("flipped", "--help")).toMatch(/^error SLX001: .*\n/);
  });

  test("runs in a root that holds it and the C library, and nothing else", async context => {
    if (process.getuid?.() !== 0) return context.skip("only root may change the root");
    const libraries = spawnSync("ldd", [at("noiser")], { encoding: "utf8" }).stdout.matchAll(/(\/\S+) \(0x/g);
    const names = [...libraries].map(m => m[1]!);
    expect(names.map(n => n.replace(/.*\//, "")).sort()).toEqual(["ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6"]);
    for (const file of names) {
      await mkdir(join(at("root"), dirname(file)), { recursive: true });
      await copyFile(file, join(at("root"), file));
    }
    for (const file of ["noiser", "rgb.png", "a.safetensors"]) await copyFile(at(file), join(at("root"), file));
    const bare = (...args: readonly string[]): Said => said(spawnSync("chroot", [at("root"), "/noiser", ...args], { encoding: "utf8" }));
    expect(bare("--help").out).toMatch(/\/noiser train\n/);
    expect(bare("train", "--steps", "2", "--to", "/w.safetensors").code).toBe(0);
    const enhanced = bare("enhance", "--image", "/rgb.png", "--states", "net=/a.safetensors", "--out", "/out.png");
    expect([enhanced.code, enhanced.out]).toEqual([0, "image: /out.png\n"]);
    output("noiser", "enhance", "--image", "rgb.png", "--states", "net=a.safetensors", "--out", "here.png");
    expect(await readFile(join(at("root"), "out.png"))).toEqual(await bytesOf("here.png"));
  });
});
