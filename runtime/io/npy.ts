// NumPy's .npy, versions 1 to 3: one tensor of integers, floats or bools, in either byte order and in row-major or column-major
// order, made the dtype that is wanted. Integers are kept exactly or refused; floats are rounded, and what is finite stays so.
import { byteLength, type DType, DTYPES } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { bytesOf, elementAt, type HostTensor, safeElementCount, setElement, shapeText, tensorOfBytes, unfitBool } from "../tensor.ts";

const MAGIC = "\x93NUMPY";
const DESCRIPTIONS: { readonly [D in DType]?: string } = {
  f64: "<f8", f32: "<f4", f16: "<f2", i32: "<i4", i16: "<i2", i8: "|i1", u32: "<u4", u16: "<u2", u8: "|u1", bool: "|b1",
};
const HEADER_LIMIT = 2 ** 20;
const AXES_LIMIT = 64;

const refuse = (path: string, message: string, found?: string, expected?: string): SluiceError => new SluiceError({ code: "NPY001", message: `${path}: ${message}`, found, expected });

/** An element of one kind: its bytes, how it is read, and the dtype of ours that holds it as it is. */
interface Element {
  readonly width: number;
  readonly isFloat: boolean;
  readonly dtype?: DType;
  read(view: DataView, at: number, isLittle: boolean): number | bigint;
}
const ELEMENTS: { readonly [kind: string]: Element } = {
  b1: { width: 1, isFloat: false, dtype: "bool", read: (view, at) => view.getUint8(at) },
  i1: { width: 1, isFloat: false, dtype: "i8", read: (view, at) => view.getInt8(at) },
  i2: { width: 2, isFloat: false, dtype: "i16", read: (view, at, isLittle) => view.getInt16(at, isLittle) },
  i4: { width: 4, isFloat: false, dtype: "i32", read: (view, at, isLittle) => view.getInt32(at, isLittle) },
  i8: { width: 8, isFloat: false, read: (view, at, isLittle) => exact(view.getInt32(isLittle ? at + 4 : at, isLittle), view.getUint32(isLittle ? at : at + 4, isLittle)) },
  u1: { width: 1, isFloat: false, dtype: "u8", read: (view, at) => view.getUint8(at) },
  u2: { width: 2, isFloat: false, dtype: "u16", read: (view, at, isLittle) => view.getUint16(at, isLittle) },
  u4: { width: 4, isFloat: false, dtype: "u32", read: (view, at, isLittle) => view.getUint32(at, isLittle) },
  u8: { width: 8, isFloat: false, read: (view, at, isLittle) => exact(view.getUint32(isLittle ? at + 4 : at, isLittle), view.getUint32(isLittle ? at : at + 4, isLittle)) },
  f2: { width: 2, isFloat: true, dtype: "f16", read: (view, at, isLittle) => elementAt({ dtype: "f16", data: Uint16Array.of(view.getUint16(at, isLittle)) }, 0) },
  f4: { width: 4, isFloat: true, dtype: "f32", read: (view, at, isLittle) => view.getFloat32(at, isLittle) },
  f8: { width: 8, isFloat: true, dtype: "f64", read: (view, at, isLittle) => view.getFloat64(at, isLittle) },
};

/** A number where it is exact, as nearly all 64-bit integers are. */
function exact(high: number, low: number): number | bigint {
  const value = high * 2 ** 32 + low;
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) + BigInt(low);
}

interface Header {
  readonly description: string;
  readonly isColumnMajor: boolean;
  readonly shape: readonly number[];
}

/** The header is a dictionary as Python writes it, its keys in any order. */
function parseHeader(path: string, text: string): Header {
  let at = 0;
  const accept = (pattern: RegExp): RegExpExecArray | null => {
    const sticky = new RegExp(`[ \\t\\r\\n]*(?:${pattern.source})`, "y");
    sticky.lastIndex = at;
    const found = sticky.exec(text);
    if (found) at = sticky.lastIndex;
    return found;
  };
  const unreadable = (): SluiceError => refuse(path, "the header cannot be read", JSON.stringify(text.slice(0, 80)));
  const take = (pattern: RegExp): RegExpExecArray => {
    const found = accept(pattern);
    if (!found) throw unreadable();
    return found;
  };
  const quoted = (): string => {
    const [, single, double] = take(/'([^']*)'|"([^"]*)"/);
    return single ?? double!;
  };
  const fields: { -readonly [F in keyof Header]?: Header[F] } = {};
  const set = <F extends keyof Header>(field: F, value: Header[F]): void => {
    if (fields[field] !== undefined) throw unreadable();
    fields[field] = value;
  };
  const shape = (): number[] => {
    const extents: number[] = [];
    take(/\(/);
    while (!accept(/\)/)) {
      const extent = Number(take(/(\d+)L?/)[1]);
      if (!Number.isSafeInteger(extent) || extents.push(extent) > AXES_LIMIT) throw unreadable();
      if (!accept(/,/)) {
        take(/\)/);
        break;
      }
    }
    return extents;
  };
  take(/\{/);
  while (!accept(/\}/)) {
    const key = quoted();
    take(/:/);
    if (key === "descr") {
      if (accept(/(?=\[)/)) throw refuse(path, "records are no tensor", text.slice(at, at + 80), "one element type");
      set("description", quoted());
    } else if (key === "fortran_order") set("isColumnMajor", take(/True|False/)[0].endsWith("True"));
    else if (key === "shape") set("shape", shape());
    else throw unreadable();
    if (!accept(/,/)) {
      take(/\}/);
      break;
    }
  }
  take(/$/);
  const { description, isColumnMajor, shape: extents } = fields;
  if (description === undefined || isColumnMajor === undefined || !extents) throw unreadable();
  return { description, isColumnMajor, shape: extents };
}

/** As `wanted`, or without it as the dtype that the file has, if it is one of ours. NPY002 for a number that does not fit. */
export function readNpy(path: string, bytes: Uint8Array, wanted?: DType): HostTensor {
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(0, 6)) !== MAGIC) throw refuse(path, "not an .npy file");
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw refuse(path, "an unknown version of .npy", `version ${version}`, "1, 2 or 3");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [start, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (length > HEADER_LIMIT || start + length > bytes.length) throw refuse(path, "the header does not fit the file", `${length} bytes`);
  const { description, isColumnMajor, shape } = parseHeader(path, new TextDecoder("latin1").decode(bytes.subarray(start, start + length)));
  const [, order, kind] = /^([<>|=])([biuf]\d)$/.exec(description) ?? [];
  const element = kind === undefined ? undefined : ELEMENTS[kind];
  if (!element) throw refuse(path, "an element type that is not supported", description.slice(0, 80), `integers, floats and bools: ${Object.keys(ELEMENTS).join(", ")}`);
  const data = bytes.subarray(start + length);
  const expected = (safeElementCount(shape) ?? Infinity) * element.width;
  if (data.length !== expected) throw refuse(path, "the data has another length than the shape says", `${data.length} bytes`, Number.isSafeInteger(expected) ? `${expected} bytes` : "more than a file holds");
  const dtype = wanted ?? element.dtype;
  if (dtype === undefined) throw refuse(path, "an element type that is not one of ours", description, Object.values(DESCRIPTIONS).join(", "));
  const lies = { data, shape, isColumnMajor: isColumnMajor && shape.length > 1, isLittle: order !== ">" || element.width === 1 };
  if (dtype !== element.dtype || lies.isColumnMajor || !lies.isLittle) return converted(path, dtype, element, lies);
  const tensor = tensorOfBytes(dtype, shape, data);
  const unfit = unfitBool(tensor);
  if (unfit) throw misfit(path, dtype, unfit.byte, unfit.place);
  return tensor;
}

/** How elements lie in a file. */
interface Layout {
  readonly data: Uint8Array;
  readonly shape: readonly number[];
  readonly isColumnMajor: boolean;
  readonly isLittle: boolean;
}

const misfit = (path: string, dtype: DType, value: number | bigint, place: string): SluiceError =>
  new SluiceError({ code: "NPY002", message: `${path}: a number does not fit ${dtype}`, found: `${value} at ${place}`, expected: rangeText(dtype) });

function rangeText(dtype: DType): string {
  const { bits, kind } = DTYPES[dtype];
  if (kind === "float") return `integers that ${dtype} holds exactly, and floats within its range`;
  const [least, most] = kind === "bool" ? [0, 1] : kind === "signed" ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  return `integers from ${least} to ${most}`;
}

function converted(path: string, dtype: DType, { width, read, isFloat, dtype: theirs }: Element, { data, shape, isColumnMajor, isLittle }: Layout): HostTensor {
  const count = data.length / width;
  const tensor = tensorOfBytes(dtype, shape, new Uint8Array(byteLength(dtype, count)));
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const loses = isFloat && DTYPES[dtype].kind === "float" ? (before: number, after: number): boolean => Number.isFinite(before) && !Number.isFinite(after) : (before: number, after: number): boolean => before !== after;
  // Bytes from one element to the next along each axis.
  const strides = shape.map((_, axis) => width * (isColumnMajor ? shape.slice(0, axis) : shape.slice(axis + 1)).reduce((n, extent) => n * extent, 1));
  const place = shape.map(() => 0);
  for (let i = 0, at = 0; i < count; i++) {
    const value = read(view, at, isLittle);
    const number = Number(value);
    setElement(tensor, i, number);
    if ((typeof value === "bigint" && BigInt(number) !== value) || loses(number, elementAt(tensor, i))) throw misfit(path, dtype, value, shapeText(place));
    if (theirs === "bool" && number > 1) throw misfit(path, theirs, value, shapeText(place));
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++place[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      place[axis] = 0;
    }
  }
  return tensor;
}

export function writeNpy(path: string, tensor: HostTensor): Uint8Array {
  const description = DESCRIPTIONS[tensor.dtype];
  if (!description) throw refuse(path, `.npy cannot hold ${tensor.dtype}`, tensor.dtype, Object.keys(DESCRIPTIONS).join(", "));
  const shape = tensor.shape.length === 1 ? `${tensor.shape[0]},` : tensor.shape.join(", ");
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': (${shape}), }`;
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const data = bytesOf(tensor);
  const file = new Uint8Array(start + data.length);
  const header = `${MAGIC}\x01\x00${String.fromCharCode((start - 10) & 255, (start - 10) >> 8)}${text.padEnd(start - 11)}\n`;
  for (let i = 0; i < header.length; i++) file[i] = header.charCodeAt(i);
  file.set(data, start);
  return file;
}
