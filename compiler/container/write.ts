// A compiled program as the bytes of a container. The same program gives the same bytes.
import { SpanTable, toJson } from "./json.ts";
import type { CompiledProgram } from "../plan/schedule.ts";
import type { Module } from "../../runtime/program.ts";
import { crc32c } from "./checksum.ts";
import type { KernelCode } from "./codec.ts";
import { alignUp, BLOCK, constantOffsets, MAGIC, PREFIX_BYTES, sectionNames, VERSION } from "./layout.ts";

/** Modules stand in the order in which a runtime should prefer them. */
export function writeContainer(program: CompiledProgram, modules: readonly Module[]): Uint8Array {
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(toJson(value)));
  const { offsets, total } = constantOffsets(program.constants);
  const constants = new Uint8Array(total);
  program.constants.forEach((c, i) => constants.set(c.bytes, offsets[i]));
  const code = program.lowerings.map(({ kernels }) => kernels.map(({ machine, grid, threads, body, spans, flops }): KernelCode => ({ machine, grid, threads, body, spans, flops })));
  const contents = [constants, encode(code), ...modules.map(m => m.bytes)];
  const names = sectionNames(modules.length);

  const spans = new SpanTable();
  const inHeader = toJson({
    ...program,
    lowerings: program.lowerings.map(l => ({ ...l, kernels: l.kernels.map(({ name, params, dims, summary }) => ({ name, params, dims, summary })) })),
    constants: program.constants.map(({ dtype, shape }) => ({ dtype, shape })),
  }, spans);
  const header = encode({
    spans: spans.toJson(),
    program: inHeader,
    modules: modules.map(({ bytes: _, ...rest }) => rest),
    sections: contents.map((bytes, i) => ({ name: names[i], bytes: bytes.length, crc: crc32c(bytes) })),
  });
  const first = alignUp(PREFIX_BYTES + header.length, BLOCK);
  const file = new Uint8Array(contents.reduce((end, bytes) => end + alignUp(bytes.length, BLOCK), first));
  const view = new DataView(file.buffer);
  file.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, header.length, true);
  view.setBigUint64(16, BigInt(file.length), true);
  view.setUint32(24, crc32c(header), true);
  view.setUint32(28, crc32c(file.subarray(0, 28)), true);
  file.set(header, PREFIX_BYTES);
  let at = first;
  for (const bytes of contents) {
    file.set(bytes, at);
    at += alignUp(bytes.length, BLOCK);
  }
  return file;
}
