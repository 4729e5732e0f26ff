// Scalars of procedures are the same to the last bit in TypeScript and in C++, and exp, log and pow are right to 1 ulp.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeContainer } from "../../compiler/container/write.ts";
import type { Procedure, ScalarBinary, ScalarExpr, ScalarUnary } from "../../compiler/plan/procedure.ts";
import { writeSafetensors } from "../../runtime/io/safetensors.ts";
import { load } from "../../runtime/index.ts";
import { exp, log, pow } from "../../runtime/scalar-math.ts";
import { type HostTensor, tensorOfNumbers } from "../../runtime/tensor.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { sample, sampleCpuModule, sampleModule } from "./runtime-sample.ts";

const COUNT = 120_000;
const UNARY: readonly ScalarUnary[] = ["neg", "abs", "not", "floor", "sqrt", "exp", "log", "to_i32", "to_f32"];
const BINARY: readonly ScalarBinary[] = ["add", "sub", "mul", "div", "mod", "pow", "max", "min", "eq", "ne", "lt", "le", "gt", "ge", "and", "or"];
const SPECIALS = [
  0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, 1e308, -1e308, Infinity, -Infinity, Number.NaN, 5e-324, -5e-324, 2.2250738585072014e-308, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, 2 ** 53 + 2, 1e21,
  709.782712893384, 709.78271289338409, -745.1332191019411, -745.1332191019412, -708.4, 1 + 2 ** -52, 1 - 2 ** -53, 1 + 2 ** -21, 1 - 2 ** -22, Math.SQRT2, Math.E, Math.LN2, 1024, -1074, -1075, 1 / 3,
];

/** Numbers of every size: bits at random, and values of the sizes that programs have. The same on every run. */
function numbers(seed: number): number[] {
  let state = seed;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  const words = new Uint32Array(2);
  const double = new Float64Array(words.buffer);
  return Array.from({ length: COUNT }, (_, i) => {
    words[0] = next();
    words[1] = next();
    const share = next() / 2 ** 32 - 0.5;
    return i % 4 === 0 ? double[0]! : i % 4 === 1 ? share * 1500 : i % 4 === 2 ? share * 8 : 1 + share * 2 ** -(i % 40);
  });
}
const pairs = SPECIALS.flatMap(a => SPECIALS.map(b => [a, b] as const));
const xs = [...pairs.map(([a]) => a), ...numbers(1)];
const ys = [...pairs.map(([, b]) => b), ...numbers(2)];

const slot = (n: number): ScalarExpr => ({ kind: "slot", slot: n });
const at = (list: number): ScalarExpr => ({ kind: "list_at", list, index: slot(4) });
/** Emits every op of all the numbers, as f64. */
const procedure: Procedure = {
  name: "all", slots: 6, args: [{ name: "from", kind: "file", help: "", slot: 0 }],
  body: [
    { kind: "read", path: [{ slot: 0 }], tensors: [{ name: "x", dtype: "f64", shape: [xs.length], slot: 1 }, { name: "y", dtype: "f64", shape: [xs.length], slot: 2 }] },
    { kind: "list_new", list: 3, dtype: "f64" }, { kind: "list_push", list: 3, value: { tensor: 1 } },
    { kind: "list_new", list: 5, dtype: "f64" }, { kind: "list_push", list: 5, value: { tensor: 2 } },
    ...[
      ...UNARY.map((op): [string, ScalarExpr] => [op, { kind: "unary", op, x: at(3) }]),
      ...BINARY.map((op): [string, ScalarExpr] => [op, { kind: "binary", op, a: at(3), b: at(5) }]),
    ].flatMap(([name, value]): Procedure["body"] => [
      { kind: "list_new", list: 1, dtype: "f64" },
      { kind: "repeat", count: { kind: "const", value: xs.length }, index: 4, body: [{ kind: "list_push", list: 1, value: { scalar: value } }] },
      { kind: "list_range", list: 1, start: { kind: "const", value: 0 }, length: { kind: "list_length", list: 1 }, slot: 2 },
      { kind: "emit", name, value: { tensor: 2 } },
    ]),
  ],
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-scalars-"));
  await nodeFiles.write(join(folder, "numbers.safetensors"), writeSafetensors("numbers", new Map([["x", tensorOfNumbers("f64", [xs.length], xs)], ["y", tensorOfNumbers("f64", [ys.length], ys)]])));
});
afterAll(() => rm(folder, { recursive: true }));

async function results(target: "wasm" | "cpu"): Promise<Map<string, HostTensor["data"]>> {
  const modules = target === "wasm" ? [sampleModule(true)] : [await sampleCpuModule()];
  const program = await load(writeContainer({ ...sample, procedures: [procedure] }, modules), { target, trust: true, threads: 1 });
  const found = new Map<string, HostTensor["data"]>();
  try {
    for await (const { name, value } of program.run("all", { from: join(folder, "numbers.safetensors") })) if (typeof value === "object") found.set(name, value.data);
  } finally {
    await program.close();
  }
  return found;
}

test(`${COUNT} numbers and all pairs of ${SPECIALS.length} special ones: every op gives the same bits in TypeScript and in C++`, async () => {
  const [ours, native] = [await results("wasm"), await results("cpu")];
  expect([...ours.keys()]).toEqual([...UNARY, ...BINARY]);
  for (const [op, values] of ours) {
    const other = native.get(op)!;
    expect(values.length).toBe(xs.length);
    const wrong = [...values].findIndex((value, i) => !Object.is(value, other[i]));
    expect(wrong < 0 ? "none differs" : `${op}(${xs[wrong]}, ${ys[wrong]}) is ${values[wrong]} and ${other[wrong]}`).toBe("none differs");
  }
});

/** Doubles from one to the other. */
function ulps(a: number, b: number): number {
  const bits = new BigInt64Array(Float64Array.of(a, b).buffer);
  const [p, q] = [...bits].map(v => (v < 0n ? -(v & 0x7fffffffffffffffn) : v)) as [bigint, bigint];
  return Object.is(a, b) ? 0 : Number(p > q ? p - q : q - p);
}

describe("exp, log and pow", () => {
  test("are within 1 ulp of the engine's, which are within 1 of the truth", () => {
    const worst = { exp: 0, log: 0, pow: 0 };
    xs.forEach((x, i) => {
      worst.exp = Math.max(worst.exp, ulps(exp(x), Math.exp(x)));
      worst.log = Math.max(worst.log, ulps(log(x), Math.log(x)));
      worst.pow = Math.max(worst.pow, ulps(pow(x, ys[i]!), x ** ys[i]!));
    });
    expect(worst).toEqual({ exp: expect.closeTo(0, 0), log: expect.toSatisfy(x => x <= 1), pow: expect.toSatisfy(x => x <= 1) });
  });

  test("are exact where the result is a number of few digits", () => {
    expect([exp(0), exp(1), log(1), log(Math.E)]).toEqual([1, Math.E, 0, 1]);
    expect([pow(2, 10), pow(10, 22), pow(3, 33), pow(2, -1074), pow(2, 1023), pow(-2, 3), pow(-2, -2), pow(1.5, 2), pow(0.25, 0.5)])
      .toEqual([1024, 1e22, 5559060566555523, 5e-324, 2 ** 1023, -8, 0.25, 2.25, 0.5]);
    expect([pow(Number.NaN, 0), pow(1, Infinity), pow(-0, 3), pow(-0, -3), pow(-8, 1 / 3), pow(-Infinity, 3)]).toEqual([1, Number.NaN, -0, -Infinity, Number.NaN, -Infinity]);
  });
});
