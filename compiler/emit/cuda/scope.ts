// What names mean at one place of a kernel: variables and constants that sizes may use, values, buffers, and what is known of
// the numbers that they stand for.
import type { DimDecl, Range, Size } from "../../base/sizes.ts";
import { Definitions } from "../../kernel/definitions.ts";
import { boundsOf } from "../../kernel/indices.ts";
import { type Expr, typeOf } from "../../kernel/ir.ts";
import { Knowledge } from "../../kernel/prove.ts";
import type { SizeName } from "../names.ts";
import type { Code } from "./code.ts";
import type { BufferHome, Expressions } from "./expressions.ts";
import { I32, type Sizes, type Variable, type Width } from "./sizes.ts";

export class Scope {
  readonly #code: Code;
  readonly #sizes: Sizes;
  readonly #expressions: Expressions;
  #knows: Knowledge;
  readonly #defined = new Definitions();

  constructor(code: Code, sizes: Sizes, expressions: Expressions, dims: readonly DimDecl[]) {
    this.#code = code;
    this.#sizes = sizes;
    this.#expressions = expressions;
    this.#knows = Knowledge.ofDims(dims);
  }

  /** What is defined within is taken back after it. */
  block(write: () => void): void {
    const known = this.#knows;
    this.#defined.block(write);
    this.#knows = known;
  }

  /** An integer of the function, of its own name. */
  variable(name: string, bits: Width, { min, max }: Range, multipleOf = 1): void {
    this.#defined.define<SizeName<Variable>>(this.#sizes.names, name, { kind: "variable", text: this.#code.name(name), bits, range: { min, max }, multipleOf });
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  constant(name: string, value: number): void {
    this.#defined.define<SizeName<Variable>>(this.#sizes.names, name, { kind: "size", size: value });
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  value(name: string, lanes: readonly string[]): void {
    this.#defined.define(this.#expressions.values, name, lanes);
    this.#defined.define(this.#sizes.names, name, undefined);
  }
  buffer(name: string, home: BufferHome): void {
    this.#defined.define(this.#expressions.buffers, name, home);
  }

  /** That a variable runs from `from` while below `to`. */
  runs(name: string, from: Size, to: Size, step = 1): void {
    this.#knows = this.#knows.withVariable(name, from, to, step);
  }
  equals(name: string, size: Size): void {
    this.#knows = this.#knows.withEqual(name, size);
  }
  /** Between what numbers an i32 lies that is data. */
  rangeOf(value: Expr): Range {
    const { scalar, lanes } = typeOf(value);
    if (scalar !== "i32" || lanes !== 1) return I32;
    const buffers = new Map([...this.#expressions.buffers].map(([name, { buffer }]) => [name, buffer]));
    const { lower, upper } = boundsOf(value, { knows: this.#knows, buffers });
    return { min: Math.max(I32.min, ...lower.map(s => this.#knows.range(s).min)), max: Math.min(I32.max, ...upper.map(s => this.#knows.range(s).max)) };
  }
}
