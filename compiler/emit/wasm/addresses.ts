// Where elements lie: an access is a pointer plus a constant. Pointers that differ by constants only are one; each is
// computed at the outermost level where its symbols are known, and one that is linear in the variable of the loop that it
// changes in is advanced once a round instead.
import { DTYPES } from "../../base/dtypes.ts";
import { addSize, type Atom, atomSize, dimSize, dimsOf, floorDivSize, mulSize, productOf, type Size, type SizeExpr, splitConstant, subSize } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import type { Buffer, Expr } from "../../kernel/ir.ts";
import { mapOperands } from "../../kernel/share.ts";
import type { Code, Loop } from "./code.ts";
import type { Sizes } from "./sizes.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

/** No buffer lies below: a pointer may be so much less than the address that is meant. */
const LOWEST_ADDRESS = 256;

/** An element in memory. `pointer` may be called any number of times in a statement. */
export interface Address {
  pointer(): Ref;
  readonly offset: number;
  /** Of i4: which nibble of the byte; null if that is known at run time only, by `flat`. */
  readonly nibble: 0 | 1 | null;
  /** Of i4: the number of the element. */
  flat(): Ref;
}

/** An access before loops are unrolled, apart from indices that are data. */
interface Shape {
  /** The address; of i4, the number of the element. */
  readonly place: Size;
  readonly data: readonly { readonly index: Expr; readonly stride: Size }[];
}

export const baseName = (buffer: string): string => `@${buffer}`;

export class Addresses {
  readonly #code: Code;
  readonly #sizes: Sizes;
  readonly #shapes = new WeakMap<readonly Expr[], Shape>();
  /** Dims every value of which is even. */
  readonly #even: ReadonlySet<string>;

  constructor(code: Code, sizes: Sizes, even: ReadonlySet<string>) {
    this.#code = code;
    this.#sizes = sizes;
    this.#even = even;
  }

  /** The element at the index, whose last axis may be left out; `evaluate` computes indices that are data. */
  element(buffer: Buffer, index: readonly Expr[], evaluate: (e: Expr) => Ref): Address {
    const shape = this.#shape(buffer, index);
    const place = this.#sizes.resolve(shape.place);
    const data = shape.data.map(({ index: e, stride }) => {
      const s = this.#sizes.resolve(stride);
      return s === 1 ? evaluate(e) : m.i32.mul(evaluate(e), this.#sizes.resolvedValue(s));
    });
    const number = data.length > 0 ? this.#code.hold(data.reduce((x, y) => m.i32.add(x, y)), "i32") : undefined;
    return buffer.dtype === "i4" ? this.#nibble(buffer, place, number) : this.#address(place, number);
  }

  #shape(buffer: Buffer, index: readonly Expr[]): Shape {
    const known = this.#shapes.get(index);
    if (known) return known;
    const bytes = buffer.dtype === "i4" ? 1 : DTYPES[buffer.dtype].bits / 8;
    let stride: Size = bytes;
    let place: Size = buffer.dtype === "i4" ? 0 : dimSize(baseName(buffer.name));
    const data: Shape["data"][number][] = [];
    for (let axis = index.length - 1; axis >= 0; axis--) {
      const polynomial = indexSize(this.#withNames(index[axis]!));
      if (polynomial === undefined) data.push({ index: index[axis]!, stride });
      else place = addSize(place, mulSize(polynomial, stride));
      stride = mulSize(stride, buffer.shape[axis]!);
    }
    const shape = { place, data };
    this.#shapes.set(index, shape);
    return shape;
  }

  /** Bound i32 names as symbols. */
  #withNames(e: Expr): Expr {
    if (e.kind === "var" && this.#sizes.names.has(e.name)) return { kind: "size", size: dimSize(e.name) };
    return mapOperands(e, x => this.#withNames(x));
  }

  /** `number` is added to the address at run time. */
  #address(place: Size, number?: () => Ref): Address {
    const { rest, constant } = splitConstant(place);
    // The sum of pointer and constant does not wrap, so the pointer itself must be an address.
    const isSafe = constant >= 0 && constant < 2 ** 31 && number === undefined && this.#sizes.range(rest).min >= 0;
    const offset = isSafe ? constant : constant - Math.floor(constant / LOWEST_ADDRESS) * LOWEST_ADDRESS;
    const pointer = isSafe ? rest : addSize(rest, constant - offset);
    const moved = number && this.#code.hold(m.i32.add(this.#pointer(pointer), number()), "i32");
    return { pointer: moved ?? (() => this.#pointer(pointer)), offset, nibble: 0, flat: () => m.i32.const(0) };
  }

  #nibble(buffer: Buffer, flat: Size, number?: () => Ref): Address {
    const base = this.#sizes.resolve(dimSize(baseName(buffer.name)));
    const { rest, constant } = splitConstant(flat);
    const halved = number === undefined ? this.#half(rest) : undefined;
    if (halved !== undefined) {
      const nibble = (constant & 1) as 0 | 1;
      return { ...this.#address(addSize(addSize(base, halved), (constant - nibble) / 2)), nibble };
    }
    const element = this.#code.hold(number ? m.i32.add(this.#sizes.resolvedValue(flat), number()) : this.#sizes.resolvedValue(flat), "i32");
    return { pointer: () => this.#pointer(base), offset: 0, nibble: null, flat: element };
  }

  /** Half of a size every term of which is even; undefined if one may be odd. */
  #half(s: Size): Size | undefined {
    if (typeof s === "number") return s / 2;
    let half: Size = 0;
    for (const t of s.terms) {
      const even = t.atoms.find(a => a.kind === "dim" && this.#even.has(a.name));
      if (t.coefficient % 2 === 0) half = addSize(half, productOf(t.coefficient / 2, t.atoms));
      else if (even) half = addSize(half, mulSize(productOf(t.coefficient, without(t.atoms, even)), floorDivSize(atomSize(even), 2)));
      else return undefined;
    }
    return half;
  }

  #pointer(s: Size): Ref {
    if (typeof s === "number") return this.#sizes.resolvedValue(s);
    const code = this.#code;
    const level = code.levels[this.#sizes.level(s)]!;
    const known = level.known.get(s.key);
    if (known !== undefined) return code.get(known);
    const factor = level.loop ? linearFactor(s, level.loop.variable) : undefined;
    if (!level.loop || factor === undefined) return this.#sizes.resolvedValue(s);
    return this.#advancing(s, factor, level.loop, level.known);
  }

  #advancing(s: SizeExpr, factor: Size, loop: Loop, known: Map<string, number>): Ref {
    const code = this.#code;
    const local = code.fresh("i32");
    const start = addSize(subSize(s, mulSize(factor, dimSize(loop.variable))), mulSize(factor, loop.from));
    const first = this.#sizes.value(start);
    code.within(loop.before, () => code.set(local, first));
    const step = this.#sizes.value(mulSize(factor, loop.step));
    code.within(loop.after, () => code.set(local, m.i32.add(code.get(local), step)));
    known.set(s.key, local);
    return code.get(local);
  }
}

const without = (atoms: readonly Atom[], one: Atom): Atom[] => {
  const at = atoms.indexOf(one);
  return atoms.filter((_, i) => i !== at);
};

/** What the variable is multiplied with in the size; undefined if the size is not linear in it. */
function linearFactor(s: SizeExpr, variable: string): Size | undefined {
  let factor: Size = 0;
  for (const t of s.terms) {
    const uses = t.atoms.filter(a => dimsOf(atomSize(a)).has(variable));
    const [atom] = uses;
    if (!atom) continue;
    if (uses.length > 1 || atom.kind !== "dim") return undefined;
    factor = addSize(factor, productOf(t.coefficient, without(t.atoms, atom)));
  }
  return factor;
}
