// Kernel text parses back to the identical kernel, and a wrong text is refused with its place.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { dimSize, floorDivSize, minSize, modSize, subSize } from "../../compiler/base/sizes.ts";
import { add, bitcast, cast, constant, dot4, fma, horizontal, index, lane, lanesFrom0, lookup16, lt, max, min, mul, select, shuffle, splat } from "../../compiler/kernel/expr.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { parseKernel } from "../../compiler/kernel/parse.ts";
import { kernelText, numberText } from "../../compiler/kernel/text.ts";
import { KernelBuilder } from "../../kernels/builder.ts";

const probes = new URL("../probes/", import.meta.url);

function everything(): Kernel {
  const n = dimSize("n");
  const k = new KernelBuilder({
    name: "every \"kind\"", machine: "simt", summary: "", dims: [{ name: "n", binding: "instance", min: 32, max: 4096, multipleOf: 32 }], spans: [{ file: "a b.ts", line: 3, column: 7 }],
  });
  const a = k.param("a", "f32", [n, n]);
  const q = k.param("q", "i4", [n]);
  const y = k.param("y.out", "f32", [n, n], "readwrite");
  const i = k.grid("i", floorDivSize(n, 32));
  const t = k.thread("t", 32);
  const shared = k.alloc("tile", "f16", [32, 32], "shared", { swizzle: 8 });
  const acc = k.tile("acc", "f32", [2], 4);
  const v = k.load(a, [i, minSize(t, subSize(n, 4))], 4);
  const at = k.index("at", max(min(k.load(q, [t]), subSize(n, 1)), 0));
  k.store(acc, [0], fma(v, 2, -0.1));
  k.store(acc, [1], select(lt(v, 0), constant("f32", NaN), -Infinity));
  const g = k.gather(a, [at, add(splat(index(minSize(modSize(at, 8), at)), 4), lanesFrom0(4))]);
  const m = k.mutable("m", horizontal("max", shuffle(g, v, [0, 4, 1, 5])));
  k.while_(lt(m, 10), () => k.assign(m, add(mul(m, 2), lane(k.load(acc, [1]), 2))));
  const bits = k.let_("bits", bitcast("i32", cast("f32", dot4(k.load(q, [t]), 3, index(at)))));
  k.if_(lt(t, 8), () => k.atomic("add", y, [i, t], lookup16("f32", Array.from({ length: 16 }, (_, j) => j / 10), bits)), () => k.store(y, [at, t], m));
  k.asyncCopy(shared, [t, 0], a, [t, 0], 4);
  k.asyncCommit();
  k.asyncWait(0);
  k.barrier();
  k.barrier("subgroup");
  const d = k.fragment("d", "accumulator", "f32", 16, 16, 16);
  const fa = k.fragment("fa", "a", "f16", 16, 16, 16);
  k.fragmentFill(d, -0);
  k.fragmentLoad(fa, shared, [0, 0], "column");
  k.fragmentMma(d, fa, fa);
  k.fragmentStore(d, y, [0, 0]);
  k.for_("r", n, r => k.store(y, [r, t], { kind: "subgroup_reduce", op: "max", x: { kind: "subgroup_xor", x: m, mask: 16 } }), { from: 2, step: 3 });
  return k.finish({ flops: n });
}

describe("kernel text", () => {
  it("reads back to the identical kernel with every statement and expression in it", async () => {
    const kernel = everything();
    expect(await parseKernel(kernelText(kernel))).toEqual(kernel);
  });
  it.each(readdirSync(probes))("round-trips the probe %s", async file => {
    const kernel = await parseKernel(readFileSync(new URL(file, probes), "utf8"), file);
    const text = kernelText(kernel);
    expect(await parseKernel(text)).toEqual(kernel);
    expect(kernelText(await parseKernel(text))).toBe(text);
  });
  it("tells values from indices by `index`", async () => {
    const kernel = everything();
    const text = kernelText(kernel);
    expect(text).toContain("index(at)");
    expect(text).toContain("index(min(at, mod(at, 8)))");
  });
  it("writes numbers shortly and exactly", () => {
    expect([Math.fround(0.1), 1 / 3, -0, NaN, 1e30, 16777216].map(numberText)).toEqual(["0.1", String(1 / 3), "-0", "nan", "1e+30", "16777216"]);
  });
});

const small = (body: string): string => `kernel "k" simd {\n  summary ""\n  flops 1\n  param a: f32[8] readwrite\n  grid i: 8\n  ${body}\n}\n`;
const failure = async (text: string): Promise<string> => {
  try {
    await parseKernel(text, "k.slk");
  } catch (e) {
    if (e instanceof SluiceError) return e.message;
    throw e;
  }
  throw new Error("was read");
};

describe("errors", () => {
  it("show of a long line what is near", async () => {
    const lines = (await failure(small(`a[i] = ${"(".repeat(50_000)}`))).split("\n");
    expect(lines[1]).toMatch(/^6 \| …\(+…$/);
    expect(lines[1]!.length).toBeLessThan(130);
    expect(lines[2]!.indexOf("^") - lines[1]!.indexOf("…")).toBe(61);
  });
  it.each([
    ["a missing bracket", "a[i = f32(1)", "k.slk:6:7", "`=`"],
    ["an unknown name", "a[i] = b", "k.slk:6:10", "no name b"],
    ["an unknown buffer", "b[i] = f32(1)", "k.slk:6:3", "no buffer b"],
    ["an unknown function", "a[i] = plus(a[i], a[i])", "k.slk:6:10", "no function plus"],
    ["a wrong operand count", "a[i] = fma(a[i], a[i])", "k.slk:6:10", "fma takes 3 operands"],
    ["memory in an index", "a[i + a[i]] = f32(1)", "k.slk:6:9", "memory cannot be read"],
    ["a character of no token", "a[i] = f32(1) @", "k.slk:6:17", "begins nothing"],
    ["nesting that is too deep", `a[i] = ${"(".repeat(50_000)}`, "k.slk:6:", "nested too deeply"],
    ["signs that are too many", `a[${"- ".repeat(50_000)}i] = f32(1)`, "k.slk:6:", "nested too deeply"],
    ["an escape that no text has", "span \"\\q\" 1 1", "k.slk:6:8", "this text cannot be read"],
    ["an unclosed text", "span \"a", "k.slk:6:8", "this text cannot be read"],
    ["a text that ends early", "for j in 0 .. 8 {", "k.slk:", "the end of the text"],
  ])("place %s", async (_, body, at, message) => {
    const text = await failure(small(body));
    expect(text).toContain(at);
    expect(text).toContain(message);
    expect(text).toMatch(/\n.*\^/);
  });
});
