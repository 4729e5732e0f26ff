// Counter-based random numbers, written once over an arithmetic so that the interpreter (on numbers) and the kernels (on
// expressions) compute the same bits: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
// as easy as 1, 2, 3", 2011), uniforms from the top 24 bits, normals by Box and Muller with polynomials made only of exactly
// rounded f32 operations in a fixed order.

/** u32 words wrap; f32 operations round to nearest. `T` holds either. */
export interface Arithmetic<T> {
  word(value: number): T;
  real(value: number): T;
  addWord(a: T, b: T): T;
  xor(a: T, b: T): T;
  and(a: T, b: T): T;
  or(a: T, b: T): T;
  shiftLeft(a: T, by: number): T;
  shiftRight(a: T, by: number): T;
  /** A u32 below 2^24 as f32, exactly. */
  toReal(word: T): T;
  /** The bits of an f32 as a u32, and back. */
  bitsOf(real: T): T;
  realOf(bits: T): T;
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  sqrt(a: T): T;
  /** yes where a < b (f32), else no. */
  whereLess(a: T, b: T, yes: T, no: T): T;
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

/** Two words from a key of two words and a counter of two words. */
export function threefry<T>(a: Arithmetic<T>, key: readonly [T, T], counter: readonly [T, T]): [T, T] {
  const keys = [key[0], key[1], a.xor(a.xor(a.word(PARITY), key[0]), key[1])] as const;
  let [x, y] = [a.addWord(counter[0], keys[0]), a.addWord(counter[1], keys[1])];
  for (let round = 0; round < 20; round++) {
    const by = ROTATIONS[round % 8]!;
    x = a.addWord(x, y);
    y = a.xor(a.or(a.shiftLeft(y, by), a.shiftRight(y, 32 - by)), x);
    if (round % 4 === 3) {
      const turn = (round + 1) / 4;
      x = a.addWord(x, keys[turn % 3]!);
      y = a.addWord(a.addWord(y, keys[(turn + 1) % 3]!), a.word(turn));
    }
  }
  return [x, y];
}

/** In [0, 1): the top 24 bits over 2^24. */
export const uniformOf = <T>(a: Arithmetic<T>, word: T): T => a.mul(a.toReal(a.shiftRight(word, 8)), a.real(2 ** -24));

/** Standard normal: √(−2 ln u) · cos 2πv with u in (0, 1] from one word and v in [0, 1) from the other. */
export function normalOf<T>(a: Arithmetic<T>, words: readonly [T, T]): T {
  const u = a.mul(a.add(a.toReal(a.shiftRight(words[0], 8)), a.real(1)), a.real(2 ** -24));
  return a.mul(a.sqrt(a.mul(a.real(-2), logOf(a, u))), cosOfTurns(a, uniformOf(a, words[1])));
}

/** ln x for normal x: the exponent times ln 2, in two parts, and a polynomial in the mantissa less one. */
function logOf<T>(a: Arithmetic<T>, x: T): T {
  const bits = a.bitsOf(x);
  // The mantissa in [0.75, 1.5): subtracting the bits of 0.75 carries into the exponent exactly where the mantissa is 1.5 or more.
  const shifted = a.addWord(bits, a.word(0x00400000));
  const exponent = a.sub(a.toReal(a.shiftRight(shifted, 23)), a.real(127));
  const mantissa = a.realOf(a.addWord(a.and(shifted, a.word(0x007fffff)), a.word(0x3f400000)));
  const m = a.sub(mantissa, a.real(1));
  // Chebyshev fit of (ln(1+m) − m + m²/2)/m³ on [−0.25, 0.5] within 3e-8, highest power first.
  const tail = [0.04396986, -0.09674411, 0.11700807, -0.12628507, 0.14265383, -0.16661108, 0.20000225, -0.25000054, 0.33333333]
    .reduce<T | null>((p, c) => (p === null ? a.real(c) : a.add(a.mul(p, m), a.real(c))), null) as T;
  const square = a.mul(m, m);
  const rest = a.add(a.mul(square, a.mul(m, tail)), a.mul(square, a.real(-0.5)));
  const low = a.mul(exponent, a.real(-2.1219444e-4));
  return a.add(a.mul(exponent, a.real(0.693359375)), a.add(m, a.add(rest, low)));
}

/** cos 2πv for v in [0, 1): folded to the first quarter, where a polynomial in the square holds. */
function cosOfTurns<T>(a: Arithmetic<T>, v: T): T {
  const half = a.whereLess(v, a.real(0.5), v, a.sub(a.real(1), v));
  const inFirst = a.whereLess(half, a.real(0.25), half, a.sub(a.real(0.5), half));
  const square = a.mul(inFirst, inFirst);
  // Taylor coefficients of cos 2πx in x², highest power first; the first term left out is below 1e-8 at x = 1/4.
  const value = [7.903536371318467, -26.42625678337438, 60.24464137187666, -85.45681720669373, 64.9393940226683, -19.739208802178716, 1]
    .reduce<T | null>((p, c) => (p === null ? a.real(c) : a.add(a.mul(p, square), a.real(c))), null) as T;
  return a.whereLess(half, a.real(0.25), value, a.sub(a.real(0), value));
}

/** A stream's name as a word of the key: FNV-1a. */
export function streamWord(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The words that element `index` of a draw sees: key = (seed xor stream, step), counter = (index, call). `stream` is the
 *  word of the stream's name, `call` counts the draws of one entry. */
export const drawWords = <T>(a: Arithmetic<T>, [seed, step]: readonly [T, T], [stream, call]: readonly [T, T], index: T): [T, T] =>
  threefry(a, [a.xor(seed, stream), step], [index, call]);

const f = Math.fround;
const word = new Uint32Array(1);
const real = new Float32Array(word.buffer);
function bitsOf(x: number): number {
  real[0] = x;
  return word[0] as number;
}
function realOf(x: number): number {
  word[0] = x;
  return real[0] as number;
}

/** On JavaScript numbers. */
export const numberArithmetic: Arithmetic<number> = {
  word: x => x >>> 0, real: f,
  addWord: (a, b) => (a + b) >>> 0, xor: (a, b) => (a ^ b) >>> 0, and: (a, b) => (a & b) >>> 0, or: (a, b) => (a | b) >>> 0,
  shiftLeft: (a, by) => (a << by) >>> 0, shiftRight: (a, by) => a >>> by,
  toReal: f,
  bitsOf, realOf,
  add: (a, b) => f(a + b), sub: (a, b) => f(a - b), mul: (a, b) => f(a * b), sqrt: a => f(Math.sqrt(a)),
  whereLess: (a, b, yes, no) => (a < b ? yes : no),
};
