// The stated errors of kernels/math hold against float64 references on dense samples, with fma rounded once and twice.
import { describe, expect, it } from "vitest";
import type { Expr } from "../../compiler/kernel/ir.ts";
import { typeOf } from "../../compiler/kernel/ir.ts";
import { binaryValue, bitcastValue, castValue, fmaValue, unaryValue } from "../../compiler/kernel/scalar.ts";
import { atan2, cos, erf, exp, gelu, log, pow, rsqrt, sigmoid, sin, tanh } from "../../kernels/math.ts";

type Evaluate = () => number;
const x: Expr = { kind: "var", name: "x", type: { scalar: "f32", lanes: 1 } };
const y: Expr = { kind: "var", name: "y", type: { scalar: "f32", lanes: 1 } };

/** The expression as a function of x and y; every shared part is evaluated once. */
function evaluator(root: Expr, fused: boolean): (x: number, y?: number) => number {
  const args = { x: 0, y: 0 };
  const compiled = new Map<Expr, Evaluate>();
  let round = 0;
  const once = (e: Expr): Evaluate => {
    const known = compiled.get(e);
    if (known) return known;
    const plain = compile(e);
    let value = 0;
    let at = -1;
    const cached = (): number => {
      if (at !== round) {
        value = plain();
        at = round;
      }
      return value;
    };
    compiled.set(e, cached);
    return cached;
  };
  const compile = (e: Expr): Evaluate => {
    switch (e.kind) {
      case "const": return () => e.value;
      case "var": return e.name === "x" ? () => args.x : () => args.y;
      case "unary": { const a = once(e.x), s = typeOf(e.x).scalar; return () => unaryValue(e.op, s, a()); }
      case "binary": { const a = once(e.a), b = once(e.b), s = typeOf(e.a).scalar; return () => binaryValue(e.op, s, a(), b()); }
      case "fma": { const a = once(e.a), b = once(e.b), c = once(e.c), s = typeOf(e.c).scalar; return () => fmaValue(s, a(), b(), c(), fused); }
      case "select": { const c = once(e.condition), a = once(e.yes), b = once(e.no); return () => (c() !== 0 ? a() : b()); }
      case "cast": { const a = once(e.x), s = typeOf(e.x).scalar; return () => castValue(s, e.to, a()); }
      case "bitcast": { const a = once(e.x), s = typeOf(e.x).scalar; return () => bitcastValue(s, e.to, a()); }
      default: throw new Error(e.kind);
    }
  };
  const run = once(root);
  return (a, b = 0) => {
    args.x = a;
    args.y = b;
    round++;
    return run();
  };
}

const word = new DataView(new ArrayBuffer(4));
/** The distance between the f32 that are nearest the value, at least that of the smallest normal number. */
function ulp(value: number): number {
  const size = Math.max(Math.abs(value), 2 ** -126);
  return 2 ** (Math.floor(Math.log2(size)) - 23);
}
function* between(low: number, high: number, count: number): Generator<number> {
  for (let i = 0; i <= count; i++) yield Math.fround(low + ((high - low) * i) / count);
}
/** f32 numbers of either sign whose exponents are spread evenly. */
function* allMagnitudes(count: number, low = 0x00800000, high = 0x7f7fffff): Generator<number> {
  for (let i = 0; i <= count; i++) {
    word.setUint32(0, Math.floor(low + ((high - low) * i) / count));
    yield word.getFloat32(0);
    yield -word.getFloat32(0);
  }
}
/** erf by its Taylor series, or the continued fraction of erfc further out: good to 1e-15. */
function erf64(v: number): number {
  const a = Math.abs(v);
  if (a > 6) return Math.sign(v);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(v) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(v) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

const largest = (samples: Iterable<number>, f: (x: number) => number, reference: (x: number) => number, unit: (value: number) => number) => {
  let error = 0;
  for (const s of samples) {
    const want = reference(s);
    const e = Math.abs(f(s) - want) / unit(want);
    if (!(e <= error)) error = e;
  }
  return error;
};

describe.each([["rounded once", true], ["rounded twice", false]])("with fma %s", (_, fused) => {
  const of = (f: (x: Expr) => Expr) => evaluator(f(x), fused);

  it("exp is within 3 ULP", () => {
    expect(largest(between(-86.9, 88.7228, 200_000), of(exp), Math.exp, ulp)).toBeLessThan(3);
    expect(largest(between(-0.4, 0.4, 100_000), of(exp), Math.exp, ulp)).toBeLessThan(3);
    const f = of(exp);
    expect([f(0), f(-Infinity), f(-1e9), f(Infinity), f(88.73), f(NaN)]).toEqual([1, 0, 0, Infinity, Infinity, NaN]);
  });
  it("log is within 2 ULP", () => {
    const f = of(log);
    expect(largest(between(1e-3, 4, 200_000), f, Math.log, ulp)).toBeLessThan(2);
    expect(largest([...allMagnitudes(100_000)].filter(v => v > 0), f, Math.log, ulp)).toBeLessThan(2);
    expect([f(1), f(0), f(-0), f(Infinity), f(-1), f(-Infinity), f(NaN)]).toEqual([0, -Infinity, -Infinity, Infinity, NaN, NaN, NaN]);
  });
  it("tanh is within 6 ULP", () => {
    const f = of(tanh);
    expect(largest(between(-10, 10, 200_000), f, Math.tanh, ulp)).toBeLessThan(6);
    expect(largest(allMagnitudes(100_000), f, Math.tanh, ulp)).toBeLessThan(6);
    expect([f(0), f(-0), f(NaN), Math.abs(f(Infinity))]).toEqual([0, -0, NaN, Math.abs(f(50))]);
  });
  it("erf is within 7 ULP", () => {
    const f = of(erf);
    expect(largest(between(-4.5, 4.5, 100_000), f, erf64, ulp)).toBeLessThan(7);
    expect(largest(allMagnitudes(20_000), f, erf64, ulp)).toBeLessThan(7);
    expect([f(0), f(-0), f(NaN)]).toEqual([0, -0, NaN]);
  });
  it("gelu is within 1.1e-6 and a few ULP", () => {
    const f = of(gelu);
    const reference = (v: number) => (v * (1 + erf64(v / Math.SQRT2))) / 2;
    expect(largest(between(-1000, 0, 100_000), f, reference, () => 1)).toBeLessThan(1.1e-6);
    expect(largest(between(-8, 0, 100_000), f, reference, () => 1)).toBeLessThan(1.1e-6);
    expect(largest(between(0, 20, 100_000), f, reference, v => 4 * ulp(v) + 1.1e-6)).toBeLessThan(1);
    expect([f(0), f(Infinity), f(NaN)]).toEqual([0, Infinity, NaN]);
  });
  it("sin and cos are within 1.2e-7 up to 100,000", () => {
    for (const [f, reference] of [[sin, Math.sin], [cos, Math.cos]] as const) {
      expect(largest(between(-10, 10, 100_000), of(f), reference, () => 1)).toBeLessThan(1.2e-7);
      expect(largest(between(-100_000, 100_000, 100_001), of(f), reference, () => 1)).toBeLessThan(1.2e-7);
      expect([of(f)(Infinity), of(f)(NaN)]).toEqual([NaN, NaN]);
    }
    expect(largest(between(-1, 1, 50_000), of(sin), Math.sin, ulp)).toBeLessThan(2);
  });
  it("pow is within 4 + |y| ULP", () => {
    const f = evaluator(pow(x, y), fused);
    for (const power of [0.4166667, 0.5, 1, 2, 2.2, 2.4, -1.5, 7, 20.25, -33]) {
      const p = Math.fround(power);
      const inRange = (v: number) => Math.abs(Math.log(v) * p) < 85;
      const error = largest([...between(1e-4, 20, 20_000)].filter(inRange), v => f(v, p), v => v ** p, v => (4 + Math.abs(p)) * ulp(v));
      expect(error, `x^${p}`).toBeLessThan(1);
    }
    const special = [0, -0, 1, -1, 2, -2, 0.5, 3, -3, Infinity, -Infinity];
    for (const a of special) for (const b of special) {
      if (Math.abs(a) === 1 && !Number.isFinite(b)) continue;
      // Compared on the exact results and signs; 2^0.5 and the like are checked above.
      const want = a ** b;
      expect(Math.abs(f(a, b) - want) <= 2 * ulp(want) || Object.is(f(a, b), want), `${a}^${b}: ${f(a, b)} for ${want}`).toBe(true);
      if (want === 0) expect(f(a, b), `sign of ${a}^${b}`).toBe(want);
    }
    expect([f(NaN, 2), f(2, NaN), f(1, Infinity)]).toEqual([NaN, NaN, 1]);
  });
  it("atan2 is within 4 ULP", () => {
    const f = evaluator(atan2(y, x), fused);
    for (const c of [-3, -0.1, 0.7, 100]) expect(largest(between(-50, 50, 50_000), v => f(c, v), v => Math.atan2(v, Math.fround(c)), ulp), `x = ${c}`).toBeLessThan(4);
    const special = [0, -0, 1, -2, Infinity, -Infinity];
    for (const a of special) for (const b of special) expect(f(b, a), `atan2(${a}, ${b})`).toBeCloseTo(Math.atan2(a, b), 6);
    expect([f(NaN, 1), f(1, NaN)]).toEqual([NaN, NaN]);
  });
  it("rsqrt and sigmoid are within 2 and 4 ULP", () => {
    expect(largest(between(0.01, 100, 100_000), of(rsqrt), v => 1 / Math.sqrt(v), ulp)).toBeLessThan(2);
    expect(largest(between(-80, 30, 100_000), of(sigmoid), v => 1 / (1 + Math.exp(-v)), ulp)).toBeLessThan(4);
  });
});
