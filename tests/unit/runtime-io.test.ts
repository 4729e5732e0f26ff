// Files in and out: pictures, and writing that leaves nothing half-done.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { effectsOver } from "../../runtime/io/effects.ts";
import { nodeFiles, pictureOf } from "../../runtime/io/node-files.ts";
import { readNpy } from "../../runtime/io/npy.ts";
import { elementAt, type HostTensor, hostTensor, tensorOfNumbers } from "../../runtime/tensor.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-io-"));
});
afterAll(() => rm(folder, { recursive: true }));
const message = async (work: () => unknown): Promise<string> => {
  try {
    await work();
    return "nothing was refused";
  } catch (error) {
    return (error as Error).message;
  }
};

const plain = (t: HostTensor) => ({ dtype: t.dtype, shape: t.shape, data: [...t.data] });

test("16-bit floats keep their bits", () => {
  const t = tensorOfNumbers("f16", [4], [1, -0.5, 6e-8, 65504]);
  expect([...t.data]).toEqual([0x3c00, 0xb800, 1, 0x7bff]);
  expect([0, 1, 3].map(i => elementAt(t, i))).toEqual([1, -0.5, 65504]);
  expect([...tensorOfNumbers("bf16", [2], [1, -2]).data]).toEqual([0x3f80, 0xc000]);
  expect([0, 1, 2].map(i => elementAt(tensorOfNumbers("i4", [3], [-8, 7, -1]), i))).toEqual([-8, 7, -1]);
});

describe("pictures", () => {
  const rgb = (width: number, height: number) => Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 256);
  const write = async (name: string, make: (s: typeof sharp) => Sharp) => {
    const path = join(folder, name);
    await writeFile(path, await make(sharp).toBuffer());
    return path;
  };

  test("an RGB PNG is read exactly", async () => {
    const path = await write("rgb.png", s => s(rgb(5, 4), { raw: { width: 5, height: 4, channels: 3 } }).png());
    const picture = await nodeFiles.readPicture(path);
    expect([picture.width, picture.height, picture.alpha]).toEqual([5, 4, null]);
    expect([...picture.rgb]).toEqual([...rgb(5, 4)]);
  });

  test("grey becomes RGB, alpha is kept aside and put back on a result of the same size", async () => {
    const greyAlpha = Uint8Array.of(10, 255, 20, 128, 30, 0, 40, 7);
    const path = await write("grey.png", s => s(greyAlpha, { raw: { width: 2, height: 2, channels: 2 } }).png());
    const perform = effectsOver(nodeFiles);
    const pixels = await perform({ kind: "pixels", picture: path, dtype: "u8" }) as HostTensor;
    expect([pixels.shape, [...pixels.data]]).toEqual([[2, 2, 3], [10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40]]);
    const out = join(folder, "out.png");
    await perform({ kind: "write", path: out, tensor: hostTensor("f32", [2, 2, 3], Float32Array.from(pixels.data, v => 1 - v / 255)) });
    const { data, info } = await sharp(out).raw().toBuffer({ resolveWithObject: true });
    expect(info.channels).toBe(4);
    expect([...data]).toEqual([245, 245, 245, 255, 235, 235, 235, 128, 225, 225, 225, 0, 215, 215, 215, 7]);
  });

  test("EXIF orientation is honoured", async () => {
    const path = await write("turned.jpg", s => s(new Uint8Array(6 * 4 * 3).fill(90), { raw: { width: 6, height: 4, channels: 3 } }).jpeg().withMetadata({ orientation: 6 }));
    const picture = await nodeFiles.readPicture(path);
    expect([picture.width, picture.height]).toEqual([4, 6]);
  });

  test("16 bits become 8, WebP is read, and what is no picture is refused", async () => {
    const sixteen = await write("sixteen.png", s => s(new Uint8Array(12).fill(100), { raw: { width: 2, height: 2, channels: 3 } }).toColourspace("rgb16").png());
    expect([...(await nodeFiles.readPicture(sixteen)).rgb]).toEqual(new Array(12).fill(100));
    const webp = await write("a.webp", s => s(rgb(3, 3), { raw: { width: 3, height: 3, channels: 3 } }).webp({ lossless: true }));
    expect([...(await nodeFiles.readPicture(webp)).rgb]).toEqual([...rgb(3, 3)]);
    const broken = join(folder, "broken.png");
    await writeFile(broken, (await readFile(webp)).subarray(0, 10));
    expect(await message(() => nodeFiles.readPicture(broken))).toMatch(/error IMAGE001: .*broken\.png: not a picture that can be read/);
    const cut = join(folder, "cut.png");
    await writeFile(cut, (await readFile(join(folder, "rgb.png"))).subarray(0, 90));
    expect(await message(() => nodeFiles.readPicture(cut))).toMatch(/error IMAGE001/);
    const gif = await write("a.gif", s => s(rgb(3, 3), { raw: { width: 3, height: 3, channels: 3 } }).gif());
    expect(await message(() => nodeFiles.readPicture(gif))).toMatch(/error IMAGE001: .*a\.gif: pictures of this format are not read\n {2}found: {4}gif\n {2}expected: PNG, JPEG or WebP/);
    expect(await message(() => nodeFiles.readPicture(join(folder, "none.png")))).toMatch(/error FILE001: .*none\.png: cannot be read: no such file or folder/);
  });

  test("a picture whose size its data cannot fill is refused before it takes memory", async () => {
    const png = await readFile(await write("huge.png", s => s(rgb(5, 4), { raw: { width: 5, height: 4, channels: 3 } }).png()));
    for (const [size, text] of [[16_000, /not a picture that can be read\n {2}found: {4}less data than its size takes/], [16_384, /the picture is too large\n {2}found: {4}16384 x 16384\n {2}expected: at most 268402689 pixels/]] as const) {
      png.writeUInt32BE(size, 16);
      png.writeUInt32BE(size, 20);
      png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
      expect(await message(() => pictureOf("huge.png", png))).toMatch(text);
    }
    const jpeg = await readFile(await write("huge.jpg", s => s(rgb(5, 4), { raw: { width: 5, height: 4, channels: 3 } }).jpeg()));
    jpeg.writeUInt32BE(0x3fff3fff, jpeg.indexOf(Buffer.of(0xff, 0xc0)) + 5);
    expect(await message(() => pictureOf("huge.jpg", jpeg))).toMatch(/less data than its size takes/);
  });

  test("resizing gives the size that was asked for", async () => {
    const path = await write("big.png", s => s(rgb(8, 6), { raw: { width: 8, height: 6, channels: 3 } }).png());
    const t = await effectsOver(nodeFiles)({ kind: "pixels", picture: path, dtype: "f32", resize: [3, 4] }) as HostTensor;
    expect(t.shape).toEqual([3, 4, 3]);
    expect([...t.data].every(v => v >= 0 && v <= 1)).toBe(true);
    for (const [height, width] of [[3, 4], [12, 20]] as const) {
      const alpha = Uint8Array.from({ length: 48 }, (_, i) => (i % 8 < 4 ? 255 : 0));
      const resized = await nodeFiles.resizePicture({ width: 8, height: 6, rgb: new Uint8Array(144).fill(50), alpha }, height, width);
      expect([resized.rgb.length, resized.alpha?.length]).toEqual([3 * height * width, height * width]);
      expect([...resized.rgb].every(v => v === 50)).toBe(true);
      expect([resized.alpha![0], resized.alpha!.at(-1)]).toEqual([255, 0]);
    }
  });
});

describe("writing", () => {
  test("a tensor goes to the file its ending says", async () => {
    const perform = effectsOver(nodeFiles);
    const t = tensorOfNumbers("f32", [2], [1, 2]);
    await perform({ kind: "write", path: join(folder, "new", "t.npy"), tensor: t });
    expect(plain(readNpy("t", await readFile(join(folder, "new", "t.npy"))))).toEqual(plain(t));
    expect(await message(() => perform({ kind: "write", path: "t.xyz", tensor: t }))).toBe("error FILE002: t.xyz: a tensor cannot be written to such a file\n  expected: .png, .jpg, .webp, .npy or .safetensors");
    expect(await message(() => perform({ kind: "write", path: "t.png", tensor: t }))).toMatch(/IMAGE002: t\.png: the tensor is no picture\n {2}found: {4}f32 \[2\]/);
  });

  test("loading checks names, dtypes and shapes on both sides", async () => {
    const perform = effectsOver(nodeFiles);
    const path = join(folder, "w.safetensors");
    await perform({ kind: "save", path, tensors: new Map([["a", tensorOfNumbers("f32", [2], [1, 2])]]) });
    const load = (...wanted: { name: string; dtype: DType; shape: number[] }[]) => message(() => perform({ kind: "load", path, wanted }));
    expect(await load({ name: "a", dtype: "f32", shape: [2] })).toBe("nothing was refused");
    const head = `error LOAD001: ${path}: the file's tensors are not those that are wanted\n  found:    `;
    expect(await load({ name: "a", dtype: "f32", shape: [3] })).toBe(`${head}misshapen: \`a\` f32 [2] instead of f32 [3]`);
    expect(await load({ name: "a", dtype: "f32", shape: [2] }, { name: "b", dtype: "f32", shape: [-1] })).toBe(`${head}missing: \`b\` f32 [?]`);
    expect(await load({ name: "c", dtype: "u8", shape: [] })).toBe(`${head}missing: \`c\` u8 []; extra: \`a\``);
    const many = Array.from({ length: 10 }, (_, i) => ({ name: `m${i}`, dtype: "i32" as const, shape: [] }));
    expect(await load({ name: "a", dtype: "i32", shape: [2] }, ...many)).toMatch(/missing: `m0` i32 \[\], .*`m7` i32 \[\] and 2 more; misshapen: `a` f32 \[2\] instead of i32 \[2\]$/);
  });

  test("a failed write leaves what was there and nothing else", async () => {
    const path = join(folder, "kept.txt", "below.npy");
    await writeFile(join(folder, "kept.txt"), "kept");
    expect(await message(() => nodeFiles.write(path, new Uint8Array(8)))).toMatch(/FILE003: .*below\.npy: cannot be written, and nothing was changed: a part of the path is/);
    expect(await readFile(join(folder, "kept.txt"), "utf8")).toBe("kept");
  });

  const disk = () => join(folder, "disk");
  test("a full disk is named, and nothing half-written stays", async context => {
    await nodeFiles.write(join(disk(), "probe"), new Uint8Array(1));
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk()]).status !== 0) return context.skip("a small file system cannot be mounted here");
    try {
      await nodeFiles.write(join(disk(), "old.bin"), new Uint8Array(1000).fill(7));
      expect(await message(() => nodeFiles.write(join(disk(), "old.bin"), new Uint8Array(200_000)))).toMatch(/FILE003: .*old\.bin: cannot be written, and nothing was changed: no space is left on the device\n {2}found: {4}ENOSPC/);
      expect(await readdir(disk())).toEqual(["old.bin"]);
      expect((await readFile(join(disk(), "old.bin"))).every(b => b === 7)).toBe(true);
    } finally {
      spawnSync("umount", [disk()]);
    }
  });
});
