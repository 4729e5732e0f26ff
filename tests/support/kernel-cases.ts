// Kernels and data for tests of emitters: runs a module's kernels and the interpreter on the same data and compares what
// they write, to the last bit unless a tolerance is given.
import { expect } from "vitest";
import { byteLength, type DType, DTYPES } from "../../compiler/base/dtypes.ts";
import { addSize, type DimValues, dimSize, evaluateSize, floorDivSize, minSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { add, binary, index, lt, mul, select, shuffle, splat, sub } from "../../compiler/kernel/expr.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import type { Expr, Kernel, Param } from "../../compiler/kernel/ir.ts";
import { argumentMemory } from "../../compiler/kernel/memory.ts";
import { KernelBuilder } from "../../kernels/builder.ts";

/** Runs a kernel of a module on typed arrays, in ranges of `piece` tasks. */
export type KernelRunner = (kernel: number, buffers: { readonly [param: string]: ArrayBufferView }, dims?: DimValues, piece?: number) => void | Promise<void>;

export interface Emitter {
  /** Compiles the kernels as one module. */
  readonly runner: (kernels: readonly Kernel[]) => Promise<KernelRunner>;
  /** Whether fma rounds once: of vectors of f32, or of scalars too. */
  readonly fused: "no" | "vectors" | "all";
  /** Of the vectors that are tried. */
  readonly lanes: readonly number[];
  /** Whether f64 is rounded to f16 by way of f32. */
  readonly roundsTwice: boolean;
  /** Random kernels that are compiled together. */
  readonly batch: number;
  /** Batches of random kernels at the most: fewer where a kernel takes a while to start. */
  readonly most?: number;
  /** Dtypes that atomics update there; all that kernels may, if left out. */
  readonly atomics?: readonly ("i32" | "u32" | "f32" | "f64")[];
}

/** A fixed sequence in [0, 1). */
export function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
export const integers = (count: number, seed: number): Float32Array => {
  const next = sequence(seed);
  return Float32Array.from({ length: count }, () => Math.floor(next() * 9) - 4);
};
export const reals = (count: number, seed: number): Float32Array => {
  const next = sequence(seed);
  return Float32Array.from({ length: count }, () => next() * 2 - 1);
};
export const poisoned = (count: number): Float32Array => new Float32Array(count).fill(NaN);

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

export const elementsOf = (d: DType, values: readonly number[]): Uint8Array<ArrayBuffer> => {
  const data = bytesFor(d, values.length);
  const memory = elements(d, values.length, data);
  values.forEach((v, i) => { memory.set(i, DTYPES[d].round(v)); });
  return data;
};
export const small = (d: DType, count: number, seed: number): Uint8Array<ArrayBuffer> => elementsOf(d, [...integers(count, seed)]);
/** Small integers, whose sums are exact. */
export const samplesOf = (d: DType, count: number): Uint8Array<ArrayBuffer> => elementsOf(d, [...integers(count, 3)]);

export interface Case {
  readonly kernel: Kernel;
  readonly inputs?: { readonly [param: string]: ArrayBufferView };
  readonly dims?: DimValues;
  /** Largest relative error of what is not near 0; without one, results are the same to the last bit. */
  readonly tolerance?: number;
}

type Buffers = { readonly [param: string]: Uint8Array<ArrayBuffer> };

/** What a case's kernel gets, the k-th of its module: what is only written is poisoned. */
export function buffersOf({ kernel, inputs = {}, dims = {} }: Case, k: number): Buffers {
  return Object.fromEntries(kernel.params.map((p, i) => {
    const count = p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1);
    const given = inputs[p.name];
    if (given) return [p.name, new Uint8Array(given.buffer.slice(given.byteOffset, given.byteOffset + given.byteLength) as ArrayBuffer)];
    return [p.name, p.access === "write" ? bytesFor(p.dtype, count).fill(0xbb) : samples(p.dtype, count, k * 100 + i)];
  }));
}

/** What a kernel writes, element by element, and how far each may be from that: 0 is to the last bit. */
export interface Wanted {
  readonly param: string;
  readonly values: readonly number[];
  readonly allowed: readonly number[];
}
/** By the interpreter, which overwrites the buffers. */
export function wantedOf({ kernel, dims = {}, tolerance }: Case, buffers: Buffers, fused: boolean): Wanted[] {
  interpretKernel(kernel, { buffers, dims, fused });
  return kernel.params.filter(p => p.access !== "read").map(p => {
    const values = valuesOf(p, buffers, dims);
    return { param: p.name, values, allowed: values.map(x => (tolerance === undefined ? 0 : tolerance * Math.max(Math.abs(x), 0.1))) };
  });
}
function valuesOf({ name, dtype, shape }: Param, buffers: Buffers, dims: DimValues): number[] {
  const count = shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1);
  const memory = elements(dtype, count, buffers[name]!);
  return Array.from({ length: count }, (_, i) => memory.get(i));
}

/** Runs all cases of one module and compares whatever they write. */
export async function compare(cases: readonly Case[], { runner, fused }: Pick<Emitter, "runner" | "fused">): Promise<void> {
  const run = await runner(cases.map(c => c.kernel));
  for (const [k, c] of cases.entries()) {
    const { kernel, dims = {} } = c;
    const got = buffersOf(c, k);
    await run(k, got, dims, 3);
    for (const { param, values, allowed } of wantedOf(c, buffersOf(c, k), fused !== "no")) {
      const found = valuesOf(kernel.params.find(p => p.name === param)!, got, dims);
      values.forEach((x, i) => {
        if (!Object.is(x, found[i]) && !(allowed[i]! > 0 && Math.abs(x - found[i]!) <= allowed[i]!)) expect.fail(`${kernel.name}: ${param}[${i}] is ${found[i]} and should be ${x}`);
      });
    }
  }
}

export const ELEMENTS = 48;
/** A kernel whose tasks do `lanes` elements each. */
export function each(name: string, lanes: number, inputs: readonly DType[], output: DType, value: (...xs: Expr[]) => Expr): Kernel {
  const k = new KernelBuilder({ name: `${name} x${lanes}`, machine: "simd", summary: "" });
  const params = inputs.map((d, i) => k.param(`x${i}`, d, [ELEMENTS]));
  const y = k.param("y", output, [ELEMENTS], "write");
  const i = k.grid("i", ELEMENTS / lanes);
  const at = mulSize(i, lanes);
  k.store(y, [at], value(...params.map(p => k.load(p, [at], lanes))));
  return k.finish({ flops: 1 });
}
/** Loops, conditions, names and buffers of every kind, nested at random; all values are i32. */
export function randomKernel(seed: number, lanes: number): Kernel {
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
