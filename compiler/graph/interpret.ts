// The reference interpreter: runs a graph node by node in a number field. Slow and plain; every target is compared with it. A
// value is held until its last reader has run.
import { isFloat } from "../base/dtypes.ts";
import { InternalError, SluiceError } from "../base/diagnostics.ts";
import { type DimValues, evaluateSize, sizeText } from "../base/sizes.ts";
import { type Field, float64, type NdArray } from "./field.ts";
import { type Graph, inputsOf, type NodeOf, type OpName, type TensorType } from "./graph.ts";
import { type EvaluateContext, TypeRuleError } from "./ops/definition.ts";
import { opDefinition } from "./ops.ts";
import { typeText } from "./ops/typing.ts";

export interface InterpretOptions {
  readonly inputs?: { readonly [name: string]: NdArray };
  readonly states?: { readonly [name: string]: NdArray };
  readonly dims?: DimValues;
  readonly field?: Field;
  /** Told of each print and assert in order; by default a failed assert throws and prints are dropped. */
  readonly onEffect?: EvaluateContext["effect"];
}
export interface Interpreted {
  readonly outputs: { readonly [name: string]: NdArray };
  readonly updates: { readonly [state: string]: NdArray };
  /** The most bytes that values of nodes took at one time, without inputs and states; each element takes eight. */
  readonly peakBytes: number;
}

const failAssert: EvaluateContext["effect"] = (kind, text, value, node) => {
  if (kind === "assert" && value.data[0] === 0) throw new SluiceError({ code: "RUN001", message: `assertion failed: ${text}`, span: node.span });
};

function checkFits(name: string, x: NdArray, type: TensorType, dims: DimValues): NdArray {
  const wanted = type.shape.map(s => evaluateSize(s, dims));
  if (x.dtype !== type.dtype || wanted.length !== x.shape.length || wanted.some((s, i) => s !== x.shape[i])) {
    throw new SluiceError({ code: "RUN002", message: `${name} does not fit`, found: `${x.dtype}[${x.shape.join(", ")}]`, expected: `${typeText(type)} with sizes [${wanted.join(", ")}]` });
  }
  return x;
}

/** For each node the last that reads it; Infinity for what the graph leaves behind, and the node itself where nothing reads it. */
function lastReaders(graph: Graph): number[] {
  const last = graph.nodes.map((_, id) => id);
  graph.nodes.forEach((n, id) => {
    for (const i of n.inputs) last[i] = id;
  });
  for (const { id } of [...graph.outputs, ...graph.updates]) last[id] = Infinity;
  return last;
}

/** Bytes of the arrays that are held, each counted once however many nodes have it. */
class Held {
  readonly #owners = new Map<Float64Array, number>();
  #bytes = 0;
  peak = 0;

  add(x: NdArray): void {
    const owners = this.#owners.get(x.data) ?? 0;
    this.#owners.set(x.data, owners + 1);
    if (owners === 0) this.#bytes += x.data.byteLength;
    this.peak = Math.max(this.peak, this.#bytes);
  }
  drop(x: NdArray): void {
    const owners = this.#owners.get(x.data)!;
    if (owners > 1) this.#owners.set(x.data, owners - 1);
    else {
      this.#owners.delete(x.data);
      this.#bytes -= x.data.byteLength;
    }
  }
}

type Value = NdArray | readonly NdArray[];
const arraysOf = (v: Value): readonly NdArray[] => ("data" in v ? [v] : v);

/** The array as the field keeps it. */
function keptBy({ kept }: Field, x: NdArray): NdArray {
  const { dtype } = x;
  return kept && isFloat(dtype) ? { ...x, data: x.data.map(v => kept(v, dtype)) } : x;
}

/** Runs the graph. Throws SluiceError for a missing or misshapen input, a state without a value, or a failed assertion. */
export function interpret(graph: Graph, { inputs = {}, states = {}, dims = {}, field = float64, onEffect = failAssert }: InterpretOptions): Interpreted {
  const given = (kind: string, name: string, table: { readonly [name: string]: NdArray }, type: TensorType) => {
    const x = table[name];
    if (!x) throw new SluiceError({ code: "RUN003", message: `${kind} ${name} has no value`, expected: typeText(type) });
    return keptBy(field, checkFits(`${kind} ${name}`, x, type, dims));
  };
  const context: EvaluateContext = {
    field,
    size: s => {
      try {
        return evaluateSize(s, dims);
      } catch {
        throw new SluiceError({ code: "RUN004", message: `the size ${sizeText(s)} is not bound`, hint: "give every dim a value" });
      }
    },
    run: (body, args) => run(body, new Map(inputsOf(body).map((p, i) => [p.id, args[i]!]))),
    effect: onEffect,
  };
  const held = new Held();
  /** The values of what the graph leaves behind, by node. */
  const values = (body: Graph, bound: ReadonlyMap<number, NdArray>): ReadonlyMap<number, NdArray> => {
    const results = new Map<number, Value>();
    const last = lastReaders(body);
    const tensor = (id: number): NdArray => {
      const x = results.get(id);
      if (!x || !("data" in x)) throw new InternalError(`node ${id} of ${body.name} is not a tensor`);
      return x;
    };
    const resultOf = (node: NodeOf<OpName>, id: number): Value => {
      if (node.op === "input") return bound.get(id) ?? given("input", (node as NodeOf<"input">).attrs.name, inputs, (node as NodeOf<"input">).attrs.type);
      if (node.op === "state") return given("state", (node as NodeOf<"state">).attrs.name, states, (node as NodeOf<"state">).attrs.type);
      if (node.op === "item") return (results.get(node.inputs[0]!) as readonly NdArray[])[(node as NodeOf<"item">).attrs.index]!;
      return evaluate(node, node.inputs.map(tensor));
    };
    const isGiven = (id: number): boolean => ["input", "state"].includes(body.nodes[id]!.op);
    const release = (id: number): void => {
      if (!isGiven(id)) for (const x of arraysOf(results.get(id)!)) held.drop(x);
      results.delete(id);
    };
    body.nodes.forEach((node, id) => {
      const value = resultOf(node, id);
      results.set(id, value);
      if (!isGiven(id)) for (const x of arraysOf(value)) held.add(x);
      for (const i of new Set([...node.inputs, id])) if (last[i] === id) release(i);
    });
    const left = new Map([...results].map(([id]) => [id, tensor(id)]));
    for (const id of left.keys()) release(id);
    return left;
  };
  const evaluate = (node: NodeOf<OpName>, args: readonly NdArray[]): Value => {
    try {
      const value = opDefinition(node.op).evaluate(node, args, context);
      return "data" in value ? keptBy(field, value) : value.map(x => keptBy(field, x));
    } catch (e) {
      if (!(e instanceof TypeRuleError)) throw e;
      throw new SluiceError({ code: "RUN005", message: e.message, span: node.span, found: e.found, expected: e.expected });
    }
  };
  const run = (body: Graph, bound: ReadonlyMap<number, NdArray>): NdArray[] => {
    const results = values(body, bound);
    return body.outputs.map(o => results.get(o.id)!);
  };
  const results = values(graph, new Map());
  const collect = (list: Graph["outputs"]) => Object.fromEntries(list.map(o => [o.name, results.get(o.id)!]));
  return { outputs: collect(graph.outputs), updates: collect(graph.updates), peakBytes: held.peak };
}
