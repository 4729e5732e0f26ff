// The remainder of two f64 with the sign of the first, exact, for which WebAssembly has no instruction: the divisor's
// multiples by powers of two are subtracted from the largest down.
import * as m from "./instructions.ts";
import type { Ref, WasmFunction } from "./instructions.ts";

/** The function of (a, b). */
export function remainderFunction(): WasmFunction {
  const f = m.f64;
  const get = (local: number): Ref => m.local.get(local);
  const [A, B, REST, MULTIPLE] = [0, 1, 2, 3];
  const infinite = (): Ref => f.const(Infinity);
  const body = m.sequence([
    m.local.set(REST, f.abs(get(A))),
    m.local.set(B, f.abs(get(B))),
    // NaN where either is NaN, the dividend infinite or the divisor zero.
    m.if(m.i32.eqz(m.i32.and(f.lt(get(REST), infinite()), f.gt(get(B), f.const(0)))), m.return(f.const(NaN))),
    m.local.set(MULTIPLE, get(B)),
    m.if(f.lt(get(B), infinite()), m.sequence([
      m.loop("grow", m.if(f.le(get(MULTIPLE), f.mul(get(REST), f.const(0.5))), m.sequence([m.local.set(MULTIPLE, f.add(get(MULTIPLE), get(MULTIPLE))), m.br("grow")]))),
      m.loop("shrink", m.sequence([
        m.if(f.ge(get(REST), get(MULTIPLE)), m.local.set(REST, f.sub(get(REST), get(MULTIPLE)))),
        m.if(f.gt(get(MULTIPLE), get(B)), m.sequence([m.local.set(MULTIPLE, f.mul(get(MULTIPLE), f.const(0.5))), m.br("shrink")])),
      ])),
    ])),
    f.copysign(get(REST), get(A)),
  ]);
  return { locals: ["f64", "f64"], body };
}
