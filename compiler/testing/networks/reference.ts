// What a network means: its calls on drawn values in the reference interpreter, and how far a target may be from each result.
// An element may be as far off as it moves when the reference's operations round (see meaning.ts), through all calls so far.
import { isFloat } from "../../base/dtypes.ts";
import type { DimValues } from "../../base/sizes.ts";
import { type Field, float64, type NdArray } from "../../graph/field.ts";
import { type Graph, inputsOf, type TensorType } from "../../graph/graph.ts";
import { interpret } from "../../graph/interpret.ts";
import { place, type Results } from "../meaning.ts";
import { biasedFields, rounding, roundingFields } from "../rounding.ts";
import { drawTensor } from "../values.ts";
import { IDS, type TracedNetwork } from "./program.ts";

/** One call of an entry, and what it is given. */
export interface NetworkCall {
  /** Stands before the names of its results. */
  readonly name: string;
  readonly graph: Graph;
  readonly dims: DimValues;
  readonly inputs: { readonly [name: string]: NdArray };
}
export interface NetworkRun {
  readonly calls: readonly NetworkCall[];
  /** Every state of the network before the first call. */
  readonly states: { readonly [name: string]: NdArray };
}

const mapped = (x: NdArray, f: (value: number, i: number) => number): NdArray => ({ ...x, data: x.data.map((v, i) => f(v, i)) });

/** Values do not depend on the prefix, so a network alone has those that it had among others. */
function stateValue(name: string, type: TensorType, seed: number, dims: DimValues): NdArray {
  const x = drawTensor(name, type, dims, seed, float64);
  if (name.startsWith("optimizer.")) return mapped(x, () => 0);
  if (!isFloat(type.dtype)) return mapped(x, (_, i) => (i === 0 ? seed % 1000 : 0));
  // Sums of products stay about as large as what goes in.
  const fan = x.shape.slice(0, -1).reduce((n, s) => n * s, 1);
  return mapped(x, v => Math.fround((v * 0.8) / Math.sqrt(Math.max(1, fan))));
}

/** Forward with the sizes of both calls, then trained with them. */
export function runOf({ network, prefix, forward, learn }: TracedNetwork): NetworkRun {
  const dims = (call: 0 | 1): DimValues => Object.fromEntries(network.dims.map(d => [`${prefix}${d.name}`, d.values[d.bind === "load" ? 0 : call]]));
  const input = (graph: Graph, call: 0 | 1): NetworkCall["inputs"] => Object.fromEntries(inputsOf(graph).map(({ name, type }) => {
    const x = drawTensor(`${name} ${call}`, type, dims(call), network.seed, float64);
    return [name, mapped(x, v => (isFloat(type.dtype) ? Math.fround(v) : Math.abs(v) % IDS))];
  }));
  const calls = [{ graph: forward, name: "forward" }, ...(learn ? [{ graph: learn, name: "learn" }] : [])]
    .flatMap(({ graph, name }) => ([0, 1] as const).map(call => ({ graph, name: `${name} ${call + 1}`, dims: dims(call), inputs: input(graph, call) })));
  const states = [forward, ...(learn ? [learn] : [])].flatMap(g => g.states).map(s => [s.name, stateValue(s.name.slice(prefix.length), s.type, network.seed, dims(0))] as const);
  return { calls, states: Object.fromEntries(states) };
}

function resultsIn(field: Field, { calls, states }: NetworkRun): Results {
  let held = states;
  const results = new Map<string, NdArray>();
  for (const { name, graph, dims, inputs } of calls) {
    const { outputs, updates } = interpret(graph, { inputs, states: held, dims, field });
    for (const [output, x] of Object.entries(outputs)) results.set(`${name}: ${output}`, x);
    for (const [state, x] of Object.entries(updates)) results.set(`${name}: state ${state}`, x);
    held = { ...held, ...updates };
  }
  return results;
}

/** How many times as far as an element moves in a few fields it may move in a run that rounds in its own way. */
const SPREADS = 8;

interface Doubt {
  readonly name: string;
  readonly at: number;
  /** How far the element moved so far; NaN where what it becomes says nothing. */
  spread: number;
}

/** What differs between the reference and what a target made of the run, results named as `learn 1: loss`; null if nothing does. */
export function differenceFromRun(run: NetworkRun, found: Results): string | null {
  const wanted = resultsIn(float64, run);
  const largest = new Map([...wanted].map(([name, x]) => [name, x.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0)]));
  const isAllowed = ({ name, at, spread }: Doubt): boolean => {
    const x = wanted.get(name)!;
    const [was, is] = [x.data[at]!, found.get(name)!.data[at]!];
    if (Object.is(was, is) || was === is || Number.isNaN(spread)) return true;
    if (!isFloat(x.dtype)) return spread > 0;
    return Number.isFinite(was) && Math.abs(was - is) <= SPREADS * spread + rounding(x.dtype) * largest.get(name)!;
  };
  let doubts: Doubt[] = [];
  for (const [name, x] of wanted) {
    const own = found.get(name);
    if (own?.shape.join() !== x.shape.join()) return `${name} is [${own?.shape.join(", ") ?? "missing"}] and should be [${x.shape.join(", ")}]`;
    x.data.forEach((_, at) => doubts.push({ name, at, spread: 0 }));
  }
  doubts = doubts.filter(d => !isAllowed(d));
  // Most networks need none of the fields, or one.
  for (const field of [...roundingFields().reverse(), ...biasedFields()]) {
    if (doubts.length === 0) return null;
    const moved = resultsIn(field, run);
    doubts = doubts.map(d => {
      const [was, is] = [wanted.get(d.name)!.data[d.at]!, moved.get(d.name)!.data[d.at]!];
      const isSame = Object.is(was, is) || was === is;
      return { ...d, spread: isSame ? d.spread : Number.isFinite(was) && Number.isFinite(is) ? Math.max(d.spread, Math.abs(was - is)) : NaN };
    }).filter(d => !isAllowed(d));
  }
  const [first] = doubts;
  if (!first) return null;
  const x = wanted.get(first.name)!;
  return `${first.name} at ${place(x, first.at)} is ${found.get(first.name)!.data[first.at]} and should be ${x.data[first.at]} ± ${(SPREADS * first.spread + rounding(x.dtype) * largest.get(first.name)!).toExponential(1)} (${doubts.length} elements differ)`;
}
