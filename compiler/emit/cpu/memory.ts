// Where elements lie, and loads that widen and stores that round and wrap, of one element or of a vector's lanes.
import { type DType, DTYPES } from "../../base/dtypes.ts";
import { addSize, dimSize, mulSize, type Size, splitConstant } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, REGISTER_TYPE, type ScalarType } from "../../kernel/ir.ts";
import { mapOperands } from "../../kernel/share.ts";
import { type Code, partsOf, vectorType } from "./code.ts";
import { extractLane, partOfScalars } from "./lanes.ts";
import type { Sizes } from "./sizes.ts";

/** An element in memory: a pointer; of i4, the buffer and the number of the element. */
export interface Address {
  /** The pointer to the element that is so many further on. */
  at(elements: number): string;
  /** Of i4: whether the element is the first of its byte; otherwise unknown or no. */
  readonly isWhole: boolean;
}

/** How the library names the elements of buffers. */
const STORED: { readonly [D in DType]: string } = {
  f64: "f64", f32: "f32", f16: "f16", bf16: "bf16", i32: "i32", i16: "i16", i8: "i8", i4: "i4", u32: "u32", u16: "u16", u8: "u8", bool: "b8",
};

/** An access before loops are unrolled: the number of the element, apart from indices that are data. */
export interface AccessShape {
  readonly place: Size;
  readonly data: readonly { readonly index: Expr; readonly stride: Size }[];
}

export function accessShape(sizes: Sizes, buffer: Buffer, index: readonly Expr[]): AccessShape {
  const withNames = (e: Expr): Expr => (e.kind === "var" && sizes.names.has(e.name) ? { kind: "size", size: dimSize(e.name) } : mapOperands(e, withNames));
  let stride: Size = 1;
  let place: Size = 0;
  const data: AccessShape["data"][number][] = [];
  for (let axis = index.length - 1; axis >= 0; axis--) {
    const polynomial = indexSize(withNames(index[axis]!));
    if (polynomial !== undefined) place = addSize(place, mulSize(polynomial, stride));
    else data.push({ index: index[axis]!, stride });
    stride = mulSize(stride, buffer.shape[axis]!);
  }
  return { place, data };
}

/** Indices that are data are computed by `evaluate`. */
export function addressOf(code: Code, sizes: Sizes, base: string, buffer: Buffer, shape: AccessShape, evaluate: (e: Expr) => string): Address {
  const data = shape.data.map(({ index, stride }) => `(int64_t)${evaluate(index)}${stride === 1 ? "" : ` * ${sizes.text(stride)}`}`);
  const { rest, constant } = splitConstant(sizes.resolve(shape.place));
  const place = rest === 0 ? [] : [sizes.open(rest)];
  if (buffer.dtype === "i4") {
    const isWhole = data.length === 0 && constant % 2 === 0 && sizes.isEven(rest);
    return { at: elements => `${base}, ${plus([...place, ...data].join(" + "), constant + elements)}`, isWhole };
  }
  const bytes = DTYPES[buffer.dtype].bits / 8;
  const moved = (from: string, elements: readonly string[]): string => (elements.length === 0 ? from : `${from} + ${scaled(elements.join(" + "), bytes)}`);
  const start = place.length === 0 ? base : code.pointer(base, "access" in buffer && buffer.access === "read" ? "read" : "write", moved(base, place));
  const variable = moved(start, data);
  return { at: elements => plus(variable, (constant + elements) * bytes), isWhole: true };
}

const scaled = (sum: string, scale: number): string => (scale === 1 ? sum : `${scale} * ${/^\w+$/.test(sum) ? sum : `(${sum})`}`);
const plus = (sum: string, constant: number): string => {
  if (sum === "") return String(constant);
  return constant === 0 ? sum : `${sum} ${constant < 0 ? "-" : "+"} ${Math.abs(constant)}`;
};

export const loadElement = (d: DType, address: Address, i = 0): string => `load_${STORED[d]}(${address.at(i)})`;
export const storeElement = (d: DType, address: Address, value: string, i = 0): string =>
  (d === "i4" ? `store_i4(${address.at(i)}, ${value})` : `store_${STORED[d]}(${address.at(i)}, ${value})`);

/** A vector of nibbles lies where its bytes do. */
const vectorAt = (d: DType, address: Address, i: number): string => {
  const at = address.at(i);
  if (d !== "i4") return at;
  const comma = at.indexOf(", ");
  return `${at.slice(0, comma)} + ((${at.slice(comma + 2)}) >> 1)`;
};
const isWholeVector = (d: DType, address: Address, first: number): boolean => d !== "i4" || (address.isWhole && first % 2 === 0);

/** Pixels: the library has them in two accesses. */
const isThreeOfFour = (d: DType, count: number, width: number): boolean => count === 3 && width === 4 && ["f32", "i32", "u32", "u8"].includes(d);

export function loadVector(code: Code, d: DType, lanes: number, address: Address): string[] {
  const scalar = REGISTER_TYPE[d];
  return partsOf(code.machine, scalar, lanes).map(({ first, count, width }) => {
    if (count === width && isWholeVector(d, address, first)) return `load_${STORED[d]}x${width}(${vectorAt(d, address, first)})`;
    if (isThreeOfFour(d, count, width)) return `load3_${STORED[d]}x4(${address.at(first)})`;
    return partOfScalars(scalar, width, Array.from({ length: count }, (_, i) => loadElement(d, address, first + i)));
  });
}

export function storeVector(code: Code, d: DType, lanes: number, address: Address, values: readonly string[]): void {
  const scalar = REGISTER_TYPE[d];
  partsOf(code.machine, scalar, lanes).forEach(({ first, count, width }, p) => {
    if (count === width && isWholeVector(d, address, first)) {
      code.line(`store_${STORED[d]}x${width}(${vectorAt(d, address, first)}, ${values[p]});`);
      return;
    }
    if (isThreeOfFour(d, count, width)) {
      code.line(`store3_${STORED[d]}x4(${address.at(first)}, ${values[p]});`);
      return;
    }
    const held = code.hold(vectorType(scalar, width), values[p]!);
    for (let i = 0; i < count; i++) code.line(`${storeElement(d, address, extractLane(scalar, held, i), first + i)};`);
  });
}

/** The value of one C value as the dtype holds it; `type` is that of the C value, in the library's words. */
export function roundTo(d: DType, scalar: ScalarType, width: number, value: string): string {
  const { bits, kind } = DTYPES[d];
  const type = width === 1 ? "f32" : vectorType("f32", width);
  if (d === "f16") return `half_${type}(${value})`;
  if (d === "bf16") return `brain_${type}(${value})`;
  if (bits >= 32 || kind === "bool") return value;
  if (width > 1) return `((${value} << ${32 - bits}) >> ${32 - bits})`;
  return scalar === "i32" ? `((int32_t)((uint32_t)${value} << ${32 - bits}) >> ${32 - bits})` : `(${value} & ${2 ** bits - 1}u)`;
}
