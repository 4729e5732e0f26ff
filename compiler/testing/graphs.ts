// The arbitrary of graphs: well-typed by construction, over symbolic dims, with states, several outputs and bodies. It shrinks
// on the graph itself (see shrink.ts), so that what is left of a failing graph is what the failure needs.
import * as fc from "fast-check";
import type { DType } from "../base/dtypes.ts";
import type { DimValues } from "../base/sizes.ts";
import type { Graph, NodeId, OpName } from "../graph/graph.ts";
import { sameSize } from "../base/sizes.ts";
import { OP_NAMES } from "../graph/ops.ts";
import type { Rule } from "../transforms/rewrite.ts";
import { graphAround } from "./around.ts";
import { grow } from "./instructions.ts";
import { smallerCases } from "./shrink.ts";
import { Choose, drawDims, Sketch } from "./sketch.ts";

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
export const graphs = (options: GraphOptions = {}): fc.Arbitrary<GraphCase> => new GraphArbitrary(choose => sketched(choose, options));
/** Graphs with the left side of the rule in them, in random surroundings. */
export const graphsAround = (rule: Rule, options: GraphOptions = {}): fc.Arbitrary<GraphCase> =>
  new GraphArbitrary(choose => graphAround(rule, choose, { ops: options.ops ?? OPS, dtypes: options.dtypes ?? DTYPES }) ?? sketched(choose, options));

class GraphArbitrary extends fc.Arbitrary<GraphCase> {
  readonly #draw: (choose: Choose) => GraphCase;

  constructor(draw: (choose: Choose) => GraphCase) {
    super();
    this.#draw = draw;
  }

  override generate(random: fc.Random): fc.Value<GraphCase> {
    return new fc.Value(this.#draw(new Choose((min, max) => random.nextInt(min, max))), undefined);
  }
  override canShrinkWithoutContext(value: unknown): value is GraphCase {
    return typeof value === "object" && value !== null && "graph" in value;
  }
  override shrink(value: GraphCase): fc.Stream<fc.Value<GraphCase>> {
    return new fc.Stream(smallerCases(value)).map(smaller => new fc.Value(smaller, undefined));
  }
}

function sketched(choose: Choose, { ops = OPS, dtypes = DTYPES, most = 10 }: GraphOptions): GraphCase {
  const { dims, values } = drawDims(choose);
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
