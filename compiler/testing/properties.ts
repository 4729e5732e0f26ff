// Properties to state in a test, with Vitest or without: each tries random graphs and throws PropertyError for the smallest one
// that breaks it, as .slir, with the seed and the path that lead to it.
import * as fc from "fast-check";
import { SluiceError } from "../base/diagnostics.ts";
import { nearestText } from "../base/names.ts";
import { float64 } from "../graph/field.ts";
import type { Graph, OpName } from "../graph/graph.ts";
import { opDefinition } from "../graph/ops.ts";
import { parseGraph } from "../graph/parse.ts";
import { graphText } from "../graph/text.ts";
import { verifyGraph } from "../graph/verify.ts";
import { type Rule, type RuleTransform, rewriteWith } from "../transforms/rewrite.ts";
import type { Exactness, Transform } from "../transforms/transform.ts";
import { compareGradient } from "./gradient.ts";
import { type GraphCase, type GraphOptions, graphs, graphsAround } from "./graphs.ts";
import { compareInFloat64, compareInPrimeField, interfaceDifference } from "./meaning.ts";
import { countNodes } from "./shrink.ts";
import { drawValues } from "./values.ts";

export interface PropertyOptions extends GraphOptions {
  /** How many graphs to try: 1000 by default. */
  readonly graphs?: number;
  /** What a failure's message says, to see that failure again. */
  readonly seed?: number;
  readonly path?: string;
  /** The command or call that the message gives for it; `around` is the rule that the graphs are drawn around, if they are. */
  readonly replay?: (seed: number, path: string, around?: string) => string;
}
export interface MeaningOptions extends PropertyOptions {
  /** How far float64 results may be apart where they may round, relative to the largest element and beyond what rounding explains: 1e-9 by default. */
  readonly limit?: number;
  /** How often each rule of a transform is applied by itself, at least, in graphs drawn around its left side: 50 by default. */
  readonly firings?: number;
  /** Graphs around one rule of the transform alone; a failure's message names it. */
  readonly around?: string;
}

/** What was tried. */
export interface Findings {
  readonly graphs: number;
  /** Graphs that the transform changed, and those of them that were compared in the prime field. */
  readonly changed: number;
  readonly comparedInPrimeField: number;
  /** How often each rule was applied: by itself, around its own left side, and by the whole transform in random graphs. */
  readonly rules: ReadonlyMap<string, number>;
}

/** A rule that found too little to do to be tested: its left side is rare, or its condition hardly ever holds. */
export class IdleRuleError extends Error {
  readonly rule: string;
  readonly firings: number;

  constructor(rule: string, firings: number, wanted: number, drawn: number) {
    super(`rule ${rule} was applied ${firings} times in ${drawn} graphs drawn around its left side, where ${wanted} were asked for: its condition hardly ever holds, or operands that it takes are not drawn`);
    this.name = "IdleRuleError";
    this.rule = rule;
    this.firings = firings;
  }
}

/** The smallest graph found that breaks a property. */
export class PropertyError extends Error {
  readonly case: GraphCase;
  readonly seed: number;
  readonly path: string;

  constructor(message: string, broken: GraphCase, seed: number, path: string) {
    super(message);
    this.name = "PropertyError";
    this.case = broken;
    this.seed = seed;
    this.path = path;
  }
}

/** Thrown where a graph breaks a property: what is wrong, and the graph that shows it. */
class Broken extends Error {
  readonly after: Graph | null;

  constructor(message: string, after: Graph | null = null) {
    super(message);
    this.after = after;
  }
}

/** The options that decide which graphs are drawn, as they stand in a call. */
const drawnBy = ({ ops, dtypes, most, around }: GraphOptions & Pick<MeaningOptions, "around">): string =>
  Object.entries({ ops, dtypes, most, around }).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${JSON.stringify(value)}, `).join("");

function tryAll(arbitrary: fc.Arbitrary<GraphCase>, call: string, options: PropertyOptions & Pick<MeaningOptions, "around">, holds: (c: GraphCase) => void): number {
  const { graphs: numRuns = 1000, seed, path, replay, around } = options;
  const details = fc.check(fc.property(arbitrary, holds), { numRuns, ...(seed === undefined ? {} : { seed }), ...(path === undefined ? {} : { path }) });
  if (!details.failed) return details.numRuns;
  const [broken] = details.counterexample!;
  const { errorInstance: error, counterexamplePath } = details;
  const at = counterexamplePath ?? "";
  const dims = Object.entries(broken.dims).filter(([dim]) => broken.graph.dims.some(d => d.name === dim)).map(([dim, value]) => `${dim} = ${value}`);
  throw new PropertyError([
    error instanceof Broken ? error.message : `it throws ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    `${countNodes(broken.graph)} nodes${dims.length > 0 ? ` with ${dims.join(", ")}` : ""}, after ${details.numShrinks} smaller graphs were found:`, graphText(broken.graph),
    ...(error instanceof Broken && error.after ? ["which became:", graphText(error.after)] : []),
    `seed ${details.seed}, path ${at}; to see it again: ${replay ? replay(details.seed, at, around) : `${call}, { ${drawnBy(options)}seed: ${details.seed}, path: "${at}" })`}`,
  ].join("\n"), broken, details.seed, at);
}

/** What the transform makes of the graph; Broken if it throws or breaks an invariant. */
function transformed(transform: Transform, graph: Graph, fired: (rule: string) => void = () => undefined): Graph {
  let after: Graph;
  try {
    after = transform.run(graph, fired);
  } catch (e) {
    throw new Broken(`${transform.name} throws ${e instanceof SluiceError ? e.message : e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
  }
  try {
    verifyGraph(after);
  } catch (e) {
    throw new Broken(`${transform.name} makes a graph that is not valid: ${(e as Error).message}`, after);
  }
  return after;
}

/** Graphs that are drawn around a rule at a time, and how many are drawn in all for each application that is asked for. */
const AROUND = { atATime: 50, perFiring: 60 };

/** How exact what was applied to a graph is: the rules by their own word, another transform by its. */
function exactnessOf(transform: Transform, applied: ReadonlySet<string>): { readonly isFieldExact: boolean; readonly rounds: boolean } {
  const parts: readonly Partial<Exactness>[] = rulesOf(transform)?.filter(r => applied.has(r.name)) ?? [transform];
  return { isFieldExact: parts.every(p => (p.exact ?? "field") === "field"), rounds: parts.some(p => p.rounds === true) };
}
const rulesOf = (transform: Transform): readonly Rule[] | null => ("rules" in transform ? (transform as RuleTransform).rules : null);

/**
 * The transform's result means what the graph meant: exactly in the prime field where all that was applied says so, then in
 * float64, on ordinary and on special values, bit for bit or within rounding. A transform that is a list of rules is tried rule
 * by rule first, each in graphs around its left side. Throws PropertyError, and IdleRuleError for a rule that was applied too rarely.
 */
export function preservesMeaning(transform: Transform, options: MeaningOptions = {}): Findings {
  const { firings = 50, around } = options;
  const rules = new Map<string, number>();
  const count = { graphs: 0, changed: 0, comparedInPrimeField: 0 };
  const check = (tested: Transform) => (c: GraphCase): void => {
    const { changed, inPrimeField } = compareMeaning(tested, c, options.limit ?? 1e-9, rule => void rules.set(rule, (rules.get(rule) ?? 0) + 1));
    count.changed += Number(changed);
    count.comparedInPrimeField += Number(inPrimeField);
  };
  const single = (rule: Rule): void => {
    const alone = rewriteWith(rule.name, transform.summary, [rule]);
    const call = `preservesMeaning(${transform.name}`;
    const round = (seed: number | undefined): void => {
      count.graphs += tryAll(graphsAround(rule, options), call, { ...options, around: rule.name, graphs: AROUND.atATime, ...(seed === undefined ? {} : { seed }) }, check(alone));
    };
    if (options.path !== undefined) {
      round(options.seed);
      return;
    }
    const before = rules.get(rule.name) ?? 0;
    const most = firings * AROUND.perFiring;
    let drawn = 0;
    for (; (rules.get(rule.name) ?? 0) - before < firings; drawn += AROUND.atATime) {
      if (drawn >= most) throw new IdleRuleError(rule.name, (rules.get(rule.name) ?? 0) - before, firings, drawn);
      round(options.seed === undefined ? undefined : options.seed + drawn);
    }
  };
  const own = rulesOf(transform) ?? [];
  if (around !== undefined) {
    const rule = own.find(r => r.name === around);
    if (!rule) throw new SluiceError({ code: "RULE003", message: `${transform.name} has no rule ${around}`, found: around, expected: nearestText(around, own.map(r => r.name)) });
    single(rule);
    return { ...count, rules };
  }
  if (options.path === undefined && firings > 0) own.forEach(single);
  count.graphs += tryAll(graphs(options), `preservesMeaning(${transform.name}`, options, check(transform));
  return { ...count, rules };
}

/** Throws Broken where the transform changes what the graph means. */
function compareMeaning(transform: Transform, c: GraphCase, limit: number, fired: (rule: string) => void): { changed: boolean; inPrimeField: boolean } {
  const text = graphText(c.graph);
  const applied = new Set<string>();
  const after = transformed(transform, c.graph, rule => {
    applied.add(rule);
    fired(rule);
  });
  if (graphText(c.graph) !== text) throw new Broken(`${transform.name} changes the graph that it is given`, after);
  if (after === c.graph) return { changed: false, inPrimeField: false };
  const different = (difference: string | null): void => {
    if (difference !== null) throw new Broken(`${transform.name} changes the meaning: ${difference}`, after);
  };
  different(interfaceDifference(c.graph, after));
  const { isFieldExact, rounds } = exactnessOf(transform, applied);
  const prime = isFieldExact ? compareInPrimeField(c, after) : null;
  different(prime?.difference ?? null);
  const found = (["ordinary", "special"] as const).map(draw => compareInFloat64(c, after, draw, limit)).filter(d => d !== null);
  const beyond = found.find(d => d.beyondRounding !== null);
  if (beyond) different(`in float64, ${beyond.beyondRounding}`);
  if (found[0] && !rounds) different(`in float64, ${found[0].inAnyBit}, which is no more than rounding: what may round says so by \`rounds: true\``);
  return { changed: true, inPrimeField: prime?.decided ?? false };
}

/** The transform has nothing to do on its own result. */
export function isIdempotent(transform: Transform, options: PropertyOptions = {}): void {
  tryAll(graphs(options), `isIdempotent(${transform.name}`, options, ({ graph }) => {
    const once = transformed(transform, graph);
    const twice = transformed(transform, once);
    if (graphText(once) !== graphText(twice)) throw new Broken(`${transform.name} changes its own result, which was:\n${graphText(once)}`, twice);
  });
}

/** The graph's text is read back to the identical graph. Given an arbitrary, or nothing, tries many graphs. */
export function roundTrips(what?: Graph | fc.Arbitrary<GraphCase>, options: PropertyOptions = {}): void {
  const [arbitrary, given] = what === undefined ? [graphs(options), "undefined"] as const
    : what instanceof fc.Arbitrary ? [what, "arbitrary"] as const : [fc.constant({ graph: what, dims: {}, seed: 0 }), "graph"] as const;
  tryAll(arbitrary, `roundTrips(${given}`, options, ({ graph }) => {
    const text = graphText(graph);
    const read = parseGraph(text);
    const again = graphText(read);
    if (again !== text) throw new Broken("the text changes when it is read and written again", read);
    const difference = firstDifference(graph, read, "graph");
    if (difference !== null) throw new Broken(`the graph that is read is another one: ${difference}`, read);
  });
}

/** Where two plain values differ; null if nowhere. */
function firstDifference(a: unknown, b: unknown, at: string): string | null {
  if (Object.is(a, b)) return null;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return `${at} was ${String(a)} and is ${String(b)}`;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  if (left.length !== right.length) return `${at} had ${left.length} parts and has ${right.length}`;
  for (const [key, value] of left) {
    const difference = firstDifference(value, (b as { readonly [key: string]: unknown })[key], `${at}.${key}`);
    if (difference !== null) return difference;
  }
  return null;
}

/** The op's gradient agrees with differences in graphs around it. Returns how many elements were compared. */
export function respectsGradient(op: OpName, options: PropertyOptions = {}): number {
  if (opDefinition(op).gradient === "none") throw new SluiceError({ code: "GRAD004", message: `${op} passes no gradient`, hint: "only ops with a gradient can respect it" });
  let compared = 0;
  const own: PropertyOptions = { ops: [op, op, "mul"], dtypes: ["f64", "f64", "f32", "i32", "bool"], most: 3, graphs: 100, ...options };
  tryAll(graphs(own), `respectsGradient("${op}"`, { ...options, graphs: own.graphs }, c => {
    // A gradient that a composite brings with it says what it likes.
    if (c.graph.nodes.some(n => n.op === "composite" && n.attrs.gradient)) return;
    const { inputs, states } = drawValues(c.graph, c.dims, c.seed, float64);
    const found = compareGradient(c.graph, inputs, c.dims, states);
    compared += found.compared;
    if (found.wrong !== null) throw new Broken(found.wrong);
  });
  return compared;
}
