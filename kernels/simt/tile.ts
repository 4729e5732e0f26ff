// How a matrix product is cut for workgroups: into tiles that share panels of a and b, or, where one side is thin, by
// results whose depth is divided among threads; and whether the depth is divided among workgroups too. It follows from the
// shapes alone. A tile is a plain record, and `legalTiles` lists all of them.
import { type Size, sizeRange } from "../../compiler/base/sizes.ts";
import { type Contraction, exchange } from "../contraction-cut.ts";
import { registerDType } from "../simd.ts";

/** A workgroup makes rows × columns results, `depth` steps of k at a time; a thread threadRows × threadColumns of them. */
export interface ProductTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly threadRows: number;
  readonly threadColumns: number;
}

export type WorkgroupCut =
  | { readonly by: "tiles"; readonly tile: ProductTile; readonly parts: number }
  /** Of the product, or of its exchange, whose columns are few: so many. */
  | { readonly by: "results"; readonly columns: number; readonly exchanged: boolean; readonly parts: number };

/** Threads of a workgroup at most, and bytes that it shares: what the least of devices has. */
export const MOST_THREADS = 256;
export const MOST_SHARED = 16384;
/** Elements between rows of a panel, against conflicts of banks; a vector of four stays aligned. */
export const PANEL_PAD = 4;
/** Rows or columns up to here are few. */
const FEW = 4;
/** Of a thin product: threads along the long operand's memory, and across it. */
export const ALONG = 32;
export const ACROSS = 8;
/** Workgroups that keep a large device busy, and parts of the depth at most. */
const ENOUGH_WORKGROUPS = 128;
const MOST_PARTS = 32;
/** Steps of k that a part has at least. */
const LEAST_PART = 256;

export const threadsOf = ({ rows, columns, threadRows, threadColumns }: ProductTile): number => (rows / threadRows) * (columns / threadColumns);
/** Two panels of each operand: one is filled while the other is read. */
export const sharedBytes = ({ rows, columns, depth }: ProductTile, elementBytes: number): number => 2 * depth * (rows + columns + 2 * PANEL_PAD) * elementBytes;

function isLegal(t: ProductTile): boolean {
  const threads = threadsOf(t);
  // Each thread fetches equally many elements of either panel, whichever way it lies.
  const fetches = [t.rows, t.columns].every(side => (side * t.depth) % threads === 0 && threads % side === 0);
  return threads >= 32 && threads <= MOST_THREADS && fetches && threads % t.depth === 0;
}
/** From the largest to the smallest. */
export function legalTiles(elementBytes: number): ProductTile[] {
  const sides = [128, 64, 32, 16];
  const perThread = [8, 4, 2];
  const tiles = sides.flatMap(rows => sides.flatMap(columns => [16, 8].flatMap(depth => perThread.flatMap(threadRows => perThread.map((threadColumns): ProductTile => ({ rows, columns, depth, threadRows, threadColumns }))))));
  return tiles.filter(t => isLegal(t) && sharedBytes(t, elementBytes) <= MOST_SHARED).sort((a, b) => b.rows * b.columns - a.rows * a.columns || b.depth - a.depth);
}

/** The sizes that are tried, with the results of a thread: as many as keep its operands' loads few and its registers below 128. */
const PREFERRED: readonly ProductTile[] = [
  { rows: 128, columns: 64, depth: 8, threadRows: 8, threadColumns: 4 },
  { rows: 64, columns: 64, depth: 8, threadRows: 4, threadColumns: 4 },
  { rows: 32, columns: 32, depth: 16, threadRows: 4, threadColumns: 2 },
  { rows: 16, columns: 16, depth: 16, threadRows: 2, threadColumns: 2 },
];

export const bytesOfElement = (c: Contraction): number => (registerDType(c.dtype) === "f64" ? 8 : 4);

export function workgroupCut(c: Contraction): WorkgroupCut {
  const range = (s: Size) => sizeRange(s, name => c.dims?.find(d => d.name === name) ?? { min: 0, max: Infinity });
  // A size that may be zero is not few, for there is no row or column to read in its place.
  const most = (s: Size): number => (range(s).min > 0 ? range(s).max : Infinity);
  const [m, n, depth] = [most(c.m), most(c.n), range(c.k).max];
  const images = c.batch.reduce<number>((p, s) => p * Math.max(1, range(s).max), 1);
  if (Math.min(m, n) <= FEW) {
    const exchanged = n > m;
    const { m: rows } = exchanged ? exchange(c) : c;
    const perGroup = isAlongDepth(exchanged ? exchange(c) : c) ? ACROSS : ALONG;
    return { by: "results", columns: Math.min(m, n), exchanged, parts: partsFor(images * Math.ceil(range(rows).max / perGroup), depth) };
  }
  // What a size may be is not what it will be: where it is not known, the largest tile is too much of a bet.
  const isKnown = typeof c.m === "number" && typeof c.n === "number";
  const tiles = PREFERRED.slice(isKnown ? 0 : 1).filter(t => sharedBytes(t, bytesOfElement(c)) <= MOST_SHARED);
  const groups = (t: ProductTile): number => images * Math.ceil(m / t.rows) * Math.ceil(n / t.columns);
  // Beyond what the sides ask for, a tile is empty; below what the device asks for, some of it is idle.
  const fitting = tiles.filter(t => t.rows < 2 * m && t.columns < 2 * n);
  const tile = fitting.find(t => groups(t) >= ENOUGH_WORKGROUPS) ?? fitting.at(-1) ?? tiles.at(-1)!;
  return { by: "tiles", tile, parts: partsFor(groups(tile), depth) };
}

/** Whether threads gain by sharing operands: not of outer products, nor of a few products to few results. */
export function isWorthSharing(c: Contraction): boolean {
  const [m, n, depth] = [c.m, c.n, c.k].map(s => sizeRange(s, name => c.dims?.find(d => d.name === name)).max) as [number, number, number];
  return depth > FEW && (Math.max(m, n) > FEW || depth >= 2 * ALONG);
}

/** Whether the long operand's memory runs along the depth. */
export const isAlongDepth = (c: Contraction): boolean => c.turned?.a !== true;

/** How many workgroups share the depth of a result, where so many would do without. */
export function partsFor(workgroups: number, depth: number, least = LEAST_PART): number {
  if (!Number.isFinite(depth)) return 1;
  return Math.max(1, Math.min(MOST_PARTS, Math.floor(depth / least), Math.ceil(ENOUGH_WORKGROUPS / Math.max(1, workgroups))));
}
