// Matrix products for workgroups, batched: c[…, m, n] = Σ a[…, m, k]·b[…, k, n]. Threads fetch panels of a and b into shared
// memory, the next while the present one is multiplied, and hold a tile of results each; of thin products, threads divide
// the depth of a result and add up in shared memory. The depth may be divided among workgroups as well: then each leaves a
// part, and adding the parts is left to a second kernel. Floats accumulate by fma, over blocks of at most PRODUCTS steps whose sums
// are added in their order; the order follows from shapes alone.
import { addSize, floorDivSize, minSize, modSize, mulSize, type Size, sizeRange, subSize } from "../../compiler/base/sizes.ts";
import { add, constant, eq, fma, index, lane, lt, mul } from "../../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE } from "../../compiler/kernel/ir.ts";
import { isFloatScalar } from "../../compiler/kernel/scalar.ts";
import type { KernelBuilder } from "../builder.ts";
import { type Contraction, exchange, isTurned } from "../contraction-cut.ts";
import type { Sink } from "../fused.ts";
import { ceilDiv, registerDType } from "../simd.ts";
import { forBlocks, PRODUCTS } from "../sums.ts";
import { ACROSS, ALONG, isAlongDepth, PANEL_PAD, type ProductTile, threadsOf, type WorkgroupCut, workgroupCut } from "./tile.ts";
import { allBelow, eachOwn, isWhole, overThreads } from "./workgroup.ts";

/** Writes grid, threads and body. Results go to the sink at [batch…, row, column]; where the depth is in parts, at [part, batch…, row, column]. */
export function workgroupContraction(k: KernelBuilder, c: Contraction, sink: Sink, cut: WorkgroupCut = workgroupCut(c)): void {
  const part = cut.parts > 1 ? k.grid("part", cut.parts) : null;
  const batch = c.batch.map(extent => k.grid("batch", extent));
  const dtype = registerDType(c.dtype);
  const zero = constant(REGISTER_TYPE[dtype], 0);
  // Parts are whole steps of any cut.
  const share = part === null ? c.k : mulSize(ceilDiv(c.k, cut.parts * STEP), STEP);
  const from = part === null ? 0 : minSize(mulSize(part, share), c.k);
  const product: Product = {
    k, sink, batch, dtype, zero, part, from,
    count: part === null ? c.k : minSize(share, subSize(c.k, from)),
    most: Math.ceil(Math.min(sizeRange(c.k, name => c.dims?.find(d => d.name === name) ?? { min: 0, max: Infinity }).max, 2 ** 31) / cut.parts),
    multiplyAdd: (x, y, sum) => (isFloatScalar(REGISTER_TYPE[dtype]) ? fma(x, y, sum) : add(mul(x, y), sum)),
  };
  if (cut.by === "tiles") tiles(product, c, cut.tile);
  else results(product, cut.exchanged ? exchange(c) : c, cut.columns, cut.exchanged);
}

/** Steps of k that a part is a multiple of. */
const STEP = 32;

interface Product {
  readonly k: KernelBuilder;
  readonly sink: Sink;
  readonly batch: readonly Size[];
  readonly dtype: ReturnType<typeof registerDType>;
  readonly zero: Expr;
  readonly part: Size | null;
  /** The first step of k of this part, and how many it has. */
  readonly from: Size;
  readonly count: Size;
  /** The most that there may be. */
  readonly most: number;
  multiplyAdd(x: Expr, y: Expr, sum: Expr): Expr;
}

/** Whether a thread's sums of so many steps are made in blocks: integers need none. */
const isLong = ({ dtype }: Product, steps: number): boolean => isFloatScalar(REGISTER_TYPE[dtype]) && steps > PRODUCTS;

const put = ({ k, sink, part, batch }: Product, row: Size, column: Size, value: Expr): void => sink.write(k, [...(part === null ? [] : [part]), ...batch, row, column], value);

// ---- tiles

function tiles(p: Product, c: Contraction, tile: ProductTile): void {
  const { k, dtype, from, count } = p;
  const threads = threadsOf(tile);
  const [i, j] = [k.grid("rows", ceilDiv(c.m, tile.rows)), k.grid("columns", ceilDiv(c.n, tile.columns))];
  const thread = k.thread("t", threads);
  p.sink.open?.(k, [...p.batch, i, j]);
  const [firstRow, firstColumn] = [mulSize(i, tile.rows), mulSize(j, tile.columns)];
  // Threads are neighbours along the columns of the result, so that their stores are.
  const across = tile.columns / tile.threadColumns;
  const [tx, ty] = [k.index("tx", index(modSize(thread, across))), k.index("ty", index(floorDivSize(thread, across)))];
  const a = panel(p, c, "a", tile.rows, tile.depth, threads, thread, firstRow);
  const b = panel(p, c, "b", tile.columns, tile.depth, threads, thread, firstColumn);
  const acc = k.tile("acc", dtype, [tile.threadRows, tile.threadColumns]);
  const eachResult = (body: (r: Size, s: Size) => void): void => k.unroll("r", tile.threadRows, r => k.unroll("s", tile.threadColumns, s => body(r, s)));
  eachResult((r, s) => k.store(acc, [r, s], p.zero));
  const rounds = ceilDiv(count, tile.depth);
  const fetch = (round: Size): void => {
    const first = addSize(from, mulSize(round, tile.depth));
    for (const side of [a, b]) side.fetch(first);
  };
  fetch(0);
  const multiply = (round: Size): void => {
    const which = k.index("which", index(modSize(round, 2)));
    for (const side of [a, b]) side.put(which);
    k.barrier();
    k.if_(lt(index(addSize(round, 1)), index(rounds)), () => fetch(addSize(round, 1)));
    k.for_("d", tile.depth, d => {
      const lanes = Math.min(4, tile.threadRows);
      const rows = Array.from({ length: tile.threadRows / lanes }, (_, v) => k.load(a.panel, [which, d, addSize(mulSize(ty, tile.threadRows), v * lanes)], lanes));
      const columns = Array.from({ length: tile.threadColumns }, (_, s) => k.load(b.panel, [which, d, addSize(tx, s * across)]));
      for (let r = 0; r < tile.threadRows; r++) {
        const x = lane(rows[Math.floor(r / lanes)]!, r % lanes);
        columns.forEach((y, s) => k.store(acc, [r, s], p.multiplyAdd(x, y, k.load(acc, [r, s]))));
      }
    });
  };
  if (isLong(p, p.most)) {
    // Touched once a block, so that registers need not be spent on them.
    const total = k.alloc("total", dtype, [tile.threadRows, tile.threadColumns], "local");
    eachResult((r, s) => k.store(total, [r, s], p.zero));
    forBlocks(k, 0, rounds, PRODUCTS / tile.depth, (from, some) => {
      eachResult((r, s) => k.store(acc, [r, s], p.zero));
      k.for_("round", some, round => multiply(addSize(from, round)));
      eachResult((r, s) => k.store(total, [r, s], add(k.load(total, [r, s]), k.load(acc, [r, s]))));
    });
    eachResult((r, s) => k.store(acc, [r, s], k.load(total, [r, s])));
  } else k.for_("round", rounds, multiply);
  eachResult((r, s) => {
    const row = k.index("row", index(addSize(firstRow, addSize(mulSize(ty, tile.threadRows), r))));
    const column = k.index("column", index(addSize(firstColumn, addSize(tx, mulSize(s, across)))));
    k.if_(allBelow([row, c.m, isWhole(c.m, tile.rows)], [column, c.n, isWhole(c.n, tile.columns)]), () => put(p, row, column, k.load(acc, [r, s])));
  });
  p.sink.close?.(k);
}

/** Steps of k of one operand, [which, step, row or column]: fetched into registers, and put into shared memory from there. */
function panel({ k, batch, dtype, zero, part }: Product, c: Contraction, operand: "a" | "b", side: number, depth: number, threads: number, thread: Size, first: Size) {
  const shared = k.alloc(`${operand}_panel`, dtype, [2, depth, side + PANEL_PAD], "shared");
  const own = k.tile(`${operand}_next`, dtype, [(side * depth) / threads]);
  const extent = operand === "a" ? c.m : c.n;
  // Neighbouring threads fetch neighbours in memory.
  const alongDepth = (operand === "a") !== isTurned(c, operand);
  const each = (body: (step: Size, at: Size, number: Size) => void): void =>
    eachOwn(k, thread, threads, side * depth, alongDepth ? depth : side, (outer, inner, number) => (alongDepth ? body(inner, outer, number) : body(outer, inner, number)));
  const source = c[operand];
  return {
    panel: shared,
    fetch: (from: Size): void => each((step, at, number) => {
      const [d, x] = [addSize(from, step), addSize(first, at)];
      k.if_(allBelow([d, c.k, part === null && isWhole(c.k, depth)], [x, extent, isWhole(extent, side)]),
        () => k.store(own, [number], source.read(k, alongDepth ? [...batch, x, d] : [...batch, d, x], 1)), () => k.store(own, [number], zero));
    }),
    put: (which: Size): void => each((step, at, number) => k.store(shared, [which, step, at], k.load(own, [number]))),
  };
}

// ---- few columns: every element of a is read once, where it lies

function results(p: Product, c: Contraction, columns: number, exchanged: boolean): void {
  const { k, dtype, from, count } = p;
  const alongDepth = isAlongDepth(c);
  const [perGroup, share] = alongDepth ? [ACROSS, ALONG] : [ALONG, ACROSS];
  const block = k.grid("rows", ceilDiv(c.m, perGroup));
  const thread = k.thread("t", ALONG * ACROSS);
  p.sink.open?.(k, [...p.batch, block]);
  const [along, across] = [k.index("along", index(modSize(thread, ALONG))), k.index("across", index(floorDivSize(thread, ALONG)))];
  const [own, position] = alongDepth ? [across, along] : [along, across];
  const row = k.index("row", index(addSize(mulSize(block, perGroup), own)));
  const isInside = allBelow([row, c.m, isWhole(c.m, perGroup)]);
  const exact = c.n === columns;
  const sums = k.alloc("sums", dtype, [columns, perGroup, share], "shared");
  const acc = k.tile("acc", dtype, [columns]);
  const eachColumn = (body: (j: Size) => void): void => k.unroll("j", columns, body);
  eachColumn(j => k.store(acc, [j], p.zero));
  const multiply = (d: Size): void => {
    const x = k.let_("x", c.a.read(k, isTurned(c, "a") ? [...p.batch, d, row] : [...p.batch, row, d], 1));
    eachColumn(j => {
      // Beyond the last column, that one again.
      const column = exact ? j : minSize(j, subSize(c.n, 1));
      k.store(acc, [j], p.multiplyAdd(x, c.b.read(k, isTurned(c, "b") ? [...p.batch, column, d] : [...p.batch, d, column], 1), k.load(acc, [j])));
    });
  };
  k.if_(isInside, () => {
    if (isLong(p, p.most / share)) {
      const total = k.tile("total", dtype, [columns]);
      eachColumn(j => k.store(total, [j], p.zero));
      forBlocks(k, from, count, PRODUCTS * share, (start, some) => {
        eachColumn(j => k.store(acc, [j], p.zero));
        k.for_("i", some, i => multiply(addSize(start, i)), { from: position, step: share });
        eachColumn(j => k.store(total, [j], add(k.load(total, [j]), k.load(acc, [j]))));
      });
      eachColumn(j => k.store(acc, [j], k.load(total, [j])));
    } else k.for_("i", count, i => multiply(addSize(from, i)), { from: position, step: share });
  });
  const at = (j: Size, of: Size): [Buffer, Size[]] => [sums, [j, own, of]];
  eachColumn(j => k.store(...at(j, position), k.load(acc, [j])));
  overThreads(k, position, share, other => eachColumn(j => k.store(...at(j, position), add(k.load(...at(j, position)), k.load(...at(j, other))))));
  k.if_(eq(index(position), 0), () => k.if_(isInside, () => eachColumn(j => {
    const write = (): void => {
      const sum = k.load(...at(j, 0));
      if (exchanged) put(p, j, row, sum);
      else put(p, row, j, sum);
    };
    if (exact) write();
    else k.if_(lt(index(j), index(c.n)), write);
  })));
  p.sink.close?.(k);
}
