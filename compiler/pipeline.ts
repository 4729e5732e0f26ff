// The passes from a traced graph to one that is fused: in their order, with what each needs of the graph and what it leaves
// there. What a list of passes needs is checked before any of them runs.
import { SluiceError } from "./base/diagnostics.ts";
import type { Graph } from "./graph/graph.ts";
import { commonSubexpressions } from "./transforms/common-subexpressions.ts";
import { deadCode } from "./transforms/dead-code.ts";
import { foldConstants } from "./transforms/fold-constants.ts";
import { gradientOutputs } from "./transforms/gradient-outputs.ts";
import { inlineComposites, type Keeps } from "./transforms/inline-composites.ts";
import { movement } from "./transforms/movement.ts";
import { simplify } from "./transforms/simplify.ts";
import type { Transform } from "./transforms/transform.ts";

/** differentiable: composites' own gradients and stop_gradients are there; a traced graph is. inlined: no composites but
 *  those that are kept. */
export type Fact = "differentiable" | "inlined";

export interface Pass {
  readonly transform: (keeps: Keeps) => Transform;
  readonly requires: readonly Fact[];
  readonly provides: readonly Fact[];
  readonly destroys: readonly Fact[];
  /** Whether a program that is compiled goes through it. */
  readonly compiled: boolean;
}

const plain = (transform: Transform): Pass => ({ transform: () => transform, requires: [], provides: [], destroys: [], compiled: true });

export const PIPELINE: readonly Pass[] = [
  { ...plain(gradientOutputs), requires: ["differentiable"], compiled: false },
  { ...plain(inlineComposites()), transform: inlineComposites, provides: ["inlined"], destroys: ["differentiable"] },
  plain(simplify),
  plain(movement),
  plain(foldConstants),
  plain(commonSubexpressions),
  plain(deadCode),
];

const keepsNone: Keeps = () => false;
const nameOf = (p: Pass): string => p.transform(keepsNone).name;
export const PASS_NAMES: readonly string[] = PIPELINE.map(nameOf);
/** Those of the compiler, in order. */
export const COMPILED_PASSES: readonly string[] = PIPELINE.filter(p => p.compiled).map(nameOf);

export interface OptimizeOptions {
  /** By name, in the order to run them; those of the compiler by default. */
  readonly passes?: readonly string[];
  /** The last to run. */
  readonly stopAfter?: string;
  /** Composites that stay, because a generator knows them. */
  readonly keeps?: Keeps;
  /** Told after each pass: what it left, and how often each of its rules was applied. */
  readonly onPass?: (pass: string, graph: Graph, fired: ReadonlyMap<string, number>) => void;
}

/** The graph after the passes. Throws SluiceError PASS001 for a pass that there is not, PASS002 for one that cannot run there. */
export function optimize(graph: Graph, { passes = COMPILED_PASSES, stopAfter, keeps = keepsNone, onPass }: OptimizeOptions = {}): Graph {
  let now = graph;
  for (const pass of planned(passes, stopAfter)) {
    const transform = pass.transform(keeps);
    if (!onPass) now = transform.run(now);
    else {
      const fired = new Map<string, number>();
      now = transform.run(now, rule => void fired.set(rule, (fired.get(rule) ?? 0) + 1));
      onPass(transform.name, now, fired);
    }
  }
  return now;
}

function planned(names: readonly string[], stopAfter: string | undefined): Pass[] {
  const known = (name: string): Pass =>
    PIPELINE[PASS_NAMES.indexOf(name)] ?? fail("PASS001", `there is no pass ${name}`, name, PASS_NAMES.join(", "));
  const passes = names.map(known);
  const facts = new Set<Fact>(["differentiable"]);
  passes.forEach((p, i) => {
    for (const fact of p.requires) {
      const culprit = passes.slice(0, i).findLast(before => before.destroys.includes(fact));
      if (!facts.has(fact)) fail("PASS002", `${names[i]} cannot run after ${culprit ? nameOf(culprit) : "nothing"}: the graph is no longer ${fact}`, names.join(", "), `${names[i]} first`);
    }
    for (const fact of p.destroys) facts.delete(fact);
    for (const fact of p.provides) facts.add(fact);
  });
  if (stopAfter === undefined) return passes;
  known(stopAfter);
  const last = names.lastIndexOf(stopAfter);
  return last < 0 ? fail("PASS002", `${stopAfter} is not among the passes that run`, stopAfter, names.join(", ")) : passes.slice(0, last + 1);
}

function fail(code: string, message: string, found: string, expected: string): never {
  throw new SluiceError({ code, message, found, expected });
}
