// Containers near good ones. Headers and kernels are changed as JSON, sections as bytes, and then, mostly, every length and
// checksum is made right again, so that the checks behind them are reached.
import { crc32c } from "../../../compiler/container/checksum.ts";
import { alignUp, BLOCK, MAGIC, PREFIX_BYTES, VERSION } from "../../../compiler/container/layout.ts";
import { mutatedJson } from "./json.ts";
import { bytesOfText, extreme32, joined, mutatedBytes, type Random } from "./random.ts";

/** A container taken apart. */
export interface Parts {
  readonly header: { readonly [key: string]: never };
  readonly sections: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

export function partsOf(file: Uint8Array): Parts {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = view.getUint32(12, true);
  const { sections, ...header } = JSON.parse(new TextDecoder().decode(file.subarray(PREFIX_BYTES, PREFIX_BYTES + length)));
  let at = alignUp(PREFIX_BYTES + length, BLOCK);
  return {
    header,
    sections: sections.map(({ name, bytes }: { name: string; bytes: number }) => {
      const contents = file.subarray(at, at + bytes);
      at = alignUp(at + bytes, BLOCK);
      return { name, bytes: contents };
    }),
  };
}

const padded = (bytes: Uint8Array): Uint8Array => joined(bytes, new Uint8Array(alignUp(bytes.length, BLOCK) - bytes.length));

export function mutatedContainer(parts: Parts, random: Random): Uint8Array {
  const what = random.below(10);
  const sections = parts.sections.map(({ name, bytes }) => {
    if (name === "kernels" && what === 8) return { name, bytes: bytesOfText(mutatedJson(JSON.parse(new TextDecoder().decode(bytes)), random)) };
    return { name, bytes: what === 9 && random.chance(0.5) ? mutatedBytes(bytes, random) : bytes };
  });
  const listed = JSON.stringify(sections.map(({ name, bytes }) => ({ name, bytes: bytes.length, crc: crc32c(bytes) })));
  const body = what < 8 ? mutatedJson(parts.header, random) : JSON.stringify(parts.header);
  const text = what === 7 ? mutatedJson({ ...parts.header, sections: JSON.parse(listed) as never }, random) : body.replace(/\}$/, `,"sections":${listed}}`);
  const header = bytesOfText(text);
  const file = joined(padded(joined(new Uint8Array(PREFIX_BYTES), header)), ...sections.map(s => padded(s.bytes)));
  const view = new DataView(file.buffer);
  file.set(MAGIC);
  const odd = (usual: number): number => (random.chance(0.01) ? extreme32(random) : usual);
  view.setUint32(8, odd(VERSION), true);
  view.setUint32(12, odd(header.length), true);
  view.setBigUint64(16, BigInt(odd(file.length)), true);
  view.setUint32(24, crc32c(header), true);
  view.setUint32(28, crc32c(file.subarray(0, 28)), true);
  return random.chance(0.05) ? mutatedBytes(file, random) : file;
}
