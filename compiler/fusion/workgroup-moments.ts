// Mean and variance over the rows and columns of an image, on GPUs: each workgroup leaves mean and sum of squared distances of
// its square of pixels, and one workgroup for each channel combines them, its threads some each and then by halves, in a fixed
// order. A convolution's own workgroups do the former, so that its result need not be stored; a convolution that reads what
// is normalised by them makes it again.
import { addSize, floorDivSize, minSize, modSize, mulSize, productSize, type Size, subSize } from "../base/sizes.ts";
import type { NodeId, NodeOf } from "../graph/graph.ts";
import * as e from "../kernel/expr.ts";
import type { Buffer, Expr } from "../kernel/ir.ts";
import type { Mutable } from "../../kernels/builder.ts";
import type { Convolution } from "../../kernels/convolution.ts";
import { ceilDiv } from "../../kernels/simd.ts";
import { type Team, type TileSink, workgroupConvolution } from "../../kernels/simt/convolution.ts";
import { type ConvolutionTile, chainTile } from "../../kernels/simt/convolution-tile.ts";
import { overThreads } from "../../kernels/simt/workgroup.ts";
import { type Chain, perChannel } from "./moments.ts";
import { convolutionOf, flopsOfConv, type SharedConvolution } from "./products.ts";
import type { Draft, KernelScope, ValueId } from "./scope.ts";

/** Pixels along a side of the square that a workgroup sums, where no convolution's tile says otherwise. */
const SQUARE = 16;
/** Threads that combine the squares of a channel. */
const COMBINERS = 128;
/** Threads along the channels, and along the pixels, of an image that lies in memory. */
const CHANNELS = 32;
const PIXELS = 8;

/** The squares of pixels of an image. */
export interface Squares {
  readonly side: number;
  readonly rows: Size;
  readonly columns: Size;
}
export const squaresOf = ([, height, width]: readonly Size[], side = SQUARE): Squares => ({ side, rows: ceilDiv(height!, side), columns: ceilDiv(width!, side) });

/** [image, square, mean or sum of squared distances, channel] */
export const squarePartShape = ([images, , , channels]: readonly Size[], { rows, columns }: Squares): Size[] => [images!, mulSize(rows, columns), 2, channels!];

const pixelsIn = ([, height, width]: readonly Size[], { side }: Squares, row: Size, column: Size): Expr => {
  const along = (extent: Size, i: Size): Size => minSize(side, subSize(extent, mulSize(i, side)));
  return e.cast("f32", e.index(mulSize(along(height!, row), along(width!, column))));
};

/** What the threads of a workgroup have summed of one channel each, left by the first of those that share it. */
function leave(scope: KernelScope, shared: Buffer, [own, position]: readonly [Size, Size], positions: number, [sum, square]: readonly [Expr, Expr], count: Expr, to: { part: ValueId; at: readonly Size[]; channel: Size; exists: Expr }): void {
  const { k } = scope;
  [sum, square].forEach((x, i) => k.store(shared, [i, own, position], x));
  k.barrier();
  k.if_(e.eq(e.index(position), 0), () => {
    const [total, squares] = [0, 1].map(i => {
      const all = k.mutable("total", k.load(shared, [i, own, 0]));
      k.for_("i", positions, p => k.assign(all, e.add(all, k.load(shared, [i, own, p]))), { from: 1 });
      return k.let_("total", all);
    }) as [Expr, Expr];
    const mean = k.let_("mean", e.div(total, count));
    k.if_(to.exists, () => {
      const output = scope.output(to.part);
      k.store(output, [...to.at, 0, to.channel], mean);
      k.store(output, [...to.at, 1, to.channel], e.max(e.sub(squares, e.mul(total, mean)), 0));
    });
  });
  // The next ones go to the same place.
  k.barrier();
}

/** A convolution whose workgroups also sum what they make; `end` is stored if it is wanted. */
export function convMomentsInWorkgroups(scope: KernelScope, conv: NodeId, end: NodeId, { c, tile }: SharedConvolution, part: ValueId, isStored: boolean): Draft {
  const { k, elements } = scope;
  const { shape } = elements.type(end);
  const squares = squaresOf(shape, tile.pixels);
  let team: Team;
  let task: readonly Size[];
  let sums: Buffer;
  const sink: TileSink = {
    open(_k, at, of) {
      [task, team] = [at, of];
      scope.hoistScalars([conv, end]);
      sums = k.tile("sums", "f32", [2, tile.threadOutputs]);
      k.unroll("q", tile.threadOutputs, q => { for (const i of [0, 1]) k.store(sums, [i, q], 0); });
    },
    write(_k, at, value, q) {
      scope.whileHeld(conv, k.let_("y", value), () => {
        const y = k.let_("y", elements.value(end, at, 1));
        if (isStored) elements.store(scope.output(end), at, y, 1);
        k.store(sums, [0, q], e.add(k.load(sums, [0, q]), y));
        k.store(sums, [1, q], e.fma(y, y, k.load(sums, [1, q])));
      });
    },
    close() {
      // One more to a row: neighbours lie in other banks.
      const shared = k.alloc("summed", "f32", [2, tile.acrossOutputs, tile.acrossPixels + 1], "shared");
      const [n, row, column] = task as [Size, Size, Size];
      const count = k.let_("count", pixelsIn(shape, squares, row, column));
      k.for_("output", tile.threadOutputs, q => {
        const own = k.tile("own", "f32", [2]);
        // Registers are told apart by constants only.
        for (let i = 0; i < tile.threadOutputs; i++) k.if_(e.eq(e.index(q), i), () => { for (const j of [0, 1]) k.store(own, [j], k.load(sums, [j, i])); });
        leave(scope, shared, [team.own, team.pixel], tile.acrossPixels, [k.load(own, [0]), k.load(own, [1])], count, { part, at: [n, addSize(mulSize(row, squares.columns), column)], ...team.channelOf(q) });
      });
    },
  };
  workgroupConvolution(k, c, tile, sink);
  return scope.finish(flopsOfConv(scope, conv, c));
}

/** The same of an image that lies in memory, or is computed element by element. */
export function imageMomentsInWorkgroups(scope: KernelScope, image: NodeId, part: ValueId): Draft {
  const { k, elements } = scope;
  const { shape } = elements.type(image);
  const squares = squaresOf(shape);
  const channels = shape[3] as number;
  const [n, block, row, column] = [k.grid("n", shape[0]!), k.grid("channels", Math.ceil(channels / CHANNELS)), k.grid("rows", squares.rows), k.grid("columns", squares.columns)];
  const thread = k.thread("t", CHANNELS * PIXELS);
  scope.hoistScalars([image]);
  const [own, position] = [k.index("own", e.index(modSize(thread, CHANNELS))), k.index("position", e.index(floorDivSize(thread, CHANNELS)))];
  const channel = k.index("channel", e.index(addSize(mulSize(block, CHANNELS), own)));
  const exists = channels % CHANNELS === 0 ? e.constant("bool", 1) : e.lt(e.index(channel), e.index(channels));
  const [sum, square] = ["sum", "square"].map(name => k.mutable(name, e.constant("f32", 0))) as [Mutable, Mutable];
  k.for_("p", SQUARE * SQUARE, p => {
    const [y, x] = [k.index("y", e.index(addSize(mulSize(row, SQUARE), floorDivSize(p, SQUARE)))), k.index("x", e.index(addSize(mulSize(column, SQUARE), modSize(p, SQUARE))))];
    k.if_([e.lt(e.index(y), e.index(shape[1]!)), e.lt(e.index(x), e.index(shape[2]!))].reduce(e.and, exists), () => elements.scoped(() => {
      const value = k.let_("v", elements.value(image, [n, y, x, channel], 1));
      k.assign(sum, e.add(sum, value));
      k.assign(square, e.fma(value, value, square));
    }));
  }, { from: position, step: PIXELS });
  const shared = k.alloc("summed", "f32", [2, CHANNELS, PIXELS + 1], "shared");
  leave(scope, shared, [own, position], PIXELS, [sum, square], k.let_("count", pixelsIn(shape, squares, row, column)), { part, at: [n, addSize(mulSize(row, squares.columns), column)], channel, exists });
  return scope.finish(mulSize(3, productSize(shape)));
}

/** Mean and variance from the parts of all squares: a workgroup for each channel of each image. */
export function combineMomentsInWorkgroups(scope: KernelScope, part: ValueId, squares: Squares, shape: readonly Size[], outputs: readonly [mean: ValueId, variance: ValueId]): Draft {
  const { k } = scope;
  const [n, channel] = [k.grid("n", shape[0]!), k.grid("channel", shape[3]!)];
  const thread = k.thread("t", COMBINERS);
  const input = scope.input(part);
  const state = ["seen", "mean", "distances"].map(name => k.mutable(name, e.constant("f32", 0))) as [Mutable, Mutable, Mutable];
  const [seen, mean, distances] = state;
  const merge = (count: Expr, otherMean: Expr, otherDistances: Expr): void => {
    const total = k.let_("total", e.add(seen, count));
    // Of nothing and nothing there is no share.
    const share = k.let_("share", e.select(e.gt(total, 0), e.div(count, total), e.constant("f32", 0)));
    const distance = k.let_("distance", e.sub(otherMean, mean));
    k.assign(distances, e.add(distances, e.add(otherDistances, e.mul(e.mul(distance, distance), e.mul(seen, share)))));
    k.assign(mean, e.fma(distance, share, mean));
    k.assign(seen, total);
  };
  k.for_("square", mulSize(squares.rows, squares.columns), i => {
    const [row, column] = squares.columns === 1 ? [i, 0] : [floorDivSize(i, squares.columns), modSize(i, squares.columns)];
    merge(k.let_("count", pixelsIn(shape, squares, row, column)), k.load(input, [n, i, 0, channel]), k.load(input, [n, i, 1, channel]));
  }, { from: thread, step: COMBINERS });
  const shared = k.alloc("merged", "f32", [state.length, COMBINERS], "shared");
  const keep = (): void => state.forEach((x, i) => k.store(shared, [i, thread], x));
  keep();
  overThreads(k, thread, COMBINERS, other => {
    merge(...([0, 1, 2].map(i => k.load(shared, [i, other])) as [Expr, Expr, Expr]));
    keep();
  });
  k.if_(e.eq(e.index(thread), 0), () => {
    k.store(scope.output(outputs[0]), [n, channel], mean);
    k.store(scope.output(outputs[1]), [n, channel], e.div(distances, seen));
  });
  return scope.finish(productSize([8, ...squarePartShape(shape, squares)]));
}

/** A convolution of an image that another one makes, under each tile anew, and that is normalised by its moments. */
export function chainedInWorkgroups(scope: KernelScope, conv: NodeId, end: NodeId, { producer, end: made }: Pick<Chain, "producer" | "end">): Draft {
  const { k, elements } = scope;
  const x = (scope.graph.nodes[conv] as NodeOf<"conv">).inputs[0]!;
  const { shape } = elements.type(made);
  const first = convolutionOf(scope, producer);
  const c: Convolution = {
    ...convolutionOf(scope, conv),
    x: { convolution: first, finish: (_k, at, value) => scope.whileHeld(producer, k.let_("y", value), () => elements.value(x, at, 1)) },
  };
  const sink = scope.sink(conv, end);
  workgroupConvolution(k, c, chainTile(first, c) as ConvolutionTile, {
    ...sink,
    open(builder, task, { thread, threads }) {
      sink.open?.(builder, task);
      const held = perChannel(scope, x, made, shape).map(id => [id, k.alloc("channels", "f32", [shape[3]!], "shared")] as const);
      k.for_("c", shape[3]!, channel => elements.scoped(() => {
        for (const [id, buffer] of held) k.store(buffer, [channel], elements.value(id, [task[0]!, channel], 1));
      }), { from: thread, step: threads });
      k.barrier();
      for (const [id, buffer] of held) scope.hold(id, { value: at => k.load(buffer, at.slice(1)) });
    },
  });
  return scope.finish(addSize(flopsOfConv(scope, conv, c), flopsOfConv(scope, producer, first)));
}
