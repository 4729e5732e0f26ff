// Sizes and index expressions: integer polynomials in named dims, with floor division, remainder, minimum and maximum
// as opaque atoms. Every value is kept in one canonical form, so two sizes are equal exactly when their keys are.
// A constant is a plain number; anything with a symbol in it is a `SizeExpr`.

export type Size = number | SizeExpr;

export type Atom =
  | { readonly kind: "dim"; readonly name: string; readonly key: string }
  | { readonly kind: "floordiv" | "mod" | "min" | "max"; readonly a: Size; readonly b: Size; readonly key: string };

/** A product of atoms, sorted by key, times a non-zero integer. */
export interface Term {
  readonly coefficient: number;
  readonly atoms: readonly Atom[];
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

const termKey = (atoms: readonly Atom[]): string => atoms.map(a => a.key).join("*");
const termsOf = (a: Size): readonly Term[] => (typeof a === "number" ? (a === 0 ? [] : [{ coefficient: a, atoms: [] }]) : a.terms);

function fromTerms(terms: Iterable<Term>): Size {
  const byKey = new Map<string, Term>();
  for (const t of terms) {
    const key = termKey(t.atoms);
    const seen = byKey.get(key);
    byKey.set(key, seen ? { coefficient: seen.coefficient + t.coefficient, atoms: t.atoms } : t);
  }
  // Symbols first and the constant last, so that a size reads `2*H - 1`.
  return canonical([...byKey].filter(([, t]) => t.coefficient !== 0).sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1)).map(([, t]) => t));
}

/** Terms in order, none of them zero. */
function canonical(terms: readonly Term[]): Size {
  const first = terms[0];
  if (!first) return 0;
  if (first.atoms.length === 0) return first.coefficient;
  let key = "";
  for (const { coefficient, atoms } of terms) {
    const symbols = termKey(atoms);
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
  return canonical(constant === 0 ? symbols : [...symbols, { coefficient: constant, atoms: [] }]);
}

const atomSize = (atom: Atom): SizeExpr => ({ terms: [{ coefficient: 1, atoms: [atom] }], key: atom.key });

/** The canonical text of a size; equal sizes have equal text. */
export const sizeText = (a: Size): string => (typeof a === "number" ? String(a) : a.key);
export const sameSize = (a: Size, b: Size): boolean => (typeof a === "number" || typeof b === "number" ? a === b : a.key === b.key);
export const dimSize = (name: string): SizeExpr => atomSize({ kind: "dim", name, key: name });

export function addSize(a: Size, b: Size): Size {
  if (typeof a === "number") return typeof b === "number" ? a + b : a === 0 ? b : plusConstant(b, a);
  if (typeof b === "number") return b === 0 ? a : plusConstant(a, b);
  return fromTerms([...a.terms, ...b.terms]);
}
export const subSize = (a: Size, b: Size): Size => addSize(a, mulSize(b, -1));

const scaled = (a: SizeExpr, by: number): Size =>
  by === 1 ? a : by === 0 ? 0 : canonical(a.terms.map(t => ({ coefficient: t.coefficient * by, atoms: t.atoms })));

export function mulSize(a: Size, b: Size): Size {
  if (typeof a === "number") return typeof b === "number" ? a * b + 0 : scaled(b, a);
  if (typeof b === "number") return scaled(a, b);
  const terms: Term[] = [];
  for (const x of a.terms) {
    for (const y of b.terms) {
      const atoms = [...x.atoms, ...y.atoms].sort((p, q) => (p.key < q.key ? -1 : p.key > q.key ? 1 : 0));
      terms.push({ coefficient: x.coefficient * y.coefficient, atoms });
    }
  }
  return fromTerms(terms);
}

const opaque = (kind: "floordiv" | "mod" | "min" | "max", a: Size, b: Size): SizeExpr =>
  atomSize({ kind, a, b, key: `${kind}(${sizeText(a)}, ${sizeText(b)})` });

/** a / b rounded down; exact when b divides every term of a. */
export function floorDivSize(a: Size, b: Size): Size {
  if (typeof a === "number" && typeof b === "number") return Math.floor(a / b);
  if (sameSize(a, b)) return 1;
  const exact = divideExactly(a, b);
  return exact ?? opaque("floordiv", a, b);
}

export function modSize(a: Size, b: Size): Size {
  if (typeof a === "number" && typeof b === "number") return a - Math.floor(a / b) * b;
  return divideExactly(a, b) === undefined ? opaque("mod", a, b) : 0;
}

/** a / b where every term of a is a multiple of the single term b; otherwise undefined. */
export function divideExactly(a: Size, b: Size): Size | undefined {
  const divisors = termsOf(b);
  const divisor = divisors[0];
  if (divisors.length !== 1 || !divisor) return sameSize(a, b) ? 1 : undefined;
  const quotient: Term[] = [];
  for (const t of termsOf(a)) {
    if (t.coefficient % divisor.coefficient !== 0) return undefined;
    const left = [...t.atoms];
    for (const atom of divisor.atoms) {
      const at = left.findIndex(x => x.key === atom.key);
      if (at < 0) return undefined;
      left.splice(at, 1);
    }
    quotient.push({ coefficient: t.coefficient / divisor.coefficient, atoms: left });
  }
  return fromTerms(quotient);
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

export interface Range {
  readonly min: number;
  readonly max: number;
}

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
      const ends = [low * r.min, low * r.max, high * r.min, high * r.max].map(x => (Number.isNaN(x) ? 0 : x));
      low = Math.min(...ends);
      high = Math.max(...ends);
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
    case "mod": return { min: 0, max: Math.max(0, b.max - 1) };
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

/** The size with dims replaced: by constants to bind some of them, by other sizes to rename or to index. */
export function substituteSize(a: Size, by: (dim: string) => Size | undefined): Size {
  if (typeof a === "number") return a;
  const terms: Term[] = [];
  for (const t of a.terms) {
    let coefficient = t.coefficient;
    const kept: Atom[] = [];
    const replaced: Size[] = [];
    for (const atom of t.atoms) {
      const value = atom.kind === "dim" ? by(atom.name) : substituteAtom(atom, by);
      if (value === undefined) kept.push(atom);
      else if (typeof value === "number") coefficient *= value;
      else replaced.push(value);
    }
    const rest: Term = { coefficient, atoms: kept };
    if (replaced.length === 0) terms.push(rest);
    else terms.push(...termsOf(replaced.reduce(mulSize, fromTerms([rest]))));
  }
  return fromTerms(terms);
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

function substituteAtom(atom: Exclude<Atom, { kind: "dim" }>, by: (dim: string) => Size | undefined): Size {
  const a = substituteSize(atom.a, by);
  const b = substituteSize(atom.b, by);
  switch (atom.kind) {
    case "floordiv": return floorDivSize(a, b);
    case "mod": return modSize(a, b);
    case "min": return minSize(a, b);
    case "max": return maxSize(a, b);
  }
}
