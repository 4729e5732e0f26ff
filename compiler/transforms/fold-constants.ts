// Computes what depends on constants alone. Where all elements are one value, one element is computed whatever the shape;
// small arrays are computed whole. Floats fold in float64, as the reference interpreter computes them: equal there bit for bit
// (the prime field has its own constants), and rounded once where a target would round after each op.
import { type Field, float64, type NdArray } from "../graph/field.ts";
import { type Graph, isTuple, type Node, type NodeOf, type OpName, type TensorType } from "../graph/graph.ts";
import { opDefinition } from "../graph/ops.ts";
import type { EvaluateContext } from "../graph/ops/definition.ts";
import { rebuild, type Table } from "./rebuild.ts";
import type { Fired, Transform } from "./transform.ts";

/** Elements of an array that is worth writing into the program. */
const MOST_ELEMENTS = 1024;
/** Ops whose result has one value if their operands have one value each. */
const POINTWISE: ReadonlySet<string> = new Set(["elementwise", "conversion"]);
const MOVING: ReadonlySet<OpName> = new Set(["broadcast", "reshape", "transpose", "slice", "flip"]);
const FOLDED: ReadonlySet<string> = new Set(["elementwise", "conversion", "movement", "reduce", "scan", "sort", "contract", "gather", "scatter"]);

const field: Field = float64;
const context: EvaluateContext = {
  field,
  size: s => (typeof s === "number" ? s : NaN),
  run: () => [],
  effect: () => undefined,
};

type Const = Node & { readonly op: "const" };

export const foldConstants: Transform = {
  name: "fold-constants",
  exact: "float64",
  summary: "compute what depends on constants alone",
  run: (graph, fired = () => undefined) => fold(graph, fired),
};

function fold(graph: Graph, fired: Fired): Graph {
  return rebuild(graph, body => fold(body, fired), (n, table) => {
    const value = foldedValue(n, table);
    if (value === null) return table.push(n);
    fired(`fold-${n.op}`);
    return table.push(table.node("const", [], { value, type: n.type as TensorType }, n.span));
  });
}

/** The elements of a node's result, or their one value; null if it is not computed here. */
function foldedValue(n: Node, table: Table): number | readonly number[] | null {
  if (isTuple(n.type)) return null;
  if (n.op === "size") return typeof n.attrs.size === "number" ? n.attrs.size : null;
  const { family } = opDefinition(n.op);
  if (n.inputs.length === 0 || !FOLDED.has(family)) return null;
  const inputs: Const[] = [];
  for (const i of n.inputs) {
    const input = table.nodes[i]!;
    if (input.op !== "const") return null;
    inputs.push(input);
  }
  const single = inputs.every(c => typeof c.attrs.value === "number");
  if (single && MOVING.has(n.op)) return inputs[0]!.attrs.value;
  if (single && POINTWISE.has(family)) {
    const { data } = evaluate(n, inputs.map(c => arrayOf(c, [])));
    return data[0]!;
  }
  const shape = smallShape(n.type);
  if (!shape || !inputs.every(c => smallShape(c.attrs.type))) return null;
  return [...evaluate(n, inputs.map(c => arrayOf(c, smallShape(c.attrs.type)!))).data];
}

function smallShape({ shape }: TensorType): number[] | null {
  const sizes = shape.filter(s => typeof s === "number");
  return sizes.length === shape.length && sizes.reduce((n, s) => n * s, 1) <= MOST_ELEMENTS ? sizes : null;
}

function arrayOf({ attrs: { value, type } }: Const, shape: readonly number[]): NdArray {
  const count = shape.reduce((n, s) => n * s, 1);
  const data = Float64Array.from({ length: count }, (_, i) => field.literal(typeof value === "number" ? value : value[i]!, type.dtype));
  return { dtype: type.dtype, shape, data };
}

const evaluate = (n: Node, inputs: readonly NdArray[]): NdArray => opDefinition<OpName>(n.op).evaluate(n as NodeOf<OpName>, inputs, context) as NdArray;
