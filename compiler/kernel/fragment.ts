// A matrix fragment as the interpreter holds it for a subgroup: NaN until it is filled or loaded.
import type { Stmt } from "./ir.ts";

type FragmentStmt = Stmt & { readonly kind: "fragment" };

export class Fragment {
  readonly rows: number;
  readonly columns: number;
  /** In row-major order. */
  readonly values: Float64Array;
  readonly #dtype: FragmentStmt["dtype"];

  constructor({ role, dtype, m, n, k }: FragmentStmt) {
    this.rows = role === "b" ? k : m;
    this.columns = role === "a" ? k : n;
    this.values = new Float64Array(this.rows * this.columns).fill(NaN);
    this.#dtype = dtype;
  }

  /** Adds a · b, in the order of the columns of a. Sums of i32 are exact and wrap; others round to f32 at every step. */
  addProduct(a: Fragment, b: Fragment): void {
    const round = this.#dtype === "i32" ? (x: number): number => x | 0 : Math.fround;
    for (let i = 0; i < this.rows; i++) {
      for (let j = 0; j < this.columns; j++) {
        let sum = this.values[i * this.columns + j]!;
        for (let k = 0; k < a.columns; k++) sum = round(sum + a.values[i * a.columns + k]! * b.values[k * b.columns + j]!);
        this.values[i * this.columns + j] = sum;
      }
    }
  }
}
