// Another checkout of Sluice as the peer: each row of a suite is measured in both, in turns, so that a change is compared on one
// machine at one time. Contests put the two checkouts' participants side by side; other rows run the suite of each checkout.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Contest, writeInputs } from "./contest.ts";
import { interleaved, largestDifference, Participant } from "./participant.ts";
import { device, isMissing, type Missing, type Row, timingOf } from "./rows.ts";

/** A row may be this much of the other checkout's speed, or of its goodness where no time is measured. */
const GOAL = 0.95;
const CONTEST_ROUNDS = 9;
/** Times of whole processes scatter more than those of one that is warm; a suite itself takes the best of several. */
const ROUNDS = 3;

const here = resolve(import.meta.dirname, "../../..");

interface Both {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

/** A checkout that rows are compared with. */
export class OtherCheckout {
  readonly #folder: string;
  readonly #name: string;
  constructor(folder: string) {
    this.#folder = resolve(folder);
    const { stdout } = spawnSync("git", ["-C", this.#folder, "rev-parse", "--short", "HEAD"], { encoding: "utf8" });
    this.#name = `commit ${stdout.trim()}`;
  }

  /** One row for each task, whoever else takes part in it. */
  async contests(suite: string, contests: readonly Contest[], report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"));
    try {
      const request = await writeInputs(folder);
      for (const { name, task, target, threads, tolerance } of contests.filter(c => wanted(this.#rowName(c.name)))) {
        const started = await Promise.all([here, this.#folder].map((root, i) =>
          Participant.start(`checkout ${i}`, [process.execPath, join(root, "tests/bench/ours.ts")], { task, target, threads, ...request })));
        report(this.#row(suite, name, "ms", "less", await this.#race(started, tolerance)));
        await Promise.all(started.map(p => (isMissing(p) ? undefined : p.close())));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  async #race(started: readonly (Participant | Missing)[], tolerance: number): Promise<Both | Missing> {
    const missing = started.find(isMissing);
    if (missing) return missing;
    const able = started as readonly Participant[];
    const [own, other] = [await able[0]!.output(), await able[1]!.output()];
    const difference = largestDifference(own, other);
    // The order of sums may have changed, and pictures are rounded to bytes.
    if (difference > Math.max(tolerance, 1e-4)) return { why: `the outputs differ by ${difference.toPrecision(3)}` };
    const [ours, theirs] = await interleaved(able, CONTEST_ROUNDS);
    return { ours: [ours!.best, ours!.median], theirs: [theirs!.best, theirs!.median] };
  }

  /** Every other row that the suite of this checkout has a result of; groups of rows that come together are run once a round. */
  rows(suite: string, names: readonly Pick<Row, "row" | "unit" | "goal">[], report: (row: Row) => void, wanted: (row: string) => boolean): void {
    const left = names.filter(n => wanted(this.#rowName(n.row)));
    while (left.length > 0) {
      const measured = new Map<string, { ours: number[]; theirs: number[] }>();
      let why = "";
      for (let round = 0; round < ROUNDS; round++) {
        const inTurn = round % 2 === 0 ? ["ours", "theirs"] as const : ["theirs", "ours"] as const;
        for (const side of inTurn) {
          const result = suiteRows(side === "ours" ? here : this.#folder, suite, left[0]!.row);
          if ("why" in result) why = result.why;
          else for (const r of result) {
            if (r.ours === null) continue;
            const both = measured.get(r.row) ?? { ours: [], theirs: [] };
            both[side].push(r.ours);
            measured.set(r.row, both);
          }
        }
      }
      const first = left[0]!;
      for (const n of left.filter(l => l === first || measured.has(l.row))) {
        const both = measured.get(n.row);
        const lacks = !both || both.ours.length === 0 || both.theirs.length === 0;
        report(this.#row(suite, n.row, n.unit, n.goal.startsWith("≥") && n.unit !== "ms" ? "more" : "less", lacks ? { why: why || "it was not run in both" } : both));
        left.splice(left.indexOf(n), 1);
      }
    }
  }

  #rowName(name: string): string {
    return `${name}, against ${this.#name}`;
  }

  #row(suite: string, name: string, unit: string, better: "less" | "more", both: Both | Missing): Row {
    const common = { suite, row: this.#rowName(name), peerName: this.#name, unit, goal: `≥ ${GOAL}×`, device };
    if ("why" in both) return { ...common, ours: null, peer: null, ratio: null, met: null, note: `not run: ${both.why}` };
    const [ours, peer] = [both.ours, both.theirs].map(values => (better === "less" ? Math.min(...values) : Math.max(...values))) as [number, number];
    const ratio = better === "less" ? peer / ours : ours / peer;
    return { ...common, ours, peer, ratio, met: ratio >= GOAL, medians: { ours: timingOf(both.ours).median, peer: timingOf(both.theirs).median } };
  }
}

function suiteRows(root: string, suite: string, match: string): readonly Row[] | Missing {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "tests/bench/main.ts"), suite, "--match", match, "--json"], { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status !== 0) return { why: stderr.trim().split("\n").at(-1) ?? "the suite failed" };
  return stdout.split("\n").filter(l => l.startsWith("{")).map(l => JSON.parse(l) as Row);
}
