// Convolutions for workgroups: direct, without im2col. A workgroup makes a square of pixels of one image by a block of output
// channels. The part of the input under it goes into shared memory, some channels at a time, with what is fused into it
// computed once for each element; so do those channels of the filter. An input that another convolution makes is made there
// and then, from a part of that one's input. The order of every sum follows from shapes alone.
import { InternalError } from "../../compiler/base/diagnostics.ts";
import { addSize, floorDivSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { add, and, constant, fma, ge, index, lane, lt, mul } from "../../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE } from "../../compiler/kernel/ir.ts";
import { isFloatScalar } from "../../compiler/kernel/scalar.ts";
import type { KernelBuilder } from "../builder.ts";
import { type Convolution, convolutionShape } from "../convolution.ts";
import type { Source } from "../fused.ts";
import { constantSize } from "../ring.ts";
import { ceilDiv, registerDType } from "../simd.ts";
import { type ConvolutionTile, haloOf, haloOfTile, outputsOf } from "./convolution-tile.ts";
import { allBelow, isWhole } from "./workgroup.ts";

/** The threads of a workgroup: each makes some output channels of some pixels. */
export interface Team {
  readonly thread: Size;
  readonly threads: number;
  /** Which of the threads along the channels and along the pixels this is. */
  readonly own: Size;
  readonly pixel: Size;
  /** The channel of the result that is its output of that number, and whether there is one. */
  channelOf(output: Size): { readonly channel: Size; readonly exists: Expr };
}

/** Where results go, each once, as with any sink; it is told the thread's output that an element is of. */
export interface TileSink {
  /** `task`: image, and row and column of tiles. */
  open?(k: KernelBuilder, task: readonly Size[], team: Team): void;
  write(k: KernelBuilder, at: readonly Size[], value: Expr, output: Size): void;
  close?(k: KernelBuilder): void;
}

const multiplyAdd = (x: Expr, y: Expr, sum: Expr, dtype: ReturnType<typeof registerDType>): Expr => (isFloatScalar(REGISTER_TYPE[dtype]) ? fma(x, y, sum) : add(sum, mul(x, y)));

/** Writes grid, threads and body. Results go to the sink at [image, row, column, channel]. */
export function workgroupConvolution(k: KernelBuilder, c: Convolution, tile: ConvolutionTile, sink: TileSink): void {
  const dtype = registerDType(c.filter.dtype);
  const zero = constant(REGISTER_TYPE[dtype], 0);
  const [images, height, width, channels] = convolutionShape(c) as [Size, Size, Size, number];
  const { groups } = c.attrs;
  const [kh, kw, perGroup] = c.filter.shape.map(constantSize) as [number, number, number];
  const block = outputsOf(tile);
  const outputs = channels / groups;
  const n = k.grid("n", images);
  const group = groups === 1 ? 0 : k.grid("group", groups);
  const blocks = Math.ceil(outputs / block);
  const firstOutput = blocks === 1 ? 0 : mulSize(k.grid("outputs", blocks), block);
  const [tileRow, tileColumn] = [k.grid("rows", ceilDiv(height, tile.pixels)), k.grid("columns", ceilDiv(width, tile.pixels))];
  const [top, left] = [mulSize(tileRow, tile.pixels), mulSize(tileColumn, tile.pixels)];
  const threads = tile.acrossOutputs * tile.acrossPixels;
  const thread = k.thread("t", threads);
  const own = k.index("own", index(modSize(thread, tile.acrossOutputs)));
  const pixel = k.index("pixel", index(floorDivSize(thread, tile.acrossOutputs)));
  const outputOf = (q: Size): Size => addSize(firstOutput, addSize(own, mulSize(q, tile.acrossOutputs)));
  const isFull = outputs % block === 0;
  sink.open?.(k, [n, tileRow, tileColumn], {
    thread, threads, own, pixel,
    channelOf: q => ({ channel: addSize(mulSize(group, outputs), outputOf(q)), exists: allBelow([outputOf(q), outputs, isFull]) }),
  });
  const by: Threads = { k, thread, threads };
  const part = { channels: tile.channels, lanes: tile.lanes, halo: haloOfTile(c, tile) };
  const corner: Corner = { n, row: subSize(mulSize(top, c.attrs.stride[0]), c.attrs.padding[0][0]), column: subSize(mulSize(left, c.attrs.stride[1]), c.attrs.padding[1][0]) };
  const input: Input = "source" in c.x ? sourcePart(by, c.x.source, part, dtype, corner) : madePart(by, c.x, part, corner);
  const filter = k.alloc("filter_part", dtype, [kh * kw, tile.channels / tile.lanes, block, tile.lanes], "shared");
  const acc = k.tile("acc", dtype, [tile.threadPixels, tile.threadOutputs]);
  const eachResult = (body: (p: Size, q: Size) => void): void => k.unroll("p", tile.threadPixels, p => k.unroll("q", tile.threadOutputs, q => body(p, q)));
  eachResult((p, q) => k.store(acc, [p, q], zero));
  /** Row and column in the tile of the thread's pixel of that number. */
  const place = (p: Size): [Size, Size] => [addSize(floorDivSize(pixel, tile.pixels), mulSize(p, tile.acrossPixels / tile.pixels)), modSize(pixel, tile.pixels)];
  const rounds = Math.ceil(perGroup / tile.channels);
  const round = (first: Size): void => {
    if (rounds > 1) k.barrier();
    input.fill(mulSize(group, perGroup), first, perGroup);
    k.for_("e", kh * kw * tile.channels * block, e => {
      const [o, channel, tap] = [modSize(e, block), modSize(floorDivSize(e, block), tile.channels), floorDivSize(e, block * tile.channels)];
      const [from, to] = [addSize(first, channel), addSize(firstOutput, o)];
      const at = [tap, floorDivSize(channel, tile.lanes), o, modSize(channel, tile.lanes)];
      k.if_(allBelow([from, perGroup, perGroup % tile.channels === 0], [to, outputs, isFull]),
        () => k.store(filter, at, c.filter.read(k, [floorDivSize(tap, kw), modSize(tap, kw), from, addSize(mulSize(group, outputs), to)], 1)), () => k.store(filter, at, zero));
    }, { from: thread, step: threads });
    k.barrier();
    if (input.make) {
      input.make(first);
      k.barrier();
    }
    k.for_("ky", kh, ky => k.for_("kx", kw, kx => k.for_("v", tile.channels / tile.lanes, v => {
      const pixels = Array.from({ length: tile.threadPixels }, (_, p) => {
        const [y, x] = place(p);
        return vectorOf(k, input.buffer, [v, addSize(mulSize(y, c.attrs.stride[0]), mulSize(ky, c.attrs.dilation[0])), addSize(mulSize(x, c.attrs.stride[1]), mulSize(kx, c.attrs.dilation[1]))], tile.lanes);
      });
      const weights = Array.from({ length: tile.threadOutputs }, (_, q) => vectorOf(k, filter, [addSize(mulSize(ky, kw), kx), v, addSize(own, q * tile.acrossOutputs)], tile.lanes));
      for (let l = 0; l < tile.lanes; l++) {
        pixels.forEach((xs, p) => weights.forEach((ws, q) => {
          k.store(acc, [p, q], multiplyAdd(xs[l]!, ws[l]!, k.load(acc, [p, q]), dtype));
        }));
      }
    })));
  };
  if (rounds === 1) round(0);
  else k.for_("round", rounds, i => round(mulSize(i, tile.channels)));
  eachResult((p, q) => {
    const [y, x] = place(p);
    const [row, column] = [k.index("row", index(addSize(top, y))), k.index("column", index(addSize(left, x)))];
    k.if_(allBelow([row, height, isWhole(height, tile.pixels)], [column, width, isWhole(width, tile.pixels)], [outputOf(q), outputs, isFull]),
      () => sink.write(k, [n, row, column, addSize(mulSize(group, outputs), outputOf(q))], k.load(acc, [p, q]), q));
  });
  sink.close?.(k);
}

/** The elements of a vector that lies along the last axis. */
function vectorOf(k: KernelBuilder, buffer: Buffer, at: readonly Size[], lanes: number): Expr[] {
  if (lanes < 4) return Array.from({ length: lanes }, (_, l) => k.load(buffer, [...at, l]));
  const vector = k.load(buffer, [...at, 0], lanes);
  return Array.from({ length: lanes }, (_, l) => lane(vector, l));
}

interface Threads {
  readonly k: KernelBuilder;
  readonly thread: Size;
  readonly threads: number;
}
/** Where the part of an image under a tile begins: it may be outside. */
interface Corner {
  readonly n: Size;
  readonly row: Size;
  readonly column: Size;
}
interface PartShape {
  readonly channels: number;
  readonly lanes: number;
  readonly halo: readonly [number, number];
}
/** Some channels of the input under a tile, zero beyond its edges: [vector, row, column, lane]. */
interface Input {
  readonly buffer: Buffer;
  /** Begins with the channels from `first` on of a group of so many, which starts at `group`. */
  fill(group: Size, first: Size, perGroup: number): void;
  /** What is left to do once all threads have begun. */
  make?(first: Size): void;
}

function each({ k, thread, threads }: Threads, count: number, body: (e: Size) => void): void {
  if (count > threads) k.for_("e", count, body, { from: thread, step: threads });
  else k.if_(count === threads ? constant("bool", 1) : lt(index(thread), index(count)), () => body(thread));
}

/** Row and column of the image at a place under the tile, for `inside`, if they lie in it. */
function within(k: KernelBuilder, { row, column }: Corner, [y, x]: readonly [Size, Size], [height, width]: readonly [Size, Size], also: Expr, inside: (row: Size, column: Size) => void, outside: () => void): void {
  const [r, c] = [k.let_("row", index(addSize(row, y))), k.let_("column", index(addSize(column, x)))];
  const isInside = and(and(ge(r, 0), lt(r, index(height))), and(ge(c, 0), lt(c, index(width))));
  k.if_(also.kind === "const" ? isInside : and(isInside, also), () => inside(k.index("row", r), k.index("column", c)), outside);
}

function sourcePart(by: Threads, source: Source, { channels, lanes, halo: [rows, columns] }: PartShape, dtype: ReturnType<typeof registerDType>, corner: Corner): Input {
  const { k } = by;
  const buffer = k.alloc("input_part", dtype, [channels / lanes, rows, columns, lanes], "shared");
  const zero = constant(REGISTER_TYPE[dtype], 0);
  const [, height, width] = source.shape as [Size, Size, Size];
  return {
    buffer,
    fill: (group, first, perGroup) => each(by, rows * columns * channels, e => {
      const [channel, x, y] = [modSize(e, channels), modSize(floorDivSize(e, channels), columns), floorDivSize(e, columns * channels)];
      const at = [floorDivSize(channel, lanes), y, x, modSize(channel, lanes)];
      const from = addSize(first, channel);
      within(k, corner, [y, x], [height, width], allBelow([from, perGroup, perGroup % channels === 0]),
        (row, column) => k.store(buffer, at, source.read(k, [corner.n, row, column, addSize(group, from)], 1)), () => k.store(buffer, at, zero));
    }),
  };
}

function madePart(by: Threads, { convolution: c, finish }: Extract<Convolution["x"], { convolution: Convolution }>, { channels, lanes, halo: [rows, columns] }: PartShape, corner: Corner): Input {
  const { k } = by;
  if (!("source" in c.x)) throw new InternalError("a workgroup makes two convolutions at a time");
  const [kh, kw, inputs] = c.filter.shape.map(constantSize) as [number, number, number];
  const { stride, padding, dilation } = c.attrs;
  const dtype = registerDType(c.filter.dtype);
  const zero = constant(REGISTER_TYPE[dtype], 0);
  const from = sourcePart(by, c.x.source, { channels: inputs, lanes: inputs, halo: haloOf(c, [rows, columns]) }, dtype,
    { n: corner.n, row: subSize(mulSize(corner.row, stride[0]), padding[0][0]), column: subSize(mulSize(corner.column, stride[1]), padding[1][0]) });
  const filter = k.alloc("maker_part", dtype, [kh * kw, inputs, channels / lanes, lanes], "shared");
  const buffer = k.alloc("made_part", dtype, [channels / lanes, rows, columns, lanes], "shared");
  // All of its input stays, whichever channels are made of it.
  from.fill(0, 0, inputs);
  return {
    buffer,
    fill: (_group, first) => each(by, kh * kw * inputs * channels, e => {
      const [o, channel, tap] = [modSize(e, channels), modSize(floorDivSize(e, channels), inputs), floorDivSize(e, channels * inputs)];
      k.store(filter, [tap, channel, floorDivSize(o, lanes), modSize(o, lanes)], c.filter.read(k, [floorDivSize(tap, kw), modSize(tap, kw), channel, addSize(first, o)], 1));
    }),
    make: first => each(by, rows * columns, e => {
      const [y, x] = [floorDivSize(e, columns), modSize(e, columns)] as const;
      const at = (l: Size): Size[] => [floorDivSize(l, lanes), y, x, modSize(l, lanes)];
      within(k, corner, [y, x], c.output, constant("bool", 1), (row, column) => {
        const acc = k.tile("made", dtype, [channels]);
        k.unroll("l", channels, l => k.store(acc, [l], zero));
        k.for_("ky", kh, ky => k.for_("kx", kw, kx => k.for_("c", inputs, channel => {
          const value = k.load(from.buffer, [0, addSize(mulSize(y, stride[0]), mulSize(ky, dilation[0])), addSize(mulSize(x, stride[1]), mulSize(kx, dilation[1])), channel]);
          for (let o = 0; o < channels; o += lanes) {
            vectorOf(k, filter, [addSize(mulSize(ky, kw), kx), channel, o / lanes], lanes).forEach((weight, l) => k.store(acc, [o + l], multiplyAdd(value, weight, k.load(acc, [o + l]), dtype)));
          }
        })));
        k.unroll("l", channels, l => k.store(buffer, at(l), finish(k, [corner.n, row, column, addSize(first, l)], k.load(acc, [l]))));
      }, () => k.unroll("l", channels, l => k.store(buffer, at(l), zero)));
    }),
  };
}
