// Reads a container and trusts nothing in it: lengths, checksums, padding and every field of the header are checked
// before anything is used. A file that is not what `writeContainer` makes is refused with SLX001; nothing else is thrown.
import { byteLength } from "../base/dtypes.ts";
import { type Decoder, JsonError, list, NOTHING_SHARED } from "./json.ts";
import type { CompiledProgram } from "../plan/schedule.ts";
import type { Module, RuntimeLowering, RuntimeProgram } from "../../runtime/program.ts";
import { crc32c } from "./checksum.ts";
import { kernelCode } from "./codec.ts";
import {
  alignUp, BLOCK, constantOffsets, containerError, containerHeader, type ContainerHeader, HEADER_LIMIT, MAGIC, PREFIX_BYTES, sectionNames, VERSION,
} from "./layout.ts";

export interface Container {
  readonly program: RuntimeProgram;
  readonly modules: readonly Module[];
  /** The program with its kernels' bodies, to be compiled again for another target. Decoded when asked. */
  compiled(): CompiledProgram;
}

export const isContainer = (bytes: Uint8Array): boolean => MAGIC.every((byte, i) => bytes[i] === byte);

export function readContainer(file: Uint8Array): Container {
  const header = readHeader(file);
  const sections = readSections(file, header);
  const constants = splitConstants(header, sections[0]!);
  const program = { ...header.program, constants };
  return {
    program,
    modules: header.modules.map((m, i) => ({ ...m, bytes: sections[2 + i]! })),
    compiled() {
      const code = decodeJson(sections[1]!, list(list(kernelCode)), "kernels");
      const counts = (lists: readonly { readonly length: number }[]): string => lists.map(l => l.length).join();
      if (counts(code) !== counts(program.lowerings.map(l => l.kernels))) throw containerError("the kernels section has another number of kernels than the header");
      return { ...program, lowerings: program.lowerings.map((l, i) => ({ ...l, kernels: l.kernels.map((info, k) => ({ ...info, ...code[i]![k]! })) })) };
    },
  };
}

function readHeader(file: Uint8Array): ContainerHeader {
  if (file.length < PREFIX_BYTES) throw containerError("the file is too short for a container", `${file.length} bytes`);
  if (!isContainer(file)) throw containerError("the file is not a Sluice container", "another magic number");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (crc32c(file.subarray(0, 28)) !== view.getUint32(28, true)) throw containerError("the first bytes do not match their checksum");
  const version = view.getUint32(8, true);
  if (version !== VERSION) throw containerError("the container has another version", `version ${version}`, `version ${VERSION}`);
  const total = view.getBigUint64(16, true);
  if (total !== BigInt(file.length)) throw containerError("the container is cut short or has bytes after its end", `${file.length} bytes`, `${total} bytes`);
  const length = view.getUint32(12, true);
  if (length > HEADER_LIMIT || PREFIX_BYTES + length > file.length) throw containerError("the header does not fit", `${length} bytes`);
  const bytes = file.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
  if (crc32c(bytes) !== view.getUint32(24, true)) throw containerError("the header does not match its checksum");
  const header = decodeJson(bytes, containerHeader, "header");
  const { lowerings } = header.program;
  if (lowerings.length === 0) throw containerError("the program is lowered for no machine");
  const entries = (l: RuntimeLowering): string => l.schedules.map(s => s.entry).join();
  if (lowerings.some(l => entries(l) !== entries(lowerings[0]!))) throw containerError("the lowerings have other entries");
  for (const m of header.modules) {
    const kernels = lowerings[m.lowering]?.kernels.length;
    if (kernels === undefined) throw containerError("a module is for a lowering that is not there", `${m.lowering}`, `less than ${lowerings.length}`);
    if (m.scratch.length !== kernels) throw containerError("a module has scratch sizes for another number of kernels");
  }
  return header;
}

/** The contents of the sections, after every length, checksum and padding byte of the file has been checked. */
function readSections(file: Uint8Array, header: ContainerHeader): Uint8Array[] {
  const names = sectionNames(header.modules.length);
  if (header.sections.map(s => s.name).join() !== names.join()) throw containerError("the container has other sections", header.sections.map(s => s.name).join(), names.join());
  const length = new DataView(file.buffer, file.byteOffset).getUint32(12, true);
  let at = endOfBlock(file, PREFIX_BYTES + length);
  const contents = header.sections.map(section => {
    const end = at + section.bytes;
    if (end > file.length) throw containerError(`section ${section.name} does not fit`, `${section.bytes} bytes at ${at}`, `at most ${file.length - at}`);
    const bytes = file.subarray(at, end);
    if (crc32c(bytes) !== section.crc) throw containerError(`section ${section.name} does not match its checksum`);
    at = endOfBlock(file, end);
    return bytes;
  });
  if (at !== file.length) throw containerError("the container has bytes after its last section", `${file.length} bytes`, `${at} bytes`);
  return contents;
}

/** Where the block that ends at or after `end` is over; the bytes up to there must be zero. */
function endOfBlock(file: Uint8Array, end: number): number {
  const next = alignUp(end, BLOCK);
  if (next > file.length) throw containerError("the container is cut short", `${file.length} bytes`, `at least ${next}`);
  if (file.subarray(end, next).some(byte => byte !== 0)) throw containerError(`the padding at ${end} is not zero`);
  return next;
}

function splitConstants(header: ContainerHeader, section: Uint8Array): RuntimeProgram["constants"] {
  const { offsets, total } = constantOffsets(header.program.constants);
  if (total !== section.length) throw containerError("the constants have another length", `${section.length} bytes`, `${total} bytes`);
  return header.program.constants.map((c, i) => {
    const end = offsets[i]! + byteLength(c.dtype, c.shape.reduce((n, extent) => n * extent, 1));
    if (section.subarray(end, offsets[i + 1] ?? end).some(byte => byte !== 0)) throw containerError(`the padding after constant ${i} is not zero`);
    return { ...c, bytes: section.subarray(offsets[i], end) };
  });
}

function decodeJson<T>(bytes: Uint8Array, decoder: Decoder<T>, what: string): T {
  try {
    return decoder(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), what, NOTHING_SHARED);
  } catch (error) {
    // SyntaxError: not JSON. TypeError: not UTF-8. RangeError: nested deeper than any program is.
    if (error instanceof JsonError || error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) {
      throw containerError(`the ${what} cannot be read`, error.message);
    }
    throw error;
  }
}
