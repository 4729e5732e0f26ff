// What generators for simd machines share: the types and widths of registers, and how many tasks are enough.
import { InternalError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { addSize, floorDivSize, maxSize, mulSize, type Size, subSize } from "../compiler/base/sizes.ts";
import { REGISTER_TYPE } from "../compiler/kernel/ir.ts";
import type { SimdMachine } from "../compiler/kernel/machines.ts";
import type { KernelBuilder } from "./builder.ts";

/** Tasks that keep several workers busy. */
export const ENOUGH_TASKS = 8;

/** The dtype of local buffers: what registers hold. */
export function registerDType(d: DType): "f64" | "f32" | "i32" | "u32" {
  const r = REGISTER_TYPE[d];
  if (r === "f16" || r === "bool") throw new InternalError(`no arithmetic on ${d}`);
  return r;
}
/** Of a whole vector register. */
export const lanesOf = ({ vectorBits }: SimdMachine, d: DType): number => Math.max(1, vectorBits / (d === "f64" ? 64 : 32));
/** Of a vector that is no wider than so few elements ask for. */
export function lanesUpTo(count: number, machine: SimdMachine, d: DType): number {
  let lanes = lanesOf(machine, d);
  while (lanes > 4 && lanes / 2 >= count) lanes /= 2;
  return lanes;
}
/** Lanes of vectors over a group's input channels; null where vectors run over its outputs, of which there are enough. */
export function lanesOverInputs(machine: SimdMachine, d: DType, inputs: number, outputs: number): number | null {
  if (outputs > 4 || inputs < 8) return null;
  return [16, 8, 4].find(n => n <= lanesOf(machine, d) && inputs % n === 0) ?? null;
}
/** Whether pixels of so many channels are better taken in runs of whole vectors, across pixels. */
export const goesInRuns = (channels: number): boolean => channels >= 2 && channels <= 4;
/** Runs of whole vectors over so many pixels, and then the pixels that are left. */
export function eachRun(k: KernelBuilder, pixels: Size, channels: number, lanes: number, run: (x: Size, first: number) => void, pixel: (x: Size) => void): void {
  const whole = mulSize(floorDivSize(pixels, lanes), lanes);
  if (whole !== 0) k.for_("x", whole, x => { for (let v = 0; v < channels; v++) run(x, v * lanes); }, { step: lanes });
  if (subSize(pixels, whole) !== 0) k.for_("x", pixels, pixel, { from: maxSize(0, whole) });
}
/** Whole vectors of a pixel's channels, copied out where they are few. */
export function eachVector(k: KernelBuilder, channels: number, lanes: number, body: (c: Size) => void): void {
  if (channels <= 8 * lanes) k.unroll("c", channels, body, { step: lanes });
  else k.for_("c", channels, body, { step: lanes });
}
/** All channels of a pixel, in vectors of `lanes` and narrower ones for what they leave. */
export function eachPart(k: KernelBuilder, channels: number, lanes: number, body: (c: Size, lanes: number) => void): void {
  const whole = channels - (channels % lanes);
  if (whole > 0) eachVector(k, whole, lanes, c => body(c, lanes));
  for (const rest of restOf(channels, lanes)) body(rest.from, rest.lanes);
}
/** What is left of so many elements after whole vectors, as narrower ones: halves while they fit, then the last three or fewer. */
export function restOf(count: number, lanes: number): { readonly from: number; readonly lanes: number }[] {
  const parts: { from: number; lanes: number }[] = [];
  let from = count - (count % lanes);
  for (let n = lanes / 2; from < count; n /= 2) {
    const width = n >= 4 ? n : count - from;
    if (width > count - from) continue;
    parts.push({ from, lanes: width });
    from += width;
  }
  return parts;
}
export const ceilDiv = (a: Size, b: number): Size => floorDivSize(addSize(a, b - 1), b);
/** Elements beyond the last that whole vectors reach. */
export const overhang = (elements: number, lanes: number): number => Math.ceil(elements / lanes) * lanes - elements;
