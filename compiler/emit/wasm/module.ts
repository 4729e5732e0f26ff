// Kernel IR to WebAssembly: the kernels of a program as one module for each kind of engine. A module imports its memory as
// env.memory and exports the kernels as k0, k1, …, with the parameters that plan/schedule describes. Only binaryen's
// construction and encoding are used: the code is written as it should be, and engines optimise the rest.
import type binaryen from "binaryen";
import { InternalError } from "../../base/diagnostics.ts";
import type { Size } from "../../base/sizes.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { WasmCode } from "../../../runtime/program.ts";
import type { Ref, Target } from "./code.ts";
import { addKernel } from "./function.ts";
import { addRemainder } from "./remainder.ts";

export interface WasmVariant {
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** Pages of 64 KiB that 32-bit addresses reach. */
const MAX_PAGES = 65536;

interface Built {
  readonly variant: WasmVariant;
  readonly m: binaryen.Module;
  readonly scratch: readonly Size[];
  /** Whether the code differs for shared and unshared memory. */
  readonly isBoundToMemory: boolean;
}

/** Every variant has all kernels, in order. */
export async function emitWasm(kernels: readonly Kernel[], variants: readonly WasmVariant[]): Promise<WasmCode[]> {
  const { default: b } = await import("binaryen");
  const built: Built[] = [];
  try {
    return variants.map(variant => {
      const fits = ({ variant: made, isBoundToMemory }: Built): boolean => made.relaxed === variant.relaxed && (!isBoundToMemory || made.shared === variant.shared);
      let module = built.find(fits);
      if (module) importMemory(module.m, variant.shared);
      else built.push(module = buildModule(b, kernels, variant));
      return { ...variant, bytes: module.m.emitBinary(), scratch: module.scratch };
    });
  } finally {
    for (const { m } of built) m.dispose();
  }
}

function buildModule(b: typeof binaryen, kernels: readonly Kernel[], variant: WasmVariant): Built {
  const m = new b.Module();
  m.setFeatures(b.Features.All);
  importMemory(m, variant.shared);
  let isBoundToMemory = false;
  const isShared = (): boolean => {
    isBoundToMemory = true;
    return variant.shared;
  };
  const target = targetOf(b, m, variant.relaxed, isShared);
  const scratch = kernels.map((kernel, k) => addKernel(target, kernel, `k${k}`));
  return { variant, m, scratch, isBoundToMemory };
}

/** Sets what memory the module imports. */
function importMemory(m: binaryen.Module, shared: boolean): void {
  m.setMemory(1, MAX_PAGES, null, [], shared, false, "0");
  m.addMemoryImport("0", "env", "memory", shared);
}

/** What binaryen's typed interface leaves out. */
interface Untyped {
  readonly _BinaryenSIMDTernary?: (module: number, op: number, a: Ref, b: Ref, c: Ref) => Ref;
  readonly _BinaryenBinary?: (module: number, op: number, a: Ref, b: Ref) => Ref;
}

function targetOf(b: typeof binaryen, m: binaryen.Module, relaxed: boolean, isShared: () => boolean): Target {
  const { _BinaryenSIMDTernary: ternary, _BinaryenBinary: binary } = b as unknown as Untyped;
  if (!ternary || !binary) throw new InternalError("this version of binaryen makes no relaxed operations");
  let remainder: string | undefined;
  return {
    b, m, relaxed, isShared,
    fusedMultiplyAdd: (scalar, x, y, z) => ternary(m.ptr, scalar === "f64" ? b.RelaxedMaddVecF64x2 : b.RelaxedMaddVecF32x4, x, y, z),
    laneSelect: (yes, no, mask) => (relaxed ? ternary(m.ptr, b.RelaxedLaneselectI32x4, yes, no, mask) : m.v128.bitselect(yes, no, mask)),
    swizzle: (table, index) => (relaxed ? binary(m.ptr, b.RelaxedSwizzleVecI8x16, table, index) : m.i8x16.swizzle(table, index)),
    remainder: () => (remainder ??= addRemainder(b, m)),
  };
}
