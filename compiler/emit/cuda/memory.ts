// Where elements lie and how they are loaded and stored: as their own type, one at a time or several in one access where
// they are known to be aligned. Loads widen; stores round and wrap.
import { type DType, DTYPES } from "../../base/dtypes.ts";
import { addSize, dimSize, mulSize, productSize, type Size } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, REGISTER_TYPE } from "../../kernel/ir.ts";
import { mapOperands } from "../../kernel/share.ts";
import type { Code } from "./code.ts";
import { opened } from "./arithmetic.ts";
import type { Sizes, Width } from "./sizes.ts";

/** What memory holds; two nibbles lie in a byte. */
export const STORAGE_TYPE: { readonly [D in DType]: string } = {
  f64: "double", f32: "float", f16: "f16", bf16: "bf16", i32: "int", i16: "int16_t", i8: "int8_t", i4: "uint8_t", u32: "uint32_t", u16: "uint16_t", u8: "uint8_t", bool: "uint8_t",
};
/** CUDA's vectors of two and four. */
const VECTOR_TYPE: { readonly [D in DType]: string } = {
  f64: "double", f32: "float", f16: "ushort", bf16: "ushort", i32: "int", i16: "short", i8: "char", i4: "", u32: "uint", u16: "ushort", u8: "uchar", bool: "uchar",
};
const FIELDS = ["x", "y", "z", "w"];
const LARGEST_ACCESS = 16;
/** Of a vector, more than any kernel has. */
const MOST_LANES = 64;

/** A buffer in memory; all start at multiples of 16 bytes. */
export interface Home {
  readonly buffer: Buffer;
  readonly base: string;
}

/** Consecutive elements along the last axis. */
export interface Place {
  /** The number of the element so many further on. */
  at(elements: number): string;
  /** A power of two that divides that number. */
  multipleOf(elements: number): number;
  /** Of the numbers, if they follow each other. */
  readonly width: Width | null;
}

/** Bound i32 names as symbols. */
export const withNames = (sizes: Sizes, e: Expr): Expr =>
  (e.kind === "var" && sizes.names.has(e.name) ? { kind: "size", size: dimSize(e.name) } : mapOperands(e, x => withNames(sizes, x)));

/** The access at the index; indices that are data are evaluated, once. */
export function placeOf(sizes: Sizes, buffer: Buffer, index: readonly Expr[], evaluate: (e: Expr) => string): Place {
  const shape = buffer.shape.map(s => sizes.resolve(s));
  const polynomials = index.map(e => indexSize(withNames(sizes, e)));
  const units = swizzleUnits(buffer);
  if (units > 1) return swizzled(sizes, buffer, shape, polynomials, units, axis => evaluate(index[axis]!));
  const { size, data } = flat(sizes, shape, polynomials, axis => evaluate(index[axis]!));
  const multiple = Math.min(sizes.multipleOf(size), ...data.map(d => sizes.multipleOf(d.stride)));
  const width = sizes.width(addSize(size, MOST_LANES)) === 64 || (data.length > 0 && sizes.width(productSize(shape)) === 64) ? 64 : 32;
  return {
    width,
    at: elements => {
      const fixed = addSize(size, elements);
      const terms = data.map(({ text, stride }) => (stride === 1 ? text : `${width === 64 ? `(int64_t)${text}` : text} * ${sizes.text(stride)}`));
      return [...terms, ...(fixed === 0 && terms.length > 0 ? [] : [sizes.open(fixed)])].join(" + ").replaceAll("+ -", "- ");
    },
    multipleOf: elements => (data.length === 0 ? sizes.multipleOf(addSize(size, elements)) : Math.min(multiple, sizes.multipleOf(elements))),
  };
}

interface Flat {
  readonly size: Size;
  readonly data: readonly { readonly text: string; readonly stride: Size }[];
}
function flat(sizes: Sizes, shape: readonly Size[], polynomials: readonly (Size | undefined)[], evaluate: (axis: number) => string): Flat {
  let stride: Size = 1;
  let size: Size = 0;
  const data: Flat["data"][number][] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const polynomial = polynomials[axis];
    if (polynomial === undefined) data.push({ text: evaluate(axis), stride });
    else size = addSize(size, sizes.resolve(mulSize(polynomial, stride)));
    stride = mulSize(stride, shape[axis]!);
  }
  return { size, data };
}

/** In how many units of a row the swizzle moves elements about: a power of two. */
function swizzleUnits({ shape, swizzle }: Buffer): number {
  const columns = shape.at(-1);
  // Which unit an element is in must be bits of its column.
  if (!Number.isInteger(Math.log2(swizzle)) || shape.length < 2 || typeof columns !== "number") return 1;
  let units = 1;
  while (columns % (2 * units * swizzle) === 0) units *= 2;
  return units;
}

/** The column's unit is xor-ed with the row's number. */
const swizzledColumn = (row: string, column: string, units: number, swizzle: number): string => `(${column} ^ (${row} & ${units - 1}) * ${swizzle})`;

function swizzled(sizes: Sizes, { swizzle }: Buffer, shape: readonly Size[], polynomials: readonly (Size | undefined)[], units: number, evaluate: (axis: number) => string): Place {
  const last = shape.length - 1;
  const int = (axis: number): string => (polynomials[axis] === undefined ? evaluate(axis) : sizes.int(polynomials[axis]!));
  const texts = shape.map((_, axis) => int(axis));
  const rows = flat(sizes, shape, [...polynomials.slice(0, last), 0], axis => texts[axis]!);
  const before = [...(rows.size === 0 ? [] : [sizes.open(rows.size)]), ...rows.data.map(d => `${d.text} * ${sizes.text(d.stride)}`)];
  const column = polynomials[last];
  return {
    width: null,
    at: elements => {
      const text = column === undefined ? `(${texts[last]} + ${elements})` : sizes.int(addSize(column, elements));
      return [...before, swizzledColumn(texts[last - 1]!, text, units, swizzle)].join(" + ");
    },
    // A row is whole units, so that only the column matters, up to a unit.
    multipleOf: elements => (column === undefined ? 1 : Math.min(sizes.multipleOf(addSize(column, elements)), sizes.multipleOf(swizzle))),
  };
}

const bytesOf = (d: DType): number => DTYPES[d].bits / 8;

/** The value in registers of what memory holds. */
const widened = (d: DType, text: string): string => {
  switch (d) {
    case "f16": case "bf16": return `f32_of_${d}(${text})`;
    case "u8": case "u16": return `(uint32_t)${text}`;
    case "bool": return `(${text} != 0)`;
    default: return text;
  }
};
const narrowed = (d: DType, value: string): string => {
  switch (d) {
    case "f16": case "bf16": return `${d}_of_f32(${opened(value)})`;
    case "i8": case "i16": case "u8": case "u16": return `(${STORAGE_TYPE[d]})${value}`;
    default: return opened(value);
  }
};

const element = ({ buffer: { dtype }, base }: Home, place: Place, i: number): string =>
  (dtype === "i4" ? `load_i4(${base}, ${place.at(i)})` : widened(dtype, `${base}[${place.at(i)}]`));

/** So many elements at a time, from element `first` on, as alignment allows. */
function widthOf({ dtype }: Buffer, place: Place, first: number, left: number): 1 | 2 | 4 | 8 {
  const widths = dtype === "i4" ? [8, 4, 2] as const : [4, 2] as const;
  return widths.find(w => w <= left && w * bytesOf(dtype) <= LARGEST_ACCESS && place.multipleOf(first) % w === 0) ?? 1;
}

/** How many elements each access has. */
function widthsOf(buffer: Buffer, place: Place, count: number, most = Infinity): number[] {
  const widths: number[] = [];
  for (let first = 0; first < count; first += widths.at(-1)!) widths.push(Math.min(most, widthOf(buffer, place, first, count - first)));
  return widths;
}
/** The place, its number under a name if it is used several times. */
function named(code: Code, place: Place, uses: number): Place {
  const first = place.at(0);
  if (uses < 2 || place.width === null || /^\w+$/.test(first)) return place;
  const name = code.held(place.width === 64 ? "int64_t" : "int", first, "at");
  return { ...place, at: elements => (elements === 0 ? name : `${name} + ${elements}`) };
}

/** The values of so many elements; `hint` names what is loaded in one access. */
export function loadLanes(code: Code, home: Home, at: Place, lanes: number, hint: string): string[] {
  const { dtype } = home.buffer;
  const values: string[] = [];
  const widths = widthsOf(home.buffer, at, lanes);
  const place = named(code, at, widths.length);
  for (const width of widths) {
    const first = values.length;
    if (width === 1) values.push(element(home, place, first));
    else if (dtype === "i4") {
      const word = code.held("uint32_t", `*(const uint${4 * width}_t *)&${home.base}[(${place.at(first)}) >> 1]`, hint);
      for (let i = 0; i < width; i++) values.push(`nibble(${word}, ${i})`);
    } else {
      const type = `${VECTOR_TYPE[dtype]}${width}`;
      const vector = code.held(type, `*(const ${type} *)&${home.base}[${place.at(first)}]`, hint);
      for (const field of FIELDS.slice(0, width)) values.push(widened(dtype, dtype === "f16" || dtype === "bf16" ? `${dtype}{${vector}.${field}}` : `${vector}.${field}`));
    }
  }
  return values;
}

export function storeLanes(code: Code, home: Home, at: Place, values: readonly string[]): void {
  const { buffer: { dtype, space }, base } = home;
  const widths = widthsOf(home.buffer, at, values.length, dtype === "i4" ? 1 : Infinity);
  const place = named(code, at, widths.length);
  let first = 0;
  for (const width of widths) {
    if (dtype === "i4") code.line(`${space === "local" ? "store_i4" : "store_i4_beside_others"}(${base}, ${place.at(first)}, ${opened(values[first]!)});`);
    else if (width === 1) code.line(`${base}[${place.at(first)}] = ${narrowed(dtype, values[first]!)};`);
    else {
      const type = `${VECTOR_TYPE[dtype]}${width}`;
      const items = values.slice(first, first + width).map(v => `${narrowed(dtype, v)}${dtype === "f16" || dtype === "bf16" ? ".bits" : ""}`);
      code.line(`*(${type} *)&${base}[${place.at(first)}] = make_${type}(${items.join(", ")});`);
    }
    first += width;
  }
}

/** The value as a register buffer of the dtype holds it. */
export function rounded(d: DType, value: string): string {
  const { bits, kind } = DTYPES[d];
  if (d === "f16") return `half_f32(${opened(value)})`;
  if (d === "bf16") return `brain_f32(${opened(value)})`;
  if (d === "i4") return `nibble((uint32_t)${value}, 0)`;
  if (bits >= 32 || kind === "bool") return value;
  return REGISTER_TYPE[d] === "i32" ? `(int)(int${bits}_t)${value}` : `(${value} & ${2 ** bits - 1}u)`;
}
