// Operations across the lanes of a vector: shuffles, reductions in their fixed order, sums of four bytes, tables of 16.
import type { ScalarType } from "../../kernel/ir.ts";
import { type Code, lanesPerPart } from "./code.ts";
import { bits, extractLane, shuffleWords, vectorBinary } from "./lanes.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

/** Lanes of a, then of b, by number. */
export function shuffleParts(code: Code, s: ScalarType, from: number, a: readonly Ref[], b: readonly Ref[], lanes: readonly number[]): Ref[] {
  const per = lanesPerPart(s);
  const width = 16 / per;
  const held = [...a, ...b].map(p => code.hold(p));
  const place = (lane: number): { part: number; lane: number } => {
    const own = lane % from;
    return { part: (lane < from ? 0 : a.length) + Math.floor(own / per), lane: own % per };
  };
  if (lanes.length === 1) {
    const { part, lane } = place(lanes[0]!);
    return [extractLane(s, held[part]!(), lane)];
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
  const per = lanesPerPart(s);
  let level = [...parts];
  while (level.length > 1) level = level.slice(0, level.length / 2).map((x, i) => vectorBinary(code, op, s, per, x, level[i + level.length / 2]!));
  let last = level[0]!;
  for (let half = Math.min(lanes, per) / 2; half >= 1; half /= 2) {
    const held = code.hold(last);
    const upper = half * (4 / per);
    last = vectorBinary(code, op, s, per, held(), shuffleWords(held(), held(), [0, 1, 2, 3].map(w => (w + upper) % 4)));
  }
  return extractLane(s, last, 0);
}

/** Of each lane, the sum of the products of its four signed bytes. */
export function dot4Part(code: Code, a: Ref, b: Ref): Ref {
  const x = code.hold(a);
  const y = code.hold(b);
  const low = code.hold(m.i32x4.dot_i16x8_s(m.i16x8.extend_low_i8x16_s(x()), m.i16x8.extend_low_i8x16_s(y())));
  const high = code.hold(m.i32x4.dot_i16x8_s(m.i16x8.extend_high_i8x16_s(x()), m.i16x8.extend_high_i8x16_s(y())));
  return m.i32x4.add(shuffleWords(low(), high(), [0, 2, 4, 6]), shuffleWords(low(), high(), [1, 3, 5, 7]));
}

/** Lanes that hold bytes, up to 16 to a v128, of i32 lanes. */
export function bytesOfLanes(code: Code, parts: readonly Ref[]): Ref[] {
  const pack = (a: () => Ref, b: () => Ref): Ref => m.i8x16.shuffle(a(), b(), Array.from({ length: 16 }, (_, i) => 4 * (i % 8)));
  const held = parts.map(p => code.hold(p));
  const bytes: Ref[] = [];
  for (let i = 0; i < held.length; i += 4) {
    const [a, b, c, d] = held.slice(i, i + 4);
    const first = pack(a!, b ?? a!);
    bytes.push(c ? m.i8x16.shuffle(first, pack(c, d ?? c), [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]) : first);
  }
  return bytes;
}

const zipped = (width: number, half: 0 | 1): number[] =>
  Array.from({ length: 16 }, (_, i) => 8 * half + Math.floor(i / (2 * width)) * width + (i % width) + (Math.floor(i / width) % 2) * 16);

/** Entries of a table of 16 words for indices that are bytes of 0 … 15: one byte of all entries at a time, then joined. */
function wordsByByte(code: Code, words: readonly number[], lanes: number, indices: readonly (() => Ref)[]): Ref[] {
  return indices.flatMap((index, chunk) => {
    const count = Math.min(4, Math.ceil((lanes - 16 * chunk) / 4));
    const plane = (byte: number): (() => Ref) => {
      const entries = words.map(w => (w >>> (8 * byte)) & 255);
      return entries.every(x => x === 0) ? () => bits(code, 0) : code.hold(m.swizzle(code.constant(Uint8Array.from(entries)), index()));
    };
    const [p0, p1, p2, p3] = [plane(0), plane(1), plane(2), plane(3)];
    return ([0, 1] as const).slice(0, Math.ceil(count / 2)).flatMap(half => {
      const low = code.hold(m.i8x16.shuffle(p0(), p1(), zipped(1, half)));
      const high = code.hold(m.i8x16.shuffle(p2(), p3(), zipped(1, half)));
      return ([0, 1] as const).slice(0, count - 2 * half).map(quarter => m.i8x16.shuffle(low(), high(), zipped(2, quarter)));
    });
  });
}

/** Entries of the table by bytes of 0 … 15, up to 16 to a v128. */
export function lookup16Parts(code: Code, s: ScalarType, table: readonly number[], lanes: number, indices: readonly Ref[]): Ref[] {
  const held = indices.map(i => code.hold(i));
  const words = (at: number): number[] => table.map(x => {
    const view = new DataView(new ArrayBuffer(8));
    if (s === "f64") view.setFloat64(0, x, true);
    else if (s === "f32" || s === "f16") view.setFloat32(0, x, true);
    else view.setInt32(0, s === "bool" ? -x : x, true);
    return view.getUint32(at, true);
  });
  const low = wordsByByte(code, words(0), lanes, held);
  if (s !== "f64") return low;
  const [lows, highs] = [low, wordsByByte(code, words(4), lanes, held)].map(parts => parts.map(p => code.hold(p)));
  return lows!.flatMap((l, i) => [[0, 4, 1, 5], [2, 6, 3, 7]].slice(0, Math.ceil(lanes / 2) - 2 * i).map(order => shuffleWords(l(), highs![i]!(), order)));
}
