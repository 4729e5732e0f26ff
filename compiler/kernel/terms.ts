// Parts of index polynomials that proofs take apart: quotients, factors of an atom, the sides of a minimum, and what a fact
// says of one atom.
import { addSize, type Atom, modSize, mulSize, productOf, type Range, type Size, splitConstant, subSize } from "../base/sizes.ts";

export interface Quotient {
  readonly a: Size;
  readonly b: Size;
}
/** What the atom is the quotient of: a digit ⌊x/m⌋ mod n is that of x mod m·n by m, and where x is ⌊y/l⌋, that of y mod l·m·n by l·m too. */
export function quotientsOf(atom: Atom): Quotient[] {
  if (atom.kind === "floordiv") return [atom];
  const found: Quotient[] = [];
  let divisor: Size = 1;
  for (let inner = atom.kind === "mod" ? loneQuotient(atom.a) : undefined; atom.kind === "mod" && inner; inner = loneQuotient(inner.a)) {
    divisor = mulSize(divisor, inner.b);
    found.push({ a: modSize(inner.a, mulSize(divisor, atom.b)), b: divisor });
  }
  return found;
}
function loneQuotient(s: Size): Quotient | undefined {
  const [atom] = typeof s === "number" ? [] : s.terms[0]!.atoms;
  return atom?.kind === "floordiv" && typeof s !== "number" && atom.key === s.key ? atom : undefined;
}

/** What the facts about one atom alone say of it, by its key. Each fact is a size that is at least 0. */
export function limitsOf(facts: readonly Size[]): ReadonlyMap<string, Range> {
  const limits = new Map<string, Range>();
  for (const fact of facts) {
    const { rest, constant } = splitConstant(fact);
    const [term, ...others] = typeof rest === "number" ? [] : rest.terms;
    const [atom, ...factors] = term?.atoms ?? [];
    if (!term || !atom || factors.length > 0 || others.length > 0) continue;
    const { min, max } = limits.get(atom.key) ?? { min: -Infinity, max: Infinity };
    const bound = -constant / term.coefficient;
    limits.set(atom.key, term.coefficient > 0 ? { min: Math.max(min, Math.ceil(bound)), max } : { min, max: Math.min(max, Math.floor(bound)) });
  }
  return limits;
}

/** coefficient·atom + rest; undefined where the atom is no factor of any term. Of a power of the atom, the coefficient has the others. */
export function linear(s: Size, atom: Atom): { coefficient: Size; rest: Size } | undefined {
  if (typeof s === "number") return undefined;
  let coefficient: Size = 0;
  let rest: Size = 0;
  let found = false;
  for (const t of s.terms) {
    const at = t.atoms.findIndex(a => a.key === atom.key);
    if (at >= 0) {
      found = true;
      coefficient = addSize(coefficient, productOf(t.coefficient, t.atoms.toSpliced(at, 1)));
    } else rest = addSize(rest, productOf(t.coefficient, t.atoms));
  }
  return found ? { coefficient, rest } : undefined;
}

/** Every way to read an upper bound that contains a minimum: `min(a, b) - c` is at most a - c and at most b - c. */
export function alternatives(s: Size): Size[] {
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
