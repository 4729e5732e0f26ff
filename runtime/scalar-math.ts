// exp, log and pow of procedures. Engines and C libraries round these differently, so that a learning rate, and with it a whole
// training, would depend on what runs it. Here each is a fixed sequence of additions, multiplications and divisions, which
// IEEE 754 rounds in one way only; runtime/native/exec/scalar-math.cc has the same sequence with the same constants, and a test
// compares the two bit for bit. The methods and their bounds are those of Sun's fdlibm: errors are below 1 ulp.

const words = new Uint32Array(2);
const double = new Float64Array(words.buffer);
/** The words of a double lie low first where the machine does so. */
const HIGH = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 1 : 0;

/** Sign, exponent and the first 20 bits of the fraction. */
function highWord(x: number): number {
  double[0] = x;
  return words[HIGH]!;
}
/** The double with this high word, and 0 below it. */
function fromHigh(high: number): number {
  words[HIGH] = high;
  words[1 - HIGH] = 0;
  return double[0]!;
}
/** x without the low half of its fraction, so that a product of two such numbers is exact. */
const head = (x: number): number => fromHigh(highWord(x));
const withHigh = (x: number, high: number): number => {
  double[0] = x;
  words[HIGH] = high;
  return double[0];
};

/** 2^k for a normal result. */
const powerOfTwo = (k: number): number => fromHigh((k + 1023) << 20);

/** x · 2^k, rounded once. x lies near 1. */
function scaled(x: number, k: number): number {
  if (k > 1023) return x * powerOfTwo(1023) * powerOfTwo(k - 1023);
  if (k < -1022) return x * powerOfTwo(k + 54) * powerOfTwo(-54);
  return x * powerOfTwo(k);
}

/** ln 2 in two parts: a multiple of the first by an exponent is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** x = k · ln 2 + r with |r| ≤ ln 2 / 2; then e^r by a rational function of r². */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x === 1) return Math.E;
  if (x > 709.782712893384) return Infinity;
  if (x < -745.1332191019411) return 0;
  const k = Math.floor(Math.LOG2E * x + 0.5);
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  const c = r - t * (0.16666666666666602 + t * (-0.0027777777777015593 + t * (0.00006613756321437934
    + t * (-0.0000016533902205465252 + t * 4.1381367970572385e-8))));
  return scaled(1 - ((low - (r * c) / (2 - c)) - high), k);
}

/** x = 2^k · (1 + f) with 1 + f between √½ and √2; then log(1 + f) by a polynomial of s = f / (2 + f). */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return x;
  const isSmall = x < 2.2250738585072014e-308;
  const normal = isSmall ? x * 18014398509481984 : x;
  const high = highWord(normal);
  const fraction = high & 0xfffff;
  // 1 where the fraction is past √2 and is halved.
  const halved = (fraction + 0x95f64) & 0x100000;
  const k = (high >>> 20) - 1023 + (halved >>> 20) - (isSmall ? 54 : 0);
  const f = withHigh(normal, fraction | (halved ^ 0x3ff00000)) - 1;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const even = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373));
  const odd = z * (0.6666666666666735 + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586)));
  const half = 0.5 * f * f;
  return k * LN2_HIGH - ((half - (s * (half + (even + odd)) + k * LN2_LOW)) - f);
}

/** A number as the sum of two, the first with half of its fraction's bits. */
type Pair = readonly [head: number, tail: number];

/** log2 of a positive finite number, to about 70 bits. */
function log2(x: number): Pair {
  const isSmall = x < 2.2250738585072014e-308;
  const normal = isSmall ? x * 9007199254740992 : x;
  const high = highWord(normal);
  const fraction = high & 0xfffff;
  // Near 1, near 1.5, or near 2, which is 1 with the next exponent.
  const isMiddle = fraction > 0x3988e && fraction < 0xbb67a;
  const isUpper = fraction >= 0xbb67a;
  const n = (high >>> 20) - 1023 - (isSmall ? 53 : 0) + (isUpper ? 1 : 0);
  const reduced = fraction | (isUpper ? 0x3fe00000 : 0x3ff00000);
  const a = withHigh(normal, reduced);
  const base = isMiddle ? 1.5 : 1;
  const u = a - base;
  const v = 1 / (a + base);
  const s = u * v;
  const sHead = head(s);
  const sumHead = fromHigh(((reduced >> 1) | 0x20000000) + 0x80000 + (isMiddle ? 1 << 18 : 0));
  const sumTail = a - (sumHead - base);
  const sTail = v * ((u - sHead * sumHead) - sHead * sumTail);
  const square = s * s;
  const series = square * square * (0.5999999999999946 + square * (0.4285714285785502 + square * (0.33333332981837743
    + square * (0.272728123808534 + square * (0.23066074577556175 + square * 0.20697501780033842)))));
  const rest = series + sTail * (sHead + s);
  const headSquare = sHead * sHead;
  const t = head(3 + headSquare + rest);
  const tTail = rest - ((t - 3) - headSquare);
  const p = sHead * t;
  const q = sTail * t + tTail * s;
  const pHead = head(p + q);
  const pTail = q - (pHead - p);
  // Times 2 / (3 ln 2).
  const z = 0.9617967009544373 * pHead;
  const zTail = -7.028461650952758e-9 * pHead + pTail * 0.9617966939259756 + (isMiddle ? 1.350039202129749e-8 : 0);
  const baseLog = isMiddle ? 0.5849624872207642 : 0;
  const first = head(((z + zTail) + baseLog) + n);
  return [first, zTail - (((first - n) - baseLog) - z)];
}

/** log2 of a number that is 1 but for less than 2^-20. */
function log2NearOne(x: number): Pair {
  const t = x - 1;
  const w = (t * t) * (0.5 - t * (0.3333333333333333 - t * 0.25));
  const tHead = head(t);
  const u = 1.4426950216293335 * tHead;
  const v = 1.4426950216293335 * (t - tHead) + t * 1.9259629911266175e-8 - w * Math.LOG2E;
  const first = head(u + v);
  return [first, v - (first - u)];
}

/** 2^(high + low), where the sum lies within what a double can be. */
function exp2(high: number, low: number): number {
  const z = low + high;
  const n = Math.abs(z) > 0.5 ? Math.floor(z + 0.5) : 0;
  const rest = high - n;
  const t = head(low + rest);
  const u = t * 0.6931471824645996;
  const v = (low - (t - rest)) * Math.LN2 + t * -1.904654299957768e-9;
  const y = u + v;
  const w = v - (y - u);
  const square = y * y;
  const c = y - square * (0.16666666666666602 + square * (-0.0027777777777015593 + square * (0.00006613756321437934
    + square * (-0.0000016533902205465252 + square * 4.1381367970572385e-8))));
  const r = (y * c) / (c - 2) - (w + y * w);
  return scaled(1 - (r - y), n);
}

/** As JavaScript's `**` where the result is decided: NaN to the power 0 is 1, and 1 to an infinite power is NaN. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const size = Math.abs(x);
  if (Math.abs(y) === Infinity) return size === 1 ? NaN : size > 1 === y > 0 ? Infinity : 0;
  const isWhole = Math.floor(y) === y;
  const sign = isWhole && Math.floor(y / 2) !== y / 2 && (x < 0 || Object.is(x, -0)) ? -1 : 1;
  if (size === 0 || size === Infinity) return sign * (size === 0 === y > 0 ? 0 : Infinity);
  if (x < 0 && !isWhole) return NaN;
  if (size === 1 || y === 1) return sign * size;
  const isHuge = Math.abs(y) > 2147483648;
  const isFar = size < 0.9999990463256836 || size > 1.0000009536743164;
  if (isHuge && isFar) return sign * (size > 1 === y > 0 ? Infinity : 0);
  const [first, second] = isHuge ? log2NearOne(size) : log2(size);
  const yHead = head(y);
  const low = (y - yHead) * first + y * second;
  const high = yHead * first;
  const z = low + high;
  if (z > 1024 || (z === 1024 && low + 8.008566259537294e-17 > z - high)) return sign * Infinity;
  if (z < -1075 || (z === -1075 && low <= z - high)) return sign * 0;
  return sign * exp2(high, low);
}
