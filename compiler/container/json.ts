// Reading JSON that nobody vouches for: small decoders that return a typed value or refuse, naming the place. Sizes travel
// as sums of products and are rebuilt in canonical form; numbers that JSON lacks (NaN, infinities, -0) travel by name.
import { addSize, type Atom, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size } from "../base/sizes.ts";

/** Refuses by throwing JsonError. `at` is the path so far: `schedules[2].steps[0].kernel`. */
export type Decoder<T> = (value: unknown, at: string) => T;

export class JsonError extends Error {
  constructor(at: string, expected: string) {
    super(`${at}: expected ${expected}`);
    this.name = "JsonError";
  }
}

const NAMED_NUMBERS = { nan: Number.NaN, inf: Infinity, "-inf": -Infinity, "-0": -0 } as const;

// Plain data → JSON

/** Plain data as JSON can hold it. Keys whose value is undefined are left out. */
export function toJson(value: unknown): unknown {
  if (typeof value === "number") {
    if (Number.isFinite(value) && !Object.is(value, -0)) return value;
    return { number: Object.entries(NAMED_NUMBERS).find(([, special]) => Object.is(special, value))![0] };
  }
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  if ("terms" in value && "key" in value) return sizeToJson(value as Exclude<Size, number>);
  const record: Record<string, unknown> = {};
  for (const [k, v] of Object.entries(value)) if (v !== undefined) record[k] = toJson(v);
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
  const n = integer(value, at);
  if (n < 0 || n >= limit) throw new JsonError(at, `an integer from 0 to ${limit - 1}`);
  return n;
};
export const count: Decoder<number> = index(2 ** 53);

export const oneOf = <const T extends string | number>(...allowed: readonly T[]): Decoder<T> => (value, at) => {
  const found = allowed.find(a => a === value);
  if (found === undefined) throw new JsonError(at, `one of ${allowed.join(", ")}`);
  return found;
};
export const nullable = <T>(decode: Decoder<T>): Decoder<T | null> => (value, at) => (value === null ? null : decode(value, at));

export const list = <T>(decode: Decoder<T>): Decoder<T[]> => (value, at) => {
  if (!Array.isArray(value)) throw new JsonError(at, "a list");
  return value.map((item, i) => decode(item, `${at}[${i}]`));
};
export const pair = <T>(decode: Decoder<T>): Decoder<readonly [T, T]> => (value, at) => {
  const items = list(decode)(value, at);
  if (items.length !== 2) throw new JsonError(at, "two items");
  return [items[0]!, items[1]!];
};

/** A field that may be missing. */
const OPTIONAL = Symbol("optional");
type OptionalDecoder<T> = Decoder<T | undefined> & { readonly [OPTIONAL]: true };
export const optional = <T>(decode: Decoder<T>): OptionalDecoder<T> =>
  Object.assign((value: unknown, at: string) => (value === undefined ? undefined : decode(value, at)), { [OPTIONAL]: true as const });

export type Fields<T> = { readonly [K in keyof T]-?: Decoder<T[K]> };

/** Exactly these fields. */
export const record = <T>(fields: Fields<T>): Decoder<T> => {
  const entries = Object.entries<Decoder<unknown>>(fields as Record<string, Decoder<unknown>>);
  const names = new Set(entries.map(([name]) => name));
  return (value, at) => {
    if (!isRecord(value)) throw new JsonError(at, "an object");
    const stranger = Object.keys(value).find(name => !names.has(name));
    if (stranger !== undefined) throw new JsonError(at, `no field ${JSON.stringify(stranger)}`);
    const result: Record<string, unknown> = {};
    for (const [name, decode] of entries) {
      if (!Object.hasOwn(value, name)) {
        if (!(OPTIONAL in decode)) throw new JsonError(at, `a field ${JSON.stringify(name)}`);
      } else result[name] = decode(value[name], `${at}.${name}`);
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
  return (value, at) => {
    const decode = isRecord(value) && typeof value.kind === "string" ? decoders.get(value.kind) : undefined;
    if (!decode) throw new JsonError(`${at}.kind`, `one of ${[...decoders.keys()].join(", ")}`);
    return decode(value, at);
  };
};

/** For types that contain themselves. */
export const lazy = <T>(decoder: () => Decoder<T>): Decoder<T> => (value, at) => decoder()(value, at);

const ATOM_SIZES = { floordiv: floorDivSize, mod: modSize, min: minSize, max: maxSize } as const;

export const size: Decoder<Size> = (value, at) => {
  if (typeof value === "number") return integer(value, at);
  const { sum } = record<{ sum: unknown[] }>({ sum: list(item => item) })(value, at);
  return sum.reduce<Size>((total, term, i) => {
    const [coefficient, ...atoms] = list(item => item)(term, `${at}.sum[${i}]`);
    const product = atoms.reduce<Size>((p, atom, k) => mulSize(p, atomSize(atom, `${at}.sum[${i}][${k + 1}]`)), integer(coefficient, `${at}.sum[${i}][0]`));
    return addSize(total, product);
  }, 0);
};

function atomSize(value: unknown, at: string): Size {
  if (typeof value === "string") return dimSize(value);
  const parts = list(item => item)(value, at);
  const make = ATOM_SIZES[oneOf("floordiv", "mod", "min", "max")(parts[0], `${at}[0]`)];
  return make(size(parts[1], `${at}[1]`), size(parts[2], `${at}[2]`));
}
