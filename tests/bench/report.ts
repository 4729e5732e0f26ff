// docs/BENCHMARKS.md from what was measured: the rows of results/<suite>.json, and a reason for each goal that was missed from
// results/reasons.json. Nothing in the document's tables is written by hand.
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cells, COLUMNS, type Row } from "./harness/rows.ts";

const results = new URL("results/", import.meta.url);
const document = new URL("../../docs/BENCHMARKS.md", import.meta.url);
const SUITES = ["noiser", "native", "gpu", "io", "compile"];

const INTRODUCTION = `# Benchmarks

Every goal is a row. \`ours\` and \`peer\` are the best of interleaved runs and \`median\` what stands beside them; the ratio is of
the best. Whoever is timed runs as a process of its own with the same network, weights, input and number of threads, and
outputs are compared before anything is timed. The peers take the picture as f32 in the layout they like and return f32; ours
takes bytes and returns bytes, so the conversion is in our time and not in theirs. \`npm run bench -- --peers\` says which peers
are installed, \`npm run setup -- --peers\` installs them, \`npm run bench -- --report\` writes this file, and
\`npm run bench -- noiser --against ../other\` measures each row beside that of another checkout, in turns.
`;

const table = (rows: readonly Row[]): string =>
  [[...COLUMNS], COLUMNS.map((_, i) => (i === 0 || i === 5 ? ":--" : "--:")), ...rows.map(cells)].map(line => `| ${line.join(" | ")} |`).join("\n");

/** Writes the document; returns what it says of misses that have no reason. */
export async function writeReport(): Promise<string> {
  const reasons = existsSync(new URL("reasons.json", results)) ? (JSON.parse(await readFile(new URL("reasons.json", results), "utf8")) as { readonly [row: string]: string }) : {};
  const parts: string[] = [INTRODUCTION];
  const unexplained: string[] = [];
  for (const suite of SUITES) {
    const file = new URL(`${suite}.json`, results);
    if (!existsSync(file)) continue;
    const rows = JSON.parse(await readFile(file, "utf8")) as readonly Row[];
    const notes = rows.flatMap(r => (r.note ? [`- ${r.row}: ${r.note}.`] : []));
    const misses = rows.filter(r => r.met === false);
    const notRun = rows.filter(r => r.met === null && r.goal !== "").length;
    for (const r of misses) if (!(r.row in reasons)) unexplained.push(r.row);
    parts.push([
      `## ${suite}\n`, `\`npm run bench -- ${suite} --json tests/bench/results/${suite}.json\` on ${rows[0]?.device ?? "no device"}.\n`, table(rows), "",
      ...(notes.length > 0 ? [...notes, ""] : []),
      ...(misses.length > 0 ? [`Goals missed: ${misses.length} of ${rows.filter(r => r.met !== null).length}.\n`, ...misses.map(r => `- ${r.row}: ${reasons[r.row] ?? "no reason is known yet"}.`), ""] : [notRun > 0 ? `Every goal that was run for is met; ${notRun} were not run.` : "Every goal is met.", ""]),
    ].join("\n"));
  }
  await mkdir(new URL(".", document), { recursive: true });
  await writeFile(document, parts.join("\n"));
  return unexplained.length === 0 ? "docs/BENCHMARKS.md is written" : `docs/BENCHMARKS.md is written; without a reason in results/reasons.json:\n${unexplained.map(r => `  ${r}`).join("\n")}`;
}
