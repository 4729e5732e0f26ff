// Contests: one task, ours and peers with the same inputs and threads. Outputs are compared before anything is timed.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeMatrices, writeNoise, writeWeights } from "./network.ts";
import { interleaved, largestDifference, Participant, startPeer } from "./participant.ts";
import type { Peer } from "./peers.ts";
import { darkStreet, readPicture } from "./pictures.ts";
import { isMissing, type Missing, type Row, timesRow, type Timing } from "./rows.ts";
import type { TaskRequest } from "./serve.ts";

const [width, height, size] = [600, 400, 512];

export interface Contest extends Pick<TaskRequest, "task" | "target" | "threads"> {
  readonly name: string;
  readonly peers: readonly { readonly peer: Peer; readonly factor?: number }[];
  /** How far two outputs may lie apart. */
  readonly tolerance: number;
}

/** Writes what participants read into a folder, and says where and how large it is. */
export async function writeInputs(folder: string): Promise<Pick<TaskRequest, "folder" | "width" | "height" | "size">> {
  await Promise.all([writeWeights(folder), writeNoise(folder, 5), writeMatrices(folder, size)]);
  await writeFile(join(folder, "image.u8"), (await readPicture(darkStreet, { width, height })).rgb);
  return { folder, width, height, size };
}

/** The rows of the contests that are wanted, as they are known. */
export async function runContests(suite: string, contests: readonly Contest[], report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  try {
    const inputs = await writeInputs(folder);
    for (const contest of contests) {
      const peers = contest.peers.filter(({ peer }) => wanted(rowName(contest, peer)));
      if (peers.length > 0) for (const row of await contestRows(suite, { ...contest, peers }, inputs)) report(row);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

const rowName = (contest: Contest, peer: Peer): string => `${contest.name}, against ${peer.name}`;

async function contestRows(suite: string, contest: Contest, inputs: Awaited<ReturnType<typeof writeInputs>>): Promise<readonly Row[]> {
  const { task, target, threads, peers, tolerance } = contest;
  const request: TaskRequest = { task, target, threads, ...inputs };
  const ours = await Participant.start("Sluice", [process.execPath, fileURLToPath(new URL("../ours.ts", import.meta.url))], request);
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
