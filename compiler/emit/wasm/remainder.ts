// The remainder of two f64 with the sign of the first, exact, for which WebAssembly has no instruction: the divisor's
// multiples by powers of two are subtracted from the largest down.
import type binaryen from "binaryen";

/** Adds the function of (a, b) to the module; returns its name. */
export function addRemainder(b: typeof binaryen, m: binaryen.Module): string {
  const name = "remainder";
  const f = m.f64;
  const get = (local: number) => m.local.get(local, b.f64);
  const [A, B, REST, MULTIPLE] = [0, 1, 2, 3];
  const infinite = () => f.const(Infinity);
  const body = m.block(null, [
    m.local.set(REST, f.abs(get(A))),
    m.local.set(B, f.abs(get(B))),
    // NaN where either is NaN, the dividend infinite or the divisor zero.
    m.if(m.i32.eqz(m.i32.and(f.lt(get(REST), infinite()), f.gt(get(B), f.const(0)))), m.return(f.const(NaN))),
    m.local.set(MULTIPLE, get(B)),
    m.if(f.lt(get(B), infinite()), m.block(null, [
      m.loop("grow", m.if(f.le(get(MULTIPLE), f.mul(get(REST), f.const(0.5))), m.block(null, [m.local.set(MULTIPLE, f.add(get(MULTIPLE), get(MULTIPLE))), m.br("grow")]))),
      m.loop("shrink", m.block(null, [
        m.if(f.ge(get(REST), get(MULTIPLE)), m.local.set(REST, f.sub(get(REST), get(MULTIPLE)))),
        m.if(f.gt(get(MULTIPLE), get(B)), m.block(null, [m.local.set(MULTIPLE, f.mul(get(MULTIPLE), f.const(0.5))), m.br("shrink")])),
      ])),
    ])),
    f.copysign(get(REST), get(A)),
  ]);
  m.addFunction(name, b.createType([b.f64, b.f64]), b.f64, [b.f64, b.f64], body);
  return name;
}
