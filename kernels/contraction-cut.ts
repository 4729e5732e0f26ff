// How a matrix product is cut into tasks: by blocks of rows and columns, or along the one side that is long. It follows from
// the shapes and the machine alone.
import { type DimDecl, type Size, sizeRange } from "../compiler/base/sizes.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import type { SimdMachine } from "../compiler/kernel/machines.ts";
import type { Source } from "./fused.ts";
import { ceilDiv, ENOUGH_TASKS, lanesOf, registerDType } from "./simd.ts";

export interface Contraction {
  readonly batch: readonly Size[];
  readonly m: Size;
  readonly n: Size;
  readonly k: Size;
  /** [batch…, m, k], or [batch…, k, m] where `turned` says so: whichever has its last axis side by side in memory. */
  readonly a: Source;
  /** [batch…, k, n], or [batch…, n, k]. */
  readonly b: Source;
  readonly turned?: { readonly a: boolean; readonly b: boolean };
  readonly dtype: DType;
  /** Bounds of the dims in the sizes, by which symbolic sizes are told to be small. */
  readonly dims?: readonly DimDecl[];
}

/** Rows of a register tile of two vectors, which leaves registers for the operands. */
export const TILE_ROWS = { 16: 6, 32: 12 } as const;
/** Rows or columns up to here are few. */
const FEW = 4;

/** Rows and columns of a task, the largest first. Panels of b stay in the second cache, where a turned a has to fit beside them. */
const BLOCKS = [[528, 128], [528, 64], [264, 128], [264, 64], [132, 64], [48, 64], [24, 64]] as const;
const TURNED_BLOCKS = [[192, 128], [96, 128], [48, 128], [48, 64], [24, 64]] as const;

/** Of a task with few rows: enough to read b in long runs. */
const LEAST_COLUMNS = 128;
const MOST_COLUMNS = 512;

/** How c, or c with rows and columns exchanged, is cut into tasks of rows × columns. */
export interface Cut {
  readonly by: "panels" | "rows" | "columns";
  readonly rows: number;
  readonly columns: number;
  readonly exchanged: boolean;
}

export const isTurned = (c: Contraction, operand: "a" | "b"): boolean => c.turned?.[operand] ?? false;
/** The same product of the transposes: cᵀ = bᵀ·aᵀ. */
export const exchange = (c: Contraction): Contraction => ({ ...c, m: c.n, n: c.m, a: c.b, b: c.a, turned: { a: !isTurned(c, "b"), b: !isTurned(c, "a") } });

export const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

export function cutOf(machine: SimdMachine, c: Contraction): Cut {
  // A size that may be zero is not few, for there is no row or column to read in its place.
  const most = (s: Size): number => {
    const { min, max } = sizeRange(s, name => c.dims?.find(d => d.name === name) ?? { min: 0, max: Infinity });
    return typeof s === "number" || min > 0 ? max : Infinity;
  };
  const dtype = registerDType(c.dtype);
  const lanes = lanesOf(machine, dtype);
  const [m, n] = [most(c.m), most(c.n)];
  // The large operand is read along its memory: by vectors of k where that is its last axis, or of its rows or columns.
  if (n <= FEW && n <= m) return isTurned(c, "a") ? fewRows(exchange(c), n, true) : fewColumns(n, false);
  if (m <= FEW) return isTurned(c, "b") ? fewColumns(m, true) : fewRows(c, m, false);
  const blocks = (isTurned(c, "a") ? TURNED_BLOCKS.filter(([rows]) => rows % lanes === 0) : BLOCKS).map(([rows, columns]): Cut => ({
    by: "panels", exchanged: false, rows: Math.min(rows, roundUp(m, TILE_ROWS[machine.registers])), columns: Math.min(dtype === "f64" ? columns / 2 : columns, roundUp(n, 2 * lanes)),
  }));
  const images = c.batch.reduce<number>((p, s) => p * (typeof s === "number" ? s : 1), 1);
  return blocks.find(b => images * Math.ceil(m / b.rows) * Math.ceil(n / b.columns) >= ENOUGH_TASKS) ?? blocks.at(-1)!;
}
const fewColumns = (columns: number, exchanged: boolean): Cut => ({ by: "columns", rows: 16 * columnTile(columns), columns, exchanged });
function fewRows({ n }: Contraction, rows: number, exchanged: boolean): Cut {
  const wanted = typeof n === "number" ? roundUp(n / ENOUGH_TASKS, 16) : 0;
  return { by: "rows", rows, columns: Math.min(MOST_COLUMNS, Math.max(LEAST_COLUMNS, wanted)), exchanged };
}
/** Rows of a register tile over so many columns. */
export const columnTile = (columns: number): number => [8, 6, 4, 3][columns - 1]!;

const gridOf = ({ batch, m, n }: Contraction, { rows, columns }: Cut): Size[] => [...batch, ceilDiv(m, rows), ceilDiv(n, columns)];

/** Extents of the grid: the batch, then blocks of rows and of columns. */
export function contractionGrid(machine: SimdMachine, c: Contraction): Size[] {
  const cut = cutOf(machine, c);
  return gridOf(cut.exchanged ? exchange(c) : c, cut);
}
