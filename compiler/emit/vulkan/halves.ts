// Storage floats: f16 and bf16 as the low 16 bits of an integer, to and from f32. Rounding is to nearest, ties to even; NaN
// becomes the quiet NaN.
import { type Assembler, DECORATION, type Id, OP } from "./assembler.ts";

function words(m: Assembler) {
  const word = m.int(32);
  const float = m.float(32);
  const constant = (x: number): Id => m.constantInt(32, x | 0);
  const exact = (id: Id): Id => {
    m.decorate(id, DECORATION.NoContraction);
    return id;
  };
  return {
    constant,
    and: (x: Id, bits: number): Id => m.value(OP.BitwiseAnd, word, x, constant(bits)),
    or: (x: Id, y: Id): Id => m.value(OP.BitwiseOr, word, x, y),
    add: (x: Id, y: Id): Id => m.value(OP.IAdd, word, x, y),
    shl: (x: Id, by: number): Id => m.value(OP.ShiftLeftLogical, word, x, constant(by)),
    shr: (x: Id, by: number): Id => m.value(OP.ShiftRightLogical, word, x, constant(by)),
    greater: (x: Id, than: number): Id => m.value(OP.UGreaterThan, m.bool(), x, constant(than)),
    select: (condition: Id, yes: Id, no: Id): Id => m.value(OP.Select, word, condition, yes, no),
    toFloat: (x: Id): Id => m.value(OP.Bitcast, float, x),
    toBits: (x: Id): Id => m.value(OP.Bitcast, word, x),
    mul: (x: Id, by: number): Id => exact(m.value(OP.FMul, float, x, m.constantFloat(32, by))),
    plus: (x: Id, by: number): Id => exact(m.value(OP.FAdd, float, x, m.constantFloat(32, by))),
  };
}

/** The f32 of f16 bits. */
export function floatOfHalf(m: Assembler, half: Id): Id {
  const w = words(m);
  // As f32 bits the number is 2¹¹² times too small; subnormal halves are made of their integer, so that no device flushes them.
  const size = w.and(half, 0x7fff);
  const normal = w.toBits(w.mul(w.toFloat(w.shl(size, 13)), 2 ** 112));
  const small = w.toBits(w.mul(m.value(OP.ConvertUToF, m.float(32), size), 2 ** -24));
  const value = w.select(w.greater(size, 0x3ff), normal, small);
  const special = w.select(w.greater(size, 0x7bff), w.constant(0x7f800000), w.constant(0));
  return w.toFloat(w.or(w.or(value, special), w.shl(w.and(half, 0x8000), 16)));
}

/** The f16 bits of an f32. */
export function halfOfFloat(m: Assembler, x: Id): Id {
  const w = words(m);
  const all = w.toBits(x);
  const size = w.and(all, 0x7fffffff);
  const special = w.select(w.greater(size, 0x7f800000), w.constant(0x7e00), w.constant(0x7c00));
  // Adding ½ leaves the subnormal's ten bits, rounded, at the end.
  const small = w.add(w.toBits(w.plus(w.toFloat(size), 0.5)), w.constant(-0x3f000000));
  const normal = w.shr(w.add(w.add(size, w.constant(0xfff - (112 << 23))), w.and(w.shr(size, 13), 1)), 13);
  const rounded = w.select(w.greater(size, 0x477fffff), special, w.select(w.greater(size, 0x387fffff), normal, small));
  return w.or(rounded, w.and(w.shr(all, 16), 0x8000));
}

/** The f32 of bf16 bits. */
export const floatOfBrain = (m: Assembler, brain: Id): Id => words(m).toFloat(words(m).shl(brain, 16));

/** The bf16 bits of an f32. */
export function brainOfFloat(m: Assembler, x: Id): Id {
  const w = words(m);
  const all = w.toBits(x);
  const rounded = w.shr(w.add(w.add(all, w.constant(0x7fff)), w.and(w.shr(all, 16), 1)), 16);
  return w.select(w.greater(w.and(all, 0x7fffffff), 0x7f800000), w.constant(0x7fc0), rounded);
}
