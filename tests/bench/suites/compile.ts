// How long it takes to compile: a fresh process up to a container, a second program in the same process, and how the time
// grows with the graph.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { limitRow, type Missing, type Row, timingOf } from "../harness/rows.ts";

const suite = "compile";
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const program = (name: string): string => here(`../programs/${name}.ts`);

interface Compiled {
  readonly milliseconds: number;
  readonly bytes: number;
  readonly nodes: number;
}

/** Compiles the programs in one fresh process. */
function compiled(...programs: readonly string[]): readonly Compiled[] | Missing {
  const { status, stdout, stderr } = spawnSync(process.execPath, [here("../fresh-compile.ts"), ...programs], { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status !== 0) return { why: stderr.split("\n").find(l => /rror/.test(l))?.trim() ?? "it failed" };
  return JSON.parse(stdout) as readonly Compiled[];
}

export async function compile(report: (row: Row) => void): Promise<void> {
  const runs = Array.from({ length: 5 }, () => compiled(program("training"), program("enhancing")));
  const goals = [["fresh process to container of the training entry", 1000], ["a second program in the same process", 200]] as const;
  goals.forEach(([row, limit], i) => {
    const failed = runs.find(r => "why" in r);
    const times = timingOf(runs.flatMap(r => ("why" in r ? [] : [r[i]!.milliseconds])));
    report(limitRow({ suite, row, unit: "ms", limit, ours: failed ?? times.best, median: times.median }));
  });

  const perNode = new Map<number, number>();
  for (const nodes of [100, 1000, 10_000, 30_000]) {
    // A small graph goes first, so that what is loaded once is not in the time.
    const result = compiled(`${program("synthetic")}?nodes=50`, `${program("synthetic")}?nodes=${nodes}`);
    const row = `synthetic graph of ${nodes} nodes`;
    const limit = nodes === 30_000 ? 10_000 : undefined;
    if ("why" in result) {
      report(limitRow({ suite, row, unit: "ms", limit: limit ?? 10_000, ours: result }));
      continue;
    }
    const { milliseconds, nodes: real, bytes } = result[1]!;
    perNode.set(nodes, milliseconds / real);
    const measured = limitRow({ suite, row, unit: "ms", limit: limit ?? 10_000, ours: milliseconds, note: `${real} nodes, container of ${(bytes / 1024).toFixed(0)} KiB, ${((1000 * milliseconds) / real).toFixed(0)} µs a node` });
    report(limit === undefined ? { ...measured, goal: "", met: null } : measured);
  }
  const [small, large] = [perNode.get(1000), perNode.get(30_000)];
  report(limitRow({ suite, row: "time per node at 30,000 nodes over that at 1,000", unit: "×", limit: 1.5, ours: small && large ? large / small : { why: "a graph was not compiled" } }));
}
