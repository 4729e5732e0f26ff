// What a pass is: a function from graph to graph with a name. A pass keeps the graph's meaning, its inputs and the names and
// order of its outputs, works in the bodies of loops and composites too, and returns the graph itself if it changes nothing.
import type { Graph } from "../graph/graph.ts";

/** Told of each rule as it is applied. */
export type Fired = (rule: string) => void;

/** How far what stands before and after means the same; tests hold transforms and rules to it. */
export interface Exactness {
  /** Both are equal in the prime field and float64, or in float64 alone, because this is about order, casts, infinities or
   *  functions that the prime field knows nothing of. */
  readonly exact: "field" | "float64";
  /** Equal in float64 but for rounding, leaving the range of floats included; otherwise bit for bit: infinities, NaN and the
   *  sign of zero too. */
  readonly rounds?: true;
}

/** Exact in both fields, and bit for bit, unless it says otherwise. */
export interface Transform extends Partial<Exactness> {
  readonly name: string;
  /** One line for `sluice opt --help`. */
  readonly summary: string;
  run(graph: Graph, fired?: Fired): Graph;
}
