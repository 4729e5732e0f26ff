// Graphs as programs to compile, random ones among them, with inputs and what the reference interpreter makes of them.
import type * as fc from "fast-check";
import { type DType, isFloat } from "../../compiler/base/dtypes.ts";
import { dimsOf, type DimValues, evaluateSize } from "../../compiler/base/sizes.ts";
import type { NdArray } from "../../compiler/graph/field.ts";
import { type Graph, inputsOf, type Program } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { OP_NAMES } from "../../compiler/graph/ops.ts";
import { type GraphCase, graphs } from "../../compiler/testing/graphs.ts";
import { elementAt, elementCount, type HostTensor, tensorOfNumbers } from "../../runtime/tensor.ts";

export const toHost = (v: NdArray): HostTensor => tensorOfNumbers(v.dtype, v.shape, v.data);
export const fromHost = (t: HostTensor): NdArray => ({ dtype: t.dtype, shape: t.shape, data: Float64Array.from({ length: elementCount(t.shape) }, (_, i) => elementAt(t, i)) });

export const programOf = (graph: Graph): Program => ({ name: graph.name, dims: graph.dims, states: graph.states.map(s => ({ ...s, span: null })), entries: [graph], procedures: [] });

/** Not drawn: an assertion of a random value, which ends the run, and bits of a NaN, which are any NaN's. */
const OPS = OP_NAMES.filter(op => op !== "assert" && op !== "bitcast");

/** Padding times an infinite filter is 0 or NaN, as a kernel likes. */
const isSettled = ({ graph: { nodes } }: GraphCase): boolean =>
  !nodes.some(n => n.op.startsWith("conv")) || nodes.every(n => n.op !== "const" || [n.attrs.value].flat().every(Number.isFinite));

/** Graphs as programs may have them: the dims of their states are bound when they are loaded. */
export const compilable = (most: number): fc.Arbitrary<GraphCase> => graphs({ ops: OPS, most }).filter(isSettled).map(c => {
  const held = new Set(c.graph.states.flatMap(s => s.type.shape.flatMap(size => [...dimsOf(size)])));
  return { ...c, graph: { ...c.graph, dims: c.graph.dims.map(d => (held.has(d.name) ? { ...d, binding: "instance" } : d)) } };
});

/** What a dtype holds of a small value: never all zeros. */
export function sample(dtype: DType, shape: readonly number[], seed: number): NdArray {
  const count = shape.reduce((n, s) => n * s, 1);
  const value = (i: number): number => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    const unit = x - Math.floor(x);
    if (dtype === "bool") return unit < 0.5 ? 0 : 1;
    if (isFloat(dtype)) return Math.fround(Math.round((unit * 4 - 2) * 64) / 64);
    return dtype.startsWith("u") ? Math.floor(unit * 7) : Math.floor(unit * 7) - 3;
  };
  return { dtype, shape, data: Float64Array.from({ length: count }, (_, i) => value(i)) };
}

export interface RunGraph {
  readonly dims?: DimValues;
  readonly inputs?: { readonly [name: string]: NdArray };
  readonly states?: { readonly [name: string]: NdArray };
}

export interface GraphRun extends RunGraph {
  readonly graph: Graph;
}
/** Inputs and states, and what the reference interpreter makes of them. */
export interface Prepared {
  readonly dims: DimValues;
  readonly given: { readonly [input: string]: NdArray };
  readonly held: { readonly [state: string]: NdArray };
  readonly outputs: { readonly [output: string]: NdArray };
  readonly states: { readonly [state: string]: NdArray };
}

/** Inputs and states that are not given are samples. */
export function prepared({ graph, dims = {}, inputs = {}, states = {} }: GraphRun): Prepared {
  const drawn = (type: { dtype: DType; shape: readonly (number | object)[] }, seed: number): NdArray => sample(type.dtype, type.shape.map(s => evaluateSize(s as number, dims)), seed);
  const given = Object.fromEntries(inputsOf(graph).map(({ name, type }, i) => [name, inputs[name] ?? drawn(type, i)]));
  const held = Object.fromEntries(graph.states.map(({ name, type }, i) => [name, states[name] ?? drawn(type, 100 + i)]));
  const { outputs, updates } = interpret(graph, { inputs: given, states: held, dims, onEffect: () => {} });
  return { dims, given, held, outputs, states: { ...held, ...updates } };
}
