// Convolutions for workgroups: direct, without im2col. A workgroup makes a square of pixels of one image by a block of output
// channels. The part of the input under it goes into shared memory, some channels at a time, with what is fused into it
// computed once for each element; so do those channels of the filter. The order of every sum follows from shapes alone.
import { InternalError } from "../../compiler/base/diagnostics.ts";
import { addSize, floorDivSize, modSize, mulSize, type Size, subSize } from "../../compiler/base/sizes.ts";
import { add, and, constant, fma, ge, index, lane, lt, mul } from "../../compiler/kernel/expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE } from "../../compiler/kernel/ir.ts";
import { isFloatScalar } from "../../compiler/kernel/scalar.ts";
import type { KernelBuilder } from "../builder.ts";
import { type Convolution, convolutionShape } from "../convolution.ts";
import type { Sink, Source } from "../fused.ts";
import { constantSize } from "../ring.ts";
import { ceilDiv, registerDType } from "../simd.ts";
import { type ConvolutionTile, haloOf, outputsOf } from "./convolution-tile.ts";
import { allBelow, isWhole } from "./workgroup.ts";

/** Writes grid, threads and body. Results go to the sink at [image, row, column, channel]. */
export function workgroupConvolution(k: KernelBuilder, c: Convolution, tile: ConvolutionTile, sink: Sink): void {
  if (!("source" in c.x)) throw new InternalError("a chain");
  const source = c.x.source;
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
  const [top, left] = [k.grid("rows", ceilDiv(height, tile.pixels)), k.grid("columns", ceilDiv(width, tile.pixels))].map(g => mulSize(g, tile.pixels)) as [Size, Size];
  const threads = tile.acrossOutputs * tile.acrossPixels;
  const thread = k.thread("t", threads);
  sink.open?.(k, [n, top, left]);
  const own = k.index("own", index(modSize(thread, tile.acrossOutputs)));
  const pixel = k.index("pixel", index(floorDivSize(thread, tile.acrossOutputs)));
  const input = new Part(k, c, source, tile, { thread, threads, zero });
  const filter = k.alloc("filter_part", dtype, [kh * kw, tile.channels / tile.lanes, block, tile.lanes], "shared");
  const acc = k.tile("acc", dtype, [tile.threadPixels, tile.threadOutputs]);
  const eachResult = (body: (p: Size, q: Size) => void): void => k.unroll("p", tile.threadPixels, p => k.unroll("q", tile.threadOutputs, q => body(p, q)));
  eachResult((p, q) => k.store(acc, [p, q], zero));
  /** Row and column in the tile of the thread's pixel of that number. */
  const place = (p: Size): [Size, Size] => [addSize(floorDivSize(pixel, tile.pixels), mulSize(p, tile.acrossPixels / tile.pixels)), modSize(pixel, tile.pixels)];
  const rounds = Math.ceil(perGroup / tile.channels);
  const round = (first: Size): void => {
    if (rounds > 1) k.barrier();
    input.fill([n, top, left], group, first);
    k.for_("e", kh * kw * tile.channels * block, e => {
      const [o, channel, tap] = [modSize(e, block), modSize(floorDivSize(e, block), tile.channels), floorDivSize(e, block * tile.channels)];
      const [from, to] = [addSize(first, channel), addSize(firstOutput, o)];
      const at = [tap, floorDivSize(channel, tile.lanes), o, modSize(channel, tile.lanes)];
      k.if_(allBelow([from, perGroup, perGroup % tile.channels === 0], [to, outputs, outputs % block === 0]),
        () => k.store(filter, at, c.filter.read(k, [floorDivSize(tap, kw), modSize(tap, kw), from, addSize(mulSize(group, outputs), to)], 1)), () => k.store(filter, at, zero));
    }, { from: thread, step: threads });
    k.barrier();
    k.for_("ky", kh, ky => k.for_("kx", kw, kx => k.for_("v", tile.channels / tile.lanes, v => {
      const pixels = Array.from({ length: tile.threadPixels }, (_, p) => {
        const [y, x] = place(p);
        return vectorOf(k, input.buffer, [v, addSize(mulSize(y, c.attrs.stride[0]), mulSize(ky, c.attrs.dilation[0])), addSize(mulSize(x, c.attrs.stride[1]), mulSize(kx, c.attrs.dilation[1]))], tile.lanes);
      });
      const weights = Array.from({ length: tile.threadOutputs }, (_, q) => vectorOf(k, filter, [addSize(mulSize(ky, kw), kx), v, addSize(own, q * tile.acrossOutputs)], tile.lanes));
      for (let l = 0; l < tile.lanes; l++) {
        pixels.forEach((xs, p) => weights.forEach((ws, q) => {
          const sum = k.load(acc, [p, q]);
          k.store(acc, [p, q], isFloatScalar(REGISTER_TYPE[dtype]) ? fma(xs[l]!, ws[l]!, sum) : add(sum, mul(xs[l]!, ws[l]!)));
        }));
      }
    })));
  };
  if (rounds === 1) round(0);
  else k.for_("round", rounds, i => round(mulSize(i, tile.channels)));
  eachResult((p, q) => {
    const [y, x] = place(p);
    const [row, column] = [k.index("row", index(addSize(top, y))), k.index("column", index(addSize(left, x)))];
    const output = addSize(firstOutput, addSize(own, mulSize(q, tile.acrossOutputs)));
    k.if_(allBelow([row, height, isWhole(height, tile.pixels)], [column, width, isWhole(width, tile.pixels)], [output, outputs, outputs % block === 0]),
      () => sink.write(k, [n, row, column, addSize(mulSize(group, outputs), output)], k.load(acc, [p, q])));
  });
  sink.close?.(k);
}

/** The elements of a vector that lies along the last axis. */
function vectorOf(k: KernelBuilder, buffer: Buffer, at: readonly Size[], lanes: number): Expr[] {
  if (lanes < 4) return Array.from({ length: lanes }, (_, l) => k.load(buffer, [...at, l]));
  const vector = k.load(buffer, [...at, 0], lanes);
  return Array.from({ length: lanes }, (_, l) => lane(vector, l));
}

/** Some channels of the input under a tile, zero beyond its edges: [vector, row, column, lane]. */
class Part {
  readonly buffer: Buffer;
  readonly #k: KernelBuilder;
  readonly #c: Convolution;
  readonly #source: Source;
  readonly #tile: ConvolutionTile;
  readonly #halo: readonly [number, number];
  readonly #by: { readonly thread: Size; readonly threads: number; readonly zero: Expr };

  constructor(k: KernelBuilder, c: Convolution, source: Source, tile: ConvolutionTile, by: { thread: Size; threads: number; zero: Expr }) {
    this.#k = k;
    this.#c = c;
    this.#source = source;
    this.#tile = tile;
    this.#halo = haloOf(c, tile.pixels);
    this.#by = by;
    this.buffer = k.alloc("input_part", registerDType(c.filter.dtype), [tile.channels / tile.lanes, ...this.#halo, tile.lanes], "shared");
  }

  /** The channels of the group from `first` on, under the tile at that row and column of the result. */
  fill([n, top, left]: readonly [Size, Size, Size], group: Size, first: Size): void {
    const k = this.#k;
    const { attrs: { stride, padding }, filter } = this.#c;
    const { channels, lanes } = this.#tile;
    const [rows, columns] = this.#halo;
    const perGroup = constantSize(filter.shape[2]!);
    const [, height, width] = this.#source.shape as [Size, Size, Size];
    k.for_("e", rows * columns * channels, e => {
      const [channel, x, y] = [modSize(e, channels), modSize(floorDivSize(e, channels), columns), floorDivSize(e, columns * channels)];
      const at = [floorDivSize(channel, lanes), y, x, modSize(channel, lanes)];
      const row = k.let_("row", index(subSize(addSize(mulSize(top, stride[0]), y), padding[0][0])));
      const column = k.let_("column", index(subSize(addSize(mulSize(left, stride[1]), x), padding[1][0])));
      const inside = [and(ge(row, 0), lt(row, index(height))), and(ge(column, 0), lt(column, index(width)))];
      const from = addSize(first, channel);
      if (perGroup % channels !== 0) inside.push(lt(index(from), index(perGroup)));
      k.if_(inside.reduce((a, b) => and(a, b)),
        () => k.store(this.buffer, at, this.#source.read(k, [n, k.index("row", row), k.index("column", column), addSize(mulSize(group, perGroup), from)], 1)),
        () => k.store(this.buffer, at, this.#by.zero));
    }, { from: this.#by.thread, step: this.#by.threads });
  }
}
