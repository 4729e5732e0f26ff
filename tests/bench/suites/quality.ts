// Quality: the network trained five times by PyTorch (once, in results/torch-quality.json) and five times by ours, from five
// seeds each, on the same darkened and over-exposed photographs. Both are scored through our `enhance`.
import { readFile } from "node:fs/promises";
import { open } from "../../../compiler/index.ts";
import { namedWeights } from "../harness/network.ts";
import { darkened, meanOf, overExposed, photographs, type Picture, psnr } from "../harness/pictures.ts";
import { limitRow, type Missing, type Row } from "../harness/rows.ts";

const ITERATIONS = 2000;
const SEEDS = 5;

interface Baseline {
  readonly torch: string;
  readonly seeds: readonly { readonly weights: readonly number[] }[];
}
interface Score {
  readonly psnr: number;
  readonly mean: number;
}
type Weights = ReadonlyMap<string, Float32Array>;

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

export const QUALITY = ["quality: distance of mean PSNR from PyTorch's", "quality: farthest output mean from 0.5"] as const;

export async function qualityRows(suite: string): Promise<readonly Row[]> {
  const [rowPsnr, rowMeans] = QUALITY;
  const failed = (why: Missing): readonly Row[] => [
    limitRow({ suite, row: rowPsnr, unit: "dB", limit: 0.5, ours: why }), limitRow({ suite, row: rowMeans, unit: "of the range", limit: 0.06, ours: why }),
  ];
  const pictures = await photographs();
  if (!pictures) return failed({ why: "the photographs are not installed: npm run setup -- --peers" });
  const cases = pictures.flatMap((p, i) => [{ from: p, to: darkened(p, i + 1) }, { from: p, to: overExposed(p) }]);
  try {
    const baseline = JSON.parse(await readFile(new URL("../results/torch-quality.json", import.meta.url), "utf8")) as Baseline;
    const theirs = await scores(baseline.seeds.slice(0, SEEDS).map(s => namedWeights(Float32Array.from(s.weights))), cases);
    const ours = await scores(await trained(), cases);
    const [own, other] = [ours, theirs].map(all => mean(all.map(s => s.psnr))) as [number, number];
    const means = (all: readonly Score[]): string => `${Math.min(...all.map(s => s.mean)).toFixed(3)} to ${Math.max(...all.map(s => s.mean)).toFixed(3)}`;
    const farthest = Math.max(...ours.map(s => Math.abs(s.mean - 0.5)));
    return [
      limitRow({ suite, row: rowPsnr, unit: "dB", limit: 0.5, ours: Math.abs(own - other), note: `${SEEDS} seeds of ${ITERATIONS} iterations on ${cases.length} pictures: ours ${own.toFixed(2)} dB, PyTorch ${baseline.torch} ${other.toFixed(2)} dB` }),
      limitRow({ suite, row: rowMeans, unit: "of the range", limit: 0.06, ours: farthest, note: `output means: ours ${means(ours)}, PyTorch ${means(theirs)}` }),
    ];
  } catch (error) {
    return failed({ why: (error as Error).message.split("\n")[0]! });
  }
}

async function scores(networks: readonly Weights[], cases: readonly { readonly from: Picture; readonly to: Picture }[]): Promise<readonly Score[]> {
  const program = await open(await import("../programs/noiser.ts"), { target: "wasm" });
  const all: Score[] = [];
  for (const weights of networks) {
    for (const [name, data] of weights) await program.state.set(name, data.slice());
    for (const { from, to } of cases) {
      const bytes = (await program.call("enhance", { image: { shape: [to.height, to.width, 3], data: to.rgb } }))["image"]!.data as Uint8Array;
      all.push({ psnr: psnr(bytes, from.rgb), mean: meanOf(bytes) });
    }
  }
  await program.close();
  return all;
}

/** Our networks, from five seeds. */
async function trained(): Promise<readonly Weights[]> {
  const networks: Weights[] = [];
  for (let seed = 0; seed < SEEDS; seed++) {
    const program = await open(await import("../programs/noiser.ts"), { target: "wasm", seed });
    await program.run("steps", { steps: ITERATIONS });
    const names = [...namedWeights(new Float32Array(0)).keys()];
    networks.push(new Map(await Promise.all(names.map(async name => [name, (await program.state.get(name)).data.slice() as Float32Array] as const))));
    await program.close();
  }
  return networks;
}
