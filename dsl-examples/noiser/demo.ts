// `npm run demo`: trains NoiSER from noise and lets it light up a dark photograph and tone down an over-exposed one.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import city from "@pmndrs/assets/hdri/city.exr.js";
import { open } from "sluice";
import parseExr from "parse-exr";
import sharp from "sharp";
import { progressView } from "../../compiler/cli/progress.ts";
import * as noiser from "./index.ts";

const STEPS = 2000;
const FOLDER = "demo";

interface Photograph {
  readonly name: string;
  readonly from: string;
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** A street at night, as a camera saved it. */
async function darkStreet(): Promise<Photograph> {
  const file = fileURLToPath(new URL("../../node_modules/@upscalerjs/maxim-enhancement/assets/fixture.png", import.meta.url));
  const { data, info } = await sharp(await readFile(file)).removeAlpha().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { name: "street", from: "@upscalerjs/maxim-enhancement", width: info.width, height: info.height, rgb: data };
}

/** A square by day, whose recorded radiance is exposed three stops too long and cut where a sensor would be full. */
function overExposedCity(): Photograph {
  const bytes = Buffer.from(city.slice(city.indexOf(",") + 1), "base64");
  const FLOAT = 1015;
  const { width, height, data } = parseExr(new Uint8Array(bytes).buffer, FLOAT);
  const luminances = Array.from({ length: width * height }, (_, i) => 0.2126 * data[4 * i]! + 0.7152 * data[4 * i + 1]! + 0.0722 * data[4 * i + 2]!).sort((a, b) => a - b);
  const exposure = 2 ** 3 * (0.1 / luminances[luminances.length >> 1]!);
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        // Rows of a panorama are stored from below.
        const linear = Math.min(1, data[4 * ((height - 1 - y) * width + x) + c]! * exposure);
        rgb[3 * (y * width + x) + c] = Math.round(255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055));
      }
    }
  }
  return { name: "city", from: "@pmndrs/assets", width, height, rgb };
}

const mean = (rgb: ArrayLike<number>): string => (Array.from(rgb).reduce((sum, x) => sum + x, 0) / rgb.length).toFixed(0);

async function writePng(path: string, { width, height }: Photograph, rgb: Uint8Array): Promise<void> {
  await writeFile(path, await sharp(rgb, { raw: { width, height, channels: 3 } }).png().toBuffer());
}

await mkdir(FOLDER, { recursive: true });
const program = await open(noiser, { name: "noiser" });
console.log(`NoiSER, ${STEPS} steps on 104 x 104 noise (${program.description})`);
const view = await progressView(false);
await program.run("train", { steps: STEPS, to: "noiser.safetensors" }, { onProgress: view.progress, onRow: view.row });
view.finish();
for (const photograph of [await darkStreet(), overExposedCity()]) {
  const { name, from, width, height, rgb } = photograph;
  const [before, after] = [join(FOLDER, `${name}-before.png`), join(FOLDER, `${name}-after.png`)];
  await writePng(before, photograph, rgb);
  const start = performance.now();
  const { image } = await program.call("enhance", { image: { dtype: "u8", shape: [height, width, 3], data: rgb } });
  const took = performance.now() - start;
  const enhanced = image?.data as Uint8Array;
  await writePng(after, photograph, enhanced);
  console.log(`${width} x ${height} from ${from}, mean ${mean(rgb)} -> ${mean(enhanced)}, in ${took.toFixed(1)} ms: ${before}, ${after}`);
}
console.log("Weights: noiser.safetensors. Your own photograph: npm run sluice -- run dsl-examples/noiser enhance --states noiser.safetensors --input image=photo.jpg --out enhanced");
await program.close();
