// Transcendental functions as kernel expressions, f32 in any number of lanes: range reduction by exact operations and bits,
// then polynomials and rationals fitted for minimal largest error. No target calls a library, so all of them agree up to
// the rounding of fma. The stated errors hold with fma rounded once or twice and are asserted in tests/unit/kernel-math;
// ULP are of the f32 nearest the true value. NaN gives NaN. Subnormal arguments and results count as zero.
//
//   exp     3 ULP; results under 1.7e-38 are 0                      log   2 ULP
//   tanh    6 ULP, odd                                               erf   7 ULP, odd
//   sin cos 1.2e-7 absolute for |x| ≤ 100,000; growing beyond          rsqrt 2 ULP
//   pow     4 + |y| ULP                                              atan2 4 ULP
//   gelu    1.1e-6 absolute for x ≤ 0, 4 ULP + 1.1e-6 above
import { abs, add, and, bitcast, cast, constant, div, eq, floor, fma, ge, gt, le, lt, mul, ne, neg, not, or, roundEven, select, shl, shr, sqrt, sub, xor } from "../compiler/kernel/expr.ts";
import { type Expr, typeOf } from "../compiler/kernel/ir.ts";

/** c0 + c1·x + c2·x² + …, by Horner's rule. */
const polynomial = (x: Expr, coefficients: readonly number[]): Expr => {
  const last = constant("f32", coefficients.at(-1) ?? 0, typeOf(x).lanes);
  return coefficients.slice(0, -1).reduceRight<Expr>((sum, c) => fma(x, sum, c), last);
};

// Clamps as one comparison and select, which is a single instruction on SIMD targets and lets NaN through.
const atLeast = (x: Expr, low: number): Expr => select(lt(x, low), low, x);
const atMost = (x: Expr, high: number): Expr => select(gt(x, high), high, x);
const clamp = (x: Expr, low: number, high: number): Expr => atMost(atLeast(x, low), high);

const LOG2_E = Math.LOG2E;
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444005469057e-4;
const SMALLEST_NORMAL = 2 ** -126;

/** e^x. Overflows to infinity exactly where f32 does. */
export function exp(value: Expr): Expr {
  const x = clamp(value, -87.6, 89);
  // Adding 1.5·2²³ leaves round(x·log2 e) in the low bits, with the bias of 2^(n - 1) on top.
  const magic = 1.5 * 2 ** 23 + 126;
  const biased = fma(x, LOG2_E, magic);
  const n = sub(biased, magic);
  const r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
  const twice = polynomial(r, [2, 1.9999994039535522, 0.9999828338623047, 0.33335301280021667, 0.083797909319400787, 0.01657925359904766]);
  return mul(twice, bitcast("f32", shl(bitcast("i32", biased), 23)));
}

/** Splits a positive normal number: x = 2^exponent · (1 + fraction) with 1 + fraction in [√½, √2). */
function splitExponent(x: Expr): { exponent: Expr; fraction: Expr } {
  const bits = bitcast("i32", x);
  const exponent = shr(sub(bits, 0x3f3504f3), 23);
  return { exponent: cast("f32", exponent), fraction: sub(bitcast("f32", sub(bits, shl(exponent, 23))), 1) };
}

/** (ln(1 + f) - f + f²/2) / f³. */
const logTail = (f: Expr): Expr => polynomial(f, [
  0.3333333134651184, -0.2500081956386566, 0.2000124156475067, -0.166234090924263,
  0.14201579988002777, -0.13159610331058502, 0.12762217223644257, -0.07636439055204391,
]);

/** ln x. Zero gives -infinity, negative numbers NaN. */
export function log(x: Expr): Expr {
  const { exponent, fraction: f } = splitExponent(x);
  const square = mul(f, f);
  const tail = fma(square, -0.5, fma(mul(square, f), logTail(f), mul(exponent, LN2_LOW)));
  const normal = fma(exponent, LN2_HIGH, add(tail, f));
  return select(lt(x, SMALLEST_NORMAL), select(lt(x, 0), constant("f32", NaN), -Infinity), select(lt(x, Infinity), normal, x));
}

/** Hyperbolic tangent: a rational in x² where it is not ±1. */
export function tanh(value: Expr): Expr {
  const x = clamp(value, -9.01, 9.01);
  const t = mul(x, x);
  const p = polynomial(t, [1, 0.13380374014377594, 0.0034948145039379597, 2.059632788586896e-5, 1.333691734828335e-8]);
  const q = polynomial(t, [1, 0.4671368896961212, 0.02587404102087021, 3.2843687222339213e-4, 7.769312446725962e-7]);
  return div(mul(x, p), q);
}

const ERF_TOP = [
  1.1283791065216064, 0.19992461800575256, 0.05057334527373314, 0.0037016149144619703, 1.418506435584277e-4, -1.957837184818345e-6, 1.992426312824591e-8,
];
const ERF_BOTTOM = [1, 0.510510265827179, 0.114998459815979, 0.014353214763104916, 9.560405160300434e-4];

/** The error function: a rational in x² where it is not ±1. */
export function erf(value: Expr): Expr {
  const x = clamp(value, -3.92, 3.92);
  const t = mul(x, x);
  return div(mul(x, polynomial(t, ERF_TOP)), polynomial(t, ERF_BOTTOM));
}

const scaled = (coefficients: readonly number[], first: number): number[] => coefficients.map((c, i) => first * c * 0.5 ** i);

/** x·(1 + erf(x/√2))/2, the exact GELU, with the scale of erf's argument folded into its coefficients. */
export function gelu(value: Expr): Expr {
  // Below the clamp the result is 0 to the stated error, so the clamped x may stand for x.
  const x = atLeast(value, -5.543717164502532);
  const inner = atMost(x, 5.543717164502532);
  const t = mul(inner, inner);
  const half = div(mul(inner, polynomial(t, scaled(ERF_TOP, 0.5 * Math.SQRT1_2))), polynomial(t, scaled(ERF_BOTTOM, 1)));
  return fma(x, half, mul(x, 0.5));
}

/** 1/√x. */
export const rsqrt = (x: Expr): Expr => div(1, sqrt(x));

/** sin(x + quarters·π/2). */
function sine(x: Expr, quarters: 0 | 1): Expr {
  const n = roundEven(mul(x, 2 / Math.PI));
  // π/2 in parts of eight bits, so that n times each is exact up to |n| = 2¹⁶ without a fused multiply.
  const parts = [1.5703125, 4.825592041015625e-4, 1.2665987014770508e-6, 9.92093629470503e-10];
  const r = parts.reduce<Expr>((rest, part) => fma(n, -part, rest), x);
  const quadrant = add(cast("i32", n), quarters);
  const t = mul(r, r);
  const sin = fma(mul(r, t), polynomial(t, [-0.16666655242443085, 0.008332155644893646, -1.951463200384751e-4]), r);
  const cos = fma(mul(t, t), polynomial(t, [0.04166664555668831, -0.0013887309469282627, 2.443241282890085e-5]), fma(t, -0.5, 1));
  const magnitude = select(eq(and(quadrant, 1), 0), sin, cos);
  return bitcast("f32", xor(bitcast("i32", magnitude), shl(and(quadrant, 2), 30)));
}
export const sin = (x: Expr): Expr => sine(x, 0);
export const cos = (x: Expr): Expr => sine(x, 1);

const isOdd = (whole: Expr): Expr => ne(floor(mul(whole, 0.5)), mul(whole, 0.5));
const signBit = (x: Expr): Expr => and(bitcast("i32", x), -(2 ** 31));

/** x^y. Of a negative x, NaN unless y is whole; x^0 and 1^y are 1. */
export function pow(x: Expr, exponent: Expr): Expr {
  const size = abs(x);
  const { exponent: n, fraction: f } = splitExponent(size);
  const square = mul(f, f);
  const log2 = mul(fma(mul(square, f), logTail(f), fma(square, -0.5, f)), LOG2_E);
  // The largest product, y·n, is kept exact: the upper bits of y times n, then all the small parts.
  const y = clamp(exponent, -3e38, 3e38);
  const high = bitcast("f32", and(bitcast("i32", y), -4096));
  const large = mul(high, n);
  const small = fma(sub(y, high), n, mul(y, log2));
  const power = clamp(add(large, small), -160, 160);
  const whole = roundEven(power);
  const rest = select(ge(abs(power), 160), 0, add(sub(large, whole), small));
  const fraction = polynomial(rest, [1, 0.6931471824645996, 0.24022647738456726, 0.05550359934568405, 0.009618505835533142, 0.0013390806270763278, 1.532646274426952e-4]);
  // In two factors, for 2^whole itself may be out of range where the product is not.
  const k = cast("i32", whole);
  const firstHalf = shr(k, 1);
  const scale = (e: Expr): Expr => bitcast("f32", shl(add(e, 127), 23));
  const normal = mul(mul(fraction, scale(firstHalf)), scale(sub(k, firstHalf)));
  const isZero = lt(size, SMALLEST_NORMAL);
  const isInfinite = eq(size, Infinity);
  const extreme = select(eq(isInfinite, gt(y, 0)), constant("f32", Infinity), 0);
  const isExtreme = or(isZero, isInfinite);
  const positive = select(isExtreme, extreme, normal);
  const isWhole = eq(floor(y), y);
  const negated = bitcast("f32", or(bitcast("i32", positive), signBit(x)));
  const signed = select(and(isWhole, isOdd(y)), negated, select(and(lt(x, 0), not(or(isExtreme, isWhole))), NaN, positive));
  return select(eq(y, 0), 1, select(le(size, Infinity), signed, x));
}

/** The angle of the point (x, y), in (-π, π]. */
export function atan2(y: Expr, x: Expr): Expr {
  const ax = abs(x);
  const ay = abs(y);
  const steep = gt(ay, ax);
  const low = select(steep, ax, ay);
  const high = select(steep, ay, ax);
  const ratio = select(eq(high, 0), 0, select(eq(low, Infinity), 1, div(low, high)));
  const t = mul(ratio, ratio);
  const tail = polynomial(t, [
    -0.33333152532577515, 0.19993767142295837, -0.14211003482341766, 0.10665786266326904,
    -0.07551728934049606, 0.043205976486206055, -0.016364244744181633, 0.0029197600670158863,
  ]);
  const octant = fma(mul(ratio, t), tail, ratio);
  const quadrant = select(steep, sub(Math.PI / 2, octant), octant);
  const half = select(ge(bitcast("i32", x), 0), quadrant, sub(Math.PI, quadrant));
  const signed = bitcast("f32", or(bitcast("i32", half), signBit(y)));
  // NaN in either argument passes through the sum.
  return select(eq(add(ax, ay), add(ax, ay)), signed, add(x, y));
}

/** 1 / (1 + e^-x). */
export const sigmoid = (x: Expr): Expr => div(1, add(exp(neg(x)), 1));
