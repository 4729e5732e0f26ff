// PNG, JPEG and WebP files near good ones: chunks and segments cut, doubled, exchanged and filled with extremes, with checksums
// made right again, and sizes that no picture has.
import sharp from "sharp";
import { bytesOfText, extreme16, extreme32, joined, mutatedBytes, type Random } from "./random.ts";

/** Small pictures of every kind that a decoder has a branch for. */
export async function goodPictures(): Promise<Uint8Array[]> {
  const raw = (channels: 1 | 2 | 3 | 4, width = 21, height = 13) => sharp(Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 37 + (i >> 4)) & 255), { raw: { width, height, channels } });
  const made = [
    raw(3).png(), raw(4).png(), raw(1).png(), raw(2).png(), raw(3).png({ palette: true }), raw(4).png({ palette: true, colours: 4 }), raw(3).png({ progressive: true }), raw(3).toColourspace("rgb16").png(),
    raw(3).withMetadata({ orientation: 6 }).png(), raw(3).withIccProfile("srgb").png(), raw(3).jpeg(), raw(3).jpeg({ progressive: true }), raw(1).jpeg(), raw(3).jpeg({ chromaSubsampling: "4:4:4" }),
    raw(3).jpeg({ optimiseCoding: true, restartInterval: 2 } as object), raw(3).withMetadata({ orientation: 8 }).jpeg(), raw(3).withIccProfile("srgb").jpeg(), raw(3).webp(), raw(4).webp({ lossless: true }),
  ];
  return Promise.all(made.map(async picture => new Uint8Array(await picture.toBuffer())));
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c >>> 0;
});
const crc32 = (bytes: Uint8Array): number => (bytes.reduce((crc, byte) => CRC[(crc ^ byte) & 255]! ^ (crc >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;

interface Part {
  /** Of a PNG four letters, of a JPEG its marker. */
  readonly type: string | number;
  readonly data: Uint8Array<ArrayBuffer>;
}

export function mutatedPicture(good: readonly Uint8Array[], random: Random): Uint8Array {
  const file = random.from(good);
  const isPng = file[0] === 0x89;
  const isJpeg = file[0] === 0xff;
  const kept = random.chance(0.15) || !(isPng || isJpeg) ? file : isPng ? pngOf(mutatedParts(pngParts(file), random), random) : jpegOf(mutatedParts(jpegParts(file), random), random);
  return random.chance(kept === file ? 0.95 : 0.1) ? mutatedBytes(kept, random) : kept;
}

function pngParts(file: Uint8Array): Part[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const parts: Part[] = [];
  for (let at = 8; at < file.length;) {
    const length = view.getUint32(at);
    parts.push({ type: String.fromCharCode(...file.subarray(at + 4, at + 8)), data: file.slice(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return parts;
}
function pngOf(parts: readonly Part[], random: Random): Uint8Array {
  const chunks = parts.map(({ type, data }) => {
    const body = joined(bytesOfText(String(type)), data);
    const ends = new DataView(new ArrayBuffer(8));
    ends.setUint32(0, random.chance(0.01) ? extreme32(random) : data.length);
    ends.setUint32(4, random.chance(0.01) ? 0 : crc32(body));
    return joined(new Uint8Array(ends.buffer, 0, 4), body, new Uint8Array(ends.buffer, 4));
  });
  return joined(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), ...chunks);
}

/** Segments up to the first scan, and then its data with all that follows as one part without a marker. */
function jpegParts(file: Uint8Array): Part[] {
  const parts: Part[] = [];
  let at = 2;
  for (;;) {
    const type = file[at + 1]!;
    const end = at + 2 + ((file[at + 2]! << 8) | file[at + 3]!);
    parts.push({ type, data: file.slice(at + 4, end) });
    at = end;
    if (type === 0xda) break;
  }
  return [...parts, { type: 0, data: file.slice(at) }];
}
function jpegOf(parts: readonly Part[], random: Random): Uint8Array {
  return joined(Uint8Array.of(0xff, 0xd8), ...parts.map(({ type, data }) => {
    if (type === 0) return data;
    const length = random.chance(0.01) ? extreme16(random) : data.length + 2;
    return joined(Uint8Array.of(0xff, Number(type), (length >> 8) & 255, length & 255), data);
  }));
}

function mutatedParts(parts: readonly Part[], random: Random): Part[] {
  const result = [...parts];
  for (let i = 0; i <= random.below(3); i++) {
    const at = random.below(result.length);
    const part = result[at]!;
    switch (random.below(8)) {
      case 0: result.splice(at, 1); break;
      case 1: result.splice(random.below(result.length + 1), 0, part); break;
      case 2: result.splice(at, 1, result[random.below(result.length)]!); break;
      case 3: result[at] = { ...part, data: mutatedBytes(part.data, random) as Uint8Array<ArrayBuffer> }; break;
      case 4: result[at] = { ...part, data: part.data.slice(0, random.below(part.data.length + 1)) }; break;
      case 5: result[at] = { ...part, type: typeof part.type === "string" ? random.from(["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "iCCP", "eXIf", "gAMA", "CgBI", "abcd"]) : random.from([0xc0, 0xc1, 0xc2, 0xc4, 0xc8, 0xd0, 0xd9, 0xda, 0xdb, 0xdd, 0xe1, 0xe2, 0xfe]) }; break;
      default: {
        // The sizes and what the header says of its pixels, more often than anything else.
        const isHeader = (p: Part): boolean => p.type === "IHDR" || (typeof p.type === "number" && p.type >= 0xc0 && p.type <= 0xc2);
        const header = result.findIndex(isHeader);
        if (header >= 0) result[header] = { ...result[header]!, data: mutatedHeader(result[header]!, random) };
      }
    }
    if (result.length === 0) break;
  }
  return result;
}

function mutatedHeader({ type, data }: Part, random: Random): Uint8Array<ArrayBuffer> {
  const changed = new Uint8Array(data);
  const view = new DataView(changed.buffer);
  if (changed.length < 9) return changed;
  if (type === "IHDR") {
    if (random.chance(0.6)) view.setUint32(random.from([0, 4]), random.chance(0.5) ? 1 + random.below(40) : extreme32(random));
    if (changed.length > 12 && random.chance(0.5)) changed[8 + random.below(5)] = random.from([0, 1, 2, 3, 4, 6, 8, 16, 255]);
  } else {
    if (random.chance(0.6)) view.setUint16(random.from([1, 3]), random.chance(0.5) ? 1 + random.below(40) : extreme16(random));
    if (random.chance(0.5)) changed[5 + random.below(changed.length - 5)] = random.from([0, 1, 2, 3, 4, 0x11, 0x12, 0x21, 0x22, 0x41, 0x44, 255]);
  }
  return changed;
}
