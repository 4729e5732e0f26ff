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
  readonly kernels: number;
  readonly header: number;
}

/** Compiles the programs in one fresh process, with the modules that Node keeps compiled or from their text. */
function compiled(programs: readonly string[], { keeps = true } = {}): readonly Compiled[] | Missing {
  const env = keeps ? process.env : { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [here("../fresh-compile.ts"), ...programs], { encoding: "utf8", maxBuffer: 2 ** 26, env });
  if (status !== 0) return { why: stderr.split("\n").find(l => /rror/.test(l))?.trim() ?? "it failed" };
  return JSON.parse(stdout) as readonly Compiled[];
}

const FIRST = [["fresh process to container of the training entry", 1000], ["a second program in the same process", 200]] as const;
const FROM_TEXT = "fresh process to container, without Node's compile cache";
const SIZES = [100, 1000, 10_000, 30_000];
const LINEAR = "time per node at 30,000 nodes over that at 1,000";
const LAYERS = [12, 96] as const;
const GPT = {
  kernels: "GPT of 96 layers, training step and decode: kernels over those of 12",
  header: "GPT of 96 layers, symbolic decode: header of the container",
  linear: "GPT of 96 layers: time per layer over that of 12",
};
const synthetic = (nodes: number): string => `synthetic graph of ${nodes} nodes`;

export async function compile(report: (row: Row) => void, wanted: (row: string) => boolean): Promise<void> {
  if (FIRST.some(([row]) => wanted(row))) firstRows().forEach(report);
  if (wanted(FROM_TEXT)) report(fromTextRow());
  if (wanted(GPT.kernels) || wanted(GPT.linear)) equalLayerRows().forEach(report);
  if (wanted(GPT.header)) report(headerRow());
  if (wanted(LINEAR) || SIZES.some(n => wanted(synthetic(n)))) syntheticRows().forEach(report);
}

function firstRows(): readonly Row[] {
  const runs = Array.from({ length: 5 }, () => compiled([program("training"), program("enhancing")]));
  return FIRST.map(([row, limit], i) => {
    const failed = runs.find(r => "why" in r);
    const times = timingOf(runs.flatMap(r => ("why" in r ? [] : [r[i]!.milliseconds])));
    return limitRow({ suite, row, unit: "ms", limit, ours: failed ?? times.best, median: times.median });
  });
}

/** What a new version costs once: without types, modules are otherwise kept from one start to the next. */
function fromTextRow(): Row {
  const runs = Array.from({ length: 3 }, () => compiled([program("training")], { keeps: false }));
  const times = timingOf(runs.flatMap(r => ("why" in r ? [] : [r[0]!.milliseconds])));
  return limitRow({ suite, row: FROM_TEXT, unit: "ms", ours: runs.find(r => "why" in r) ?? times.best, median: times.median });
}

function syntheticRows(): readonly Row[] {
  const perNode = new Map<number, number>();
  const rows = SIZES.map(nodes => {
    // A small graph goes first, so that what is loaded once is not in the time.
    const result = compiled([`${program("synthetic")}?nodes=50`, `${program("synthetic")}?nodes=${nodes}`]);
    const common = { suite, row: synthetic(nodes), unit: "ms", ...(nodes === SIZES.at(-1) ? { limit: 10_000 } : {}) };
    if ("why" in result) return limitRow({ ...common, ours: result });
    const { milliseconds, nodes: real, bytes } = result[1]!;
    perNode.set(nodes, milliseconds / real);
    return limitRow({ ...common, ours: milliseconds, note: `${real} nodes, container of ${(bytes / 1024).toFixed(0)} KiB, ${((1000 * milliseconds) / real).toFixed(0)} µs a node` });
  });
  const [small, large] = [perNode.get(1000), perNode.get(30_000)];
  return [...rows, limitRow({ suite, row: LINEAR, unit: "×", limit: 1.5, ours: small && large ? large / small : { why: "a graph was not compiled" } })];
}

/** Equal layers share what they can. */
function equalLayerRows(): readonly Row[] {
  const [small, large] = LAYERS.map(layers => {
    // The smallest goes first, so that what is loaded once is not in the time.
    const result = compiled([`${program("gpt")}?layers=1`, `${program("gpt")}?layers=${layers}`]);
    return "why" in result ? result : result[1]!;
  }) as [Compiled | Missing, Compiled | Missing];
  const ratio = (of: (c: Compiled) => number): number | Missing => ("why" in small ? small : "why" in large ? large : of(large) / of(small));
  const note = "why" in small || "why" in large ? {} : {
    kernels: { note: `${small.kernels} and ${large.kernels} kernels of ${small.nodes} and ${large.nodes} nodes` },
    linear: { note: `${(small.milliseconds / 1000).toFixed(1)} s and ${(large.milliseconds / 1000).toFixed(1)} s` },
  };
  return [
    limitRow({ suite, row: GPT.kernels, unit: "×", limit: 1, ours: ratio(c => c.kernels), ...note.kernels }),
    limitRow({ suite, row: GPT.linear, unit: "×", limit: 1.2, ours: ratio(c => c.milliseconds / (c === small ? LAYERS[0] : LAYERS[1])), ...note.linear }),
  ];
}

function headerRow(): Row {
  const result = compiled([`${program("gpt-decode")}?layers=${LAYERS[1]}`]);
  const ours = "why" in result ? result : result[0]!.header / 1e6;
  return limitRow({ suite, row: GPT.header, unit: "MB", limit: 2, ours });
}
