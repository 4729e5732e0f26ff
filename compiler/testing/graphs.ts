// The arbitrary of graphs: well-typed by construction, over symbolic dims, with states, several outputs and bodies. It shrinks
// on the graph itself (see shrink.ts), so that what is left of a failing graph is what the failure needs.
import * as fc from "fast-check";
import type { DType } from "../base/dtypes.ts";
import type { DimDecl, DimValues } from "../base/sizes.ts";
import type { Graph, NodeId, OpName } from "../graph/graph.ts";
import { sameSize } from "../base/sizes.ts";
import { OP_NAMES } from "../graph/ops.ts";
import { grow } from "./instructions.ts";
import { smallerCases } from "./shrink.ts";
import { Choose, Sketch } from "./sketch.ts";

/** A graph with what is needed to run it: values of its dims, and the seed of its inputs and states. */
export interface GraphCase {
  readonly graph: Graph;
  readonly dims: DimValues;
  readonly seed: number;
}

export interface GraphOptions {
  /** The ops that occur, next to inputs, states, constants and what fits operands to each other. All by default. */
  readonly ops?: readonly OpName[];
  /** The element types that occur; an op that takes none of them gets one that it takes. */
  readonly dtypes?: readonly DType[];
  /** How many ops a graph has, at most: 10 by default. */
  readonly most?: number;
}

const DTYPES: readonly DType[] = ["f32", "f32", "f32", "f64", "f16", "bf16", "i32", "i32", "u32", "i16", "u16", "i8", "u8", "i4", "bool", "bool"];
/** Once for each op, and once more for those that combine. */
const OPS: readonly OpName[] = [...OP_NAMES, "add", "mul", "sub", "reduce", "broadcast", "reshape", "transpose", "slice", "select", "contract", "loop", "composite"];

/** Random graphs with everything that running them needs. */
export const graphs = (options: GraphOptions = {}): fc.Arbitrary<GraphCase> => new GraphArbitrary(options);

class GraphArbitrary extends fc.Arbitrary<GraphCase> {
  readonly #options: GraphOptions;

  constructor(options: GraphOptions) {
    super();
    this.#options = options;
  }

  override generate(random: fc.Random): fc.Value<GraphCase> {
    return new fc.Value(sketched(new Choose((min, max) => random.nextInt(min, max)), this.#options), undefined);
  }
  override canShrinkWithoutContext(value: unknown): value is GraphCase {
    return typeof value === "object" && value !== null && "graph" in value;
  }
  override shrink(value: GraphCase): fc.Stream<fc.Value<GraphCase>> {
    return new fc.Stream(smallerCases(value)).map(smaller => new fc.Value(smaller, undefined));
  }
}

function sketched(choose: Choose, { ops = OPS, dtypes = DTYPES, most = 10 }: GraphOptions): GraphCase {
  const dims: DimDecl[] = [];
  const values: { [dim: string]: number } = {};
  for (const name of ["N", "M"].slice(0, choose.int(0, 2))) {
    const multipleOf = choose.pick([1, 1, 1, 2]);
    const min = multipleOf * choose.int(1, 2);
    dims.push({ name, binding: choose.pick(["call", "instance"] as const), min, max: min + choose.int(0, 4), multipleOf });
    values[name] = Math.min(min + multipleOf * choose.int(0, 1), Math.floor(dims.at(-1)!.max / multipleOf) * multipleOf);
  }
  const s = new Sketch("random", choose, { ops, dtypes }, dims, values);
  grow(s, choose.int(1, most));
  if (s.pool.length === 0) s.source(choose.pick(dtypes), []);
  // The last node is always an output; others may be, and one node may be several.
  const outputs: NodeId[] = [s.pool.at(-1)!, ...Array.from({ length: choose.pick([0, 0, 1, 2]) }, () => choose.pick(s.pool))];
  outputs.forEach((id, i) => s.b.outputs.push({ name: `y${i}`, id }));
  for (const { name, type } of s.b.finish().states) {
    const fitting = s.pool.filter(id => {
      const t = s.g.type(id);
      return t.dtype === type.dtype && t.shape.length === type.shape.length && t.shape.every((n, i) => sameSize(n, type.shape[i]!));
    });
    if (fitting.length > 0 && choose.chance(60)) s.b.updates.push({ name, id: choose.chance(50) ? fitting.at(-1)! : choose.pick(fitting) });
  }
  return { graph: s.b.finish(), dims: values, seed: choose.int(0, 2 ** 31 - 1) };
}
