// CUDA as a target: how it is written, what a container of it holds, and an executable that runs on the driver that it finds.
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build } from "../../compiler/index.ts";
import { readContainer } from "../../compiler/container/read.ts";
import { compiledAs, parseTargets, runBy } from "../../compiler/targets.ts";
import * as disc from "../../dsl-examples/disc.ts";
import { readSafetensors } from "../../runtime/io/safetensors.ts";
import { cudaShim } from "../support/cuda-shim.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";
import { expectNear, numbersOf } from "../support/programs.ts";

const nvcc = cudaShim();

describe("as it is written", () => {
  test("architectures after cuda: are one module, whatever stands between them", () => {
    expect(parseTargets("cuda:sm_90,sm_80")).toEqual([{ kind: "cuda", architectures: ["sm_80", "sm_90"] }]);
    expect(parseTargets("cuda:sm_90,vulkan,sm_80,cuda:sm_90").map(t => t.kind)).toEqual(["vulkan", "cuda"]);
    expect(parseTargets("cuda:sm_90a,cpu:v3,v4").map(t => t.kind)).toEqual(["cpu", "cpu", "cuda"]);
  });
  test("without architectures those of the GPUs that are here", () => {
    expect(parseTargets("cuda")).toEqual([{ kind: "cuda", architectures: ["sm_90"] }]);
  });
  test("a device is no architecture, and an architecture no device", () => {
    expect([compiledAs("cuda:1"), runBy("cuda:1")]).toEqual(["cuda", "cuda:1"]);
    expect([compiledAs("cuda:sm_80,sm_90"), runBy("cuda:sm_80,sm_90")]).toEqual(["cuda:sm_80,sm_90", "cuda"]);
    expect([compiledAs("vulkan:llvm"), runBy("vulkan:llvm")]).toEqual(["vulkan", "vulkan:llvm"]);
    for (const wrong of ["cuda:", "cuda:0", "cuda:90", "sm_90", "vulkan,sm_90"]) expect(() => parseTargets(wrong)).toThrow(/^error TARGET001: there is no target /);
  });
});

describe("a container", () => {
  test("says what it has code for, and reads back as it was written", async () => {
    const bytes = await build(disc, { target: "cuda:sm_80,sm_90", nvcc, cache: TEST_CACHE });
    const { modules, compiled } = readContainer(bytes);
    expect(modules).toEqual([expect.objectContaining({ kind: "cuda", lowering: 0, architectures: ["sm_80", "sm_90"] })]);
    expect(compiled().lowerings.map(l => l.machine)).toEqual(["gpu"]);
    const words = new Uint32Array(modules[0]!.bytes.slice(0, 16).buffer);
    expect([...words]).toEqual([0x43434c53, 1, 13000, modules[0]!.scratch.length]);
    expect(await build(disc, { target: "cuda:sm_80,sm_90", nvcc, cache: TEST_CACHE })).toEqual(bytes);
  });
});

describe("an executable", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-cuda-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const sluice = (...args: string[]): { code: number | null; err: string } => {
    const { status, stderr } = spawnSync(process.execPath, ["compiler/cli/sluice.js", ...args, "--nvcc", nvcc, "--cache", TEST_CACHE], { encoding: "utf8" });
    return { code: status, err: stderr };
  };

  test("runs on the driver that it finds, and its kernels can be read", async () => {
    const [path, sources] = [join(folder, "disc"), join(folder, "sources")];
    expect(sluice("build", "dsl-examples/disc.ts", "-o", path, "--target", "cuda:sm_90,cpu:v3", "--emit-source", sources)).toEqual({ code: 0, err: "" });
    const run = (driver: string | undefined, target: string) => spawnSync(path, ["train", "--steps", "1", "--to", join(folder, `${target}.safetensors`), "--target", target], { encoding: "utf8", env: { ...process.env, LD_LIBRARY_PATH: driver } });
    const [here, onCpu] = [run(dirname(nvcc), "cuda"), run(undefined, "cpu")];
    expect([here.stderr, here.status]).toEqual([expect.stringMatching(/^cuda, Host shim 0, sm_90, driver for CUDA 13\.0\n/), 0]);
    expect(onCpu.status).toBe(0);
    const [weights, wanted] = await Promise.all(["cuda", "cpu"].map(async target => readSafetensors(target, await readFile(join(folder, `${target}.safetensors`)))));
    expect(weights!.names).toEqual(wanted!.names);
    for (const name of wanted!.names) expectNear(weights!.find(name), numbersOf(wanted!.find(name)!), 1e-4);
    expect((await readdir(sources)).sort()).toEqual(["cpu-v3.c", "cuda.cu", "sluice.cuh"]);
    const text = await readFile(join(sources, "cuda.cu"), "utf8");
    expect(text).toMatch(/^#include "sluice\.cuh"\n\n\/\/ /);
    expect(text).toMatch(/\/\/ {3}\S*disc\.ts:\d+:\d+\n/);
    expect(spawnSync("gcc", ["-fsyntax-only", "-w", "-march=x86-64-v3", "cpu-v3.c"], { cwd: sources, encoding: "utf8" }).stderr).toBe("");
  });

  test("kernels that are no text are not asked for in vain", () => {
    const { code, err } = sluice("build", "dsl-examples/disc.ts", "-o", join(folder, "disc.slx"), "--target", "vulkan", "--emit-source", folder);
    expect([code, err]).toEqual([1, expect.stringMatching(/^error CLI011: the program's kernels are nobody's source\n/)]);
  });
});
