// Statements about matrix fragments, which the header's templates hold and multiply. What a thread loads or stores of one
// is told by a lambda of row and column.
import { InternalError } from "../../base/diagnostics.ts";
import { DTYPES } from "../../base/dtypes.ts";
import { addSize, dimSize, type Size } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import type { Expr, Stmt } from "../../kernel/ir.ts";
import { type Code, literal, SCALAR_TYPE } from "./code.ts";
import type { Expressions } from "./expressions.ts";
import { type Home, type Place, placeOf, STORAGE_TYPE, storeLanes, withNames } from "./memory.ts";
import type { SizeName } from "../names.ts";
import { I32, type Sizes, type Variable } from "./sizes.ts";

type FragmentStmt = Stmt & { readonly kind: "fragment" | "fragment_fill" | "fragment_load" | "fragment_mma" | "fragment_store" };
type Declared = Stmt & { readonly kind: "fragment" };

const FACTORS: ReadonlySet<string> = new Set(["f16", "bf16", "f32", "i8"]);
/** What is loaded from shared memory at a time. */
const ROW_BITS = 128;
/** What no name of a kernel is: the lambda's row and column, and a column where so many bits start. */
const [ROW, COLUMN, START] = ["row of a fragment", "column of a fragment", "start in a fragment"];
const SUMS: ReadonlySet<string> = new Set(["f32", "i32"]);

export class Fragments {
  readonly #code: Code;
  readonly #sizes: Sizes;
  readonly #expressions: Expressions;
  readonly #declared = new Map<string, Declared>();

  constructor(code: Code, sizes: Sizes, expressions: Expressions) {
    this.#code = code;
    this.#sizes = sizes;
    this.#expressions = expressions;
    sizes.names.set(ROW, this.#symbol("row", 1));
    sizes.names.set(COLUMN, this.#symbol("column", 1));
  }

  statement(s: FragmentStmt): void {
    const code = this.#code;
    switch (s.kind) {
      case "fragment": this.#declare(s); return;
      case "fragment_fill": {
        const { dtype } = this.#of(s.fragment);
        const value = dtype === "i32" || dtype === "i8" ? `(${STORAGE_TYPE[dtype]})${literal("i32", s.value)}` : dtype === "f32" ? literal("f32", s.value) : `${dtype}_of_f32(${literal("f32", s.value)})`;
        code.line(`load_fragment(${code.name(s.fragment)}, [](int, int) { return ${value}; });`);
        return;
      }
      case "fragment_mma": code.line(`mma(${[s.d, s.a, s.b].map(f => code.name(f)).join(", ")});`); return;
      case "fragment_load": {
        const home = this.#expressions.memory(s.buffer);
        const { dtype, role } = this.#of(s.fragment);
        if (home.buffer.dtype !== dtype) throw new InternalError(`fragment ${s.fragment} of ${dtype} is loaded from ${s.buffer}, which is ${home.buffer.dtype}`);
        code.group(() => {
          const index = s.index.map(e => this.#offset(e));
          const isTurned = (s.order === "row") !== (role === "a");
          const elements = ROW_BITS / DTYPES[dtype].bits;
          this.#sizes.names.set(START, this.#symbol("column", elements));
          const starts = this.#place(home, index, [ROW, START]);
          if (role !== "accumulator" && home.buffer.space === "shared" && (!isTurned || DTYPES[dtype].bits === 16) && starts.multipleOf(0) % elements === 0) {
            code.line(`load_fragment_rows<${isTurned}>(${code.name(s.fragment)}, [&](int row, int column) { return &${home.base}[${starts.at(0)}]; });`);
            return;
          }
          const place = this.#place(home, index, s.order === "row" ? [ROW, COLUMN] : [COLUMN, ROW]);
          code.line(`load_fragment(${code.name(s.fragment)}, [&](int row, int column) { return ${home.base}[${place.at(0)}]; });`);
        });
        return;
      }
      case "fragment_store": {
        const home = this.#expressions.memory(s.buffer);
        const { dtype, role } = this.#of(s.fragment);
        if (role !== "accumulator") throw new InternalError(`fragment ${s.fragment} is stored and is no accumulator`);
        code.group(() => {
          const place = this.#place(home, s.index.map(e => this.#offset(e)), [ROW, COLUMN]);
          code.block(`store_fragment(${code.name(s.fragment)}, [&](int row, int column, ${STORAGE_TYPE[dtype]} value)`, () => storeLanes(code, home, place, ["value"]), "});");
        });
        return;
      }
    }
  }

  #declare(s: Declared): void {
    const { role, dtype, m, n, k } = s;
    const depth = dtype === "i8" ? 32 : dtype === "f32" ? 8 : 16;
    const fits = role === "accumulator" ? SUMS.has(dtype) && m % 16 === 0 && n % 8 === 0 : FACTORS.has(dtype) && k % depth === 0 && (role === "a" ? m % 16 : n % 8) === 0;
    if (!fits) throw new InternalError(`no fragment ${role} of ${dtype} ${m} by ${n} by ${k} on CUDA`);
    const [name, rows, columns] = role === "a" ? ["FragmentA", m, k] : role === "b" ? ["FragmentB", k, n] : ["Accumulator", m, n];
    this.#declared.set(s.name, s);
    this.#code.declare(`${name}<${STORAGE_TYPE[dtype]}, ${rows}, ${columns}> ${this.#code.name(s.name)};`);
  }
  #of(fragment: string): Declared {
    const declared = this.#declared.get(fragment);
    if (!declared) throw new InternalError(`no fragment ${fragment}`);
    return declared;
  }

  #symbol(text: string, multipleOf: number): SizeName<Variable> {
    return { kind: "variable", text, bits: 32, range: { min: 0, max: 255 }, multipleOf };
  }
  /** Where an element lies whose place along the last two axes the lambda is told in these names. */
  #place(home: Home, index: readonly Size[], along: readonly [string, string]): Place {
    const outer = index.length - 2;
    const at = index.map((size, axis): Expr => ({ kind: "size", size: axis < outer ? size : addSize(size, dimSize(along[axis - outer]!)) }));
    return placeOf(this.#sizes, home.buffer, at, e => this.#expressions.scalar(e));
  }
  /** Data is held before the lambda. */
  #offset(e: Expr): Size {
    const size = indexSize(withNames(this.#sizes, e));
    if (size !== undefined) return this.#sizes.resolve(size);
    const name = this.#code.held(SCALAR_TYPE.i32, this.#expressions.scalar(e), "t");
    this.#sizes.names.set(name, { kind: "variable", text: name, bits: 32, range: I32, multipleOf: 1 });
    return dimSize(name);
  }
}
