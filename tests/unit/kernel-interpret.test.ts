// The interpreter gives the probes' reference results, and catches what a kernel must not do.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DTYPES } from "../../compiler/base/dtypes.ts";
import { type RunOptions, interpretKernel } from "../../compiler/kernel/interpret.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { parseKernel } from "../../compiler/kernel/parse.ts";

const probe = (name: string): Promise<Kernel> => parseKernel(readFileSync(new URL(`../probes/${name}.slk`, import.meta.url), "utf8"), name);
/** A fixed sequence in [0, 1). */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
const integers = (count: number, seed: number): Float32Array => {
  const next = sequence(seed);
  return Float32Array.from({ length: count }, () => Math.floor(next() * 9) - 4);
};
const reals = (count: number, seed: number): Float32Array => {
  const next = sequence(seed);
  return Float32Array.from({ length: count }, () => next() * 2 - 1);
};
/** f16 bits of numbers that f16 holds exactly. */
const halves = (values: Float32Array): Uint16Array => Uint16Array.from(values, v => {
  const size = Math.abs(v);
  if (size === 0) return 0;
  const exponent = Math.floor(Math.log2(size));
  return (v < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
});
const poisoned = (count: number): Float32Array => new Float32Array(count).fill(NaN);

describe("probes", () => {
  it("gemm 6x8 gives the exact product of small integers", async () => {
    const [M, N, K] = [12, 24, 17];
    const a = integers(M * K, 1);
    const b = integers(K * N, 2);
    const packedA = Float32Array.from({ length: M * K }, (_, at) => a[(Math.floor(at / (6 * K)) * 6 + (at % 6)) * K + (Math.floor(at / 6) % K)]!);
    const packedB = Float32Array.from({ length: K * N }, (_, at) => b[(Math.floor(at / 8) % K) * N + Math.floor(at / (8 * K)) * 8 + (at % 8)]!);
    const c = poisoned(M * N);
    interpretKernel(await probe("gemm-6x8"), { buffers: { a: packedA, b: packedB, c }, dims: { M, N, K } });
    const want = Float32Array.from({ length: M * N }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += a[Math.floor(at / N) * K + k]! * b[k * N + (at % N)]!;
      return sum;
    });
    expect(want.some(v => v !== 0)).toBe(true);
    expect(c).toEqual(want);
  });

  it("gemm with fragments gives the exact product of small integers", async () => {
    const [M, N, K] = [64, 32, 48];
    const a = integers(M * K, 3);
    const b = integers(K * N, 4);
    const c = poisoned(M * N);
    interpretKernel(await probe("gemm-fragments"), { buffers: { a: halves(a), b: halves(b), c }, dims: { M, N, K } });
    const want = Float32Array.from({ length: M * N }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += a[Math.floor(at / N) * K + k]! * b[k * N + (at % N)]!;
      return sum;
    });
    expect(c).toEqual(want);
  });

  it("gemv int4 multiplies by the table's entries, scaled by group", async () => {
    const [N, K] = [16, 64];
    const table = [0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.723, -1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 1];
    const next = sequence(5);
    const w = Uint8Array.from({ length: (N * K) / 2 }, () => Math.floor(next() * 256));
    const scale = Float32Array.from({ length: (N * K) / 32 }, () => DTYPES.f16.round(next() + 0.25));
    const x = reals(K, 6);
    const y = poisoned(N);
    interpretKernel(await probe("gemv-int4"), { buffers: { w, scale: halves(scale), x, y }, dims: { N, K } });
    for (let n = 0; n < N; n++) {
      const panel = Math.floor(n / 8);
      let sum = 0;
      for (let k = 0; k < K; k++) {
        const at = (panel * K + k) * 8 + (n % 8);
        sum += table[(w[at >> 1]! >> (4 * (at & 1))) & 15]! * x[k]! * scale[(panel * (K / 32) + Math.floor(k / 32)) * 8 + (n % 8)]!;
      }
      expect(y[n]).toBeCloseTo(sum, 4);
    }
  });

  it("flash attention equals softmax over all keys, for lengths that fill no tile", async () => {
    const [A, S, T, D] = [2, 5, 45, 32];
    const q = reals(A * S * D, 7).map(v => 4 * v);
    const k = reals(A * T * D, 8);
    const v = reals(A * T * D, 9);
    const o = poisoned(A * S * D);
    interpretKernel(await probe("flash-attention"), { buffers: { q, k, v, o }, dims: { A, S, T } });
    for (let a = 0; a < A; a++) {
      for (let s = 0; s < S; s++) {
        const scores = Array.from({ length: T }, (_, t) => {
          let sum = 0;
          for (let d = 0; d < D; d++) sum += q[(a * S + s) * D + d]! * k[(a * T + t) * D + d]!;
          return Math.exp(sum / Math.sqrt(D));
        });
        const total = scores.reduce((x, y) => x + y);
        for (let d = 0; d < D; d++) {
          const want = scores.reduce((sum, p, t) => sum + (p / total) * v[(a * T + t) * D + d]!, 0);
          expect(o[(a * S + s) * D + d]).toBeCloseTo(want, 5);
        }
      }
    }
  });

  it("noiser's second pass equals the network on a whole image", async () => {
    const [H, W] = [19, 10];
    const x = reals(3 * H * W, 10);
    const w1 = reals(32 * 27, 11);
    const scale = reals(32, 12);
    const shift = reals(32, 13);
    const w2 = reals(3 * 32 * 9, 14).map(v => v / 8);
    const b2 = reals(3, 15);
    const padded = new Float32Array(3 * (H + 2) * (W + 2));
    for (let c = 0; c < 3; c++) for (let i = 0; i < H; i++) for (let j = 0; j < W; j++) padded[(c * (H + 2) + i + 1) * (W + 2) + j + 1] = x[(c * H + i) * W + j]!;
    const y = poisoned(3 * H * W);
    interpretKernel(await probe("noiser-second-pass"), { buffers: { x: padded, w1, scale, shift, w2, b2, y }, dims: { H, W } });

    const conv = (input: Float64Array, inputs: number, outputs: number, weights: Float32Array, o: number, i: number, j: number): number => {
      let sum = 0;
      for (let c = 0; c < inputs; c++) for (let dy = 0; dy < 3; dy++) for (let dx = 0; dx < 3; dx++) {
        const [r, s] = [i + dy - 1, j + dx - 1];
        if (r >= 0 && r < H && s >= 0 && s < W) sum += input[(c * H + r) * W + s]! * weights[((o * inputs + c) * 3 + dy) * 3 + dx]!;
      }
      return outputs > 0 ? sum : 0;
    };
    const erf = (v: number): number => {
      let [term, sum] = [v, v];
      for (let n = 1; n < 120; n++) {
        term *= (-v * v) / n;
        sum += term / (2 * n + 1);
      }
      return Math.abs(v) > 4 ? Math.sign(v) : (2 * sum) / Math.sqrt(Math.PI);
    };
    const hidden = new Float64Array(32 * H * W);
    for (let o = 0; o < 32; o++) for (let i = 0; i < H; i++) for (let j = 0; j < W; j++) {
      const n = conv(Float64Array.from(x), 3, 32, w1, o, i, j) * scale[o]! + shift[o]!;
      hidden[(o * H + i) * W + j] = (n / 2) * (1 + erf(n / Math.SQRT2));
    }
    let largest = 0;
    for (let o = 0; o < 3; o++) for (let i = 0; i < H; i++) for (let j = 0; j < W; j++) {
      largest = Math.max(largest, Math.abs(y[(o * H + i) * W + j]! - Math.tanh(conv(hidden, 32, 3, w2, o, i, j) + b2[o]!)));
    }
    expect(largest).toBeLessThan(3e-6);
    expect(largest).toBeGreaterThan(0);
  });
});

const run = async (head: string, body: string, options: Partial<RunOptions> = {}): Promise<void> =>
  interpretKernel(await parseKernel(`kernel "k" ${head.includes("thread") ? "simt" : "simd"} {\n summary ""\n flops 1\n ${head}\n ${body}\n}\n`), { buffers: {}, ...options });

describe("faults", () => {
  const a = new Float32Array(64);
  const buffers = { a };
  it.each([
    ["an access out of bounds", "param a: f32[8] write grid i: 8", "a[i + 1] = f32(1)", "a[8] is outside its shape [8]"],
    ["a vector that ends out of bounds", "param a: f32[8] readwrite grid i: 1", "let v = a[5 +: 4]", "a[5] of 4 elements is outside"],
    ["scratch that was never written", "param a: f32[8] write grid i: 1", "local s: f32[4] a[0] = s[2]", "read of s at flat index 2 before anything was written"],
    ["a race of tasks", "param a: f32[8] write grid i: 2", "a[0] = f32(1)", "race on a at flat index 0"],
    ["a task that reads what another writes", "param a: f32[8] readwrite grid i: 2", "a[i] = a[0]", "race on a at flat index 0"],
    ["a race of threads", "param a: f32[8] write grid i: 1 thread t: 32", "shared s: f32[32] s[t] = f32(1) a[mod(t, 8)] = s[31 - t]", "race on s"],
    ["a barrier that not all reach", "param a: f32[8] write grid i: 1 thread t: 32", "if lt(t, 4) { barrier workgroup }", "a barrier is reached by 4 of 32 threads"],
    ["a copy that is read before it is waited for", "param a: f32[32] readwrite grid i: 1 thread t: 32", "shared s: f32[32] async_copy s[t] from a[t] count 1 async_commit let v = s[t]", "while a copy into it is under way"],
    ["a copy that is never waited for", "param a: f32[32] read grid i: 1 thread t: 32", "shared s: f32[32] async_copy s[t] from a[t] count 1 async_commit", "still under way"],
  ])("%s is refused", async (_, head, body, message) => {
    await expect(run(head, body, { buffers })).rejects.toThrow(message);
  });
  it("lets atomics meet", async () => {
    a.fill(0);
    await run("param a: f32[8] readwrite grid i: 5", "atomic_add a[0] by f32(2)", { buffers });
    expect(a[0]).toBe(10);
  });
});

describe("arithmetic", () => {
  it("stores and loads every dtype with its rounding", async () => {
    for (const [dtype, value, want] of [["f16", 1.0009, 1.0009765625], ["bf16", 1.006, 1.0078125], ["i8", 130, -126], ["i4", 9, -7], ["u8", 257, 1], ["u16", 65537, 1], ["i16", 40000, -25536]] as const) {
      const y = new Float32Array(1);
      const scalar = dtype.startsWith("u") ? "u32" : dtype.startsWith("i") ? "i32" : "f32";
      await run(`param b: ${dtype}[4] readwrite param y: f32[1] write grid i: 1`, `b[3] = ${scalar}(${value}) y[0] = cast_f32(b[3])`, { buffers: { b: new Uint8Array(8), y } });
      expect(y[0], dtype).toBe(want);
    }
  });
  it("reduces lanes by halves, and multiplies four bytes", async () => {
    const y = new Float32Array(2);
    await run("param y: f32[2] write grid i: 1", `y[0] = horizontal_add(vector(f32(1e8), f32(1), f32(-1e8), f32(1)))
      y[1] = cast_f32(dot4(i32(${0x01ff0280 | 0}), i32(${0x05060708}), i32(1)))`, { buffers: { y } });
    expect([...y]).toEqual([2, 5 - 6 + 14 - 1024 + 1]);
  });
  it("sums products of bytes in fragments exactly, past what f32 holds, and wraps", async () => {
    const b = Int8Array.from({ length: 256 }, (_, i) => (Math.floor(i / 16) === i % 16 ? 1 : 0));
    const c = new Int32Array(256);
    for (const [start, want] of [[2 ** 24, 2 ** 24 + 1], [2 ** 31 - 1, -(2 ** 31)]] as const) {
      await run("param a: i8[16, 16] read param b: i8[16, 16] read param c: i32[16, 16] write grid i: 1 thread t: 32", `fragment sum: accumulator i32 16 by 16 by 16
        fragment fa: a i8 16 by 16 by 16
        fragment fb: b i8 16 by 16 by 16
        fragment_fill sum with ${start}
        fragment_load fa from a[0, 0] row
        fragment_load fb from b[0, 0] row
        fragment_mma sum by fa, fb
        fragment_store sum to c[0, 0]`, { buffers: { a: new Int8Array(256).fill(1), b, c } });
      expect(c.every(v => v === want)).toBe(true);
    }
  });
});
