// The GPU targets: what a launch costs, what fusion saves, how long SPIR-V takes to make, and what passes where. Vulkan runs on
// whatever device is best here, which each row names: Mesa's lavapipe proves that numbers are right and is no timing device,
// so that times on it are reported without a goal. Rows that need a GPU say that they were not run where there is none.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { importProgram } from "../../../compiler/cli/program-module.ts";
import { compileProgram } from "../../../compiler/compile.ts";
import { kernelModules } from "../../../compiler/emit/vulkan/function.ts";
import { fusedWork } from "../../../compiler/fusion/report.ts";
import { SluiceError } from "../../../compiler/base/diagnostics.ts";
import type { Kernel } from "../../../compiler/kernel/ir.ts";
import type { TargetText } from "../../../compiler/targets.ts";
import { cudaDevices, vulkanDevices } from "../../../runtime/native/devices.ts";
import { readTallies } from "../../support/conformance-reporter.ts";
import { compilable, programOf } from "../../support/graph-programs.ts";
import { writeNoise, writeWeights } from "../harness/network.ts";
import { interleaved, largestDifference, Participant } from "../harness/participant.ts";
import { darkStreet, readPicture } from "../harness/pictures.ts";
import { countsRow, isMissing, limitRow, type Missing, notRunRow, type Row, timesRow } from "../harness/rows.ts";
import type { TaskName } from "../harness/serve.ts";

const suite = "gpu";
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const program = (name: string): string => here(`../programs/${name}.ts`);
const [width, height] = [600, 400];
/** A processor that acts as a GPU takes its time. */
const ROUNDS = 3;

/** The devices that can be used, if there are any to ask. */
function usable<D extends { readonly problem: string }>(list: () => readonly D[]): readonly D[] {
  try {
    return list().filter(d => d.problem === "");
  } catch (error) {
    if (error instanceof SluiceError) return [];
    throw error;
  }
}
/** The target of a GPU: no processor that acts as one. */
function realGpu(): TargetText | Missing {
  if (usable(() => cudaDevices({ isTested: true })).length > 0) return "cuda";
  const gpu = usable(vulkanDevices).find(d => d.kind !== "cpu");
  return gpu ? `vulkan:${gpu.name}` : { why: "no GPU" };
}

const LAUNCH = "launch overhead, an entry of 100 tiny kernels replayed";
const TASKS = [
  { task: "enhance", entry: "enhance", name: `enhance ${width}×${height}`, dims: { H: height, W: width }, tolerance: 1.2 / 127.5 },
  { task: "train", entry: "learn", name: "training step 104×104", dims: {}, tolerance: 2e-3 },
] as const;
const FUSION = { kernels: "kernels", bytes: "bytes moved", time: "time" } as const;
const fusionRow = (name: string, what: keyof typeof FUSION): string => `${name} on Vulkan, ${FUSION[what]}, fused against unfused`;
const EMISSION = "SPIR-V emission";
const CONFORMANCE = "conformance";
const againstPyTorch = (name: string): string => `${name} on a GPU, against the better of PyTorch eager and torch.compile`;

export async function gpu(report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    await Promise.all([writeWeights(folder), writeNoise(folder, 5)]);
    await writeFile(join(folder, "image.u8"), (await readPicture(darkStreet, { width, height })).rgb);
    const real = realGpu();
    if (wanted(LAUNCH)) for (const row of await launchRows(folder, real)) report(row);
    for (const t of TASKS) {
      if (wanted(fusionRow(t.name, "kernels")) || wanted(fusionRow(t.name, "bytes"))) for (const row of await movedRows(t)) report(row);
      if (wanted(fusionRow(t.name, "time"))) report(await fusionTimeRow(t, folder));
    }
    if (wanted(EMISSION)) report(await emissionRow());
    if (wanted(CONFORMANCE)) conformanceRows().forEach(report);
    const why = typeof real === "string" ? { why: "what `npm run gpu:pack` gathers measures it, on the GPU's machine" } : real;
    for (const { name } of TASKS) if (wanted(againstPyTorch(name))) report(notRunRow(suite, againstPyTorch(name), "≥ 2×", why));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const start = (name: string, folder: string, task: TaskName, target: TargetText, fusion: boolean): Promise<Participant | Missing> =>
  Participant.start(name, [process.execPath, here("../ours.ts")], { task, target, fusion, threads: 1, folder, width, height, size: 0 });

async function launchRows(folder: string, real: TargetText | Missing): Promise<Row[]> {
  const measured = async (row: string, target: TargetText): Promise<Row> => {
    const ours = await start("Sluice", folder, "launches", target, false);
    if (isMissing(ours)) return limitRow({ suite, row, unit: "µs a launch", ours });
    const [timing] = await interleaved([ours], ROUNDS);
    await ours.close();
    return limitRow({ suite, row, unit: "µs a launch", ours: 1000 * timing!.best, median: 1000 * timing!.median, note: ours.description });
  };
  return [
    await measured(`${LAUNCH}, on Vulkan`, "vulkan"),
    typeof real === "string" ? await measured(`${LAUNCH}, on a GPU`, real) : notRunRow(suite, `${LAUNCH}, on a GPU`, "", real),
  ];
}

/** Counted from the kernels of both, whose table `sluice opt --stop-after fusion` prints. */
async function movedRows({ entry, name, dims }: (typeof TASKS)[number]): Promise<Row[]> {
  const traced = await importProgram(here("../../../dsl-examples/noiser"), {});
  const of = { ...traced, entries: traced.entries.filter(e => e.name === entry) };
  const [fused, unfused] = [true, false].map(fusion => fusedWork(compileProgram(of, ["gpu"], { fusion }).lowerings[0]!, dims));
  const kernels = (works: typeof fused): number => works!.filter(w => w.name !== "copy").length;
  const mebibytes = (works: typeof fused): number => works!.reduce((sum, w) => sum + w.read + w.written, 0) / 2 ** 20;
  const common = { suite, peerName: "every op a kernel" };
  return [
    countsRow({ ...common, row: fusionRow(name, "kernels"), unit: "kernels", ours: kernels(fused), peer: kernels(unfused) }),
    countsRow({ ...common, row: fusionRow(name, "bytes"), unit: "MiB", ours: mebibytes(fused), peer: mebibytes(unfused) }),
  ];
}

async function fusionTimeRow({ task, name, tolerance }: (typeof TASKS)[number], folder: string): Promise<Row> {
  const row = fusionRow(name, "time");
  const peerName = "every op a kernel";
  const both = await Promise.all([start("fused", folder, task, "vulkan", true), start("unfused", folder, task, "vulkan", false)]);
  const [ours, peer] = both;
  if (isMissing(ours) || isMissing(peer)) return timesRow({ suite, row, peerName, ours: ours as Missing, peer: peer as Missing });
  try {
    const difference = largestDifference(await ours.output(), await peer.output());
    if (!(difference <= tolerance)) {
      const why = { why: `the outputs differ by ${difference.toPrecision(3)}: not timed` };
      return timesRow({ suite, row, peerName, ours: why, peer: why });
    }
    const [fused, unfused] = await interleaved([ours, peer], ROUNDS);
    return { ...timesRow({ suite, row, peerName, ours: fused!, peer: unfused! }), note: ours.description };
  } finally {
    await Promise.all([ours.close(), peer.close()]);
  }
}

/** Of the kernels of the examples, of the benchmarks' programs and of random graphs as the conformance suite draws them. */
async function emissionRow(): Promise<Row> {
  const programs = await Promise.all([here("../../../dsl-examples/noiser"), here("../../../dsl-examples/disc.ts"), ...["convolutions", "matmul", "synthetic"].map(program)].map(path => importProgram(path, {})));
  const graphs = fc.sample(compilable(8), { numRuns: 200, seed: 1 }).map(c => programOf(c.graph));
  const kernels = [...programs, ...graphs].flatMap((p): readonly Kernel[] => {
    try {
      return compileProgram(p, ["gpu"]).lowerings[0]!.kernels;
    } catch (error) {
      // A state whose update cannot be done in place.
      if (error instanceof SluiceError && error.diagnostic.code === "STATE201") return [];
      throw error;
    }
  });
  const times = kernels.map(k => {
    const begin = performance.now();
    kernelModules(k);
    return performance.now() - begin;
  });
  const total = times.reduce((a, b) => a + b, 0);
  return limitRow({ suite, row: EMISSION, unit: "ms a kernel", limit: 5, ours: total / kernels.length, note: `${kernels.length} kernels, the slowest in ${Math.max(...times).toFixed(1)} ms` });
}

/** Runs the suite; as the tests print it. */
function conformanceRows(): Row[] {
  const { stdout } = spawnSync(process.execPath, [here("../../../node_modules/vitest/vitest.mjs"), "run", "tests/conformance"], { cwd: here("../../.."), encoding: "utf8", maxBuffer: 2 ** 26 });
  const tallies = readTallies(stdout);
  if (tallies.length === 0) return [limitRow({ suite, row: CONFORMANCE, unit: "graphs and programs", limit: 1, side: "least", ours: { why: "the suite did not run" } })];
  return tallies.map(({ target, ran, passed }) => limitRow({ suite, row: `${CONFORMANCE} on ${target}`, unit: "graphs and programs", limit: ran, side: "least", ours: passed }));
}
