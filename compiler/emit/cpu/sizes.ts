// Sizes as 64-bit C arithmetic in the names that are in scope. Unrolled variables are constants by then. Divisors are
// positive; division and remainder round down, and are shifts and masks for powers of two.
import type { Atom, Range, Size, SizeExpr, Term } from "../../base/sizes.ts";
import { InternalError } from "../../base/diagnostics.ts";
import { SizeNames } from "../names.ts";

/** A variable of type int64_t, or of type int32_t. */
export interface Variable {
  readonly text: string;
  readonly bits: 32 | 64;
  readonly even: boolean;
}

const isPowerOfTwo = (x: Size): x is number => typeof x === "number" && x > 0 && Number.isInteger(Math.log2(x));
const fits32 = (r: Range): boolean => r.min >= 0 && r.max < 2 ** 32;

export class Sizes extends SizeNames<Variable> {
  override range(s: Size): Range {
    return super.range(this.resolve(s));
  }

  /** Whether the size is a multiple of two, whatever its names stand for. */
  isEven(s: Size): boolean {
    const resolved = this.resolve(s);
    if (typeof resolved === "number") return resolved % 2 === 0;
    return resolved.terms.every(t => t.coefficient % 2 === 0 || t.atoms.some(a => {
      const known = a.kind === "dim" ? this.meaning(a.name) : undefined;
      return known?.kind === "variable" && known.even;
    }));
  }

  /** An int64_t expression that binds as tightly as a name. */
  text(s: Size): string {
    const resolved = this.resolve(s);
    if (typeof resolved === "number") return resolved < 0 ? `(${resolved})` : `${resolved}`;
    const text = this.#sum(resolved);
    return /^\w+$|^\w+\([^()]*\)$/.test(text) ? text : `(${text})`;
  }
  /** The same, for a place where any expression may stand. */
  open(s: Size): string {
    const resolved = this.resolve(s);
    return typeof resolved === "number" ? `${resolved}` : this.#sum(resolved);
  }

  #sum({ terms }: SizeExpr): string {
    return terms.map((t, i) => {
      const text = this.#product(t, Math.abs(t.coefficient));
      return i === 0 ? (t.coefficient < 0 ? `-${text}` : text) : t.coefficient < 0 ? ` - ${text}` : ` + ${text}`;
    }).join("");
  }
  #product(t: Term, size: number): string {
    const factors = t.atoms.map(a => this.#atom(a));
    return [...(size === 1 && factors.length > 0 ? [] : [`${size}`]), ...factors].join(" * ");
  }

  #atom(atom: Atom): string {
    if (atom.kind === "dim") {
      const known = this.meaning(atom.name);
      if (known.kind === "size") throw new InternalError(`${atom.name} is no variable`);
      return known.bits === 64 ? known.text : `(int64_t)${known.text}`;
    }
    const [a, b] = [this.text(atom.a), this.text(atom.b)];
    const divisor = this.resolve(atom.b);
    const isNarrow = fits32(this.range(atom.a)) && fits32(this.range(atom.b));
    const isNonNegative = this.range(atom.a).min >= 0;
    switch (atom.kind) {
      case "min": case "max": return `${atom.kind}_size(${this.open(atom.a)}, ${this.open(atom.b)})`;
      case "floordiv":
        if (isPowerOfTwo(divisor)) return `(${a} >> ${Math.log2(divisor)})`;
        if (isNarrow) return `(int64_t)((uint32_t)${a} / (uint32_t)${b})`;
        return isNonNegative ? `(${a} / ${b})` : `floordiv_size(${this.open(atom.a)}, ${this.open(atom.b)})`;
      case "mod":
        if (isPowerOfTwo(divisor)) return `(${a} & ${divisor - 1})`;
        if (isNarrow) return `(int64_t)((uint32_t)${a} % (uint32_t)${b})`;
        return isNonNegative ? `(${a} % ${b})` : `mod_size(${this.open(atom.a)}, ${this.open(atom.b)})`;
    }
  }
}
