// The SSD tier beside fio: once through one and the same file, with the same block and the same transfers under way, taking
// turns. Fio writes and reads without looking; the tier makes a checksum of every block and compares it.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Missing, type Row, timesRow, timingOf } from "../harness/rows.ts";

const suite = "io";
const MiB = 2 ** 20;
const BYTES = 256 * MiB;
const DEPTH = 32;
const ROUNDS = 9;
/** What a disk may do at once is a bucket that fills again: each pass begins with a full one. */
const REST_MS = 1000;
const BLOCKS = [MiB, 128 * 1024] as const;
const DIRECTIONS = ["write", "read"] as const;
type Direction = (typeof DIRECTIONS)[number];

const program = fileURLToPath(new URL("../../../build/native/io_bench", import.meta.url));
const rowName = (direction: Direction, block: number): string => `${direction} ${BYTES / MiB} MiB by ${block / 1024} KiB, ${DEPTH} at once`;
const fioVersion = (): string | undefined => {
  const { status, stdout } = spawnSync("fio", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
};

/** Milliseconds of one pass, by fio's own clock. */
function fioPass(file: string, direction: Direction, block: number): number {
  const { status, stdout, stderr } = spawnSync("fio", [
    "--name=pass", `--filename=${file}`, `--rw=${direction}`, `--bs=${block}`, `--size=${BYTES}`, `--iodepth=${DEPTH}`, "--direct=1", "--ioengine=io_uring",
    "--fixedbufs=1", "--registerfiles=1", "--overwrite=1", "--output-format=json",
  ], { encoding: "utf8" });
  if (status !== 0) throw new Error(`fio: ${stderr.trim()}`);
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf("{"))) as { jobs: { [D in Direction]: { runtime: number } }[] };
  return jobs[0]![direction].runtime;
}

interface Passes {
  /** How the tier works here. */
  readonly description: string;
  readonly ours: { readonly [D in Direction]: number[] };
  readonly fio: { readonly [D in Direction]: number[] };
}

async function passes(block: number, hasFio: boolean): Promise<Passes> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const file = join(folder, "tier");
  const tier = spawn(program, [file, String(BYTES), String(block), String(DEPTH)], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const lines = createInterface({ input: tier.stdout })[Symbol.asyncIterator]();
    const line = async (): Promise<string> => (await lines.next()).value as string;
    const description = await line();
    const ourPass = async (direction: Direction): Promise<number> => {
      tier.stdin.write(`${direction}\n`);
      return Number(await line());
    };
    const result: Passes = { description, ours: { write: [], read: [] }, fio: { write: [], read: [] } };
    for (const direction of DIRECTIONS) {
      // Gives the file its blocks, and what is read its checksums: fio has written over it.
      await ourPass("write");
      const turns = [async () => result.ours[direction].push(await ourPass(direction)), async () => hasFio && result.fio[direction].push(fioPass(file, direction, block))];
      for (let round = 0; round < ROUNDS; round++) {
        for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
          await pause(REST_MS);
          await turn();
        }
      }
    }
    return result;
  } finally {
    tier.stdin.end();
    await new Promise(resolve => tier.once("close", resolve));
    await rm(folder, { recursive: true });
  }
}

export async function io(report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  const version = fioVersion();
  const noFio: Missing = { why: "fio is not installed: npm run setup -- --peers" };
  for (const block of BLOCKS) {
    if (!DIRECTIONS.some(d => wanted(rowName(d, block)))) continue;
    const common = { suite, peerName: version ?? "fio", factor: 0.95 };
    if (!existsSync(program)) {
      for (const d of DIRECTIONS) report(timesRow({ ...common, row: rowName(d, block), ours: { why: "the native runtime is not built: npm run setup" }, peer: noFio }));
      continue;
    }
    const { description, ours, fio } = await passes(block, version !== undefined);
    for (const d of DIRECTIONS) {
      const [own, theirs] = [timingOf(ours[d]), version === undefined ? noFio : timingOf(fio[d])];
      const rate = (milliseconds: number): string => `${(BYTES / MiB / (milliseconds / 1000)).toFixed(0)} MiB/s`;
      const note = "why" in theirs ? theirs.why : `${rate(own.best)} against ${rate(theirs.best)}; ${description}, in huge pages where fio has small ones`;
      report({ ...timesRow({ ...common, row: rowName(d, block), ours: own, peer: theirs }), note });
    }
  }
}
