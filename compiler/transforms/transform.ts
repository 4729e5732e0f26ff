// What a pass is: a function from graph to graph with a name. A pass keeps the graph's meaning, its inputs and the names and
// order of its outputs, works in the bodies of loops and composites too, and returns the graph itself if it changes nothing.
import type { Graph } from "../graph/graph.ts";

/** Told of each rule as it is applied. */
export type Fired = (rule: string) => void;

export interface Transform {
  readonly name: string;
  /** One line for `sluice opt --help`. */
  readonly summary: string;
  run(graph: Graph, fired?: Fired): Graph;
}
