// NoiSER against its peers: the same network, weights, input and thread count; outputs are compared before anything is timed.
// The peers are given the picture as f32 in their own layout and return f32; ours takes and returns bytes.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeMatrices, writeNoise, writeWeights } from "../harness/network.ts";
import { interleaved, largestDifference, Participant, startPeer } from "../harness/participant.ts";
import { type Peer, PEERS } from "../harness/peers.ts";
import { darkStreet, readPicture } from "../harness/pictures.ts";
import { isMissing, limitRow, type Missing, type Row, timesRow, type Timing } from "../harness/rows.ts";
import type { TaskName, TaskRequest } from "../harness/serve.ts";
import { QUALITY, qualityRows } from "./quality.ts";

const suite = "noiser";
const [width, height, size] = [600, 400, 512];
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

interface Contest {
  readonly task: TaskName;
  readonly name: string;
  readonly threads: number;
  readonly peers: readonly { readonly peer: Peer; readonly factor?: number }[];
  /** How far two outputs may lie apart. */
  readonly tolerance: number;
}

const contests: readonly Contest[] = [
  { task: "enhance", name: "enhance 600×400, 2 threads", threads: 2, tolerance: 1.2 / 127.5, peers: [{ peer: PEERS.onnxruntime, factor: 2.5 }, { peer: PEERS.pytorch, factor: 1.5 }] },
  { task: "enhance", name: "enhance 600×400, 1 thread", threads: 1, tolerance: 1.2 / 127.5, peers: [{ peer: PEERS.onnxruntime, factor: 2.5 }, { peer: PEERS.tfjs, factor: 2.5 }, { peer: PEERS.pytorch }] },
  { task: "train", name: "training step 104×104, 2 threads", threads: 2, tolerance: 2e-3, peers: [{ peer: PEERS.pytorch, factor: 1 }] },
  { task: "train", name: "training step 104×104, 1 thread", threads: 1, tolerance: 2e-3, peers: [{ peer: PEERS.jax, factor: 1 }, { peer: PEERS.pytorch }] },
  { task: "matmul", name: "matrix product 512³, 1 thread", threads: 1, tolerance: 0, peers: [{ peer: PEERS.jax, factor: 1.5 }, { peer: PEERS.onnxruntime }, { peer: PEERS.tfjs }] },
];

/** Every row of the suite; each is given to `report` when it is known. */
export async function noiser(report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    await Promise.all([writeWeights(folder), writeNoise(folder, 5), writeMatrices(folder, size)]);
    await writeFile(join(folder, "image.u8"), (await readPicture(darkStreet, { width, height })).rgb);
    for (const contest of contests) {
      const peers = contest.peers.filter(({ peer }) => wanted(rowName(contest, peer)));
      if (peers.length > 0) for (const row of await contestRows({ ...contest, peers }, folder)) report(row);
    }
    if (wanted(MEMORY)) report(memoryRow());
    if (QUALITY.some(wanted)) for (const row of await qualityRows(suite)) report(row);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const rowName = (contest: Contest, peer: Peer): string => `${contest.name}, against ${peer.name}`;

async function contestRows(contest: Contest, folder: string): Promise<readonly Row[]> {
  const { task, threads, peers, tolerance } = contest;
  const request: TaskRequest = { task, threads, folder, width, height, size };
  const ours = await Participant.start("Sluice", [process.execPath, here("../ours.ts")], request);
  const others = await Promise.all(peers.map(async ({ peer, factor }) => ({ peer, factor, started: await startPeer(peer, request) })));
  const own = isMissing(ours) ? null : await ours.output().catch((error: Error): Missing => ({ why: error.message }));
  const able: Participant[] = [];
  const trouble = new Map<Participant | Missing, Missing>();
  const runs = ours instanceof Participant && own instanceof Float32Array;
  if (ours instanceof Participant && own !== null && isMissing(own)) trouble.set(ours, own);
  if (runs) able.push(ours);
  for (const { started } of others) {
    if (isMissing(started)) continue;
    const theirs = await started.output();
    const difference = runs ? largestDifference(own, theirs) : 0;
    if (difference <= tolerance) able.push(started);
    else trouble.set(started, { why: `${started.name}'s output differs from ours by ${difference.toPrecision(3)}, more than ${tolerance.toPrecision(3)}: not timed` });
  }
  const timings = new Map<Participant, Timing>();
  (await interleaved(able, 5)).forEach((t, i) => timings.set(able[i]!, t));
  await Promise.all([ours, ...others.map(o => o.started)].map(p => (isMissing(p) ? undefined : p.close())));
  const timingOf = (p: Participant | Missing): Timing | Missing => trouble.get(p) ?? (isMissing(p) ? p : timings.get(p)!);
  return others.map(({ peer, factor, started }) => timesRow({ suite, row: rowName(contest, peer), peerName: isMissing(started) ? peer.name : started.description, ours: timingOf(ours), peer: timingOf(started), ...(factor === undefined ? {} : { factor }) }));
}

const MEMORY = "memory of enhance 4000×3000, above idle";
function memoryRow(): Row {
  const row = MEMORY;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", here("../memory.ts")], { encoding: "utf8" });
  const unit = "× input + output";
  if (status !== 0) return limitRow({ suite, row, unit, limit: 3, ours: { why: stderr.trim().split("\n").find(l => l.includes("rror")) ?? "it failed" } });
  const { idle, peak, pictures, mean } = JSON.parse(stdout) as { idle: number; peak: number; pictures: number; mean: number };
  if (!(mean > 0.3 && mean < 0.7)) return limitRow({ suite, row, unit, limit: 3, ours: { why: `the picture that came out has a mean of ${mean.toFixed(3)}` } });
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return limitRow({ suite, row, unit, limit: 3, ours: (peak - idle) / pictures, note: `${mebibytes(peak - idle)} above ${mebibytes(idle)}; the 8-bit pictures take ${mebibytes(pictures)}` });
}
