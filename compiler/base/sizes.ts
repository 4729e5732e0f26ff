// Sizes and index expressions: integer polynomials in named dims, with floor division, remainder, minimum and maximum
// as opaque atoms. Every value is kept in one canonical form, so that sizes whose keys are equal are equal.
// A constant is a plain number; anything with a symbol in it is a `SizeExpr`.
// Divisors are at least 1 wherever a size is evaluated. Under that condition a quotient and a remainder are simplified to
// what cannot be divided further, and the two are put together again where they meet in a sum: `unflatten` undoes `flatten`.

export type Size = number | SizeExpr;

export type Atom =
  | { readonly kind: "dim"; readonly name: string; readonly key: string }
  | { readonly kind: "floordiv" | "mod" | "min" | "max"; readonly a: Size; readonly b: Size; readonly key: string };

/** A product of atoms, sorted by key, times a non-zero integer. */
export interface Term {
  readonly coefficient: number;
  readonly atoms: readonly Atom[];
  /** Canonical text of the product without its integer; "" of a constant. */
  readonly key: string;
}

export interface SizeExpr {
  /** Sorted by key; never empty, and never a lone constant. */
  readonly terms: readonly Term[];
  /** Canonical text, which `parseSize` in graph/parse reads back: `2*H*W + H - 1`. */
  readonly key: string;
}

/** Where a named size gets its value: at load ("instance") or at each call ("call"). Constant dims are plain numbers. */
export interface DimDecl {
  readonly name: string;
  readonly binding: "instance" | "call";
  readonly min: number;
  readonly max: number;
  /** Every bound value is a multiple of this. */
  readonly multipleOf: number;
}

/** Values of dims, by name. */
export type DimValues = { readonly [dim: string]: number };

/** The atoms are sorted by key. */
const term = (coefficient: number, atoms: readonly Atom[]): Term => ({ coefficient, atoms, key: atoms.length === 1 ? atoms[0]!.key : atoms.map(a => a.key).join("*") });
const constantTerm = (coefficient: number): Term => ({ coefficient, atoms: [], key: "" });
const scaledTerm = ({ coefficient, atoms, key }: Term, by: number): Term => ({ coefficient: coefficient * by, atoms, key });
const termsOf = (a: Size): readonly Term[] => (typeof a === "number" ? (a === 0 ? [] : [constantTerm(a)]) : a.terms);

/** Symbols first and the constant last, so that a size reads `2*H - 1`. */
const comesBefore = (a: Term, b: Term): boolean => (a.key === "" ? false : b.key === "" ? true : a.key < b.key);

function fromTerms(terms: readonly Term[]): Size {
  if (terms.length === 1) return canonical(terms[0]!.coefficient === 0 ? [] : terms);
  const byKey = new Map<string, Term>();
  for (const t of terms) {
    const seen = byKey.get(t.key);
    byKey.set(t.key, seen ? { ...t, coefficient: seen.coefficient + t.coefficient } : t);
  }
  return joined([...byKey.values()].filter(t => t.coefficient !== 0).sort((a, b) => (comesBefore(a, b) ? -1 : 1)));
}

/** The sum of two lists in order. */
function merged(a: readonly Term[], b: readonly Term[]): Term[] {
  const terms: Term[] = [];
  let j = 0;
  for (const x of a) {
    while (j < b.length && comesBefore(b[j]!, x)) terms.push(b[j++]!);
    if (j < b.length && b[j]!.key === x.key) {
      const coefficient = x.coefficient + b[j++]!.coefficient;
      if (coefficient !== 0) terms.push({ ...x, coefficient });
    } else terms.push(x);
  }
  while (j < b.length) terms.push(b[j++]!);
  return terms;
}

/** Terms in order, none of them zero. */
function canonical(terms: readonly Term[]): Size {
  const first = terms[0];
  if (!first) return 0;
  if (first.atoms.length === 0) return first.coefficient;
  let key = "";
  for (const { coefficient, key: symbols } of terms) {
    const size = Math.abs(coefficient);
    const body = symbols === "" ? `${size}` : size === 1 ? symbols : `${size}*${symbols}`;
    key += key === "" ? (coefficient < 0 ? `-${body}` : body) : coefficient < 0 ? ` - ${body}` : ` + ${body}`;
  }
  return { terms, key };
}

/** A constant more: the last term, or none. */
function plusConstant({ terms }: SizeExpr, c: number): Size {
  const last = terms.at(-1)!;
  const [symbols, constant] = last.atoms.length === 0 ? [terms.slice(0, -1), last.coefficient + c] : [terms, c];
  return canonical(constant === 0 ? symbols : [...symbols, constantTerm(constant)]);
}

export const atomSize = (atom: Atom): SizeExpr => ({ terms: [term(1, [atom])], key: atom.key });
/** One product as a size; its atoms are sorted by key, as those of a term are. */
export const productOf = (coefficient: number, atoms: readonly Atom[]): Size => fromTerms([term(coefficient, atoms)]);

/** The canonical text of a size; equal sizes have equal text. */
export const sizeText = (a: Size): string => (typeof a === "number" ? String(a) : a.key);
export const sameSize = (a: Size, b: Size): boolean => (typeof a === "number" || typeof b === "number" ? a === b : a.key === b.key);
export const dimSize = (name: string): SizeExpr => atomSize({ kind: "dim", name, key: name });

export function addSize(a: Size, b: Size): Size {
  if (typeof a === "number") return typeof b === "number" ? a + b : a === 0 ? b : plusConstant(b, a);
  if (typeof b === "number") return b === 0 ? a : plusConstant(a, b);
  return joined(merged(a.terms, b.terms));
}
export const subSize = (a: Size, b: Size): Size => addSize(a, mulSize(b, -1));

const scaled = (a: SizeExpr, by: number): Size =>
  by === 1 ? a : by === 0 ? 0 : canonical(a.terms.map(t => scaledTerm(t, by)));

export function mulSize(a: Size, b: Size): Size {
  if (typeof a === "number") return typeof b === "number" ? a * b + 0 : scaled(b, a);
  if (typeof b === "number") return scaled(a, b);
  const terms: Term[] = [];
  for (const x of a.terms) {
    for (const y of b.terms) {
      const atoms = [...x.atoms, ...y.atoms].sort((p, q) => (p.key < q.key ? -1 : p.key > q.key ? 1 : 0));
      terms.push(term(x.coefficient * y.coefficient, atoms));
    }
  }
  return fromTerms(terms);
}

const opaque = (kind: "floordiv" | "mod" | "min" | "max", a: Size, b: Size): SizeExpr =>
  atomSize({ kind, a, b, key: `${kind}(${sizeText(a)}, ${sizeText(b)})` });

/** Results of a function of two sizes by their texts. The same few are asked for again and again while kernels are made. */
class Remembered {
  readonly #known = new Map<string, Size>();
  readonly #make: (a: Size, b: Size) => Size;
  constructor(make: (a: Size, b: Size) => Size) {
    this.#make = make;
  }
  of(a: Size, b: Size): Size {
    const key = `${sizeText(a)}, ${sizeText(b)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = this.#make(a, b);
    if (this.#known.size >= MOST_REMEMBERED) this.#known.clear();
    this.#known.set(key, made);
    return made;
  }
}
const MOST_REMEMBERED = 50_000;

const quotients = new Remembered((a, b) => {
  const { quotient, rest } = divided(a, b);
  return addSize(quotient, quotientOf(rest, b));
});
const remainders = new Remembered((a, b) => remainderOf(divided(a, b).rest, b));

/** a / b rounded down. Whatever b divides stands outside the quotient; what is left of numbers has no common factor. */
export function floorDivSize(a: Size, b: Size): Size {
  if (typeof a === "number" && typeof b === "number") return Math.floor(a / b);
  if (b === 1) return a;
  return sameSize(a, b) ? 1 : quotients.of(a, b);
}

export function modSize(a: Size, b: Size): Size {
  if (typeof a === "number" && typeof b === "number") return a - Math.floor(a / b) * b;
  return b === 1 || sameSize(a, b) ? 0 : remainders.of(a, b);
}

/** a = quotient·b + rest, where rest has no term that b divides, and a constant of at least 0 and below b if b is a number. */
function divided(a: Size, b: Size): { readonly quotient: Size; readonly rest: Size } {
  const terms = termsOf(a);
  const divisors = termsOf(b);
  const divisor = divisors[0];
  if (!divisor || (typeof b === "number" && b < 1)) return { quotient: 0, rest: a };
  if (divisors.length > 1) return dividedBySum(a, b);
  const quotient: Term[] = [];
  const rest: Term[] = [];
  for (const t of terms) {
    const q = dividedTerm(t, divisor);
    if (q) quotient.push(q);
    else if (t.atoms.length === 0 && divisor.atoms.length === 0) {
      const whole = Math.floor(t.coefficient / divisor.coefficient);
      if (whole !== 0) quotient.push(constantTerm(whole));
      rest.push(constantTerm(t.coefficient - whole * divisor.coefficient));
    } else rest.push(t);
  }
  return quotient.length === 0 ? { quotient: 0, rest: a } : { quotient: fromTerms(quotient), rest: canonical(rest) };
}

/** By several terms only a multiple of all of them is divided, which is found by the first. */
function dividedBySum(a: Size, b: Size): { readonly quotient: Size; readonly rest: Size } {
  const first = termsOf(b)[0]!;
  let quotient: Size = 0;
  let rest = a;
  for (const t of termsOf(a)) {
    const q = dividedTerm(t, first);
    if (!q) continue;
    const less = subSize(rest, mulSize(fromTerms([q]), b));
    if (termsOf(less).length >= termsOf(rest).length) continue;
    quotient = addSize(quotient, fromTerms([q]));
    rest = less;
  }
  return { quotient, rest };
}

function dividedTerm(t: Term, divisor: Term): Term | undefined {
  if (t.coefficient % divisor.coefficient !== 0 || t.atoms.length < divisor.atoms.length) return undefined;
  if (divisor.atoms.length === 0) return { ...t, coefficient: t.coefficient / divisor.coefficient };
  const left = [...t.atoms];
  for (const atom of divisor.atoms) {
    const at = left.findIndex(x => x.key === atom.key);
    if (at < 0) return undefined;
    left.splice(at, 1);
  }
  return term(t.coefficient / divisor.coefficient, left);
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));
/** The greatest number that divides b and the coefficients of all terms of a with symbols; 1 where b is no proper divisor. */
function commonFactor(a: SizeExpr, b: Size): number {
  if (b === 0 || (typeof b === "number" && b < 0)) return 1;
  const factor = termsOf(b).reduce((all, t) => gcd(all, t.coefficient), 0);
  return a.terms.reduce((all, t) => (t.atoms.length === 0 ? all : gcd(all, t.coefficient)), factor);
}

/** floor(rest / b) of what `divided` leaves. */
function quotientOf(rest: Size, b: Size): Size {
  if (typeof rest === "number") return rest === 0 ? 0 : typeof b === "number" ? Math.floor(rest / b) : rest === -1 ? -1 : opaque("floordiv", rest, b);
  const factor = commonFactor(rest, b);
  if (factor > 1) return floorDivSize(dividedBy(rest, factor), dividedBy(b, factor));
  // ⌊(x mod n·b)/b⌋ = ⌊x/b⌋ mod n. A quotient of a quotient stays, for the inner one is mostly needed besides.
  const inner = loneAtom(rest);
  if (inner?.kind === "mod") {
    const ratio = divideExactly(inner.b, b);
    if (ratio !== undefined) return modSize(floorDivSize(inner.a, b), ratio);
  }
  // ⌊(g·x + y)/(g·n)⌋ = ⌊(x + ⌊y/g⌋)/n⌋, which is simpler where ⌊y/g⌋ is no quotient.
  for (const g of factorsOf(rest, b)) {
    const { quotient, rest: below } = divided(rest, g);
    const lower = floorDivSize(below, g);
    if (termsOf(lower).every(t => t.atoms.every(a => a.kind !== "floordiv"))) return floorDivSize(addSize(quotient, lower), divideExactly(b, g)!);
  }
  return opaque("floordiv", rest, b);
}
/** What a product b has in common with terms of a, 1 and b left out; what has most factors and the largest number comes first. */
function factorsOf(a: SizeExpr, b: Size): Size[] {
  const [divisor, ...others] = termsOf(b);
  if (!divisor || others.length > 0 || divisor.coefficient < 1) return [];
  const found = new Map<string, Term>();
  for (const t of a.terms) {
    if (t.atoms.length === 0) continue;
    const left = [...t.atoms];
    const atoms = divisor.atoms.filter(atom => {
      const at = left.findIndex(x => x.key === atom.key);
      if (at >= 0) left.splice(at, 1);
      return at >= 0;
    });
    const common = term(gcd(divisor.coefficient, t.coefficient), atoms);
    if ((common.coefficient > 1 || atoms.length > 0) && (common.coefficient < divisor.coefficient || atoms.length < divisor.atoms.length)) found.set(`${common.coefficient}*${common.key}`, common);
  }
  return [...found.values()].sort((x, y) => y.atoms.length - x.atoms.length || y.coefficient - x.coefficient).map(t => fromTerms([t]));
}

/** rest mod b of what `divided` leaves. */
function remainderOf(rest: Size, b: Size): Size {
  if (typeof rest === "number") return rest === 0 ? 0 : typeof b === "number" ? modSize(rest, b) : rest === -1 ? subSize(b, 1) : opaque("mod", rest, b);
  const factor = commonFactor(rest, b);
  if (factor > 1) return addSize(mulSize(factor, modSize(dividedBy(rest, factor), dividedBy(b, factor))), modSize(splitConstant(rest).constant, factor));
  // Of x mod n·b only x counts.
  for (const t of rest.terms) {
    const [inner] = t.atoms;
    if (t.atoms.length === 1 && inner?.kind === "mod" && Math.abs(t.coefficient) === 1 && divideExactly(inner.b, b) !== undefined) {
      return modSize(addSize(subSize(rest, fromTerms([t])), mulSize(inner.a, t.coefficient)), b);
    }
  }
  return opaque("mod", rest, b);
}
/** Rounded down: the factor divides all but the constant. */
const dividedBy = (a: Size, factor: number): Size => fromTerms(termsOf(a).map(t => ({ ...t, coefficient: Math.floor(t.coefficient / factor) })));

const loneAtom = (s: SizeExpr): Atom | undefined => (s.terms.length === 1 && s.terms[0]!.coefficient === 1 && s.terms[0]!.atoms.length === 1 ? s.terms[0]!.atoms[0] : undefined);

/** Whether there are two quotients or remainders, which might go together. */
function hasTwoDigits(terms: readonly Term[]): boolean {
  let count = 0;
  for (const { atoms } of terms) for (const { kind } of atoms) if (kind === "mod" || kind === "floordiv") count++;
  return count > 1;
}

/** Terms in order, none of them zero, with quotients and remainders of one division put together: n·⌊x/n⌋ + x mod n = x. */
function joined(terms: readonly Term[]): Size {
  if (terms.length > 1 && hasTwoDigits(terms)) {
    for (const t of terms) {
      for (const atom of t.atoms) {
        if (atom.kind !== "mod") continue;
        const whole = joinedRemainder(terms, t, atom);
        if (whole !== undefined) return whole;
      }
    }
  }
  return canonical(terms);
}
/** The sum where a term k·(x mod n) meets k·n·⌊x/n⌋, or k·n·(⌊x/n⌋ mod m), which is k·(x mod n·m) with it; else undefined. */
function joinedRemainder(terms: readonly Term[], t: Term, { a, b, key }: Exclude<Atom, { kind: "dim" }>): Size | undefined {
  const factor = productOf(t.coefficient, t.atoms.toSpliced(t.atoms.findIndex(x => x.key === key), 1));
  const step = mulSize(factor, b);
  const quotients = quotientTexts(a, b);
  for (const other of terms) {
    for (const digit of other.atoms) {
      const isQuotient = quotients.includes(digit.key);
      if (!isQuotient && !(digit.kind === "mod" && sizeText(digit.a) === quotients[0])) continue;
      const higher = mulSize(step, atomSize(digit));
      const rest = subtracted(terms, [t, ...termsOf(higher)]);
      if (!rest) continue;
      const position = digit.kind === "mod" && !isQuotient ? modSize(a, mulSize(b, digit.b)) : a;
      return addSize(canonical(rest), mulSize(factor, position));
    }
  }
  return undefined;
}
/** What ⌊a/b⌋ may be called: where a is x + ⌊y/n⌋, it is ⌊(n·x + y)/(n·b)⌋ too. */
function quotientTexts(a: Size, b: Size): readonly string[] {
  const found = [sizeText(floorDivSize(a, b))];
  const inner = termsOf(a).find(t => t.coefficient === 1 && t.atoms.length === 1 && t.atoms[0]!.kind === "floordiv");
  const [quotient] = inner?.atoms ?? [];
  if (!inner || quotient?.kind !== "floordiv") return found;
  return [...found, ...quotientTexts(addSize(mulSize(subSize(a, fromTerms([inner])), quotient.b), quotient.a), mulSize(b, quotient.b))];
}
/** The terms without those of a part; undefined where not all of them are there as they are. */
function subtracted(terms: readonly Term[], part: readonly Term[]): readonly Term[] | undefined {
  const rest = terms.filter(t => !part.some(p => p.key === t.key && p.coefficient === t.coefficient));
  return rest.length === terms.length - part.length ? rest : undefined;
}

/** a / b where b divides a; otherwise undefined. */
export function divideExactly(a: Size, b: Size): Size | undefined {
  if (b === 0) return a === 0 ? 1 : undefined;
  if (typeof a === "number" && typeof b === "number") return a % b === 0 ? a / b : undefined;
  if (sameSize(a, b)) return 1;
  const { quotient, rest } = divided(a, b);
  return rest === 0 ? quotient : undefined;
}

export const minSize = (a: Size, b: Size): Size => extreme("min", a, b);
export const maxSize = (a: Size, b: Size): Size => extreme("max", a, b);

function extreme(kind: "min" | "max", a: Size, b: Size): Size {
  const gap = subSize(a, b);
  if (typeof gap === "number") return (gap <= 0) === (kind === "min") ? a : b;
  return sizeText(a) <= sizeText(b) ? opaque(kind, a, b) : opaque(kind, b, a);
}

export const productSize = (sizes: readonly Size[]): Size => sizes.reduce<Size>(mulSize, 1);

/** The value of a size once every dim in it is bound; throws RangeError on a dim without a value. */
export function evaluateSize(a: Size, values: DimValues): number {
  if (typeof a === "number") return a;
  let sum = 0;
  for (const t of a.terms) {
    let product = t.coefficient;
    for (const atom of t.atoms) product *= evaluateAtom(atom, values);
    sum += product;
  }
  return sum;
}

function evaluateAtom(atom: Atom, values: DimValues): number {
  if (atom.kind === "dim") {
    const value = values[atom.name];
    if (value === undefined) throw new RangeError(`dim ${atom.name} has no value`);
    return value;
  }
  const a = evaluateSize(atom.a, values);
  const b = evaluateSize(atom.b, values);
  switch (atom.kind) {
    case "floordiv": return Math.floor(a / b);
    case "mod": return a - Math.floor(a / b) * b;
    case "min": return Math.min(a, b);
    case "max": return Math.max(a, b);
  }
}

/** As runtimes take it: undefined where a dim has no value, a divisor is 0, or a value on the way is no safe integer. */
export function exactSize(a: Size, values: DimValues): number | undefined {
  if (typeof a === "number") return a;
  let sum = 0;
  for (const t of a.terms) {
    let product = t.coefficient;
    for (const atom of t.atoms) {
      const value = exactAtom(atom, values);
      if (value === undefined || !Number.isSafeInteger(product *= value)) return undefined;
    }
    if (!Number.isSafeInteger(sum += product)) return undefined;
  }
  return sum;
}

function exactAtom(atom: Atom, values: DimValues): number | undefined {
  if (atom.kind === "dim") return values[atom.name];
  const a = exactSize(atom.a, values);
  const b = exactSize(atom.b, values);
  if (a === undefined || b === undefined) return undefined;
  switch (atom.kind) {
    case "floordiv": return b === 0 ? undefined : Math.floor(a / b);
    case "mod": return b === 0 ? undefined : a - Math.floor(a / b) * b;
    case "min": return Math.min(a, b);
    case "max": return Math.max(a, b);
  }
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Nothing times what is unbounded is nothing. */
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

/** Bounds of a size by interval arithmetic over the dims' bounds; an undeclared dim is unbounded from 0. */
export function sizeRange(a: Size, rangeOf: (dim: string) => Range | undefined): Range {
  if (typeof a === "number") return { min: a, max: a };
  let min = 0;
  let max = 0;
  for (const t of a.terms) {
    let low = t.coefficient;
    let high = t.coefficient;
    for (const atom of t.atoms) {
      const r = atomRange(atom, rangeOf);
      const [a, b, c, d] = [times(low, r.min), times(low, r.max), times(high, r.min), times(high, r.max)];
      low = Math.min(a, b, c, d);
      high = Math.max(a, b, c, d);
    }
    min += low;
    max += high;
  }
  return { min, max };
}

function atomRange(atom: Atom, rangeOf: (dim: string) => Range | undefined): Range {
  if (atom.kind === "dim") return rangeOf(atom.name) ?? { min: 0, max: Infinity };
  const a = sizeRange(atom.a, rangeOf);
  const b = sizeRange(atom.b, rangeOf);
  switch (atom.kind) {
    case "min": return { min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) };
    case "max": return { min: Math.max(a.min, b.min), max: Math.max(a.max, b.max) };
    case "mod": {
      if (a.min >= 0 && a.max < b.min) return a;
      const whole = Math.floor(a.min / b.min);
      if (b.min > 0 && b.min === b.max && Math.floor(a.max / b.min) === whole) return { min: a.min - whole * b.min, max: a.max - whole * b.min };
      return { min: 0, max: Math.max(0, Math.min(b.max - 1, a.min >= 0 ? a.max : Infinity)) };
    }
    case "floordiv": {
      if (b.min <= 0) return { min: -Infinity, max: Infinity };
      const ends = [a.min / b.min, a.min / b.max, a.max / b.min, a.max / b.max].map(Math.floor);
      return { min: Math.min(...ends), max: Math.max(...ends) };
    }
  }
}

/** Every dim that a size depends on. */
export function dimsOf(a: Size, into: Set<string> = new Set()): Set<string> {
  if (typeof a === "number") return into;
  for (const t of a.terms) {
    for (const atom of t.atoms) {
      if (atom.kind === "dim") into.add(atom.name);
      else {
        dimsOf(atom.a, into);
        dimsOf(atom.b, into);
      }
    }
  }
  return into;
}

/** The size with dims replaced: by constants to bind some of them, by other sizes to rename or to index. The same size where
 *  nothing in it is. */
export function substituteSize(a: Size, by: (dim: string) => Size | undefined): Size {
  if (typeof a === "number") return a;
  const kept: Term[] = [];
  let replaced: Size = 0;
  for (const t of a.terms) {
    const product = substituteTerm(t, by);
    if (product === undefined) kept.push(t);
    else replaced = addSize(replaced, product);
  }
  return kept.length === a.terms.length ? a : joined(merged(kept, termsOf(replaced)));
}
/** Undefined where nothing in it is replaced. */
function substituteTerm(t: Term, by: (dim: string) => Size | undefined): Size | undefined {
  let coefficient = t.coefficient;
  const kept: Atom[] = [];
  const replaced: Size[] = [];
  for (const atom of t.atoms) {
    const value = atom.kind === "dim" ? by(atom.name) : substituteAtom(atom, by);
    if (value === undefined) kept.push(atom);
    else if (typeof value === "number") coefficient *= value;
    else replaced.push(value);
  }
  return kept.length === t.atoms.length ? undefined : replaced.reduce(mulSize, fromTerms([term(coefficient, kept)]));
}

/** The size as a constant and the rest, which has none. */
export function splitConstant(a: Size): { readonly rest: Size; readonly constant: number } {
  if (typeof a === "number") return { rest: 0, constant: a };
  const last = a.terms.at(-1)!;
  if (last.atoms.length > 0) return { rest: a, constant: 0 };
  // The text ends with the sign and the constant.
  const key = a.key.slice(0, -` + ${Math.abs(last.coefficient)}`.length);
  return { rest: { terms: a.terms.slice(0, -1), key }, constant: last.coefficient };
}

function substituteAtom(atom: Exclude<Atom, { kind: "dim" }>, by: (dim: string) => Size | undefined): Size | undefined {
  const a = substituteSize(atom.a, by);
  const b = substituteSize(atom.b, by);
  if (a === atom.a && b === atom.b) return undefined;
  switch (atom.kind) {
    case "floordiv": return floorDivSize(a, b);
    case "mod": return modSize(a, b);
    case "min": return minSize(a, b);
    case "max": return maxSize(a, b);
  }
}
