// What the SPIR-V emitter writes is valid, and computes what the interpreter says for every statement, expression and dtype,
// with each set of features that the device has; what it has not is validated only.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CAPABILITY, OP } from "../../compiler/emit/vulkan/assembler.ts";
import { FEATURES, type Feature } from "../../compiler/emit/vulkan/features.ts";
import { type KernelModule, kernelModules } from "../../compiler/emit/vulkan/function.ts";
import { InternalError } from "../../compiler/base/diagnostics.ts";
import { floorDivSize } from "../../compiler/base/sizes.ts";
import { index, lt } from "../../compiler/kernel/expr.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { emitterCases, emitterSuite, probe } from "../support/emitter-suite.ts";
import { type Case, compare, poisoned, reals } from "../support/kernel-cases.ts";
import { vulkanRunner } from "../support/vulkan-kernels.ts";
import { simt, WORKGROUP_CASES } from "../support/workgroup-cases.ts";

let folder = "";
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), "sluice-spirv-")); });
afterAll(() => rmSync(folder, { recursive: true }));

/** Throws what the validator says of a kernel's modules. */
function validate(kernels: readonly Kernel[], modulesOf: (kernel: Kernel) => readonly KernelModule[] = kernelModules): void {
  for (const kernel of kernels) for (const { words, features } of modulesOf(kernel)) {
    const file = join(folder, "kernel.spv");
    writeFileSync(file, words);
    const { status, stdout, stderr } = spawnSync("spirv-val", ["--target-env", "vulkan1.2", file], { encoding: "utf8" });
    expect(status, `${kernel.name} with ${features.join()}: ${stdout}${stderr}`).toBe(0);
  }
}

// Mesa's lavapipe rounds an fma twice and has no atomics of 64 bits; a pipeline takes it a while.
const emitter = {
  runner: async (kernels: readonly Kernel[]) => {
    validate(kernels);
    return vulkanRunner(kernels);
  },
  fused: "no", lanes: [1], roundsTwice: true, batch: 10, most: 10, atomics: ["i32", "u32", "f32"],
} as const;
describe("tasks", () => emitterSuite(emitter));

describe("workgroups", () => {
  it.each(WORKGROUP_CASES.filter(([name]) => !/fragments|accumulators/.test(name)))("%s", (_, cases) => compare(cases(), emitter));

  it("flash attention, with shared memory and subgroups", async () => {
    const kernel = await probe("flash-attention");
    const dims = { A: 2, S: 5, T: 45 };
    const buffers = () => ({ q: reals(10 * 32, 7), k: reals(90 * 32, 8), v: reals(90 * 32, 9), o: poisoned(10 * 32) });
    const [want, got] = [buffers(), buffers()];
    interpretKernel(kernel, { buffers: want, dims, fused: false });
    await (await emitter.runner([kernel]))(0, got, dims);
    got.o.forEach((x, i) => expect(x).toBeCloseTo(want.o[i]!, 5));
  });
});

describe("features", () => {
  const featuresOf = (kernel: Kernel): readonly (readonly Feature[])[] => kernelModules(kernel).map(m => m.features);
  const named = (name: string): readonly Case[] => [...emitterCases(emitter), ...WORKGROUP_CASES].find(([n]) => n.includes(name))![1]();
  const [dots, sums, groups] = [named("sums of four bytes").slice(0, 1), named("atomics").filter(c => c.kernel.name.startsWith("atomic add f32")), named("exchanges and reductions")] as const;

  it("that a kernel has a use for make a module each, and the last needs none", () => {
    expect(featuresOf(dots[0]!.kernel)).toEqual([["dot8"], []]);
    expect(featuresOf(sums[0]!.kernel)).toEqual([["atomicAddF32"], []]);
    expect(groups.map(c => featuresOf(c.kernel).length)).toEqual(groups.map(c => (c.kernel.threads[0]!.extent === 64 ? 2 : 1)));
    expect(kernelModules(groups[0]!.kernel).map(m => m.subgroup)).toEqual([32, 0]);
    expect(named("unary operations").every(c => featuresOf(c.kernel).length === 1)).toBe(true);
    expect([...FEATURES].sort()).toEqual([...new Set([...dots, ...sums, ...groups].flatMap(c => featuresOf(c.kernel).flat()))].sort());
  });

  it("have no other way where subgroups act without the others of their workgroup", () => {
    const b = simt("apart");
    const y = b.param("y", "f32", [64], "readwrite");
    b.grid("i", 1);
    const t = b.thread("t", 64);
    b.if_(lt(index(floorDivSize(t, 32)), 1), () => b.store(y, [t], { kind: "subgroup_reduce", op: "add", x: b.load(y, [t]) }));
    const kernel = b.finish({ flops: 1 });
    validate([kernel]);
    expect(kernelModules(kernel).map(m => m.subgroup)).toEqual([32]);
  });

  const only = (choose: (modules: readonly KernelModule[]) => KernelModule) => ({ ...emitter, runner: (kernels: readonly Kernel[]) => vulkanRunner(kernels, all => [choose(all)]) });
  it("give the same numbers as the way without them", async () => {
    await compare([...dots, ...sums], only(all => all[0]!));
    await compare([...dots, ...sums], only(all => all.at(-1)!));
  });
  it("that the device has not are refused by name where there is no other way", () =>
    expect(compare(groups.slice(0, 1), only(all => all[0]!))).rejects.toThrow(/^error GPU004: kernel k0 does not run on the Vulkan device llvmpipe .*, which has no subgroups of 32\n/));
});

it("what the validation layers object to is an error", async () => {
  const [kernel] = emitterCases(emitter).find(([name]) => name.startsWith("loads and stores"))![1]().map(c => c.kernel).filter(k => k.name.includes("i8"));
  const undeclared = ({ words, ...rest }: KernelModule): KernelModule => ({ ...rest, words: words.map(word => (word === CAPABILITY.StorageBuffer8BitAccess ? CAPABILITY.Shader : word)) });
  const run = await vulkanRunner([kernel!], ([module]) => [undeclared(module!)]);
  await expect(run(0, { x: new Int8Array(96), y: new Int8Array(96) })).rejects.toThrow(/^error GPU007: Vulkan's validation layers object\n {2}found: .*capability/s);
});

describe("fragments", () => {
  const kernels = async (): Promise<readonly Kernel[]> =>
    [await probe("gemm-fragments"), ...WORKGROUP_CASES.filter(([name]) => /fragments|accumulators/.test(name)).flatMap(([, cases]) => cases()).map(c => c.kernel).filter(k => /f16|i8|store f32/.test(k.name) && !k.name.includes("bf16"))];

  it("are cooperative matrices by NVIDIA's extension, valid to the validator, which knows it", async () => validate(await kernels(), k => [kernelModules(k)[1]!]));

  /** How many words the instructions of a function have, by what they are. */
  const lengthsByOp = ({ words }: KernelModule): Map<number, number[]> => {
    const lengths = new Map<number, number[]>();
    for (let at = 5; at < words.length; at += words[at]! >>> 16) {
      const op = words[at]! & 0xffff;
      if (op >= OP.Function) lengths.set(op, [...(lengths.get(op) ?? []), words[at]! >>> 16]);
    }
    return lengths;
  };
  it("are the same by the Khronos extension, which the validator is too old for: instruction for instruction, with the words that each has", async () => {
    const PAIRS = new Map<number, number>([[OP.CooperativeMatrixLoadKHR, OP.CooperativeMatrixLoadNV], [OP.CooperativeMatrixStoreKHR, OP.CooperativeMatrixStoreNV], [OP.CooperativeMatrixMulAddKHR, OP.CooperativeMatrixMulAddNV], [OP.TypeCooperativeMatrixKHR, OP.TypeCooperativeMatrixNV]]);
    for (const kernel of await kernels()) {
      const [khr, nv] = kernelModules(kernel).map(lengthsByOp) as [Map<number, number[]>, Map<number, number[]>];
      expect(new Set(khr.get(OP.TypeCooperativeMatrixKHR))).toEqual(new Set([7]));
      for (const [op, lengths] of khr) {
        if (op === OP.TypeCooperativeMatrixKHR) continue;
        // Products of integers say that these have signs.
        const more = op === OP.CooperativeMatrixMulAddKHR && kernel.name.includes("i8") ? 1 : 0;
        expect(lengths, `${kernel.name}: ${op}`).toEqual(nv.get(PAIRS.get(op) ?? op)?.map(n => n + more));
      }
    }
  });

  it("are refused by name where the device has no such matrices, and where no device has", async () => {
    await expect(vulkanRunner([await probe("gemm-fragments")])).rejects.toThrow(/^error GPU004: kernel k0 does not run on the Vulkan device .*, which has no .*cooperative matrices/);
    const brain = WORKGROUP_CASES[0]![1]().find(c => c.kernel.name.includes("bf16"))!.kernel;
    expect(() => kernelModules(brain)).toThrow(new InternalError("fragment fx of bf16: devices have no such factors on Vulkan"));
  });
});
