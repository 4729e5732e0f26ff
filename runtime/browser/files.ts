// The page's files: what the visitor chose and what the program wrote, by name, in memory. Pictures are decoded and encoded
// by the browser's canvas, which turns them as their EXIF orientation says.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { HostFiles } from "../io/effects.ts";
import type { HostPicture } from "../procedure.ts";

const noFile = (path: string): SluiceError => new SluiceError({ code: "FILE001", message: `${path}: there is no file of this name on the page`, hint: "choose one, or run what writes it first" });

function context(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const found = new OffscreenCanvas(width, height).getContext("2d", { colorSpace: "srgb", willReadFrequently: true });
  if (!found) throw new SluiceError({ code: "IMAGE003", message: "this browser gives no canvas of that size", found: `${width} × ${height}` });
  return found;
}

/** Pixels as a canvas holds them. */
export function pictureData({ width, height, rgb, alpha }: HostPicture): ImageData {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data[i * 4] = rgb[i * 3]!;
    image.data[i * 4 + 1] = rgb[i * 3 + 1]!;
    image.data[i * 4 + 2] = rgb[i * 3 + 2]!;
    image.data[i * 4 + 3] = alpha ? alpha[i]! : 255;
  }
  return image;
}

function dataPicture({ width, height, data }: ImageData): HostPicture {
  const rgb = new Uint8Array(width * height * 3);
  const alpha = new Uint8Array(width * height);
  for (let i = 0; i < width * height; i++) {
    rgb[i * 3] = data[i * 4]!;
    rgb[i * 3 + 1] = data[i * 4 + 1]!;
    rgb[i * 3 + 2] = data[i * 4 + 2]!;
    alpha[i] = data[i * 4 + 3]!;
  }
  return { width, height, rgb, alpha: alpha.every(a => a === 255) ? null : alpha };
}

export class PageFiles implements HostFiles {
  readonly #files = new Map<string, Blob>();
  /** Called when the program has written a file. */
  readonly #written: (path: string, content: Blob) => void;

  constructor(written: (path: string, content: Blob) => void) {
    this.#written = written;
  }

  /** Makes a file the visitor chose known by its name. */
  add(path: string, content: Blob): void {
    this.#files.set(path, content);
  }
  get names(): string[] {
    return [...this.#files.keys()];
  }

  #find(path: string): Blob {
    const found = this.#files.get(path);
    if (!found) throw noFile(path);
    return found;
  }

  async read(path: string): Promise<Uint8Array> {
    return new Uint8Array(await this.#find(path).arrayBuffer());
  }
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
    this.#files.set(path, blob);
    this.#written(path, blob);
  }

  async readPicture(path: string): Promise<HostPicture> {
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(this.#find(path), { imageOrientation: "from-image", premultiplyAlpha: "none" });
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      throw new SluiceError({ code: "IMAGE001", message: `${path}: not a picture that can be read`, expected: "PNG, JPEG or WebP" });
    }
    const canvas = context(bitmap.width, bitmap.height);
    canvas.drawImage(bitmap, 0, 0);
    return dataPicture(canvas.getImageData(0, 0, bitmap.width, bitmap.height));
  }

  async encodePicture(path: string, picture: HostPicture): Promise<Uint8Array> {
    const canvas = context(picture.width, picture.height);
    canvas.putImageData(pictureData(picture), 0, 0);
    const type = /\.png$/i.test(path) ? "image/png" : /\.webp$/i.test(path) ? "image/webp" : "image/jpeg";
    return new Uint8Array(await (await canvas.canvas.convertToBlob({ type, quality: 0.95 })).arrayBuffer());
  }

  async resizePicture(picture: HostPicture, height: number, width: number): Promise<HostPicture> {
    const bitmap = await createImageBitmap(pictureData(picture), { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
    const canvas = context(width, height);
    canvas.drawImage(bitmap, 0, 0);
    return dataPicture(canvas.getImageData(0, 0, width, height));
  }
}
