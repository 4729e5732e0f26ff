// Matrix products for simd machines, batched: c[…, m, n] = Σ a[…, m, k]·b[…, k, n]. A task makes one block of c from panels
// of a and b that it packs in local memory, with a register tile of some rows by 2 vectors; few rows, or few columns, are
// made without packing. Floats accumulate by fma in the order of k, over blocks of at most PRODUCTS steps whose sums are added in
// their order; where columns are few, in as many partial sums as a vector has lanes. The order follows from shapes alone.
import { addSize, floorDivSize, maxSize, minSize, mulSize, type Size, sizeRange, subSize } from "../compiler/base/sizes.ts";
import { add, constant, eq, fma, ge, horizontal, index, lane, le, lt, mul, shuffle, splat } from "../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE, typeOf } from "../compiler/kernel/ir.ts";
import { isFloatScalar } from "../compiler/kernel/scalar.ts";
import type { KernelBuilder } from "./builder.ts";
import { columnTile, type Contraction, contractionGrid, type Cut, cutOf, exchange, isTurned, roundUp, TILE_ROWS } from "./contraction-cut.ts";
import type { Sink } from "./fused.ts";
import { ceilDiv, lanesOf, registerDType } from "./simd.ts";
import { forBlocks, PRODUCTS } from "./sums.ts";

/** Steps of k whose panels stay in the cache nearest to the registers. */
const DEPTH = PRODUCTS;

/** Elements between panels, so that the same row of many does not fall on the same lines of a cache. */
const PANEL_GAP = 64;

/** Writes grid and body: results go to the sink at [batch…, row, column], vectors along the columns. */
export function contractionKernel(k: KernelBuilder, c: Contraction, sink: Sink): void {
  const cut = cutOf(k.simd, c);
  const grid = contractionGrid(k.simd, c).map((extent, i) => k.grid(["rows", "columns"][i - c.batch.length] ?? "batch", extent));
  sink.open?.(k, grid);
  const first = { row: mulSize(grid.at(-2)!, cut.rows), column: mulSize(grid.at(-1)!, cut.columns) };
  new Product(k, cut.exchanged ? exchange(c) : c, cut, grid.slice(0, -2), first, sink).write();
  sink.close?.(k);
}

class Product {
  readonly #k: KernelBuilder;
  readonly #c: Contraction;
  readonly #cut: Cut;
  readonly #batch: readonly Size[];
  readonly #first: { readonly row: Size; readonly column: Size };
  readonly #sink: Sink;
  readonly #dtype: ReturnType<typeof registerDType>;
  readonly #lanes: number;
  readonly #tileRows: number;

  constructor(k: KernelBuilder, c: Contraction, cut: Cut, batch: readonly Size[], first: { row: Size; column: Size }, sink: Sink) {
    this.#k = k;
    this.#c = c;
    this.#cut = cut;
    this.#batch = batch;
    this.#first = first;
    this.#sink = sink;
    this.#dtype = registerDType(c.dtype);
    this.#lanes = lanesOf(k.simd, this.#dtype);
    this.#tileRows = TILE_ROWS[k.simd.registers];
  }

  write(): void {
    switch (this.#cut.by) {
      case "panels": this.#panels(); break;
      case "rows": this.#fewRows(); break;
      case "columns": this.#fewColumns(); break;
    }
  }

  /** Lanes run along the operand's last axis. */
  #a(row: Size, k: Size, lanes: number): Expr {
    return this.#c.a.read(this.#k, isTurned(this.#c, "a") ? [...this.#batch, k, row] : [...this.#batch, row, k], lanes);
  }
  #b(k: Size, column: Size, lanes: number): Expr {
    return this.#c.b.read(this.#k, isTurned(this.#c, "b") ? [...this.#batch, column, k] : [...this.#batch, k, column], lanes);
  }
  #put(row: Size, column: Size, value: Expr): void {
    if (!this.#cut.exchanged) {
      this.#sink.write(this.#k, [...this.#batch, row, column], value);
      return;
    }
    const held = this.#k.let_("sum", value);
    for (let l = 0; l < typeOf(held).lanes; l++) this.#sink.write(this.#k, [...this.#batch, addSize(column, l), row], lane(held, l));
  }
  #multiplyAdd(x: Expr, y: Expr, sum: Expr): Expr {
    return isFloatScalar(REGISTER_TYPE[this.#dtype]) ? fma(x, y, sum) : add(mul(x, y), sum);
  }
  get #zero(): Expr {
    return constant(REGISTER_TYPE[this.#dtype], 0);
  }

  /** Runs over the elements from `first` on, `most` at most and none beyond `end`: in steps while they fit, then one by one. */
  #steps(name: string, step: number, most: number, first: Size, end: Size, body: (i: Size, count: number) => void): void {
    const k = this.#k;
    const count = minSize(most, subSize(end, first));
    k.for_(name, ceilDiv(count, step), round => {
      const i = mulSize(round, step);
      const last = addSize(addSize(first, i), step);
      if (typeof count === "number" && count % step === 0) body(i, step);
      else {
        k.if_(le(index(last), index(end)), () => body(i, step), () => k.for_(name, step - 1, one => {
          k.if_(lt(index(addSize(addSize(first, i), one)), index(end)), () => body(addSize(i, one), 1));
        }));
      }
    });
  }

  /** Whether a float sum over so much of k is made in blocks. */
  #isLong(depth: Size, lanes = 1): boolean {
    if (!isFloatScalar(REGISTER_TYPE[this.#dtype])) return false;
    return sizeRange(depth, name => this.#c.dims?.find(d => d.name === name) ?? { min: 0, max: Infinity }).max > PRODUCTS * lanes;
  }

  /** How much of the count goes in whole steps, and whether some is left. */
  #parts(count: Size, step: number): { whole: Size; rest: boolean } {
    // The maximum changes nothing, but shows the verifier that what is left starts at 0 or later.
    const whole = mulSize(floorDivSize(maxSize(0, count), step), step);
    return { whole, rest: subSize(count, whole) !== 0 };
  }

  // ---- panels

  #panels(): void {
    const k = this.#k;
    const { m, n, k: depth } = this.#c;
    const { row, column } = this.#first;
    const { rows: mostRows, columns: mostColumns } = this.#cut;
    const tileRows = this.#tileRows;
    const width = 2 * this.#lanes;
    const step = typeof depth === "number" ? roundUp(Math.ceil(depth / Math.ceil(depth / DEPTH)), Math.max(4, this.#lanes)) : DEPTH;
    const rows = minSize(mostRows, subSize(m, row));
    const columns = minSize(mostColumns, subSize(n, column));
    const turned = isTurned(this.#c, "a");
    const once = typeof depth === "number" && depth <= step;
    const inPlace = once && !turned && this.#c.a.inMemory && this.#isNeverZero(m);
    const b = k.alloc("b_panels", this.#dtype, [mostColumns / width, step + PANEL_GAP / width, width], "local");
    const a = inPlace ? null : k.alloc("a_panel", this.#dtype, turned ? [step, mostRows] : [tileRows, step], "local");
    const sums = k.alloc("sums", this.#dtype, once ? [tileRows, width] : [mostRows, mostColumns], "local");
    // A sum of no products is 0.
    if (!once && !this.#isNeverZero(depth)) k.for_("i", mostRows, i => k.for_("j", mostColumns, j => k.store(sums, [i, j], this.#zero)));
    k.for_("part", ceilDiv(depth, step), part => {
      const from = mulSize(part, step);
      const count = once ? depth : minSize(step, subSize(depth, from));
      const tile = (left: Size, right: Size, readA: readonly ((i: Size) => Expr)[]): void => {
        const [firstRow, firstColumn] = [mulSize(left, tileRows), mulSize(right, width)];
        this.#tile(readA, (i, v) => k.load(b, [right, i, v * this.#lanes], this.#lanes), sums, once ? [0, 0] : [firstRow, firstColumn], count, once ? undefined : part);
        if (once) this.#putBlock(sums, addSize(row, firstRow), addSize(column, firstColumn), minSize(tileRows, subSize(rows, firstRow)), width);
      };
      const eachRow = (read: (r: number) => (i: Size) => Expr): ((i: Size) => Expr)[] => Array.from({ length: tileRows }, (_, r) => read(r));
      const eachPanel = (body: (right: Size) => void): void => k.for_("right", ceilDiv(columns, width), body);
      const eachTile = (body: (left: Size) => void): void => k.for_("left", ceilDiv(rows, tileRows), body);
      if (isTurned(this.#c, "b")) this.#turnB(b, from, count);
      else this.#packB(b, from, count);
      if (a && turned) {
        this.#packTurnedA(a, from, count, rows);
        eachPanel(right => eachTile(left => tile(left, right, eachRow(r => i => k.load(a, [i, addSize(mulSize(left, tileRows), r)])))));
        return;
      }
      // The rows of a tile stay in the nearest cache while all panels pass.
      eachTile(left => {
        const firstRow = addSize(row, mulSize(left, tileRows));
        if (a) this.#packA(a, from, step, firstRow);
        const readA = eachRow(r => {
          if (a) return i => k.load(a, [r, i]);
          // Beyond the last row, that one again.
          const at = k.index("row", index(minSize(addSize(firstRow, r), subSize(m, 1))));
          return i => this.#a(at, i, 1);
        });
        eachPanel(right => tile(left, right, readA));
      });
    });
    if (!once) this.#putBlock(sums, row, column, rows, mostColumns);
  }

  #isNeverZero(s: Size): boolean {
    return sizeRange(s, name => this.#c.dims?.find(d => d.name === name) ?? { min: 0, max: Infinity }).min > 0;
  }

  /** Results from the buffer, whose first is that of the row and column. */
  #putBlock(sums: Buffer, row: Size, column: Size, rows: Size, columns: number): void {
    const k = this.#k;
    k.for_("i", rows, i => this.#steps("j", this.#lanes, columns, column, this.#c.n, (j, lanes) => this.#put(addSize(row, i), addSize(column, j), k.load(sums, [i, j], lanes))));
  }

  /** Rows from `from` on, side by side in panels; zeros beyond the last column. */
  #packB(b: Buffer, from: Size, count: Size): void {
    const k = this.#k;
    const lanes = this.#lanes;
    const width = 2 * lanes;
    const { column } = this.#first;
    const { n } = this.#c;
    const columns = minSize(this.#cut.columns, subSize(n, column));
    k.for_("i", count, i => k.for_("panel", ceilDiv(columns, width), panel => {
      const at = addSize(column, mulSize(panel, width));
      const whole = (): void => { for (let v = 0; v < width; v += lanes) k.store(b, [panel, i, v], this.#b(addSize(from, i), addSize(at, v), lanes)); };
      if (typeof columns === "number" && columns % width === 0) whole();
      else {
        k.if_(le(index(addSize(at, width)), index(n)), whole, () => k.for_("j", width, j => {
          k.if_(lt(index(addSize(at, j)), index(n)), () => k.store(b, [panel, i, j], this.#b(addSize(from, i), addSize(at, j), 1)), () => k.store(b, [panel, i, j], this.#zero));
        }));
      }
    }));
  }

  /** The same panels from columns of which each lies side by side. */
  #turnB(b: Buffer, from: Size, count: Size): void {
    const k = this.#k;
    const lanes = this.#lanes;
    const { column } = this.#first;
    const { n } = this.#c;
    const { whole, rest } = this.#parts(count, lanes);
    k.for_("group", ceilDiv(minSize(this.#cut.columns, subSize(n, column)), 2 * lanes), panel => k.for_("v", 2, v => {
      const at = addSize(mulSize(panel, 2 * lanes), mulSize(v, lanes));
      const source = addSize(column, at);
      const put = (i: Size, j: Size, value: Expr): void => k.store(b, [panel, i, addSize(mulSize(v, lanes), j)], value);
      const one = (i: Size, j: Size): void => put(i, j, this.#b(addSize(from, i), addSize(source, j), 1));
      k.if_(le(index(addSize(source, lanes)), index(n)), () => {
        if (whole !== 0) {
          k.for_("i", whole, i => {
            const columns = Array.from({ length: lanes }, (_, j) => this.#b(addSize(from, i), addSize(source, j), lanes));
            transposed(columns).forEach((row, l) => put(addSize(i, l), 0, row));
          }, { step: lanes });
        }
        if (rest) k.for_("i", count, i => { for (let j = 0; j < lanes; j++) one(i, j); }, { from: whole });
      }, () => k.for_("j", lanes, j => {
        k.if_(lt(index(addSize(source, j)), index(n)), () => k.for_("i", count, i => one(i, j)), () => k.for_("i", count, i => put(i, j, this.#zero)));
      }));
    }));
  }

  /** Rows of a tile as they are, so that they are at constant distances; zeros beyond the last. */
  #packA(a: Buffer, from: Size, step: number, first: Size): void {
    const k = this.#k;
    const { m, k: depth } = this.#c;
    k.for_("r", this.#tileRows, r => {
      const row = addSize(first, r);
      k.if_(lt(index(row), index(m)), () => this.#steps("i", this.#lanes, step, from, depth, (i, lanes) => k.store(a, [r, i], this.#a(row, addSize(from, i), lanes))),
        () => k.for_("i", step, i => k.store(a, [r, i], this.#zero)));
    });
  }

  /** Steps of k as they are, all rows of the block side by side; zeros beyond the last. */
  #packTurnedA(a: Buffer, from: Size, count: Size, rows: Size): void {
    const k = this.#k;
    const { row } = this.#first;
    const { m } = this.#c;
    k.for_("i", count, i => {
      this.#steps("r", this.#lanes, this.#cut.rows, row, m, (r, lanes) => k.store(a, [i, r], this.#a(addSize(row, r), addSize(from, i), lanes)));
      if (typeof rows === "number" && rows % this.#tileRows === 0) return;
      const padded = mulSize(ceilDiv(rows, this.#tileRows), this.#tileRows);
      k.for_("r", this.#tileRows - 1, r => {
        const at = subSize(padded, addSize(r, 1));
        k.if_(ge(index(addSize(row, at)), index(m)), () => k.store(a, [i, at], this.#zero));
      });
    });
  }

  /** Makes a tile of sums at a place of their buffer: of all of k, or of a part of it, which is added to what is there. */
  #tile(a: readonly ((i: Size) => Expr)[], b: (i: Size, v: number) => Expr, sums: Buffer, [row, column]: readonly [Size, Size], count: Size, part: Size | undefined): void {
    const k = this.#k;
    const lanes = this.#lanes;
    const acc = k.tile("acc", this.#dtype, [this.#tileRows, 2], lanes);
    const each = (f: (r: Size, v: number, at: readonly Size[]) => void): void => k.unroll("r", this.#tileRows, r => {
      for (let v = 0; v < 2; v++) f(r, v, [addSize(row, r), addSize(column, v * lanes)]);
    });
    each((r, v) => k.store(acc, [r, v], 0));
    const multiply = (i: Size): void => {
      const columns = [0, 1].map(v => b(i, v));
      a.forEach((read, r) => {
        const value = splat(read(i), lanes);
        columns.forEach((vector, v) => k.store(acc, [r, v], this.#multiplyAdd(value, vector, k.load(acc, [r, v]))));
      });
    };
    const { whole, rest } = this.#parts(count, 4);
    if (whole !== 0) k.for_("i", whole, i => k.unroll("u", 4, u => multiply(addSize(i, u))), { step: 4 });
    if (rest) k.for_("i", count, multiply, { from: whole });
    const keep = (): void => each((r, v, at) => k.store(sums, at, k.load(acc, [r, v])));
    if (part === undefined) keep();
    else k.if_(eq(index(part), 0), keep, () => each((r, v, at) => k.store(sums, at, add(k.load(sums, at, lanes), k.load(acc, [r, v])))));
  }

  // ---- few rows: every element of b is read once, where it lies

  #fewRows(): void {
    const k = this.#k;
    const { m, n, k: depth } = this.#c;
    const { rows, columns } = this.#cut;
    const { column } = this.#first;
    const exact = m === rows;
    const together = rows <= 2 ? 4 : 2;
    const isBlocked = this.#isLong(depth);
    const sums = k.alloc("sums", this.#dtype, [rows, columns], "local");
    const own = isBlocked ? k.alloc("block_sums", this.#dtype, [rows, columns], "local") : sums;
    const clear = (b: Buffer): void => k.for_("r", rows, r => k.for_("j", columns, j => k.store(b, [r, j], this.#zero)));
    clear(sums);
    const count = minSize(columns, subSize(n, column));
    const { whole, rest } = this.#parts(count, this.#lanes);
    const multiply = (i: Size, steps: number): void => {
      const values = Array.from({ length: rows }, (_, r) => Array.from({ length: steps }, (__, s) => {
        const value = this.#a(exact ? r : minSize(r, subSize(m, 1)), addSize(i, s), 1);
        return [value, k.let_("a", splat(value, this.#lanes))] as const;
      }));
      const run = (j: Size, lanes: number): void => {
        const bs = Array.from({ length: steps }, (_, s) => this.#b(addSize(i, s), addSize(column, j), lanes));
        values.forEach((row, r) => {
          const sum = row.reduce<Expr>((total, [one, all], s) => this.#multiplyAdd(lanes === 1 ? one : all, bs[s]!, total), k.load(own, [r, j], lanes));
          k.store(own, [r, j], sum);
        });
      };
      if (whole !== 0) k.for_("j", whole, j => run(j, this.#lanes), { step: this.#lanes });
      if (rest) k.for_("j", count, j => run(j, 1), { from: whole });
    };
    const steps = (from: Size, most: Size): void => {
      const deep = this.#parts(most, together);
      if (deep.whole !== 0) k.for_("i", deep.whole, i => multiply(addSize(from, i), together), { step: together });
      if (deep.rest) k.for_("i", most, i => multiply(addSize(from, i), 1), { from: deep.whole });
    };
    if (isBlocked) {
      forBlocks(k, 0, depth, PRODUCTS, (from, most) => {
        clear(own);
        steps(from, most);
        k.for_("r", rows, r => k.for_("j", columns, j => k.store(sums, [r, j], add(k.load(sums, [r, j], this.#lanes), k.load(own, [r, j], this.#lanes))), { step: this.#lanes }));
      });
    } else steps(0, depth);
    for (let r = 0; r < rows; r++) {
      const put = (): void => this.#steps("j", this.#lanes, columns, column, n, (j, lanes) => this.#put(r, addSize(column, j), k.load(sums, [r, j], lanes)));
      if (exact) put();
      else k.if_(lt(index(r), index(m)), put);
    }
  }

  // ---- few columns: every element of a is read once, where it lies, against columns turned into rows

  #fewColumns(): void {
    const k = this.#k;
    const { m, n, k: depth } = this.#c;
    const { rows: mostRows, columns } = this.#cut;
    const { row } = this.#first;
    const exact = n === columns;
    const turned = k.alloc("columns_of_b", this.#dtype, [columns, depth], "local");
    k.for_("i", depth, i => {
      for (let j = 0; j < columns; j++) k.store(turned, [j, i], this.#b(i, exact ? j : minSize(j, subSize(n, 1)), 1));
    });
    const { whole, rest: hasRest } = this.#parts(depth, this.#lanes);
    const isBlocked = this.#isLong(depth, this.#lanes);
    const product = (at: Size, rows: number): void => {
      const acc = k.tile("acc", this.#dtype, [rows, columns], this.#lanes);
      const rest = k.tile("rest", this.#dtype, [rows, columns]);
      for (let r = 0; r < rows; r++) for (let j = 0; j < columns; j++) for (const t of hasRest ? [acc, rest] : [acc]) k.store(t, [r, j], 0);
      const multiply = (into: Buffer, i: Size, lanes: number): void => {
        const bs = Array.from({ length: columns }, (_, j) => k.load(turned, [j, i], lanes));
        for (let r = 0; r < rows; r++) {
          const value = this.#a(addSize(at, r), i, lanes);
          bs.forEach((b, j) => k.store(into, [r, j], this.#multiplyAdd(value, b, k.load(into, [r, j]))));
        }
      };
      const each = (body: (r: number, j: number) => void): void => { for (let r = 0; r < rows; r++) for (let j = 0; j < columns; j++) body(r, j); };
      if (isBlocked) {
        // Lanes are summed in blocks of their own, each as long as a block of one lane.
        const total = k.tile("total", this.#dtype, [rows, columns], this.#lanes);
        each((r, j) => k.store(total, [r, j], 0));
        forBlocks(k, 0, floorDivSize(depth, this.#lanes), PRODUCTS, (from, count) => {
          each((r, j) => k.store(acc, [r, j], 0));
          k.for_("i", count, i => multiply(acc, mulSize(addSize(from, i), this.#lanes), this.#lanes));
          each((r, j) => k.store(total, [r, j], add(k.load(total, [r, j]), k.load(acc, [r, j]))));
        });
        each((r, j) => k.store(acc, [r, j], k.load(total, [r, j])));
      } else if (whole !== 0) k.for_("i", whole, i => multiply(acc, i, this.#lanes), { step: this.#lanes });
      if (hasRest) k.for_("i", depth, i => multiply(rest, i, 1), { from: whole });
      const total = (r: number, j: number): Expr => {
        const sum = horizontal("add", k.load(acc, [r, j]));
        return hasRest ? add(sum, k.load(rest, [r, j])) : sum;
      };
      for (let j = 0; j < columns; j++) {
        const put = (): void => { for (let r = 0; r < rows; r++) this.#put(addSize(at, r), j, total(r, j)); };
        if (exact) put();
        else k.if_(lt(index(j), index(n)), put);
      }
    };
    this.#steps("r", columnTile(columns), mostRows, row, m, (r, count) => product(addSize(row, r), count));
  }
}

/** Rows from as many columns: four columns at a time in each run of four lanes, then those runs among each other. */
function transposed(columns: readonly Expr[]): Expr[] {
  const n = columns.length;
  const pick = (a: Expr, b: Expr, of: (lane: number) => number): Expr => shuffle(a, b, Array.from({ length: n }, (_, l) => of(l)));
  if (n === 2) return [[0, 2], [1, 3]].map(l => shuffle(columns[0]!, columns[1]!, l));
  const inRuns = (a: Expr, b: Expr, lanes: readonly number[]): Expr => pick(a, b, l => (l & ~3) + (lanes[l & 3]! & 3) + (lanes[l & 3]! < 4 ? 0 : n));
  const groups = Array.from({ length: n / 4 }, (_, g) => {
    const [a, b, c, d] = columns.slice(4 * g, 4 * g + 4) as [Expr, Expr, Expr, Expr];
    return [[0, 4, 1, 5], [2, 6, 3, 7]].flatMap(l => {
      const [left, right] = [inRuns(a, b, l), inRuns(c, d, l)];
      return [inRuns(left, right, [0, 1, 4, 5]), inRuns(left, right, [2, 3, 6, 7])];
    });
  });
  const rows: Expr[] = [];
  for (let r = 0; r < 4; r++) {
    let runs = groups.map(g => g[r]!);
    // Each round merges, run by run, the vectors of the first half with those of the second.
    for (let round = 1; round < runs.length; round *= 2) {
      runs = runs.slice(0, runs.length / 2).flatMap((a, i) => [0, 1].map(half =>
        pick(a, runs[i + runs.length / 2]!, l => (half * n) / 2 + (l >> 3) * 4 + (l & 3) + ((l >> 2) & 1) * n)));
    }
    runs.forEach((row, run) => (rows[4 * run + r] = row));
  }
  return rows;
}
