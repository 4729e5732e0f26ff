// Operations across the lanes of a vector: shuffles, reductions in their fixed order, sums of four bytes, tables of 16.
import type { ScalarType } from "../../kernel/ir.ts";
import { type Code, lanesPerPart, type Ref } from "./code.ts";
import { bits, extractLane, shuffleWords, vectorBinary } from "./lanes.ts";

/** Lanes of a, then of b, by number. */
export function shuffleParts(code: Code, s: ScalarType, from: number, a: readonly Ref[], b: readonly Ref[], lanes: readonly number[]): Ref[] {
  const { target } = code;
  const { m } = target;
  const per = lanesPerPart(s);
  const width = 16 / per;
  const held = [...a, ...b].map(p => code.hold(p));
  const place = (lane: number): { part: number; lane: number } => {
    const own = lane % from;
    return { part: (lane < from ? 0 : a.length) + Math.floor(own / per), lane: own % per };
  };
  if (lanes.length === 1) {
    const { part, lane } = place(lanes[0]!);
    return [extractLane(target, s, held[part]!(), lane)];
  }
  const bytes = (lane: number): number[] => Array.from({ length: width }, (_, i) => lane * width + i);
  return Array.from({ length: Math.ceil(lanes.length / per) }, (_, p) => {
    const wanted = Array.from({ length: per }, (_, i) => place(lanes[p * per + i] ?? lanes[p * per]!));
    const sources = [...new Set(wanted.map(w => w.part))];
    const first = sources[0]!;
    // One source after the other is merged into the lanes that come from it.
    let result = m.i8x16.shuffle(held[first]!(), held[sources[1] ?? first]!(), wanted.flatMap(w => bytes(w.part === sources[1] ? w.lane + per : w.lane)));
    for (const source of sources.slice(2)) {
      result = m.i8x16.shuffle(result, held[source]!(), wanted.flatMap((w, i) => bytes(w.part === source ? w.lane + per : i)));
    }
    return result;
  });
}

/** Halves are combined until one lane is left. */
export function horizontalScalar(code: Code, op: "add" | "max" | "min", s: ScalarType, lanes: number, parts: readonly Ref[]): Ref {
  const { target } = code;
  const per = lanesPerPart(s);
  let level = [...parts];
  while (level.length > 1) level = level.slice(0, level.length / 2).map((x, i) => vectorBinary(code, op, s, per, x, level[i + level.length / 2]!));
  let last = level[0]!;
  for (let half = Math.min(lanes, per) / 2; half >= 1; half /= 2) {
    const held = code.hold(last);
    const upper = half * (4 / per);
    last = vectorBinary(code, op, s, per, held(), shuffleWords(target, held(), held(), [0, 1, 2, 3].map(w => (w + upper) % 4)));
  }
  return extractLane(target, s, last, 0);
}

/** Of each lane, the sum of the products of its four signed bytes. */
export function dot4Part(code: Code, a: Ref, b: Ref): Ref {
  const { m } = code.target;
  const x = code.hold(a);
  const y = code.hold(b);
  const low = code.hold(m.i32x4.dot_i16x8_s(m.i16x8.extend_low_i8x16_s(x()), m.i16x8.extend_low_i8x16_s(y())));
  const high = code.hold(m.i32x4.dot_i16x8_s(m.i16x8.extend_high_i8x16_s(x()), m.i16x8.extend_high_i8x16_s(y())));
  return m.i32x4.add(shuffleWords(code.target, low(), high(), [0, 2, 4, 6]), shuffleWords(code.target, low(), high(), [1, 3, 5, 7]));
}

/** Entries of the table by lanes that hold 0 … 15 (of 64 bits for f64): one byte of all entries at a time. */
export function lookup16Part(code: Code, s: ScalarType, table: readonly number[], index: Ref): Ref {
  const { target } = code;
  const { m } = target;
  const width = 16 / lanesPerPart(s);
  const entries = new DataView(new ArrayBuffer(16 * width));
  table.forEach((x, i) => {
    if (s === "f64") entries.setFloat64(8 * i, x, true);
    else if (s === "f32" || s === "f16") entries.setFloat32(4 * i, x, true);
    else entries.setInt32(4 * i, s === "bool" ? -x : x, true);
  });
  const held = code.hold(index);
  const words = s === "f64" ? m.i64x2 : m.i32x4;
  const planes = Array.from({ length: width }, (_, byte) => Array.from({ length: 16 }, (_, i) => entries.getUint8(width * i + byte)));
  const found = planes.flatMap((plane, byte) => {
    if (plane.every(x => x === 0)) return [];
    // A byte of 128 or more finds nothing, and gives 0.
    const others = Array.from({ length: 16 }, (_, i) => (i % width === byte ? 0 : 0x80));
    const at = m.v128.or(byte === 0 ? held() : words.shl(held(), m.i32.const(8 * byte)), m.v128.const(others));
    return [m.i8x16.swizzle(m.v128.const(plane), at)];
  });
  return found.length === 0 ? bits(target, 0) : found.reduce((x, y) => m.v128.or(x, y));
}
