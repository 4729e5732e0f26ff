// What mutations draw from: numbers that follow from a seed alone, and values that readers were not made for.

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** From 0 to below 1 (mulberry32). */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** From 0 to below the limit. */
  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }
  chance(share: number): boolean {
    return this.unit() < share;
  }
  from<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** As they stand in JSON or in Python. */
export const NUMBERS = [
  "-1", "0", "1", "2", "7", "64", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296", "9007199254740991", "9007199254740992", "9223372036854775807",
  "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "0.5", "-0", "1e3", "1e400", "1e-400", `1${"0".repeat(400)}`,
];
export const extreme16 = (random: Random): number => random.from([0, 1, 2, 3, 7, 8, 255, 256, 4095, 4096, 16_383, 16_384, 32_767, 32_768, 65_535]);
export const extreme32 = (random: Random): number => random.from([0, 1, 2, 7, 8, 255, 256, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]);

/** A few bytes changed, taken out, doubled or cut off, anywhere. */
export function mutatedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let result = new Uint8Array(bytes);
  for (let i = 0; i <= random.below(4); i++) {
    const at = random.below(result.length + 1);
    const to = Math.min(result.length, at + random.below(64));
    switch (random.below(5)) {
      case 0: if (at < result.length) result[at]! ^= 1 << random.below(8); break;
      case 1: if (at < result.length) result[at] = random.below(256); break;
      case 2: result = joined(result.subarray(0, at), result.subarray(to)); break;
      case 3: result = joined(result.subarray(0, to), result.subarray(at)); break;
      default: if (random.chance(0.3)) result = result.slice(0, at);
    }
  }
  return result;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A character of the text is one byte, so that texts that are not UTF-8 can be written. */
export const bytesOfText = (text: string): Uint8Array => Uint8Array.from(text, c => c.charCodeAt(0));
