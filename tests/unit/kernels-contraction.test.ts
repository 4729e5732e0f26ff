// Contraction kernels agree bit for bit with the graph interpreter on small integers, for every cut, odd sizes, symbolic
// sizes and dtypes; the verifier accepts each of them.
import { describe, expect, it } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { type DimValues, dimSize, evaluateSize, type Size } from "../../compiler/base/sizes.ts";
import { MACHINES } from "../../compiler/kernel/machines.ts";
import { contractionKernel } from "../../kernels/contraction.ts";
import { type Contraction, contractionGrid } from "../../kernels/contraction-cut.ts";
import type { KernelBuilder } from "../../kernels/builder.ts";
import type { Sink, Source } from "../../kernels/fused.ts";
import { workgroupCut } from "../../kernels/simt/tile.ts";
import { workgroupContraction } from "../../kernels/simt/contraction.ts";
import { type Built, dim, integers, reference, verified, verifiedInWorkgroups } from "./kernels-sample.ts";

const [B, M, N, K] = ["B", "M", "N", "K"].map(dimSize) as [Size, Size, Size, Size];
const unread = (dtype: DType): Source => ({ dtype, shape: [], read: () => { throw new Error("read"); } });

interface Sizes {
  readonly batch?: readonly Size[];
  readonly m: Size;
  readonly n: Size;
  readonly k: Size;
  readonly bind?: DimValues;
  readonly dtype?: DType;
  /** The largest value of each dim. */
  readonly max?: DimValues;
}
const contraction = ({ batch = [], m, n, k, dtype = "f32", bind = {}, max = {} }: Sizes, a: Source, b: Source, turned?: Contraction["turned"]): Contraction => ({
  batch, m, n, k, a, b, dtype, ...(turned ? { turned } : {}), dims: Object.keys(bind).map(name => dim(name, max[name])),
});

describe("contraction", () => {
  it.each<[string, Sizes]>([
    ["whole tiles", { m: 12, n: 16, k: 8 }],
    ["odd sizes", { m: 13, n: 19, k: 7 }],
    ["one block and a bit", { m: 97, n: 65, k: 9 }],
    ["several parts of k", { m: 7, n: 9, k: 515 }],
    ["symbolic", { m: M, n: N, k: K, bind: { M: 29, N: 130, K: 37 } }],
    ["symbolic and deep", { m: M, n: N, k: K, bind: { M: 5, N: 6, K: 300 } }],
    ["symbolic and narrow", { m: M, n: N, k: K, bind: { M: 1, N: 1, K: 1 } }],
    ["batched", { batch: [B, 2], m: 6, n: N, k: 5, bind: { B: 2, N: 11 } }],
    ["one row", { m: 1, n: 50, k: 33 }],
    ["three rows of symbolic length", { m: 3, n: N, k: K, bind: { N: 43, K: 10 } }],
    ["few rows of a symbolic number", { m: M, n: N, k: 10, bind: { M: 2, N: 43 }, max: { M: 3 } }],
    ["one column", { m: 203, n: 1, k: 33 }],
    ["two columns", { m: M, n: 2, k: K, bind: { M: 100, K: 32 } }],
    ["few columns of a symbolic number", { m: M, n: N, k: 13, bind: { M: 55, N: 2 }, max: { N: 4 } }],
    ["one of each", { m: 1, n: 1, k: K, bind: { K: 21 } }],
    ["an outer product", { m: 33, n: 12, k: 1 }],
    ["i32", { m: 13, n: 19, k: 7, dtype: "i32" }],
    ["i32, one row", { m: 1, n: 19, k: 7, dtype: "i32" }],
    ["i32, one column", { m: 19, n: 1, k: 7, dtype: "i32" }],
    ["f64", { m: 13, n: N, k: 7, dtype: "f64", bind: { N: 19 } }],
    ["f64, one column", { m: 13, n: 1, k: K, dtype: "f64", bind: { K: 19 } }],
    ["f64, one row", { m: 1, n: 13, k: K, dtype: "f64", bind: { K: 19 } }],
  ])("%s", (name, sizes) => {
    const { batch = [], m, n, k, bind = {}, dtype = "f32", max = {} } = sizes;
    const plain = { a: false, b: false };
    for (const { turned, inMemory } of [plain, { a: true, b: false }, { a: false, b: true }, { a: true, b: true }].map(t => ({ turned: t, inMemory: false })).concat({ turned: plain, inMemory: true })) {
      const shapes = [[...batch, ...(turned.a ? [k, m] : [m, k])], [...batch, ...(turned.b ? [n, k] : [k, n])], [...batch, m, n]];
      const values = shapes.map(s => s.map(x => evaluateSize(x, bind)));
      const [a, b] = [{ ...integers(values[0]!, 1), dtype }, { ...integers(values[1]!, 2), dtype }];
      const built = (body: (k: KernelBuilder, c: Contraction, sink: Sink) => void): Built => ({
        name, dims: Object.keys(bind).map(d => dim(d, max[d])),
        inputs: [{ name: "a", shape: shapes[0]!, data: a }, { name: "b", shape: shapes[1]!, data: b }],
        output: { dtype, shape: shapes[2]! },
        body: (builder, [as, bs], sink) => body(builder, contraction(sizes, { ...as!, inMemory }, bs!, turned.a || turned.b ? turned : undefined), sink),
      });
      const labels = batch.map((_, i) => i + 3);
      const attrs = { a: [...labels, ...(turned.a ? [1, 0] : [0, 1])], b: [...labels, ...(turned.b ? [2, 1] : [1, 2])], out: [...labels, 0, 2] };
      const wanted = [...reference("contract", [a, b], attrs).data];
      expect(verified(built(contractionKernel), bind)).toEqual(wanted);
      if (inMemory) continue;
      const { parts } = workgroupCut(contraction(sizes, unread(dtype), unread(dtype), turned));
      const inParts = parts > 1 ? { output: { dtype, shape: [parts, ...shapes[2]!] } } : {};
      const { output } = verifiedInWorkgroups({ ...built(workgroupContraction), ...inParts }, bind);
      expect(wanted.map((_, i) => Array.from({ length: parts }, (__, part) => output[part * wanted.length + i]!).reduce((x, y) => x + y))).toEqual(wanted);
    }
  });

  it("wraps integers", () => {
    const product = (dtype: DType, x: number): number => verified({
      name: "wrap", dims: [],
      inputs: [[1, 5, 2], [1, 2, 5]].map((shape, i) => ({ name: `x${i}`, shape, data: { dtype, shape, data: new Float64Array(10).fill(x) } })),
      output: { dtype, shape: [1, 5, 5] },
      body: (builder, [as, bs], sink) => contractionKernel(builder, { batch: [1], m: 5, n: 5, k: 2, a: as!, b: bs!, dtype }, sink),
    }, {})[0]!;
    expect(product("u32", 65537)).toBe(2 * (2 * 65536 + 1));
    expect(product("i32", 46341)).toBe((2 * 46341 ** 2) % 2 ** 32 - 2 ** 32 + 2 ** 32);
  });

  it("has tasks enough for several workers where the product is large enough", () => {
    const tasks = (m: number, n: number): number => contractionGrid(MACHINES.simd128, contraction({ m, n, k: 64 }, unread("f32"), unread("f32"))).reduce<number>((p, s) => p * (s as number), 1);
    expect(tasks(512, 512)).toBeGreaterThanOrEqual(8);
    expect(tasks(128, 128)).toBeGreaterThanOrEqual(8);
    expect(tasks(6, 8)).toBe(1);
  });
});
