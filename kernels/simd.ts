// What generators for simd machines share: the types and widths of registers, and how many tasks are enough.
import { InternalError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { addSize, floorDivSize, type Size } from "../compiler/base/sizes.ts";
import { REGISTER_TYPE } from "../compiler/kernel/ir.ts";

/** Tasks that keep several workers busy. */
export const ENOUGH_TASKS = 8;

/** The dtype of local buffers: what registers hold. */
export function registerDType(d: DType): "f64" | "f32" | "i32" | "u32" {
  const r = REGISTER_TYPE[d];
  if (r === "f16" || r === "bool") throw new InternalError(`no arithmetic on ${d}`);
  return r;
}
/** Of the vectors that kernels use. */
export const lanesOf = (d: DType): number => (d === "f64" ? 2 : 4);
export const ceilDiv = (a: Size, b: number): Size => floorDivSize(addSize(a, b - 1), b);
/** Elements beyond the last that whole vectors reach. */
export const overhang = (elements: number, d: DType): number => Math.ceil(elements / lanesOf(d)) * lanesOf(d) - elements;
