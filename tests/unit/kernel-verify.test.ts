// The probes pass; each planted fault is refused by the number of the invariant it breaks; what is right is not refused.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { KernelInvariantError } from "../../compiler/kernel/invariant.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { parseKernel } from "../../compiler/kernel/parse.ts";
import { verifyKernel } from "../../compiler/kernel/verify.ts";

const probes = new URL("../probes/", import.meta.url);
const probeText = (name: string): string => readFileSync(new URL(name, probes), "utf8");
const replaced = (text: string, from: string, to: string): string => {
  expect(text).toContain(from);
  return text.replace(from, to);
};

/** The number of the invariant that the kernel breaks; 0 if it is accepted. */
function broken(kernel: Kernel): number {
  try {
    verifyKernel(kernel);
    return 0;
  } catch (e) {
    if (e instanceof KernelInvariantError) return e.invariant;
    throw e;
  }
}
const brokenText = async (text: string): Promise<number> => broken(await parseKernel(text));

describe("probes", () => {
  it.each(readdirSync(probes))("%s is accepted", async name => {
    verifyKernel(await parseKernel(probeText(name), name));
  });

  it.each([
    ["in the middle round, under a condition", "if eq(s, 5) {\n      x[0] = index(t)\n    }\n    barrier workgroup"],
    ["of every third round, at a place that tells it", "x[mod(s, 3)] = index(t)\n    barrier workgroup"],
    ["at a place that one round alone reads", "if eq(t, 0) {\n      x[5] = index(t)\n    }\n    let read = x[s]\n    barrier workgroup"],
    ["of some rounds of an inner loop", "for u in 4 .. s {\n      x[0] = index(t)\n    }\n    barrier workgroup"],
  ])("a race %s is found, though most loops run their first and last rounds only", async (_, body) => {
    const text = (inside: string): string => `kernel "k" simt {\n  summary ""\n  flops 1\n  param y: f32[1] write\n  grid i: 1\n  thread t: 32\n  shared x: i32[12]\n  if lt(t, 12) {\n    x[t] = index(t)\n  }\n  barrier workgroup\n  for s in 0 .. 12 {\n    ${inside}\n  }\n}\n`;
    expect(await brokenText(text(body))).toBe(7);
    expect(await brokenText(text("barrier workgroup"))).toBe(0);
  });

  it.each([
    ["gemm-6x8.slk", "c[6*i + r, 8*j + 4] =", "c[6*i + r, 8*j + 5] =", 3],
    ["gemm-6x8.slk", "c[6*i + r, 8*j] =", "c[6*i + r + 1, 8*j] =", 3],
    ["gemm-6x8.slk", "dim M: call 6 .. 65536 multiple 6", "dim M: call 6 .. 65536", 0],
    ["gemm-6x8.slk", "for k in 0 .. K {", "for k in 0 .. K + 1 {", 3],
    ["gemm-6x8.slk", "acc[r, 0] = fma", "acc[k, 0] = fma", 4],
    ["gemm-6x8.slk", "grid j: floordiv(N, 8)", "grid j: floordiv(N, 8)\n  grid z: 2", 5],
    ["noiser-second-pass.slk", "min(18, H - 16*s + 2)", "min(18, H - 16*s + 3)", 3],
    ["noiser-second-pass.slk", "if and(ge(r + 16*s, 1), le(r + 16*s, H)) {", "if ge(r + 16*s, 1) {", 3],
    ["noiser-second-pass.slk", "let at = min(4*g, W - 4)", "let at = 4*g", 3],
    ["noiser-second-pass.slk", "min(18, H - 16*s + 2)", "min(19, H - 16*s + 2)", 5],
    ["noiser-second-pass.slk", "dim W: call 4 .. 8192", "dim W: call 3 .. 8192", 3],
    ["gemv-int4.slk", "x[32*g + k]", "x[32*g + k + 1]", 3],
    ["gemm-fragments.slk", "    async_wait 1\n", "", 8],
    ["gemm-fragments.slk", "    async_wait 1\n", "    async_wait 2\n", 8],
    ["gemm-fragments.slk", "    barrier workgroup\n    fragment fa", "    fragment fa", 7],
    ["gemm-fragments.slk", "by fa, fb\n    barrier workgroup", "by fa, fb", 7],
    ["gemm-fragments.slk", "16*s + 16 + floordiv(u, 4)", "16*s + 17 + floordiv(u, 4)", 3],
    ["gemm-fragments.slk", "thread t: 128", "thread t: 512", 10],
    ["flash-attention.slk", "    barrier subgroup\n", "", 7],
    ["flash-attention.slk", "    barrier workgroup\n    mut score", "    mut score", 7],
    ["flash-attention.slk", "if lt(4*i + part, S) {", "if lt(4*i + part, S + 1) {", 3],
    ["flash-attention.slk", "if lt(4*i + part, S) {", "if lt(4*i + part, S) {\n    barrier workgroup", 6],
    ["flash-attention.slk", "let masked", "if lt(lane, 3) { let z = subgroup_max(score) }\n    let masked", 6],
    ["flash-attention.slk", "min(32*b + 4*r + part, T - 1)", "32*b + 4*r + part", 3],
  ])("%s with `%s` as `%s` breaks invariant %i", async (name, from, to, invariant) => {
    expect(await brokenText(replaced(probeText(name), from, to))).toBe(invariant);
  });
});

const simd = (head: string, body: string): string =>
  `kernel "k" simd {\n summary ""\n flops 1\n dim N: call 1 .. 1000\n dim M: call 8 .. 1000 multiple 8\n ${head}\n ${body}\n}\n`;

describe("rules", () => {
  it.each([
    ["a name that is not there", "param a: f32[N] write grid i: N", "let x = f32(1) if lt(i, 3) { let y = f32(2) } a[i] = add(x, x)", 0],
    ["an assignment to a let", "param a: f32[N] write grid i: N", "let x = f32(1) x := f32(2)", 1],
    ["an unrolled loop with a dim as bound", "param a: f32[N] write grid i: 1", "unroll j in 0 .. N { a[j] = f32(1) }", 1],
    ["operands of two types", "param a: f32[N] write grid i: N", "a[i] = add(f32(1), i32(1))", 2],
    ["a float shift", "param a: f32[N] write grid i: N", "a[i] = shl(f32(1), f32(1))", 2],
    ["a store of another type", "param a: f32[N] write grid i: N", "a[i] = i32(1)", 2],
    ["a write to an input", "param a: f32[N] read grid i: N", "a[i] = f32(1)", 2],
    ["an index one too large", "param a: f32[N] write grid i: N", "a[i + 1] = f32(1)", 3],
    ["an index one too small", "param a: f32[N] write grid i: N", "a[i - 1] = f32(1)", 3],
    ["a vector over the end", "param a: f32[N] readwrite grid i: floordiv(N + 3, 4)", "a[4*i] = f32x4(0)", 3],
    ["a vector that ends with the rounded length", "param a: f32[M] write grid i: floordiv(M, 4)", "a[4*i] = f32x4(0)", 0],
    ["a guarded tail", "param a: f32[N] write grid i: floordiv(N + 3, 4)", "if le(4*i + 4, N) { a[4*i] = f32x4(0) } else { for j in 4*i .. N { a[j] = f32(0) } }", 0],
    ["a guarded tail that starts too early", "param a: f32[N] write grid i: floordiv(N + 3, 4)", "if le(4*i + 4, N) { a[4*i] = f32x4(0) } else { for j in 4*i - 1 .. N { a[j] = f32(0) } }", 3],
    ["an index that is data", "param a: f32[N] read param x: i32[N] read param y: f32[N] write grid i: N", "let j = x[i] y[i] = a[j]", 3],
    ["an index that is clamped data", "param a: f32[N] read param x: i32[N] read param y: f32[N] write grid i: N", "let j = max(min(x[i], N - 1), 0) y[i] = a[j]", 0],
    ["an index clamped on one side", "param a: f32[N] read param x: i32[N] read param y: f32[N] write grid i: N", "let j = min(x[i], N - 1) y[i] = a[j]", 3],
    ["a byte as an index into a table", "param a: f32[256] read param x: u8[N] read param y: f32[N] write grid i: N", "y[i] = a[cast_i32(x[i])]", 0],
    ["a byte as an index into too small a table", "param a: f32[255] read param x: u8[N] read param y: f32[N] write grid i: N", "y[i] = a[cast_i32(x[i])]", 3],
    ["a hash taken by remainder", "param a: f32[N] read param x: u32[N] read param y: f32[N] write grid i: N", "y[i] = a[cast_i32(rem(mul(x[i], u32(2654435761)), cast_u32(N)))]", 0],
    ["data under a condition", "param a: f32[N] read param x: i32[N] read param y: f32[N] write grid i: N", "let j = x[i] if and(ge(j, 0), lt(j, N)) { y[i] = a[index(j)] } else { y[i] = f32(0) }", 0],
    ["a mutable under a condition that it leaves", "param a: f32[N] readwrite grid i: 1", "mut j: i32 = i32(0) if lt(j, 1) { j := i32(9) a[j] = f32(1) }", 3],
    ["lanes gathered by clamped data", "param a: f32[N] read param x: i32[M] read param y: f32[M] write grid i: floordiv(M, 4)", "let j = max(min(x[4*i +: 4], splat(N - 1, 4)), i32x4(0)) y[4*i] = gather a[j]", 0],
    ["lanes gathered by data", "param a: f32[N] read param x: i32[M] read param y: f32[M] write grid i: floordiv(M, 4)", "let j = max(x[4*i +: 4], i32x4(0)) y[4*i] = gather a[j]", 3],
    ["all tasks at one place", "param a: f32[8] write grid i: N", "a[0] = f32(1)", 5],
    ["one task at one place", "param a: f32[8] write grid i: N", "if eq(i, 0) { a[0] = f32(1) }", 0],
    ["all tasks adding at one place", "param a: f32[8] readwrite grid i: N", "atomic_add a[0] by f32(1)", 0],
    ["a read beside the own element", "param a: f32[N + 1] readwrite grid i: N", "a[i] = a[i + 1]", 5],
    ["a read of the own element", "param a: f32[N] readwrite grid i: N", "a[i] = neg(a[i])", 0],
    ["tiles that overlap by one", "param a: f32[N + 8] write grid i: floordiv(N, 4)", "for j in 0 .. 5 { a[4*i + j] = f32(1) }", 5],
    ["tiles side by side", "param a: f32[N + 8] write grid i: floordiv(N, 4)", "for j in 0 .. 4 { a[4*i + j] = f32(1) }", 0],
    ["a flat index of rows and columns", "param a: f32[M*N] write grid i: M grid j: N", "a[N*i + j] = f32(1)", 0],
    ["a flat index with too short a row", "param a: f32[M*N] write grid i: M grid j: N", "a[i*N - i + j] = f32(1)", 5],
    ["a flat task taken apart", "param a: f32[M, 8] write grid t: 8*M", "a[floordiv(t, 8), mod(t, 8)] = f32(1)", 0],
    ["a flat task of which a part is lost", "param a: f32[M, 8] write grid t: 8*M", "a[floordiv(t, 8), 0] = f32(1)", 5],
    ["a flat task in three parts", "param a: f32[M, 4, 2] write grid t: 8*M", "let u = floordiv(t, 2) a[floordiv(t, 8), mod(index(u), 4), mod(t, 2)] = f32(1)", 0],
    ["a flat task in three parts that do not fit together", "param a: f32[M, 4, 2] write grid t: 8*M", "let u = floordiv(t, 2) a[floordiv(t, 8), mod(index(u), 3), mod(t, 2)] = f32(1)", 5],
    ["strips up to the end", "param a: f32[N] write grid i: floordiv(N + 15, 16)", "for j in 16*i .. min(16*i + 16, N) { a[j] = f32(1) }", 0],
    ["strips that reach into the next", "param a: f32[N] write grid i: floordiv(N + 15, 16)", "for j in 16*i .. min(16*i + 17, N) { a[j] = f32(1) }", 5],
    ["a loop in steps that divide its length", "param a: f32[M] write grid i: 1", "for j in 0 .. M step 4 { a[j] = f32x4(0) }", 0],
    ["a loop in steps that do not", "param a: f32[N] write grid i: 1", "for j in 0 .. N step 4 { a[j] = f32x4(0) }", 3],
    ["a barrier", "param a: f32[N] write grid i: N", "barrier workgroup", 11],
    ["shared memory", "param a: f32[N] write grid i: N", "shared s: f32[4]", 11],
  ])("%s", async (_, head, body, invariant) => {
    expect(await brokenText(simd(head, body))).toBe(invariant);
  });

  it("names the access and the shape", async () => {
    const kernel = await parseKernel(simd("param a: f32[N] write grid i: N", "a[i + 1] = f32(1)"));
    expect(() => verifyKernel(kernel)).toThrow("kernel k breaks invariant 3: index 0 may be too large in a[i + 1], whose shape is [N]");
  });
  it("refuses more shared memory than the device has", async () => {
    const kernel = await parseKernel(probeText("flash-attention.slk"));
    expect(() => verifyKernel(kernel, { sharedBytes: 4096, registers: 255, threads: 256 })).toThrow("invariant 10: 8832 bytes of shared memory where 4096 are allowed");
  });
});
