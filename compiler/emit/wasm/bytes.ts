// Bytes of the WebAssembly binary format while they are written.

export class Bytes {
  #data = new Uint8Array(1 << 12);
  #length = 0;

  /** What was written so far; valid until more is. */
  get written(): Uint8Array {
    return this.#data.subarray(0, this.#length);
  }

  byte(x: number): void {
    if (this.#length === this.#data.length) this.#grow(1);
    this.#data[this.#length++] = x;
  }

  bytes(list: ArrayLike<number>): void {
    const { length } = list;
    if (this.#length + length > this.#data.length) this.#grow(length);
    // Of the few bytes of an instruction, quicker than set.
    if (length < 32) for (let i = 0; i < length; i++) this.#data[this.#length + i] = list[i]!;
    else this.#data.set(list, this.#length);
    this.#length += length;
  }

  /** An unsigned number of up to 32 bits. */
  unsigned(x: number): void {
    let rest = x >>> 0;
    for (; rest >= 0x80; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }

  text(s: string): void {
    const encoded = new TextEncoder().encode(s);
    this.unsigned(encoded.length);
    this.bytes(encoded);
  }

  /** A list: its length, then each item. */
  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.unsigned(items.length);
    items.forEach(write);
  }

  /** What is written within, after its size. */
  sized(write: (out: Bytes) => void): void {
    const inner = new Bytes();
    write(inner);
    this.unsigned(inner.#length);
    this.bytes(inner.written);
  }

  #grow(by: number): void {
    const grown = new Uint8Array(Math.max(2 * this.#data.length, this.#length + by));
    grown.set(this.written);
    this.#data = grown;
  }
}

/** The LEB128 bytes of a signed number of 32 bits. */
export function signedBytes(x: number): number[] {
  const bytes: number[] = [];
  for (let rest = x | 0; ; rest >>= 7) {
    const low = rest & 0x7f;
    const sign = rest >> 6;
    if (sign === 0 || sign === -1) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

/** The LEB128 bytes of an unsigned number of 32 bits. */
export function unsignedBytes(x: number): number[] {
  const bytes: number[] = [];
  let rest = x >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}
