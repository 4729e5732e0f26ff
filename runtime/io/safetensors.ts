// Safetensors: named tensors in one file. Reading checks what the reference implementation checks: the header is at most
// 100 MB of JSON that starts with `{`, tensors lie one after another from the first byte of data to the last, without
// overlap or holes, and each has the length that its dtype and shape say.
import { byteLength, type DType } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { bytesOf, elementCount, type HostTensor, shapeText, tensorOfBytes } from "../tensor.ts";

const HEADER_LIMIT = 100_000_000;
const NAMES: { readonly [D in DType]?: string } = {
  f64: "F64", f32: "F32", f16: "F16", bf16: "BF16", i32: "I32", i16: "I16", i8: "I8", u32: "U32", u16: "U16", u8: "U8", bool: "BOOL",
};

const refuse = (path: string, message: string, found?: string, expected?: string): SluiceError => new SluiceError({ code: "SAFE001", message: `${path}: ${message}`, found, expected });

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly metadata: { readonly [key: string]: string };
}

export function readSafetensors(path: string, bytes: Uint8Array): SafetensorsFile {
  if (bytes.length < 8) throw refuse(path, "too short for safetensors", `${bytes.length} bytes`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
  if (length > HEADER_LIMIT) throw refuse(path, "the header is too large", `${length} bytes`, `at most ${HEADER_LIMIT}`);
  if (8 + length > bytes.length) throw refuse(path, "the header does not fit the file", `${length} bytes`, `at most ${bytes.length - 8}`);
  if (bytes[8] !== 0x7b) throw refuse(path, "the header does not start with {");
  const header = parseHeader(path, bytes.subarray(8, 8 + length));
  const data = bytes.subarray(8 + length);
  const { __metadata__, ...entries } = header;
  const tensors = Object.entries(entries).map(([name, entry]) => ({ name, ...tensorEntry(path, name, entry) })).sort((a, b) => a.start - b.start || a.end - b.end);
  let at = 0;
  for (const t of tensors) {
    if (t.start !== at) throw refuse(path, `tensor \`${t.name}\` ${t.start < at ? "overlaps the one before it" : "leaves a hole before it"}`, `offset ${t.start}`, `offset ${at}`);
    at = t.end;
  }
  if (at > data.length) throw refuse(path, "the file ends before its tensors do", `${data.length} bytes`, `${at} bytes`);
  if (at < data.length) throw refuse(path, "the tensors do not fill the file", `${at} bytes`, `${data.length} bytes`);
  return {
    tensors: new Map(tensors.map(t => [t.name, tensorOfBytes(t.dtype, t.shape, data.subarray(t.start, t.end))])),
    metadata: metadataOf(path, __metadata__),
  };
}

function parseHeader(path: string, bytes: Uint8Array): { readonly [name: string]: unknown } {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as { [name: string]: unknown };
  } catch (error) {
    throw refuse(path, "the header is no JSON", error instanceof Error ? error.message : undefined);
  }
}

function tensorEntry(path: string, name: string, entry: unknown): { dtype: DType; shape: number[]; start: number; end: number } {
  const { dtype: theirs, shape, data_offsets: offsets } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const naturals = (list: unknown): list is number[] => Array.isArray(list) && list.every(n => Number.isSafeInteger(n) && n >= 0);
  if (!naturals(shape) || !naturals(offsets) || offsets.length !== 2) throw refuse(path, `tensor \`${name}\` has no valid shape and offsets`);
  const dtype = (Object.keys(NAMES) as DType[]).find(d => NAMES[d] === theirs);
  if (!dtype) throw refuse(path, `tensor \`${name}\` has an element type that is not supported`, String(theirs), Object.values(NAMES).join(", "));
  const [start, end] = offsets as [number, number];
  const expected = byteLength(dtype, elementCount(shape));
  if (end - start !== expected) throw refuse(path, `tensor \`${name}\` has another length than its shape says`, `${end - start} bytes`, `${expected} bytes for ${dtype} ${shapeText(shape)}`);
  return { dtype, shape, start, end };
}

function metadataOf(path: string, metadata: unknown): { readonly [key: string]: string } {
  if (metadata === undefined) return {};
  if (typeof metadata !== "object" || metadata === null || Object.values(metadata).some(v => typeof v !== "string")) throw refuse(path, "__metadata__ is no table of texts");
  return metadata as { readonly [key: string]: string };
}

/** Widest elements first and then by name, as the reference implementation orders them; data starts at a multiple of 8. */
export function writeSafetensors(path: string, tensors: ReadonlyMap<string, HostTensor>, metadata: { readonly [key: string]: string } = {}): Uint8Array {
  const width = (t: HostTensor): number => byteLength(t.dtype, 1);
  const ordered = [...tensors].sort(([a, x], [b, y]) => width(y) - width(x) || (a < b ? -1 : 1));
  const header: { [name: string]: unknown } = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let end = 0;
  for (const [name, t] of ordered) {
    const dtype = NAMES[t.dtype];
    if (!dtype) throw refuse(path, `safetensors cannot hold ${t.dtype}`, `\`${name}\`: ${t.dtype}`, Object.keys(NAMES).join(", "));
    const start = end;
    end += t.data.byteLength;
    header[name] = { dtype, shape: t.shape, data_offsets: [start, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + length + end).fill(0x20, 8, 8 + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.set(json, 8);
  let at = 8 + length;
  for (const [, t] of ordered) {
    file.set(bytesOf(t), at);
    at += t.data.byteLength;
  }
  return file;
}
