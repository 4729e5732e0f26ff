// Sizes as i32 arithmetic. Each distinct size is computed once, at the outermost level where all of its symbols are known.
// Divisors are positive; division and remainder round down, and become shifts and masks for powers of two.
import { addSize, type Atom, atomSize, floorDivSize, productOf, type Size, type SizeExpr, type Term } from "../../base/sizes.ts";
import { InternalError } from "../../base/diagnostics.ts";
import { SizeNames } from "../names.ts";
import type { Code } from "./code.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

/** A local that is set at a level. */
export interface Local {
  readonly local: number;
  readonly level: number;
}

export const sumOf = (terms: readonly Term[]): Size => terms.reduce<Size>((sum, t) => addSize(sum, productOf(t.coefficient, t.atoms)), 0);

const powerOfTwo = (x: Size): number | undefined => (typeof x === "number" && x > 0 && (x & (x - 1)) === 0 ? Math.log2(x) : undefined);

export class Sizes extends SizeNames<Local> {
  readonly #code: Code;

  constructor(code: Code) {
    super();
    this.#code = code;
  }

  /** The innermost level that a resolved size's symbols belong to. */
  level(resolved: Size): number {
    return typeof resolved === "number" ? 0 : resolved.terms.reduce((level, t) => Math.max(level, this.#levelOfTerm(t)), 0);
  }
  #levelOfTerm(t: Term): number {
    return t.atoms.reduce((level, atom) => Math.max(level, this.#levelOfAtom(atom)), 0);
  }
  #levelOfAtom(atom: Atom): number {
    if (atom.kind !== "dim") return Math.max(this.level(atom.a), this.level(atom.b));
    const known = this.meaning(atom.name);
    return known.kind === "variable" ? known.level : this.level(known.size);
  }

  value(s: Size): Ref {
    return this.resolvedValue(this.resolve(s));
  }

  resolvedValue(s: Size): Ref {
    const code = this.#code;
    if (typeof s === "number") return m.i32.const(s | 0);
    const [term] = s.terms;
    const atom = term!.atoms[0];
    if (s.terms.length === 1 && term!.coefficient === 1 && term!.atoms.length === 1 && atom?.kind === "dim") {
      const known = this.meaning(atom.name);
      if (known.kind === "variable") return code.get(known.local);
    }
    const number = this.level(s);
    const level = code.levels[number]!;
    const known = level.known.get(s.key);
    if (known !== undefined) return code.get(known);
    const local = code.fresh("i32");
    level.owned.push(local);
    // Its parts are written first, into the same place or further out.
    const value = this.#sum(s, number);
    code.within(level.start, () => code.set(local, value));
    level.known.set(s.key, local);
    return code.get(local);
  }

  #sum(s: SizeExpr, level: number): Ref {
    const lone = s.terms.length === 1 ? s.terms[0]! : undefined;
    if (lone && lone.coefficient === 1 && lone.atoms.length === 1 && lone.atoms[0]!.kind !== "dim") return this.#opaque(lone.atoms[0]!);
    const outer = s.terms.filter(t => this.#levelOfTerm(t) < level);
    const here = outer.length > 0 ? s.terms.filter(t => !outer.includes(t)) : s.terms;
    let sum = outer.length > 0 ? this.resolvedValue(sumOf(outer)) : undefined;
    for (const t of here) {
      if (t.atoms.length === 0) {
        sum = sum === undefined ? m.i32.const(t.coefficient | 0) : m.i32.add(sum, m.i32.const(t.coefficient | 0));
        continue;
      }
      const negative = t.coefficient < 0 && sum !== undefined;
      const product = this.#product(t, negative ? -t.coefficient : t.coefficient);
      sum = sum === undefined ? product : negative ? m.i32.sub(sum, product) : m.i32.add(sum, product);
    }
    return sum!;
  }

  #product(t: Term, coefficient: number): Ref {
    const product = t.atoms.map(atom => this.resolvedValue(atomSize(atom))).reduce((a, b) => m.i32.mul(a, b));
    const shift = powerOfTwo(coefficient);
    if (shift === 0) return product;
    return shift === undefined ? m.i32.mul(product, m.i32.const(coefficient | 0)) : m.i32.shl(product, m.i32.const(shift));
  }

  #opaque(atom: Atom): Ref {
    if (atom.kind === "dim") throw new InternalError(`${atom.name} is no operation`);
    const a = (): Ref => this.resolvedValue(atom.a);
    const b = (): Ref => this.resolvedValue(atom.b);
    const shift = powerOfTwo(atom.b);
    const isNonNegative = this.range(atom.a).min >= 0;
    // Hoisted out of its condition, a division may meet a divisor that the condition excludes.
    const divisor = (): Ref => (this.range(atom.b).min >= 1 ? b() : m.i32.or(b(), m.i32.eqz(b())));
    switch (atom.kind) {
      case "min": return m.select(m.i32.lt_s(a(), b()), a(), b());
      case "max": return m.select(m.i32.gt_s(a(), b()), a(), b());
      case "floordiv":
        if (shift !== undefined) return m.i32.shr_s(a(), m.i32.const(shift));
        if (isNonNegative) return m.i32.div_u(a(), divisor());
        return m.i32.div_s(m.i32.sub(a(), m.i32.and(m.i32.sub(divisor(), m.i32.const(1)), m.i32.shr_s(a(), m.i32.const(31)))), divisor());
      case "mod":
        if (shift !== undefined) return m.i32.and(a(), m.i32.const(2 ** shift - 1));
        if (isNonNegative) return m.i32.rem_u(a(), divisor());
        return m.i32.sub(a(), m.i32.mul(this.resolvedValue(floorDivSize(atom.a, atom.b)), b()));
    }
  }
}
