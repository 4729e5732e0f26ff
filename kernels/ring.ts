// Rows of an image in local memory as convolutions need them: as many as a window spans, one slot for each, with zeros
// where the window reaches beyond the image. The slot of a row is its number modulo the slots.
import { InternalError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { addSize, floorDivSize, maxSize, modSize, mulSize, type Size, sizeText, subSize } from "../compiler/base/sizes.ts";
import type { ConvAttrs } from "../compiler/graph/graph.ts";
import { and, constant, eq, ge, index, lt } from "../compiler/kernel/expr.ts";
import { type Buffer, REGISTER_TYPE } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";
import type { Source } from "./fused.ts";
import { ceilDiv, eachRun, goesInRuns, lanesOf, lanesUpTo, overhang, restOf } from "./simd.ts";

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
  /** Columns of zeros before the first of x; negative where x is cropped. */
  readonly left: number;
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

/** A ring for rows whose windows are read in tiles of so many output columns; zero outside x. Where rows go on into planes, its
 *  buffer holds one row. */
export function allocRing(k: KernelBuilder, w: Window, outputColumns: Size, tile: number, planes: boolean): Ring {
  const { attrs, size, spread, input } = w;
  const [strideY, strideX] = attrs.stride;
  const span = attrs.dilation[0] * (size[0] - 1) + 1;
  const warm = Math.ceil(span / strideY) - 1;
  const slots = (warm + 1) * strideY;
  const channels = constantSize(input[3]!);
  const left = attrs.padding[1][0];
  const width = addSize(mulSize(subSize(input[2]!, 1), spread[1]), 1);
  const reached = addSize(mulSize(ceilDiv(outputColumns, tile), tile * strideX), attrs.dilation[1] * (size[1] - 1));
  const columns = maxSize(reached, addSize(width, left));
  const rows = planes ? 1 : slots;
  const length = addSize(mulSize(columns, channels), planes ? overhang(channels, lanesUpTo(channels, k.simd, w.dtype)) : 0);
  const buffer = k.alloc("ring", w.dtype, [rows, length], "local");
  const zero = constant(REGISTER_TYPE[w.dtype], 0);
  const clear = (slot: Size, from: Size, to: Size): void => k.for_("i", to, i => k.store(buffer, [slot, i], zero), { from });
  k.for_("slot", rows, slot => {
    if (spread[1] > 1) clear(slot, 0, length);
    else {
      if (left > 0) clear(slot, 0, left * channels);
      clear(slot, mulSize(addSize(width, left), channels), length);
    }
  });
  return { buffer, slots, warm, stride: strideY, channels, left, columns };
}

/** The slot of row `row` of the window that the group completes. */
export const windowSlot = (k: KernelBuilder, ring: Ring, group: Size, row: number): Size =>
  k.index("row", index(modSize(addSize(mulSize(group, ring.stride), ring.stride + row), ring.slots)));

/** Puts zeros into the slot, between the columns that are always zero. */
export function clearRow(k: KernelBuilder, ring: Ring, w: Window, slot: Size): void {
  const from = Math.max(0, ring.left);
  const width = addSize(mulSize(subSize(w.input[2]!, 1), w.spread[1]), 1 + ring.left);
  k.for_("i", mulSize(width, ring.channels), i => k.store(ring.buffer, [slot, i], constant(REGISTER_TYPE[w.dtype], 0)), { from: from * ring.channels });
}

/** Puts row `row` of image n of the source into the slot; zeros where there is none. */
export function copyRow(k: KernelBuilder, ring: Ring, w: Window, source: Source, n: Size, row: Size, slot: Size): void {
  const [spreadY, spreadX] = w.spread;
  const lanes = lanesOf(k.simd, w.dtype);
  const first = Math.max(0, Math.ceil(-ring.left / spreadX));
  const y = k.index("y", index(floorDivSize(row, spreadY)));
  let inside = and(ge(index(y), 0), lt(index(y), index(w.input[1]!)));
  if (spreadY > 1) inside = and(inside, eq(index(modSize(row, spreadY)), 0));
  const { readRun } = source;
  k.if_(inside, () => {
    if (readRun && goesInRuns(ring.channels) && spreadX === 1 && ring.left >= 0) {
      const to = (x: Size, c: number): Size => addSize(mulSize(addSize(x, ring.left), ring.channels), c);
      eachRun(k, w.input[2]!, ring.channels, lanes, (x, c) => k.store(ring.buffer, [slot, to(x, c)], readRun(k, [n, y], x, c, lanes)),
        x => k.store(ring.buffer, [slot, to(x, 0)], source.read(k, [n, y, x, 0], ring.channels)));
      return;
    }
    k.for_("x", w.input[2]!, x => {
      const at = mulSize(addSize(mulSize(x, spreadX), ring.left), ring.channels);
      const copy = (c: Size, count: number): void => k.store(ring.buffer, [slot, addSize(at, c)], source.read(k, [n, y, x, c], count));
      const whole = ring.channels - (ring.channels % lanes);
      if (whole > 0) k.for_("c", whole, c => copy(c, lanes), { step: lanes });
      for (const rest of restOf(ring.channels, lanes)) copy(rest.from, rest.lanes);
    }, { from: first });
  }, () => clearRow(k, ring, w, slot));
}
