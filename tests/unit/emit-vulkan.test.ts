// What the SPIR-V emitter writes is valid, and computes what the interpreter says for every statement, expression and dtype.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kernelModule } from "../../compiler/emit/vulkan/function.ts";
import { InternalError } from "../../compiler/base/diagnostics.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";
import { emitterSuite, probe } from "../support/emitter-suite.ts";
import { vulkanRunner } from "../support/vulkan-kernels.ts";

let folder = "";
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), "sluice-spirv-")); });
afterAll(() => rmSync(folder, { recursive: true }));

/** Throws what the validator says. */
function validate(kernels: readonly Kernel[]): void {
  for (const kernel of kernels) {
    const file = join(folder, "kernel.spv");
    writeFileSync(file, kernelModule(kernel).words);
    const { status, stdout, stderr } = spawnSync("spirv-val", ["--target-env", "vulkan1.2", file], { encoding: "utf8" });
    expect(status, `${kernel.name}: ${stdout}${stderr}`).toBe(0);
  }
}

describe("on a device", () => emitterSuite({
  runner: async kernels => {
    validate(kernels);
    return vulkanRunner(kernels);
  },
  // Mesa's lavapipe rounds an fma twice and has no atomics of 64 bits; a pipeline takes it a while.
  fused: "no", lanes: [1], roundsTwice: true, batch: 10, most: 10, atomics: ["i32", "u32", "f32"],
}));

it("flash attention, with shared memory and subgroups", async () => {
  const kernel = await probe("flash-attention");
  validate([kernel]);
});

it("refuses what it has no instructions for, by name", async () => {
  const kernel = await probe("gemm-fragments");
  expect(() => kernelModule(kernel)).toThrow(new InternalError("fragment in gemm fragments: not for Vulkan yet"));
});
