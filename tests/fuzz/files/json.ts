// JSON near the one that was written: a few of its values are replaced by extremes, by other values of the text, by what nests
// deeply or is long, and keys are taken out, doubled and invented.
import { NUMBERS, type Random } from "./random.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Longer than this only seldom: each is read twice. */
const LONG = 20_000;
const isRecord = (value: Json): value is { readonly [key: string]: Json } => typeof value === "object" && value !== null && !Array.isArray(value);
const childrenOf = (value: Json): readonly Json[] => (Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : []);

/** The value as text, a few values of it changed. */
export function mutatedJson(value: Json, random: Random): string {
  const all: Json[] = [];
  const collect = (v: Json): void => {
    all.push(v);
    childrenOf(v).forEach(collect);
  };
  collect(value);
  const wanted = new Set(Array.from({ length: 1 + random.below(3) }, () => random.below(all.length)));
  let seen = 0;
  const write = (v: Json): string => {
    const isWanted = wanted.has(seen++);
    const text = Array.isArray(v) ? list(v.map(write)) : isRecord(v) ? record(Object.entries(v).map(([k, child]) => [JSON.stringify(k), write(child)])) : JSON.stringify(v);
    return isWanted ? mutated(v, text) : text;
  };
  const list = (items: readonly string[]): string => `[${items.join(",")}]`;
  const record = (members: readonly (readonly [key: string, text: string])[]): string => `{${members.map(m => m.join(":")).join(",")}}`;
  const mutated = (v: Json, text: string): string => {
    const choice = random.below(10);
    if (choice < 2) return JSON.stringify(random.from(all.filter(other => childrenOf(other).length < 20)));
    if (choice < 4) return strange(random);
    if (typeof v === "number") return random.from(NUMBERS);
    const children = childrenOf(v).map(child => JSON.stringify(child));
    if (Array.isArray(v)) {
      const at = random.below(children.length + 1);
      switch (random.below(4)) {
        case 0: return list([...children.slice(0, at), random.from([...children, "0"]), ...children.slice(at)]);
        case 1: return list(children.toSpliced(at, 1));
        case 2: return list(children.toReversed());
        default: return list(new Array<readonly string[]>(1 + random.below(Math.min(100, 1 + LONG / (1 + text.length)))).fill(children).flat());
      }
    }
    if (isRecord(v)) {
      const members = Object.keys(v).map((k, i): [string, string] => [JSON.stringify(k), children[i]!]);
      const at = random.below(members.length + 1);
      switch (random.below(5)) {
        case 0: return record(members.toSpliced(at, 1));
        case 1: return record([...members, [random.from(["\"x\"", "\"__proto__\"", "\"constructor\"", "\"\"", "\"__metadata__\"", "\"kind\""]), strange(random)]]);
        case 2: return record([...members, ...(members.length > 0 ? [random.from(members)] : [])]);
        case 3: return record(members.map(([k, t]) => [k, random.chance(0.2) ? random.from(children) : t]));
        default: return record([...members, [`"${random.from(members)?.[0].slice(1, -1).replace(/^./, c => `\\u00${c.charCodeAt(0).toString(16)}`) ?? ""}"`, random.from([...children, "1"])]]);
      }
    }
    return strange(random);
  };
  return write(value);
}

/** Any value, or nearly one. */
function strange(random: Random): string {
  const size = random.chance(0.02) ? 100_000 : random.from([1, 5, 31, 33, 100, 499, 501, 1000]);
  switch (random.below(12)) {
    case 0: return "null";
    case 1: return random.from(["true", "false", "tru", "nul", ""]);
    case 2: return random.from(NUMBERS);
    case 3: return random.from(["[]", "{}", "\"\"", "[[]]", "{\"a\":{}}", "[,]", "[1,]", "{,}"]);
    case 4: return "[".repeat(size) + "]".repeat(size);
    case 5: return "[".repeat(size);
    case 6: return "{\"a\":".repeat(size);
    case 7: return `"${"x".repeat(size)}"`;
    case 8: return random.from(["\"\\ud800\"", "\"\\ude00\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\u0000\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "\"\xff\"", "\"\xc3\xa9\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"open"]);
    case 9: return `[${new Array(size).fill(random.from(["0", "1", "{}", "[]", "\"\"", "-1"])).join(",")}]`;
    case 10: return `"${"\\u00e9".repeat(Math.min(size, 5000))}"`;
    default: return `{${Array.from({ length: Math.min(size, 5000) }, (_, i) => `"k${i}":0`).join(",")}}`;
  }
}
