// Reads JSON that nobody vouches for from its bytes, value by value: nothing is kept of what was passed, so that a header of
// many megabytes takes no more memory than its file, and nesting is bounded, so that none is too deep for the stack.

/** Says at which byte the text stops being JSON. */
export class JsonSyntaxError extends Error {
  constructor(at: number, expected: string) {
    super(`byte ${at}: expected ${expected}`);
    this.name = "JsonSyntaxError";
  }
}

/** Deeper than any header that we read. */
const DEPTH_LIMIT = 32;

const [TAB, LINE, RETURN, SPACE, QUOTE, BACKSLASH, COMMA, COLON, MINUS, ZERO, NINE] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x5c, 0x2c, 0x3a, 0x2d, 0x30, 0x39];
const [PLUS, POINT, LARGE_E, SMALL_E, SMALL_U] = [0x2b, 0x2e, 0x45, 0x65, 0x75];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];
const ESCAPED = new Set([..."\"\\/bfnrt"].map(c => c.charCodeAt(0)));
const WORDS = ["true", "false", "null"].map(word => new TextEncoder().encode(word));
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where a text lies, without its quotes. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly isEscaped: boolean;
  readonly isAscii: boolean;
}

export class JsonReader {
  readonly #bytes: Uint8Array;
  #at: number;
  #depth = 0;

  constructor(bytes: Uint8Array, start = 0) {
    this.#bytes = bytes;
    this.#at = start;
  }

  /** Of the next value. */
  get position(): number {
    this.#space();
    return this.#at;
  }
  isText(): boolean {
    return this.#bytes[this.position] === QUOTE;
  }
  isList(): boolean {
    return this.#bytes[this.position] === LIST;
  }
  isNumber(): boolean {
    return this.#bytes[this.position] === MINUS || this.#isDigit();
  }
  isObject(): boolean {
    return this.#bytes[this.position] === OBJECT;
  }

  /** `member` reads or skips the value of each. Texts longer than `longest` bytes are no keys. */
  object(member: (key: string) => void, longest = Infinity): void {
    this.#nested(OBJECT, OBJECT_END, () => {
      const key = this.text(longest);
      this.#expect(COLON, "a colon");
      member(key);
    });
  }
  /** `item` reads or skips each. */
  list(item: () => void): void {
    this.#nested(LIST, LIST_END, item);
  }
  text(longest = Infinity): string {
    const { from, to, isEscaped, isAscii } = this.#stretch();
    if (to - from > longest) throw new JsonSyntaxError(from, `a text of at most ${longest} bytes`);
    const stretch = this.#bytes.subarray(from, to);
    // A decoder costs more than a short text.
    const text = isAscii && stretch.length <= 32 ? Reflect.apply(String.fromCharCode, null, stretch) as string : utf8.decode(stretch);
    return isEscaped ? JSON.parse(`"${text}"`) as string : text;
  }
  /** Null, with the number passed, for one that is no integer from 0 to 2^53 - 1. */
  natural(): number | null {
    const from = this.position;
    this.#number();
    let value = 0;
    for (let at = from; at < this.#at; at++) {
      const byte = this.#bytes[at]!;
      if (byte < ZERO || byte > NINE) return null;
      value = 10 * value + (byte - ZERO);
    }
    return Number.isSafeInteger(value) ? value : null;
  }
  /** Past a value of any kind, which is checked all the same. */
  skip(): void {
    this.#space();
    const first = this.#bytes[this.#at];
    if (first === OBJECT) this.#nested(OBJECT, OBJECT_END, () => this.#member());
    else if (first === LIST) this.#nested(LIST, LIST_END, () => this.skip());
    else if (first === QUOTE) this.#stretch();
    else if (this.isNumber()) this.#number();
    else this.#word();
  }
  /** Refuses what follows, unless it is space. */
  end(): void {
    this.#space();
    if (this.#at < this.#bytes.length) throw new JsonSyntaxError(this.#at, "the end");
  }

  #member(): void {
    this.#stretch();
    this.#expect(COLON, "a colon");
    this.skip();
  }
  #nested(open: number, close: number, each: () => void): void {
    this.#expect(open, open === OBJECT ? "an object" : "a list");
    if (++this.#depth > DEPTH_LIMIT) throw new JsonSyntaxError(this.#at - 1, `values nested at most ${DEPTH_LIMIT} deep`);
    this.#space();
    if (this.#bytes[this.#at] === close) this.#at++;
    else {
      for (;;) {
        each();
        this.#space();
        if (this.#bytes[this.#at] === close) break;
        this.#expect(COMMA, "a comma");
      }
      this.#at++;
    }
    this.#depth--;
  }
  #expect(byte: number, what: string): void {
    this.#space();
    if (this.#bytes[this.#at] !== byte) throw new JsonSyntaxError(this.#at, what);
    this.#at++;
  }
  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== SPACE && byte !== LINE && byte !== RETURN && byte !== TAB) return;
      this.#at++;
    }
  }
  #isDigit(): boolean {
    const byte = this.#bytes[this.#at];
    return byte !== undefined && byte >= ZERO && byte <= NINE;
  }
  #digits(): void {
    if (!this.#isDigit()) throw new JsonSyntaxError(this.#at, "a digit");
    while (this.#isDigit()) this.#at++;
  }
  #number(): void {
    if (this.#bytes[this.#at] === MINUS) this.#at++;
    if (this.#bytes[this.#at] === ZERO) this.#at++;
    else this.#digits();
    if (this.#bytes[this.#at] === POINT) {
      this.#at++;
      this.#digits();
    }
    if (this.#bytes[this.#at] === SMALL_E || this.#bytes[this.#at] === LARGE_E) {
      this.#at++;
      if (this.#bytes[this.#at] === PLUS || this.#bytes[this.#at] === MINUS) this.#at++;
      this.#digits();
    }
  }
  #word(): void {
    const word = WORDS.find(w => w.every((byte, i) => this.#bytes[this.#at + i] === byte));
    if (!word) throw new JsonSyntaxError(this.#at, "a value");
    this.#at += word.length;
  }
  /** Passes a text and checks all of it. */
  #stretch(): Stretch {
    this.#expect(QUOTE, "a text");
    const from = this.#at;
    let isEscaped = false;
    let isAscii = true;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined || byte < SPACE) throw new JsonSyntaxError(this.#at, "the end of a text");
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        isEscaped = true;
        this.#escape();
      } else {
        isAscii &&= byte < 0x80;
        this.#at++;
      }
    }
    const to = this.#at++;
    if (!isAscii && !isUtf8(this.#bytes, from, to)) throw new JsonSyntaxError(from, "a text in UTF-8");
    return { from, to, isEscaped, isAscii };
  }
  /** Halves of surrogate pairs stand together. */
  #escape(): void {
    const kind = this.#bytes[this.#at + 1] ?? 0;
    if (kind !== SMALL_U) {
      if (!ESCAPED.has(kind)) throw new JsonSyntaxError(this.#at, "an escape of JSON");
      this.#at += 2;
      return;
    }
    const unit = this.#unit(this.#at);
    this.#at += 6;
    if (unit < 0xd800 || unit > 0xdfff) return;
    const second = unit < 0xdc00 && this.#bytes[this.#at] === BACKSLASH && this.#bytes[this.#at + 1] === SMALL_U ? this.#unit(this.#at) : 0;
    if (second < 0xdc00 || second > 0xdfff) throw new JsonSyntaxError(this.#at, "the other half of a surrogate pair");
    this.#at += 6;
  }
  /** Of `\uXXXX` at the place. */
  #unit(at: number): number {
    let value = 0;
    for (let i = 2; i < 6; i++) {
      const digit = Number.parseInt(String.fromCharCode(this.#bytes[at + i] ?? 0), 16);
      if (Number.isNaN(digit)) throw new JsonSyntaxError(at, "an escape of JSON");
      value = 16 * value + digit;
    }
    return value;
  }
}

/** Decoded in pieces, so that a long text takes no memory. */
function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  const PIECE = 65536;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    for (let at = from; at < to; at += PIECE) decoder.decode(bytes.subarray(at, Math.min(at + PIECE, to)), { stream: true });
    decoder.decode();
    return true;
  } catch {
    return false;
  }
}
