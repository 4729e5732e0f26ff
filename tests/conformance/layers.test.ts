// The layers and losses of the DSL on every target, against loops written out in plain numbers.
import { describe, expect, test } from "vitest";
import {
  attention, type AttentionOptions, bool, type Conv2dOptions, constant, conv2d, crossEntropy, dim, dropout, embedding, entry, f32, groupNorm, i32, instanceNorm, layerNorm, linear, random, rmsNorm, rope,
  standardize, type Tensor,
} from "sluice";
import { callOnce, expectNear, numbersOf, RUNNERS, values, withProgram } from "../support/programs.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

/** erf by its series, and by its continued tail where that converges. */
function erf(x: number): number {
  if (Math.abs(x) > 3.5) return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.abs(x) * Math.sqrt(Math.PI)) * (1 - 1 / (2 * x * x)));
  let [term, total] = [x, x];
  for (let n = 1; n < 100; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

type Window = { readonly kernel: readonly [number, number]; readonly from?: number; readonly to?: number } & Pick<Conv2dOptions, "stride" | "padding" | "dilation" | "groups">;
const pair = (x: number | readonly [number, number] = 1): readonly [number, number] => (typeof x === "number" ? [x, x] : x);

/** A convolution as its definition says. */
function convolved(x: Float32Array, [B, H, W]: readonly [number, number, number], weight: readonly number[], bias: readonly number[], { kernel, from = 8, to = 8, groups = 1, ...o }: Window) {
  const [stride, dilation] = [pair(o.stride), pair(o.dilation)];
  const around = kernel.map((k, i): [number, number] => {
    const total = dilation[i]! * (k - 1);
    return typeof o.padding === "number" ? [o.padding, o.padding] : [Math.floor(total / 2), Math.ceil(total / 2)];
  });
  const out = [H, W].map((n, i) => Math.floor((n + around[i]![0] + around[i]![1] - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1) as [number, number];
  const [perIn, perOut] = [from / groups, to / groups];
  const at = (n: number, y: number, z: number, c: number): number => (y < 0 || z < 0 || y >= H || z >= W ? 0 : x[((n * H + y) * W + z) * from + c]!);
  const data = range(B).flatMap(n => range(out[0]).flatMap(y => range(out[1]).flatMap(z => range(to).map(c => bias[c]! + sum(range(kernel[0]).flatMap(i => range(kernel[1]).map(j =>
    sum(range(perIn).map(k => at(n, y * stride[0] - around[0]![0] + i * dilation[0], z * stride[1] - around[1]![0] + j * dilation[1], Math.floor(c / perOut) * perIn + k) * weight[((i * kernel[1] + j) * perIn + k) * to + c]!)))))))));
  return { shape: [B, ...out, to], data };
}

describe.each(RUNNERS)("$name", target => {
  const windows: Window[] = [
    { kernel: [3, 3] }, { kernel: [3, 3], from: 3, to: 32 }, { kernel: [3, 3], from: 32, to: 3 }, { kernel: [1, 1] }, { kernel: [3, 3], stride: 2, padding: 1 }, { kernel: [3, 3], padding: 0, dilation: 2 },
    { kernel: [3, 3], groups: 4 }, { kernel: [3, 3], groups: 8 }, { kernel: [5, 3], stride: [2, 1], padding: 2, dilation: [1, 2], groups: 2 }, { kernel: [4, 4], stride: 2 }, { kernel: [2, 3], dilation: 3, groups: 2 },
  ];
  test.each(windows)("conv2d %j", async window => {
    const { kernel, from = 8, to = 8, ...opts } = window;
    const [N, H, W] = [dim("N", { max: 8 }), dim("H", { min: 8, max: 64 }), dim("W", { min: 8, max: 64 })];
    const layer = conv2d(from, to, kernel, opts);
    const program = { layer, f: entry({ x: f32(N, H, W, from) }, ({ x }) => ({ y: layer(x) })) };
    const size = [2, 13, 11] as const;
    const x = values(2 * 13 * 11 * from);
    await withProgram(target, program, async p => {
      const { y } = await p.call("f", { x: { shape: [...size, from], data: x } });
      const wanted = convolved(x, size, numbersOf(await p.state.get("layer.weight")), numbersOf(await p.state.get("layer.bias")), window);
      expect(y!.shape).toEqual(wanted.shape);
      expectNear(y, wanted.data);
    });
  });

  test("linear over several axes, with and without bias", async () => {
    const [full, bare] = [linear([2, 3], [4, 5]), linear(6, 2, { bias: false })];
    const B = dim("B", { max: 9 });
    const program = { full, bare, f: entry({ x: f32(B, 2, 3) }, ({ x }) => ({ y: full(x), z: bare(x.reshape(B, 6)) })) };
    const x = values(18);
    await withProgram(target, program, async p => {
      const { y, z } = await p.call("f", { x: { shape: [3, 2, 3], data: x } });
      const [w, b, v] = await Promise.all(["full.weight", "full.bias", "bare.weight"].map(async name => numbersOf(await p.state.get(name))));
      expect([y!.shape, z!.shape]).toEqual([[3, 4, 5], [3, 2]]);
      expectNear(y, range(60).map(i => b![i % 20]! + sum(range(6).map(k => x[Math.floor(i / 20) * 6 + k]! * w![k * 20 + (i % 20)]!))));
      expectNear(z, range(6).map(i => sum(range(6).map(k => x[Math.floor(i / 2) * 6 + k]! * v![k * 2 + (i % 2)]!))));
    });
  });

  test("norms over their own axes", async () => {
    const [B, H, W, C] = [3, 4, 5, 6];
    const layers = { rows: layerNorm([W, C], { eps: 1e-3 }), last: layerNorm(C), rms: rmsNorm(C), instance: instanceNorm(C, { affine: true }), group: groupNorm(3, C) };
    const N = dim("N", { max: 9 });
    const f = entry({ x: f32(N, H, W, C) }, ({ x }) => ({
      rows: layers.rows(x), last: layers.last(x), rms: layers.rms(x), instance: layers.instance(x), group: layers.group(x), plane: standardize(x, [1, 2]),
    }));
    const x = values(B * H * W * C, 3);
    /** Normalised over the elements that have one key. */
    const normalised = (key: (n: number, y: number, z: number, c: number) => string, eps: number, centred = true): number[] => {
      const keys = range(x.length).map(i => key(Math.floor(i / (H * W * C)), Math.floor(i / (W * C)) % H, Math.floor(i / C) % W, i % C));
      const groups = Map.groupBy(range(x.length), i => keys[i]!);
      return range(x.length).map(i => {
        const own = groups.get(keys[i]!)!.map(j => x[j]!);
        const mean = centred ? sum(own) / own.length : 0;
        return (x[i]! - mean) / Math.sqrt(sum(own.map(v => (v - mean) ** 2)) / own.length + eps);
      });
    };
    const out = await callOnce(target, { layers, f }, "f", { x: { shape: [B, H, W, C], data: x } });
    expectNear(out["rows"], normalised((n, y) => `${n},${y}`, 1e-3));
    expectNear(out["last"], normalised((n, y, z) => `${n},${y},${z}`, 1e-5));
    expectNear(out["rms"], normalised((n, y, z) => `${n},${y},${z}`, 1e-6, false));
    expectNear(out["instance"], normalised((n, _y, _z, c) => `${n},${c}`, 1e-5));
    expectNear(out["group"], normalised((n, _y, _z, c) => `${n},${Math.floor(c / 2)}`, 1e-5));
    expectNear(out["plane"], normalised((n, _y, _z, c) => `${n},${c}`, 1e-5));
  });

  test("activations", async () => {
    const x = [-20, -6, -3, -1, -0.5, -0.001, 0, 0.1, 0.5, 1, 3, 6, 9, 20];
    const f = entry({ x: f32(x.length) }, ({ x }) => ({
      gelu: x.gelu(), tanh: x.gelu({ approximate: "tanh" }), softmax: x.softmax(0), log: x.logSoftmax(0), sigmoid: x.sigmoid(), silu: x.silu(), relu: x.relu(),
    }));
    const out = await callOnce(target, { f }, "f", { x });
    const total = sum(x.map(v => Math.exp(v - 20)));
    expectNear(out["gelu"], x.map(v => 0.5 * v * (1 + erf(v / Math.SQRT2))));
    expectNear(out["tanh"], x.map(v => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))));
    expectNear(out["softmax"], x.map(v => Math.exp(v - 20) / total));
    expectNear(out["log"], x.map(v => v - 20 - Math.log(total)));
    expectNear(out["sigmoid"], x.map(v => 1 / (1 + Math.exp(-v))));
    expectNear(out["silu"], x.map(v => v / (1 + Math.exp(-v))));
    expectNear(out["relu"], x.map(v => Math.max(v, 0)));
  });

  const S = 5;
  const E = 4;
  const allowed = range(S * S).map(i => (i % 3 !== 1 || i % S === Math.floor(i / S) ? 1 : 0));
  const added = values(S * S);
  const variants: { readonly [name: string]: AttentionOptions & { readonly batch?: number; readonly keys?: number; readonly masked?: true; readonly biased?: true } } = {
    plain: {}, causal: { causal: true }, batched: { batch: 3, causal: true }, "of other positions": { keys: 8 }, masked: { masked: true }, biased: { biased: true, scale: 0.3 }, "all at once": { causal: true, masked: true, biased: true },
  };
  test.each(Object.entries(variants))("attention, %s", async (_, { batch, keys = S, masked, biased, ...opts }) => {
    const A = 2;
    const spec = (n: number) => (batch === undefined ? f32(n, A, E) : f32(batch, n, A, E));
    const f = entry({ q: spec(S), k: spec(keys), v: spec(keys) }, ({ q, k, v }) => ({
      y: attention(q as Tensor, k as Tensor, v as Tensor, { ...opts, ...(masked ? { mask: constant(allowed, bool(S, S)) } : {}), ...(biased ? { bias: constant(added, f32(S, S)) } : {}) }),
    }));
    const [q, k, v] = [S, keys, keys].map((n, i) => values((batch ?? 1) * n * A * E, 2, i + 1));
    const at = (x: Float32Array, n: number, b: number, s: number, a: number, e: number): number => x[((b * n + s) * A + a) * E + e]!;
    const wanted = range(batch ?? 1).flatMap(b => range(S).flatMap(s => range(A).flatMap(a => {
      const scores = range(keys).map(t => {
        const hidden = (opts.causal && t > s) || (masked && allowed[s * S + t] === 0);
        return hidden ? -Infinity : sum(range(E).map(e => at(q!, S, b, s, a, e) * at(k!, keys, b, t, a, e))) * (opts.scale ?? 1 / Math.sqrt(E)) + (biased ? added[s * S + t]! : 0);
      });
      const weights = scores.map(score => Math.exp(score - Math.max(...scores)));
      return range(E).map(e => sum(weights.map((p, t) => p * at(v!, keys, b, t, a, e))) / sum(weights));
    })));
    const shaped = (n: number, data: Float32Array) => ({ shape: batch === undefined ? [n, A, E] : [batch, n, A, E], data });
    const { y } = await callOnce(target, { f }, "f", { q: shaped(S, q!), k: shaped(keys, k!), v: shaped(keys, v!) });
    expectNear(y, wanted);
  });

  test("embedding and cross-entropy, without the ids below 0", async () => {
    const table = embedding(7, 3);
    const f = entry({ ids: i32(2, 2), logits: f32(4, 5), to: i32(4) }, ({ ids, logits, to }) => ({ rows: table(ids), loss: crossEntropy(logits, to) }));
    const logits = values(20, 4);
    await withProgram(target, { table, f }, async p => {
      const { rows, loss } = await p.call("f", { ids: [[0, 6], [3, 3]], logits: { shape: [4, 5], data: logits }, to: [1, 4, -1, 0] });
      const weight = numbersOf(await p.state.get("table.weight"));
      expectNear(rows, [0, 6, 3, 3].flatMap(id => weight.slice(id * 3, id * 3 + 3)));
      expectNear(loss, [1, 4, -1, 0].map((id, row) => (id < 0 ? 0 : Math.log(sum(range(5).map(c => Math.exp(logits[row * 5 + c]!)))) - logits[row * 5 + id]!)));
    });
  });

  test("dropout keeps the mean, draws anew at each call, and drops nothing without a stream", async () => {
    const drops = random("drops");
    const f = entry({ x: f32(10_000) }, ({ x }) => ({ some: dropout(x, 0.25, drops), all: dropout(x, 0.25) }));
    await withProgram(target, { drops, f }, async p => {
      const x = new Float32Array(10_000).fill(3);
      const [first, second] = [await p.call("f", { x }), await p.call("f", { x })];
      const kept = numbersOf(first["some"]).filter(v => v !== 0);
      expect(kept.length / 10_000).toBeCloseTo(0.75, 1);
      expect(new Set(kept)).toEqual(new Set([4]));
      expect(numbersOf(second["some"])).not.toEqual(numbersOf(first["some"]));
      expect(new Set(numbersOf(first["all"]))).toEqual(new Set([3]));
    });
  });

  test("rotary positions turn pairs", async () => {
    const f = entry({ x: f32(3, 2, 4), at: i32(3) }, ({ x, at }) => ({ y: rope(x, at) }));
    const x = values(24);
    const { y } = await callOnce(target, { f }, "f", { x: { shape: [3, 2, 4], data: x }, at: [0, 5, 9] });
    expectNear(y, range(24).map(i => {
      const [e, start] = [i % 4, i - (i % 4)];
      const angle = [0, 5, 9][Math.floor(i / 8)]! * 10_000 ** (-(e % 2) / 2);
      const [a, b] = [x[start + (e % 2)]!, x[start + 2 + (e % 2)]!];
      return e < 2 ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
    }));
  });
});
