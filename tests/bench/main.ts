// `npm run bench [-- suite …] [--match text] [--against folder] [--json [file]] [--peers] [--report]`: runs suites and prints their
// rows, as they come and then as a table; with --against, each row beside that of another checkout, built there. Every goal of the project's issues is a row.
import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { peersText } from "./harness/peers.ts";
import { cells, device, type Row, tableText } from "./harness/rows.ts";
import { compareWith } from "./compare.ts";
import { writeReport } from "./report.ts";

type Suite = (report: (row: Row) => void, wanted: (row: string) => boolean) => Promise<void>;
const suites: { readonly [name: string]: () => Promise<Suite> } = {
  noiser: async () => (await import("./suites/noiser.ts")).noiser,
  native: async () => (await import("./suites/native.ts")).native,
  compile: async () => (await import("./suites/compile.ts")).compile,
  gpu: async () => (await import("./suites/gpu.ts")).gpu,
  io: async () => (await import("./suites/io.ts")).io,
};

interface Options {
  readonly against?: string;
  readonly json?: string | true;
  readonly match?: string;
  readonly peers?: boolean;
  readonly report?: boolean;
}

async function run(names: readonly string[], options: Options): Promise<void> {
  if (options.peers) return void process.stdout.write(`${peersText()}\n`);
  if (options.report) return void process.stdout.write(`${await writeReport()}\n`);
  const stranger = names.find(n => !(n in suites));
  if (stranger !== undefined) {
    process.stderr.write(`there is no suite ${stranger}; there are ${Object.keys(suites).join(", ")}\n`);
    process.exitCode = 1;
    return;
  }
  if (options.json !== true) process.stderr.write(`${device}\n`);
  const rows: Row[] = [];
  for (const name of names.length > 0 ? names : Object.keys(suites)) {
    await (options.against === undefined ? await suites[name]!() : compareWith(options.against, name))(row => {
      rows.push(row);
      if (options.json === true) process.stdout.write(`${JSON.stringify(row)}\n`);
      else process.stderr.write(`${cells(row).filter(c => c !== "").join("  ")}\n`);
    }, row => row.includes(options.match ?? ""));
  }
  if (options.json !== true) process.stdout.write(`\n${tableText(rows)}\n`);
  if (typeof options.json === "string") await writeFile(options.json, `[\n${rows.map(r => `  ${JSON.stringify(r)}`).join(",\n")}\n]\n`);
}

await new Command("bench")
  .argument("[suites...]", `which suites: ${Object.keys(suites).join(", ")}; all by default`)
  .option("--match <text>", "only rows whose name holds this")
  .option("--against <folder>", "each row beside that of another checkout of this repository, set up there")
  .option("--json [file]", "rows as JSON: to a file, or one a line to standard output")
  .option("--peers", "which peers are installed, and how to get the rest")
  .option("--report", "write docs/BENCHMARKS.md from the rows in tests/bench/results")
  .action(run)
  .parseAsync();
