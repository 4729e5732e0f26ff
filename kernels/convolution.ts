// Convolutions for simd machines: direct, without im2col. A task makes a band of output rows of one image. Input rows go
// through a ring of zero-padded rows in local memory; a producer convolution's rows are computed when the ring needs them,
// finished pointwise and rolled the same way, to any depth. Two register tiles: vectors over output channels, or over
// input channels where there are few outputs; either makes pixels in pairs where that takes fewer products (winograd.ts).
// A band is made strip by strip of columns where rows are too long for the first cache; a chain makes whole rows, since what
// its producers would compute twice at the seams costs more.
// The order of every sum follows from the shapes alone.
import { InternalError } from "../compiler/base/diagnostics.ts";
import { addSize, floorDivSize, maxSize, minSize, modSize, mulSize, sameSize, type Size, subSize } from "../compiler/base/sizes.ts";
import type { ConvAttrs } from "../compiler/graph/graph.ts";
import { add, and, constant, eq, fma, ge, horizontal, index, lt, shuffle, splat, sub, vector } from "../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE, typeOf } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";
import { stripWidth, type Tile, tileOf } from "./convolution-tile.ts";
import type { Sink, Source } from "./fused.ts";
import { allocRing, clearEdges, clearRow, constantSize, copyRow, firstUnder, type Ring, type Window, windowSlot } from "./ring.ts";
import { ceilDiv, eachPart, eachRun, ENOUGH_TASKS, goesInRuns, lanesOf, lanesUpTo, registerDType, restOf } from "./simd.ts";
import { allocPlanes, fillPlanes, planeFilter, PLANES } from "./winograd.ts";

/** Where the rows of an input come from: a tensor [N, H, W, C], or another convolution in the same registers, finished pointwise. */
export type Rows =
  | { readonly source: Source }
  | { readonly convolution: Convolution; finish(k: KernelBuilder, at: readonly Size[], value: Expr): Expr };

export interface Convolution {
  readonly attrs: ConvAttrs;
  readonly x: Rows;
  /** [height, width, input channels of a group, output channels], all constant. */
  readonly filter: Source;
  /** Height and width of the result. */
  readonly output: readonly [Size, Size];
  /** Rows and columns of x stand this far apart, with zeros between. Of a source only; [1, 1] without it. */
  readonly spread?: readonly [number, number];
}

/** The result's shape. */
export const convolutionShape = (c: Convolution): Size[] => [inputShape(c)[0]!, ...c.output, constantSize(c.filter.shape[3]!)];
const inputShape = (c: Convolution): readonly Size[] => ("source" in c.x ? c.x.source.shape : convolutionShape(c.x.convolution));

/** High enough that a producer's rows at the seams, which are computed twice, are few; low enough to share out evenly. */
const BAND = 20;
/** Lower bands are not worth the rows at their seams. */
const LEAST_BAND = 4;

/** Output rows of a task. */
export function bandHeight(c: Convolution): number {
  const [height] = c.output;
  if (typeof height !== "number") return BAND;
  const [images] = inputShape(c);
  const wanted = Math.ceil(ENOUGH_TASKS / (typeof images === "number" ? images : 1));
  // Even bands, so that no worker waits for a longer one.
  return Math.ceil(height / Math.max(Math.ceil(height / BAND), Math.min(wanted, Math.ceil(height / LEAST_BAND))));
}

/** Extents of the grid: images and bands of output rows. */
export const convolutionGrid = (c: Convolution): Size[] => [inputShape(c)[0]!, ceilDiv(c.output[0], bandHeight(c))];

type Emit = (x: Size, channel: Size, value: Expr) => void;
/** Of elements of the row from `first` on, counted from pixel x. */
type EmitRun = (x: Size, first: number, value: Expr) => void;
/** Of so many pixels from x on. */
type EmitPixels = (x: Size, channel: Size, pixels: number, value: (pixel: Size) => Expr) => void;

/** Products of one row and column of the filter, for some or all pixels of a tile. */
interface Products {
  /** Which part of the packed filter. */
  readonly number: Size;
  readonly pixels: number;
  /** Row of the accumulators. */
  row(p: Size): Size;
  value(p: Size, lanes: number): Expr;
}

/** One convolution of the chain. */
class Stage {
  readonly window: Window;
  readonly ring: Ring;
  readonly #k: KernelBuilder;
  readonly #c: Convolution;
  readonly #tile: Tile;
  /** Columns of a strip. */
  readonly #span: Size;
  /** The first column of the strip, and of x in the ring. */
  #first: Size = 0;
  #start: Size = 0;
  readonly #groups: number;
  readonly #perGroup: number;
  readonly #outputs: number;
  readonly #blocks: number;
  readonly #packed: Buffer;
  readonly #results: Buffer;
  /** Of a tile in pairs. */
  readonly #planes: Buffer | null;
  /** A row of results that are finished in runs. */
  readonly #row: Buffer | null;

  constructor(k: KernelBuilder, c: Convolution, tile: Tile, span: Size, inRuns: boolean) {
    this.#k = k;
    this.#c = c;
    this.#tile = tile;
    this.#span = span;
    const [kh, kw, perGroup, outputs] = c.filter.shape.map(constantSize) as [number, number, number, number];
    const dtype = registerDType(c.filter.dtype);
    this.#groups = c.attrs.groups;
    this.#perGroup = perGroup;
    this.#outputs = outputs / c.attrs.groups;
    this.#blocks = tile.over === "inputs" ? 1 : Math.ceil(this.#outputs / (tile.width * tile.lanes));
    this.window = { attrs: c.attrs, size: [kh, kw], spread: c.spread ?? [1, 1], input: inputShape(c), dtype };
    const whole = mulSize(ceilDiv(span, tile.pixels), tile.pixels);
    this.ring = allocRing(k, this.window, whole, sameSize(span, c.output[1]), tile.paired);
    this.#planes = tile.paired ? allocPlanes(k, dtype, this.ring.slots, mulSize(ceilDiv(span, tile.pixels), tile.pixels / 2), this.ring.channels) : null;
    const steps = kh * this.#taps() * perGroup;
    const shape = tile.over === "inputs" ? [this.#groups, steps / tile.lanes, tile.width * tile.lanes] : [this.#groups * this.#blocks, steps, tile.width * tile.lanes];
    this.#packed = k.alloc("filter", dtype, shape, "local");
    this.#results = k.alloc("results", dtype, [tile.pixels, tile.over === "inputs" ? 4 : tile.width * tile.lanes], "local");
    const isRow = inRuns && tile.over === "inputs" && this.#groups === 1 && goesInRuns(outputs);
    // A pixel's results are stored as four.
    this.#row = isRow ? k.alloc("row", dtype, [addSize(mulSize(whole, outputs), 4 - outputs)], "local") : null;
    this.#pack();
  }

  /** Columns of the packed filter. */
  #taps(): number {
    return this.#tile.paired ? PLANES : this.window.size[1];
  }
  /** Of the strip that reach into the image. */
  #tiles(): Size {
    const { pixels } = this.#tile;
    return minSize(ceilDiv(this.#span, pixels), ceilDiv(subSize(this.#c.output[1], this.#first), pixels));
  }

  /** Begins the strip from the column on. Returns the first column of x that it takes. */
  begin(first: Size): Size {
    this.#first = first;
    this.#start = firstUnder(this.#c.attrs, first);
    clearEdges(this.#k, this.ring, this.window, this.#start);
    return maxSize(0, this.#start);
  }

  /** Has the row of x written from column `start` on, and puts it into the slot. */
  fill(slot: Size, write: (slot: Size, start: Size) => void): void {
    write(this.#planes ? 0 : slot, this.#start);
    if (this.#planes) fillPlanes(this.#k, this.#planes, slot, this.ring, mulSize(this.#tiles(), this.#tile.pixels / 2));
  }

  #pack(): void {
    const k = this.#k;
    const { filter } = this.#c;
    const { over, width, lanes, paired } = this.#tile;
    const perGroup = this.#perGroup;
    const taps = this.#taps();
    const each = (body: (g: Size, ky: Size, tap: Size, read: (c: Size, o: Size, n: number) => Expr) => void): void =>
      k.for_("g", this.#groups, g => k.for_("ky", this.window.size[0], ky => {
        if (!paired) k.for_("kx", taps, kx => body(g, ky, kx, (c, o, n) => filter.read(k, [ky, kx, c, o], n)));
        else for (let plane = 0; plane < taps; plane++) body(g, ky, plane, (c, o, n) => planeFilter(plane, kx => filter.read(k, [ky, kx, c, o], n)));
      }));
    each((g, ky, tap, read) => {
      const first = mulSize(addSize(mulSize(ky, taps), tap), perGroup);
      if (over === "inputs") {
        k.for_("c", perGroup / lanes, c => k.for_("o", width, o => {
          const items = Array.from({ length: lanes }, (_, l) => read(addSize(mulSize(c, lanes), l), addSize(mulSize(g, width), o), 1));
          k.store(this.#packed, [g, addSize(mulSize(addSize(mulSize(ky, taps), tap), perGroup / lanes), c), mulSize(o, lanes)], vector(items));
        }));
        return;
      }
      k.for_("c", perGroup, c => {
        const whole = Math.floor(this.#outputs / (width * lanes));
        const pack = (block: Size, o: number, n: number, value?: Expr): void => {
          const at = addSize(addSize(mulSize(g, this.#outputs), mulSize(block, width * lanes)), o);
          k.store(this.#packed, [addSize(mulSize(g, this.#blocks), block), addSize(first, c), o], value ?? read(c, at, n));
        };
        if (whole > 0) k.for_("block", whole, block => { for (let v = 0; v < width; v++) pack(block, v * lanes, lanes); });
        if (whole === this.#blocks) return;
        const rest = this.#outputs - whole * width * lanes;
        for (let o = 0; o < width * lanes; o++) pack(whole, o, 1, o < rest ? undefined : constant(REGISTER_TYPE[this.window.dtype], 0));
      });
    });
  }

  /** Computes the strip's part of the row of results whose window the group completes. */
  row(group: Size, emit: Emit, { emitRun, emitPixels }: { emitRun?: EmitRun | undefined; emitPixels?: EmitPixels | undefined } = {}): void {
    const k = this.#k;
    const row = this.#row;
    const { pixels } = this.#tile;
    const [, columns] = this.#c.output;
    const slots = Array.from({ length: this.window.size[0] }, (_, ky) => windowSlot(k, this.ring, group, ky * this.#c.attrs.dilation[0]));
    k.for_("tile", this.#tiles(), tile => {
      const x = addSize(this.#first, mulSize(tile, pixels));
      const valid = minSize(pixels, subSize(columns, x));
      k.for_("g", this.#groups, g => {
        if (this.#tile.over === "inputs") {
          this.#overInputs(tile, g, slots);
          if (row) return;
          k.for_("p", valid, p => this.#write(addSize(x, p), p, mulSize(g, this.#outputs), this.#outputs, emit));
          return;
        }
        k.for_("block", this.#blocks, block => {
          const { width, lanes } = this.#tile;
          const size = width * lanes;
          const whole = Math.floor(this.#outputs / size);
          const first = addSize(mulSize(g, this.#outputs), mulSize(block, size));
          const write = (count: number): void => k.for_("p", valid, p => this.#write(addSize(x, p), p, first, count, emit));
          const acc = this.#overOutputs(tile, g, block, slots);
          const leave = (): void => k.unroll("p", pixels, p => { for (let v = 0; v < width; v++) k.store(this.#results, [p, v * lanes], k.load(acc, [p, v])); });
          if (whole === this.#blocks && emitPixels) {
            const all = (): void => { for (let v = 0; v < width; v++) emitPixels(x, addSize(first, v * lanes), pixels, p => k.load(acc, [p, v])); };
            k.if_(ge(index(subSize(columns, x)), pixels), all, () => {
              leave();
              write(size);
            });
            return;
          }
          leave();
          if (whole === this.#blocks) write(size);
          else if (whole === 0) write(this.#outputs);
          else k.if_(lt(index(block), whole), () => write(size), () => write(this.#outputs - whole * size));
        });
      });
    });
    if (!row || !emitRun) return;
    const lanes = lanesOf(k.simd, row.dtype);
    const at = (x: Size, first: number): Size => addSize(mulSize(x, this.#outputs), first);
    eachRun(k, minSize(this.#span, subSize(columns, this.#first)), this.#outputs, lanes,
      (x, first) => emitRun(addSize(this.#first, x), first, k.load(row, [at(x, first)], lanes)),
      x => emit(addSize(this.#first, x), 0, k.load(row, [at(x, 0)], this.#outputs)));
  }

  #write(x: Size, p: Size, first: Size, count: number, emit: Emit): void {
    const { lanes } = this.#tile;
    const write = (o: number, n: number): void => emit(x, addSize(first, o), this.#k.load(this.#results, [p, o], n));
    for (let o = 0; o + lanes <= count; o += lanes) write(o, lanes);
    for (const rest of restOf(count, lanes)) write(rest.from, rest.lanes);
  }

  /** Calls `step` for all products of the tile's windows in units of `unit` channels; the sums are in `acc` afterwards. */
  #sum(acc: Buffer, tile: Size, g: Size, slots: readonly Size[], unit: number, step: (products: Products) => void): void {
    const k = this.#k;
    const { attrs: { dilation, stride, groups } } = this.#c;
    const { pixels, width } = this.#tile;
    const [, kw] = this.window.size;
    const { channels, buffer } = this.ring;
    const perGroup = this.#perGroup;
    k.unroll("p", pixels, p => { for (let v = 0; v < width; v++) k.store(acc, [p, v], 0); });
    /** Calls `one` for so many neighbouring channels: where they are, and which part of the filter is theirs. */
    const run = (at: Size, number: number, length: number, one: (at: Size, number: Size) => void): void => {
      const count = length / unit;
      const copies = count <= 12 ? count : ([4, 3, 2].find(n => count % n === 0) ?? 1);
      const each = (i: Size): void => one(addSize(at, mulSize(i, unit)), addSize(number / unit, i));
      if (copies === count) k.unroll("i", count, each);
      else k.for_("i", count, i => k.unroll("j", copies, j => each(addSize(i, j))), { step: copies });
    };
    const planes = this.#planes;
    if (planes) {
      const start = addSize(mulSize(tile, (pixels / 2) * channels), mulSize(g, perGroup));
      const pass = (first: number, second: number): void => slots.forEach((slot, ky) => run(start, ky * PLANES * perGroup, perGroup, (at, number) => [first, second].forEach((plane, i) => step({
        number: addSize(number, (plane * perGroup) / unit),
        pixels: pixels / 2,
        row: p => addSize(mulSize(p, 2), i),
        value: (p, lanes) => k.load(planes, [slot, plane, addSize(at, mulSize(p, channels))], lanes),
      }))));
      pass(1, 2);
      k.unroll("p", pixels, p => {
        for (let v = 0; v < width; v++) {
          const [s, t] = [k.let_("s", k.load(acc, [p, v])), k.let_("t", k.load(acc, [addSize(p, 1), v]))];
          k.store(acc, [p, v], add(s, t));
          k.store(acc, [addSize(p, 1), v], sub(s, t));
        }
      }, { step: 2 });
      pass(0, 3);
      return;
    }
    const pixel = stride[1] * channels;
    const start = mulSize(tile, pixels * pixel);
    slots.forEach((slot, ky) => {
      const direct = (from: Size, number: number, length: number): void => run(from, number, length, (at, n) => step({
        number: n, pixels, row: p => p, value: (p, lanes) => k.load(buffer, [slot, addSize(at, mulSize(p, pixel))], lanes),
      }));
      // Neighbouring columns are contiguous, so that a row of the window is one run.
      if (groups === 1 && dilation[1] === 1) direct(start, ky * kw * perGroup, kw * perGroup);
      else for (let kx = 0; kx < kw; kx++) direct(addSize(addSize(start, kx * dilation[1] * channels), mulSize(g, perGroup)), (ky * kw + kx) * perGroup, perGroup);
    });
  }

  /** The sums, by pixel and vector. */
  #overOutputs(tile: Size, g: Size, block: Size, slots: readonly Size[]): Buffer {
    const k = this.#k;
    const { pixels, width, lanes } = this.#tile;
    const acc = k.tile("acc", this.window.dtype, [pixels, width], lanes);
    const panel = addSize(mulSize(g, this.#blocks), block);
    this.#sum(acc, tile, g, slots, 1, products => {
      const weights = Array.from({ length: width }, (_, v) => k.load(this.#packed, [panel, products.number, v * lanes], lanes));
      k.unroll("p", products.pixels, p => {
        const value = splat(products.value(p, 1), lanes);
        weights.forEach((weight, v) => k.store(acc, [products.row(p), v], fma(value, weight, k.load(acc, [products.row(p), v]))));
      });
    });
    return acc;
  }

  #overInputs(tile: Size, g: Size, slots: readonly Size[]): void {
    const k = this.#k;
    const { pixels, width, lanes } = this.#tile;
    const acc = k.tile("acc", this.window.dtype, [pixels, width], lanes);
    this.#sum(acc, tile, g, slots, lanes, products => {
      // Pixels in pairs, one filter vector after the other: three registers beside twelve accumulators.
      for (let first = 0; first < products.pixels; first += 2) {
        const values = Array.from({ length: Math.min(2, products.pixels - first) }, (_, i) => products.value(first + i, lanes));
        for (let o = 0; o < width; o++) {
          const weight = k.load(this.#packed, [g, products.number, o * lanes], lanes);
          values.forEach((value, i) => k.store(acc, [products.row(first + i), o], fma(value, weight, k.load(acc, [products.row(first + i), o]))));
        }
      }
    });
    k.unroll("p", pixels, p => {
      const row = this.#row;
      if (width === 1) k.store(this.#results, [p, 0], horizontal("add", k.load(acc, [p, 0])));
      else k.store(row ?? this.#results, row ? [mulSize(addSize(mulSize(tile, pixels), p), width)] : [p, 0], sumsOf(Array.from({ length: width }, (_, o) => k.load(acc, [p, o]))));
    });
  }
}

/** The sums of the lanes of two, three or four vectors, each in a lane, in the order of `horizontal`; the rest is something. */
function sumsOf(vectors: readonly Expr[]): Expr {
  const { lanes } = typeOf(vectors[0]!);
  if (lanes > 4) {
    const half = (x: Expr, from: number): Expr => shuffle(x, x, Array.from({ length: lanes / 2 }, (_, l) => from + l));
    return sumsOf(vectors.map(x => add(half(x, 0), half(x, lanes / 2))));
  }
  const halves = (a: Expr, b: Expr): Expr => add(shuffle(a, b, [0, 4, 1, 5]), shuffle(a, b, [2, 6, 3, 7]));
  const [a, b, c, d = c] = vectors;
  const left = halves(a!, b!);
  const right = c && d ? halves(c, d) : left;
  return add(shuffle(left, right, [0, 1, 4, 5]), shuffle(left, right, [2, 3, 6, 7]));
}

/** Writes grid and body: results go to the sink at [n, y, x, channel], vectors along the channels. */
export function convolutionKernel(k: KernelBuilder, c: Convolution, sink: Sink): void {
  const [images, bands] = convolutionGrid(c) as [Size, Size];
  const n = k.grid("n", images);
  const band = k.grid("band", bands);
  sink.open?.(k, [n, band]);
  const chain: Convolution[] = [c];
  for (let x = c.x; "convolution" in x; x = x.convolution.x) chain.unshift(x.convolution);
  const tiles = chain.map(link => tileOf(k.simd, link));
  const strip = chain.length === 1 ? stripWidth(k.simd, c, tiles[0]!) : c.output[1];
  const stages = chain.map((link, i) => new Stage(k, link, tiles[i]!, link === c ? strip : link.output[1], link === c && sink.writeRun !== undefined));
  // The first output row of each stage, and how many groups of input rows it takes.
  const starts: Size[] = [];
  const groups: Size[] = [];
  let start: Size = mulSize(band, bandHeight(c));
  let rows: Size = minSize(bandHeight(c), subSize(c.output[0], start));
  for (let i = stages.length - 1; i >= 0; i--) {
    const { ring, window } = stages[i]!;
    starts[i] = start;
    groups[i] = addSize(rows, ring.warm);
    start = subSize(mulSize(start, ring.stride), window.attrs.padding[0][0]);
    rows = mulSize(groups[i]!, ring.stride);
  }
  const advance = (i: number, group: Size): void => {
    const { ring } = stages[i]!;
    const complete = (): void => {
      const made = subSize(group, ring.warm);
      const y = addSize(starts[i]!, made);
      const next = stages[i + 1];
      const consumer = chain[i + 1];
      if (!next || !consumer || !("convolution" in consumer.x)) {
        const { writeRun, writePixels } = sink;
        const write = (): void => stages[i]!.row(group, (x, channel, value) => sink.write(k, [n, y, x, channel], value), {
          emitRun: writeRun && ((x, first, value) => writeRun(k, [n, y], x, first, value)),
          emitPixels: writePixels && ((x, channel, pixels, value) => writePixels(k, [n, y, x, channel], pixels, value)),
        });
        // Where windows are counted by division, the verifier is told that the row lies in the band.
        if (stages.slice(1).some(s => s.ring.stride > 1)) k.if_(and(ge(index(made), 0), lt(index(made), bandHeight(c))), write);
        else write();
        return;
      }
      const { finish } = consumer.x;
      const slot = k.index("slot", index(modSize(made, next.ring.slots)));
      next.fill(slot, (to, start) => k.if_(and(ge(index(y), 0), lt(index(y), index(chain[i]!.output[0]))), () => {
        const { buffer, channels } = next.ring;
        const at = (x: Size, channel: Size): Size[] => [to, addSize(mulSize(subSize(x, start), channels), channel)];
        stages[i]!.row(group, (x, channel, value) => k.store(buffer, at(x, channel), value), {
          emitPixels: (x, channel, pixels, value) => k.unroll("p", pixels, p => k.store(buffer, at(addSize(x, p), channel), value(p))),
        });
        // In a pass of its own: between tiles, the chains of operations of a few pixels would be waited for.
        const lanes = lanesUpTo(channels, k.simd, buffer.dtype);
        k.for_("x", chain[i]!.output[1], x => eachPart(k, channels, lanes, (c, count) => k.store(buffer, at(x, c), finish(k, [n, y, x, c], k.load(buffer, at(x, c), count)))), { from: maxSize(0, start) });
      }, () => clearRow(k, next.ring, to)));
      const { stride } = next.ring;
      if (stride === 1) advance(i + 1, made);
      else k.if_(eq(index(modSize(addSize(made, 1), stride)), 0), () => advance(i + 1, floorDivSize(made, stride)));
    };
    if (ring.warm === 0) complete();
    else k.if_(ge(index(group), ring.warm), complete);
  };
  const { ring, window } = stages[0]!;
  const { x } = chain[0]!;
  if (!("source" in x)) throw new InternalError("a chain of convolutions starts at a source");
  const makeStrip = (first: Size): void => {
    stages.reduceRight((column, stage) => stage.begin(column), first);
    k.for_("group", groups[0]!, group => {
      k.for_("q", ring.stride, q => {
        const row = addSize(mulSize(group, ring.stride), q);
        stages[0]!.fill(k.index("slot", index(modSize(row, ring.slots))), (to, column) => copyRow(k, ring, window, x.source, { n, row: addSize(start, row), column }, to));
      });
      advance(0, group);
    });
  };
  if (sameSize(strip, c.output[1])) makeStrip(0);
  else k.for_("first", c.output[1], makeStrip, { step: constantSize(strip) });
  sink.close?.(k);
}
