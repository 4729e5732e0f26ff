// Smaller networks that may fail in the same way, boldest first: fewer layers, a body instead of the layer around it, forward
// alone, sizes bound and made smaller, simpler options. Each is smaller in the order of the measures below, so shrinking ends.
import { isLayers, type Layer, type Network, type NetworkDim, type NetworkSize, type Option } from "./description.ts";

type Layers = readonly Layer[];

export function* smallerNetworks(n: Network): Generator<Network> {
  for (const layers of smallerLists(n.layers)) yield { ...n, layers };
  if (n.optimizer) {
    yield { ...n, optimizer: null };
    if (n.optimizer.kind !== "sgd") yield { ...n, optimizer: { ...n.optimizer, kind: "sgd" } };
    if (n.optimizer.clip > 0) yield { ...n, optimizer: { ...n.optimizer, clip: 0 } };
    if (n.optimizer.decay > 0) yield { ...n, optimizer: { ...n.optimizer, decay: 0 } };
    if (n.loss !== "sum") yield { ...n, loss: "sum" };
    if (n.loss !== "sum" && n.loss !== "square") yield { ...n, loss: "square" };
  }
  yield* smallerSizes(n);
  for (const layers of simplerOptions(n.layers)) yield { ...n, layers };
}

/** Half of the list, each layer gone, a layer's body in its place, and the same within bodies. */
function* smallerLists(list: Layers): Generator<Layers> {
  if (list.length > 3) {
    const half = list.length >> 1;
    yield list.slice(half);
    yield list.slice(0, half);
  }
  for (let i = list.length - 1; i >= 0; i--) {
    const put = (...instead: Layers): Layers => [...list.slice(0, i), ...instead, ...list.slice(i + 1)];
    yield put();
    const layer = list[i]!;
    for (const [name, option] of Object.entries(layer)) {
      if (!isLayers(option)) continue;
      for (const body of option) yield put(...body);
      if (option.length > 1) for (let b = 0; b < option.length; b++) yield put({ ...layer, [name]: option.filter((_, k) => k !== b) });
      for (const [b, body] of option.entries()) for (const smaller of smallerLists(body)) yield put({ ...layer, [name]: option.map((own, k) => (k === b ? smaller : own)) });
    }
  }
}

const smallerNumbers = (n: number, least: number): number[] => [...new Set([least, (n + least) >> 1, n - 1])].filter(m => m < n && m >= least);

/** An option's simpler values: what is smaller, false for true, one more axis away from none. */
function simpler(name: string, option: Exclude<Option, readonly Layers[]>): Option[] {
  if (typeof option === "boolean") return option ? [false] : [];
  if (typeof option === "number") return Number.isInteger(option) && option >= 0 ? smallerNumbers(option, ["axis", "padding", "times", "keys", "other"].includes(name) ? 0 : 1) : [];
  if (typeof option === "string") return (SIMPLEST[option] ?? []).slice();
  const numbers = option as readonly number[];
  const fewer = name === "to" && numbers.length > 1 ? [[numbers[0]!]] : [];
  return [...fewer, ...numbers.flatMap((n, i) => smallerNumbers(n, 1).map(m => numbers.map((own, k) => (k === i ? m : own))))];
}
/** Words for words that are simpler, by the word. */
const SIMPLEST: { readonly [word: string]: readonly string[] } = {
  mul: ["add"], sub: ["add"], maximum: ["add"], gate: ["mul"], where: ["add"], mean: ["sum"], max: ["sum"], min: ["sum", "max"], variance: ["sum", "mean"], gru: ["rnn"], lstm: ["rnn"], all: ["last"],
  gelu: ["double", "tanh"], tanh: ["double"], silu: ["double", "tanh"], sigmoid: ["double"], sin: ["double"], softplus: ["double"], square: ["double"], "gelu of tanh": ["double", "tanh"], relu: ["double"], leaky: ["double", "relu"],
  clamp: ["double"], abs: ["double"], reciprocal: ["double"], root: ["double"], detached: ["double"], group: ["standardize"], instance: ["standardize"], layer: ["standardize"], rms: ["standardize"], positions: ["vector"], vector: ["number"],
  drop: ["keep"], subtract: ["keep"], whole: ["part"], part: ["rows"], bf16: ["f16"],
};
function* simplerOptions(list: Layers): Generator<Layers> {
  for (const [i, layer] of list.entries()) {
    const put = (instead: Layer): Layers => [...list.slice(0, i), instead, ...list.slice(i + 1)];
    for (const [name, option] of Object.entries(layer)) {
      if (name === "kind") continue;
      if (!isLayers(option)) for (const value of simpler(name, option as number)) yield put({ ...layer, [name]: value });
      else for (const [b, body] of option.entries()) for (const inner of simplerOptions(body)) yield put({ ...layer, [name]: option.map((own, k) => (k === b ? inner : own)) });
    }
  }
}

function* smallerSizes(n: Network): Generator<Network> {
  const used = new Set(n.input.shape.flatMap(s => (typeof s === "number" ? [] : [s.dim])));
  const put = (i: number, size: NetworkSize | null): Network => ({ ...n, input: { ...n.input, shape: n.input.shape.flatMap((own, k) => (k === i ? (size === null ? [] : [size]) : [own])) } });
  for (const d of n.dims) {
    if (!used.has(d.name)) yield { ...n, dims: n.dims.filter(o => o !== d) };
    const bound = (s: NetworkSize): NetworkSize => (typeof s === "number" || s.dim !== d.name ? s : Math.max(...d.values) * s.times + s.plus);
    if (used.has(d.name)) yield { ...n, dims: n.dims.filter(o => o !== d), input: { ...n.input, shape: n.input.shape.map(bound) } };
    for (const smaller of smallerDims(d)) yield { ...n, dims: n.dims.map(o => (o === d ? smaller : o)) };
  }
  if (n.input.of === "ids") yield { ...n, input: { of: "numbers", shape: n.input.shape } };
  for (const [i, s] of n.input.shape.entries()) {
    if (n.input.shape.length > 1) yield put(i, null);
    if (typeof s === "number") for (const m of smallerNumbers(s, 1)) yield put(i, m);
    else {
      if (s.times > 1) yield put(i, { ...s, times: 1 });
      if (s.plus > 0) yield put(i, { ...s, plus: 0 });
    }
  }
}
function* smallerDims(d: NetworkDim): Generator<NetworkDim> {
  if (d.bind === "load") yield { ...d, bind: "call" };
  const [first, second] = d.values;
  for (const v of smallerNumbers(Math.max(first, second), d.min)) yield { ...d, values: [Math.min(first, v), Math.min(second, v)] };
  if (d.max > Math.max(first, second, 1)) for (const max of smallerNumbers(d.max, Math.max(first, second, 1))) yield { ...d, max };
  if (d.min === 0 && Math.min(first, second) > 0) yield { ...d, min: 1 };
}
