// Files and pictures under Node. A file is written beside its place, synced and then renamed, so an error or a full disk
// leaves what was there before. Pictures are decoded and encoded by sharp, which is loaded when first needed.
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { HostPicture } from "../procedure.ts";
import type { HostFiles } from "./effects.ts";

const REASONS: { readonly [code: string]: string } = {
  ENOSPC: "no space is left on the device", EDQUOT: "the disk quota is used up", EFBIG: "files may not be so large here", ENOENT: "no such file or folder", EACCES: "permission denied",
  EISDIR: "it is a folder", ENOTDIR: "a part of the path is no folder", EROFS: "the file system is read-only", EEXIST: "a part of the path is a file",
};

function fileError(code: string, path: string, action: string, error: unknown): SluiceError {
  const errno = (error as NodeJS.ErrnoException).code ?? "";
  const reason = REASONS[errno] ?? (error instanceof Error ? error.message : String(error));
  return new SluiceError({ code, message: `${path}: ${action}: ${reason}`, found: errno || undefined });
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fileError("FILE001", path, "cannot be read", error);
  }
}

let unique = 0;

export interface NewFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** 0o644 if left out. */
  readonly mode?: number;
}

/** Writes all of the files or, when one cannot be written, none: their folders go too if they were made for them. */
export async function writeTogether(files: readonly NewFile[]): Promise<void> {
  const made: string[] = [];
  const temporaries: [temporary: string, path: string][] = [];
  let now = "";
  try {
    for (const { path, bytes, mode } of files) {
      now = path;
      const above = await mkdir(dirname(path), { recursive: true });
      if (above !== undefined) made.push(above);
      const temporary = `${path}.${process.pid}-${unique++}.tmp`;
      temporaries.push([temporary, path]);
      const file = await open(temporary, "wx", mode);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    for (const [temporary, path] of temporaries) await rename(temporary, (now = path));
  } catch (error) {
    for (const [temporary] of temporaries) await rm(temporary, { force: true }).catch(() => undefined);
    for (const folder of made) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    throw fileError("FILE003", now, "cannot be written, and nothing was changed", error);
  }
}
const writeBytes = (path: string, bytes: Uint8Array): Promise<void> => writeTogether([{ path, bytes }]);

const loadSharp = async () => (await import("sharp")).default;

/** The most pixels that a picture may have, as in the native runtime: a small file must not ask for all memory. */
const PIXEL_LIMIT = 0x3fff * 0x3fff;
/** The most that a byte of a file can be: DEFLATE makes 1032 bytes of one, each block of 8 x 8 of a JPEG takes a bit at least. */
const PIXELS_OF_BYTE: { readonly [format: string]: number } = { png: 1032 * 8, jpeg: 64 * 8 };

const readPicture = async (path: string): Promise<HostPicture> => pictureOf(path, await readBytes(path));

/** `path` is named in errors. */
export async function pictureOf(path: string, bytes: Uint8Array): Promise<HostPicture> {
  const sharp = await loadSharp();
  try {
    // Turned as its EXIF orientation says; grey becomes RGB; other colour spaces become sRGB.
    const source = sharp(bytes, { failOn: "error", limitInputPixels: false }).autoOrient();
    const { format, width, height } = await source.metadata();
    if (format !== "png" && format !== "jpeg" && format !== "webp") {
      throw new SluiceError({ code: "IMAGE001", message: `${path}: pictures of this format are not read`, found: format, expected: "PNG, JPEG or WebP" });
    }
    if (width * height > PIXEL_LIMIT) throw new SluiceError({ code: "IMAGE001", message: `${path}: the picture is too large`, found: `${width} x ${height}`, expected: `at most ${PIXEL_LIMIT} pixels` });
    if (width * height > bytes.length * (PIXELS_OF_BYTE[format] ?? Infinity)) {
      throw new SluiceError({ code: "IMAGE001", message: `${path}: not a picture that can be read`, found: "less data than its size takes", expected: "PNG, JPEG or WebP" });
    }
    const { data, info } = await source.toColourspace("srgb").raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    return split(data, info.width, info.height, info.channels);
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError({ code: "IMAGE001", message: `${path}: not a picture that can be read`, found: error instanceof Error ? error.message.trim() : String(error), expected: "PNG, JPEG or WebP" });
  }
}

/** Interleaved channels as RGB and alpha. */
function split(data: Uint8Array, width: number, height: number, channels: number): HostPicture {
  if (channels === 3) return { width, height, rgb: data, alpha: null };
  const pixels = width * height;
  const colours = channels < 3 ? 1 : 3;
  const rgb = new Uint8Array(pixels * 3);
  const alpha = channels % 2 === 0 ? new Uint8Array(pixels) : null;
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = data[i * channels + (colours === 3 ? c : 0)]!;
    if (alpha) alpha[i] = data[i * channels + colours]!;
  }
  return { width, height, rgb, alpha };
}

/** A sharp pipeline over a picture's pixels. */
async function pipeline({ width, height, rgb, alpha }: HostPicture) {
  const sharp = await loadSharp();
  const base = sharp(rgb, { raw: { width, height, channels: 3 } });
  return alpha ? base.joinChannel(Buffer.from(alpha.buffer, alpha.byteOffset, alpha.length), { raw: { width, height, channels: 1 } }).toColourspace("srgb") : base;
}

async function encodePicture(path: string, picture: HostPicture): Promise<Uint8Array> {
  const image = await pipeline(picture);
  if (/\.png$/i.test(path)) return image.png({ compressionLevel: 6 }).toBuffer();
  return /\.webp$/i.test(path) ? image.webp({ lossless: true }).toBuffer() : image.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }).toBuffer();
}

async function resizePicture(picture: HostPicture, height: number, width: number): Promise<HostPicture> {
  const sharp = await loadSharp();
  // Alpha by itself: sharp joins channels only after it has resized.
  const resized = (data: Uint8Array, channels: 1 | 3): Promise<Uint8Array> =>
    sharp(data, { raw: { width: picture.width, height: picture.height, channels } }).resize({ width, height, fit: "fill" }).toColourspace(channels === 1 ? "b-w" : "srgb").raw().toBuffer();
  const [rgb, alpha] = await Promise.all([resized(picture.rgb, 3), picture.alpha && resized(picture.alpha, 1)]);
  return { width, height, rgb, alpha };
}

export const nodeFiles: HostFiles = { read: readBytes, write: writeBytes, readPicture, encodePicture, resizePicture };
