// How a convolution is cut for workgroups: a tile of pixels by a block of output channels, and how many input channels lie in
// shared memory at a time. It follows from the shapes alone.
import type { Convolution } from "../convolution.ts";
import { constantSize } from "../ring.ts";
import { registerDType } from "../simd.ts";
import { MOST_SHARED } from "./tile.ts";

export interface ConvolutionTile {
  /** Height and width in pixels of the result, which are as many. */
  readonly pixels: number;
  /** Input channels at a time, in vectors of `lanes`. */
  readonly channels: number;
  readonly lanes: number;
  /** Threads along the output channels and along the pixels, and what each of them makes: output channels by pixels. */
  readonly acrossOutputs: number;
  readonly acrossPixels: number;
  readonly threadOutputs: number;
  readonly threadPixels: number;
}

/** Pixels of a thread; with its outputs they make up its registers. */
const MOST_PIXELS = 8;
const THREADS = 256;

/** Height and width of the part of the input that a tile reads. */
export const haloOf = ({ attrs, filter }: Convolution, pixels: number): [number, number] =>
  [0, 1].map(i => (pixels - 1) * attrs.stride[i]! + (constantSize(filter.shape[i]!) - 1) * attrs.dilation[i]! + 1) as [number, number];

export const outputsOf = (t: ConvolutionTile): number => t.acrossOutputs * t.threadOutputs;

function sharedBytes(c: Convolution, t: ConvolutionTile): number {
  const [height, width] = haloOf(c, t.pixels);
  const [kh, kw] = c.filter.shape.map(constantSize) as [number, number];
  return (registerDType(c.filter.dtype) === "f64" ? 8 : 4) * t.channels * (height * width + kh * kw * outputsOf(t));
}

/** Null where no tile fits, or where rows and columns of the input stand apart. */
export function convolutionTile(c: Convolution): ConvolutionTile | null {
  if (c.spread?.some(s => s !== 1) === true) return null;
  const [, , channels, allOutputs] = c.filter.shape.map(constantSize) as [number, number, number, number];
  const outputs = allOutputs / c.attrs.groups;
  const isSmall = c.output.every(s => typeof s === "number" && s <= 8);
  const tiles = (isSmall ? [8] : [16, 8]).flatMap(pixels => [8, 4, 1].map((most): ConvolutionTile => {
    const threadOutputs = Math.min(4, outputs);
    const acrossOutputs = outputs <= 4 ? 1 : outputs <= 8 ? 2 : outputs <= 16 ? 4 : 8;
    const acrossPixels = Math.min(pixels ** 2, acrossOutputs === 8 ? THREADS / 8 : THREADS / 4);
    const lanes = Math.min(4, channels, most);
    return { pixels, lanes, channels: channels <= lanes ? lanes : most, acrossOutputs, acrossPixels, threadOutputs, threadPixels: pixels ** 2 / acrossPixels };
  }));
  return tiles.find(t => t.threadPixels <= MOST_PIXELS && sharedBytes(c, t) <= MOST_SHARED) ?? null;
}
