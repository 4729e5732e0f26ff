// `npm run fuzz -- --minutes N`: random graphs through every transform, and random and mutated text through the parser, for as
// long as asked; with --networks, random networks on compiled targets, with --files, mutated files read by both runtimes. A failure
// prints the smallest graph, or keeps the file, and prints the command that shows it again; the exit code is 1.
import { Command } from "commander";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import * as fc from "fast-check";
import { graphs, graphText, isIdempotent, parseGraph, preservesMeaning, PropertyError, roundTrips, verifyGraph } from "../../compiler/testing/index.ts";
import { parseGraphs } from "../../compiler/graph/parse.ts";
import { compilable } from "../support/graph-programs.ts";
import { differenceOn, TARGETS, type TargetRow } from "../support/targets.ts";
import { fuzzNetworks } from "./networks.ts";
import { OWN_TRANSFORMS } from "../support/transforms.ts";
import { fuzzFiles } from "./files/fuzz.ts";
import { KINDS } from "./files/kinds.ts";

interface Options {
  readonly minutes: string;
  readonly seed?: string;
  readonly path?: string;
  readonly transform?: string;
  readonly around?: string;
  readonly target?: string;
  readonly networks?: boolean;
  readonly files?: boolean;
  readonly kind?: string;
  readonly count?: string;
}

/** Text longer than this to read is a hang. */
const PATIENCE_MS = 5000;
const ROUND = 200;

const options = new Command("fuzz")
  .option("--minutes <n>", "how long", "1")
  .option("--seed <n>", "the first seed; of a failure, with --path and --transform, that failure")
  .option("--path <path>", "of a failure")
  .option("--transform <name>", `one only: ${OWN_TRANSFORMS.map(t => t.name).join(", ")}`)
  .option("--around <rule>", "graphs around one rule of the transform")
  .option("--target <name>", `random graphs on a compiled target instead: ${TARGETS.map(t => t.name).join(", ")}`)
  .option("--networks", "random networks, forward and trained, on the target, or on all of them")
  .option("--files", "mutated files, read by both runtimes")
  .option("--kind <kind>", `of files, one only: ${KINDS.join(", ")}`)
  .option("--count <n>", "how many networks or files, instead of for how long")
  .parse().opts<Options>();

const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
if (options.files) {
  const isGood = await fuzzFiles({ count: number(options.count), minutes: Number(options.minutes), kind: options.kind, seed: number(options.seed) });
  process.exit(isGood ? 0 : 1);
}
if (options.networks) {
  const isGood = await fuzzNetworks({ count: number(options.count), minutes: Number(options.minutes), target: options.target, seed: number(options.seed), path: options.path });
  process.exit(isGood ? 0 : 1);
}

const transforms = OWN_TRANSFORMS.filter(t => options.transform === undefined || t.name === options.transform);
if (transforms.length === 0) {
  console.error(`there is no transform ${options.transform}; there are ${OWN_TRANSFORMS.map(t => t.name).join(", ")}`);
  process.exit(1);
}

const target = TARGETS.find(t => t.name === options.target);
if (options.target !== undefined && !target) {
  console.error(`there is no target ${options.target}; there are ${TARGETS.map(t => t.name).join(", ")}`);
  process.exit(1);
}

/** Compiled and run, each graph agrees with the reference; what fails is shrunk. */
async function roundOn(row: TargetRow, seed: number): Promise<void> {
  const details = await fc.check(fc.asyncProperty(compilable(10), async c => {
    counts.graphs++;
    const difference = await differenceOn(row, c);
    if (difference) throw new Error(`on ${row.name}, ${difference}:\n${graphText(c.graph)}`);
  }), { seed, numRuns: 20, ...(options.path === undefined ? {} : { path: options.path }) });
  if (!details.failed) return;
  const path = details.counterexamplePath ?? "";
  const found = details.errorInstance instanceof Error ? details.errorInstance.message : String(details.errorInstance);
  throw new PropertyError(`${found}\nagain: npm run fuzz -- --target ${row.name} --seed ${seed} --path ${path}`, details.counterexample![0], seed, path);
}

/** A text near the one that was written: parts cut, doubled, exchanged, and characters from anywhere. */
function mutated(text: string, random: () => number): string {
  const at = (): number => Math.floor(random() * (text.length + 1));
  let result = text;
  for (let i = 0; i < 1 + random() * 4; i++) {
    const [from, to] = [at(), at()].sort((a, b) => a - b) as [number, number];
    const piece = result.slice(from, Math.min(to, from + 40));
    const odd = String.fromCodePoint(Math.floor(random() < 0.8 ? 32 + random() * 95 : random() * 0xd7ff));
    result = [() => result.slice(0, from) + result.slice(from + piece.length), () => result.slice(0, from) + piece + result.slice(from), () => result.slice(0, from) + odd + result.slice(from + 1), () => result.replaceAll(piece.slice(0, 3), odd)][Math.floor(random() * 4)]!();
  }
  return result;
}

/** Any text is a graph that its verifier accepts, or one clear error. */
function checkText(text: string): void {
  const start = performance.now();
  try {
    for (const g of parseGraphs(text)) verifyGraph(g);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw new Error(`the parser fails on this text:\n${JSON.stringify(text)}`, { cause: error });
  }
  if (performance.now() - start > PATIENCE_MS) throw new Error(`the parser took ${Math.round(performance.now() - start)} ms for this text:\n${JSON.stringify(text)}`);
}

const counts = { graphs: 0, texts: 0, rounds: 0 };
function round(seed: number): void {
  for (const transform of transforms) {
    const replay = (s: number, path: string, around?: string): string => `npm run fuzz -- --seed ${s} --path ${path} --transform ${transform.name}${around === undefined ? "" : ` --around ${around}`}`;
    const run = { graphs: ROUND, seed, replay, ...(options.path === undefined ? {} : { path: options.path }) };
    preservesMeaning(transform, { ...run, firings: 5, ...(options.around === undefined ? {} : { around: options.around }) });
    if (options.around !== undefined) continue;
    isIdempotent(transform, run);
    counts.graphs += 2 * ROUND;
  }
  if (options.path !== undefined) return;
  roundTrips(undefined, { graphs: ROUND, seed });
  const cases = fc.sample(graphs(), { numRuns: 20, seed });
  let state = seed | 1;
  const random = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) | 0) >>> 0) / 2 ** 32;
  for (const { graph } of cases) {
    const text = graphText(graph);
    parseGraph(text);
    for (let i = 0; i < 10; i++) checkText(mutated(text, random));
    checkText(Array.from({ length: 1 + Math.floor(random() * 60) }, () => String.fromCodePoint(Math.floor(32 + random() * 95))).join(""));
    counts.texts += 12;
  }
}

const end = performance.now() + Number(options.minutes) * 60_000;
const first = options.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(options.seed);
console.log(`seed ${first}, ${target ? `target ${target.name}` : `${transforms.length} transforms`}, ${options.minutes} min`);
let said = performance.now();
try {
  do {
    if (target) await roundOn(target, first + counts.rounds++);
    else round(first + counts.rounds++);
    if (performance.now() - said > 10_000) {
      said = performance.now();
      console.log(`${counts.graphs} graphs, ${counts.texts} texts, ${Math.max(0, Math.round((end - said) / 1000))} s left`);
    }
  } while (performance.now() < end && options.path === undefined);
  console.log(`${counts.graphs} graphs and ${counts.texts} texts: nothing found`);
} catch (error) {
  console.error(error instanceof PropertyError ? error.message : error);
  process.exitCode = 1;
}
