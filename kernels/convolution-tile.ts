// How a convolution is cut: its register tile, and the strips of columns whose rows stay in the first cache.
import type { Size } from "../compiler/base/sizes.ts";
import type { SimdMachine } from "../compiler/kernel/machines.ts";
import type { Convolution } from "./convolution.ts";
import { constantSize } from "./ring.ts";
import { lanesOf, lanesOverInputs, lanesUpTo, registerDType } from "./simd.ts";
import { isPairable, PLANES } from "./winograd.ts";

/** Pixels by vectors of output channels, or by output channels with vectors of input channels. */
export interface Tile {
  readonly over: "outputs" | "inputs";
  readonly pixels: number;
  /** Vectors of a block of output channels, or the output channels of a group. */
  readonly width: number;
  readonly lanes: number;
  /** Whether pixels are made in pairs, with fewer products. */
  readonly paired: boolean;
}

/** Pixels of a tile that leaves registers for the operands: over inputs by the number of outputs, over outputs by that of vectors. */
const PIXELS = { 16: { inputs: [8, 6, 4, 3], outputs: [12, 6] }, 32: { inputs: [16, 12, 8, 6], outputs: [24, 12] } } as const;

export function tileOf(machine: SimdMachine, { attrs, filter }: Convolution): Tile {
  const [kh, kw, perGroup, allOutputs] = filter.shape.map(constantSize) as [number, number, number, number];
  const [dtype, outputs] = [registerDType(filter.dtype), allOutputs / attrs.groups];
  const pairable = isPairable(dtype, kw, attrs);
  const pixels = PIXELS[machine.registers];
  // Fewer products must pay for the planes they come from.
  const overInputs = lanesOverInputs(machine, dtype, perGroup, outputs);
  if (overInputs !== null) return { over: "inputs", pixels: pixels.inputs[outputs - 1]!, width: outputs, lanes: overInputs, paired: pairable && outputs === 3 && kh >= 3 };
  const lanes = lanesUpTo(outputs, machine, dtype);
  const width = outputs > lanes ? 2 : 1;
  return { over: "outputs", pixels: pixels.outputs[width - 1]!, width, lanes, paired: pairable && kh * Math.ceil(outputs / lanes) >= 3 };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Columns of results that are made from the image's first row to its last before the next are: as many as the first cache holds the
 *  rows of, beside what else goes through it. */
export function stripWidth(machine: SimdMachine, { attrs: { stride, dilation, groups }, filter, spread, output: [, width] }: Convolution, { over, pixels, paired }: Tile): Size {
  const [kh, , perGroup] = filter.shape.map(constantSize) as [number, number, number, number];
  if (over === "outputs" || (spread?.[1] ?? 1) > 1) return width;
  const dtype = registerDType(filter.dtype);
  const rows = dilation[0] * (kh - 1) + 1;
  const column = (dtype === "f64" ? 8 : 4) * perGroup * groups * stride[1] * (paired ? 1 + (rows * PLANES) / 2 : rows);
  const lanes = lanesOf(machine, dtype);
  // In whole tiles, and in whole vectors of what is finished in runs.
  const unit = (pixels * lanes) / gcd(pixels, lanes);
  const strip = Math.floor((0.75 * machine.firstCache) / column / unit) * unit;
  return strip === 0 || (typeof width === "number" && width <= strip) ? width : strip;
}
