// Drops what nothing needs, in the graph and in its bodies.
import type { Graph } from "../graph/graph.ts";
import { rebuild } from "./rebuild.ts";
import type { Transform } from "./transform.ts";

const run = (graph: Graph): Graph => rebuild(graph, run, (n, table) => table.push(n));

export const deadCode: Transform = { name: "dead-code", summary: "drop nodes that no output, update, effect or tag needs", run };
