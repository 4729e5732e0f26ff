// The remainder of two f64 with the sign of the first, exact: the divisor's multiples by powers of two are subtracted from
// the largest down. SPIR-V's own remainder may be wrong by the quotient's rounding.
import { type Assembler, EXTENDED, type Id, OP } from "./assembler.ts";
import { whileLoop } from "./control.ts";

export function remainder(m: Assembler, a: Id, b: Id): Id {
  const type = m.float(64);
  const constant = (x: number): Id => m.constantFloat(64, x);
  const [rest, multiple] = [m.variable(type), m.variable(type)];
  const get = (variable: Id): Id => m.value(OP.Load, type, variable);
  const compare = (op: number, x: Id, y: Id): Id => m.value(op, m.bool(), x, y);
  const and = (x: Id, y: Id): Id => m.value(OP.LogicalAnd, m.bool(), x, y);
  const divisor = m.extended(EXTENDED.FAbs, type, b);
  const dividend = m.extended(EXTENDED.FAbs, type, a);
  const isDefined = and(compare(OP.FOrdLessThan, dividend, constant(Infinity)), compare(OP.FOrdGreaterThan, divisor, constant(0)));
  const isWanted = and(isDefined, compare(OP.FOrdLessThan, divisor, constant(Infinity)));
  m.act(OP.Store, rest, dividend);
  m.act(OP.Store, multiple, divisor);
  whileLoop(m, () => and(isWanted, compare(OP.FOrdLessThanEqual, get(multiple), m.value(OP.FMul, type, get(rest), constant(0.5)))), () => {
    m.act(OP.Store, multiple, m.value(OP.FAdd, type, get(multiple), get(multiple)));
  });
  whileLoop(m, () => and(isWanted, compare(OP.FOrdGreaterThanEqual, get(multiple), divisor)), () => {
    const [left, step] = [get(rest), get(multiple)];
    m.act(OP.Store, rest, m.value(OP.Select, type, compare(OP.FOrdGreaterThanEqual, left, step), m.value(OP.FSub, type, left, step), left));
    m.act(OP.Store, multiple, m.value(OP.FMul, type, step, constant(0.5)));
  });
  const size = get(rest);
  const isNegative = m.value(OP.SLessThan, m.bool(), m.value(OP.Bitcast, m.int(64), a), m.constantInt(64, 0));
  const signed = m.value(OP.Select, type, isNegative, m.value(OP.FNegate, type, size), size);
  // NaN where either is NaN, the dividend infinite or the divisor zero; an infinite divisor leaves the dividend.
  return m.value(OP.Select, type, isDefined, signed, constant(NaN));
}
