// How a container (.slx) lies in a file. All numbers are little-endian.
//
//   0   magic, 8 bytes
//   8   version, u32
//   12  length of the header, u32
//   16  length of the file, u64
//   24  CRC-32C of the header, u32
//   28  CRC-32C of bytes 0 … 27, u32
//   32  header: JSON in UTF-8 (`ContainerHeader`), zeros to the next multiple of 4096
//   …   sections in the header's order, each followed by zeros to the next multiple of 4096
//
// Sections follow from their lengths alone, without holes or overlap; every byte of the file is either checksummed or
// padding that must be zero. The constants are one section, each at a multiple of 64.
import { byteLength } from "../base/dtypes.ts";
import { type Decoder, count, index, list, NOTHING_SHARED, record, spanTable, text } from "./json.ts";
import { SluiceError } from "../base/diagnostics.ts";
import { type ConstantInfo, type ModuleHeader, moduleHeader, type ProgramHeader, programHeader } from "./codec.ts";
import { checkReferences } from "./references.ts";

export const MAGIC = Uint8Array.of(0x89, 0x53, 0x4c, 0x58, 0x0d, 0x0a, 0x1a, 0x0a);
export const VERSION = 3;
export const PREFIX_BYTES = 32;
export const BLOCK = 4096;
export const CONSTANT_ALIGNMENT = 64;
/** Past these a file is refused before anything is read of it. */
export const HEADER_LIMIT = 256 * 2 ** 20;

export const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;

export interface Section {
  readonly name: string;
  readonly bytes: number;
  readonly crc: number;
}

export interface ContainerHeader {
  readonly program: ProgramHeader;
  /** Their code is in sections `module0`, `module1`, … */
  readonly modules: readonly ModuleHeader[];
  readonly sections: readonly Section[];
}

/** In the file the header has, beside these, the table `spans`, by whose numbers everything else says where it was written. */
export const containerHeader: Decoder<ContainerHeader> = (value, at) => {
  const { spans, ...rest } = record<{ spans: unknown; program: unknown; modules: unknown; sections: unknown }>({
    spans: list(s => s), program: p => p, modules: m => m, sections: s => s,
  })(value, at, NOTHING_SHARED);
  const header = record<ContainerHeader>({
    program: programHeader,
    modules: list(moduleHeader),
    sections: list(record({ name: text, bytes: count, crc: index(2 ** 32) })),
  })(rest, at, { spans: spanTable(spans, `${at}.spans`, NOTHING_SHARED) });
  checkReferences(header, at);
  return header;
};

/** Where each constant stands in its section, and the section's length. */
export function constantOffsets(constants: readonly ConstantInfo[]): { offsets: number[]; total: number } {
  const offsets: number[] = [];
  let total = 0;
  for (const c of constants) {
    const offset = alignUp(total, CONSTANT_ALIGNMENT);
    offsets.push(offset);
    total = offset + byteLength(c.dtype, c.shape.reduce((n, extent) => n * extent, 1));
  }
  return { offsets, total };
}

/** The sections that a container has, by name, in order. */
export const sectionNames = (modules: number): string[] => ["constants", "kernels", ...Array.from({ length: modules }, (_, i) => `module${i}`)];

export const containerError = (message: string, found?: string, expected?: string): SluiceError =>
  new SluiceError({ code: "SLX001", message, found, expected, hint: "build the container again" });
