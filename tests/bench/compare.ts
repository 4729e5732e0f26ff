// `npm run bench -- noiser native --against ../other`: a suite beside the same suite of another checkout. Rows that are no
// matter of speed or size are left to the suite itself: what conforms, and how far a trained network is from PyTorch's.
import { readFileSync } from "node:fs";
import { OtherCheckout } from "./harness/against.ts";
import type { Contest } from "./harness/contest.ts";
import type { Row } from "./harness/rows.ts";

const contestsOf: { readonly [suite: string]: () => Promise<readonly Contest[]> } = {
  noiser: async () => (await import("./suites/noiser.ts")).noiserContests,
  native: async () => (await import("./suites/native.ts")).nativeContests,
};

const LEFT_OUT = ["quality", "conformance"];

export const compareWith = (folder: string, suite: string) => async (report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> => {
  const other = new OtherCheckout(folder);
  const contests = await contestsOf[suite]?.() ?? [];
  await other.contests(suite, contests, report, wanted);
  const results = JSON.parse(readFileSync(new URL(`results/${suite}.json`, import.meta.url), "utf8")) as readonly Row[];
  const others = results.filter(r => r.ours !== null && !LEFT_OUT.some(name => r.row.startsWith(name)) && !contests.some(c => r.row.startsWith(`${c.name}, against`)));
  other.rows(suite, others, report, wanted);
};
