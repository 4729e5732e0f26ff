// jax-js with its WebAssembly backend as a participant. Under Node it has one thread. A call uses up the arrays that it is
// given, so what is needed again goes in as `.ref`.
import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, random, valueAndGrad } from "@jax-js/jax";
import { namedWeights, outerChannels, transposed } from "../harness/network.ts";
import { installedVersion } from "../harness/peers.ts";
import { type Prepared, readFloats, serve, type TaskRequest } from "../harness/serve.ts";
import { readFile } from "node:fs/promises";

type Value = np.Array;
type Weights = { readonly [k in "first" | "bias" | "second" | "last"]: Value };
const KEYS = ["first", "bias", "second", "last"] as const;
const each = (make: (key: keyof Weights) => Value): Weights => Object.fromEntries(KEYS.map(k => [k, make(k)])) as unknown as Weights;

const array = (data: ArrayLike<number>, shape: number[]): Value => np.array(Float32Array.from(data)).reshape(shape);
const zerosLike = (w: Weights): Weights => each(k => np.zeros(w[k].shape));

function weightsOf(flat: Float32Array): Weights {
  const w = namedWeights(flat);
  return {
    first: array(outerChannels(w.get("net.in.weight")!, [3, 3, 3, 32]), [32, 3, 3, 3]), bias: array(w.get("net.in.bias")!, [32, 1, 1]),
    second: array(outerChannels(w.get("net.out.weight")!, [3, 3, 32, 3]), [3, 32, 3, 3]), last: array(w.get("net.out.bias")!, [3, 1, 1]),
  };
}

/** x is [1, 3, height, width]. */
function network(w: Weights, x: Value): Value {
  const a = lax.conv(x, w.first, [1, 1], "SAME").add(w.bias);
  const centred = a.ref.sub(a.mean([2, 3], { keepdims: true }));
  const variance = np.square(centred.ref).mean([2, 3], { keepdims: true });
  const normal = centred.mul(np.reciprocal(np.sqrt(variance.add(1e-5))));
  return np.tanh(lax.conv(nn.gelu(normal, { approximate: false }), w.second, [1, 1], "SAME").add(w.last));
}

function lossOf(w: Weights, x: Value): Value {
  const y = network(w, x.ref);
  const [, , height, width] = y.shape as [number, number, number, number];
  const down = y.ref.slice([], [], [1, height]).sub(y.ref.slice([], [], [0, height - 1]));
  const right = y.ref.slice([], [], [], [1, width]).sub(y.ref.slice([], [], [], [0, width - 1]));
  const variation = np.square(down).sum().add(np.square(right).sum()).mul(1 / (3 * height * width));
  return np.abs(y.sub(x)).mean().add(variation);
}

type State = { readonly w: Weights; readonly m: Weights; readonly v: Weights };
const start = (w: Weights): State => ({ w, m: zerosLike(w), v: zerosLike(w) });

/** Adam as the sheet sets it; the corrections are numbers of the step. */
const step = jit((s: State, x: Value, first: Value, second: Value): { state: State; loss: Value } => {
  const [loss, g] = valueAndGrad(lossOf)(each(k => s.w[k].ref), x);
  const m = each(k => s.m[k].mul(0.5).add(g[k].ref.mul(0.5)));
  const v = each(k => s.v[k].mul(0.999).add(np.square(g[k]).mul(0.001)));
  const w = each(k => s.w[k].sub(m[k].ref.mul(2e-4).mul(first.ref).div(np.sqrt(v[k].ref.mul(second.ref)).add(1e-8))));
  first.dispose();
  second.dispose();
  return { state: { w, m, v }, loss };
});
const advance = (s: State, x: Value, i: number) => step(s, x, np.array(1 / (1 - 0.5 ** (i + 1))), np.array(1 / (1 - 0.999 ** (i + 1))));

async function prepare(request: TaskRequest): Promise<Prepared> {
  if (request.threads !== 1) throw new Error("jax-js has one thread under Node");
  if (!(await init("wasm")).includes("wasm")) throw new Error("jax-js has no wasm device here");
  defaultDevice("wasm");
  const description = `jax-js ${installedVersion("@jax-js/jax")} (wasm), 1 thread`;
  const read = (name: string) => readFloats(`${request.folder}/${name}.f32`);
  if (request.task === "matmul") {
    const n = request.size;
    const both = await read("matrices");
    const [a, b] = [array(both.slice(0, n * n), [n, n]), array(both.slice(n * n), [n, n])];
    const product = jit((p: Value, q: Value) => np.matmul(p, q));
    const run = async () => (await product(a.ref, b.ref).blockUntilReady()).dispose();
    return { description, run, output: async () => (await product(a.ref, b.ref).data()) as Float32Array };
  }
  const weights = await read("weights");
  if (request.task === "enhance") {
    const { width, height } = request;
    const w = weightsOf(weights);
    const image = await readFile(`${request.folder}/image.u8`);
    const x = array(transposed(Float32Array.from(image, v => (v * 2) / 255 - 1), width * height, 3), [1, 3, height, width]);
    const apply = jit(network);
    const result = () => apply(each(k => w[k].ref), x.ref);
    const run = async () => (await result().blockUntilReady()).dispose();
    return { description, run, output: async () => transposed((await result().data()) as Float32Array, 3, width * height) };
  }
  let state = start(weightsOf(weights));
  let count = 0;
  const run = async () => {
    const x = np.clip(random.normal(random.key(count), [1, 3, 104, 104]).mul(3), -1, 1);
    const after = advance(state, x, count++);
    state = after.state;
    after.loss.dispose();
    await blockUntilReady(state);
  };
  const output = async (): Promise<Float32Array> => {
    const noise = await read("noise");
    const size = 104 * 104 * 3;
    let s = start(weightsOf(weights));
    const losses: number[] = [];
    for (let i = 0; i < noise.length / size; i++) {
      const after = advance(s, array(transposed(noise.subarray(i * size, (i + 1) * size), 104 * 104, 3), [1, 3, 104, 104]), i);
      s = after.state;
      losses.push(...((await after.loss.data()) as Float32Array));
    }
    // [out, in, height, width] back to [height, width, in, out].
    const inner = (data: ArrayLike<number>, channels: number, outs: number): Float32Array => Float32Array.from({ length: data.length }, (_, i) => {
      const [o, rest] = [i % outs, Math.floor(i / outs)];
      return data[(o * channels + (rest % channels)) * 9 + Math.floor(rest / channels)]!;
    });
    const [first, bias, second, last] = await Promise.all(KEYS.map(k => s.w[k].data())) as [Float32Array, Float32Array, Float32Array, Float32Array];
    return Float32Array.from([...losses, ...inner(first, 3, 32), ...bias, ...inner(second, 32, 3), ...last]);
  };
  return { description, run, output };
}
await serve(prepare);
