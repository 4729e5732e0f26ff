// What the WebAssembly emitter writes computes what the interpreter says, for every statement, expression and dtype.
import { describe, expect, it } from "vitest";
import { dimSize, evaluateSize } from "../../compiler/base/sizes.ts";
import type { WasmVariant } from "../../compiler/emit/wasm/instructions.ts";
import { emitWasm } from "../../compiler/emit/wasm/module.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import { emitterSuite, probe } from "../support/emitter-suite.ts";
import { wasmRunner } from "./wasm-kernel.ts";

const VARIANTS: readonly WasmVariant[] = [{ relaxed: false, shared: false }, { relaxed: true, shared: true }];
const named = VARIANTS.map(v => [`${v.relaxed ? "relaxed" : "plain"}, ${v.shared ? "shared" : "unshared"}`, v] as const);

describe.each(named)("%s", (_, variant) => emitterSuite({
  runner: kernels => wasmRunner(kernels, variant), fused: variant.relaxed ? "vectors" : "no", lanes: [1, 2, 3, 4, 8, 12], roundsTwice: true, batch: 1,
}));

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
    const modules = emitWasm([kernel], variants);
    for (const [i, variant] of variants.entries()) {
      expect(modules[i]).toMatchObject(variant);
      expect(modules[i]!.bytes).toEqual(emitWasm([kernel], [variant])[0]!.bytes);
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
  const [module] = emitWasm([k.finish({ flops: 1 })], [VARIANTS[0]!]);
  expect([1, 16, 17, 99].map(value => evaluateSize(module!.scratch[0]!, { n: value }))).toEqual([64 + 128, 64 + 128, 128 + 128, 448 + 128]);
});
