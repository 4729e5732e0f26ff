// Loads that widen and stores that round and wrap, for every dtype, of one element or of a vector's lanes.
import { InternalError } from "../../base/diagnostics.ts";
import { type DType, DTYPES } from "../../base/dtypes.ts";
import { REGISTER_TYPE } from "../../kernel/ir.ts";
import type { Address } from "./addresses.ts";
import { type Code, lanesPerPart } from "./code.ts";
import { brainOfFloat, floatOfBrain, floatOfHalf, halfOfFloat } from "./halves.ts";
import { bits, constantPart, partOf, splatPart } from "./lanes.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

const bytesOf = (d: DType): number => DTYPES[d].bits / 8;
const isWide = (d: DType): boolean => DTYPES[d].bits >= 32;

/** Memory of i4: the byte's address and how far its nibble is shifted, for the element `i` further on. */
function nibbleAt(code: Code, at: Address, i: number): { pointer: Ref; offset: number; shift: Ref } {
  if (at.nibble !== null) return { pointer: at.pointer(), offset: at.offset + ((at.nibble + i) >> 1), shift: m.i32.const(4 * ((at.nibble + i) & 1)) };
  const element = code.hold(m.i32.add(at.flat(), m.i32.const(i)), "i32");
  return {
    pointer: m.i32.add(at.pointer(), m.i32.shr_u(element(), m.i32.const(1))), offset: at.offset,
    shift: m.i32.shl(m.i32.and(element(), m.i32.const(1)), m.i32.const(2)),
  };
}

/** The element `i` after the address. */
export function loadElement(code: Code, d: DType, at: Address, i = 0): Ref {
  if (d === "i4") {
    const { pointer, offset, shift } = nibbleAt(code, at, i);
    const left = m.i32.shl(m.i32.shr_u(m.i32.load8_u(offset, 1, pointer), shift), m.i32.const(28));
    return m.i32.shr_s(left, m.i32.const(28));
  }
  const offset = at.offset + i * bytesOf(d);
  const pointer = at.pointer();
  switch (d) {
    case "f64": return m.f64.load(offset, 8, pointer);
    case "f32": return m.f32.load(offset, 4, pointer);
    case "i32": case "u32": return m.i32.load(offset, 4, pointer);
    case "i16": return m.i32.load16_s(offset, 2, pointer);
    case "u16": return m.i32.load16_u(offset, 2, pointer);
    case "i8": return m.i32.load8_s(offset, 1, pointer);
    case "u8": return m.i32.load8_u(offset, 1, pointer);
    case "bool": return m.i32.ne(m.i32.load8_u(offset, 1, pointer), m.i32.const(0));
    case "f16": return floatOfHalf(code, 1, m.i32.load16_u(offset, 2, pointer));
    case "bf16": return floatOfBrain(code, 1, m.i32.load16_u(offset, 2, pointer));
  }
}

/** The element in all lanes of a v128. */
export function loadSplat(code: Code, d: DType, at: Address): Ref {
  if (d === "f64") return m.v128.load64_splat(at.offset, 8, at.pointer());
  if (d === "f32" || d === "i32" || d === "u32") return m.v128.load32_splat(at.offset, 4, at.pointer());
  return splatPart(REGISTER_TYPE[d], loadElement(code, d, at));
}

export function loadVector(code: Code, d: DType, lanes: number, at: Address): Ref[] {
  const scalar = REGISTER_TYPE[d];
  const per = lanesPerPart(scalar);
  const parts: Ref[] = [];
  for (let first = 0; first < lanes; first += per) {
    const count = Math.min(per, lanes - first);
    if (isWide(d)) parts.push(loadWidePart(d, count, at, first));
    else if (d === "i4") parts.push(nibblesPart(code, count, at, first));
    else parts.push(loadNarrowPart(code, d, count, at, first));
  }
  return parts;
}

function loadWidePart(d: DType, count: number, at: Address, first: number): Ref {
  const { v128 } = m;
  const align = bytesOf(d);
  const offset = at.offset + first * align;
  switch (count * align) {
    case 16: return v128.load(offset, align, at.pointer());
    case 8: return v128.load64_zero(offset, align, at.pointer());
    case 4: return v128.load32_zero(offset, align, at.pointer());
    default: return v128.load32_lane(offset + 8, align, 2, at.pointer(), v128.load64_zero(offset, align, at.pointer()));
  }
}

/** Up to four elements of 8 or 16 bits. */
function loadNarrowPart(code: Code, d: DType, count: number, at: Address, first: number): Ref {
  const size = bytesOf(d);
  const low = loadLow(count * size, at.pointer, at.offset + first * size);
  switch (d) {
    case "i16": return m.i32x4.extend_low_i16x8_s(low);
    case "u16": return m.i32x4.extend_low_i16x8_u(low);
    case "f16": return floatOfHalf(code, 4, m.i32x4.extend_low_i16x8_u(low));
    case "bf16": return floatOfBrain(code, 4, m.i32x4.extend_low_i16x8_u(low));
    case "i8": return m.i32x4.extend_low_i16x8_s(m.i16x8.extend_low_i8x16_s(low));
    default: {
      const bytes = m.i32x4.extend_low_i16x8_u(m.i16x8.extend_low_i8x16_u(low));
      return d === "bool" ? m.i32x4.ne(bytes, bits(code, 0)) : bytes;
    }
  }
}

/** So many bytes, from one to eight, as the first of a v128. */
function loadLow(bytes: number, pointer: () => Ref, offset: number): Ref {
  const { v128 } = m;
  switch (bytes) {
    case 8: return v128.load64_zero(offset, 1, pointer());
    case 6: return v128.load16_lane(offset + 4, 1, 2, pointer(), v128.load32_zero(offset, 1, pointer()));
    case 4: return v128.load32_zero(offset, 1, pointer());
    case 3: return v128.load8_lane(offset + 2, 1, 2, pointer(), v128.load16_splat(offset, 1, pointer()));
    case 2: return v128.load16_splat(offset, 1, pointer());
    case 1: return v128.load8_splat(offset, 1, pointer());
    default: throw new InternalError(`a load of ${bytes} bytes`);
  }
}

function storeLow(code: Code, bytes: number, pointer: () => Ref, offset: number, value: Ref): void {
  const { v128 } = m;
  const held = code.hold(value);
  switch (bytes) {
    case 8: code.emit(v128.store64_lane(offset, 1, 0, pointer(), held())); break;
    case 6:
      code.emit(v128.store32_lane(offset, 1, 0, pointer(), held()));
      code.emit(v128.store16_lane(offset + 4, 1, 2, pointer(), held()));
      break;
    case 4: code.emit(v128.store32_lane(offset, 1, 0, pointer(), held())); break;
    case 3:
      code.emit(v128.store16_lane(offset, 1, 0, pointer(), held()));
      code.emit(v128.store8_lane(offset + 2, 1, 2, pointer(), held()));
      break;
    case 2: code.emit(v128.store16_lane(offset, 1, 0, pointer(), held())); break;
    case 1: code.emit(v128.store8_lane(offset, 1, 0, pointer(), held())); break;
    default: throw new InternalError(`a store of ${bytes} bytes`);
  }
}

/** Up to four nibbles, sign-extended. */
function nibblesPart(code: Code, count: number, at: Address, first: number): Ref {
  if (at.nibble !== 0 || count < 4) return partOf("i32", Array.from({ length: count }, (_, i) => loadElement(code, "i4", at, first + i)));
  const word = m.i32x4.splat(m.i32.load16_u(at.offset + first / 2, 1, at.pointer()));
  // A lane's nibble is moved to the top by a multiplication, since lanes cannot be shifted by different amounts.
  return m.i32x4.shr_s(m.i32x4.mul(word, constantPart(code, "i32", [2 ** 28, 2 ** 24, 2 ** 20, 2 ** 16])), m.i32.const(28));
}

/** Nibbles as bytes of 0 … 15, up to 16 to a v128; undefined where they do not start with a byte. */
export function loadNibbleBytes(code: Code, lanes: number, at: Address): Ref[] | undefined {
  if (at.nibble !== 0 || lanes % 4 !== 0) return undefined;
  const parts: Ref[] = [];
  for (let first = 0; first < lanes; first += 16) {
    const offset = at.offset + first / 2;
    const left = lanes - first;
    if (left === 12) return undefined;
    const packed = code.hold(left >= 16 ? m.v128.load64_zero(offset, 1, at.pointer()) : left === 8 ? m.v128.load32_zero(offset, 1, at.pointer()) : m.v128.load16_splat(offset, 1, at.pointer()));
    const low = m.v128.and(packed(), bits(code, 0x0f0f0f0f));
    const high = m.v128.and(m.i16x8.shr_u(packed(), m.i32.const(4)), bits(code, 0x0f0f0f0f));
    parts.push(m.i8x16.shuffle(low, high, Array.from({ length: 16 }, (_, i) => (i >> 1) + 16 * (i & 1))));
  }
  return parts;
}

/** What lies in memory for a value in registers, in the low bits of an i32. */
function encode(code: Code, d: DType, lanes: number, value: Ref): Ref {
  if (d === "f16") return halfOfFloat(code, lanes, value);
  return d === "bf16" ? brainOfFloat(code, lanes, value) : value;
}

/** The value as the dtype holds it. */
export function roundTo(code: Code, d: DType, lanes: number, value: Ref): Ref {
  const { bits: width, kind } = DTYPES[d];
  if (d === "f16") return floatOfHalf(code, lanes, halfOfFloat(code, lanes, value));
  if (d === "bf16") return floatOfBrain(code, lanes, brainOfFloat(code, lanes, value));
  if (width >= 32 || kind === "bool") return value;
  const i = lanes === 1 ? m.i32 : m.i32x4;
  const high = i.shl(value, m.i32.const(32 - width));
  return kind === "signed" ? i.shr_s(high, m.i32.const(32 - width)) : i.shr_u(high, m.i32.const(32 - width));
}

export function storeElement(code: Code, d: DType, at: Address, value: Ref, i = 0): void {
  if (d === "i4") {
    const nibble = code.hold(m.i32.and(value, m.i32.const(15)), "i32");
    const { pointer, offset, shift } = nibbleAt(code, at, i);
    const held = code.hold(pointer, "i32");
    const by = code.hold(shift, "i32");
    const others = m.i32.and(m.i32.load8_u(offset, 1, held()), m.i32.xor(m.i32.shl(m.i32.const(15), by()), m.i32.const(-1)));
    code.emit(m.i32.store8(offset, 1, held(), m.i32.or(others, m.i32.shl(nibble(), by()))));
    return;
  }
  const bytes = bytesOf(d);
  const offset = at.offset + i * bytes;
  const word = encode(code, d, 1, value);
  const pointer = at.pointer();
  if (d === "f64") code.emit(m.f64.store(offset, 8, pointer, word));
  else if (d === "f32") code.emit(m.f32.store(offset, 4, pointer, word));
  else if (bytes === 4) code.emit(m.i32.store(offset, 4, pointer, word));
  else if (bytes === 2) code.emit(m.i32.store16(offset, 2, pointer, word));
  else code.emit(m.i32.store8(offset, 1, pointer, word));
}

export function storeVector(code: Code, d: DType, lanes: number, at: Address, parts: readonly Ref[]): void {
  const scalar = REGISTER_TYPE[d];
  const per = lanesPerPart(scalar);
  parts.forEach((part, p) => {
    const first = p * per;
    const count = Math.min(per, lanes - first);
    if (isWide(d)) storeWidePart(code, d, count, at, first, part);
    else if (d === "i4") storeNibbles(code, count, at, first, part);
    else storeNarrowPart(code, d, count, at, first, encode(code, d, 4, part));
  });
}

function storeWidePart(code: Code, d: DType, count: number, at: Address, first: number, part: Ref): void {
  const { v128 } = m;
  const align = bytesOf(d);
  const offset = at.offset + first * align;
  switch (count * align) {
    case 16: code.emit(v128.store(offset, align, at.pointer(), part)); break;
    case 8: code.emit(v128.store64_lane(offset, align, 0, at.pointer(), part)); break;
    case 4: code.emit(v128.store32_lane(offset, align, 0, at.pointer(), part)); break;
    default: {
      const held = code.hold(part);
      code.emit(v128.store64_lane(offset, align, 0, at.pointer(), held()));
      code.emit(v128.store32_lane(offset + 8, align, 2, at.pointer(), held()));
    }
  }
}

/** Up to four words, the low bits of which are kept. */
function storeNarrowPart(code: Code, d: DType, count: number, at: Address, first: number, words: Ref): void {
  const size = bytesOf(d);
  const held = code.hold(d === "bool" ? m.v128.and(words, bits(code, 1)) : words);
  const packed = m.i8x16.shuffle(held(), held(), Array.from({ length: 16 }, (_, i) => (size === 1 ? (4 * i) % 16 : (4 * (i >> 1) + (i & 1)) % 16)));
  storeLow(code, count * size, at.pointer, at.offset + first * size, packed);
}

function storeNibbles(code: Code, count: number, at: Address, first: number, part: Ref): void {
  if (at.nibble !== 0 || count < 4) {
    const held = code.hold(part);
    for (let i = 0; i < count; i++) storeElement(code, "i4", at, m.i32x4.extract_lane(held(), i), first + i);
    return;
  }
  // Each nibble in its own bits of its lane; the lanes together are the 16 bits.
  const apart = code.hold(m.i32x4.mul(m.v128.and(part, bits(code, 15)), constantPart(code, "i32", [1, 16, 256, 4096])));
  const word = [0, 1, 2, 3].map(i => m.i32x4.extract_lane(apart(), i)).reduce((a, b) => m.i32.or(a, b));
  code.emit(m.i32.store16(at.offset + first / 2, 1, at.pointer(), word));
}
