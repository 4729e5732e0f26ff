// What every emitter of simd kernels must do: compute what the interpreter says, for every statement, expression and dtype.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type DType, DTYPES } from "../../compiler/base/dtypes.ts";
import { addSize, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import {
  add, binary, bitcast, cast, constant, dot4, fma, ge, gt, horizontal, index, lane, lanesFrom0, lookup16, lt, mul, select, shl, shr, shuffle, splat, sub, unary, vector,
} from "../../compiler/kernel/expr.ts";
import { type BinaryOp, type Expr, type Kernel, REGISTER_TYPE, type ScalarType, type UnaryOp } from "../../compiler/kernel/ir.ts";
import { parseKernel } from "../../compiler/kernel/parse.ts";
import { hasBinary, hasUnary, isComparison } from "../../compiler/kernel/scalar.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import * as math from "../../kernels/math.ts";
import { type Case, compare, each, ELEMENTS, elementsOf, type Emitter, integers, poisoned, randomKernel, reals, samplesOf, sequence } from "./kernel-cases.ts";

export const probe = (name: string): Promise<Kernel> => parseKernel(readFileSync(new URL(`../probes/${name}.slk`, import.meta.url), "utf8"), name);

const SCALARS: readonly ScalarType[] = ["f32", "f64", "i32", "u32", "bool", "f16"];
/** Of the scalar type; f16 is made of f32. */
const stored = (s: ScalarType): DType => (s === "f16" ? "f32" : s);
const toScalar = (s: ScalarType, x: Expr): Expr => (s === "f16" ? cast("f16", x) : x);
const toStored = (s: ScalarType, x: Expr): Expr => (s === "f16" ? cast("f32", x) : x);

const UNARY: readonly UnaryOp[] = ["neg", "abs", "sqrt", "floor", "ceil", "trunc", "round_even", "not"];
const BINARY: readonly BinaryOp[] = ["add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi", "eq", "ne", "lt", "le", "gt", "ge"];

const DTYPE_NAMES = Object.keys(DTYPES) as DType[];

/** Kernels of every operation, dtype and statement, by what they show. */
export const emitterCases = ({ lanes: LANES, fused, roundsTwice, atomics = ["i32", "u32", "f32", "f64"] }: Pick<Emitter, "lanes" | "fused" | "roundsTwice" | "atomics">): readonly (readonly [name: string, cases: () => readonly Case[]])[] => [
  ["unary operations", () => SCALARS.flatMap(s => UNARY.filter(op => hasUnary(op, s)).flatMap(op => LANES.map(lanes => ({
    kernel: each(`${op} ${s}`, lanes, [stored(s)], stored(s), x => toStored(s, unary(op, toScalar(s, x!)))),
  }))))],

  ["binary operations", () => SCALARS.flatMap(s => BINARY.filter(op => hasBinary(op, s)).flatMap(op => LANES.map(lanes => {
    const isDivision = (op === "div" || op === "rem") && (s === "i32" || s === "u32");
    const to = isComparison(op) ? "bool" : s;
    const divisor = (b: Expr): Expr => (isDivision ? select(binary("eq", b, 0), 7, b) : toScalar(s, b));
    return { kernel: each(`${op} ${s}`, lanes, [stored(s), stored(s)], stored(to), (a, b) => toStored(to, binary(op, toScalar(s, a!), divisor(b!)))) };
  })))],

  ["shifts by one number, selection and limits", () => LANES.flatMap(lanes => [
    ...(["i32", "u32"] as const).flatMap(s => [3, 31].flatMap(by => [
      { kernel: each(`shl ${s} ${by}`, lanes, [s], s, x => shl(x!, by)) }, { kernel: each(`shr ${s} ${by}`, lanes, [s], s, x => shr(x!, splat(lane(x!, 0), lanes))) },
    ])),
    ...(["f32", "f64", "i32", "u32", "bool"] as const).flatMap(s => [
      { kernel: each(`select ${s}`, lanes, ["bool", s, s], s, (c, a, b) => select(c!, a!, b!)) },
      { kernel: each(`select ${s} by f64`, lanes, ["f64", s, s], s, (c, a, b) => select(lt(c!, 0), a!, b!)) },
    ]),
    ...(["f32", "f64"] as const).flatMap(s => [0, -0, 1.5, -Infinity].flatMap(limit => (["min", "max"] as const).map(op => ({
      kernel: each(`${op} ${s} ${Object.is(limit, -0) ? "-0" : limit}`, lanes, [s], s, x => (limit > 0 ? binary(op, limit, x!) : binary(op, x!, limit))),
    })))),
    ...(["f32", "f64"] as const).flatMap(s => [
      { kernel: each(`at most ${s}`, lanes, [s, s], s, (a, b) => select(gt(a!, b!), b!, a!)) }, { kernel: each(`at least ${s}`, lanes, [s], s, a => select(lt(a!, 0.25), 0.25, a!)) },
    ]),
  ])],

  ["casts and bitcasts", () => LANES.flatMap(lanes => SCALARS.flatMap(from => SCALARS.flatMap(to => [
    { kernel: each(`cast ${from} to ${to}`, lanes, [stored(from)], stored(to), x => toStored(to, cast(to, toScalar(from, x!)))) },
    ...([from, to].every(s => s === "f32" || s === "i32" || s === "u32") && to !== "f32" ? [{ kernel: each(`bitcast ${from} to ${to}`, lanes, [stored(from)], stored(to), x => bitcast(to, x!)) }] : []),
  ]).filter(c => !roundsTwice || !c.kernel.name.startsWith("cast f64 to f16"))))],

  ["fma of numbers whose results are exact", () => LANES.flatMap(lanes => (["f32", "f64"] as const).map(s => {
    const whole = (x: Expr): Expr => cast(s, cast("i32", x));
    return { kernel: each(`fma ${s}`, lanes, ["i8", "i8", "i8"], s, (a, b, c) => fma(whole(a!), whole(b!), whole(c!))) };
  }))],

  ["loads and stores of every dtype, at every offset", () => DTYPE_NAMES.flatMap(d => LANES.flatMap(lanes => [0, 1, 2, 3].map((offset): Case => {
    const k = new KernelBuilder({ name: `copy ${d} x${lanes} from ${offset}`, machine: "simd", summary: "" });
    const [x, y] = [k.param("x", d, [3, 32]), k.param("y", d, [3, 32], "write")];
    const i = k.grid("i", 3);
    const v = k.load(x, [i, offset], lanes);
    k.store(y, [i, 2 * offset], v);
    return { kernel: k.finish({ flops: 1 }) };
  })))],

  ["loads and stores of every dtype, at rows of a length and at indices known at run time", () => DTYPE_NAMES.flatMap(d => [1, 4].flatMap(lanes => [2, 1].map((multipleOf): Case => {
    const n = dimSize("n");
    const k = new KernelBuilder({ name: `copy rows ${d} x${lanes} of ${multipleOf}`, machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 6, max: 100, multipleOf }] });
    const [x, j, y] = [k.param("x", d, [5, n]), k.param("j", "u8", [5]), k.param("y", d, [5, n], "readwrite")];
    const i = k.grid("i", 1);
    k.for_("r", 5, r => {
      const at = k.let_("at", cast("i32", binary("and", k.load(j, [r]), 1)));
      k.store(y, [r, at], k.load(x, [r, addSize(i, 1)], lanes));
      k.store(y, [4, at], k.load(x, [at, r === i ? 0 : 2], lanes));
    });
    return { kernel: k.finish({ flops: 1 }), dims: { n: multipleOf === 2 ? 8 : 7 } };
  })))],

  ["values round to the dtype of local and register buffers", () => DTYPE_NAMES.flatMap(d => [1, 4, 8].map((lanes): Case => {
    const s = REGISTER_TYPE[d];
    const k = new KernelBuilder({ name: `round ${d} x${lanes}`, machine: "simd", summary: "" });
    const [x, y, z] = [k.param("x", s, [ELEMENTS]), k.param("y", s, [ELEMENTS], "write"), k.param("z", s, [ELEMENTS], "write")];
    const i = mulSize(k.grid("i", ELEMENTS / lanes), lanes);
    const local = k.alloc("l", d, [3, 8], "local");
    const registers = k.tile("r", d, [2], lanes);
    const v = k.load(x, [i], lanes);
    k.store(local, [2, 0], v);
    k.unroll("u", 2, u => k.store(registers, [u], v));
    k.store(y, [i], k.load(local, [2, 0], lanes));
    k.store(z, [i], k.load(registers, [1]));
    return { kernel: k.finish({ flops: 1 }) };
  }))],

  ["gathers", () => DTYPE_NAMES.flatMap(d => [1, 2, 4, 8].map((lanes): Case => {
    const k = new KernelBuilder({ name: `gather ${d} x${lanes}`, machine: "simd", summary: "" });
    const [x, j, y] = [k.param("x", d, [4, 17]), k.param("j", "u8", [4, 8]), k.param("y", REGISTER_TYPE[d], [4, 8], "write")];
    const i = k.grid("i", 4);
    const at = cast("i32", binary("and", k.load(j, [i, 0], lanes), 15));
    k.store(y, [i, 0], k.gather(x, [i, add(at, 1)]));
    return { kernel: k.finish({ flops: 1 }) };
  }))],

  ["shuffles, lanes, vectors and splats", () => SCALARS.filter(s => s !== "f16").flatMap(s => {
    const d = stored(s);
    return [
      { kernel: each(`reverse ${s}`, 8, [d, d], d, (a, b) => shuffle(a!, b!, [15, 7, 14, 6, 8, 0, 9, 1])) },
      { kernel: each(`mix ${s}`, 12, [d, d], d, (a, b) => shuffle(a!, b!, [0, 12, 23, 7, 1, 2, 3, 4, 20, 8, 11, 13])) },
      { kernel: each(`pair ${s}`, 2, [d, d], d, (a, b) => shuffle(a!, b!, [3, 0])) },
      { kernel: each(`turn ${s}`, 4, [d, d], d, (a, b) => shuffle(a!, b!, [5, 1, 5, 2])) },
      { kernel: each(`one ${s}`, 1, [d, d], d, (a, b) => shuffle(splat(a!, 4), splat(b!, 4), [6])) },
      { kernel: each(`scalars ${s}`, 1, [d, d], d, (a, b) => lane(vector([a!, b!, a!, b!, b!]), 4)) },
      { kernel: each(`lanes ${s}`, 4, [d], d, a => vector([3, 1, 0, 2].map(i => lane(a!, i)))) },
      { kernel: each(`spread ${s}`, 8, [d], d, a => splat(lane(a!, 5), 8)) },
      { kernel: each(`choose ${s}`, 1, [d, d], d, (a, b) => lane({ kind: "shuffle", a: a!, b: b!, lanes: [1, 0, 1, 1, 0] }, 3)) },
    ];
  })],

  ["reductions of lanes keep their order", () => (["f32", "f64", "i32", "u32"] as const).flatMap(s => ["add", "max", "min"].flatMap(op => [2, 4, 8, 16].map(lanes => ({
    kernel: each(`${op} ${s} over ${lanes}`, lanes, [s], s, a => splat(horizontal(op as "add", a!), lanes)),
  }))))],

  ["sums of four bytes, and tables of 16", () => [1, 4, 8].flatMap(lanes => [
    { kernel: each("dot4", lanes, ["i32", "i32", "i32"], "i32", (a, b, c) => dot4(a!, b!, c!)) },
    ...(["f32", "f64", "i32", "u32"] as const).flatMap(s => (["i32", "u32", "i4"] as const).map(from => ({
      kernel: each(`lookup ${s} by ${from}`, lanes, [from], s, a => lookup16(s, [0, 1, 2.5, -3, 1e9, -7, 250, 65537, 0.1, 9, 10, 11, -12, 13, 14, 15].map(x => (s === "u32" ? Math.abs(x) : x)), a!)),
    }))),
    { kernel: each("offsets", lanes, [], "i32", () => (lanes === 1 ? constant("i32", 5) : add(lanesFrom0(lanes), 3))) },
  ])],

  ["while, if and mutables of several parts", () => [1, 4, 8].map((lanes): Case => {
    const k = new KernelBuilder({ name: `flow x${lanes}`, machine: "simd", summary: "" });
    const [x, y, steps] = [k.param("x", "i32", [6, 8]), k.param("y", "i32", [6, 8], "write"), k.param("steps", "i32", [6], "write")];
    const i = k.grid("i", 6);
    const total = k.mutable("total", k.load(x, [i, 0], lanes));
    const count = k.mutable("count", constant("i32", 0));
    k.while_(lt(count, add(i, 2)), () => {
      k.assign(count, add(count, 1));
      k.if_(ge(count, 3), () => {
        k.if_(lt(lane(total, 0), 0), () => k.assign(total, sub(total, count)), () => k.assign(total, mul(total, 3)));
      }, () => k.assign(total, lanes === 1 ? add(total, 1) : shuffle(total, total, Array.from({ length: lanes }, (_, l) => lanes - 1 - l))));
    });
    k.store(y, [i, 0], total);
    k.store(steps, [i], count);
    return { kernel: k.finish({ flops: 1 }) };
  })],

  ["atomics", () => atomics.flatMap(d => (["add", "max", "min"] as const).map((op): Case => {
    const k = new KernelBuilder({ name: `atomic ${op} ${d}`, machine: "simd", summary: "" });
    const [x, y] = [k.param("x", "i16", [24]), k.param("y", d, [4], "readwrite")];
    const i = k.grid("i", 24);
    k.atomic(op, y, [modSize(i, 3)], cast(d, k.load(x, [i])));
    const inputs = { y: elementsOf(d, [5, -6, 7, 8]) };
    return { kernel: k.finish({ flops: 1 }), inputs };
  }))],

  ["grids of no, one and three axes", () => [[], [7], [3, 2, 5]].map((extents): Case => {
    const k = new KernelBuilder({ name: `grid of ${extents.length}`, machine: "simd", summary: "" });
    const y = k.param("y", "i32", [8, 8, 8], "write");
    const at = extents.map((e, g) => k.grid(`g${g}`, e));
    const position: [Size, Size, Size] = [at[0] ?? 1, at[1] ?? 2, at[2] ?? 3];
    k.store(y, position, index(addSize(mulSize(position[0], 100), addSize(mulSize(position[1], 10), position[2]))));
    return { kernel: k.finish({ flops: 1 }) };
  })],

  ["the functions of kernels/math", () => {
    const unaries = Object.entries({ exp: math.exp, log: math.log, tanh: math.tanh, erf: math.erf, gelu: math.gelu, rsqrt: math.rsqrt, sin: math.sin, cos: math.cos, sigmoid: math.sigmoid });
    const tolerance = fused === "vectors" ? 2e-5 : undefined;
    return [1, 4, 8].flatMap(lanes => [
      ...unaries.map(([name, f]) => ({ kernel: each(name, lanes, ["f32"], "f32", x => f(x!)), tolerance, inputs: { x0: reals(ELEMENTS, 5).map(v => 10 * v) } })),
      ...Object.entries({ pow: math.pow, atan2: math.atan2 }).map(([name, f]) => ({ kernel: each(name, lanes, ["f32", "f32"], "f32", (x, y) => f(x!, y!)), tolerance, inputs: { x0: reals(ELEMENTS, 6).map(v => 4 * v), x1: reals(ELEMENTS, 7) } })),
    ]);
  }],
];

/** The suite, to be called in a `describe`. */
export function emitterSuite(emitter: Emitter): void {
  const { runner, batch, most = Infinity } = emitter;
  const fused = emitter.fused !== "no";
  it("gemm 6x8", async () => {
    const [M, N, K] = [12, 24, 17];
    const [a, b] = [integers(M * K, 1), integers(K * N, 2)];
    const kernel = await probe("gemm-6x8");
    const [want, got] = [poisoned(M * N), poisoned(M * N)];
    interpretKernel(kernel, { buffers: { a, b, c: want }, dims: { M, N, K } });
    await (await runner([kernel]))(0, { a, b, c: got }, { M, N, K }, 5);
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
    interpretKernel(kernel, { buffers: { ...buffers, y: want }, dims: { H, W }, fused });
    await (await runner([kernel]))(0, { ...buffers, y: got }, { H, W });
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
    interpretKernel(kernel, { buffers: { w, scale, x, y: want }, dims: { N, K }, fused });
    await (await runner([kernel]))(0, { w, scale, x, y: got }, { N, K });
    for (const [i, v] of want.entries()) expect(got[i]).toBeCloseTo(v, 5);
  });
  for (const [name, cases] of emitterCases(emitter)) it(name, () => compare(cases(), emitter));

  const sizes = fc.letrec<{ size: Size }>(tie => ({
    size: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(fc.integer({ min: -9, max: 40 }), fc.constantFrom(...["n", "i", "j", "u", "v"].map(dimSize))),
      fc.tuple(fc.constantFrom(addSize, subSize, mulSize, minSize, maxSize), tie("size"), tie("size")).map(([f, a, b]) => f(a, b)),
      fc.tuple(fc.constantFrom(floorDivSize, modSize), tie("size"), fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(dimSize("n")))).map(([f, a, b]) => f(a, b)),
    ),
  })).size;

  /** Of `runs` samples, as many as are compiled together at a time. */
  const check = <T>(runs: number, arbitrary: fc.Arbitrary<T>, cases: (sample: T) => readonly Case[]): Promise<void> =>
    fc.assert(fc.asyncProperty(fc.array(arbitrary, { minLength: batch, maxLength: batch }), samples => compare(samples.flatMap(cases), emitter)), { numRuns: Math.ceil(runs / batch) });

  it("sizes, wherever their symbols are known", () => {
    const sample = fc.tuple(fc.array(sizes, { minLength: 6, maxLength: 6 }), fc.integer({ min: 1, max: 9 }));
    return check(Math.min(most, 40), sample, ([list, n]) => {
      const k = new KernelBuilder({ name: "sizes", machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 1, max: 9, multipleOf: 1 }] });
      const [x, y] = [k.param("x", "i8", [3]), k.param("y", "i32", [3, 4, 3, list.length], "write")];
      const i = k.grid("i", 3);
      k.index("v", k.load(x, [i]));
      const named = { from: 1, step: 2 };
      k.for_("j", addSize(dimSize("n"), 1), j => {
        k.if_(lt(index(j), 8), () => k.unroll("u", 3, u => {
          list.forEach((size, c) => k.store(y, [i, floorDivSize(j, 2), u, c], index(size)));
        }));
      }, named);
      return [{ kernel: k.finish({ flops: 1 }), dims: { n }, inputs: { x: new Int8Array(16).fill(-3) } }];
    });
  });

  it("accesses through pointers that loops advance", () => {
    const factors = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(5));
    const access = fc.record({ row: factors, column: factors, lanes: fc.constantFrom(1, 4, 8), negative: fc.boolean() });
    const sample = fc.tuple(fc.array(access, { minLength: 1, maxLength: 6 }), fc.constantFrom<DType>("f32", "u8", "i4", "f64"), fc.constantFrom(64, 67));
    return check(Math.min(most, 40), sample, ([list, d, n]) => {
      const k = new KernelBuilder({ name: "pointers", machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 64, max: 99, multipleOf: 1 }] });
      const C = dimSize("n");
      const [x, y] = [k.param("x", d, [32, C]), k.param("y", REGISTER_TYPE[d], [3, 8], "write")];
      const i = k.grid("i", 3);
      const local = k.alloc("l", d, [4, C], "local");
      const total = k.mutable("total", constant(REGISTER_TYPE[d], 0, 8));
      const sum = ([a, b, c, constant]: [number, number, number, number], j: Size, u: Size): Size =>
        [mulSize(a, i), mulSize(b, j), mulSize(c, u), constant].reduce<Size>(addSize, 0);
      k.for_("o", 2, () => k.for_("j", 4, j => k.unroll("u", 3, u => {
        for (const { row, column, lanes, negative } of list) {
          const forward = sum(column, j, u);
          const v = k.load(x, [sum(row, j, u), negative ? subSize(subSize(C, lanes), forward) : forward], lanes);
          k.store(local, [j, forward], v);
          const back = k.load(local, [j, forward], lanes);
          k.assign(total, lanes === 8 ? sub(total, back) : add(total, lanes === 1 ? splat(back, 8) : shuffle(back, back, [0, 1, 2, 3, 4, 5, 6, 7])));
        }
      })));
      k.store(y, [i, 0], total);
      const data = samplesOf(d, 32 * n);
      return [{ kernel: k.finish({ flops: 1 }), dims: { n }, inputs: { x: data } }];
    });
  });

  it("kernels of random statements", () =>
    check(Math.min(most, 60), fc.tuple(fc.integer(), fc.integer({ min: 1, max: 5 })), ([seed, n]) => [1, 4, 8].map(lanes => ({ kernel: randomKernel(seed, lanes), dims: { n } }))));
}
