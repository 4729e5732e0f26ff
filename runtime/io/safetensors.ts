// Safetensors: named tensors in one file. Reading checks what the reference implementation checks: the header is at most
// 100 MB of JSON that starts with `{`, tensors lie one after another from the first byte of data to the last, without
// overlap or holes, and each has the length that its dtype and shape say. A tensor whose element type we lack is refused when
// it is asked for, and the others are read. Of the header is kept where each tensor is described, and no more.
import { byteLength, type DType } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { bytesOf, type HostTensor, safeElementCount, shapeText, tensorOfBytes, unfitBool } from "../tensor.ts";
import { JsonReader, JsonSyntaxError } from "./json-reader.ts";

const HEADER_LIMIT = 100_000_000;
/** Of a tensor's name, in bytes. */
const NAME_LIMIT = 65_536;
const AXES_LIMIT = 64;
const NAMES: { readonly [D in DType]?: string } = {
  f64: "F64", f32: "F32", f16: "F16", bf16: "BF16", i32: "I32", i16: "I16", i8: "I8", u32: "U32", u16: "U16", u8: "U8", bool: "BOOL",
};
const METADATA = "__metadata__";

const refuse = (path: string, message: string, found?: string, expected?: string): SluiceError => new SluiceError({ code: "SAFE001", message: `${path}: ${message}`, found, expected });
const shown = (name: string): string => `\`${name.length > 100 ? `${name.slice(0, 100)}…` : name}\``;

export interface SafetensorsFile {
  readonly names: readonly string[];
  /** A view of the file where its address allows it. SAFE001 for a tensor whose elements are of a type that we lack. */
  find(name: string): HostTensor | undefined;
  metadata(): { readonly [key: string]: string };
}

/** What the header says of one tensor. */
interface Entry {
  /** As the file calls it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

export function readSafetensors(path: string, bytes: Uint8Array): SafetensorsFile {
  if (bytes.length < 8) throw refuse(path, "too short for safetensors", `${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  if (length > HEADER_LIMIT) throw refuse(path, "the header is too large", `${length} bytes`, `at most ${HEADER_LIMIT}`);
  const start = 8 + Number(length);
  if (start > bytes.length) throw refuse(path, "the header does not fit the file", `${length} bytes`, `at most ${bytes.length - 8}`);
  if (bytes[8] !== 0x7b) throw refuse(path, "the header does not start with {");
  const header = bytes.subarray(8, start);
  const data = bytes.subarray(start);
  const places = placesOf(path, header);
  const names = [...places.keys()];
  const entries = Float64Array.from(places.values());
  checkOrder(path, header, names, entries, data.length);
  return {
    names,
    find(name) {
      const at = places.get(name);
      return at === undefined ? undefined : tensorAt(path, name, entryAt(path, name, new JsonReader(header, at)), data);
    },
    metadata: () => metadataOf(path, header),
  };
}

/** Where in the header each tensor is described. All of the header is checked. */
function placesOf(path: string, header: Uint8Array): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  let hasMetadata = false;
  try {
    const reader = new JsonReader(header);
    reader.object(name => {
      if (name === METADATA ? hasMetadata : places.has(name)) throw refuse(path, `two tensors are called ${shown(name)}`);
      if (name === METADATA) {
        hasMetadata = true;
        eachMetadata(path, reader, () => reader.skip());
      } else {
        places.set(name, reader.position);
        entryAt(path, name, reader);
      }
    }, NAME_LIMIT);
    reader.end();
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw refuse(path, "the header is no JSON", error.message);
    throw error;
  }
  return places;
}

/** Refuses tensors that overlap or leave holes. */
function checkOrder(path: string, header: Uint8Array, names: readonly string[], places: Float64Array, total: number): void {
  const starts = new Float64Array(places.length);
  const ends = new Float64Array(places.length);
  places.forEach((place, i) => {
    const { start, end } = entryAt(path, names[i]!, new JsonReader(header, place));
    starts[i] = start;
    ends[i] = end;
  });
  const order = Uint32Array.from(places, (_, i) => i).sort((a, b) => starts[a]! - starts[b]! || ends[a]! - ends[b]! || a - b);
  let at = 0;
  for (const i of order) {
    if (starts[i] !== at) throw refuse(path, `tensor ${shown(names[i]!)} ${starts[i]! < at ? "overlaps the one before it" : "leaves a hole before it"}`, `offset ${starts[i]}`, `offset ${at}`);
    at = ends[i]!;
  }
  if (at > total) throw refuse(path, "the file ends before its tensors do", `${total} bytes`, `${at} bytes`);
  if (at < total) throw refuse(path, "the tensors do not fill the file", `${at} bytes`, `${total} bytes`);
}

const ourDType = (theirs: string): DType | undefined => (Object.keys(NAMES) as DType[]).find(d => NAMES[d] === theirs);

function entryAt(path: string, name: string, reader: JsonReader): Entry {
  const invalid = (): SluiceError => refuse(path, `tensor ${shown(name)} has no valid element type, shape and offsets`);
  if (!reader.isObject()) throw invalid();
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const naturals = (before: number[] | undefined, limit: number): number[] => {
    if (before || !reader.isList()) throw invalid();
    const list: number[] = [];
    reader.list(() => {
      const value = reader.isNumber() ? reader.natural() : null;
      if (value === null || list.push(value) > limit) throw invalid();
    });
    return list;
  };
  reader.object(key => {
    if (key === "dtype") {
      if (dtype !== undefined || !reader.isText()) throw invalid();
      dtype = reader.text(NAME_LIMIT);
    } else if (key === "shape") shape = naturals(shape, AXES_LIMIT);
    else if (key === "data_offsets") offsets = naturals(offsets, 2);
    else reader.skip();
  }, NAME_LIMIT);
  if (dtype === undefined || !shape || offsets?.length !== 2) throw invalid();
  const [start, end] = offsets as [number, number];
  if (end < start) throw invalid();
  const ours = ourDType(dtype);
  const count = safeElementCount(shape);
  const expected = ours && count !== undefined ? byteLength(ours, count) : undefined;
  if (count === undefined || (ours && end - start !== expected)) {
    throw refuse(path, `tensor ${shown(name)} has another length than its shape says`, `${end - start} bytes`, `${expected === undefined ? "more than a file holds" : `${expected} bytes`} for ${ours ?? dtype} ${shapeText(shape)}`);
  }
  return { dtype, shape, start, end };
}

function tensorAt(path: string, name: string, { dtype: theirs, shape, start, end }: Entry, data: Uint8Array): HostTensor {
  const dtype = ourDType(theirs);
  if (!dtype) throw refuse(path, `tensor ${shown(name)} has an element type that is not supported`, shown(theirs), Object.values(NAMES).join(", "));
  const tensor = tensorOfBytes(dtype, shape, data.subarray(start, end));
  const unfit = unfitBool(tensor);
  if (unfit) throw refuse(path, `tensor ${shown(name)} holds a byte that is no bool`, `${unfit.byte} at ${unfit.place}`, "0 or 1");
  return tensor;
}

function eachMetadata(path: string, reader: JsonReader, visit: (key: string) => void): void {
  const invalid = (): SluiceError => refuse(path, `${METADATA} is no table of texts`);
  if (!reader.isObject()) throw invalid();
  reader.object(key => {
    if (!reader.isText()) throw invalid();
    visit(key);
  }, NAME_LIMIT);
}

function metadataOf(path: string, header: Uint8Array): { readonly [key: string]: string } {
  const texts: [string, string][] = [];
  const reader = new JsonReader(header);
  reader.object(name => {
    if (name !== METADATA) reader.skip();
    else eachMetadata(path, reader, key => void texts.push([key, reader.text()]));
  });
  return Object.fromEntries(texts);
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
