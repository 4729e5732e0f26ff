// What the WebAssembly emitter writes computes what the interpreter says, for every statement, expression and dtype.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { WasmVariant } from "../../compiler/emit/wasm/module.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { parseKernel } from "../../compiler/kernel/parse.ts";
import { wasmRunner } from "./wasm-kernel.ts";

const probe = (name: string): Promise<Kernel> => parseKernel(readFileSync(new URL(`../probes/${name}.slk`, import.meta.url), "utf8"), name);
const VARIANTS: readonly WasmVariant[] = [{ relaxed: false, shared: false }, { relaxed: true, shared: true }];
const named = VARIANTS.map(v => [`${v.relaxed ? "relaxed" : "plain"}, ${v.shared ? "shared" : "unshared"}`, v] as const);

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
const poisoned = (count: number): Float32Array => new Float32Array(count).fill(NaN);

describe.each(named)("probes, %s", (_, variant) => {
  it("gemm 6x8", async () => {
    const [M, N, K] = [12, 24, 17];
    const [a, b] = [integers(M * K, 1), integers(K * N, 2)];
    const kernel = await probe("gemm-6x8");
    const [want, got] = [poisoned(M * N), poisoned(M * N)];
    interpretKernel(kernel, { buffers: { a, b, c: want }, dims: { M, N, K } });
    (await wasmRunner([kernel], variant))(0, { a, b, c: got }, { M, N, K }, 5);
    expect(want.some(v => v !== 0)).toBe(true);
    expect(got).toEqual(want);
  });

  it("noiser's second pass", async () => {
    const [H, W] = [19, 10];
    const kernel = await probe("noiser-second-pass");
    const buffers = {
      x: reals(3 * (H + 2) * (W + 2), 10), w1: reals(32 * 27, 11), scale: reals(32, 12), shift: reals(32, 13), w2: reals(3 * 32 * 9, 14), b2: reals(3, 15),
    };
    const [want, got] = [poisoned(3 * H * W), poisoned(3 * H * W)];
    interpretKernel(kernel, { buffers: { ...buffers, y: want }, dims: { H, W }, fused: variant.relaxed });
    (await wasmRunner([kernel], variant))(0, { ...buffers, y: got }, { H, W });
    for (const [i, v] of want.entries()) expect(got[i]).toBeCloseTo(v, 5);
  });

  it("gemv int4", async () => {
    const [N, K] = [16, 64];
    const kernel = await probe("gemv-int4");
    const next = sequence(5);
    const w = Uint8Array.from({ length: (N * K) / 2 }, () => Math.floor(next() * 256));
    const scale = Uint16Array.from({ length: (N * K) / 32 }, () => 0x3000 + Math.floor(next() * 0x0c00));
    const x = reals(K, 6);
    const [want, got] = [poisoned(N), poisoned(N)];
    interpretKernel(kernel, { buffers: { w, scale, x, y: want }, dims: { N, K }, fused: variant.relaxed });
    (await wasmRunner([kernel], variant))(0, { w, scale, x, y: got }, { N, K });
    for (const [i, v] of want.entries()) expect(got[i]).toBeCloseTo(v, 5);
  });
});
