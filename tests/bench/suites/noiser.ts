// NoiSER in WebAssembly against its peers: the same network, weights, input and thread count. The peers are given the picture
// as f32 in their own layout and return f32; ours takes and returns bytes.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Contest, runContests } from "../harness/contest.ts";
import { PEERS } from "../harness/peers.ts";
import { limitRow, type Row } from "../harness/rows.ts";
import { QUALITY, qualityRows } from "./quality.ts";

const suite = "noiser";
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const noiserContests: readonly Contest[] = [
  { task: "enhance", name: "enhance 600×400, 2 threads", target: "wasm", threads: 2, tolerance: 1.2 / 127.5, peers: [{ peer: PEERS.onnxruntime, factor: 2.5 }, { peer: PEERS.pytorch, factor: 1.5 }] },
  { task: "enhance", name: "enhance 600×400, 1 thread", target: "wasm", threads: 1, tolerance: 1.2 / 127.5, peers: [{ peer: PEERS.onnxruntime, factor: 2.5 }, { peer: PEERS.tfjs, factor: 2.5 }, { peer: PEERS.pytorch }] },
  { task: "train", name: "training step 104×104, 2 threads", target: "wasm", threads: 2, tolerance: 2e-3, peers: [{ peer: PEERS.pytorch, factor: 1 }] },
  { task: "train", name: "training step 104×104, 1 thread", target: "wasm", threads: 1, tolerance: 2e-3, peers: [{ peer: PEERS.jax, factor: 1 }, { peer: PEERS.pytorch }] },
  { task: "matmul", name: "matrix product 512³, 1 thread", target: "wasm", threads: 1, tolerance: 0, peers: [{ peer: PEERS.jax, factor: 1.5 }, { peer: PEERS.onnxruntime }, { peer: PEERS.tfjs }] },
];

/** Every row of the suite; each is given to `report` when it is known. */
export async function noiser(report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  await runContests(suite, noiserContests, report, wanted);
  if (wanted(MEMORY)) report(memoryRow());
  if (QUALITY.some(wanted)) for (const row of await qualityRows(suite)) report(row);
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
