// Proves that an index polynomial is never negative, given what is known of its symbols: variables between bounds that are
// themselves polynomials, names that equal a polynomial, and facts from enclosing conditions. Symbols are eliminated from
// the innermost out, each replaced by the bound that makes the polynomial smallest; floor division, remainder, minimum
// and maximum are bounded by their definitions, and a quotient that can stand alone on one side is multiplied away.
// Sound, not complete: `false` means that no proof was found.
import {
  addSize, type Atom, atomSize, type DimDecl, dimSize, dimsOf, floorDivSize, modSize, mulSize, productOf, type Range, type Size, sizeRange, sizeText, splitConstant, subSize, substituteSize,
} from "../base/sizes.ts";
import { alternatives, limitsOf, linear, type Quotient, quotientsOf } from "./terms.ts";
import { endOf } from "../base/corners.ts";

interface Symbol {
  /** Depth of definition: inner symbols may be bounded by outer ones. */
  readonly order: number;
  readonly lower: readonly Size[];
  readonly upper: readonly Size[];
  readonly multipleOf: number;
}

interface Found {
  readonly ranges: Map<string, Range>;
  /** By a resolved size's text: whether it is at least 0. */
  readonly nonNegative: Map<string, boolean>;
}

/** A proof under way: how many steps it may still take, what could not be shown on the way, and what it tries first: bounds of a quotient, of what is divided, or facts. */
interface Attempt {
  steps: number;
  /** How often there were none left: what fails by that is not known to be false. */
  gaveUp: number;
  readonly failed: Set<string>;
  readonly first: (typeof WAYS)[number];
}

const MAX_STEPS = 400;
const WAYS = ["multiplied", "inside", "facts"] as const;
const attempt = (first: Attempt["first"] = "multiplied"): Attempt => ({ steps: MAX_STEPS, gaveUp: 0, failed: new Set(), first });
const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

/** What is known at one place of a kernel. Immutable; inner scopes are made by the methods that add knowledge. */
export class Knowledge {
  readonly #symbols: ReadonlyMap<string, Symbol>;
  /** Names that stand for a polynomial in symbols. */
  readonly #equal: ReadonlyMap<string, Size>;
  /** Each is at least 0. */
  readonly #facts: readonly Size[];
  /** What the facts about one atom alone, which is no symbol, say of it: by its key. */
  readonly #limits: ReadonlyMap<string, Range>;
  /** One of the facts is false, so that nothing is ever here. */
  readonly isNever: boolean;
  /** What was found out of these symbols and facts before. */
  readonly #found: Found;
  /** Made when a proof first asks for it. */
  #digits: Knowledge | null | undefined;

  private constructor(symbols: ReadonlyMap<string, Symbol>, equal: ReadonlyMap<string, Size>, facts: readonly Size[], found: Found = { ranges: new Map(), nonNegative: new Map() }) {
    this.#symbols = symbols;
    this.#equal = equal;
    this.#facts = facts;
    this.#limits = limitsOf(facts);
    this.isNever = facts.some(f => typeof f === "number" && f < 0);
    this.#found = found;
  }

  static ofDims(dims: readonly DimDecl[]): Knowledge {
    const symbols = new Map<string, Symbol>();
    const equal = new Map<string, Size>();
    for (const d of dims) {
      const [least, most] = [endOf(d, false), endOf(d, true)];
      // Of one value it is that value, as a variable is.
      if (least === most) equal.set(d.name, least);
      else symbols.set(d.name, { order: symbols.size, lower: [least], upper: [most], multipleOf: d.multipleOf });
    }
    return new Knowledge(symbols, equal, []);
  }

  has(name: string): boolean {
    return this.#symbols.has(name) || this.#equal.has(name);
  }

  /** With a variable from `from` while below `to`, where there is one. One that does not start at 0 is written as its start and an offset. */
  withVariable(name: string, from: Size, to: Size, step = 1): Knowledge {
    const start = this.resolve(from);
    const count = subSize(this.resolve(to), start);
    const last = this.#multiple(count) % step === 0 ? step : 1;
    const symbols = this.#withoutEmpty(count);
    // Of no value it is nowhere.
    if (this.range(count).max < 1) return new Knowledge(symbols, new Map(this.#equal).set(name, start), [...this.#facts, -1]);
    // Of one value it is that value, so that sums with it are what is left of them.
    if (typeof count === "number" && count <= last) {
      symbols.delete(name);
      return new Knowledge(symbols, new Map(this.#equal).set(name, start), this.#facts);
    }
    const symbol = { order: orderAfter(symbols), lower: [0], upper: alternatives(subSize(count, last)), multipleOf: step };
    if (start === 0) return new Knowledge(symbols.set(name, symbol), without(this.#equal, name), this.#facts);
    const offset = `${name}'`;
    return new Knowledge(symbols.set(offset, symbol), new Map(this.#equal).set(name, addSize(start, dimSize(offset))), this.#facts);
  }
  /** The symbols where a count is at least 1: then nothing that is a factor of all of it is 0. */
  #withoutEmpty(count: Size): Map<string, Symbol> {
    const symbols = new Map(this.#symbols);
    const visit = (s: Size): void => {
      // What is taken off and is never negative only makes it smaller.
      const taken = typeof s === "number" ? [] : s.terms.filter(t => t.atoms.length > 0 && t.coefficient < 0 && t.atoms.every(a => this.range(atomSize(a)).min >= 0));
      const { rest, constant } = splitConstant(taken.reduce<Size>((sum, t) => subSize(sum, productOf(t.coefficient, t.atoms)), s));
      if (typeof rest === "number" || constant > (rest.terms.length === 1 ? Infinity : 0)) return;
      const [first, ...others] = rest.terms;
      for (const atom of first!.atoms) {
        // Of one symbol alone more may be known than that it is not 0, and it may be anything elsewhere.
        const isAlone = others.length === 0 && first!.atoms.length === 1 && first!.coefficient > 0;
        const least = isAlone ? Math.ceil((1 - constant) / first!.coefficient) : constant <= 0 ? 1 : 0;
        if (least < 1 || others.some(t => !t.atoms.some(a => a.key === atom.key)) || (!isAlone && this.range(atomSize(atom)).min < 0)) continue;
        const symbol = atom.kind === "dim" ? symbols.get(atom.name) : undefined;
        if (atom.kind === "dim" && symbol && this.range(atomSize(atom)).min < least) symbols.set(atom.name, { ...symbol, lower: [least, ...symbol.lower] });
        else if (atom.kind === "floordiv" && this.range(atom.b).min >= 1) visit(addSize(subSize(atom.a, atom.b), 1));
        else if (atom.kind === "min") [atom.a, atom.b].forEach(visit);
        else if (atom.kind === "max") for (const [a, b] of [[atom.a, atom.b], [atom.b, atom.a]] as const) if (this.range(a).max < least) visit(addSize(b, 1 - least));
      }
    };
    visit(count);
    return symbols;
  }

  /** With a name for the polynomial. */
  withEqual(name: string, value: Size): Knowledge {
    return new Knowledge(this.#symbols, new Map(this.#equal).set(name, this.resolve(value)), this.#facts, this.#found);
  }

  /** With a name whose value lies between any of the lower and any of the upper bounds. */
  withBounds(name: string, lower: readonly Size[], upper: readonly Size[]): Knowledge {
    const symbol = { order: orderAfter(this.#symbols), lower: lower.map(b => this.resolve(b)), upper: upper.flatMap(b => alternatives(this.resolve(b))), multipleOf: 1 };
    return new Knowledge(new Map(this.#symbols).set(name, symbol), without(this.#equal, name), this.#facts);
  }

  /** With the fact that a size is at least 0. One about a single symbol tightens its bounds. */
  withFact(atLeast0: Size): Knowledge {
    const fact = this.resolve(atLeast0);
    if (typeof fact === "number") return fact >= 0 ? this : this.#withFacts([fact]);
    // It is false at every value of its symbols.
    if (this.range(fact).max < 0) return this.#withFacts([-1]);
    const [term, rest] = fact.terms;
    const name = term && term.atoms.length === 1 && term.atoms[0]?.kind === "dim" ? term.atoms[0].name : undefined;
    const symbol = name === undefined ? undefined : this.#symbols.get(name);
    const constant = rest === undefined ? 0 : rest.atoms.length === 0 ? rest.coefficient : undefined;
    if (name !== undefined && symbol && term && constant !== undefined && fact.terms.length <= 2) {
      const bound = -constant / term.coefficient;
      const tighter = term.coefficient > 0 ? { ...symbol, lower: [Math.ceil(bound), ...symbol.lower] } : { ...symbol, upper: [Math.floor(bound), ...symbol.upper] };
      return new Knowledge(new Map(this.#symbols).set(name, tighter), this.#equal, this.#facts);
    }
    const quotient = term && term.atoms.length === 1 && constant !== undefined && fact.terms.length <= 2 ? term.atoms[0] : undefined;
    if (quotient?.kind === "floordiv" && typeof quotient.b === "number" && quotient.b > 0) {
      // A bound of a quotient is one of what is divided.
      const bound = -constant! / term!.coefficient;
      return this.withFact(term!.coefficient > 0 ? subSize(quotient.a, Math.ceil(bound) * quotient.b) : subSize((Math.floor(bound) + 1) * quotient.b - 1, quotient.a)).#withFacts([fact]);
    }
    const symbols = this.#withoutEmpty(addSize(fact, 1));
    const isSame = [...symbols].every(([known, symbol]) => this.#symbols.get(known) === symbol);
    return new Knowledge(symbols, this.#equal, [...this.#facts, fact], isSame ? { ranges: this.#found.ranges, nonNegative: new Map() } : undefined);
  }
  /** With what the facts about digits say of the digits below these too; null where they say nothing. */
  #withDigits(): Knowledge | null {
    if (this.#digits !== undefined) return this.#digits;
    const facts = this.#facts.flatMap(f => this.#ofDigits(f));
    return (this.#digits = facts.length === 0 ? null : facts.reduce<Knowledge>((knows, f) => knows.withFact(f), this));
  }
  #ofDigits(fact: Size): Size[] {
    return (typeof fact === "number" ? [] : fact.terms).flatMap(({ coefficient, atoms: [atom, ...factors] }) => {
      if (atom?.kind !== "mod" || factors.length > 0) return [];
      const rest: Size = subSize(fact, productOf(coefficient, [atom]));
      return this.#withoutQuotient(atom, Math.abs(coefficient), coefficient > 0 ? 1 : -1, rest, attempt());
    });
  }

  #withFacts(facts: readonly Size[]): Knowledge {
    return new Knowledge(this.#symbols, this.#equal, [...this.#facts, ...facts]);
  }

  /** The size with names replaced by what they equal. */
  resolve(s: Size): Size {
    return this.#equal.size === 0 || typeof s === "number" ? s : substituteSize(s, name => this.#equal.get(name));
  }

  /** Constant bounds by intervals. */
  range(s: Size): Range {
    return sizeRange(s, name => this.#symbolRange(name));
  }
  #symbolRange(name: string): Range | undefined {
    const known = this.#found.ranges.get(name);
    if (known) return known;
    const symbol = this.#symbols.get(name);
    if (!symbol) return this.#equal.has(name) ? this.range(this.#equal.get(name)!) : { min: -Infinity, max: Infinity };
    const range = {
      min: Math.max(-Infinity, ...symbol.lower.map(b => this.range(b).min)),
      max: Math.min(Infinity, ...symbol.upper.map(b => this.range(b).max)),
    };
    this.#found.ranges.set(name, range);
    return range;
  }

  /** A number that divides every value of the size. */
  #multiple(s: Size): number {
    if (typeof s === "number") return s;
    return s.terms.reduce((all, t) => gcd(all, t.atoms.reduce((m, a) => m * (a.kind === "dim" ? (this.#symbols.get(a.name)?.multipleOf ?? 1) : 1), t.coefficient)), 0);
  }

  /** Whether the size is at least 0 at every value of its symbols. */
  isNonNegative(s: Size): boolean {
    if (this.isNever) return true;
    const resolved = this.resolve(s);
    if (typeof resolved === "number") return resolved >= 0;
    const known = this.#found.nonNegative.get(resolved.key);
    if (known !== undefined) return known;
    let proved = this.#isProved(resolved);
    if (!proved) {
      // More facts leave fewer steps for each, so that they are for what is not shown without.
      const more = this.#withDigits();
      if (more) proved = more.#isProved(resolved);
    }
    this.#found.nonNegative.set(resolved.key, proved);
    return proved;
  }

  #isProved(s: Size): boolean {
    const inAnyWay = (size: Size): boolean => WAYS.some(first => (first !== "facts" || this.#facts.length > 0) && this.#prove(size, attempt(first), []));
    return this.isNever || inAnyWay(s) || this.#withoutOuterQuotients(s).some(inAnyWay);
  }
  /** What the size is at least 0 by, with a quotient multiplied away that is not the innermost of it: where symbols inside it go
   *  first, it is forgotten that the rest is a multiple of the quotient's factor. */
  #withoutOuterQuotients(s: Size): Size[] {
    if (typeof s === "number" || this.#facts.length === 0) return [];
    const innermost = this.#innermost(s)?.key;
    return s.terms.flatMap(({ coefficient, atoms: [atom, ...factors] }) => {
      if (!atom || atom.kind === "dim" || atom.key === innermost || factors.length > 0) return [];
      return this.#withoutQuotient(atom, Math.abs(coefficient), coefficient > 0 ? 1 : -1, subSize(s, productOf(coefficient, [atom])), attempt());
    });
  }

  /** A bound of the size from above (or below) in which only symbols that `keep` accepts are left; undefined if none is found. */
  bound(s: Size, side: "upper" | "lower", keep: (name: string) => boolean): Size | undefined {
    let left = side === "upper" ? this.resolve(s) : mulSize(this.resolve(s), -1);
    for (let i = 0; i < MAX_STEPS; i++) {
      const atom = this.#innermost(left, keep);
      if (!atom) return side === "upper" ? left : mulSize(left, -1);
      // Adding a fact only makes it larger; one that leaves a number bounds it.
      for (const fact of this.#facts) {
        const sum = addSize(left, fact);
        if (typeof sum === "number") return side === "upper" ? sum : -sum;
      }
      const split = linear(left, atom);
      if (!split) return undefined;
      const sign = this.#sign(split.coefficient, attempt());
      if (sign === undefined) return undefined;
      const value = this.#tightest(atom, sign > 0 ? "upper" : "lower");
      if (value === undefined) return undefined;
      left = addSize(mulSize(split.coefficient, value), split.rest);
    }
    return undefined;
  }

  /** Of the single whole bounds the one with the smallest interval. */
  #tightest(atom: Atom, side: "upper" | "lower"): Size | undefined {
    let best: Size | undefined;
    let extreme = Infinity;
    for (const [b, ...more] of this.#bounds(atom, side, attempt())) {
      if (!b || more.length > 0 || b.divisor !== 1) continue;
      const size = side === "upper" ? this.range(b.value).max : -this.range(b.value).min;
      if (best === undefined || size < extreme) [best, extreme] = [b.value, size];
    }
    return best;
  }

  #order(atom: Atom): number {
    if (atom.kind === "dim") return this.#symbols.get(atom.name)?.order ?? -1;
    let order = -1;
    for (const name of [...dimsOf(atom.a), ...dimsOf(atom.b)]) order = Math.max(order, this.#symbols.get(name)?.order ?? -1);
    // An opaque atom goes before what it is made of, the outermost first.
    return order + 0.5 + atom.key.length * 1e-6;
  }
  #innermost(s: Size, keep?: (name: string) => boolean): Atom | undefined {
    if (typeof s === "number") return undefined;
    let found: Atom | undefined;
    let foundOrder = -Infinity;
    for (const t of s.terms) {
      for (const atom of t.atoms) {
        const names = keep ? (atom.kind === "dim" ? [atom.name] : [...dimsOf(atom.a), ...dimsOf(atom.b)]) : undefined;
        if (keep && names?.every(keep)) continue;
        const order = this.#order(atom);
        if (order > foundOrder) [found, foundOrder] = [atom, order];
      }
    }
    return found;
  }

  /** Ways to bound the atom, those that are soon tried first: each is a list of bounds that must all lead to a proof. */
  *#bounds(atom: Atom, side: "upper" | "lower", fuel: Attempt): Generator<Bound[]> {
    const one = (value: Size, divisor: Size = 1): Bound[] => [{ value, divisor }];
    switch (atom.kind) {
      case "dim": {
        for (const b of this.#symbols.get(atom.name)?.[side] ?? []) yield one(b);
        return;
      }
      case "min": case "max": {
        const sides = [...one(atom.a), ...one(atom.b)];
        if ((atom.kind === "min") === (side === "upper")) for (const b of sides) yield [b];
        else yield sides;
        return;
      }
      case "mod": {
        if (!this.#isPositive(atom.b, fuel)) return;
        const { min, max } = this.range(atom.b);
        const { min: low, max: high } = this.range(atom.a);
        const times = Math.floor(low / max);
        // Where the quotient is known, the remainder is what is left of it.
        if (min === max && Math.floor(high / max) === times) {
          yield one(subSize(atom.a, times * max));
          return;
        }
        if (side === "lower") yield one(0);
        else {
          yield one(subSize(atom.b, gcd(this.#multiple(atom.a), this.#multiple(atom.b))));
          if (this.#prove(atom.a, fuel, [])) yield one(atom.a);
        }
        for (const quotient of quotientsOf(atom)) yield this.#unrounded(quotient, side);
        return;
      }
      case "floordiv": {
        if (!this.#isPositive(atom.b, fuel)) return;
        if (fuel.first !== "inside") yield this.#unrounded(atom, side);
        yield* this.#boundsInside(atom, side, fuel);
        if (fuel.first === "inside") yield this.#unrounded(atom, side);
        if (side === "lower" && this.#prove(atom.a, fuel, [])) yield one(0);
      }
    }
  }
  /** a/b, or the least that a floor of it may be above. */
  #unrounded({ a, b }: Quotient, side: "upper" | "lower"): Bound[] {
    const isExact = typeof b === "number" && this.#multiple(a) % b === 0;
    return [{ value: side === "upper" || isExact ? a : subSize(addSize(a, 1), b), divisor: b }];
  }
  /** Floor division is monotone, so a bound of what is divided may go inside. */
  *#boundsInside({ a, b }: Quotient, side: "upper" | "lower", fuel: Attempt): Generator<Bound[]> {
    const inner = this.#innermost(a);
    const split = inner && linear(a, inner);
    const sign = split && this.#sign(split.coefficient, fuel);
    if (sign === undefined) return;
    const { coefficient, rest } = split!;
    const isUpper = sign > 0 === (side === "upper");
    const put = ({ value, divisor }: Bound): Bound => ({ value: floorDivSize(addSize(mulSize(value, coefficient), mulSize(rest, divisor)), mulSize(b, divisor)), divisor: 1 });
    const limit = this.#limits.get(inner!.key)?.[isUpper ? "max" : "min"] ?? Infinity;
    if (Number.isFinite(limit)) yield [put({ value: limit, divisor: 1 })];
    for (const all of this.#bounds(inner!, isUpper ? "upper" : "lower", fuel)) yield all.map(put);
  }

  #isPositive(s: Size, fuel: Attempt): boolean {
    return this.range(s).min >= 1 || this.#prove(subSize(s, 1), fuel, []);
  }
  #sign(s: Size, fuel: Attempt): 1 | -1 | undefined {
    if (typeof s === "number") return s >= 0 ? 1 : -1;
    if (this.#prove(s, fuel, [])) return 1;
    return this.#prove(mulSize(s, -1), fuel, []) ? -1 : undefined;
  }

  #prove(s: Size, fuel: Attempt, used: readonly Size[]): boolean {
    if (typeof s === "number") return s >= 0;
    if (this.range(s).min >= 0) return true;
    const key = used.length === 0 ? s.key : `${s.key} ${used.map(sizeText).join()}`;
    if (fuel.failed.has(key)) return false;
    if (fuel.steps <= 0) {
      fuel.gaveUp++;
      return false;
    }
    fuel.steps--;
    fuel.failed.add(key);
    const before = fuel.gaveUp;
    const proved = this.#proveByParts(s, fuel, used);
    if (proved || fuel.gaveUp > before) fuel.failed.delete(key);
    return proved;
  }
  /** With half of the steps that are left, so that others remain for another way. */
  #withHalf(fuel: Attempt, proof: () => boolean): boolean {
    const kept = Math.floor(fuel.steps / 2);
    fuel.steps -= kept;
    const proved = proof();
    fuel.steps += kept;
    return proved;
  }
  #proveByParts(s: Size, fuel: Attempt, used: readonly Size[]): boolean {
    const atom = this.#innermost(s);
    const split = atom && linear(s, atom);
    const sign = split && this.#sign(split.coefficient, fuel);
    if (sign === undefined) return false;
    const { coefficient, rest } = split!;
    for (const alone of this.#withoutQuotient(atom!, mulSize(coefficient, sign), sign, rest, fuel)) if (this.#prove(alone, fuel, used)) return true;
    // A whole number is at least 0 already if it is more than -1.
    const proves = ({ value, divisor }: Bound, also: readonly Size[]): boolean => this.#prove(subSize(addSize(mulSize(coefficient, value), mulSize(addSize(rest, 1), divisor)), 1), fuel, also);
    const side = sign > 0 ? "lower" : "upper";
    const isEither = atom!.kind === "dim" ? this.#symbols.get(atom!.name)![side].length > 1 : atom!.kind === "min" || atom!.kind === "max";
    const byFacts = (): boolean => this.#facts.some(fact => {
      if (used.includes(fact)) return false;
      const from = linear(fact, atom!);
      if (!from || typeof from.coefficient !== "number" || from.coefficient * sign <= 0) return false;
      return proves({ value: mulSize(from.rest, -sign), divisor: Math.abs(from.coefficient) }, [...used, fact]);
    });
    if (fuel.first === "facts" && byFacts()) return true;
    for (const all of this.#bounds(atom!, side, fuel)) {
      const proof = (): boolean => all.every(b => proves(b, used));
      if (isEither && all.length === 1 ? this.#withHalf(fuel, proof) : proof()) return true;
    }
    return fuel.first !== "facts" && byFacts();
  }
  /** What is at least 0 exactly if rest ± factor·⌊a/b⌋ is, where the factor divides the rest or leaves a number: ⌊a/b⌋ ≤ n exactly if a < (n + 1)·b, and likewise from below. */
  #withoutQuotient(atom: Atom, factor: Size, sign: 1 | -1, rest: Size, fuel: Attempt): Size[] {
    const quotients = quotientsOf(atom);
    if (quotients.length === 0 || typeof modSize(rest, factor) !== "number" || !this.#isPositive(factor, fuel)) return [];
    const n = floorDivSize(rest, factor);
    return quotients.filter(({ b }) => this.#isPositive(b, fuel)).map(({ a, b }) => (sign > 0 ? addSize(a, mulSize(n, b)) : subSize(subSize(mulSize(addSize(n, 1), b), 1), a)));
  }
}

/** value / divisor, not rounded. */
interface Bound {
  readonly value: Size;
  readonly divisor: Size;
}

/** Inside of all others, also where one of them has gone. */
const orderAfter = (symbols: ReadonlyMap<string, Symbol>): number => [...symbols.values()].reduce((most, { order }) => Math.max(most, order), -1) + 1;

const without = (map: ReadonlyMap<string, Size>, name: string): ReadonlyMap<string, Size> => {
  if (!map.has(name)) return map;
  const copy = new Map(map);
  copy.delete(name);
  return copy;
};
