// Conversions between scalar types, of a scalar or of all parts of a vector: floats to integers truncate and saturate.
// Vectors of f64 have twice as many parts as the others.
import { InternalError } from "../../base/diagnostics.ts";
import type { ScalarType } from "../../kernel/ir.ts";
import { isFloatScalar } from "../../kernel/scalar.ts";
import type { Code } from "./code.ts";
import { bits, constantPart, narrowMasks, roundHalf, shuffleWords } from "./lanes.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

function castScalar(code: Code, from: ScalarType, to: ScalarType, x: Ref): Ref {
  const wide = from === "f64";
  if (to === "bool") return wide ? m.f64.ne(x, m.f64.const(0)) : isFloatScalar(from) ? m.f32.ne(x, m.f32.const(0)) : m.i32.ne(x, m.i32.const(0));
  if (to === "i32" || to === "u32") {
    if (!isFloatScalar(from)) return x;
    const truncate = to === "i32" ? m.i32.trunc_s_sat : m.i32.trunc_u_sat;
    return wide ? truncate.f64(x) : truncate.f32(x);
  }
  if (isFloatScalar(from)) {
    if (to === "f64") return wide ? x : m.f64.promote(x);
    const narrow = wide ? m.f32.demote(x) : x;
    return to === "f16" && from !== "f16" ? roundHalf(code, 1, narrow) : narrow;
  }
  const float = to === "f64" ? m.f64 : m.f32;
  const converted = from === "u32" ? float.convert_u.i32(x) : float.convert_s.i32(x);
  return to === "f16" ? roundHalf(code, 1, converted) : converted;
}

export function castParts(code: Code, from: ScalarType, to: ScalarType, lanes: number, parts: readonly Ref[]): Ref[] {
  if (from === to) return [...parts];
  if (lanes === 1) return [castScalar(code, from, to, parts[0]!)];
  if (from === "f64") return fromWide(code, to, parts);
  return to === "f64" ? toWide(code, from, Math.ceil(lanes / 2), parts) : parts.map(x => castPart(code, from, to, x));
}

function castPart(code: Code, from: ScalarType, to: ScalarType, x: Ref): Ref {
  if (to === "bool") return isFloatScalar(from) ? m.f32x4.ne(x, bits(code, 0)) : m.i32x4.ne(x, bits(code, 0));
  if (isFloatScalar(to)) {
    const float = from === "bool" ? m.v128.and(x, constantPart(code, "f32", [1]))
      : from === "i32" ? m.f32x4.convert_i32x4_s(x) : from === "u32" ? m.f32x4.convert_i32x4_u(x) : x;
    return to === "f16" ? roundHalf(code, 4, float) : float;
  }
  if (from === "bool") return m.v128.and(x, bits(code, 1));
  if (!isFloatScalar(from)) return x;
  return to === "i32" ? m.i32x4.trunc_sat_f32x4_s(x) : m.i32x4.trunc_sat_f32x4_u(x);
}

function toWide(code: Code, from: ScalarType, count: number, parts: readonly Ref[]): Ref[] {
  const held = parts.map(p => code.hold(from === "bool" ? m.v128.and(p, bits(code, 1)) : p));
  return Array.from({ length: count }, (_, i) => {
    const part = held[i >> 1]!;
    const low = i % 2 === 0 ? part() : shuffleWords(part(), part(), [2, 3, 2, 3]);
    if (isFloatScalar(from)) return m.f64x2.promote_low_f32x4(low);
    return from === "u32" ? m.f64x2.convert_low_i32x4_u(low) : m.f64x2.convert_low_i32x4_s(low);
  });
}

function fromWide(code: Code, to: ScalarType, parts: readonly Ref[]): Ref[] {
  if (to === "bool") return narrowMasks(code, parts.map(x => m.f64x2.ne(x, constantPart(code, "f64", [0]))));
  const narrow = parts.map(x => (isFloatScalar(to) ? m.f32x4.demote_f64x2_zero(x) : to === "i32" ? m.i32x4.trunc_sat_f64x2_s_zero(x) : m.i32x4.trunc_sat_f64x2_u_zero(x)));
  const joined: Ref[] = [];
  for (let i = 0; i < narrow.length; i += 2) {
    const next = narrow[i + 1];
    const part = next === undefined ? narrow[i]! : shuffleWords(narrow[i]!, next, [0, 1, 4, 5]);
    joined.push(to === "f16" ? roundHalf(code, 4, part) : part);
  }
  return joined;
}

export function bitcastParts(from: ScalarType, to: ScalarType, lanes: number, parts: readonly Ref[]): Ref[] {
  if (lanes !== 1 || isFloatScalar(from) === isFloatScalar(to)) return [...parts];
  if (from === "f64" || to === "f64") throw new InternalError(`bitcast from ${from} to ${to}`);
  return [to === "f32" ? m.f32.reinterpret(parts[0]!) : m.i32.reinterpret(parts[0]!)];
}

/** Masks of 32 bits a lane, as so many masks of 64. */
export function widenMask(code: Code, count: number, masks: readonly Ref[]): Ref[] {
  const held = masks.map(p => code.hold(p));
  return Array.from({ length: count }, (_, i) => {
    const mask = held[i >> 1]!;
    return shuffleWords(mask(), mask(), i % 2 === 0 ? [0, 0, 1, 1] : [2, 2, 3, 3]);
  });
}
