// Tensors in host memory: what goes into a program and comes out of it. f16 and bf16 are kept as their bits, i4 as packed
// pairs (low nibble first), bool as bytes.
import { byteLength, type DType, DTYPES } from "../compiler/base/dtypes.ts";
import { SluiceError } from "../compiler/base/diagnostics.ts";

export type HostArray = Float64Array | Float32Array | Int32Array | Int16Array | Int8Array | Uint32Array | Uint16Array | Uint8Array;

export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: HostArray;
  /** The only element of a tensor that has one. */
  item(): number;
}

type ArrayKind = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => HostArray;

/** The array that holds a dtype's elements in host memory. */
const ARRAYS: { readonly [D in DType]: ArrayKind } = {
  f64: Float64Array, f32: Float32Array, f16: Uint16Array, bf16: Uint16Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, i4: Uint8Array,
  u32: Uint32Array, u16: Uint16Array, u8: Uint8Array, bool: Uint8Array,
};

export const elementCount = (shape: readonly number[]): number => shape.reduce((n, extent) => n * extent, 1);
/** Undefined where the extents that are not 0 have a product too large for exact numbers, as only a false shape has. */
export const safeElementCount = (shape: readonly number[]): number | undefined =>
  Number.isSafeInteger(elementCount(shape.filter(extent => extent !== 0))) ? elementCount(shape) : undefined;

/** Whether a typed array can hold elements of the dtype without conversion. */
export const holds = (data: HostArray, dtype: DType): boolean => data.constructor === ARRAYS[dtype] || (data instanceof Uint8Array && ARRAYS[dtype] === Uint8Array);

export function hostTensor(dtype: DType, shape: readonly number[], data: HostArray): HostTensor {
  return {
    dtype, shape, data,
    item() {
      const count = elementCount(shape);
      if (count !== 1) throw new SluiceError({ code: "TENSOR001", message: "item() needs a tensor of one element", found: `${dtype} ${shapeText(shape)}`, expected: "one element" });
      return elementAt(this, 0);
    },
  };
}

/** A view of bytes as a tensor; they are copied only if their address is not aligned to the dtype. */
export function tensorOfBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): HostTensor {
  const width = Math.max(1, DTYPES[dtype].bits / 8);
  // A Buffer's own slice would be a view again.
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  return hostTensor(dtype, shape, new ARRAYS[dtype](aligned.buffer, aligned.byteOffset, Math.floor(byteLength(dtype, elementCount(shape)) / width)));
}

/** The first byte of a bool tensor that is neither 0 nor 1, and its place. */
export function unfitBool({ dtype, shape, data }: HostTensor): { readonly byte: number; readonly place: string } | undefined {
  const at = dtype === "bool" ? data.findIndex(byte => byte > 1) : -1;
  if (at < 0) return undefined;
  const place = shape.map((extent, axis) => Math.floor(at / elementCount(shape.slice(axis + 1))) % extent);
  return { byte: data[at]!, place: shapeText(place) };
}

export const bytesOf = (t: Pick<HostTensor, "data">): Uint8Array => new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);

/** Numbers rounded to a dtype. */
export function tensorOfNumbers(dtype: DType, shape: readonly number[], values: ArrayLike<number>): HostTensor {
  const t = tensorOfBytes(dtype, shape, new Uint8Array(byteLength(dtype, values.length)));
  for (let i = 0; i < values.length; i++) setElement(t, i, values[i]!);
  return t;
}

/** Element i as a number, whatever the dtype. */
export function elementAt({ dtype, data }: Pick<HostTensor, "dtype" | "data">, i: number): number {
  switch (dtype) {
    case "f16": return halfValue(data[i]!, 10, 15);
    case "bf16": return halfValue(data[i]!, 7, 127);
    case "i4": return ((data[i >> 1]! >> ((i & 1) * 4)) << 28) >> 28;
    default: return data[i]!;
  }
}

/** Rounds the number to the dtype. */
export function setElement({ dtype, data }: Pick<HostTensor, "dtype" | "data">, i: number, value: number): void {
  const rounded = DTYPES[dtype].round(value);
  switch (dtype) {
    case "f16": data[i] = halfBits(rounded, 10, 15); break;
    case "bf16": data[i] = halfBits(rounded, 7, 127); break;
    case "i4": data[i >> 1] = i & 1 ? (data[i >> 1]! & 15) | ((rounded & 15) << 4) : (data[i >> 1]! & 240) | (rounded & 15); break;
    default: data[i] = rounded;
  }
}

/** The value of a 16-bit float with so many mantissa bits. */
function halfValue(bits: number, mantissa: number, bias: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const top = (1 << (15 - mantissa)) - 1;
  const exponent = (bits >> mantissa) & top;
  const fraction = bits & ((1 << mantissa) - 1);
  if (exponent === top) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias - mantissa) : (1 + fraction / 2 ** mantissa) * 2 ** (exponent - bias));
}

/** The bits of a number that the 16-bit float holds exactly. */
function halfBits(x: number, mantissa: number, bias: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const top = (1 << (15 - mantissa)) - 1;
  if (Number.isNaN(x)) return (top << mantissa) | (1 << (mantissa - 1));
  const size = Math.abs(x);
  if (size === Infinity) return sign | (top << mantissa);
  const smallest = 2 ** (1 - bias);
  if (size < smallest) return sign | (size / (smallest / 2 ** mantissa));
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  return sign | ((exponent + bias) << mantissa) | ((size / 2 ** exponent - 1) * 2 ** mantissa);
}

export const shapeText = (shape: readonly (number | string)[]): string => `[${shape.join(", ")}]`;

/** A tensor as print shows it: its type and the first elements. */
export function tensorText(t: HostTensor): string {
  const shown = Array.from({ length: Math.min(elementCount(t.shape), 12) }, (_, i) => Number(elementAt(t, i).toPrecision(7)));
  if (t.shape.length === 0) return String(shown[0]);
  return `${t.dtype} ${shapeText(t.shape)} ${shapeText(shown)}${elementCount(t.shape) > shown.length ? " …" : ""}`;
}
