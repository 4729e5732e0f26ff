// What is packed for machines with a GPU runs without Node: recorded graphs pass on a device that is right, and a result that
// is not what was expected is named.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireBuilt } from "../../runtime/native/built.ts";
import { cudaShim } from "../support/cuda-shim.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";
import { WORKGROUP_CASES } from "../support/workgroup-cases.ts";
import { CaseFolder, randomGraphs } from "./cases.ts";

const GRAPHS = 5;
let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-cases-"));
  const cases = new CaseFolder("vulkan");
  await cases.addGraphs("random graphs", randomGraphs(6, GRAPHS, 5));
  await cases.write(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...options: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
  spawnSync(requireBuilt("conformance"), [folder, "--target", "vulkan", ...options], { encoding: "utf8" });

/** Changes a file for the length of a test. */
function changed(name: string, change: (bytes: Buffer) => Buffer, check: () => void): void {
  const path = join(folder, name);
  const before = readFileSync(path);
  writeFileSync(path, change(Buffer.from(before)));
  try {
    check();
  } finally {
    writeFileSync(path, before);
  }
}

test("all pass on a device that computes what the reference does", () => {
  const { status, stdout } = run("--json", join(folder, "counts.json"));
  expect(stdout).toMatch(new RegExp(`^vulkan, .*\nrandom graphs: ${GRAPHS} of ${GRAPHS} passed\n$`));
  expect(status).toBe(0);
  expect(JSON.parse(readFileSync(join(folder, "counts.json"), "utf8"))).toMatchObject([{ suite: "random graphs", ran: GRAPHS, passed: GRAPHS }]);
});

test("a result that is too far from what is expected is named with its place", () => {
  const { groups } = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as { groups: { cases: { outputs: { name: string; shape: number[]; at: number }[] }[] }[] };
  const output = groups.flatMap(g => g.cases.flatMap(c => c.outputs)).find(o => o.shape.every(n => n > 0))!;
  changed("cases.bin", bytes => {
    bytes.writeDoubleLE(12345, output.at);
    return bytes;
  }, () => {
    const { status, stdout } = run();
    expect(stdout).toMatch(new RegExp(`^FAILED random graphs: .*: ${output.name}\\[[0, ]*\\] is \\S+ and should be 12345`, "m"));
    expect(stdout).toContain(`: ${GRAPHS - 1} of ${GRAPHS} passed`);
    expect(status).toBe(1);
  });
});

test("a folder that was cut short, a container that is broken and a target without cases are refused by name", () => {
  changed("cases.bin", bytes => bytes.subarray(0, 8), () => expect(run()).toMatchObject({ status: 1, stderr: expect.stringContaining("CASES001") }));
  changed("cases.json", bytes => bytes.subarray(0, 20), () => expect(run()).toMatchObject({ status: 1, stderr: expect.stringContaining("CASES001") }));
  changed("1.slx", bytes => bytes.fill(0, 4096, 4100), () => expect(run()).toMatchObject({ status: 1, stdout: expect.stringContaining("FAILED random graphs: 1.slx: error SLX001") }));
  expect(run("--suite", "none")).toMatchObject({ status: 1, stderr: expect.stringContaining("CASES002") });
});

test("kernels and graphs for CUDA pass on the driver for tests", async () => {
  const nvcc = cudaShim();
  const forCuda = mkdtempSync(join(tmpdir(), "sluice-cases-"));
  const cases = new CaseFolder("cuda:sm_90", { nvcc, cache: TEST_CACHE });
  await cases.addGraphs("random graphs", randomGraphs(6, 2, 5));
  const exchanges = WORKGROUP_CASES.find(([name]) => name.startsWith("exchanges"))![1]();
  await cases.addKernels("workgroups", exchanges);
  await cases.write(forCuda);
  const { status, stdout } = spawnSync(requireBuilt("conformance"), [forCuda, "--target", "cuda"], { encoding: "utf8", env: { ...process.env, LD_LIBRARY_PATH: dirname(nvcc) } });
  rmSync(forCuda, { recursive: true });
  expect(stdout).toMatch(new RegExp(`^cuda, .*\nrandom graphs: 2 of 2 passed\nworkgroups: ${exchanges.length} of ${exchanges.length} passed\n$`));
  expect(status).toBe(0);
});
