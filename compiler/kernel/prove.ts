// Proves that an index polynomial is never negative, given what is known of its symbols: variables between bounds that are
// themselves polynomials, names that equal a polynomial, and facts from enclosing conditions. Symbols are eliminated from
// the innermost out, each replaced by the bound that makes the polynomial smallest; floor division, remainder, minimum
// and maximum are bounded by their definitions. Sound, not complete: `false` means that no proof was found.
import { addSize, type Atom, type DimDecl, dimSize, dimsOf, floorDivSize, mulSize, productOf, type Range, type Size, sizeRange, subSize, substituteSize } from "../base/sizes.ts";

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

const MAX_STEPS = 400;
const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

/** What is known at one place of a kernel. Immutable; inner scopes are made by the methods that add knowledge. */
export class Knowledge {
  readonly #symbols: ReadonlyMap<string, Symbol>;
  /** Names that stand for a polynomial in symbols. */
  readonly #equal: ReadonlyMap<string, Size>;
  /** Each is at least 0. */
  readonly #facts: readonly Size[];
  /** What was found out of these symbols and facts before. */
  readonly #found: Found;

  private constructor(symbols: ReadonlyMap<string, Symbol>, equal: ReadonlyMap<string, Size>, facts: readonly Size[], found: Found = { ranges: new Map(), nonNegative: new Map() }) {
    this.#symbols = symbols;
    this.#equal = equal;
    this.#facts = facts;
    this.#found = found;
  }

  static ofDims(dims: readonly DimDecl[]): Knowledge {
    return new Knowledge(new Map(dims.map((d, order) => [d.name, { order, lower: [d.min], upper: [d.max], multipleOf: d.multipleOf }])), new Map(), []);
  }

  has(name: string): boolean {
    return this.#symbols.has(name) || this.#equal.has(name);
  }

  /** With a variable from `from` while below `to`. One that does not start at 0 is written as its start and an offset. */
  withVariable(name: string, from: Size, to: Size, step = 1): Knowledge {
    const start = this.resolve(from);
    const count = subSize(this.resolve(to), start);
    const last = this.#multiple(count) % step === 0 ? step : 1;
    const symbol = { order: this.#symbols.size, lower: [0], upper: alternatives(subSize(count, last)), multipleOf: step };
    if (start === 0) return new Knowledge(new Map(this.#symbols).set(name, symbol), without(this.#equal, name), this.#facts);
    const offset = `${name}'`;
    return new Knowledge(new Map(this.#symbols).set(offset, symbol), new Map(this.#equal).set(name, addSize(start, dimSize(offset))), this.#facts);
  }

  /** With a name for the polynomial. */
  withEqual(name: string, value: Size): Knowledge {
    return new Knowledge(this.#symbols, new Map(this.#equal).set(name, this.resolve(value)), this.#facts, this.#found);
  }

  /** With a name whose value lies between any of the lower and any of the upper bounds. */
  withBounds(name: string, lower: readonly Size[], upper: readonly Size[]): Knowledge {
    const symbol = { order: this.#symbols.size, lower: lower.map(b => this.resolve(b)), upper: upper.flatMap(b => alternatives(this.resolve(b))), multipleOf: 1 };
    return new Knowledge(new Map(this.#symbols).set(name, symbol), without(this.#equal, name), this.#facts);
  }

  /** With the fact that a size is at least 0. One about a single symbol tightens its bounds. */
  withFact(atLeast0: Size): Knowledge {
    const fact = this.resolve(atLeast0);
    if (typeof fact === "number") return this;
    const [term, rest] = fact.terms;
    const name = term && term.atoms.length === 1 && term.atoms[0]?.kind === "dim" ? term.atoms[0].name : undefined;
    const symbol = name === undefined ? undefined : this.#symbols.get(name);
    const constant = rest === undefined ? 0 : rest.atoms.length === 0 ? rest.coefficient : undefined;
    if (name !== undefined && symbol && term && constant !== undefined && fact.terms.length <= 2) {
      const bound = -constant / term.coefficient;
      const tighter = term.coefficient > 0 ? { ...symbol, lower: [Math.ceil(bound), ...symbol.lower] } : { ...symbol, upper: [Math.floor(bound), ...symbol.upper] };
      return new Knowledge(new Map(this.#symbols).set(name, tighter), this.#equal, this.#facts);
    }
    return new Knowledge(this.#symbols, this.#equal, [...this.#facts, fact], { ranges: this.#found.ranges, nonNegative: new Map() });
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
    if (!symbol) return { min: -Infinity, max: Infinity };
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
    const resolved = this.resolve(s);
    if (typeof resolved === "number") return resolved >= 0;
    const known = this.#found.nonNegative.get(resolved.key);
    if (known !== undefined) return known;
    const proved = this.#prove(resolved, { steps: MAX_STEPS }, []);
    this.#found.nonNegative.set(resolved.key, proved);
    return proved;
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
      const sign = this.#sign(split.coefficient, { steps: MAX_STEPS });
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
    for (const [b, ...more] of this.#bounds(atom, side)) {
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

  /** Ways to bound the atom: each is a list of bounds that must all lead to a proof. */
  #bounds(atom: Atom, side: "upper" | "lower"): Bound[][] {
    const one = (value: Size, divisor = 1): Bound[] => [{ value, divisor }];
    switch (atom.kind) {
      case "dim": {
        const symbol = this.#symbols.get(atom.name);
        return (symbol?.[side] ?? []).map(b => one(b));
      }
      case "min": return side === "upper" ? [one(atom.a), one(atom.b)] : [[...one(atom.a), ...one(atom.b)]];
      case "max": return side === "lower" ? [one(atom.a), one(atom.b)] : [[...one(atom.a), ...one(atom.b)]];
      case "mod": {
        if (this.range(atom.b).min < 1) return [];
        return side === "lower" ? [one(0)] : [one(subSize(atom.b, 1)), ...(this.range(atom.a).min >= 0 ? [one(atom.a)] : [])];
      }
      case "floordiv": {
        if (typeof atom.b !== "number" || atom.b < 1) return [];
        const exact = this.#multiple(atom.a) % atom.b === 0;
        // Floor division is monotone, so a bound of what is divided may go inside.
        const inner = this.#innermost(atom.a);
        const split = inner && linear(atom.a, inner);
        const inside: Bound[][] = [];
        if (split && typeof split.coefficient === "number") {
          const { coefficient, rest } = split;
          for (const [b, ...more] of this.#bounds(inner, coefficient > 0 === (side === "upper") ? "upper" : "lower")) {
            if (b && more.length === 0 && b.divisor === 1) inside.push(one(floorOf(addSize(mulSize(b.value, coefficient), rest), atom.b)));
          }
        }
        return [...inside, one(side === "upper" || exact ? atom.a : subSize(atom.a, atom.b - 1), atom.b), ...(side === "lower" && this.range(atom.a).min >= 0 ? [one(0)] : [])];
      }
    }
  }

  #sign(s: Size, fuel: { steps: number }): 1 | -1 | undefined {
    if (typeof s === "number") return s >= 0 ? 1 : -1;
    if (this.#prove(s, fuel, [])) return 1;
    return this.#prove(mulSize(s, -1), fuel, []) ? -1 : undefined;
  }

  #prove(s: Size, fuel: { steps: number }, used: readonly Size[]): boolean {
    if (typeof s === "number") return s >= 0;
    if (this.range(s).min >= 0) return true;
    if (fuel.steps-- <= 0) return false;
    const atom = this.#innermost(s);
    if (!atom) return false;
    const split = linear(s, atom);
    if (!split) return false;
    const sign = this.#sign(split.coefficient, fuel);
    if (sign === undefined) return false;
    // A quotient is compared by multiplying: ⌊a/b⌋ ≤ rest exactly if a < (rest + 1)·b, and likewise from below.
    if (atom.kind === "floordiv" && this.range(atom.b).min >= 1) {
      if (split.coefficient === -1 && this.#prove(subSize(subSize(mulSize(addSize(split.rest, 1), atom.b), 1), atom.a), fuel, used)) return true;
      if (split.coefficient === 1 && this.#prove(addSize(atom.a, mulSize(split.rest, atom.b)), fuel, used)) return true;
    }
    const proves = (b: Bound, also: readonly Size[]): boolean => this.#prove(addSize(mulSize(split.coefficient, b.value), mulSize(split.rest, b.divisor)), fuel, also);
    for (const all of this.#bounds(atom, sign > 0 ? "lower" : "upper")) if (all.every(b => proves(b, used))) return true;
    for (const fact of this.#facts) {
      if (used.includes(fact)) continue;
      const from = linear(fact, atom);
      if (!from || typeof from.coefficient !== "number" || from.coefficient * sign <= 0) continue;
      if (proves({ value: mulSize(from.rest, -sign), divisor: Math.abs(from.coefficient) }, [...used, fact])) return true;
    }
    return false;
  }
}

/** value / divisor, not rounded. */
interface Bound {
  readonly value: Size;
  readonly divisor: number;
}

const without = (map: ReadonlyMap<string, Size>, name: string): ReadonlyMap<string, Size> => {
  if (!map.has(name)) return map;
  const copy = new Map(map);
  copy.delete(name);
  return copy;
};

/** coefficient·atom + rest; undefined where the atom occurs otherwise than as one factor. */
function linear(s: Size, atom: Atom): { coefficient: Size; rest: Size } | undefined {
  if (typeof s === "number") return undefined;
  let coefficient: Size = 0;
  let rest: Size = 0;
  let found = false;
  for (const t of s.terms) {
    const count = t.atoms.filter(a => a.key === atom.key).length;
    if (count > 1) return undefined;
    if (count === 1) {
      found = true;
      coefficient = addSize(coefficient, productOf(t.coefficient, t.atoms.filter(a => a.key !== atom.key)));
    } else rest = addSize(rest, productOf(t.coefficient, t.atoms));
  }
  return found ? { coefficient, rest } : undefined;
}

/** floor(s / divisor), with the terms that the divisor divides taken out. */
function floorOf(s: Size, divisor: number): Size {
  if (typeof s === "number") return Math.floor(s / divisor);
  let whole: Size = 0;
  let rest: Size = 0;
  for (const t of s.terms) {
    if (t.atoms.length > 0 && t.coefficient % divisor === 0) whole = addSize(whole, productOf(t.coefficient / divisor, t.atoms));
    else rest = addSize(rest, productOf(t.coefficient, t.atoms));
  }
  return addSize(whole, floorDivSize(rest, divisor));
}

/** Every way to read an upper bound that contains a minimum: `min(a, b) - c` is at most a - c and at most b - c. */
function alternatives(s: Size): Size[] {
  if (typeof s === "number") return [s];
  for (const t of s.terms) {
    const [atom] = t.atoms;
    if (t.atoms.length === 1 && t.coefficient > 0 && atom?.kind === "min") {
      const rest = subSize(s, productOf(t.coefficient, t.atoms));
      return [atom.a, atom.b].flatMap(x => alternatives(addSize(mulSize(x, t.coefficient), rest)));
    }
  }
  return [s];
}

