// What the C emitter writes computes what the interpreter says, for every statement, expression and dtype, to the last bit.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { InternalError } from "../../compiler/base/diagnostics.ts";
import { addSize, dimSize, floorDivSize, modSize, mulSize, subSize } from "../../compiler/base/sizes.ts";
import { FileCache } from "../../compiler/emit/cpu/cache.ts";
import { type CompileCpuOptions, compileCpu } from "../../compiler/emit/cpu/compile.ts";
import { requireCompiler, runCompiler } from "../../compiler/emit/cpu/compiler.ts";
import { cpuTargetText, machineOptions, nativeTarget, parseCpuTarget, runsHere, targetOfFlags } from "../../compiler/emit/cpu/level.ts";
import { libraryText } from "../../compiler/emit/cpu/library.ts";
import { emitC } from "../../compiler/emit/cpu/source.ts";
import { index, mul } from "../../compiler/kernel/expr.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import { emitterSuite, probe } from "../support/emitter-suite.ts";
import { compare, randomKernel } from "../support/kernel-cases.ts";
import { cpuRunner, TEST_CACHE } from "../support/native-kernels.ts";

const LANES = [1, 2, 3, 4, 6, 8, 12, 16];
const suite = (options: CompileCpuOptions, lanes: readonly number[] = LANES): void =>
  emitterSuite({ runner: kernels => cpuRunner(kernels, options), fused: "all", lanes, roundsTwice: false, batch: 10 });
const v4 = { level: "v4", features: ["vnni"] } as const;

describe("cpu:v3", () => suite({ level: "v3", features: [] }));
// Each skipped where this machine lacks it: v4 code runs where there is AVX-512.
describe.skipIf(!runsHere(v4))("cpu:v4+vnni", () => suite(v4, [1, 3, 6, 16, 24]));

it("statements of random kernels have no undefined behaviour", async () => {
  const kernels = Array.from({ length: 12 }, (_, seed) => randomKernel(seed, [1, 4, 8][seed % 3]!));
  const flags = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"];
  await compare(kernels.map(kernel => ({ kernel, dims: { n: 3 } })), { runner: all => cpuRunner(all, { level: "v3", features: [], flags }), fused: "all" });
});

it("a quotient that cannot be negative may stand in a difference that is", async () => {
  const k = new KernelBuilder({ name: "quotients", machine: "simd", summary: "", dims: [{ name: "n", binding: "call", min: 1, max: 9, multipleOf: 1 }] });
  const y = k.param("y", "i32", [4], "write");
  const i = k.grid("i", 4);
  k.store(y, [i], index(floorDivSize(subSize(addSize(floorDivSize(i, dimSize("n")), modSize(i, addSize(dimSize("n"), 1))), 5), 2)));
  await compare([{ kernel: k.finish({ flops: 1 }), dims: { n: 2 } }], { runner: all => cpuRunner(all, { level: "v3", features: [] }), fused: "all" });
});

it("places that an unrolled loop reaches by the same names are each copy's own", async () => {
  const k = new KernelBuilder({ name: "turned", machine: "simd", summary: "" });
  const [x, y] = [k.param("x", "f32", [8, 4]), k.param("y", "f32", [8, 4], "write")];
  const i = k.grid("i", 8);
  k.unroll("c", 4, c => {
    const column = k.index("column", modSize(addSize(i, c), 4));
    k.store(y, [i, column], mul(k.load(x, [i, column]), 2));
  });
  await compare([{ kernel: k.finish({ flops: 32 }), dims: {} }], { runner: all => cpuRunner(all, { level: "v3", features: [] }), fused: "all" });
});

const scale = (factor: number): Kernel => {
  const k = new KernelBuilder({ name: "scale", machine: "simd", summary: `y = ${factor}·x`, spans: [{ file: "model.ts", line: 7, column: 3 }] });
  const [x, y] = [k.param("x", "f32", [64]), k.param("y", "f32", [64], "write")];
  const i = mulSize(k.grid("i", 8), 8);
  k.store(y, [i], mul(k.load(x, [i], 8), factor));
  return k.finish({ flops: 64 });
};

describe("source", () => {
  const options = { level: "v3", features: [], units: 1, intrinsics: false } as const;

  it("names the kernel, the user's line and the kernel's own names", () => {
    const [unit] = emitC([scale(3)], options).units;
    expect(unit).toContain("// scale: y = 3·x\n//   model.ts:7:3\n//   tasks: i < 8\n");
    expect(unit).toContain("for (int64_t i = low; i < high; i++) {");
    expect(unit).toContain("y_at1 = y + 4 * (8 * i);\n    store_f32x8(y_at1, ");
  });

  it("compiles as vectors of 512 bits with every feature", async () => {
    const kernels = await Promise.all(["gemm-6x8", "noiser-second-pass", "gemv-int4"].map(probe));
    for (const features of [[], ["vnni", "bf16"]] as const) {
      const { bytes } = await compileCpu([...kernels, scale(3)], { level: "v4", features, cache: TEST_CACHE });
      expect([...bytes.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
    }
  });

  it.each([false, true])("has every instruction that a level has, by intrinsics: %s", async intrinsics => {
    const compiler = await requireCompiler();
    const floats = ["fma", "below", "above", "sqrt", "round_even", "floor", "ceil", "trunc", "select", "min", "max", "abs"];
    const of = (bits: number): string[] => {
      const n = bits / 32;
      return [
        ...floats.flatMap(op => [`${op}_f32x${n}`, `${op}_f64x${n / 2}`]), ...["i32", "u32"].flatMap(t => ["min", "max", "select", "mulhi"].map(op => `${op}_${t}x${n}`)),
        ...["f16", "bf16", "i16", "u16", "i8", "u8", "b8", "i4"].flatMap(d => [`load_${d}x${n}`, `store_${d}x${n}`]), `half_f32x${n}`, `dot4_i32x${n}`, `lookup_i32x${n}`,
        ...["i32", "u32"].flatMap(t => [`${t}_of_f32x${n}`, `${t}_of_f64x${n / 2}`]),
      ];
    };
    for (const { bits, target, vnni } of [
      { bits: [128, 256], target: { level: "v3", features: [] }, vnni: false }, { bits: [128, 256, 512], target: { level: "v4", features: [] }, vnni: false },
      { bits: [128, 256, 512], target: { level: "v4", features: ["vnni"] }, vnni: true },
    ] as const) {
      const text = libraryText(bits.flatMap(of).map(name => `${name}()`).join(" "), { intrinsics, vnni });
      const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
      writeFileSync(join(folder, "library.c"), text.replace("#define INLINE static inline __attribute__((always_inline))", "#define INLINE __attribute__((used)) static"));
      expect(await runCompiler(compiler, ["-std=gnu11", "-O1", "-w", ...machineOptions(target), "-c", "library.c"], folder)).toBeUndefined();
      rmSync(folder, { recursive: true });
    }
  });

  it("refuses what only workgroups have", async () => {
    const kernel = await probe("gemm-fragments");
    expect(() => emitC([kernel], options)).toThrow("is for simt machines");
  });

  it("imports nothing but memcpy and memset", async () => {
    const { bytes } = await compileCpu(await Promise.all(["gemm-6x8", "gemv-int4"].map(probe)), { level: "v3", features: [], cache: TEST_CACHE });
    const file = join(mkdtempSync(join(tmpdir(), "sluice-test-")), "kernels.so");
    writeFileSync(file, bytes);
    const imported = execFileSync("nm", ["-D", "--undefined-only", file], { encoding: "utf8" }).trim().split("\n").map(line => line.replace(/^.*\sU\s|@.*$/g, "")).filter(name => name !== "");
    expect(["memcpy", "memset"]).toEqual(expect.arrayContaining(imported));
  });
});

describe("cache", () => {
  const cache = (): string => mkdtempSync(join(tmpdir(), "sluice-cache-"));

  it("gives the same bytes again without a compiler", async () => {
    const folder = cache();
    const first = await compileCpu([scale(3)], { level: "v3", features: [], cache: folder });
    const [name, ...others] = readdirSync(folder);
    expect(others).toEqual([]);
    // What a compiler makes is written as a new file.
    const file = (): number => statSync(join(folder, name!)).ino;
    const before = file();
    expect(await compileCpu([scale(3)], { level: "v3", features: [], cache: folder })).toEqual(first);
    expect(file()).toBe(before);
    expect(await compileCpu([scale(4)], { level: "v3", features: [], cache: folder })).not.toEqual(first);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it("takes a damaged file for none", async () => {
    const folder = cache();
    const first = await compileCpu([scale(3)], { level: "v3", features: [], cache: folder });
    const [name] = readdirSync(folder);
    const bytes = readFileSync(join(folder, name!));
    bytes[bytes.length - 9]! ^= 1;
    writeFileSync(join(folder, name!), bytes);
    expect(await compileCpu([scale(3)], { level: "v3", features: [], cache: folder })).toEqual(first);
  });

  it("removes what was used longest ago where all together is too much", async () => {
    const folder = cache();
    const files = new FileCache(folder, 2500);
    for (const key of ["a", "b"]) await files.write(key, new Uint8Array(1000).fill(key.charCodeAt(0)));
    const old = new Date(Date.now() - 60_000);
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), old, old);
    expect(await files.read("a")).toEqual(new Uint8Array(1000).fill(97));
    await files.write("c", new Uint8Array(1000));
    expect(await files.read("b")).toBeUndefined();
    expect([await files.read("a"), await files.read("c")]).toEqual([new Uint8Array(1000).fill(97), new Uint8Array(1000)]);
  });

  it("is no obstacle where it cannot be written", async () => {
    const { bytes } = await compileCpu([scale(5)], { level: "v3", features: [], cache: "/dev/null/nowhere" });
    expect(bytes.length).toBeGreaterThan(1000);
  });
});

describe("errors", () => {
  it("without a compiler, say what was looked for and how to get one", async () => {
    await expect(compileCpu([scale(3)], { level: "v3", features: [], cc: "/nowhere/cc", cache: null })).rejects.toThrow([
      "error CPU001: --target cpu needs a C compiler, and this machine has none",
      "  found:    no executable /nowhere/cc",
      "  expected: gcc 12 or clang 14, or newer",
      "  hint:     apt-get install gcc (Debian, Ubuntu), dnf install gcc (Fedora), apk add gcc (Alpine); --target wasm needs no compiler",
    ].join("\n"));
  });

  it("of the compiler keep the source", async () => {
    const failure = await compileCpu([scale(3)], { level: "v3", features: [], flags: ["-fno-such-flag"], cache: null }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(InternalError);
    const folder = /kept in (\S+):/.exec((failure as Error).message)![1]!;
    expect(readFileSync(join(folder, "unit0.c"), "utf8")).toContain("// scale: y = 3·x");
    rmSync(folder, { recursive: true });
  });

  it("of targets name what is wrong", () => {
    const expected = "cpu, cpu:native, cpu:v3, cpu:v4 or cpu:v4 with +vnni, +bf16";
    expect(() => parseCpuTarget("cpu:v2")).toThrow(`error CPU003: no CPU target cpu:v2\n  found:    level v2\n  expected: ${expected}`);
    expect(() => parseCpuTarget("cpu:v4+amx")).toThrow(`error CPU003: no CPU target cpu:v4+amx\n  found:    feature amx\n  expected: ${expected}`);
    expect(() => parseCpuTarget("cpu:v3+vnni")).toThrow(`error CPU003: no CPU target cpu:v3+vnni\n  found:    vnni with level v3\n  expected: ${expected}\n  hint:     vnni needs cpu:v4`);
    expect(() => parseCpuTarget("gpu")).toThrow("found:    gpu");
  });
});

it("targets are read, written and found out", () => {
  expect(parseCpuTarget("cpu:v4+bf16+vnni")).toEqual({ level: "v4", features: ["vnni", "bf16"] });
  expect(cpuTargetText({ level: "v4", features: ["vnni"] })).toBe("cpu:v4+vnni");
  expect(cpuTargetText(parseCpuTarget("cpu:v3"))).toBe("cpu:v3");
  const v3 = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"];
  const v4 = [...v3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];
  expect(targetOfFlags(new Set(["sse2"]))).toBeUndefined();
  expect(targetOfFlags(new Set(v3))).toEqual({ level: "v3", features: [] });
  expect(targetOfFlags(new Set([...v3, "avx512f", "avx512_vnni"]))).toEqual({ level: "v3", features: [] });
  expect(targetOfFlags(new Set([...v4, "avx512_vnni"]))).toEqual({ level: "v4", features: ["vnni"] });
  expect(runsHere(nativeTarget())).toBe(true);
});
