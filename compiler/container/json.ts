// Reading JSON that nobody vouches for: small decoders that return a typed value or refuse, naming the place. Sizes travel
// as sums of products and are rebuilt in canonical form; numbers that JSON lacks (NaN, infinities, -0) travel by name.
import type { Span } from "../base/span.ts";
import { addSize, type Atom, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size } from "../base/sizes.ts";

/** What the whole text refers to by number. */
export interface Shared {
  readonly spans: readonly Span[];
}
export const NOTHING_SHARED: Shared = { spans: [] };

/** Refuses by throwing JsonError. `at` is the path so far: `schedules[2].steps[0].kernel`. */
export type Decoder<T> = (value: unknown, at: string, shared: Shared) => T;

export class JsonError extends Error {
  constructor(at: string, expected: string) {
    super(`${at}: expected ${expected}`);
    this.name = "JsonError";
  }
}

const NAMED_NUMBERS = { nan: Number.NaN, inf: Infinity, "-inf": -Infinity, "-0": -0 } as const;

// Plain data → JSON

/** The lines of the user's that a text mentions: each stands in it once and has a number, whatever refers to it. */
export class SpanTable {
  readonly #numbers = new Map<string, number>();
  readonly #spans: Span[] = [];

  number(span: Span): number {
    const key = JSON.stringify([span.file, span.line, span.column]);
    const known = this.#numbers.get(key) ?? this.#spans.push(span) - 1;
    this.#numbers.set(key, known);
    return known;
  }
  /** As `spanTable` reads it. */
  toJson(): unknown {
    return this.#spans.map(({ file, line, column }) => [file, line, column]);
  }
}

const isSpan = (value: object): value is Span => "file" in value && "line" in value && "column" in value;

/** Plain data as JSON can hold it. Keys whose value is undefined are left out. With a table, spans are their numbers in it. */
export function toJson(value: unknown, spans?: SpanTable): unknown {
  if (typeof value === "number") {
    if (Number.isFinite(value) && !Object.is(value, -0)) return value;
    return { number: Object.entries(NAMED_NUMBERS).find(([, special]) => Object.is(special, value))![0] };
  }
  if (Array.isArray(value)) return value.map(item => toJson(item, spans));
  if (typeof value !== "object" || value === null) return value;
  if ("terms" in value && "key" in value) return sizeToJson(value as Exclude<Size, number>);
  if (spans && isSpan(value)) return spans.number(value);
  const record: Record<string, unknown> = {};
  for (const k of Object.keys(value)) {
    const v: unknown = value[k as keyof typeof value];
    if (v !== undefined) record[k] = toJson(v, spans);
  }
  return record;
}

const sizeToJson = (size: Size): unknown =>
  typeof size === "number" ? size : { sum: size.terms.map(t => [t.coefficient, ...t.atoms.map(atomToJson)]) };
const atomToJson = (atom: Atom): unknown =>
  atom.kind === "dim" ? atom.name : [atom.kind, sizeToJson(atom.a), sizeToJson(atom.b)];

// JSON → typed values

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

export const text: Decoder<string> = (value, at) => {
  if (typeof value !== "string") throw new JsonError(at, "text");
  return value;
};
export const flag: Decoder<boolean> = (value, at) => {
  if (typeof value !== "boolean") throw new JsonError(at, "true or false");
  return value;
};
/** Any number, the named ones included. */
export const real: Decoder<number> = (value, at) => {
  if (typeof value === "number") return value;
  if (isRecord(value) && typeof value.number === "string" && Object.hasOwn(NAMED_NUMBERS, value.number)) {
    return NAMED_NUMBERS[value.number as keyof typeof NAMED_NUMBERS];
  }
  throw new JsonError(at, "a number");
};
export const integer: Decoder<number> = (value, at) => {
  if (!Number.isSafeInteger(value)) throw new JsonError(at, "an integer");
  return value as number;
};
/** An integer of at least 0 and below the limit. */
export const index = (limit: number): Decoder<number> => (value, at) => {
  const n = integer(value, at, NOTHING_SHARED);
  if (n < 0 || n >= limit) throw new JsonError(at, `an integer from 0 to ${limit - 1}`);
  return n;
};
export const count: Decoder<number> = index(2 ** 53);

export const oneOf = <const T extends string | number>(...allowed: readonly T[]): Decoder<T> => (value, at) => {
  const found = allowed.find(a => a === value);
  if (found === undefined) throw new JsonError(at, `one of ${allowed.join(", ")}`);
  return found;
};
export const nullable = <T>(decode: Decoder<T>): Decoder<T | null> => (value, at, shared) => (value === null ? null : decode(value, at, shared));

export const list = <T>(decode: Decoder<T>): Decoder<T[]> => (value, at, shared) => {
  if (!Array.isArray(value)) throw new JsonError(at, "a list");
  return value.map((item, i) => decode(item, `${at}[${i}]`, shared));
};
export const pair = <T>(decode: Decoder<T>): Decoder<readonly [T, T]> => (value, at, shared) => {
  const items = list(decode)(value, at, shared);
  if (items.length !== 2) throw new JsonError(at, "two items");
  return [items[0]!, items[1]!];
};

/** A field that may be missing. */
const OPTIONAL = Symbol("optional");
type OptionalDecoder<T> = Decoder<T | undefined> & { readonly [OPTIONAL]: true };
export const optional = <T>(decode: Decoder<T>): OptionalDecoder<T> =>
  Object.assign((value: unknown, at: string, shared: Shared) => (value === undefined ? undefined : decode(value, at, shared)), { [OPTIONAL]: true as const });

export type Fields<T> = { readonly [K in keyof T]-?: Decoder<T[K]> };

/** Exactly these fields. */
export const record = <T>(fields: Fields<T>): Decoder<T> => {
  const entries = Object.entries<Decoder<unknown>>(fields as Record<string, Decoder<unknown>>);
  const names = new Set(entries.map(([name]) => name));
  return (value, at, shared) => {
    if (!isRecord(value)) throw new JsonError(at, "an object");
    const stranger = Object.keys(value).find(name => !names.has(name));
    if (stranger !== undefined) throw new JsonError(at, `no field ${JSON.stringify(stranger)}`);
    const result: Record<string, unknown> = {};
    for (const [name, decode] of entries) {
      if (!Object.hasOwn(value, name)) {
        if (!(OPTIONAL in decode)) throw new JsonError(at, `a field ${JSON.stringify(name)}`);
      } else result[name] = decode(value[name], `${at}.${name}`, shared);
    }
    return result as T;
  };
};

/** The member of a union whose `kind` is K. */
type Member<T, K> = T extends { readonly kind: infer U } ? (K extends U ? T : never) : never;

/** A union discriminated by `kind`: the other fields of each member. */
export const union = <T extends { readonly kind: string }>(
  members: { readonly [K in T["kind"]]: Fields<Omit<Member<T, K>, "kind">> },
): Decoder<T> => {
  const decoders = new Map(Object.entries(members).map(([kind, fields]) => [
    kind, record({ ...(fields as Fields<Record<string, unknown>>), kind: text }) as Decoder<unknown> as Decoder<T>,
  ]));
  return (value, at, shared) => {
    const decode = isRecord(value) && typeof value.kind === "string" ? decoders.get(value.kind) : undefined;
    if (!decode) throw new JsonError(`${at}.kind`, `one of ${[...decoders.keys()].join(", ")}`);
    return decode(value, at, shared);
  };
};

/** For types that contain themselves. */
export const lazy = <T>(decoder: () => Decoder<T>): Decoder<T> => (value, at, shared) => decoder()(value, at, shared);

/** What `SpanTable` writes. */
export const spanTable: Decoder<Span[]> = list((value, at) => {
  const [file, line, column, ...rest] = list(item => item)(value, at, NOTHING_SHARED);
  if (rest.length > 0) throw new JsonError(at, "a file, a line and a column");
  return { file: text(file, `${at}[0]`, NOTHING_SHARED), line: integer(line, `${at}[1]`, NOTHING_SHARED), column: integer(column, `${at}[2]`, NOTHING_SHARED) };
});
/** The number of a span in the table. */
export const sharedSpan: Decoder<Span> = (value, at, shared) => shared.spans[index(shared.spans.length)(value, at, shared)]!;

const ATOM_SIZES = { floordiv: floorDivSize, mod: modSize, min: minSize, max: maxSize } as const;

export const size: Decoder<Size> = (value, at) => {
  if (typeof value === "number") return integer(value, at, NOTHING_SHARED);
  const { sum } = record<{ sum: unknown[] }>({ sum: list(item => item) })(value, at, NOTHING_SHARED);
  return sum.reduce<Size>((total, term, i) => {
    const [coefficient, ...atoms] = list(item => item)(term, `${at}.sum[${i}]`, NOTHING_SHARED);
    const product = atoms.reduce<Size>((p, atom, k) => mulSize(p, atomSize(atom, `${at}.sum[${i}][${k + 1}]`)), integer(coefficient, `${at}.sum[${i}][0]`, NOTHING_SHARED));
    return addSize(total, product);
  }, 0);
};

function atomSize(value: unknown, at: string): Size {
  if (typeof value === "string") return dimSize(value);
  const parts = list(item => item)(value, at, NOTHING_SHARED);
  const make = ATOM_SIZES[oneOf("floordiv", "mod", "min", "max")(parts[0], `${at}[0]`, NOTHING_SHARED)];
  return make(size(parts[1], `${at}[1]`, NOTHING_SHARED), size(parts[2], `${at}[2]`, NOTHING_SHARED));
}
