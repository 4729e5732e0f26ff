// Sizes as integers of 32 bits where they fit, and of 64 where they may not. Each is computed once in the block that needs
// it first, and known in the blocks within. Divisors are positive; division and remainder round down.
import { InternalError } from "../../base/diagnostics.ts";
import type { Atom, Range, Size, SizeExpr, Term } from "../../base/sizes.ts";
import { SizeNames } from "../names.ts";
import { type Assembler, type Id, OP } from "./assembler.ts";

export type Width = 32 | 64;
/** An integer of so many bits. */
export interface Value {
  readonly id: Id;
  readonly bits: Width;
}
const fits = ({ min, max }: Range): boolean => min >= -(2 ** 31) && max < 2 ** 31;

export class Sizes extends SizeNames<Value> {
  readonly #a: Assembler;
  /** Of the blocks around, the innermost last: sizes by width and text. */
  readonly #known: Map<string, Id>[] = [new Map()];

  constructor(assembler: Assembler) {
    super();
    this.#a = assembler;
  }

  /** What is computed within is not known after it. */
  block(write: () => void): void {
    this.#known.push(new Map());
    write();
    this.#known.pop();
  }

  /** The width that holds every value of the size. */
  width(s: Size): Width {
    return fits(this.range(this.resolve(s))) ? 32 : 64;
  }

  /** The value in so many bits; in 32, its low ones. */
  value(s: Size, bits: Width): Id {
    return this.#value(this.resolve(s), bits);
  }
  #value(s: Size, bits: Width): Id {
    if (typeof s === "number") return this.#a.constantInt(bits, bits === 32 ? s | 0 : s);
    const key = `${bits} ${s.key}`;
    for (const level of this.#known) {
      const known = level.get(key);
      if (known !== undefined) return known;
    }
    const value = this.#sum(s, bits);
    this.#known.at(-1)!.set(key, value);
    return value;
  }

  #sum({ terms }: SizeExpr, bits: Width): Id {
    const type = this.#a.int(bits);
    return terms.map(t => ({ isMinus: t.coefficient < 0, id: this.#product(t, bits) }))
      .reduce<Id | null>((sum, { id, isMinus }) => (sum === null ? (isMinus ? this.#a.value(OP.SNegate, type, id) : id) : this.#a.value(isMinus ? OP.ISub : OP.IAdd, type, sum, id)), null)!;
  }
  #product({ coefficient, atoms }: Term, bits: Width): Id {
    const factor = Math.abs(coefficient);
    const factors = [...(factor === 1 && atoms.length > 0 ? [] : [this.#a.constantInt(bits, bits === 32 ? factor | 0 : factor)]), ...atoms.map(atom => this.#atom(atom, bits))];
    return factors.reduce((x, y) => this.#a.value(OP.IMul, this.#a.int(bits), x, y));
  }

  #atom(atom: Atom, bits: Width): Id {
    if (atom.kind === "dim") {
      const known = this.meaning(atom.name);
      if (known.kind === "size") throw new InternalError(`${atom.name} is no value`);
      if (known.bits === bits) return known.id;
      return this.#a.value(bits === 64 ? OP.SConvert : OP.UConvert, this.#a.int(bits), known.id);
    }
    // What it is made of must be exact.
    const [x, y] = [this.range(atom.a), this.range(atom.b)];
    const exact: Width = fits(x) && fits(y) ? bits : 64;
    const [a, b] = [this.#value(atom.a, exact), this.#value(atom.b, exact)];
    const value = this.#operation(atom.kind, exact, a, b, x, y);
    return exact === bits ? value : this.#a.value(OP.UConvert, this.#a.int(bits), value);
  }

  #operation(kind: Exclude<Atom["kind"], "dim">, bits: Width, a: Id, b: Id, x: Range, y: Range): Id {
    const m = this.#a;
    const type = m.int(bits);
    if (kind === "min" || kind === "max") return m.value(OP.Select, type, m.value(kind === "min" ? OP.SLessThan : OP.SGreaterThan, m.bool(), a, b), a, b);
    // Where a condition excludes it, a divisor may still be 0.
    const divisor = y.min >= 1 ? b : m.value(OP.Select, type, m.value(OP.SGreaterThan, m.bool(), b, m.constantInt(bits, 0)), b, m.constantInt(bits, 1));
    if (x.min >= 0) return m.value(kind === "mod" ? OP.UMod : OP.UDiv, type, a, divisor);
    // Not OpSMod: Mesa 22.3 takes it for the remainder where the divisor is a constant.
    const signed = m.value(OP.SRem, type, a, divisor);
    const isNegative = m.value(OP.SLessThan, m.bool(), signed, m.constantInt(bits, 0));
    const rest = m.value(OP.Select, type, isNegative, m.value(OP.IAdd, type, signed, divisor), signed);
    return kind === "mod" ? rest : m.value(OP.SDiv, type, m.value(OP.ISub, type, a, rest), divisor);
  }
}
