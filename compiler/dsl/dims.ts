// Dims and specs: the sizes of a program, and inputs and states before they have a value.
import { smallestBelowZero } from "../base/corners.ts";
import { SluiceError } from "../base/diagnostics.ts";
import type { DType } from "../base/dtypes.ts";
import { addSize, type DimDecl, dimSize, divideExactly, mulSize, type Size, sizeText, subSize } from "../base/sizes.ts";
import type { Axis, AxisOf, Diff, Product, Quotient, ShapeOf, Sum } from "./shapes.ts";
import { userSpan } from "./source.ts";
import type { Scalar } from "./tensor.ts";

declare const axisName: unique symbol;

/** A named size: fixed (`dim("H", 768)`), bound at load, or bounded (`dim("B", { max: 64 })`): one entry serves every value inside. */
export class Dim<out N extends Axis = any> {
  declare readonly [axisName]: N;
  /** What the axis is called: the dim's name, or the expression over dims. */
  readonly name: string;
  readonly value: Size;
  /** The dims the value depends on. */
  readonly decls: readonly DimDecl[];

  constructor(name: string, value: Size, decls: readonly DimDecl[]) {
    this.name = name;
    this.value = value;
    this.decls = decls;
  }

  /** A dim of one value is that number, `${H}` its name. Throws SluiceError DIM004 where `B > 3` or `B + 1` asks for a size that has no value yet. */
  [Symbol.toPrimitive](wanted: "string" | "number" | "default"): string | number {
    if (wanted === "string") return this.name;
    if (typeof this.value === "number") return this.value;
    throw new SluiceError({ code: "DIM004", message: `dim ${this.name} is used as a number of JavaScript`, span: userSpan(), found: `${this.name}, whose value is bound when the program ${this.decls.some(d => d.binding === "call") ? "is called" : "is loaded"}`, expected: "a dim of one value", hint: "times, plus, minus and over compute with dims" });
  }

  times<const K extends DimLike>(k: K): Dim<Product<AxisOf<K>, N>> {
    return combine(k, this, (a, b) => `${a}*${b}`, mulSize);
  }
  plus<const K extends DimLike>(k: K): Dim<Sum<N, AxisOf<K>>> {
    return combine(this, k, (a, b) => `${a}+${b}`, addSize);
  }
  minus<const K extends DimLike>(k: K): Dim<Diff<N, AxisOf<K>>> {
    return combine(this, k, (a, b) => (a.endsWith(`+${b}`) ? a.slice(0, -b.length - 1) : `${a}-${b}`), subSize);
  }
  /** Exact division. Throws SluiceError DIM002 if there is certainly a remainder. */
  over<const K extends DimLike>(k: K): Dim<Quotient<N, AxisOf<K>>> {
    const by = asDim(k);
    const exact = divideExactly(this.value, by.value);
    if (exact === undefined) {
      throw new SluiceError({ code: "DIM002", message: `${this.name} is not divisible by ${by.name}`, span: userSpan(), found: `${sizeText(this.value)} / ${sizeText(by.value)}`, expected: "an exact quotient", hint: "make the dim a multiple: dim(\"B\", n).times(k)" });
    }
    const name = this.name.startsWith(`${by.name}*`) ? this.name.slice(by.name.length + 1) : `${this.name}/${by.name}`;
    return new Dim(name, exact, [...this.decls, ...by.decls]);
  }
}

export type DimLike = number | Dim;
/** What may stand where one number is wanted. */
export type Num = number | Dim | Scalar;

const asDim = (d: DimLike): Dim => {
  requireWhole(d);
  return typeof d === "number" ? new Dim(String(d), d, []) : d;
};

function refuseSize(found: string, expected = "a whole number, 0 or more, or a dim", hint?: string): never {
  throw new SluiceError({ code: "DIM006", message: "this is no size", span: userSpan(), found, expected, ...(hint === undefined ? {} : { hint }) });
}
const foundText = (x: unknown): string => (Array.isArray(x) ? `a list of ${x.length}` : typeof x === "string" ? JSON.stringify(x) : typeof x === "object" && x !== null ? "an object" : String(x));

/** A number without a fraction, or a dim. Throws SluiceError DIM006 at the user's line. */
export function requireWhole(d: DimLike): void {
  if (d instanceof Dim || (typeof d === "number" && Number.isSafeInteger(d))) return;
  refuseSize(foundText(d), undefined, Array.isArray(d) ? "sizes are given one by one: f32(2, 3), x.reshape(2, 3)" : undefined);
}
/** A size that is 0 or more whatever the dims are. Throws SluiceError DIM006 at the user's line. */
export function requireSize(d: DimLike): void {
  requireWhole(d);
  if (typeof d === "number") {
    if (d < 0) refuseSize(String(d));
    return;
  }
  const below = smallestBelowZero(d.value, d.decls);
  if (below === null) return;
  const where = Object.entries(below.values).map(([name, value]) => `${name} = ${value}`).join(", ");
  refuseSize(`${d.name}${d.name === String(below.size) ? "" : `, which is ${below.size}${where === "" ? "" : ` where ${where}`}`}`, "a size of 0 or more", where === "" ? undefined : "the dims' bounds allow it: give a min or a max that does not");
}
/** A plain number that counts something. Throws SluiceError NN002 at the user's line. */
export function requireCount(word: string, what: string, n: number, least = 1): void {
  if (Number.isSafeInteger(n) && n >= least) return;
  throw new SluiceError({ code: "NN002", message: `${word}: the ${what} is no whole number of ${least} or more`, span: userSpan(), found: foundText(n), expected: `${least} or more` });
}

function combine(a: DimLike, b: DimLike, name: (a: string, b: string) => string, value: (a: Size, b: Size) => Size): Dim {
  const [x, y] = [asDim(a), asDim(b)];
  return new Dim(name(x.name, y.name), value(x.value, y.value), [...x.decls, ...y.decls]);
}

export interface Bounds {
  readonly min?: number;
  readonly max: number;
  readonly multipleOf?: number;
  /** "call" (the default) is bound at each call; "load" once, when the program is loaded: states may have such a size. */
  readonly bind?: "call" | "load";
}

/** The longest axis: its positions are i32. */
const LONGEST = 2 ** 31 - 1;
function requireCounted(name: string, most: number): void {
  if (most > LONGEST) throw new SluiceError({ code: "DIM001", message: `dim ${name} is longer than an axis may be`, span: userSpan(), found: String(most), expected: `at most ${LONGEST}`, hint: "make it two axes" });
}

/** A size with a name: one value, or every value within bounds, at most 2³¹ − 1. Throws SluiceError DIM001 on bounds that hold nothing. */
export function dim<const N extends string>(name: N, size: number | Bounds): Dim<N> {
  if (typeof size !== "object" || size === null) {
    if (!Number.isSafeInteger(size) || size < 0) throw new SluiceError({ code: "DIM001", message: `dim ${name} has no valid size`, span: userSpan(), found: foundText(size), expected: "a whole number, 0 or more, or bounds" });
    requireCounted(name, size);
    return new Dim<N>(name, size, []);
  }
  const { min = 1, max, multipleOf = 1, bind = "call" } = size;
  if (![min, max, multipleOf].every(Number.isSafeInteger) || !(min >= 0 && max >= min && multipleOf >= 1 && Math.floor(max / multipleOf) * multipleOf >= min)) {
    throw new SluiceError({ code: "DIM001", message: `no size lies within the bounds of dim ${name}`, span: userSpan(), found: `min ${min}, max ${max}, multipleOf ${multipleOf}`, expected: "whole numbers, 0 ≤ min ≤ max with a multiple between them" });
  }
  requireCounted(name, max);
  return new Dim<N>(name, dimSize(name), [{ name, binding: bind === "load" ? "instance" : "call", min, max, multipleOf }]);
}

/** An input or a state before it has a value: `f32(B, 784)`, `i32()`, `u8(H, W, 3)`. */
export interface Spec<out D extends DType = DType, out S = any> {
  readonly spec: D;
  readonly shape: S;
  readonly dims: readonly DimLike[];
}
type Make<D extends DType> = <const L extends readonly DimLike[]>(...dims: L) => Spec<D, ShapeOf<L>>;
const make = <D extends DType>(spec: D): Make<D> => <const L extends readonly DimLike[]>(...dims: L) => {
  dims.forEach(requireSize);
  return { spec, shape: dims.map(d => (typeof d === "number" ? d : d.name)) as ShapeOf<L>, dims };
};

export const f64 = make("f64");
export const f32 = make("f32");
export const f16 = make("f16");
export const bf16 = make("bf16");
export const i32 = make("i32");
export const i16 = make("i16");
export const i8 = make("i8");
export const i4 = make("i4");
export const u32 = make("u32");
export const u16 = make("u16");
export const u8 = make("u8");
export const bool = make("bool");

/** Part of an axis: `x.slice({ T: span(0, L) })`. */
export interface Span<out N extends Axis = any> {
  readonly start: Num;
  readonly length: DimLike;
  readonly span: N;
}
export const span = <const N extends DimLike>(start: Num, length: N): Span<AxisOf<N>> => ({ start, length, span: undefined as never });
