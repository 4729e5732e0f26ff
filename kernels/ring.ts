// Rows of an image in local memory as convolutions need them: as many as a window spans, one slot for each, with zeros
// where the window reaches beyond the image. The slot of a row is its number modulo the slots.
import { InternalError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { addSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size, sizeText, subSize } from "../compiler/base/sizes.ts";
import type { ConvAttrs } from "../compiler/graph/graph.ts";
import { and, constant, eq, ge, index, lt } from "../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";
import type { Source } from "./fused.ts";
import { ceilDiv, eachPart, eachRun, goesInRuns, lanesOf, lanesUpTo, overhang } from "./simd.ts";

export function constantSize(s: Size): number {
  if (typeof s !== "number") throw new InternalError(`${sizeText(s)} must be constant in a convolution`);
  return s;
}

/** Rows that wait in local memory for a window to be complete. They come in groups of `stride`, each completing one window
 *  but for the first `warm`. */
export interface Ring {
  readonly buffer: Buffer;
  readonly slots: number;
  readonly warm: number;
  readonly stride: number;
  readonly channels: number;
  readonly columns: Size;
}

export interface Window {
  readonly attrs: ConvAttrs;
  /** Of the filter. */
  readonly size: readonly [number, number];
  readonly spread: readonly [number, number];
  readonly input: readonly Size[];
  readonly dtype: DType;
}

/** The first column of x under a column of windows. */
export const firstUnder = ({ stride, padding }: ConvAttrs, column: Size): Size => subSize(mulSize(column, stride[1]), padding[1][0]);

/** A ring for what lies under so many columns of windows, or for all of x. Where rows go on into planes, its buffer holds one row. */
export function allocRing(k: KernelBuilder, w: Window, windows: Size, all: boolean, planes: boolean): Ring {
  const { attrs, size, spread, input } = w;
  const [strideY, strideX] = attrs.stride;
  const span = attrs.dilation[0] * (size[0] - 1) + 1;
  const warm = Math.ceil(span / strideY) - 1;
  const slots = (warm + 1) * strideY;
  const channels = constantSize(input[3]!);
  const reached = addSize(mulSize(windows, strideX), attrs.dilation[1] * (size[1] - 1));
  const columns = all ? maxSize(reached, subSize(addSize(mulSize(subSize(input[2]!, 1), spread[1]), 1), firstUnder(attrs, 0))) : reached;
  const length = addSize(mulSize(columns, channels), planes ? overhang(channels, lanesUpTo(channels, k.simd, w.dtype)) : 0);
  const buffer = k.alloc("ring", w.dtype, [planes ? 1 : slots, length], "local");
  return { buffer, slots, warm, stride: strideY, channels, columns };
}

/** Puts zeros into elements of the slot: whole vectors, and then one by one. */
function clear(k: KernelBuilder, { buffer }: Ring, slot: Size, from: Size, to: Size): void {
  const lanes = lanesOf(k.simd, buffer.dtype);
  const zero = (count: number): Expr => constant(REGISTER_TYPE[buffer.dtype], 0, count);
  const whole = addSize(from, mulSize(floorDivSize(maxSize(0, subSize(to, from)), lanes), lanes));
  k.for_("i", whole, i => k.store(buffer, [slot, i], zero(lanes)), { from, step: lanes });
  k.for_("i", to, i => k.store(buffer, [slot, i], zero(1)), { from: whole });
}
const lengthOf = ({ buffer }: Ring): Size => buffer.shape[1]!;

/** The columns of x that a ring from column `start` on takes. */
const columnsOf = (ring: Ring, w: Window, start: Size): { readonly from: Size; readonly to: Size } =>
  ({ from: maxSize(0, start), to: minSize(addSize(start, ring.columns), w.input[2]!) });

/** Puts zeros into all slots where no column of x will be, if the ring begins at column `start`. */
export function clearEdges(k: KernelBuilder, ring: Ring, w: Window, start: Size): void {
  const { from, to } = columnsOf(ring, w, start);
  k.for_("slot", ring.buffer.shape[0]!, slot => {
    if (w.spread[1] > 1) clear(k, ring, slot, 0, lengthOf(ring));
    else {
      clear(k, ring, slot, 0, mulSize(subSize(from, start), ring.channels));
      clear(k, ring, slot, mulSize(maxSize(0, subSize(to, start)), ring.channels), lengthOf(ring));
    }
  });
}

/** The slot of row `row` of the window that the group completes. */
export const windowSlot = (k: KernelBuilder, ring: Ring, group: Size, row: number): Size =>
  k.index("row", index(modSize(addSize(mulSize(group, ring.stride), ring.stride + row), ring.slots)));

/** Puts zeros into the slot. */
export const clearRow = (k: KernelBuilder, ring: Ring, slot: Size): void => clear(k, ring, slot, 0, lengthOf(ring));

/** Puts a row of image n of the source into the slot, from the column on; zeros where there is none. Rows that are spread go whole. */
export function copyRow(k: KernelBuilder, ring: Ring, w: Window, source: Source, { n, row, column }: { readonly n: Size; readonly row: Size; readonly column: Size }, slot: Size): void {
  const [spreadY, spreadX] = w.spread;
  const { channels } = ring;
  const lanes = lanesOf(k.simd, w.dtype);
  const y = k.index("y", index(floorDivSize(row, spreadY)));
  let inside = and(ge(index(y), 0), lt(index(y), index(w.input[1]!)));
  if (spreadY > 1) inside = and(inside, eq(index(modSize(row, spreadY)), 0));
  const { from, to } = spreadX > 1 ? { from: maxSize(0, ceilDiv(column, spreadX)), to: w.input[2]! } : columnsOf(ring, w, column);
  const { readRun } = source;
  k.if_(inside, () => {
    if (readRun && goesInRuns(channels) && spreadX === 1) {
      const at = (x: Size, c: number): Size => addSize(mulSize(subSize(addSize(from, x), column), channels), c);
      eachRun(k, subSize(to, from), channels, lanes, (x, c) => k.store(ring.buffer, [slot, at(x, c)], readRun(k, [n, y], addSize(from, x), c, lanes)),
        x => k.store(ring.buffer, [slot, at(x, 0)], source.read(k, [n, y, addSize(from, x), 0], channels)));
      return;
    }
    k.for_("x", to, x => {
      const at = mulSize(subSize(mulSize(x, spreadX), column), channels);
      eachPart(k, channels, lanes, (c, count) => k.store(ring.buffer, [slot, addSize(at, c)], source.read(k, [n, y, x, c], count)));
    }, { from });
  }, () => clearRow(k, ring, slot));
}
