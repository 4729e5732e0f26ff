// Photographs for the quality rows, from packages: Debian's python3-skimage and the dark street of
// @upscalerjs/maxim-enhancement. Darkened and over-exposed versions are made here, always the same.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { generator } from "./network.ts";

export interface Picture {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

const SKIMAGE = "/usr/lib/python3/dist-packages/skimage/data/";
const NAMES = ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png"];

export async function readPicture(path: string, size?: { readonly width: number; readonly height: number }): Promise<Picture> {
  const input = sharp(path).removeAlpha().toColourspace("srgb");
  const { data, info } = await (size ? input.resize(size.width, size.height, { fit: "cover" }) : input).raw().toBuffer({ resolveWithObject: true });
  return { name: path.slice(path.lastIndexOf("/") + 1), width: info.width, height: info.height, rgb: new Uint8Array(data) };
}

/** Where a real dark photograph lies: a street at night. */
export const darkStreet = fileURLToPath(new URL("../../../node_modules/@upscalerjs/maxim-enhancement/assets/fixture.png", import.meta.url));

/** Whether the package that holds the well exposed photographs is installed. */
export const photographsAreInstalled = (): boolean => NAMES.every(n => existsSync(SKIMAGE + n));

/** Well exposed photographs; null if they are not installed. */
export async function photographs(): Promise<readonly Picture[] | null> {
  return photographsAreInstalled() ? Promise.all(NAMES.map(n => readPicture(SKIMAGE + n))) : null;
}

const linear = (v: number): number => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const encoded = (v: number): number => (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055);
const toByte = (v: number): number => Math.round(255 * Math.min(1, Math.max(0, v)));

/** A fiftieth of the light, with the noise of a sensor, in 8 bits. */
export function darkened(p: Picture, seed: number): Picture {
  const next = generator(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return { ...p, name: `${p.name}, darkened`, rgb: p.rgb.map(v => toByte(encoded(Math.max(0, 0.02 * linear(v / 255) + 0.0005 * normal())))) };
}
/** Lifted until its lights are lost. */
export const overExposed = (p: Picture): Picture => ({ ...p, name: `${p.name}, over-exposed`, rgb: p.rgb.map(v => toByte(v / 255 + 0.35)) });

export function psnr(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10((255 * 255 * a.length) / sum);
}
export const meanOf = (bytes: Uint8Array): number => bytes.reduce((sum, v) => sum + v, 0) / (255 * bytes.length);
