// What the WebAssembly emitter writes computes what the interpreter says, for every statement, expression and dtype.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteLength, type DType, DTYPES } from "../../compiler/base/dtypes.ts";
import { addSize, type DimValues, dimSize, evaluateSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { emitWasm, type WasmVariant } from "../../compiler/emit/wasm/module.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import {
  add, binary, bitcast, cast, constant, dot4, fma, ge, horizontal, index, lane, lanesFrom0, lookup16, lt, gt, mul, select, shl, shr, shuffle, splat, sub, unary, vector,
} from "../../compiler/kernel/expr.ts";
import { type BinaryOp, type Expr, type Kernel, REGISTER_TYPE, type ScalarType, type UnaryOp } from "../../compiler/kernel/ir.ts";
import { argumentMemory } from "../../compiler/kernel/memory.ts";
import { hasBinary, hasUnary, isComparison } from "../../compiler/kernel/scalar.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import * as math from "../../kernels/math.ts";
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

const SPECIAL = [0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, NaN, Infinity, -Infinity, 2 ** -149, 2 ** -130, 65504, 65519.9, 65520, -65536, 2 ** 31, -(2 ** 31), 2 ** 32, 3e9, 1e-7, 6e-8, 3e38, 1e300];
const SPECIAL_INTEGERS = [0, 1, -1, 2, 3, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2 ** 31 - 1, -(2 ** 31), 0x01010101, 0x7f80ff01];

/** Elements of a buffer, as the interpreter reads and writes them. */
const elements = (d: DType, count: number, data: ArrayBufferView) => argumentMemory("a test's", d, [count], data, undefined);
const bytesFor = (d: DType, count: number): Uint8Array<ArrayBuffer> => new Uint8Array(Math.max(16, byteLength(d, count)));

/** Random and special values of the dtype. */
function samples(d: DType, count: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = sequence(seed);
  const data = bytesFor(d, count);
  const memory = elements(d, count, data);
  const { kind, round } = DTYPES[d];
  for (let i = 0; i < count; i++) {
    const pick = Math.floor(next() * 4);
    const special = kind === "float" ? SPECIAL : SPECIAL_INTEGERS;
    const value = pick === 0 ? special[Math.floor(next() * special.length)]! : kind === "float" ? (next() * 2 - 1) * 10 ** Math.floor(next() * 8 - 3) : next() * 2 ** 32 - 2 ** 31;
    memory.set(i, round(kind === "float" ? value : kind === "bool" ? Number(next() < 0.5) : Math.trunc(value)));
  }
  return data;
}

const elementsOf = (d: DType, values: readonly number[]): Uint8Array<ArrayBuffer> => {
  const data = bytesFor(d, values.length);
  const memory = elements(d, values.length, data);
  values.forEach((v, i) => { memory.set(i, DTYPES[d].round(v)); });
  return data;
};
/** Small integers, whose sums are exact. */
const samplesOf = (d: DType, count: number): Uint8Array<ArrayBuffer> => elementsOf(d, [...integers(count, 3)]);

interface Case {
  readonly kernel: Kernel;
  readonly inputs?: { readonly [param: string]: ArrayBufferView };
  readonly dims?: DimValues;
  /** Largest relative error of what is not near 0; without one, results are the same to the last bit. */
  readonly tolerance?: number;
}

/** Runs all cases of one module and compares whatever they write. */
async function compare(cases: readonly Case[], variant: WasmVariant): Promise<void> {
  const run = await wasmRunner(cases.map(c => c.kernel), variant);
  cases.forEach(({ kernel, inputs = {}, dims = {}, tolerance }, k) => {
    const fill = (poison: number) => Object.fromEntries(kernel.params.map((p, i) => {
      const count = p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1);
      const given = inputs[p.name];
      if (given) return [p.name, new Uint8Array(given.buffer.slice(given.byteOffset, given.byteOffset + given.byteLength))];
      return [p.name, p.access === "write" ? bytesFor(p.dtype, count).fill(poison) : samples(p.dtype, count, k * 100 + i)];
    }));
    const want = fill(0xbb);
    const got = fill(0xbb);
    interpretKernel(kernel, { buffers: want, dims, fused: variant.relaxed });
    run(k, got, dims, 3);
    for (const p of kernel.params) {
      if (p.access === "read") continue;
      const count = p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1);
      const [a, b] = [elements(p.dtype, count, want[p.name]!), elements(p.dtype, count, got[p.name]!)];
      for (let i = 0; i < count; i++) {
        const [x, y] = [a.get(i), b.get(i)];
        const isNear = tolerance !== undefined && Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), 0.1);
        if (!Object.is(x, y) && !isNear) expect.fail(`${kernel.name}: ${p.name}[${i}] is ${y} and should be ${x}`);
      }
    }
  });
}

const ELEMENTS = 48;
/** A kernel whose tasks do `lanes` elements each. */
function each(name: string, lanes: number, inputs: readonly DType[], output: DType, value: (...xs: Expr[]) => Expr): Kernel {
  const k = new KernelBuilder({ name: `${name} x${lanes}`, machine: "simd", summary: "" });
  const params = inputs.map((d, i) => k.param(`x${i}`, d, [ELEMENTS]));
  const y = k.param("y", output, [ELEMENTS], "write");
  const i = k.grid("i", ELEMENTS / lanes);
  const at = mulSize(i, lanes);
  k.store(y, [at], value(...params.map(p => k.load(p, [at], lanes))));
  return k.finish({ flops: 1 });
}
/** Loops, conditions, names and buffers of every kind, nested at random; all values are i32. */
function randomKernel(seed: number, lanes: number): Kernel {
  const next = sequence(seed);
  const below = (n: number): number => Math.floor(next() * n);
  const pick = <T>(xs: readonly T[]): T => xs[below(xs.length)]!;
  const k = new KernelBuilder({ name: `random ${seed} x${lanes}`, machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 1, max: 5, multipleOf: 1 }] });
  const [x, y] = [k.param("x", "i32", [4, 20]), k.param("y", "i32", [3, 20], "readwrite")];
  const i = k.grid("i", 3);
  let symbols: Size[] = [i, dimSize("n")];
  let values: Expr[] = [k.load(x, [i, 0], lanes)];
  let mutables: ReturnType<typeof k.mutable>[] = [];
  const local = k.alloc("local", "i16", [20, addSize(dimSize("n"), 9)], "local");
  k.for_("f", 20, f => k.for_("e", addSize(dimSize("n"), 9), e => k.store(local, [f, e], index(subSize(f, e)))));
  const tile = k.tile("tile", "i32", [3], lanes);
  k.unroll("t", 3, t => k.store(tile, [t], values[0]!));

  const size = (): Size => {
    const linear = addSize(addSize(mulSize(pick(symbols), below(4)), mulSize(pick(symbols), below(3) - 1)), below(5) - 2);
    switch (below(5)) {
      case 0: return floorDivSize(linear, 1 + below(4));
      case 1: return modSize(linear, pick([2, 3, addSize(dimSize("n"), 1)]));
      case 2: return minSize(linear, pick(symbols));
      default: return linear;
    }
  };
  const value = (): Expr => {
    const [a, b] = [pick([...values, ...mutables]), pick([...values, ...mutables])];
    switch (below(4)) {
      case 0: return add(splat(index(size()), lanes), a);
      case 1: return select(lt(a, b), a, mul(b, 3));
      case 2: return lanes === 1 ? sub(a, b) : shuffle(a, b, Array.from({ length: lanes }, (_, l) => (5 * l + 3) % (2 * lanes)));
      default: return binary(pick(["add", "sub", "mul", "min", "max", "xor"]), a, b);
    }
  };
  const nested = (depth: number): void => {
    const outer = [symbols, values, mutables] as const;
    block(depth - 1);
    [symbols, values, mutables] = outer;
  };
  const inLoop = (depth: number) => (variable: Size): void => {
    const outer = symbols;
    symbols = [...symbols, variable, variable];
    nested(depth);
    symbols = outer;
  };
  const statement = (depth: number): void => {
    switch (below(depth > 0 ? 13 : 8)) {
      case 0: values = [...values, k.let_("v", value())]; break;
      case 1: values = [...values, k.load(x, [modSize(size(), 4), modSize(size(), 20 - lanes + 1)], lanes)]; break;
      case 2: symbols = [...symbols, k.index("q", binary("and", k.load(x, [modSize(size(), 4), modSize(size(), 20)]), 7))]; break;
      case 3: mutables = [...mutables, k.mutable("m", value())]; break;
      case 4: if (mutables.length > 0) k.assign(pick(mutables), value()); break;
      case 5: k.store(tile, [below(3)], add(k.load(tile, [below(3)]), value())); break;
      case 6: {
        k.store(local, [modSize(size(), 20), modSize(size(), subSize(addSize(dimSize("n"), 10), lanes))], value());
        values = [...values, k.load(local, [modSize(size(), 20), modSize(size(), subSize(addSize(dimSize("n"), 10), lanes))], lanes)];
        break;
      }
      case 7: k.store(y, [i, modSize(size(), 20 - lanes + 1)], value()); break;
      case 8: case 9: k.for_("j", modSize(size(), 4), inLoop(depth), { step: 1 + below(2) }); break;
      case 10: k.unroll("u", 1 + below(3), inLoop(depth)); break;
      case 11: k.if_(lt(index(size()), index(size())), () => nested(depth), below(2) === 0 ? () => nested(depth) : undefined); break;
      case 12: {
        const count = k.mutable("count", index(modSize(size(), 3)));
        k.while_(lt(count, 4), () => {
          k.assign(count, add(count, 1));
          nested(depth);
        });
        break;
      }
    }
  };
  const block = (depth: number): void => {
    for (let statements = 2 + below(4); statements > 0; statements--) statement(depth);
  };
  block(3);
  k.unroll("t", 3, t => k.store(y, [i, mulSize(t, 4)], k.load(tile, [t])));
  return k.finish({ flops: 1 });
}

const SCALARS: readonly ScalarType[] = ["f32", "f64", "i32", "u32", "bool", "f16"];
const LANES = [1, 2, 3, 4, 8, 12];
/** Of the scalar type; f16 is made of f32. */
const stored = (s: ScalarType): DType => (s === "f16" ? "f32" : s);
const toScalar = (s: ScalarType, x: Expr): Expr => (s === "f16" ? cast("f16", x) : x);
const toStored = (s: ScalarType, x: Expr): Expr => (s === "f16" ? cast("f32", x) : x);

const UNARY: readonly UnaryOp[] = ["neg", "abs", "sqrt", "floor", "ceil", "trunc", "round_even", "not"];
const BINARY: readonly BinaryOp[] = ["add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi", "eq", "ne", "lt", "le", "gt", "ge"];

describe.each(named)("%s", (_, variant) => {
  it("unary operations", () => compare(SCALARS.flatMap(s => UNARY.filter(op => hasUnary(op, s)).flatMap(op => LANES.map(lanes => ({
    kernel: each(`${op} ${s}`, lanes, [stored(s)], stored(s), x => toStored(s, unary(op, toScalar(s, x!)))),
  })))), variant));

  it("binary operations", () => compare(SCALARS.flatMap(s => BINARY.filter(op => hasBinary(op, s)).flatMap(op => LANES.map(lanes => {
    const isDivision = (op === "div" || op === "rem") && (s === "i32" || s === "u32");
    const to = isComparison(op) ? "bool" : s;
    const divisor = (b: Expr): Expr => (isDivision ? select(binary("eq", b, 0), 7, b) : toScalar(s, b));
    return { kernel: each(`${op} ${s}`, lanes, [stored(s), stored(s)], stored(to), (a, b) => toStored(to, binary(op, toScalar(s, a!), divisor(b!)))) };
  }))), variant));

  it("shifts by one number, selection and limits", () => compare(LANES.flatMap(lanes => [
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
  ]), variant));

  it("casts and bitcasts", () => compare(LANES.flatMap(lanes => SCALARS.flatMap(from => SCALARS.flatMap(to => [
    { kernel: each(`cast ${from} to ${to}`, lanes, [stored(from)], stored(to), x => toStored(to, cast(to, toScalar(from, x!)))) },
    ...([from, to].every(s => s === "f32" || s === "i32" || s === "u32") && to !== "f32" ? [{ kernel: each(`bitcast ${from} to ${to}`, lanes, [stored(from)], stored(to), x => bitcast(to, x!)) }] : []),
  ]).filter(c => !c.kernel.name.startsWith("cast f64 to f16")))), variant));

  it("fma of numbers whose results are exact", () => compare(LANES.flatMap(lanes => (["f32", "f64"] as const).map(s => {
    const whole = (x: Expr): Expr => cast(s, cast("i32", x));
    return { kernel: each(`fma ${s}`, lanes, ["i8", "i8", "i8"], s, (a, b, c) => fma(whole(a!), whole(b!), whole(c!))) };
  })), variant));

  const DTYPE_NAMES = Object.keys(DTYPES) as DType[];
  it("loads and stores of every dtype, at every offset", () => compare(DTYPE_NAMES.flatMap(d => LANES.flatMap(lanes => [0, 1, 2, 3].map((offset): Case => {
    const k = new KernelBuilder({ name: `copy ${d} x${lanes} from ${offset}`, machine: "simd", summary: "" });
    const [x, y] = [k.param("x", d, [3, 32]), k.param("y", d, [3, 32], "write")];
    const i = k.grid("i", 3);
    const v = k.load(x, [i, offset], lanes);
    k.store(y, [i, 2 * offset], v);
    return { kernel: k.finish({ flops: 1 }) };
  }))), variant));

  it("loads and stores of every dtype, at rows of a length and at indices known at run time", () => compare(DTYPE_NAMES.flatMap(d => [1, 4].flatMap(lanes => [2, 1].map((multipleOf): Case => {
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
  }))), variant));

  it("values round to the dtype of local and register buffers", () => compare(DTYPE_NAMES.flatMap(d => [1, 4, 8].map((lanes): Case => {
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
  })), variant));

  it("gathers", () => compare(DTYPE_NAMES.flatMap(d => [1, 2, 4, 8].map((lanes): Case => {
    const k = new KernelBuilder({ name: `gather ${d} x${lanes}`, machine: "simd", summary: "" });
    const [x, j, y] = [k.param("x", d, [4, 17]), k.param("j", "u8", [4, 8]), k.param("y", REGISTER_TYPE[d], [4, 8], "write")];
    const i = k.grid("i", 4);
    const at = cast("i32", binary("and", k.load(j, [i, 0], lanes), 15));
    k.store(y, [i, 0], k.gather(x, [i, add(at, 1)]));
    return { kernel: k.finish({ flops: 1 }) };
  })), variant));

  it("shuffles, lanes, vectors and splats", () => compare(SCALARS.filter(s => s !== "f16").flatMap(s => {
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
  }), variant));

  it("reductions of lanes keep their order", () => compare((["f32", "f64", "i32", "u32"] as const).flatMap(s => ["add", "max", "min"].flatMap(op => [2, 4, 8, 16].map(lanes => ({
    kernel: each(`${op} ${s} over ${lanes}`, lanes, [s], s, a => splat(horizontal(op as "add", a!), lanes)),
  })))), variant));

  it("sums of four bytes, and tables of 16", () => compare([1, 4, 8].flatMap(lanes => [
    { kernel: each("dot4", lanes, ["i32", "i32", "i32"], "i32", (a, b, c) => dot4(a!, b!, c!)) },
    ...(["f32", "f64", "i32", "u32"] as const).flatMap(s => (["i32", "u32", "i4"] as const).map(from => ({
      kernel: each(`lookup ${s} by ${from}`, lanes, [from], s, a => lookup16(s, [0, 1, 2.5, -3, 1e9, -7, 250, 65537, 0.1, 9, 10, 11, -12, 13, 14, 15].map(x => (s === "u32" ? Math.abs(x) : x)), a!)),
    }))),
    { kernel: each("offsets", lanes, [], "i32", () => (lanes === 1 ? constant("i32", 5) : add(lanesFrom0(lanes), 3))) },
  ]), variant));

  it("while, if and mutables of several parts", () => compare([1, 4, 8].map((lanes): Case => {
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
  }), variant));

  it("atomics", () => compare((["i32", "u32", "f32", "f64"] as const).flatMap(d => (["add", "max", "min"] as const).map((op): Case => {
    const k = new KernelBuilder({ name: `atomic ${op} ${d}`, machine: "simd", summary: "" });
    const [x, y] = [k.param("x", "i16", [24]), k.param("y", d, [4], "readwrite")];
    const i = k.grid("i", 24);
    k.atomic(op, y, [modSize(i, 3)], cast(d, k.load(x, [i])));
    const inputs = { y: elementsOf(d, [5, -6, 7, 8]) };
    return { kernel: k.finish({ flops: 1 }), inputs };
  })), variant));

  it("grids of no, one and three axes", () => compare([[], [7], [3, 2, 5]].map((extents): Case => {
    const k = new KernelBuilder({ name: `grid of ${extents.length}`, machine: "simd", summary: "" });
    const y = k.param("y", "i32", [8, 8, 8], "write");
    const at = extents.map((e, g) => k.grid(`g${g}`, e));
    const position: [Size, Size, Size] = [at[0] ?? 1, at[1] ?? 2, at[2] ?? 3];
    k.store(y, position, index(addSize(mulSize(position[0], 100), addSize(mulSize(position[1], 10), position[2]))));
    return { kernel: k.finish({ flops: 1 }) };
  }), variant));

  const sizes = fc.letrec<{ size: Size }>(tie => ({
    size: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(fc.integer({ min: -9, max: 40 }), fc.constantFrom(...["n", "i", "j", "u", "v"].map(dimSize))),
      fc.tuple(fc.constantFrom(addSize, subSize, mulSize, minSize, maxSize), tie("size"), tie("size")).map(([f, a, b]) => f(a, b)),
      fc.tuple(fc.constantFrom(floorDivSize, modSize), tie("size"), fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(dimSize("n")))).map(([f, a, b]) => f(a, b)),
    ),
  })).size;

  it("sizes, wherever their symbols are known", async () => {
    await fc.assert(fc.asyncProperty(fc.array(sizes, { minLength: 6, maxLength: 6 }), fc.integer({ min: 1, max: 9 }), async (list, n) => {
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
      await compare([{ kernel: k.finish({ flops: 1 }), dims: { n }, inputs: { x: new Int8Array(16).fill(-3) } }], variant);
    }), { numRuns: 40 });
  });

  it("accesses through pointers that loops advance", async () => {
    const factors = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(5));
    const access = fc.record({ row: factors, column: factors, lanes: fc.constantFrom(1, 4, 8), negative: fc.boolean() });
    await fc.assert(fc.asyncProperty(fc.array(access, { minLength: 1, maxLength: 6 }), fc.constantFrom<DType>("f32", "u8", "i4", "f64"), fc.constantFrom(64, 67), async (list, d, n) => {
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
      await compare([{ kernel: k.finish({ flops: 1 }), dims: { n }, inputs: { x: data } }], variant);
    }), { numRuns: 40 });
  });

  it("kernels of random statements", async () => {
    await fc.assert(fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 5 }), async (seed, n) => {
      await compare([1, 4, 8].map(lanes => ({ kernel: randomKernel(seed, lanes), dims: { n } })), variant);
    }), { numRuns: 60 });
  });

  it("the functions of kernels/math", () => {
    const unaries = Object.entries({ exp: math.exp, log: math.log, tanh: math.tanh, erf: math.erf, gelu: math.gelu, rsqrt: math.rsqrt, sin: math.sin, cos: math.cos, sigmoid: math.sigmoid });
    const tolerance = variant.relaxed ? 2e-5 : undefined;
    return compare([1, 4, 8].flatMap(lanes => [
      ...unaries.map(([name, f]) => ({ kernel: each(name, lanes, ["f32"], "f32", x => f(x!)), tolerance, inputs: { x0: reals(ELEMENTS, 5).map(v => 10 * v) } })),
      ...Object.entries({ pow: math.pow, atan2: math.atan2 }).map(([name, f]) => ({ kernel: each(name, lanes, ["f32", "f32"], "f32", (x, y) => f(x!, y!)), tolerance, inputs: { x0: reals(ELEMENTS, 6).map(v => 4 * v), x1: reals(ELEMENTS, 7) } })),
    ]), variant);
  });
});

it("variants with shared and unshared memory differ in what they import, and in atomics", async () => {
  const kernels = (["store", "atomic"] as const).map(what => {
    const k = new KernelBuilder({ name: what, machine: "simd", summary: "" });
    const y = k.param("y", "i32", [1], "readwrite");
    k.grid("i", 1);
    if (what === "store") k.store(y, [0], 1);
    else k.atomic("add", y, [0], 1);
    return k.finish({ flops: 1 });
  });
  const variants = [true, false].flatMap(shared => [true, false].map(relaxed => ({ shared, relaxed })));
  for (const kernel of kernels) {
    const modules = await emitWasm([kernel], variants);
    for (const [i, variant] of variants.entries()) {
      expect(modules[i]).toMatchObject(variant);
      expect(modules[i]!.bytes).toEqual((await emitWasm([kernel], [variant]))[0]!.bytes);
      const module = await WebAssembly.compile(modules[i]!.bytes as Uint8Array<ArrayBuffer>);
      const instantiate = (shared: boolean) => new WebAssembly.Instance(module, { env: { memory: new WebAssembly.Memory({ initial: 1, maximum: 65536, shared }) } });
      instantiate(variant.shared);
      expect(() => instantiate(!variant.shared)).toThrow("memory");
    }
    expect(modules[0]!.bytes.length === modules[2]!.bytes.length).toBe(kernel.name === "store");
  }
});

it("refuses what only workgroups have", async () => {
  const kernel = await probe("gemm-fragments");
  await expect(wasmRunner([kernel], VARIANTS[0]!)).rejects.toThrow("is for simt machines");
});

it("lays local buffers out one after the other, those of separate blocks over each other", async () => {
  const [n, k] = [dimSize("n"), new KernelBuilder({ name: "scratch", machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 1, max: 99, multipleOf: 1 }] })];
  k.grid("i", 1);
  k.alloc("a", "f32", [n], "local");
  for (const length of [3, 100]) k.for_("j", 2, () => void k.alloc("b", "u8", [length], "local"));
  const [module] = await emitWasm([k.finish({ flops: 1 })], [VARIANTS[0]!]);
  expect([1, 16, 17, 99].map(value => evaluateSize(module!.scratch[0]!, { n: value }))).toEqual([64 + 128, 64 + 128, 128 + 128, 448 + 128]);
});
