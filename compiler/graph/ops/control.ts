// Where values come from, what has effects, and ops that hold whole graphs.
import { drawWords, normalOf, numberArithmetic, streamWord, uniformOf } from "../../base/random.ts";
import { mulSize, productSize, sameSize } from "../../base/sizes.ts";
import type { NdArray } from "../field.ts";
import { type Graph, inputsOf, isTuple, type TensorType, type ValueType } from "../graph.ts";
import { forEachIndex, newArray } from "../ndarray.ts";
import { type OpDefinition, type OpRows, TypeRuleError } from "./definition.ts";
import type { Ungraded } from "./elementwise.ts";
import { requireKind, requireSameDtype, requireSameShape, requireScalar, tensorAt, tensors, typeText } from "./typing.ts";

const free = () => 0;
const sameType = (a: TensorType, b: TensorType) => a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((s, i) => sameSize(s, b.shape[i]!));

/** The type of a node that an output names. */
export function outputTypes(body: Graph): TensorType[] {
  return body.outputs.map(o => {
    const t = body.nodes[o.id]?.type;
    if (!t || isTuple(t)) throw new TypeRuleError(`output ${o.name} of ${body.name} is not a tensor`, t ? typeText(t) : "nothing", "a tensor");
    return t;
  });
}

function requireBodyInputs(body: Graph, given: readonly TensorType[]): void {
  const wanted = inputsOf(body);
  if (wanted.length !== given.length) throw new TypeRuleError(`${body.name} takes ${wanted.length} inputs`, `${given.length} inputs`, `${wanted.length} inputs`);
  wanted.forEach((w, i) => {
    if (!sameType(w.type, given[i]!)) throw new TypeRuleError(`input ${w.name} of ${body.name} does not fit`, typeText(given[i]!), typeText(w.type));
  });
}

const identity = (family: string): Pick<OpDefinition<"tag" | "print" | "stop_gradient">, "family" | "arity" | "infer" | "flops"> => ({
  family, arity: [1, 1], infer: inputs => tensorAt(inputs, 0), flops: free,
});
const copy = (x: NdArray): NdArray => ({ ...x, data: x.data.slice() });

type ControlOp = "input" | "state" | "const" | "iota" | "size" | "random" | "stop_gradient" | "tag" | "print" | "assert" | "loop" | "composite" | "item";

export const control: Ungraded<OpRows<ControlOp>> = {
  input: {
    family: "source", arity: [0, 0], infer: (_, { type }) => type, flops: free,
    evaluate: () => { throw new TypeRuleError("an input has no value of its own", "input", "a value given to interpret"); },
  },
  state: {
    family: "source", arity: [0, 0], infer: (_, { type }) => type, flops: free,
    evaluate: () => { throw new TypeRuleError("a state has no value of its own", "state", "a value given to interpret"); },
  },
  const: {
    family: "source", arity: [0, 0],
    infer(_, { value, type }) {
      if (typeof value !== "number") {
        const count = productSize(type.shape);
        if (count !== value.length) throw new TypeRuleError(`${value.length} values are given`, typeText(type), `${typeof count === "number" ? count : "a constant number of"} values`);
      }
      return type;
    },
    evaluate({ attrs: { value, type } }, _inputs, { size, field }) {
      const out = newArray(type.dtype, type.shape.map(size));
      if (typeof value === "number") out.data.fill(field.literal(value, type.dtype));
      else value.forEach((x, i) => (out.data[i] = field.literal(x, type.dtype)));
      return out;
    },
    flops: free,
  },
  iota: {
    family: "source", arity: [0, 0],
    infer(_, { axis, type }) {
      requireKind(type, "a number dtype", d => d !== "bool");
      if (axis < 0 || axis >= type.shape.length) throw new TypeRuleError(`axis ${axis} is out of range`, typeText(type), "one of its axes");
      return type;
    },
    evaluate({ attrs: { axis, type } }, _inputs, { size, field }) {
      const out = newArray(type.dtype, type.shape.map(size));
      forEachIndex(out.shape, (p, index) => (out.data[p] = field.literal(index[axis]!, type.dtype)));
      return out;
    },
    flops: free,
  },
  size: {
    family: "source", arity: [0, 0], infer: () => ({ dtype: "i32", shape: [], axes: [] }),
    evaluate: ({ attrs }, _inputs, { size }) => ({ dtype: "i32", shape: [], data: Float64Array.of(size(attrs.size)) }),
    flops: free,
  },
  random: {
    family: "random", arity: [1, 1],
    infer(inputs, { kind, shape, axes }) {
      const key = tensorAt(inputs, 0);
      if (key.dtype !== "u32" || key.shape.length !== 1 || key.shape[0] !== 2) throw new TypeRuleError("the key is not seed and step", typeText(key), "u32[2]");
      return { dtype: kind === "bits" ? "u32" : "f32", shape, axes };
    },
    evaluate({ attrs }, [key], { size, field }) {
      const out = newArray(attrs.kind === "bits" ? "u32" : "f32", attrs.shape.map(size));
      const [seed, step] = [key!.data[0]! >>> 0, key!.data[1]! >>> 0];
      const stream = streamWord(attrs.stream);
      for (let i = 0; i < out.data.length; i++) {
        const words = drawWords(numberArithmetic, [seed, step], [stream, attrs.call], i);
        if (attrs.kind === "bits") out.data[i] = words[0];
        else out.data[i] = field.literal(attrs.kind === "uniform" ? uniformOf(numberArithmetic, words[0]) : normalOf(numberArithmetic, words), "f32");
      }
      return out;
    },
    flops: ({ attrs }) => mulSize(attrs.kind === "normal" ? 150 : 100, productSize(attrs.shape)),
  },
  stop_gradient: { ...identity("identity"), evaluate: (_, [x]) => copy(x!) },
  tag: { ...identity("identity"), evaluate: (_, [x]) => copy(x!) },
  print: {
    ...identity("effect"),
    evaluate(node, [x], { effect }) {
      effect("print", node.attrs.label, x!, node);
      return copy(x!);
    },
  },
  assert: {
    family: "effect", arity: [1, 1],
    infer(inputs) {
      const x = tensorAt(inputs, 0);
      requireScalar(x, "bool", "an assertion's condition");
      return x;
    },
    evaluate(node, [x], { effect }) {
      effect("assert", node.attrs.message, x!, node);
      return copy(x!);
    },
    flops: free,
  },
  loop: {
    family: "loop", arity: [1, 9999],
    infer(inputs, { body, carries, until }) {
      const given = tensors(inputs);
      if (carries < 1 || carries > given.length) throw new TypeRuleError(`${carries} carried values of ${given.length} inputs`, String(carries), `1 to ${given.length}`);
      requireBodyInputs(body, [{ dtype: "i32", shape: [], axes: [] }, ...given]);
      const results = outputTypes(body);
      const wanted = carries + (until ? 1 : 0);
      if (results.length !== wanted) throw new TypeRuleError(`the body gives ${results.length} values`, `${results.length}`, `${wanted}: the next carries${until ? " and until" : ""}`);
      for (let i = 0; i < carries; i++) {
        requireSameDtype(given[i]!, results[i]!);
        requireSameShape(given[i]!, results[i]!);
      }
      if (until) requireScalar(results[carries]!, "bool", "until");
      return { items: given.slice(0, carries) };
    },
    evaluate({ attrs }, inputs, { run, size }) {
      const invariants = inputs.slice(attrs.carries);
      let carried = inputs.slice(0, attrs.carries);
      const trips = size(attrs.trips);
      for (let i = 0; i < trips; i++) {
        const results = run(attrs.body, [{ dtype: "i32", shape: [], data: Float64Array.of(i) }, ...carried, ...invariants]);
        carried = results.slice(0, attrs.carries);
        if (attrs.until && results[attrs.carries]!.data[0]) break;
      }
      return carried.map(copy);
    },
    flops: ({ attrs }) => attrs.trips,
  },
  composite: {
    family: "composite", arity: [0, 9999],
    infer(inputs, { body, gradient }) {
      const given = tensors(inputs);
      requireBodyInputs(body, given);
      const results = outputTypes(body);
      if (results.length === 0) throw new TypeRuleError(`composite ${body.name} has no output`, "0 outputs", "at least one");
      if (gradient) requireBodyInputs(gradient, [...given, ...results, ...results]);
      return results.length === 1 ? results[0]! : { items: results };
    },
    evaluate({ attrs }, inputs, { run }) {
      const results = run(attrs.body, inputs);
      return results.length === 1 ? results[0]! : results;
    },
    flops: free,
  },
  item: {
    family: "item", arity: [1, 1],
    infer(inputs: readonly ValueType[], { index }) {
      const t = inputs[0];
      const item = t && isTuple(t) ? t.items[index] : undefined;
      if (!item) throw new TypeRuleError(`there is no item ${index}`, t ? typeText(t) : "nothing", "a tuple with that item");
      return item;
    },
    evaluate: () => { throw new TypeRuleError("an item is taken by the interpreter", "item", "a tuple's value"); },
    flops: free,
  },
};
