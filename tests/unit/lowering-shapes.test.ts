// Ordinary layers at shapes that test the arithmetic of indices: kernels for every machine pass the verifier, and small ones
// are run, interpreted, beside the reference.
import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { attention, conv2d, dim, type DimLike, entry, f32, linear, sgd, type Tensor, traceProgram } from "sluice";
import type { DimValues } from "../../compiler/base/sizes.ts";
import { compileProgram } from "../../compiler/compile.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { type MachineName, MACHINES } from "../../compiler/kernel/machines.ts";
import { lowered } from "../../compiler/plan/schedule.ts";
import { expectExecuted } from "../support/compiled.ts";
import { prepared, programOf } from "../support/graph-programs.ts";
import { movements } from "../support/movements.ts";

const NAMES = Object.keys(MACHINES) as MachineName[];
const graphOf = (exports: { readonly [name: string]: unknown }): Graph => traceProgram(exports, "shapes").entries[0]!;
/** Refused unless kernels for every machine are verified; with dims, they are run as well. */
function expectLowered(graph: Graph, dims?: DimValues): void {
  const program = programOf(graph);
  const compiled = compileProgram(program, NAMES);
  expect(compiled.lowerings.map(l => l.machine)).toEqual(NAMES);
  if (!dims) return;
  const wanted = prepared({ graph, dims });
  NAMES.forEach((name, i) => expectExecuted(name, lowered(compiled, i), wanted));
}

const S = dim("S", { max: 4096 });
const EMPTY = dim("E", { min: 0, max: 300 });
const projection = (shape: readonly DimLike[], from: readonly number[], to: readonly number[]): Graph => {
  const layer = linear(from, to);
  return graphOf({ layer, f: entry({ x: f32(...shape, ...from) }, ({ x }) => ({ y: layer(x as never) })) });
};

describe("linear", () => {
  it.each([
    ["a batch of one sequence", [1, S], [64], [64]], ["a batch of one, of constant length", [1, 128], [768], [64]], ["ones all around", [1, 1, S, 1], [16], [1, 24, 1]],
    ["heads of 16", [2, 32], [64], [3, 4, 16]], ["heads of 8, three of three", [S], [24], [3, 3, 8]], ["heads of 5", [2, S], [20], [4, 5]], ["from heads", [S], [3, 5], [15]],
    ["a size that may be 0, twice", [EMPTY, EMPTY], [1], [1]], ["sizes that may be 0, and a sum", [EMPTY, S, EMPTY.plus(1)], [8], [24]], ["a batch of one of a sum", [1, S, EMPTY.plus(1)], [1], [5]],
  ] as const)("over %s", (_, shape, from, to) => expectLowered(projection(shape, from, to)));

  it.each([
    ["a batch of one sequence", [1, S], [12], [20]], ["heads of 16", [2, 3], [8], [3, 2, 16]], ["heads of 8, three of three", [S], [6], [3, 3, 8]], ["heads of 5, from heads of 3", [S, 2], [2, 3], [7, 5]],
  ] as const)("over %s computes what it says", (_, shape, from, to) => expectLowered(projection(shape, from, to), { S: 5 }));

  test("with gradients of heads, of which a thread has two", () => {
    const layer = linear([5, 3], [2, 5]);
    const optimizer = sgd({ layer }, { rate: 0.1 });
    const f = entry({ x: f32(2, S, 5, 3) }, ({ x }) => {
      const loss = layer(x).square().mean();
      optimizer.step(loss);
      return { loss };
    });
    expectLowered(graphOf({ layer, optimizer, f }));
  });

  test("over any axes", () => {
    const size = fc.constantFrom(1, 2, 3, 4, 5, 8, 16, 17, 48, 64);
    const lead = fc.oneof(fc.constantFrom(1, 2, 3, 7, 32, 128), fc.constant(S));
    fc.assert(fc.property(fc.array(lead, { maxLength: 3 }), fc.array(size, { minLength: 1, maxLength: 2 }), fc.array(size, { minLength: 1, maxLength: 3 }), (shape, from, to) => expectLowered(projection(shape, from, to))), { numRuns: 25, seed: 31 });
  });
});

describe("a reduction over a symbolic axis", () => {
  const magnitudes = Array.from({ length: 21 }, (_, i) => 2 ** i);
  it.each(magnitudes)("of at most %i", max => {
    const L = dim("L", { max });
    expectLowered(graphOf({ f: entry({ x: f32(L), z: f32(3, L), w: f32(L, 5) }, ({ x, z, w }) => ({ sum: x.sum(), max: z.max(1), mean: w.mean(0), rows: w.sum(1) })) }));
  });
  it("computes what it says", () => {
    const L = dim("L", { max: 65536 });
    const graph = graphOf({ f: entry({ x: f32(L), w: f32(L, 5) }, ({ x, w }) => ({ sum: x.sum(), mean: w.mean(0) })) });
    for (const n of [1, 31, 33, 100]) expectLowered(graph, { L: n });
  });
});

describe("attention", () => {
  it.each([512, 2048, 8192])("over a cache of up to %i", max => {
    const T = dim("T", { max });
    const heads = (n: typeof T | number) => f32(1, n, 4, 32);
    expectLowered(graphOf({ f: entry({ q: heads(1), k: heads(T), v: heads(T) }, ({ q, k, v }) => ({ y: attention(q, k, v) })) }));
  });
});

describe("convolutions beside an upsampling", () => {
  const [H, W] = [dim("H", { min: 4, max: 64 }), dim("W", { min: 4, max: 64 })];
  const doubled = (x: Tensor): Tensor => x.rearrange("n h w c -> n (h u) (w v) c", { u: 2, v: 2 });
  it("find their pixels where images shrink twice", () => {
    const net = { first: conv2d(3, 4, [3, 3], { stride: 2 }), second: conv2d(4, 4, [3, 3], { stride: 2 }) };
    expectLowered(graphOf({ net, f: entry({ x: f32(2, H, W, 3) }, ({ x }) => ({ y: doubled(net.second(net.first(x)).tanh()) })) }));
  });
  it("find their pixels under a dilated window", () => {
    const layer = conv2d(8, 8, [3, 3], { dilation: 2 });
    expectLowered(graphOf({ layer, f: entry({ x: f32(1, H, W, 8) }, ({ x }) => ({ y: layer(x.rearrange("n h w c -> n (h u) (w v) c", { u: 3, v: 2 }) as never) })) }));
  });
  it("find their pixels where channels become pixels, forward and backward", () => {
    const net = { first: conv2d(5, 8, [3, 3], { dilation: 2 }), second: conv2d(2, 5, [5, 3]) };
    const optimizer = sgd(net, { rate: 0.1 });
    expectLowered(graphOf({ net, optimizer, f: entry({ x: f32(2, H, W, 5) }, ({ x }) => {
      const pixels = (net.first(x) as Tensor).rearrange("n h w (u v c) -> n (h u) (w v) c", { u: 2, v: 2 });
      const loss = (net.second as (x: Tensor) => Tensor)(pixels).square().mean();
      optimizer.step(loss as never);
      return { loss };
    }) }));
  });
  it("find their pixels, before and after it, forward and backward", () => {
    const net = { before: conv2d(3, 8, [3, 3], { stride: 2 }), after: conv2d(8, 3, [3, 3]) };
    const optimizer = sgd(net, { rate: 0.1 });
    const y = (x: Tensor): Tensor => net.after(doubled(net.before(x as never)) as never);
    const f = entry({ x: f32(2, H, W, 3) }, ({ x }) => {
      const loss = y(x).square().mean();
      optimizer.step(loss as never);
      return { loss };
    });
    expectLowered(graphOf({ net, optimizer, f }));
  });
});

describe("rows of movements", () => {
  test.each([["constant", false], ["symbolic", true]] as const)("are read through at any %s shape", (_, isSymbolic) => {
    fc.assert(fc.property(movements(isSymbolic), ({ graph }) => expectLowered(graph)), { numRuns: 60, seed: 41 });
  });
});
