// The WebAssembly instructions that kernels are made of, as functions of their operands, and the bytes that they become.
// Numbers are those of the core specification with SIMD, relaxed SIMD and threads.
import { InternalError } from "../../base/diagnostics.ts";
import { type Bytes, signedBytes, unsignedBytes } from "./bytes.ts";

export type NumberType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Names a block within its function. */
export type Label = string;

/** An instruction with its operands; those of `sequence` are statements. */
export type Ref =
  | { readonly kind: "plain"; readonly operands: readonly Ref[]; readonly code: readonly number[] }
  | { readonly kind: "block" | "loop"; readonly label: Label; readonly body: Ref }
  | { readonly kind: "sequence"; readonly body: readonly Ref[] }
  | { readonly kind: "if"; readonly condition: Ref; readonly yes: Ref; readonly no: Ref | undefined }
  | { readonly kind: "branch"; readonly label: Label; readonly condition: Ref | undefined }
  | { readonly kind: "remainder"; readonly operands: readonly [Ref, Ref] }
  | { readonly kind: "choice"; readonly by: keyof WasmVariant; readonly yes: Ref; readonly no: Ref };

/** What engines differ in: whether they have relaxed SIMD, and whether other threads may update memory at the same time. */
export interface WasmVariant {
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** `locals` are those that are no parameters. */
export interface WasmFunction {
  readonly locals: readonly NumberType[];
  readonly body: Ref;
}

const NO_RESULT = 0x40;

/** Writes instructions for one kind of engine. */
export class Encoder {
  readonly #out: Bytes;
  readonly #variant: WasmVariant;
  readonly #remainder: number;
  /** Of the blocks around, the innermost last. */
  readonly #labels: (Label | null)[] = [];
  /** What of the engine the code depends on. */
  readonly asked = new Set<keyof WasmVariant>();
  usesRemainder = false;

  /** `remainder` is the number of the function for the remainder of two f64. */
  constructor(out: Bytes, variant: WasmVariant, remainder: number) {
    this.#out = out;
    this.#variant = variant;
    this.#remainder = remainder;
  }

  /** Throws InternalError for a branch to nowhere. */
  encode(ref: Ref): void {
    const out = this.#out;
    switch (ref.kind) {
      case "plain":
        for (const operand of ref.operands) this.encode(operand);
        out.bytes(ref.code);
        return;
      case "sequence": for (const r of ref.body) this.encode(r); return;
      case "block": this.#nested(0x02, ref.label, ref.body); return;
      case "loop": this.#nested(0x03, ref.label, ref.body); return;
      case "if":
        this.encode(ref.condition);
        this.#nested(0x04, null, ref.yes, ref.no);
        return;
      case "branch": {
        const at = this.#labels.lastIndexOf(ref.label);
        if (at < 0) throw new InternalError(`a branch to ${ref.label}, which is not around it`);
        if (ref.condition) this.encode(ref.condition);
        out.byte(ref.condition ? 0x0d : 0x0c);
        out.unsigned(this.#labels.length - 1 - at);
        return;
      }
      case "remainder":
        this.usesRemainder = true;
        for (const operand of ref.operands) this.encode(operand);
        out.byte(0x10);
        out.unsigned(this.#remainder);
        return;
      case "choice":
        this.asked.add(ref.by);
        this.encode(this.#variant[ref.by] ? ref.yes : ref.no);
    }
  }

  #nested(code: number, label: Label | null, body: Ref, no?: Ref): void {
    this.#out.byte(code);
    this.#out.byte(NO_RESULT);
    this.#labels.push(label);
    this.encode(body);
    if (no) {
      this.#out.byte(0x05);
      this.encode(no);
    }
    this.#labels.pop();
    this.#out.byte(0x0b);
  }
}

const plain = (code: readonly number[], ...operands: Ref[]): Ref => ({ kind: "plain", operands, code });
const unary = (...code: number[]) => (x: Ref): Ref => plain(code, x);
const binary = (...code: number[]) => (a: Ref, b: Ref): Ref => plain(code, a, b);
const ternary = (...code: number[]) => (a: Ref, b: Ref, c: Ref): Ref => plain(code, a, b, c);
const simd = (n: number): number[] => [0xfd, ...unsignedBytes(n)];
const memory = (code: readonly number[], offset: number, align: number): number[] => [...code, Math.log2(align), ...unsignedBytes(offset)];
/** Instructions of integers that occur everywhere, made once. */
const SMALL: readonly Ref[] = Array.from({ length: 256 }, (_, x) => plain([0x41, ...signedBytes(x)]));
const load = (...code: number[]) => (offset: number, align: number, pointer: Ref): Ref => plain(memory(code, offset, align), pointer);
const store = (...code: number[]) => (offset: number, align: number, pointer: Ref, value: Ref): Ref => plain(memory(code, offset, align), pointer, value);
/** Loads into, and stores of, one lane. */
const laneAccess = (n: number) => (offset: number, align: number, lane: number, pointer: Ref, vector: Ref): Ref => plain([...memory(simd(n), offset, align), lane], pointer, vector);
const extract = (n: number) => (x: Ref, lane: number): Ref => plain([...simd(n), lane], x);
const replace = (n: number) => (x: Ref, lane: number, scalar: Ref): Ref => plain([...simd(n), lane], x, scalar);
const atomicLoad = (n: number, align: number) => (offset: number, pointer: Ref): Ref => plain(memory([0xfe, n], offset, align), pointer);
const exchange = (n: number, align: number) => (offset: number, pointer: Ref, expected: Ref, replacement: Ref): Ref => plain(memory([0xfe, n], offset, align), pointer, expected, replacement);
const bytesOf = (x: Float32Array | Float64Array): Uint8Array => new Uint8Array(x.buffer);

export const i32 = {
  const: (x: number): Ref => SMALL[x] ?? plain([0x41, ...signedBytes(x)]),
  load: load(0x28), load8_s: load(0x2c), load8_u: load(0x2d), load16_s: load(0x2e), load16_u: load(0x2f),
  store: store(0x36), store8: store(0x3a), store16: store(0x3b),
  eqz: unary(0x45), eq: binary(0x46), ne: binary(0x47),
  lt_s: binary(0x48), lt_u: binary(0x49), gt_s: binary(0x4a), gt_u: binary(0x4b), le_s: binary(0x4c), le_u: binary(0x4d), ge_s: binary(0x4e), ge_u: binary(0x4f),
  add: binary(0x6a), sub: binary(0x6b), mul: binary(0x6c), div_s: binary(0x6d), div_u: binary(0x6e), rem_s: binary(0x6f), rem_u: binary(0x70),
  and: binary(0x71), or: binary(0x72), xor: binary(0x73), shl: binary(0x74), shr_s: binary(0x75), shr_u: binary(0x76),
  wrap: unary(0xa7), reinterpret: unary(0xbc),
  trunc_s_sat: { f32: unary(0xfc, 0), f64: unary(0xfc, 2) }, trunc_u_sat: { f32: unary(0xfc, 1), f64: unary(0xfc, 3) },
  atomic: {
    load: atomicLoad(0x10, 4),
    rmw: { add: (offset: number, pointer: Ref, value: Ref): Ref => plain(memory([0xfe, 0x1e], offset, 4), pointer, value), cmpxchg: exchange(0x48, 4) },
  },
};

export const i64 = {
  const: (x: number): Ref => plain([0x42, ...signedBytes(x)]),
  ne: binary(0x52), mul: binary(0x7e), shr_u: binary(0x88), extend_s: unary(0xac), extend_u: unary(0xad), reinterpret: unary(0xbd),
  atomic: { load: atomicLoad(0x11, 8), rmw: { cmpxchg: exchange(0x49, 8) } },
};

/** Arithmetic of f32; that of f64 is numbered after it. */
const scalarFloat = (compare: number, first: number) => ({
  eq: binary(compare), ne: binary(compare + 1), lt: binary(compare + 2), gt: binary(compare + 3), le: binary(compare + 4), ge: binary(compare + 5),
  abs: unary(first), neg: unary(first + 1), ceil: unary(first + 2), floor: unary(first + 3), trunc: unary(first + 4), nearest: unary(first + 5), sqrt: unary(first + 6),
  add: binary(first + 7), sub: binary(first + 8), mul: binary(first + 9), div: binary(first + 10), min: binary(first + 11), max: binary(first + 12), copysign: binary(first + 13),
});
export const f32 = {
  ...scalarFloat(0x5b, 0x8b),
  const: (x: number): Ref => plain([0x43, ...bytesOf(Float32Array.of(x))]),
  load: load(0x2a), store: store(0x38),
  convert_s: { i32: unary(0xb2) }, convert_u: { i32: unary(0xb3) }, demote: unary(0xb6), reinterpret: unary(0xbe),
};
export const f64 = {
  ...scalarFloat(0x61, 0x99),
  const: (x: number): Ref => plain([0x44, ...bytesOf(Float64Array.of(x))]),
  load: load(0x2b), store: store(0x39),
  convert_s: { i32: unary(0xb7) }, convert_u: { i32: unary(0xb8) }, promote: unary(0xbb), reinterpret: unary(0xbf),
};

type Of<N extends readonly Ref[]> = (...operands: N) => Ref;
const relaxedMadd = (fused: Of<[Ref, Ref, Ref]>, mul: Of<[Ref, Ref]>, add: Of<[Ref, Ref]>) => (a: Ref, b: Ref, c: Ref): Ref => choice("relaxed", fused(a, b, c), add(mul(a, b), c));
const vectorFloat = (compare: number, first: number, madd: number) => ({
  eq: binary(...simd(compare)), ne: binary(...simd(compare + 1)), lt: binary(...simd(compare + 2)), gt: binary(...simd(compare + 3)), le: binary(...simd(compare + 4)), ge: binary(...simd(compare + 5)),
  abs: unary(...simd(first)), neg: unary(...simd(first + 1)), sqrt: unary(...simd(first + 3)),
  add: binary(...simd(first + 4)), sub: binary(...simd(first + 5)), mul: binary(...simd(first + 6)), div: binary(...simd(first + 7)),
  min: binary(...simd(first + 8)), max: binary(...simd(first + 9)), pmin: binary(...simd(first + 10)), pmax: binary(...simd(first + 11)),
  /** a·b + c: fused, or rounded twice where engines cannot fuse. */
  multiplyAdd: relaxedMadd(ternary(...simd(madd)), binary(...simd(first + 6)), binary(...simd(first + 4))),
});
export const f32x4 = {
  ...vectorFloat(0x41, 0xe0, 0x105),
  splat: unary(...simd(0x13)), extract_lane: extract(0x1f), replace_lane: replace(0x20),
  ceil: unary(...simd(0x67)), floor: unary(...simd(0x68)), trunc: unary(...simd(0x69)), nearest: unary(...simd(0x6a)),
  convert_i32x4_s: unary(...simd(0xfa)), convert_i32x4_u: unary(...simd(0xfb)), demote_f64x2_zero: unary(...simd(0x5e)),
};
export const f64x2 = {
  ...vectorFloat(0x47, 0xec, 0x107),
  splat: unary(...simd(0x14)), extract_lane: extract(0x21), replace_lane: replace(0x22),
  ceil: unary(...simd(0x74)), floor: unary(...simd(0x75)), trunc: unary(...simd(0x7a)), nearest: unary(...simd(0x94)),
  convert_low_i32x4_s: unary(...simd(0xfe)), convert_low_i32x4_u: unary(...simd(0xff)), promote_low_f32x4: unary(...simd(0x5f)),
};
export const i32x4 = {
  splat: unary(...simd(0x11)), extract_lane: extract(0x1b), replace_lane: replace(0x1c),
  eq: binary(...simd(0x37)), ne: binary(...simd(0x38)),
  lt_s: binary(...simd(0x39)), lt_u: binary(...simd(0x3a)), gt_s: binary(...simd(0x3b)), gt_u: binary(...simd(0x3c)),
  le_s: binary(...simd(0x3d)), le_u: binary(...simd(0x3e)), ge_s: binary(...simd(0x3f)), ge_u: binary(...simd(0x40)),
  abs: unary(...simd(0xa0)), neg: unary(...simd(0xa1)), extend_low_i16x8_s: unary(...simd(0xa7)), extend_low_i16x8_u: unary(...simd(0xa9)),
  shl: binary(...simd(0xab)), shr_s: binary(...simd(0xac)), shr_u: binary(...simd(0xad)),
  add: binary(...simd(0xae)), sub: binary(...simd(0xb1)), mul: binary(...simd(0xb5)),
  min_s: binary(...simd(0xb6)), min_u: binary(...simd(0xb7)), max_s: binary(...simd(0xb8)), max_u: binary(...simd(0xb9)),
  dot_i16x8_s: binary(...simd(0xba)),
  trunc_sat_f32x4_s: unary(...simd(0xf8)), trunc_sat_f32x4_u: unary(...simd(0xf9)),
  trunc_sat_f64x2_s_zero: unary(...simd(0xfc)), trunc_sat_f64x2_u_zero: unary(...simd(0xfd)),
  relaxed_laneselect: ternary(...simd(0x10b)),
};
export const i64x2 = {
  extmul_low_i32x4_s: binary(...simd(0xdc)), extmul_high_i32x4_s: binary(...simd(0xdd)), extmul_low_i32x4_u: binary(...simd(0xde)), extmul_high_i32x4_u: binary(...simd(0xdf)),
};
export const i16x8 = {
  extend_low_i8x16_s: unary(...simd(0x87)), extend_high_i8x16_s: unary(...simd(0x88)), extend_low_i8x16_u: unary(...simd(0x89)), shr_u: binary(...simd(0x8d)),
};
export const i8x16 = {
  /** Bytes of a, then of b, by number. */
  shuffle: (a: Ref, b: Ref, bytes: readonly number[]): Ref => plain([...simd(0x0d), ...bytes], a, b),
  swizzle: binary(...simd(0x0e)), relaxed_swizzle: binary(...simd(0x100)),
};
export const v128 = {
  const: (bytes: Uint8Array): Ref => plain([...simd(0x0c), ...bytes]),
  load: load(...simd(0x00)), store: store(...simd(0x0b)),
  load8_splat: load(...simd(0x07)), load16_splat: load(...simd(0x08)), load32_splat: load(...simd(0x09)), load64_splat: load(...simd(0x0a)),
  load8_lane: laneAccess(0x54), load16_lane: laneAccess(0x55), load32_lane: laneAccess(0x56),
  store8_lane: laneAccess(0x58), store16_lane: laneAccess(0x59), store32_lane: laneAccess(0x5a), store64_lane: laneAccess(0x5b),
  load32_zero: load(...simd(0x5c)), load64_zero: load(...simd(0x5d)),
  not: unary(...simd(0x4d)), and: binary(...simd(0x4e)), or: binary(...simd(0x50)), xor: binary(...simd(0x51)), bitselect: ternary(...simd(0x52)),
};

export const local = {
  get: (number: number): Ref => plain([0x20, ...unsignedBytes(number)]),
  set: (number: number, value: Ref): Ref => plain([0x21, ...unsignedBytes(number)], value),
};
/** Of two f64. */
export const remainder = (a: Ref, b: Ref): Ref => ({ kind: "remainder", operands: [a, b] });
/** One of two, by what the engine is; operands may be in both. */
export const choice = (by: keyof WasmVariant, yes: Ref, no: Ref): Ref => ({ kind: "choice", by, yes, no });
/** yes where all bits of a lane of the mask are set, no where none is. */
export const laneSelect = (yes: Ref, no: Ref, mask: Ref): Ref => choice("relaxed", i32x4.relaxed_laneselect(yes, no, mask), v128.bitselect(yes, no, mask));
/** Bytes of the table by bytes that are 0 … 15. */
export const swizzle = (table: Ref, index: Ref): Ref => choice("relaxed", i8x16.relaxed_swizzle(table, index), i8x16.swizzle(table, index));
export const drop = unary(0x1a);
/** All three are computed. */
export const select = (condition: Ref, yes: Ref, no: Ref): Ref => plain([0x1b], yes, no, condition);
export const sequence = (body: readonly Ref[]): Ref => ({ kind: "sequence", body });
export const block = (label: Label, body: Ref): Ref => ({ kind: "block", label, body });
export const loop = (label: Label, body: Ref): Ref => ({ kind: "loop", label, body });
/** To the end of a block, or the start of a loop. */
export const br = (label: Label, condition?: Ref): Ref => ({ kind: "branch", label, condition });
const when = (condition: Ref, yes: Ref, no?: Ref): Ref => ({ kind: "if", condition, yes, no });
const giveBack = unary(0x0f);
export { giveBack as return, when as if };
