// Properties to state in a test, with Vitest or without: each tries random graphs and throws PropertyError for the smallest one
// that breaks it, as .slir, with the seed and the path that lead to it.
import * as fc from "fast-check";
import { SluiceError } from "../base/diagnostics.ts";
import { float64 } from "../graph/field.ts";
import type { Graph, OpName } from "../graph/graph.ts";
import { opDefinition } from "../graph/ops.ts";
import { parseGraph } from "../graph/parse.ts";
import { graphText } from "../graph/text.ts";
import { verifyGraph } from "../graph/verify.ts";
import type { Transform } from "../transforms/transform.ts";
import { compareGradient } from "./gradient.ts";
import { type GraphCase, type GraphOptions, graphs } from "./graphs.ts";
import { compareInFloat64, compareInPrimeField, interfaceDifference } from "./meaning.ts";
import { countNodes } from "./shrink.ts";
import { drawValues } from "./values.ts";

export interface PropertyOptions extends GraphOptions {
  /** How many graphs to try: 1000 by default. */
  readonly graphs?: number;
  /** What a failure's message says, to see that failure again. */
  readonly seed?: number;
  readonly path?: string;
  /** The command or call that the message gives for it. */
  readonly replay?: (seed: number, path: string) => string;
}
export interface MeaningOptions extends PropertyOptions {
  /** Which of the transform's rules hold in the prime field too; where another was applied, float64 alone decides. All by default. */
  readonly isFieldExact?: (rule: string) => boolean;
  /** How far float64 results may be apart, relative to the largest element and beyond what rounding explains: 1e-9 by default. */
  readonly limit?: number;
}

/** What was tried. */
export interface Findings {
  readonly graphs: number;
  /** Graphs that the transform changed, and those of them that were compared in the prime field. */
  readonly changed: number;
  readonly comparedInPrimeField: number;
  /** How often each rule was applied. */
  readonly rules: ReadonlyMap<string, number>;
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
const drawnBy = ({ ops, dtypes, most }: GraphOptions): string =>
  Object.entries({ ops, dtypes, most }).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${JSON.stringify(value)}, `).join("");

function tryAll(arbitrary: fc.Arbitrary<GraphCase>, call: string, options: PropertyOptions, holds: (c: GraphCase) => void): number {
  const { graphs: numRuns = 1000, seed, path, replay } = options;
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
    `seed ${details.seed}, path ${at}; to see it again: ${replay ? replay(details.seed, at) : `${call}, { ${drawnBy(options)}seed: ${details.seed}, path: "${at}" })`}`,
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

/** The transform's result means what the graph meant: exactly in the prime field, then within rounding in float64. */
export function preservesMeaning(transform: Transform, options: MeaningOptions = {}): Findings {
  const { isFieldExact = () => true, limit = 1e-9 } = options;
  const rules = new Map<string, number>();
  let [changed, comparedInPrimeField] = [0, 0];
  const tried = tryAll(graphs(options), `preservesMeaning(${transform.name}`, options, c => {
    const text = graphText(c.graph);
    const own = new Set<string>();
    const after = transformed(transform, c.graph, rule => {
      own.add(rule);
      rules.set(rule, (rules.get(rule) ?? 0) + 1);
    });
    if (graphText(c.graph) !== text) throw new Broken(`${transform.name} changes the graph that it is given`, after);
    if (after === c.graph) return;
    changed++;
    const different = (difference: string | null): void => {
      if (difference !== null) throw new Broken(`${transform.name} changes the meaning: ${difference}`, after);
    };
    different(interfaceDifference(c.graph, after));
    if ([...own].every(isFieldExact)) {
      const { difference, decided } = compareInPrimeField(c, after);
      different(difference);
      if (decided) comparedInPrimeField++;
    }
    different(compareInFloat64(c, after, limit));
  });
  return { graphs: tried, changed, comparedInPrimeField, rules };
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
