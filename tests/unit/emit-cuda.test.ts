// What the CUDA emitter writes computes what the interpreter says, run by the host shim: tasks for every statement, expression
// and dtype, workgroups with all that their threads do together. The shim finds planted faults. nvcc takes the text.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DimValues, dimSize, floorDivSize, mulSize } from "../../compiler/base/sizes.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { compileCuda, usageOf } from "../../compiler/emit/cuda/compile.ts";
import { HEADER, HEADER_FILE } from "../../compiler/emit/cuda/header.ts";
import { requireNvcc, runNvcc } from "../../compiler/emit/cuda/nvcc.ts";
import { emitCuda } from "../../compiler/emit/cuda/source.ts";
import { add, cast, index, mul } from "../../compiler/kernel/expr.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import type { Kernel, } from "../../compiler/kernel/ir.ts";
import { parseKernel } from "../../compiler/kernel/parse.ts";
import { verifyKernel } from "../../compiler/kernel/verify.ts";
import * as noiser from "../../dsl-examples/noiser/index.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import { cudaRunner } from "../support/cuda-kernels.ts";
import { everyInstruction } from "../support/every-instruction.ts";
import { emitterSuite, probe } from "../support/emitter-suite.ts";
import { type Case, compare, poisoned, randomKernel, reals, small } from "../support/kernel-cases.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";
import { simt, WORKGROUP_CASES } from "../support/workgroup-cases.ts";

const emitter = { runner: (kernels: readonly Kernel[]) => cudaRunner(kernels), fused: "all" } as const;
describe("tasks", () => emitterSuite({ ...emitter, lanes: [1, 4], roundsTwice: false, batch: 30 }));

it("statements of random kernels have no undefined behaviour", async () => {
  const flags = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"];
  const kernels = Array.from({ length: 12 }, (_, seed) => randomKernel(seed, [1, 4, 8][seed % 3]!));
  await compare(kernels.map(kernel => ({ kernel, dims: { n: 3 } })), { ...emitter, runner: all => cudaRunner(all, { flags }) });
});

/** Kernels that are right are accepted by the verifier too. */
const compareAll = (cases: readonly Case[]): Promise<void> => {
  for (const c of cases) verifyKernel(c.kernel);
  return compare(cases, emitter);
};

const FLASH_DIMS = { A: 2, S: 5, T: 45 };
const flashBuffers = ({ A, S, T } = FLASH_DIMS): { [param: string]: Float32Array } => {
  return { q: reals(A * S * 32, 7).map(x => 4 * x), k: reals(A * T * 32, 8), v: reals(A * T * 32, 9), o: poisoned(A * S * 32) };
};
const GEMM_DIMS = { M: 64, N: 32, K: 48 };
const gemmBuffers = (): { [param: string]: ArrayBufferView } => {
  const { M, N, K } = GEMM_DIMS;
  return { a: small("f16", M * K, 3), b: small("f16", K * N, 4), c: poisoned(M * N) };
};

describe("workgroups", () => {
  it("flash attention, for lengths that fill no tile", async () => {
    const kernel = await probe("flash-attention");
    const [want, got] = [flashBuffers(), flashBuffers()];
    interpretKernel(kernel, { buffers: want, dims: FLASH_DIMS });
    (await cudaRunner([kernel]))(0, got, FLASH_DIMS);
    expect(got["o"]).toEqual(want["o"]);
    expect(got["o"]!.every(x => Math.abs(x) > 0)).toBe(true);
  });

  it("a product with async copies, swizzled shared memory and fragments", async () => {
    const kernel = await probe("gemm-fragments");
    const [want, got] = [gemmBuffers(), gemmBuffers()];
    interpretKernel(kernel, { buffers: want, dims: GEMM_DIMS });
    (await cudaRunner([kernel]))(0, got, GEMM_DIMS);
    expect(got["c"]).toEqual(want["c"]);
    expect((got["c"] as Float32Array).some(x => x !== 0)).toBe(true);
  });

  it.each(WORKGROUP_CASES)("%s", (_, cases) => compareAll(cases()));
});

/** Runs a probe in which something was replaced; `edit` replaces in the emitted text instead. */
async function planted(name: string, [from, to]: readonly [string, string], buffers: { [param: string]: ArrayBufferView }, dims: DimValues, where: "kernel" | "text" = "kernel"): Promise<void> {
  const text = readFileSync(new URL(`../probes/${name}.slk`, import.meta.url), "utf8");
  const replaced = (whole: string): string => {
    expect(whole).toContain(from);
    return whole.replace(from, to);
  };
  const kernel = await parseKernel(where === "kernel" ? replaced(text) : text, name);
  (await cudaRunner([kernel], where === "text" ? { edit: replaced } : {}))(0, buffers, dims);
}
const flash = (from: string, to: string, where?: "text"): Promise<void> => planted("flash-attention", [from, to], flashBuffers({ ...FLASH_DIMS, A: 1 }), { ...FLASH_DIMS, A: 1 }, where);
const gemm = (from: string, to: string, where?: "text"): Promise<void> => planted("gemm-fragments", [from, to], gemmBuffers(), GEMM_DIMS, where);

describe("the shim finds", () => {
  it("a missing barrier of the workgroup", async () => {
    await expect(flash("    barrier workgroup\n    for r", "    for r")).rejects.toThrow(/^flash attention: race on shared ks at byte \d+: /);
    await expect(gemm("by fa, fb\n    barrier workgroup", "by fa, fb")).rejects.toThrow(/race on shared [ab]s .* with no barrier between/);
  });
  it("a missing barrier of the subgroup", () => expect(flash("    barrier subgroup\n", "")).rejects.toThrow(/race on shared weights /));
  it("an index that is one too large, in global and in shared memory", async () => {
    await expect(flash("if lt(4*i + part, S) {", "if lt(4*i + part, S + 1) {")).rejects.toThrow("out of bounds: write of 4 bytes at byte 640 of o, which has 640, by thread 32 of block 1");
    await expect(flash("vs[4*r + part, lane] =", "vs[4*r + part + 1, lane] =")).rejects.toThrow(/out of bounds: write of 4 bytes at byte 4096 of shared vs, which has 4096/);
  });
  it("a vector that does not lie at a multiple of its bytes", () => expect(planted("gemm-6x8", ["(const float4 *)&b[", "(const float4 *)&b[1 + "], { a: reals(12 * 17, 1), b: reals(24 * 17, 2), c: poisoned(12 * 24) }, { M: 12, N: 24, K: 17 }, "text")).rejects.toThrow("misaligned: an access of 16 bytes"));
  it("a write to what is only read", () => expect(flash("o[32 * S * a", "((float *)q)[32 * S * a", "text")).rejects.toThrow("write to q, which is only read"));
  it("shared memory that is read before it is written", () => expect(flash("      vs[4*r + part, lane] = v[a, row, lane]\n", "")).rejects.toThrow(/read of shared vs at byte \d+ before anything was written there/));
  it("a copy that is read before it was waited for", async () => {
    await expect(gemm("    async_wait 1\n", "")).rejects.toThrow(/read of shared as at byte \d+ while a copy into it is under way/);
    await expect(gemm("    async_wait 1\n", "    async_wait 2\n")).rejects.toThrow(/while a copy into it is under way/);
  });
  it("a copy that is never waited for", () => expect(gemm("    async_wait 1\n    barrier workgroup", "    barrier workgroup\n    if lt(s, -1) {\n      async_wait 1\n    }")).rejects.toThrow("under way"));
  it("a barrier that not all threads reach", async () => {
    await expect(flash("if lt(4*i + part, S) {", "if lt(4*i + part, S) {\n    barrier workgroup")).rejects.toThrow("threads wait for each other in block 1: 32 threads are at __syncthreads, 96 threads are at the end");
    await expect(flash("let masked", "if lt(lane, 3) { let z = subgroup_max(score) }\n    let masked")).rejects.toThrow(/threads wait for each other/);
  });
  it("results that depend on the order of threads", async () => {
    const b = simt("order");
    const y = b.param("y", "f32", [1], "readwrite");
    b.grid("i", 1);
    const t = b.thread("t", 32);
    b.atomic("add", y, [0], mul(cast("f32", index(t)), 1.3));
    const run = await cudaRunner([b.finish({ flops: 1 })]);
    expect(() => run(0, { y: new Float32Array([2 ** 24]) })).toThrow("order: y depends on the order of threads");
  });
});

describe("source", () => {
  it("names the kernel, the user's line, the kernel's own names and its arguments", () => {
    const k = new KernelBuilder({ name: "scale", machine: "simd", summary: "y = 3·x", spans: [{ file: "model.ts", line: 7, column: 3 }], dims: [{ name: "n", binding: "call", min: 4, max: 4096, multipleOf: 4 }] });
    const [x, y] = [k.param("x", "f32", [dimSize("n")]), k.param("y", "f32", [dimSize("n")], "write")];
    const at = mulSize(k.grid("i", floorDivSize(dimSize("n"), 4)), 4);
    k.store(y, [at], mul(k.load(x, [at], 4), 3));
    const { units, kernels } = emitCuda([k.finish({ flops: 64 })], { units: 1 });
    expect(units).toEqual([`#include "sluice.cuh"

// scale: y = 3·x
//   model.ts:7:3
//   tasks: i < floordiv(n, 4)
extern "C" __global__ void __launch_bounds__(256) k0(
  const float *x, float *y,
  int64_t wide_n,
  int64_t low, int64_t high, char *scratch, int64_t scratch_bytes) {
  const int64_t thread_number = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (thread_number >= high - low) return;
  const int i = (int)(low + thread_number);
  const float4 v = *(const float4 *)&x[4 * i];
  *(float4 *)&y[4 * i] = make_float4(mul_f32(v.x, 3.0f), mul_f32(v.y, 3.0f), mul_f32(v.z, 3.0f), mul_f32(v.w, 3.0f));
}
`]);
    expect(kernels).toEqual([{ name: "k0", unit: 0, threads: 256, tasks: 256, scratch: 0 }]);
  });

  it("counts elements in 64 bits where 32 may not hold their numbers", () => {
    const [n, m] = ["n", "m"].map(dimSize) as [ReturnType<typeof dimSize>, ReturnType<typeof dimSize>];
    const k = new KernelBuilder({ name: "wide", machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 1, max: 2 ** 20, multipleOf: 1 }, { name: "m", binding: "call", min: 1, max: 2 ** 33, multipleOf: 1 }] });
    const [x, y] = [k.param("x", "f32", [n, 4096]), k.param("y", "f32", [m], "write")];
    const i = k.grid("i", n);
    k.store(y, [0], k.load(x, [i, 5]));
    const [unit] = emitCuda([k.finish({ flops: 1 })], { units: 1 }).units;
    expect(unit).toContain("x[(int64_t)4096 * i + 5]");
    expect(unit).toContain("int64_t wide_n, int64_t m,");
  });

  it("refuses subgroups that differ, and fragments that no instruction has", () => {
    const uneven = simt("uneven");
    const y = uneven.param("y", "i32", [48], "write");
    uneven.grid("i", 1);
    const t = uneven.thread("t", 48);
    uneven.store(y, [t], { kind: "subgroup_xor", x: index(t), mask: 1 });
    expect(() => emitCuda([uneven.finish({ flops: 1 })], { units: 1 })).toThrow("the subgroups of 48 threads are not all alike");

    const b = simt("narrow");
    b.grid("i", 1);
    b.thread("t", 32);
    b.fragment("f", "a", "f16", 8, 8, 16);
    expect(() => emitCuda([b.finish({ flops: 1 })], { units: 1 })).toThrow("no fragment a of f16 8 by 8 by 16 on CUDA");
  });
});

describe("nvcc", () => {
  const isHere = requireNvcc().then(() => true, () => false);
  const needsNvcc = (name: string, body: () => Promise<void>, timeout?: number): void => it(name, async context => {
    if (!(await isHere)) context.skip("not run: no nvcc");
    await body();
  }, timeout);
  const ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90"];

  needsNvcc("compiles the probes for every architecture, without spills", async () => {
    const kernels = await Promise.all(["flash-attention", "gemm-fragments", "gemm-6x8", "gemv-int4", "noiser-second-pass"].map(probe));
    const code = await compileCuda(kernels, { architectures: ARCHITECTURES, cache: TEST_CACHE });
    expect(code.images).toHaveLength(1);
    expect(code.usage.map(u => `${u.kernel} ${u.architecture}`).sort()).toEqual(kernels.flatMap((_, i) => ARCHITECTURES.map(a => `k${i} ${a}`)).sort());
    expect(code.usage.filter(u => u.spillStores + u.spillLoads > 0)).toEqual([]);
    expect(code.usage.find(u => u.kernel === "k1" && u.architecture === "sm_80")).toMatchObject({ sharedBytes: 4096 });
  });

  needsNvcc("compiles NoiSER's kernels for every architecture, without spills", async () => {
    const { lowerings } = compileProgram(traceProgram(noiser, "noiser"), ["gpu"]);
    const { kernels, schedules } = lowerings[0]!;
    expect(schedules.map(s => s.entry)).toEqual(expect.arrayContaining(["enhance", "learn"]));
    const { usage } = await compileCuda(kernels, { architectures: ARCHITECTURES, cache: TEST_CACHE });
    expect(usage).toHaveLength(ARCHITECTURES.length * kernels.length);
    expect(usage.filter(u => u.spillStores + u.spillLoads > 0)).toEqual([]);
  }, 600_000);

  needsNvcc("compiles every operation, dtype, atomic and fragment, before and after sm_80", async () => {
    const kernels = everyInstruction();
    const { usage } = await compileCuda(kernels, { architectures: ["sm_75", "sm_80"], cache: TEST_CACHE });
    expect(usage).toHaveLength(2 * kernels.length);
  });

  needsNvcc("takes the instructions that kernels ask for, and fuses no product with a sum", async () => {
    const k = new KernelBuilder({ name: "sum", machine: "simd", summary: "" });
    const [x, y] = [k.param("x", "f32", [8]), k.param("y", "f32", [4], "write")];
    k.store(y, [k.grid("i", 4)], add(mul(k.load(x, [0]), k.load(x, [1])), k.load(x, [2])));
    const kernels = [...await Promise.all(["flash-attention", "gemm-fragments", "gemm-6x8"].map(probe)), k.finish({ flops: 1 })];
    const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
    writeFileSync(join(folder, HEADER_FILE), HEADER);
    writeFileSync(join(folder, "kernels.cu"), emitCuda(kernels, { units: 1 }).units[0]!);
    await runNvcc(await requireNvcc(), ["-ptx", "-arch=sm_80", "kernels.cu"], folder);
    const ptx = readFileSync(join(folder, "kernels.ptx"), "utf8");
    for (const wanted of ["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "cp.async.cg.shared.global", "cp.async.wait_group 1", "ldmatrix.sync.aligned.m8n8.x4.shared.b16", "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", "shfl.sync.bfly.b32", "max.NaN.f32", "ld.global.nc.v4", "st.global.v4"]) expect(ptx).toContain(wanted);
    const sum = ptx.slice(ptx.indexOf(".entry k3"));
    expect(sum).toContain("mul.rn.f32");
    expect(sum).not.toContain("fma");
  });

  needsNvcc("gives what was compiled before again", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-cache-"));
    const kernels = [await probe("gemv-int4")];
    const first = await compileCuda(kernels, { architectures: ["sm_90"], cache: folder });
    expect(await compileCuda(kernels, { architectures: ["sm_90"], cache: folder })).toEqual(first);
    expect([...first.images[0]!.subarray(0, 4)]).toEqual([0x50, 0xed, 0x55, 0xba]);
  });

  needsNvcc("names an architecture that it does not know", async () => {
    await expect(compileCuda([await probe("gemv-int4")], { architectures: ["sm_90", "sm_12"], cache: null })).rejects.toThrow(/^error CUDA002: nvcc makes no code for sm_12\n {2}found: {4}release [\d.]+ at \S+\n {2}expected: .*sm_90.*\n {2}hint: /);
  });

  it("is named where it is missing", async () => {
    await expect(compileCuda([await probe("gemv-int4")], { architectures: ["sm_90"], nvcc: "/nowhere/nvcc", cache: null })).rejects.toThrow(
      "error CUDA001: --target cuda needs nvcc, and this machine has none\n  found:    no executable /nowhere/nvcc\n  expected: nvcc of the CUDA toolkit, 12 or newer\n");
  });

  it("tells what kernels take", () => {
    expect(usageOf(`ptxas info    : Compiling entry function 'k1' for 'sm_80'
ptxas info    : Function properties for k1
    72 bytes stack frame, 68 bytes spill stores, 64 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 4096 bytes smem, 400 bytes cmem[0]
`)).toEqual([{ kernel: "k1", architecture: "sm_80", registers: 255, sharedBytes: 4096, spillStores: 68, spillLoads: 64 }]);
  });
});
