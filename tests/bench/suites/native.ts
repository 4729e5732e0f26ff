// NoiSER on the cpu target: against its peers, against the processor's peak, and as an executable.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { type Contest, runContests } from "../harness/contest.ts";
import { PEERS } from "../harness/peers.ts";
import { limitRow, type Missing, type Row, timingOf } from "../harness/rows.ts";

const suite = "native";
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const nativeContests: readonly Contest[] = [
  { task: "enhance", name: "enhance 600×400, 1 thread", target: "cpu", threads: 1, tolerance: 1.2 / 127.5, peers: [{ peer: PEERS.onnxruntimeNode, factor: 2.3 }, { peer: PEERS.pytorch, factor: 2.3 }] },
  { task: "enhance", name: "enhance 600×400, 2 threads", target: "cpu", threads: 2, tolerance: 1.2 / 127.5, peers: [{ peer: PEERS.onnxruntimeNode, factor: 2.8 }, { peer: PEERS.pytorch, factor: 2.8 }] },
  { task: "train", name: "training step 104×104, 1 thread", target: "cpu", threads: 1, tolerance: 2e-3, peers: [{ peer: PEERS.pytorch, factor: 3 }] },
  { task: "train", name: "training step 104×104, 2 threads", target: "cpu", threads: 2, tolerance: 2e-3, peers: [{ peer: PEERS.pytorch, factor: 3 }] },
  { task: "matmul", name: "matrix product 512³, 1 thread", target: "cpu", threads: 1, tolerance: 0, peers: [{ peer: PEERS.onnxruntimeNode }, { peer: PEERS.pytorch }] },
];

const PEAK = "convolutions of enhance, 1 thread, of the FMA peak";
const EXECUTABLE = { size: "executable of NoiSER: size", start: "executable of NoiSER: start to first output at 64×64" } as const;
const BUILD = { cold: "sluice build of NoiSER, cold, beyond Node's start", cached: "sluice build of NoiSER, cached, beyond Node's start" } as const;

export async function native(report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  await runContests(suite, nativeContests, report, wanted);
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    if (wanted(PEAK)) report(peakRow(folder));
    if (Object.values(EXECUTABLE).some(wanted)) for (const row of await executableRows(folder)) report(row);
    if (Object.values(BUILD).some(wanted)) for (const row of buildRows(folder)) report(row);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const errorOf = (stderr: string): Missing => ({ why: stderr.split("\n").find(l => /rror/.test(l))?.trim() ?? "it failed" });
interface Ran {
  readonly stdout: string;
  readonly milliseconds: number;
}
function ran(command: string, ...args: readonly string[]): Ran | Missing {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
  const milliseconds = performance.now() - start;
  return error ? { why: error.message } : status === 0 ? { stdout, milliseconds } : errorOf(stderr);
}
const sluice = (...args: readonly string[]): Ran | Missing => ran(process.execPath, here("../../../compiler/cli/sluice.js"), ...args);

/** Turns of the peak and of the convolutions alternate, so that both see the same machine. */
function peakRow(folder: string): Row {
  const common = { suite, row: PEAK, unit: "%", limit: 75, side: "least" } as const;
  const compiled = ran("cc", "-O2", "-march=native", "-ffp-contract=fast", here("../fma-peak.c"), "-o", join(folder, "fma-peak"));
  if ("why" in compiled) return limitRow({ ...common, ours: compiled });
  let [peak, first, second] = [0, 0, 0];
  for (let turn = 0; turn < 3; turn++) {
    const [limit, rates] = [ran(join(folder, "fma-peak")), ran(process.execPath, here("../convolutions.ts"), "2000")];
    if ("why" in limit) return limitRow({ ...common, ours: limit });
    if ("why" in rates) return limitRow({ ...common, ours: rates });
    const own = JSON.parse(rates.stdout) as { first: number; second: number };
    [peak, first, second] = [Math.max(peak, Number(limit.stdout)), Math.max(first, own.first), Math.max(second, own.second)];
  }
  // Each makes half of the products: the mean rate is the harmonic one.
  const rate = 2 / (1 / first + 1 / second);
  const note = `peak ${peak.toFixed(1)} GFLOP/s; 3 → 32 channels ${first.toFixed(1)}, 32 → 3 channels ${second.toFixed(1)}, counted as a direct convolution`;
  return limitRow({ ...common, ours: (100 * rate) / peak, note });
}

async function executableRows(folder: string): Promise<readonly Row[]> {
  const path = join(folder, "noiser");
  const [size, start] = [{ suite, row: EXECUTABLE.size, unit: "MB", limit: 3 }, { suite, row: EXECUTABLE.start, unit: "ms", limit: 20 }];
  const built = sluice("build", here("../../../dsl-examples/noiser"), "-o", path);
  const trained = "why" in built ? built : ran(path, "train", "--steps", "1", "--to", join(folder, "weights.safetensors"));
  if ("why" in trained) return [limitRow({ ...size, ours: trained }), limitRow({ ...start, ours: trained })];
  const picture = join(folder, "in.png");
  await writeFile(picture, await sharp({ create: { width: 64, height: 64, channels: 3, background: "#203040", noise: { type: "gaussian", mean: 60, sigma: 20 } } }).png().toBuffer());
  const runs = Array.from({ length: 15 }, () => ran(path, "enhance", "--states", join(folder, "weights.safetensors"), "--image", picture, "--out", join(folder, "out.png")));
  const failed = runs.find(r => "why" in r);
  const times = timingOf(runs.flatMap(r => ("why" in r ? [] : [r.milliseconds])));
  return [limitRow({ ...size, ours: (await stat(path)).size / 1e6 }), limitRow({ ...start, ours: failed ?? times.best, median: times.median, note: "the whole process, from its start to its end" })];
}

function buildRows(folder: string): readonly Row[] {
  const node = timingOf(Array.from({ length: 5 }, () => ran(process.execPath, "-e", "0")).flatMap(r => ("why" in r ? [] : [r.milliseconds]))).best;
  const build = (...more: readonly string[]): number | Missing => {
    const r = sluice("build", here("../../../dsl-examples/noiser"), "-o", join(folder, "noiser"), ...more);
    return "why" in r ? r : r.milliseconds - node;
  };
  // The first of the runs finds other things cold as well: the best of three caches that are empty.
  const colds = [1, 2, 3].map(i => build("--cache", join(folder, `cache${i}`)));
  const cached = [1, 2, 3, 4, 5].map(() => build("--cache", join(folder, "cache1")));
  const row = (name: string, limit: number, results: readonly (number | Missing)[]): Row => {
    const failed = results.find(r => typeof r !== "number");
    const times = timingOf(results.filter(r => typeof r === "number"));
    return limitRow({ suite, row: name, unit: "ms", limit, ours: failed ?? times.best, median: times.median, note: `Node's own start: ${node.toFixed(0)} ms` });
  };
  return [row(BUILD.cold, 2000, colds), row(BUILD.cached, 300, cached)];
}
