// The network of the noiser suite as data: its weights in the order and layout that every participant reads, and the inputs
// that all of them are given. Everything is drawn by a small generator, so that no participant's own draws decide.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** In the order in which they stand in weights.f32; filters are [height, width, in, out]. */
export const WEIGHTS = [
  { name: "net.in.weight", shape: [3, 3, 3, 32], fan: 27 }, { name: "net.in.bias", shape: [32], fan: 27 },
  { name: "net.out.weight", shape: [3, 3, 32, 3], fan: 288 }, { name: "net.out.bias", shape: [3], fan: 288 },
] as const;
export const weightCount = WEIGHTS.reduce((sum, w) => sum + count(w.shape), 0);
export function count(shape: readonly number[]): number {
  return shape.reduce((n, s) => n * s, 1);
}

/** The weights of a flat list, by name. */
export function namedWeights(flat: Float32Array): Map<string, Float32Array> {
  let at = 0;
  return new Map(WEIGHTS.map(w => [w.name, flat.subarray(at, (at += count(w.shape)))]));
}

/** A filter [height, width, in, out] as [out, in, height, width]. */
export function outerChannels(filter: Float32Array, [h, w, i, o]: readonly [number, number, number, number]): Float32Array {
  const result = new Float32Array(filter.length);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) for (let a = 0; a < i; a++) for (let b = 0; b < o; b++) {
    result[((b * i + a) * h + y) * w + x] = filter[((y * w + x) * i + a) * o + b]!;
  }
  return result;
}

/** [rows, channels] as [channels, rows], or back with the two exchanged. */
export function transposed(data: ArrayLike<number>, rows: number, columns: number, into = new Float32Array(rows * columns)): Float32Array {
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) into[c * rows + r] = data[r * columns + c]!;
  return into;
}

/** Uniform numbers in [0, 1): xorshift32. */
export function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const write = (path: string, data: ArrayBufferView): Promise<void> => writeFile(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

export async function writeWeights(folder: string, seed = 1): Promise<void> {
  const next = generator(seed);
  await write(join(folder, "weights.f32"), Float32Array.from(WEIGHTS.flatMap(w => Array.from({ length: count(w.shape) }, () => (2 * next() - 1) / Math.sqrt(w.fan)))));
}
/** `steps` images of normal noise, times 3 and clamped to [-1, 1]. */
export async function writeNoise(folder: string, steps: number, seed = 2): Promise<void> {
  const next = generator(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  await write(join(folder, "noise.f32"), Float32Array.from({ length: steps * 104 * 104 * 3 }, () => Math.max(-1, Math.min(1, 3 * normal()))));
}
/** Two matrices of small integers, whose product f32 holds exactly. */
export async function writeMatrices(folder: string, size: number, seed = 3): Promise<void> {
  const next = generator(seed);
  await write(join(folder, "matrices.f32"), Float32Array.from({ length: 2 * size * size }, () => Math.floor(next() * 9) - 4));
}
