// Sizes as C++ integers in the names that are in scope: an int where everything in it is proved to fit, an int64_t where it
// may not. Divisors are positive; division and remainder round down, and are shifts and masks for powers of two.
import { InternalError } from "../../base/diagnostics.ts";
import type { Atom, Range, Size, SizeExpr, Term } from "../../base/sizes.ts";
import { SizeNames } from "../names.ts";

export type Width = 32 | 64;
/** A variable of so many bits, and a power of two that divides it. */
export interface Variable {
  readonly text: string;
  readonly bits: Width;
  readonly multipleOf: number;
}

interface Text {
  readonly text: string;
  readonly bits: Width;
  /** Whether it binds as tightly as a name. */
  readonly tight: boolean;
}

export const I32: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };
export const fits = ({ min, max }: Range): boolean => min >= I32.min && max <= I32.max;
const isPowerOfTwo = (x: Size): x is number => typeof x === "number" && x > 0 && Number.isInteger(Math.log2(x));
/** No more is ever asked for: 16 bytes of nibbles. */
const MOST_MULTIPLE = 32;
/** The largest power of two in it. */
export const powerOfTwoIn = (x: number): number => {
  let power = 1;
  while (power < MOST_MULTIPLE && x % (2 * power) === 0) power *= 2;
  return power;
};
const tight = ({ text, tight }: Text): string => (tight ? text : `(${text})`);
const wide = (t: Text): Text => (t.bits === 64 ? t : { text: `(int64_t)${tight(t)}`, bits: 64, tight: true });
const times = (a: Range, b: Range): Range => {
  const ends = [a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max];
  return { min: Math.min(...ends), max: Math.max(...ends) };
};

export class Sizes extends SizeNames<Variable> {
  override range(s: Size): Range {
    return super.range(this.resolve(s));
  }

  /** A power of two that divides the size, whatever its names stand for. */
  multipleOf(s: Size): number {
    const resolved = this.resolve(s);
    if (typeof resolved === "number") return resolved === 0 ? MOST_MULTIPLE : powerOfTwoIn(resolved);
    return Math.min(...resolved.terms.map(t => Math.min(MOST_MULTIPLE, t.atoms.reduce((m, a) => m * this.#multipleOfAtom(a), powerOfTwoIn(t.coefficient)))));
  }
  #multipleOfAtom(atom: Atom): number {
    if (atom.kind === "dim") {
      const known = this.meaning(atom.name);
      return known.kind === "variable" ? known.multipleOf : 1;
    }
    return atom.kind === "floordiv" ? 1 : Math.min(this.multipleOf(atom.a), this.multipleOf(atom.b));
  }

  /** How many bits the text of the size has. */
  width(s: Size): Width {
    return this.#text(s).bits;
  }
  /** An integer of either width, where any expression may stand. */
  open(s: Size): string {
    return this.#text(s).text;
  }
  /** The same, binding as tightly as a name. */
  text(s: Size): string {
    return tight(this.#text(s));
  }
  /** An int64_t that binds as tightly as a name. */
  wide(s: Size): string {
    return tight(wide(this.#text(s)));
  }
  /** An int that binds as tightly as a name: the low bits. */
  int(s: Size): string {
    const t = this.#text(s);
    return t.bits === 32 ? tight(t) : `(int)${tight(t)}`;
  }

  #text(s: Size): Text {
    const resolved = this.resolve(s);
    if (typeof resolved !== "number") return this.#sum(resolved);
    const bits = fits({ min: resolved, max: resolved }) ? 32 : 64;
    return { text: `${resolved}`, bits, tight: resolved >= 0 };
  }

  #sum({ terms }: SizeExpr): Text {
    const parts = terms.map(t => this.#product(t));
    const range = { min: 0, max: 0 };
    let bits: Width = parts.some(p => p.bits === 64) ? 64 : 32;
    for (const t of terms) {
      const own = this.range({ terms: [t], key: t.key });
      range.min += own.min;
      range.max += own.max;
      if (!fits(range)) bits = 64;
    }
    const text = parts.map((part, i) => {
      const product = i === 0 && bits === 64 ? wide(part) : part;
      // A product binds tighter than a sum.
      return i === 0 ? (terms[i]!.coefficient < 0 ? `-${product.text}` : product.text) : `${terms[i]!.coefficient < 0 ? " - " : " + "}${product.text}`;
    }).join("");
    return { text, bits, tight: terms.length === 1 && terms[0]!.coefficient > 0 && parts[0]!.tight };
  }

  /** Of the coefficient's size; the factors multiply from the left, so that a wide one comes early. */
  #product({ coefficient, atoms }: Term): Text {
    const size = Math.abs(coefficient);
    const factors = atoms.map(a => ({ ...this.#atom(a), range: this.range({ terms: [{ coefficient: 1, atoms: [a], key: a.key }], key: a.key }) }));
    factors.sort((a, b) => b.bits - a.bits);
    const constant = size === 1 && factors.length > 0 ? [] : [{ text: `${size}`, bits: fits({ min: size, max: size }) ? 32 as const : 64 as const, tight: true, range: { min: size, max: size } }];
    const all = [...constant, ...factors];
    let product: Range = { min: 1, max: 1 };
    let bits: Width = all.some(f => f.bits === 64) ? 64 : 32;
    for (const f of all) {
      product = times(product, f.range);
      if (!fits(product)) bits = 64;
    }
    if (all.length === 1) return bits === 64 ? wide(all[0]!) : all[0]!;
    const isWide = all[0]!.bits === 64 || all[1]!.bits === 64;
    const texts = all.map((f, i) => tight(bits === 64 && !isWide && i === 0 ? wide(f) : f));
    return { text: texts.join(" * "), bits, tight: false };
  }

  #atom(atom: Atom): Text {
    if (atom.kind === "dim") {
      const known = this.meaning(atom.name);
      if (known.kind !== "variable") throw new InternalError(`${atom.name} is no variable`);
      return { text: known.text, bits: known.bits, tight: true };
    }
    const narrowed = (t: Text): Text => (t.bits === 64 && fits(this.range({ terms: [{ coefficient: 1, atoms: [atom], key: atom.key }], key: atom.key })) ? { text: `(int)${tight(t)}`, bits: 32, tight: true } : t);
    const divisor = this.resolve(atom.b);
    let [a, b] = [this.#text(atom.a), this.#text(atom.b)];
    const bits: Width = a.bits === 64 || b.bits === 64 ? 64 : 32;
    if (atom.kind !== "min" && atom.kind !== "max" && isPowerOfTwo(divisor) && b.bits === 32) {
      return narrowed({ text: atom.kind === "floordiv" ? `(${tight(a)} >> ${Math.log2(divisor)})` : `(${tight(a)} & ${divisor - 1})`, bits: a.bits, tight: true });
    }
    if (bits === 64) [a, b] = [wide(a), wide(b)];
    if ((atom.kind === "floordiv" || atom.kind === "mod") && this.range(atom.a).min >= 0) {
      return narrowed({ text: `(${tight(a)} ${atom.kind === "mod" ? "%" : "/"} ${tight(b)})`, bits, tight: true });
    }
    return narrowed({ text: `${atom.kind}_size(${a.text}, ${b.text})`, bits, tight: true });
  }
}
