// Invariant 5 of the verifier: grid points keep apart. For a buffer that is written, two points are shown to differ at some
// axis of the index wherever they touch it: there the index is c·g + rest with the rest spanning less than c, or several
// such digits in a mixed radix. Grid variables whose equality is already forced count as equal from then on. Axes that hold
// quotient and remainder of one position are read as one axis that holds the position.
import { addSize, type Atom, atomSize, dimSize, dimsOf, floorDivSize, mulSize, productOf, type Size, sizeText, subSize } from "../base/sizes.ts";
import type { Kernel } from "./ir.ts";
import { Knowledge } from "./prove.ts";
import { gridConstants } from "./uniformity.ts";

/** One place in the kernel that touches global memory. */
export interface Access {
  readonly buffer: string;
  readonly kind: "read" | "write" | "atomic";
  readonly index: readonly Size[];
  /** Of the buffer, in which the index lies. */
  readonly shape: readonly Size[];
  /** Elements along the last axis, and along the one before it. */
  readonly lanes: number;
  readonly rows: number;
  readonly knows: Knowledge;
}

/** True, or why it could not be shown. */
export function provesTasksApart(kernel: Kernel, accesses: readonly Access[]): true | string {
  for (const { name } of kernel.params) {
    const here = accesses.filter(a => a.buffer === name);
    if (here.every(a => a.kind === "read") || here.every(a => a.kind === "atomic")) continue;
    const unresolved = new Separation(kernel, here).unresolved();
    if (unresolved.length > 0) {
      return `grid points that differ in ${unresolved.join(", ")} are not shown to touch different elements of ${name}: ${[...new Set(here.map(a => `${a.kind} [${a.index.map(sizeText).join(", ")}]`))].join("; ")}`;
    }
  }
  return true;
}

/** A grid variable, or a quotient or remainder of one: how a flat grid variable is taken apart. */
interface Digit {
  readonly key: string;
  readonly variable: string;
  readonly size: Size;
  readonly extent: Size;
}
interface Split {
  readonly coefficients: ReadonlyMap<string, Size>;
  /** What is the same at every grid point, though it is not known. */
  readonly common: Size;
  readonly rest: Size;
}

/** An access by axes that may be several of the buffer's. */
interface Reach {
  readonly index: readonly Size[];
  readonly shape: readonly Size[];
  /** How far it reaches beyond the index along each axis. */
  readonly extra: readonly Size[];
  readonly knows: Knowledge;
}

class Separation {
  readonly #kernel: Kernel;
  /** What holds wherever the kernel runs, under whatever condition an access stands. */
  readonly #everywhere: Knowledge;
  readonly #accesses: readonly Reach[];
  readonly #digits = new Map<string, Digit>();
  /** Keys of digits that are equal at any two points that touch the same element. */
  readonly #equal = new Set<string>();
  readonly #constants: ReadonlySet<string>;

  constructor(kernel: Kernel, accesses: readonly Access[]) {
    this.#kernel = kernel;
    this.#everywhere = kernel.grid.reduce((knows, { name, extent }) => knows.withVariable(name, 0, extent), Knowledge.ofDims(kernel.dims));
    this.#accesses = joinedAxes(accesses.map(({ index, shape, lanes, rows, knows }) => ({
      index: index.map(x => knows.resolve(x)), shape: shape.map(x => knows.resolve(x)), knows, extra: index.map((_, axis) => (axis === index.length - 1 ? lanes - 1 : axis === index.length - 2 ? rows - 1 : 0)),
    })));
    this.#constants = gridConstants(kernel);
    for (const { name, extent } of kernel.grid) {
      this.#digits.set(name, { key: name, variable: name, size: dimSize(name), extent });
      // Under a condition that admits one grid point only there is nothing to tell apart.
      const ranges = accesses.map(a => a.knows.range(dimSize(name)));
      if (ranges.every(r => r.min === r.max && r.min === ranges[0]!.min)) this.#equal.add(name);
    }
  }

  unresolved(): string[] {
    const axes = this.#accesses[0]!.index.map((_, axis) => this.#splits(axis));
    for (let progress = true; progress; ) {
      const before = this.#equal.size;
      axes.forEach((splits, axis) => {
        if (splits) this.#resolve(splits, axis);
      });
      for (const { name } of this.#kernel.grid) {
        const parts = [...this.#digits.values()].filter(d => d.variable === name && d.key !== name);
        if (this.#equal.has(name)) for (const p of parts) this.#equal.add(p.key);
        else if (parts.some(p => this.#equal.has(p.key) && this.#equal.has(counterpart(p.key)))) this.#equal.add(name);
      }
      progress = this.#equal.size > before;
    }
    return this.#kernel.grid.map(g => g.name).filter(name => !this.#equal.has(name));
  }

  /** Of each access, the index at the axis as digits and a rest without grid variables; undefined if one is neither. */
  #splits(axis: number): Split[] | undefined {
    const splits = this.#accesses.map(a => this.#split(a.index[axis]!));
    return splits.every(s => s !== undefined) ? splits : undefined;
  }
  #split(s: Size): Split | undefined {
    const coefficients = new Map<string, Size>();
    let rest: Size = 0;
    let common: Size = 0;
    if (typeof s === "number") return { coefficients, common, rest: s };
    for (const t of s.terms) {
      const digits = t.atoms.map(a => this.#digit(a));
      // What is neither a digit nor free of grid variables is part of the rest: its bounds hold at every grid point.
      const isRest = digits.every(d => d === undefined || d === "opaque");
      if (!isRest && (digits.includes("opaque") || digits.filter(d => d !== undefined).length > 1)) return undefined;
      const at = isRest ? -1 : digits.findIndex(d => d !== undefined);
      const factor = productOf(t.coefficient, t.atoms.filter((_, i) => i !== at));
      const digit = digits[at];
      const names = dimsOf(factor);
      if (isRest && names.size > 0 && [...names].every(n => this.#constants.has(n))) common = addSize(common, factor);
      else if (digit === undefined || digit === "opaque") rest = addSize(rest, factor);
      else coefficients.set(digit.key, addSize(coefficients.get(digit.key) ?? 0, factor));
    }
    return { coefficients, common, rest };
  }
  #digit(atom: Atom): Digit | "opaque" | undefined {
    const isGrid = (name: string): boolean => this.#kernel.grid.some(g => g.name === name);
    if (atom.kind === "dim") return isGrid(atom.name) ? this.#digits.get(atom.name) : undefined;
    const names = [...dimsOf(atom.a), ...dimsOf(atom.b)];
    if (!names.some(isGrid)) return undefined;
    const [name] = names;
    const whole = this.#kernel.grid.find(g => g.name === name);
    if (!whole || names.length !== 1 || typeof atom.b !== "number" || typeof atom.a === "number" || atom.a.key !== name || (atom.kind !== "mod" && atom.kind !== "floordiv")) return "opaque";
    const digit = { key: atom.key, variable: whole.name, size: atomSize(atom), extent: atom.kind === "mod" ? atom.b : floorDivSize(addSize(whole.extent, atom.b - 1), atom.b) };
    this.#digits.set(atom.key, digit);
    return digit;
  }

  /** Marks the digits of the axis equal if the index tells all of them. */
  #resolve(splits: readonly Split[], axis: number): void {
    const first = splits[0]!.coefficients;
    const text = (s: Split): string => [...s.coefficients].map(([k, c]) => `${sizeText(c)}*${k}`).sort().concat(sizeText(s.common)).join();
    if (splits.some(s => text(s) !== text(splits[0]!))) return;
    const open = [...first].filter(([key]) => !this.#equal.has(key));
    if (open.length === 0) return;
    if (this.#widths(splits, axis).some(width => this.#isMixedRadix(open, width))) {
      for (const [key] of open) this.#equal.add(key);
      return;
    }
    // One of them may be told from all of the others together: a condition bounds their sum, as where the last tile is cut.
    for (const digit of open) {
      const others = open.filter(o => o !== digit).reduce<Size>((sum, [key, step]) => addSize(sum, mulSize(step, this.#digits.get(key)!.size)), 0);
      if (others !== 0 && this.#widths(splits.map(s => ({ ...s, rest: addSize(s.rest, others) })), axis).some(width => this.#isMixedRadix([digit], width))) this.#equal.add(digit[0]);
    }
  }

  /** Whether the digits can be ordered so that each one's step is more than all before it span together. */
  #isMixedRadix(digits: readonly (readonly [string, Size])[], span: Size): boolean {
    if (digits.length === 0) return true;
    return digits.some(digit => {
      const [key, step] = digit;
      if (!this.#everywhere.isNonNegative(subSize(subSize(step, span), 1))) return false;
      const wider = addSize(span, mulSize(step, subSize(this.#digits.get(key)!.extent, 1)));
      return this.#isMixedRadix(digits.filter(d => d !== digit), wider);
    });
  }

  /** The greatest distance between two elements that the rests reach: by intervals, and in terms of the dims. */
  #widths(splits: readonly Split[], axis: number): Size[] {
    const extra = this.#accesses.map(a => a.extra[axis]!);
    const widths: Size[] = [];
    const isDim = (name: string): boolean => this.#kernel.dims.some(d => d.name === name);
    const bound = (i: number, side: "upper" | "lower"): Size | undefined => {
      const { rest } = splits[i]!;
      return this.#accesses[i]!.knows.bound(side === "upper" ? addSize(rest, extra[i]!) : rest, side, isDim);
    };
    const bounds = (side: "upper" | "lower"): Size[] => splits.flatMap((_, i) => bound(i, side) ?? []);
    // Either way of bounding may see what the other does not.
    const numbers = splits.map((s, i) => {
      const range = this.#accesses[i]!.knows.range(s.rest);
      const [low, high] = [bound(i, "lower"), bound(i, "upper")];
      return { min: Math.max(range.min, typeof low === "number" ? low : -Infinity), max: Math.min(range.max + this.#everywhere.range(extra[i]!).max, typeof high === "number" ? high : Infinity) };
    });
    const numeric = Math.max(...numbers.map(n => n.max)) - Math.min(...numbers.map(n => n.min));
    if (Number.isFinite(numeric)) widths.push(numeric);
    const uppers = bounds("upper");
    const lowers = bounds("lower");
    if (uppers.length < splits.length || lowers.length < splits.length) return widths;
    const knows = this.#everywhere;
    const top = uppers.find(u => uppers.every(v => knows.isNonNegative(subSize(u, v))));
    const bottom = lowers.find(l => lowers.every(m => knows.isNonNegative(subSize(m, l))));
    if (top !== undefined && bottom !== undefined) widths.push(subSize(top, bottom));
    return widths;
  }
}

/** How many quotients and remainders an index is made of. */
const divisions = (s: Size): number => (typeof s === "number" ? 0 : s.terms.reduce((n, t) => t.atoms.reduce((m, atom) => m + divisionsOf(atom), n), 0));
const divisionsOf = (atom: Atom): number => (atom.kind === "dim" ? 0 : divisions(atom.a) + divisions(atom.b) + (atom.kind === "floordiv" || atom.kind === "mod" ? 1 : 0));

/**
 * The accesses with pairs of axes as one wherever that takes divisions out of their indices. Nothing is lost by it: as an index
 * lies in its shape, high·extent + low is another for any other pair.
 */
function joinedAxes(accesses: readonly Reach[]): readonly Reach[] {
  const rank = accesses[0]!.index.length;
  for (let high = 0; high < rank; high++) {
    for (let low = 0; low < rank; low++) {
      if (high === low || !accesses.some(a => divisions(a.index[low]!) > 0)) continue;
      const whole = accesses.map(({ index, shape }) => addSize(mulSize(index[high]!, shape[low]!), index[low]!));
      const change = accesses.map(({ index }, i) => divisions(whole[i]!) - divisions(index[high]!) - divisions(index[low]!));
      if (change.some(c => c > 0) || !change.some(c => c < 0)) continue;
      const joined = (of: readonly Size[], pair: Size): Size[] => of.map((x, i) => (i === low ? pair : x)).filter((_, i) => i !== high);
      return joinedAxes(accesses.map(({ index, shape, extra, knows }, i) => ({
        index: joined(index, whole[i]!), shape: joined(shape, mulSize(shape[high]!, shape[low]!)), knows,
        extra: joined(extra, addSize(mulSize(extra[high]!, shape[low]!), extra[low]!)),
      })));
    }
  }
  return accesses;
}

/** The remainder's key for a quotient's, and the other way round. */
const counterpart = (key: string): string => (key.startsWith("mod(") ? `floordiv(${key.slice(4)}` : `mod(${key.slice("floordiv(".length)}`);
