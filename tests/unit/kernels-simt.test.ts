// Kernels of workgroups: every legal tile multiplies exactly, the shim runs them in two orders of threads, nvcc needs no
// spills, and what is planted (a missing barrier, a wrong edge) is found by the verifier and by the shim.
import { describe, expect, it } from "vitest";
import { dimSize, evaluateSize, type Size } from "../../compiler/base/sizes.ts";
import { type ConvAttrs, tensorType } from "../../compiler/graph/graph.ts";
import { convOutputSize } from "../../compiler/graph/ops/contraction.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import * as noiser from "../../dsl-examples/noiser/index.ts";
import { compileCuda } from "../../compiler/emit/cuda/compile.ts";
import { requireNvcc } from "../../compiler/emit/cuda/nvcc.ts";
import type { Expr, Kernel, Stmt } from "../../compiler/kernel/ir.ts";
import { MACHINES } from "../../compiler/kernel/machines.ts";
import { verifyKernel } from "../../compiler/kernel/verify.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import type { Contraction } from "../../kernels/contraction-cut.ts";
import type { Convolution } from "../../kernels/convolution.ts";
import { registerDType } from "../../kernels/simd.ts";
import { workgroupContraction } from "../../kernels/simt/contraction.ts";
import { workgroupConvolution } from "../../kernels/simt/convolution.ts";
import { convolutionTile } from "../../kernels/simt/convolution-tile.ts";
import { legalTiles, MOST_SHARED, threadsOf, type WorkgroupCut, workgroupCut } from "../../kernels/simt/tile.ts";
import { cudaRunner } from "../support/cuda-kernels.ts";
import { compare, elementsOf, integers } from "../support/kernel-cases.ts";
import { programOf } from "../support/graph-programs.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";
import { dim, sourceOf } from "./kernels-sample.ts";

type Shape = Pick<Contraction, "m" | "n" | "k"> & Partial<Contraction>;

function product({ m, n, k: depth, dtype = "f32", batch = [], turned = { a: false, b: false } }: Shape, cut?: WorkgroupCut): Kernel {
  const dims = [m, n, depth].flatMap(s => (typeof s === "number" ? [] : [dim(s.key)]));
  const k = new KernelBuilder({ name: "product", machine: "simt", simd: MACHINES.gpu, summary: "", dims });
  const a = k.param("a", dtype, [...batch, ...(turned.a ? [depth, m] : [m, depth])]);
  const b = k.param("b", dtype, [...batch, ...(turned.b ? [n, depth] : [depth, n])]);
  const c: Contraction = { batch, m, n, k: depth, dtype, dims, turned, a: sourceOf(a), b: sourceOf(b) };
  const { parts } = cut ?? workgroupCut(c);
  const y = k.param("y", registerDType(dtype), [...(parts > 1 ? [parts] : []), ...batch, m, n], "write");
  workgroupContraction(k, c, { write: (builder, at, value) => builder.store(y, at, value) }, cut);
  return k.finish({ flops: 1 });
}
const byTile = (tile: ReturnType<typeof legalTiles>[number]): WorkgroupCut => ({ by: "tiles", tile, parts: 1 });

/** The kernel with each statement replaced. */
function edited(kernel: Kernel, edit: (s: Stmt) => readonly Stmt[]): Kernel {
  const all = (block: readonly Stmt[]): Stmt[] => block.flatMap(edit).map(s => {
    if (s.kind === "for" || s.kind === "while") return { ...s, body: all(s.body) };
    return s.kind === "if" ? { ...s, yes: all(s.yes), no: all(s.no) } : s;
  });
  return { ...kernel, body: all(kernel.body) };
}
const withoutBarriers = (kernel: Kernel): Kernel => edited(kernel, s => (s.kind === "barrier" ? [] : [s]));
/** Conditions `a < b` hold one further on. */
const oneTooFar = (kernel: Kernel): Kernel => {
  const wider = (e: Expr): Expr => (e.kind === "binary" && e.op === "lt" ? { ...e, op: "le" } : e.kind === "binary" && e.op === "and" ? { ...e, a: wider(e.a), b: wider(e.b) } : e);
  return edited(kernel, s => [s.kind === "if" ? { ...s, condition: wider(s.condition) } : s]);
};

const [M, N, K] = ["M", "N", "K"].map(dimSize) as [Size, Size, Size];
const ODD = { M: 37, N: 21, K: 19 };
const operands = (kernel: Kernel, counts: readonly [number, number]) => ({
  a: elementsOf(kernel.params[0]!.dtype, [...integers(counts[0], 3)]), b: elementsOf(kernel.params[1]!.dtype, [...integers(counts[1], 4)]),
});

describe("matrix products", () => {
  it("keep within what every device shares, in any legal tile", () => {
    for (const bytes of [4, 8]) expect(legalTiles(bytes).length).toBeGreaterThan(40);
    for (const tile of legalTiles(4).filter((_, i) => i % 5 === 0)) {
      const kernel = product({ m: M, n: N, k: K }, byTile(tile));
      verifyKernel(kernel, { sharedBytes: MOST_SHARED, registers: 128, threads: threadsOf(tile) });
    }
  });

  it("run on threads in two orders, without races, as the interpreter runs them", async () => {
    const shapes: Shape[] = [
      ...(["f32", "f64", "i32", "f16", "bf16", "i8"] as const).map((dtype): Shape => ({ m: M, n: N, k: K, dtype })),
      { m: M, n: N, k: K, turned: { a: true, b: true } },
      { m: M, n: 1, k: K }, { m: 2, n: N, k: K }, { m: M, n: 3, k: K, turned: { a: true, b: false } },
      { m: 5, n: 7, k: 700, batch: [2] }, { m: 3, n: 1, k: 1000 },
    ];
    const cases = [...shapes.map(s => product(s)), ...legalTiles(4).filter((_, i) => i % 13 === 0).map(tile => product({ m: M, n: N, k: K }, byTile(tile)))].map(kernel => {
      const sizes = kernel.params.map(p => p.shape.reduce<number>((n, s) => n * (typeof s === "number" ? s : ODD[s.key as "M"]), 1));
      return { kernel, dims: ODD, inputs: operands(kernel, [sizes[0]!, sizes[1]!]), tolerance: 0 };
    });
    await compare(cases, { runner: kernels => cudaRunner(kernels), fused: "all" });
  });

  it("divide the depth among workgroups where results are few, and use small tiles for small products", () => {
    const cut = (m: Size, n: Size, k: Size): WorkgroupCut => workgroupCut({ batch: [], m, n, k, dtype: "f32", a: null as never, b: null as never });
    expect(cut(64, 64, 65536)).toMatchObject({ by: "tiles", parts: 8 });
    expect(cut(1, 1, 65536)).toMatchObject({ by: "results", columns: 1 });
    expect(cut(4096, 4096, 4096)).toMatchObject({ by: "tiles", parts: 1, tile: { rows: 128, columns: 64 } });
    expect(cut(16, 16, 64)).toMatchObject({ by: "tiles", parts: 1, tile: { rows: 16, columns: 16 } });
  });

  const faulty = product({ m: M, n: N, k: K });
  const run = async (kernel: Kernel): Promise<void> => {
    const inputs = operands(kernel, [ODD.M * ODD.K, ODD.K * ODD.N]);
    (await cudaRunner([kernel]))(0, { ...inputs, y: new Float32Array(ODD.M * ODD.N) }, ODD);
  };
  it("are refused without a barrier, by the verifier and by the shim", async () => {
    expect(() => verifyKernel(withoutBarriers(faulty))).toThrow(/breaks invariant [79]: .*[ab]_panel/);
    await expect(run(withoutBarriers(faulty))).rejects.toThrow(/(race on|read of) shared [ab]_panel/);
    const thin = product({ m: M, n: 1, k: K });
    expect(() => verifyKernel(withoutBarriers(thin))).toThrow(/breaks invariant [79]: .*sums/);
  });
  it("are refused at a wrong edge, by the verifier and by the shim", async () => {
    expect(() => verifyKernel(oneTooFar(faulty))).toThrow(/breaks invariant 3: index 0 may be too large in a\[/);
    await expect(run(oneTooFar(faulty))).rejects.toThrow(/out of bounds/);
  });
});

function convolved(filter: readonly [number, number, number, number], shape: readonly Size[], attrs: Partial<ConvAttrs> = {}): Kernel {
  const dims = shape.flatMap(s => (typeof s === "number" ? [] : [dim(s.key, 4096, 2)]));
  const k = new KernelBuilder({ name: "convolution", machine: "simt", simd: MACHINES.gpu, summary: "", dims });
  const [x, w] = [k.param("x", "f32", shape), k.param("w", "f32", filter)];
  const all: ConvAttrs = { stride: [1, 1], padding: [[1, 1], [1, 1]], dilation: [1, 1], groups: 1, ...attrs };
  const output: [Size, Size] = [convOutputSize(shape[1]!, filter[0], all, 0), convOutputSize(shape[2]!, filter[1], all, 1)];
  const c: Convolution = { attrs: all, x: { source: sourceOf(x) }, filter: sourceOf(w), output };
  const y = k.param("y", "f32", [shape[0]!, ...output, filter[3]], "write");
  workgroupConvolution(k, c, convolutionTile(c)!, { write: (builder, at, value) => builder.store(y, at, value) });
  return k.finish({ flops: 1 });
}

describe("convolutions", () => {
  const bind = { M: 21, N: 18, K: 1 };
  const count = (shape: readonly Size[]): number => shape.reduce<number>((n, s) => n * evaluateSize(s, bind), 1);
  const inputsOf = (kernel: Kernel) => Object.fromEntries(kernel.params.slice(0, 2).map((p, i) => [p.name, elementsOf(p.dtype, [...integers(count(p.shape), i + 3)])]));
  it("run on threads in two orders, without races, as the interpreter runs them", async () => {
    const kernels = [
      convolved([3, 3, 3, 32], [1, M, N, 3]), convolved([3, 3, 32, 3], [1, M, N, 32]), convolved([3, 3, 5, 13], [2, M, N, 5], { stride: [2, 1], padding: [[0, 2], [1, 0]] }),
      convolved([3, 2, 4, 12], [1, 9, N, 8], { groups: 2, dilation: [2, 1] }), convolved([1, 1, 8, 8], [1, 7, 7, 8], { padding: [[0, 0], [0, 0]] }),
    ];
    for (const kernel of kernels) verifyKernel(kernel, { sharedBytes: MOST_SHARED, registers: 128, threads: 256 });
    await compare(kernels.map(kernel => ({ kernel, dims: bind, inputs: inputsOf(kernel) })), { runner: all => cudaRunner(all), fused: "all" });
  });
  const right = convolved([3, 3, 8, 3], [1, M, N, 8]);
  it("are refused without a barrier and at a wrong edge, by the verifier and by the shim", async () => {
    const run = async (kernel: Kernel): Promise<void> => (await cudaRunner([kernel]))(0, { ...inputsOf(kernel), y: new Float32Array(count(kernel.params[2]!.shape)) }, bind);
    expect(() => verifyKernel(withoutBarriers(right))).toThrow(/breaks invariant [79]: .*_part/);
    await expect(run(withoutBarriers(right))).rejects.toThrow(/(race on|read of) shared \w+_part/);
    expect(() => verifyKernel(oneTooFar(right))).toThrow(/breaks invariant 3: .* too large in x\[/);
    await expect(run(oneTooFar(right))).rejects.toThrow(/out of bounds|race on y/);
  });
});

describe("the kernels of a graph", () => {
  /** Moments of an image, a long sum and a row of sums: each by workgroups. */
  const kernels = (): readonly Kernel[] => {
    const b = new GraphBuilder("sums");
    const g = new Build(b, null);
    const input = (name: string, ...shape: number[]) => b.add("input", [], { name, type: tensorType("f32", shape) });
    const [x, rows] = [input("x", 5, 3000), input("rows", 40, 100)];
    for (const [name, id] of [["all", g.sum(x, [0, 1])], ["one", g.sum(rows, [1])], ["columns", g.sum(g.mul(rows, rows), [0])]] as const) b.outputs.push({ name, id });
    return compileProgram(programOf(b.finish()), ["gpu"]).lowerings[0]!.kernels;
  };
  it("are refused without a barrier", () => {
    const shared = kernels().filter(k => k.machine === "simt");
    expect(shared.length).toBe(3);
    for (const kernel of shared) expect(() => verifyKernel(withoutBarriers(kernel))).toThrow(/breaks invariant [79]: .*shares/);
  });
  it("of NoiSER take few registers, share little, and spill nothing", async context => {
    if (!(await requireNvcc().then(() => true, () => false))) context.skip("not run: no nvcc");
    const made = compileProgram(traceProgram(noiser, "noiser"), ["gpu"]).lowerings[0]!.kernels.filter(k => k.machine === "simt");
    const { usage } = await compileCuda(made, { architectures: ["sm_80", "sm_90"], cache: TEST_CACHE });
    expect(usage.filter(u => u.spillStores + u.spillLoads > 0 || u.registers > 80 || u.sharedBytes > MOST_SHARED)).toEqual([]);
    for (const kernel of made.filter(k => k.body.some(s => s.kind === "barrier"))) expect(() => verifyKernel(withoutBarriers(kernel)), kernel.name).toThrow(/breaks invariant [79]/);
  });
});

it("nvcc gives no kernel more than 128 registers, and spills none", async context => {
  if (!(await requireNvcc().then(() => true, () => false))) context.skip("not run: no nvcc");
  const kernels = [product({ m: 4096, n: 4096, k: 1024 }), product({ m: 512, n: 512, k: 512 }), product({ m: 64, n: 64, k: 64 }), product({ m: 4096, n: 1, k: 4096 }), product({ m: 1, n: 4096, k: 4096 }), convolved([3, 3, 3, 32], [1, 600, 400, 3]), convolved([3, 3, 32, 3], [1, M, N, 32]), convolved([3, 3, 32, 32], [1, 64, 64, 32])];
  const { usage } = await compileCuda(kernels, { architectures: ["sm_80", "sm_90"], cache: TEST_CACHE });
  expect(usage).toHaveLength(2 * kernels.length);
  expect(usage.filter(u => u.spillStores + u.spillLoads > 0 || u.registers > 128)).toEqual([]);
});
