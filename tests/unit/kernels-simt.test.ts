// Kernels of workgroups: every legal tile multiplies exactly, the shim runs them in two orders of threads, nvcc needs no
// spills, and what is planted (a missing barrier, a wrong edge) is found by the verifier and by the shim.
import { describe, expect, it } from "vitest";
import { dimSize, type Size } from "../../compiler/base/sizes.ts";
import { compileCuda } from "../../compiler/emit/cuda/compile.ts";
import { requireNvcc } from "../../compiler/emit/cuda/nvcc.ts";
import type { Expr, Kernel, Stmt } from "../../compiler/kernel/ir.ts";
import { MACHINES } from "../../compiler/kernel/machines.ts";
import { verifyKernel } from "../../compiler/kernel/verify.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import type { Contraction } from "../../kernels/contraction-cut.ts";
import { registerDType } from "../../kernels/simd.ts";
import { workgroupContraction } from "../../kernels/simt/contraction.ts";
import { legalTiles, MOST_SHARED, threadsOf, type WorkgroupCut, workgroupCut } from "../../kernels/simt/tile.ts";
import { cudaRunner } from "../support/cuda-kernels.ts";
import { compare, elementsOf, integers } from "../support/kernel-cases.ts";
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

it("nvcc gives no kernel of a product more than 128 registers, and spills none", async context => {
  if (!(await requireNvcc().then(() => true, () => false))) context.skip("not run: no nvcc");
  const kernels = [product({ m: 4096, n: 4096, k: 1024 }), product({ m: 512, n: 512, k: 512 }), product({ m: 64, n: 64, k: 64 }), product({ m: 4096, n: 1, k: 4096 }), product({ m: 1, n: 4096, k: 4096 })];
  const { usage } = await compileCuda(kernels, { architectures: ["sm_80", "sm_90"], cache: TEST_CACHE });
  expect(usage).toHaveLength(2 * kernels.length);
  expect(usage.filter(u => u.spillStores + u.spillLoads > 0 || u.registers > 128)).toEqual([]);
});
