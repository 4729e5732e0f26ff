// Convolutions for simd machines: direct, without im2col. A task makes a band of output rows of one image. Input rows go
// through a ring of zero-padded rows in local memory; a producer convolution's rows are computed when the ring needs them,
// finished pointwise and rolled the same way, to any depth. Two register tiles: vectors over output channels, or over
// input channels where there are few outputs. The order of every sum follows from the shapes alone.
import { InternalError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { addSize, floorDivSize, minSize, modSize, mulSize, type Size, subSize } from "../compiler/base/sizes.ts";
import type { ConvAttrs } from "../compiler/graph/graph.ts";
import { add, and, constant, eq, fma, ge, horizontal, index, lt, shuffle, splat, vector } from "../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";
import type { Sink, Source } from "./fused.ts";
import { allocRing, clearRow, constantSize, copyRow, type Ring, type Window, windowSlot } from "./ring.ts";
import { ceilDiv, ENOUGH_TASKS, lanesOf, registerDType } from "./simd.ts";

/** Where the rows of an input come from: a tensor [N, H, W, C], or another convolution finished pointwise. */
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

/** Pixels by vectors of output channels, or by output channels with vectors of input channels. */
interface Tile {
  readonly over: "outputs" | "inputs";
  readonly pixels: number;
  /** Vectors of a block of output channels, or the output channels of a group. */
  readonly width: number;
  readonly lanes: number;
}

function tileOf(dtype: DType, perGroup: number, outputs: number): Tile {
  const lanes = lanesOf(dtype);
  // Twelve accumulators or fewer leave registers for the operands.
  if (lanes === 4 && outputs <= 4 && perGroup >= 8 && perGroup % 4 === 0) return { over: "inputs", pixels: [8, 6, 4, 3][outputs - 1]!, width: outputs, lanes };
  return outputs > lanes ? { over: "outputs", pixels: 6, width: 2, lanes } : { over: "outputs", pixels: 12, width: 1, lanes };
}

type Emit = (x: Size, channel: Size, value: Expr) => void;

/** One convolution of the chain. */
class Stage {
  readonly window: Window;
  readonly ring: Ring;
  readonly #k: KernelBuilder;
  readonly #c: Convolution;
  readonly #tile: Tile;
  readonly #groups: number;
  readonly #perGroup: number;
  readonly #outputs: number;
  readonly #blocks: number;
  readonly #packed: Buffer;
  readonly #results: Buffer;

  constructor(k: KernelBuilder, c: Convolution) {
    this.#k = k;
    this.#c = c;
    const [kh, kw, perGroup, outputs] = c.filter.shape.map(constantSize) as [number, number, number, number];
    const dtype = registerDType(c.filter.dtype);
    this.#groups = c.attrs.groups;
    this.#perGroup = perGroup;
    this.#outputs = outputs / c.attrs.groups;
    const tile = tileOf(dtype, perGroup, this.#outputs);
    this.#tile = tile;
    this.#blocks = tile.over === "inputs" ? 1 : Math.ceil(this.#outputs / (tile.width * tile.lanes));
    this.window = { attrs: c.attrs, size: [kh, kw], spread: c.spread ?? [1, 1], input: inputShape(c), dtype };
    this.ring = allocRing(k, this.window, c.output[1], tile.pixels);
    const steps = kh * kw * perGroup;
    const shape = tile.over === "inputs" ? [this.#groups, steps / tile.lanes, tile.width * tile.lanes] : [this.#groups * this.#blocks, steps, tile.width * tile.lanes];
    this.#packed = k.alloc("filter", dtype, shape, "local");
    this.#results = k.alloc("results", dtype, [tile.pixels, tile.over === "inputs" ? tile.lanes : tile.width * tile.lanes], "local");
    this.#pack();
  }

  #pack(): void {
    const k = this.#k;
    const { filter } = this.#c;
    const { over, width, lanes } = this.#tile;
    const [kh, kw] = this.window.size;
    const perGroup = this.#perGroup;
    k.for_("g", this.#groups, g => k.for_("ky", kh, ky => k.for_("kx", kw, kx => {
      const first = mulSize(addSize(mulSize(ky, kw), kx), perGroup);
      if (over === "inputs") {
        k.for_("c", perGroup / lanes, c => k.for_("o", width, o => {
          const items = Array.from({ length: lanes }, (_, l) => filter.read(k, [ky, kx, addSize(mulSize(c, lanes), l), addSize(mulSize(g, width), o)], 1));
          k.store(this.#packed, [g, addSize(mulSize(addSize(mulSize(ky, kw), kx), perGroup / lanes), c), mulSize(o, lanes)], vector(items));
        }));
        return;
      }
      k.for_("c", perGroup, c => {
        const whole = Math.floor(this.#outputs / (width * lanes));
        const pack = (block: Size, o: number, n: number, value?: Expr): void => {
          const at = addSize(addSize(mulSize(g, this.#outputs), mulSize(block, width * lanes)), o);
          k.store(this.#packed, [addSize(mulSize(g, this.#blocks), block), addSize(first, c), o], value ?? filter.read(k, [ky, kx, c, at], n));
        };
        if (whole > 0) k.for_("block", whole, block => { for (let v = 0; v < width; v++) pack(block, v * lanes, lanes); });
        if (whole === this.#blocks) return;
        const rest = this.#outputs - whole * width * lanes;
        for (let o = 0; o < width * lanes; o++) pack(whole, o, 1, o < rest ? undefined : constant(REGISTER_TYPE[this.window.dtype], 0));
      });
    })));
  }

  /** Computes the row of results whose window the group completes; those before the first column are dropped. */
  row(group: Size, emit: Emit, firstColumn = 0): void {
    const k = this.#k;
    const { pixels } = this.#tile;
    const [, columns] = this.#c.output;
    const slots = Array.from({ length: this.window.size[0] }, (_, ky) => windowSlot(k, this.ring, group, ky * this.#c.attrs.dilation[0]));
    k.for_("tile", ceilDiv(columns, pixels), tile => {
      const x = mulSize(tile, pixels);
      const valid = minSize(pixels, subSize(columns, x));
      k.for_("g", this.#groups, g => {
        if (this.#tile.over === "inputs") {
          this.#overInputs(x, g, slots);
          k.for_("p", valid, p => this.#write(addSize(x, p), p, mulSize(g, this.#outputs), this.#outputs, emit, firstColumn));
          return;
        }
        k.for_("block", this.#blocks, block => {
          this.#overOutputs(x, g, block, slots);
          const size = this.#tile.width * this.#tile.lanes;
          const whole = Math.floor(this.#outputs / size);
          const write = (count: number): void => k.for_("p", valid, p => this.#write(addSize(x, p), p, addSize(mulSize(g, this.#outputs), mulSize(block, size)), count, emit, firstColumn));
          if (whole === this.#blocks) write(size);
          else if (whole === 0) write(this.#outputs);
          else k.if_(lt(index(block), whole), () => write(size), () => write(this.#outputs - whole * size));
        });
      });
    });
  }

  #write(x: Size, p: Size, first: Size, count: number, emit: Emit, firstColumn: number): void {
    if (firstColumn > 0) {
      this.#k.if_(ge(index(x), firstColumn), () => this.#write(x, p, first, count, emit, 0));
      return;
    }
    const { lanes } = this.#tile;
    for (let o = 0; o < count; ) {
      const n = Math.min(lanes, count - o);
      emit(x, addSize(first, o), this.#k.load(this.#results, [p, o], n));
      o += n;
    }
  }

  /** Calls `step` for all products of a window in units of `unit` channels: where in the ring, and how manieth. */
  #steps(x: Size, g: Size, slots: readonly Size[], unit: number, step: (slot: Size, at: Size, number: Size) => void): void {
    const k = this.#k;
    const [, kw] = this.window.size;
    const { dilation, stride, groups } = this.#c.attrs;
    const channels = this.ring.channels;
    const run = (slot: Size, at: Size, number: number, length: number): void => {
      const count = length / unit;
      const copies = count <= 12 ? count : ([4, 3, 2].find(n => count % n === 0) ?? 1);
      const one = (i: Size): void => step(slot, addSize(at, mulSize(i, unit)), addSize(number, i));
      if (copies === count) k.unroll("i", count, one);
      else k.for_("i", count, i => k.unroll("j", copies, j => one(addSize(i, j))), { step: copies });
    };
    slots.forEach((slot, ky) => {
      const at = mulSize(x, stride[1] * channels);
      // Neighbouring columns are contiguous, so that a row of the window is one run.
      if (groups === 1 && dilation[1] === 1) run(slot, at, (ky * kw * this.#perGroup) / unit, kw * this.#perGroup);
      else {
        for (let kx = 0; kx < kw; kx++) {
          run(slot, addSize(addSize(at, kx * dilation[1] * channels), mulSize(g, this.#perGroup)), ((ky * kw + kx) * this.#perGroup) / unit, this.#perGroup);
        }
      }
    });
  }

  #overOutputs(x: Size, g: Size, block: Size, slots: readonly Size[]): void {
    const k = this.#k;
    const { pixels, width, lanes } = this.#tile;
    const { dtype } = this.window;
    const pixel = this.#c.attrs.stride[1] * this.ring.channels;
    const acc = k.tile("acc", dtype, [pixels, width], lanes);
    k.unroll("p", pixels, p => { for (let v = 0; v < width; v++) k.store(acc, [p, v], 0); });
    const panel = addSize(mulSize(g, this.#blocks), block);
    this.#steps(x, g, slots, 1, (slot, at, number) => {
      const weights = Array.from({ length: width }, (_, v) => k.load(this.#packed, [panel, number, v * lanes], lanes));
      k.unroll("p", pixels, p => {
        const value = splat(k.load(this.ring.buffer, [slot, addSize(at, mulSize(p, pixel))]), lanes);
        weights.forEach((weight, v) => k.store(acc, [p, v], fma(value, weight, k.load(acc, [p, v]))));
      });
    });
    k.unroll("p", pixels, p => { for (let v = 0; v < width; v++) k.store(this.#results, [p, v * lanes], k.load(acc, [p, v])); });
  }

  #overInputs(x: Size, g: Size, slots: readonly Size[]): void {
    const k = this.#k;
    const { pixels, width, lanes } = this.#tile;
    const pixel = this.#c.attrs.stride[1] * this.ring.channels;
    const acc = k.tile("acc", this.window.dtype, [pixels, width], lanes);
    k.unroll("p", pixels, p => { for (let o = 0; o < width; o++) k.store(acc, [p, o], 0); });
    this.#steps(x, g, slots, lanes, (slot, at, number) => {
      // Pixels in pairs, one filter vector after the other: three registers beside twelve accumulators.
      for (let first = 0; first < pixels; first += 2) {
        const values = Array.from({ length: Math.min(2, pixels - first) }, (_, i) => k.load(this.ring.buffer, [slot, addSize(at, (first + i) * pixel)], lanes));
        for (let o = 0; o < width; o++) {
          const weight = k.load(this.#packed, [g, number, o * lanes], lanes);
          values.forEach((value, i) => k.store(acc, [first + i, o], fma(value, weight, k.load(acc, [first + i, o]))));
        }
      }
    });
    k.unroll("p", pixels, p => {
      if (width === 1) k.store(this.#results, [p, 0], horizontal("add", k.load(acc, [p, 0])));
      else k.store(this.#results, [p, 0], sumsOf(Array.from({ length: width }, (_, o) => k.load(acc, [p, o]))));
    });
  }
}

/** The sums of the lanes of two, three or four vectors, each in a lane, in the order of `horizontal`; the rest is something. */
function sumsOf(vectors: readonly Expr[]): Expr {
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
  const stages = chain.map(link => new Stage(k, link));
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
        const write = (): void => stages[i]!.row(group, (x, channel, value) => sink.write(k, [n, y, x, channel], value));
        // Where windows are counted by division, the verifier is told that the row lies in the band.
        if (stages.slice(1).some(s => s.ring.stride > 1)) k.if_(and(ge(index(made), 0), lt(index(made), bandHeight(c))), write);
        else write();
        return;
      }
      const { finish } = consumer.x;
      const slot = k.index("slot", index(modSize(made, next.ring.slots)));
      k.if_(and(ge(index(y), 0), lt(index(y), index(chain[i]!.output[0]))), () => {
        stages[i]!.row(group, (x, channel, value) => {
          k.store(next.ring.buffer, [slot, addSize(mulSize(addSize(x, next.ring.left), next.ring.channels), channel)], finish(k, [n, y, x, channel], value));
        }, Math.max(0, -next.ring.left));
      }, () => clearRow(k, next.ring, next.window, slot));
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
  k.for_("group", groups[0]!, group => {
    k.for_("q", ring.stride, q => {
      const row = addSize(mulSize(group, ring.stride), q);
      copyRow(k, ring, window, x.source, n, addSize(start, row), k.index("slot", index(modSize(row, ring.slots))));
    });
    advance(0, group);
  });
  sink.close?.(k);
}

/** dx of a convolution as a convolution of dy with the filter flipped and transposed; x has the given height and width. */
export function inputGradient(attrs: ConvAttrs, dy: Source, filter: Source, size: readonly [Size, Size]): Convolution {
  const [kh, kw, perGroup, outputs] = filter.shape.map(constantSize) as [number, number, number, number];
  const { groups, dilation, padding, stride } = attrs;
  const before = [0, 1].map(i => dilation[i]! * ([kh, kw][i]! - 1) - padding[i]![0]) as [number, number];
  const perGroupOut = outputs / groups;
  const transposed: Source = {
    dtype: filter.dtype,
    shape: [kh, kw, perGroupOut, perGroup * groups],
    read(k, [ky, kx, o, channel], lanes) {
      const one = (c: Size): Expr => {
        const g = groups === 1 ? 0 : floorDivSize(c, perGroup);
        return filter.read(k, [subSize(kh - 1, ky!), subSize(kw - 1, kx!), subSize(c, mulSize(g, perGroup)), addSize(mulSize(g, perGroupOut), o!)], 1);
      };
      const items = Array.from({ length: lanes }, (_, l) => one(addSize(channel!, l)));
      return lanes === 1 ? items[0]! : vector(items);
    },
  };
  return {
    attrs: { stride: [1, 1], padding: [[before[0], before[0]], [before[1], before[1]]], dilation, groups },
    x: { source: dy }, filter: transposed, output: size, spread: stride,
  };
}
