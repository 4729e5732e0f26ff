// Storage floats: f16 and bf16 as the low 16 bits of an i32, to and from f32, in a scalar or in four lanes. Rounding is to
// nearest, ties to even; NaN becomes the quiet NaN.
import type { Code } from "./code.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

/** The same instructions on a scalar or on four lanes. */
function words(code: Code, lanes: number) {
  const isScalar = lanes === 1;
  const constant = (word: number): Ref => (isScalar ? m.i32.const(word | 0) : code.constant(new Uint8Array(Int32Array.of(word, word, word, word).buffer)));
  const word = isScalar ? m.i32 : m.i32x4;
  const float = isScalar ? m.f32 : m.f32x4;
  const logic = isScalar ? m.i32 : m.v128;
  return {
    constant, word, float, logic,
    hold: (x: Ref): (() => Ref) => code.hold(x, isScalar ? "i32" : "v128"),
    shl: (x: Ref, by: number): Ref => word.shl(x, m.i32.const(by)),
    shr: (x: Ref, by: number): Ref => word.shr_u(x, m.i32.const(by)),
    select: (condition: Ref, yes: Ref, no: Ref): Ref => (isScalar ? m.select(condition, yes, no) : m.laneSelect(yes, no, condition)),
    floatBits: (x: Ref): Ref => (isScalar ? m.f32.reinterpret(x) : x),
    wordBits: (x: Ref): Ref => (isScalar ? m.i32.reinterpret(x) : x),
    power: (exponent: number): Ref => (isScalar ? m.f32.const(2 ** exponent) : code.constant(new Uint8Array(Float32Array.of(...Array<number>(4).fill(2 ** exponent)).buffer))),
  };
}

/** The f32 of f16 bits. */
export function floatOfHalf(code: Code, lanes: number, half: Ref): Ref {
  const w = words(code, lanes);
  const h = w.hold(half);
  // As f32 bits the number is 2¹¹² times too small, subnormal or not; only the highest exponent needs to be set by hand.
  const size = w.wordBits(w.float.mul(w.floatBits(w.shl(w.logic.and(h(), w.constant(0x7fff)), 13)), w.power(112)));
  const special = w.select(w.word.eq(w.logic.and(h(), w.constant(0x7c00)), w.constant(0x7c00)), w.constant(0x7f800000), w.constant(0));
  const sign = w.shl(w.logic.and(h(), w.constant(0x8000)), 16);
  return w.floatBits(w.logic.or(w.logic.or(size, special), sign));
}

/** The f16 bits of an f32. */
export function halfOfFloat(code: Code, lanes: number, x: Ref): Ref {
  const w = words(code, lanes);
  const all = w.hold(w.wordBits(x));
  const size = w.hold(w.logic.and(all(), w.constant(0x7fffffff)));
  const greater = (word: number): Ref => (lanes === 1 ? m.i32.gt_s : m.i32x4.gt_s)(size(), w.constant(word));
  const special = w.select(greater(0x7f800000), w.constant(0x7e00), w.constant(0x7c00));
  // Adding ½ leaves the subnormal's ten bits, rounded, at the end.
  const small = w.word.sub(w.wordBits(w.float.add(w.floatBits(size()), w.power(-1))), w.constant(0x3f000000));
  const odd = w.logic.and(w.shr(size(), 13), w.constant(1));
  const normal = w.shr(w.word.add(w.word.add(size(), w.constant(0xfff - (112 << 23))), odd), 13);
  const rounded = w.select(greater(0x477fffff), special, w.select(greater(0x387fffff), normal, small));
  return w.logic.or(rounded, w.logic.and(w.shr(all(), 16), w.constant(0x8000)));
}

/** The f32 of bf16 bits. */
export function floatOfBrain(code: Code, lanes: number, brain: Ref): Ref {
  const w = words(code, lanes);
  return w.floatBits(w.shl(brain, 16));
}

/** The bf16 bits of an f32. */
export function brainOfFloat(code: Code, lanes: number, x: Ref): Ref {
  const w = words(code, lanes);
  const value = w.hold(w.wordBits(x));
  const rounded = w.shr(w.word.add(w.word.add(value(), w.constant(0x7fff)), w.logic.and(w.shr(value(), 16), w.constant(1))), 16);
  const isNumber = w.float.eq(w.floatBits(value()), w.floatBits(value()));
  return w.select(isNumber, rounded, w.constant(0x7fc0));
}
