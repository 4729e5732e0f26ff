// The reference interpreter: runs a graph node by node in a number field. Slow and plain; every target is compared with it.
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

/** Runs the graph. Throws SluiceError for a missing or misshapen input, a state without a value, or a failed assertion. */
export function interpret(graph: Graph, { inputs = {}, states = {}, dims = {}, field = float64, onEffect = failAssert }: InterpretOptions): Interpreted {
  const given = (kind: string, name: string, table: { readonly [name: string]: NdArray }, type: TensorType) => {
    const x = table[name];
    if (!x) throw new SluiceError({ code: "RUN003", message: `${kind} ${name} has no value`, expected: typeText(type) });
    return checkFits(`${kind} ${name}`, x, type, dims);
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
  const values = (body: Graph, bound: ReadonlyMap<number, NdArray>): (NdArray | readonly NdArray[])[] => {
    const results: (NdArray | readonly NdArray[])[] = [];
    const tensor = (id: number): NdArray => {
      const x = results[id];
      if (!x || !("data" in x)) throw new InternalError(`node ${id} of ${body.name} is not a tensor`);
      return x;
    };
    body.nodes.forEach((node, id) => {
      if (node.op === "input") results.push(bound.get(id) ?? given("input", node.attrs.name, inputs, node.attrs.type));
      else if (node.op === "state") results.push(given("state", node.attrs.name, states, node.attrs.type));
      else if (node.op === "item") {
        const tuple = results[node.inputs[0]!] as readonly NdArray[];
        results.push(tuple[node.attrs.index]!);
      } else results.push(evaluate(node, node.inputs.map(tensor)));
    });
    return results;
  };
  const evaluate = (node: NodeOf<OpName>, args: readonly NdArray[]) => {
    try {
      return opDefinition(node.op).evaluate(node, args, context);
    } catch (e) {
      if (!(e instanceof TypeRuleError)) throw e;
      throw new SluiceError({ code: "RUN005", message: e.message, span: node.span, found: e.found, expected: e.expected });
    }
  };
  const run = (body: Graph, bound: ReadonlyMap<number, NdArray>): NdArray[] => {
    const results = values(body, bound);
    return body.outputs.map(o => results[o.id] as NdArray);
  };
  const results = values(graph, new Map());
  const collect = (list: Graph["outputs"]) => Object.fromEntries(list.map(o => [o.name, results[o.id] as NdArray]));
  return { outputs: collect(graph.outputs), updates: collect(graph.updates) };
}
