// How a convolution is cut for workgroups: a tile of pixels by a block of output channels, and how many input channels lie in
// shared memory at a time. It follows from the shapes alone.
import type { DType } from "../../compiler/base/dtypes.ts";
import type { Size } from "../../compiler/base/sizes.ts";
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

/** What a tile depends on. */
export type ConvolutionShape = Pick<Convolution, "attrs" | "output" | "spread"> & { readonly filter: { readonly dtype: DType; readonly shape: readonly Size[] } };

/** Height and width of the part of the input that so many rows and columns of results read. */
export const haloOf = ({ attrs, filter }: ConvolutionShape, results: readonly [number, number]): [number, number] =>
  [0, 1].map(i => (results[i]! - 1) * attrs.stride[i]! + (constantSize(filter.shape[i]!) - 1) * attrs.dilation[i]! + 1) as [number, number];
/** Of a tile. */
export const haloOfTile = (c: ConvolutionShape, { pixels }: ConvolutionTile): [number, number] => haloOf(c, [pixels, pixels]);

export const outputsOf = (t: ConvolutionTile): number => t.acrossOutputs * t.threadOutputs;

const bytesOf = ({ filter }: ConvolutionShape): number => (registerDType(filter.dtype) === "f64" ? 8 : 4);

function sharedBytes(c: ConvolutionShape, t: ConvolutionTile): number {
  const [height, width] = haloOfTile(c, t);
  const [kh, kw] = c.filter.shape.map(constantSize) as [number, number];
  return bytesOf(c) * t.channels * (height * width + kh * kw * outputsOf(t));
}

/** Null where no tile fits, or where rows and columns of the input stand apart. */
export const convolutionTile = (c: ConvolutionShape): ConvolutionTile | null => tileThat(c, t => sharedBytes(c, t) <= MOST_SHARED);

/** Values to a channel that what is between two convolutions may hold in shared memory. */
const HELD = 4;

/** Of a convolution whose input another one makes: all input channels of the latter lie in shared memory, and it makes whole vectors. */
export function chainTile(producer: ConvolutionShape, consumer: ConvolutionShape): ConvolutionTile | null {
  if ([producer, consumer].some(c => c.attrs.groups !== 1) || (producer.spread ?? [1, 1]).some(s => s !== 1)) return null;
  const [kh, kw, channels, made] = producer.filter.shape.map(constantSize) as [number, number, number, number];
  return tileThat(consumer, t => {
    const [height, width] = haloOf(producer, haloOfTile(consumer, t));
    const more = channels * (height * width + kh * kw * t.channels) + HELD * made;
    return made % t.channels === 0 && sharedBytes(consumer, t) + bytesOf(producer) * more <= MOST_SHARED;
  });
}

function tileThat(c: ConvolutionShape, fits: (t: ConvolutionTile) => boolean): ConvolutionTile | null {
  if (c.spread?.some(s => s !== 1) === true) return null;
  const [, , channels, allOutputs] = c.filter.shape.map(constantSize) as [number, number, number, number];
  const outputs = allOutputs / c.attrs.groups;
  const isSmall = c.output.every(s => typeof s === "number" && s <= 8);
  const tiles = (isSmall ? [8] : [16, 8]).flatMap(pixels => [8, 4, 1].map((most): ConvolutionTile => {
    const threadOutputs = Math.min(4, outputs);
    const acrossOutputs = outputs <= 4 ? 1 : outputs <= 8 ? 2 : outputs <= 16 ? 4 : 8;
    const acrossPixels = Math.min(pixels ** 2, { 1: THREADS / 2, 2: THREADS / 4, 4: THREADS / 4, 8: THREADS / 8 }[acrossOutputs]);
    const lanes = Math.min(4, channels, most);
    return { pixels, lanes, channels: channels <= lanes ? lanes : most, acrossOutputs, acrossPixels, threadOutputs, threadPixels: pixels ** 2 / acrossPixels };
  }));
  return tiles.find(t => t.threadPixels <= MOST_PIXELS && fits(t)) ?? null;
}
