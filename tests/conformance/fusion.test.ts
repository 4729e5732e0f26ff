// Values of several anchors (products, convolutions, reductions) that meet in elementwise ops: on every target, fused and with
// every op a kernel of its own, and in kernels for every machine interpreted in poisoned memory, beside the reference.
import { beforeAll, describe, expect, test } from "vitest";
import { conv2d, dim, entry, f32, linear, span, type Tensor } from "sluice";
import type { DimValues } from "../../compiler/base/sizes.ts";
import { compileProgram } from "../../compiler/compile.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { open } from "../../compiler/open.ts";
import { type CompiledProgram, lowered } from "../../compiler/plan/schedule.ts";
import { countedOn } from "../support/conformance.ts";
import { expectClose, expectExecuted } from "../support/compiled.ts";
import { fromHost, type Prepared, prepared, toHost } from "../support/graph-programs.ts";
import { TARGETS, type TargetRow } from "../support/targets.ts";

const N = dim("N", { max: 9 });
const [A, B, C] = [8, 8, 8];
const spec = { x: f32(N, A), h: f32(N, A), a: f32(A, B), b: f32(A, B), c: f32(A, C), v: f32(B) };
const image = { x: f32(2, 6, 5, 4), y: f32(2, 6, 5, 4) };
// Two windows of one pixel, since the C compiler takes seconds for each kernel of a wide one.
const [first, second, wide] = [conv2d(4, 4, [1, 1]), conv2d(4, 4, [1, 1]), conv2d(4, 4, [3, 3])];
const gates = { input: linear(A, 4 * B), hidden: linear(A, 4 * B) };

const chainOf = (x: Tensor, times: number): Tensor => Array.from({ length: times }).reduce<Tensor>(y => y.mul(0.9).tanh(), x);

const entries = {
  sumOfTwoProducts: entry(spec, ({ x, a, b }) => ({ y: x.matmul(a).add(x.matmul(b)).tanh() })),
  sumOfThreeProducts: entry(spec, ({ x, h, a, b, c }) => ({ y: x.matmul(a).add(h.matmul(b)).add(x.matmul(c)).relu() })),
  gate: entry(spec, ({ x, h, a, b, v }) => ({ y: x.matmul(a).add(h.matmul(b)).add(v).sigmoid() })),
  productOfProducts: entry(spec, ({ x, h, a, b }) => ({ y: x.matmul(a).mul(h.matmul(b)).add(1).exp() })),
  lowRank: entry({ ...spec, d: f32(A, 2), u: f32(2, B) }, ({ x, a, d, u }) => ({ y: x.matmul(a).add(x.matmul(d).matmul(u).mul(0.5)).gelu() })),
  sameWeightTwice: entry(spec, ({ x, h, a }) => ({ y: x.matmul(a).sub(h.matmul(a)).square() })),
  sameProductTwice: entry(spec, ({ x, a }) => ({ y: x.matmul(a).add(x.matmul(a)).tanh() })),
  residualChain: entry(spec, ({ x, a, b, c }) => {
    const y = x.add(x.matmul(a).tanh().matmul(b));
    return { y: y.add(y.matmul(c).relu().matmul(a)).tanh() };
  }),
  parallelResidual: entry(spec, ({ x, a, b, c }) => ({ y: x.add(x.matmul(a).relu().matmul(b)).add(x.matmul(c)).tanh() })),
  throughReshapes: entry({ ...spec, x: f32(2, 3, A), h: f32(6, A) }, ({ x, h, a, b }) => ({ y: x.matmul(a).reshape(6, B).add(h.matmul(b)).reshape(1, 6, B).tanh() })),
  throughCasts: entry(spec, ({ x, h, a, b }) => ({ y: x.matmul(a).cast("f16").cast("f32").add(h.matmul(b)).cast("bf16").cast("f32").tanh() })),
  throughSelects: entry(spec, ({ x, h, a, b, c }) => ({ y: x.matmul(a).gt(0).where(h.matmul(b), h.matmul(c)).tanh() })),
  innerValuesWanted: entry(spec, ({ x, h, a, b }) => {
    const sum = x.matmul(a).add(h.matmul(b));
    return { sum, y: sum.tanh() };
  }),
  onePartWanted: entry(spec, ({ x, h, a, b }) => {
    const part = h.matmul(b).mul(2);
    return { part, y: x.matmul(a).add(part).tanh() };
  }),
  productWithReduction: entry(spec, ({ x, h, a, v }) => ({ y: x.matmul(a).mul(v).sum(1).add(h.max(1)).tanh() })),
  sumOfReductions: entry(spec, ({ x, h }) => ({ y: x.sum(1).add(h.square().sum(1)).sqrt() })),
  reductionsOfProducts: entry(spec, ({ x, h, a, b }) => ({ y: x.matmul(a).sum(0).add(h.matmul(b).max(0)).tanh() })),
  softmaxOfSum: entry(spec, ({ x, h, a, b }) => ({ y: x.matmul(a).add(h.matmul(b)).mul(0.5).softmax(1) })),
  longEpilogue: entry(spec, ({ x, a }) => ({ y: chainOf(x.matmul(a), 40) })),
  longEpilogueOfSum: entry(spec, ({ x, h, a, b }) => ({ y: chainOf(chainOf(x.matmul(a), 10).add(chainOf(h.matmul(b), 10)), 20) })),
  lstm: entry({ ...spec, cell: f32(N, B) }, ({ x, h, cell }) => {
    const all = gates.input(x).add(gates.hidden(h));
    const part = (i: number): Tensor => all.slice({ 1: span(i * B, B) }) as Tensor;
    const next = part(0).sigmoid().mul(part(1).tanh()).add(part(2).sigmoid().mul(cell));
    return { cell: next, h: part(3).sigmoid().mul(next.tanh()) };
  }),
  sumOfConvolutions: entry(image, ({ x, y }) => ({ z: first(x).add(second(y)).relu() })),
  sumOfThreeConvolutions: entry(image, ({ x, y }) => ({ z: first(x).add(second(y)).add(first(x.neg())).tanh() })),
  sameConvolutionTwice: entry(image, ({ x, y }) => ({ z: first(x).mul(first(y)).tanh() })),
  residualBlock: entry(image, ({ x }) => ({ z: second(first(x).relu()).add(first(x)).relu() })),
  convolutionWithProduct: entry({ ...image, w: f32(4, 4) }, ({ x, y, w }) => ({ z: first(x).add(y.matmul(w)).relu() })),
  normalisedSum: entry(image, ({ x, y }) => {
    const z = wide(x).add(second(y)).tanh();
    const mean = z.mean([1, 2], { keepdims: true });
    return { z: first(z.sub(mean).div(z.sub(mean).square().mean([1, 2], { keepdims: true }).add(1e-3).sqrt()).relu()) };
  }),
};
const parameters = { first, second, wide, gates };

const traced = traceProgram({ ...parameters, ...entries }, "meeting");
const runs = new Map<string, Prepared>();
beforeAll(() => {
  for (const graph of traced.entries) runs.set(graph.name, prepared({ graph, dims: { N: 5 } }));
});

const UNFUSED: readonly TargetRow[] = [
  { name: "wasm", options: { target: "wasm", threads: 2, fusion: false } }, { name: "vulkan", options: { target: "vulkan", validate: true, fusion: false } },
];

describe.each([...TARGETS.map(target => ({ name: target.name, target })), ...UNFUSED.map(target => ({ name: `${target.name}, every op a kernel of its own`, target }))])("on $name", ({ target }) => {
  test("anchors that meet give what the reference gives", async () => {
    const program = await open(traced, countedOn(target));
    try {
      for (const [entryName, { given, held, outputs }] of runs) {
        for (const [name, value] of Object.entries(held)) await program.state.set(name, toHost(value));
        const dims: DimValues = traced.entries.find(g => g.name === entryName)!.dims.length > 0 ? { N: 5 } : {};
        const got = await program.call(entryName, Object.fromEntries(Object.entries(given).map(([name, v]) => [name, toHost(v)])), dims);
        for (const [name, value] of Object.entries(outputs)) expectClose(`${entryName} ${name}`, fromHost(got[name]!), value);
      }
    } finally {
      await program.close();
    }
  });
});

describe.each([true, false])("fusion %s", fusion => {
  let compiled: CompiledProgram;
  beforeAll(() => {
    compiled = compileProgram(traced, ["simd128", "v3", "v4", "gpu"], { fusion });
  });
  test.each(["simd128", "v3", "v4", "gpu"] as const)("kernels for %s compute it in poisoned memory", machine => {
    const program = lowered(compiled, compiled.lowerings.findIndex(l => l.machine === machine));
    expect(program.schedules.length).toBeGreaterThanOrEqual(runs.size);
    for (const [name, run] of runs) expectExecuted(`${machine} ${name}`, { ...program, schedules: program.schedules.filter(s => s.entry === name) }, run);
  });
});
