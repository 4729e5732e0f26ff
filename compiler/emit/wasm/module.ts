// Kernel IR to WebAssembly: the kernels of a program as one module for each kind of engine. A module imports its memory as
// env.memory and exports the kernels as k0, k1, …, with the parameters that plan/schedule describes. Only binaryen's
// construction and encoding are used: the code is written as it should be, and engines optimise the rest.
import type binaryen from "binaryen";
import { InternalError } from "../../base/diagnostics.ts";
import type { Size } from "../../base/sizes.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { WasmModule } from "../../../runtime/program.ts";
import type { Ref, Target } from "./code.ts";
import { addKernel } from "./function.ts";
import { addRemainder } from "./remainder.ts";

export interface WasmVariant {
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** Pages of 64 KiB that 32-bit addresses reach. */
const MAX_PAGES = 65536;

/** Every variant has all kernels, in order. */
export async function emitWasm(kernels: readonly Kernel[], variants: readonly WasmVariant[]): Promise<WasmModule[]> {
  const { default: b } = await import("binaryen");
  return variants.map(variant => {
    const m = new b.Module();
    try {
      m.setFeatures(b.Features.All);
      m.setMemory(1, MAX_PAGES, null, [], variant.shared, false, "0");
      m.addMemoryImport("0", "env", "memory", variant.shared);
      const target = targetOf(b, m, variant);
      const scratch = kernels.map((kernel, k): Size => addKernel(target, kernel, `k${k}`));
      return { ...variant, bytes: m.emitBinary(), scratch };
    } finally {
      m.dispose();
    }
  });
}

/** What binaryen's typed interface leaves out. */
interface Untyped {
  readonly _BinaryenSIMDTernary?: (module: number, op: number, a: Ref, b: Ref, c: Ref) => Ref;
  readonly _BinaryenBinary?: (module: number, op: number, a: Ref, b: Ref) => Ref;
}

function targetOf(b: typeof binaryen, m: binaryen.Module, { relaxed, shared }: WasmVariant): Target {
  const { _BinaryenSIMDTernary: ternary, _BinaryenBinary: binary } = b as unknown as Untyped;
  if (!ternary || !binary) throw new InternalError("this version of binaryen makes no relaxed operations");
  let remainder: string | undefined;
  return {
    b, m, relaxed, shared,
    fusedMultiplyAdd: (scalar, x, y, z) => ternary(m.ptr, scalar === "f64" ? b.RelaxedMaddVecF64x2 : b.RelaxedMaddVecF32x4, x, y, z),
    laneSelect: (yes, no, mask) => (relaxed ? ternary(m.ptr, b.RelaxedLaneselectI32x4, yes, no, mask) : m.v128.bitselect(yes, no, mask)),
    swizzle: (table, index) => (relaxed ? binary(m.ptr, b.RelaxedSwizzleVecI8x16, table, index) : m.i8x16.swizzle(table, index)),
    remainder: () => (remainder ??= addRemainder(b, m)),
  };
}
