// Mean and variance over the rows and columns of an image, in one pass: each task leaves mean and sum of squared distances
// of its band of rows, and bands are combined in their order (Chan, Golub and LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances", 1979). A convolution's own task does it, so that its result need not be stored;
// a convolution that normalises its input by them combines them again where it needs them.
import { addSize, floorDivSize, minSize, modSize, mulSize, productSize, type Size, subSize } from "../base/sizes.ts";
import { isTuple, type Node, type NodeId, type NodeOf, type TensorType } from "../graph/graph.ts";
import * as e from "../kernel/expr.ts";
import { type Buffer, type Expr, typeOf } from "../kernel/ir.ts";
import type { Mutable } from "../../kernels/builder.ts";
import { bandHeight, type Convolution, convolutionGrid, convolutionKernel } from "../../kernels/convolution.ts";
import type { Sink } from "../../kernels/fused.ts";
import { lanesOf } from "../../kernels/simd.ts";
import { forVectors, LANE, withLanes } from "./elements.ts";
import { everyIndex, overShape } from "./loops.ts";
import { convolutionOf } from "./products.ts";
import type { Draft, KernelScope, ValueId } from "./scope.ts";

/** Composites that are computed as a whole: moments of f32 images over rows and columns. */
export function isImageMoments(node: Node, typeOfInput: TensorType): boolean {
  return node.op === "composite" && node.attrs.name === "moments" && String(node.attrs.attrs["axes"]) === "1,2"
    && typeOfInput.shape.length === 4 && typeOfInput.dtype === "f32" && typeof typeOfInput.shape[3] === "number";
}

const widest = (scope: KernelScope): number => lanesOf(scope.k.simd, "f32");

/** How the rows of an image are divided. */
export interface Bands {
  readonly height: number;
  readonly count: Size;
}
const PLAIN_BAND = 16;
export const bandsOf = (c: Convolution): Bands => ({ height: bandHeight(c), count: convolutionGrid(c)[1]! });
export const plainBands = (rows: Size): Bands => ({ height: PLAIN_BAND, count: floorDivSize(addSize(rows, PLAIN_BAND - 1), PLAIN_BAND) });

/** [image, band, mean or sum of squares, channel] */
export const momentPartShape = ([images, , , channels]: readonly Size[], { count }: Bands): Size[] => [images!, count, 2, channels!];

const elementsIn = (band: Size, { height }: Bands, [, rows, columns]: readonly Size[]): Expr =>
  e.cast("f32", e.index(mulSize(minSize(height, subSize(rows!, mulSize(band, height))), columns!)));

/** Neighbouring pixels add to different sums, so that none waits for the one before it. */
const SUMS = 4;

/** Sums of one task over its band. */
class BandSums {
  readonly #scope: KernelScope;
  readonly #sums: Buffer;
  readonly #squares: Buffer;
  readonly #channels: Size;

  constructor(scope: KernelScope, channels: Size) {
    this.#scope = scope;
    this.#channels = channels;
    this.#sums = scope.k.alloc("sums", "f32", [SUMS, channels], "local");
    this.#squares = scope.k.alloc("squares", "f32", [SUMS, channels], "local");
    scope.k.for_("i", SUMS, i => forVectors(scope.k, channels, widest(scope), (c, lanes) => {
      for (const b of [this.#sums, this.#squares]) scope.k.store(b, [i, c], e.constant("f32", 0, lanes));
    }));
  }

  add(x: Size, channel: Size, y: Expr): void {
    const { k } = this.#scope;
    const { lanes } = typeOf(y);
    const i = k.index("i", e.index(modSize(x, SUMS)));
    k.store(this.#sums, [i, channel], e.add(k.load(this.#sums, [i, channel], lanes), y));
    k.store(this.#squares, [i, channel], e.fma(y, y, k.load(this.#squares, [i, channel], lanes)));
  }

  /** The elements that the callback adds, all of the same channels: their sums stay in registers. */
  addAll(channel: Size, lanes: number, each: (add: (y: Expr) => void) => void): void {
    const { k } = this.#scope;
    const [sum, square] = ["sum", "square"].map(name => k.mutable(name, e.constant("f32", 0, lanes))) as [Mutable, Mutable];
    each(y => {
      k.assign(sum, e.add(sum, y));
      k.assign(square, e.fma(y, y, square));
    });
    k.store(this.#sums, [0, channel], e.add(k.load(this.#sums, [0, channel], lanes), sum));
    k.store(this.#squares, [0, channel], e.add(k.load(this.#squares, [0, channel], lanes), square));
  }

  leave(part: ValueId, image: Size, band: Size, count: Expr): void {
    const { k } = this.#scope;
    const output = this.#scope.output(part);
    forVectors(k, this.#channels, widest(this.#scope), (c, lanes) => {
      const [sum, squares] = [this.#sums, this.#squares].map(b => Array.from({ length: SUMS }, (_, i) => k.load(b, [i, c], lanes)).reduce((x, y) => e.add(x, y))) as [Expr, Expr];
      const mean = k.let_("mean", e.div(sum, e.splat(count, lanes)));
      k.store(output, [image, band, 0, c], mean);
      k.store(output, [image, band, 1, c], e.max(e.sub(squares, e.mul(sum, mean)), 0));
    });
  }
}

/** A convolution whose task also sums what it makes; `end` is stored if it is wanted. */
export function convMomentsKernel(scope: KernelScope, conv: NodeId, end: NodeId, part: ValueId, isStored: boolean): Draft {
  const c = convolutionOf(scope, conv);
  const shape = scope.elements.type(end).shape;
  const bands = bandsOf(c);
  let sums: BandSums;
  let task: readonly Size[];
  /** Has the element that is made of the convolution's used, and stored if it is wanted. */
  const made = (at: readonly Size[], value: Expr, use: (y: Expr) => void): void => {
    const { k, elements } = scope;
    const { lanes } = typeOf(value);
    const to = lanes === 1 ? at : withLanes(at);
    scope.whileHeld(conv, k.let_("y", value), () => {
      const y = k.let_("y", e.splat(elements.value(end, to, lanes), lanes));
      if (isStored) elements.store(scope.output(end), to, y, lanes);
      use(y);
    });
  };
  const sink: Sink = {
    open(_k, at) {
      task = at;
      scope.hoistScalars([conv, end]);
      sums = new BandSums(scope, shape[3]!);
    },
    write: (_k, at, value) => made(at, value, y => sums.add(at[2]!, at[3]!, y)),
    writePixels(k, [n, row, x, channel], pixels, value) {
      sums.addAll(channel!, typeOf(value(0)).lanes, add => k.unroll("p", pixels, p => made([n!, row!, addSize(x!, p), channel!], value(p), add)));
    },
    close() {
      sums.leave(part, task[0]!, task[1]!, elementsIn(task[1]!, bands, shape));
    },
  };
  convolutionKernel(scope.k, c, sink);
  return scope.finish(mulSize(2, shape.concat(c.filter.shape.slice(0, 3)).reduce<Size>(mulSize, 1)));
}

/** The same of an image that lies in memory, or is computed element by element. */
export function imageMomentsKernel(scope: KernelScope, image: NodeId, part: ValueId): Draft {
  const { k, elements } = scope;
  const { shape } = elements.type(image);
  const bands = plainBands(shape[1]!);
  const [n, band] = [k.grid("n", shape[0]!), k.grid("band", bands.count)];
  scope.hoistScalars([image]);
  const sums = new BandSums(scope, shape[3]!);
  const start = mulSize(band, bands.height);
  everyIndex(scope, [minSize(bands.height, subSize(shape[1]!, start)), shape[2]!, shape[3]!], widest(scope), ([y, x, c], lanes) => elements.scoped(() => {
    const at = [n, addSize(start, y!), x!, c!];
    sums.add(x!, lanes === 1 ? c! : subSize(c!, LANE), e.splat(elements.value(image, at, lanes), lanes));
  }));
  sums.leave(part, n, band, elementsIn(band, bands, shape));
  return scope.finish(mulSize(3, shape.reduce<Size>(mulSize, 1)));
}

/** Mean and variance of some channels from the parts of all bands. */
function combined(scope: KernelScope, part: ValueId, bands: Bands, shape: readonly Size[], image: Size, channel: Size, lanes: number): { mean: Expr; variance: Expr } {
  const { k } = scope;
  const input = scope.input(part);
  const mean = k.mutable("mean", e.constant("f32", 0, lanes));
  const squares = k.mutable("squares", e.constant("f32", 0, lanes));
  const seen = k.mutable("seen", e.constant("f32", 0));
  k.for_("b", bands.count, b => {
    const count = k.let_("count", elementsIn(b, bands, shape));
    const total = k.let_("total", e.add(seen, count));
    const distance = k.let_("distance", e.sub(k.load(input, [image, b, 0, channel], lanes), mean));
    const share = k.let_("share", e.div(count, total));
    const spread = e.mul(e.mul(distance, distance), e.splat(e.mul(seen, share), lanes));
    k.assign(squares, e.add(squares, e.add(k.load(input, [image, b, 1, channel], lanes), spread)));
    k.assign(mean, e.fma(distance, e.splat(share, lanes), mean));
    k.assign(seen, total);
  });
  return { mean: k.let_("mean", mean), variance: k.let_("variance", e.div(squares, e.splat(seen, lanes))) };
}

export function combineMomentsKernel(scope: KernelScope, part: ValueId, bands: Bands, shape: readonly Size[], outputs: readonly [mean: ValueId, variance: ValueId]): Draft {
  overShape(scope, [shape[0]!, shape[3]!], widest(scope), () => {}, (at, lanes) => {
    const { mean, variance } = combined(scope, part, bands, shape, at[0]!, lanes === 1 ? at[1]! : subSize(at[1]!, LANE), lanes);
    scope.elements.store(scope.output(outputs[0]), at, mean, lanes);
    scope.elements.store(scope.output(outputs[1]), at, variance, lanes);
  });
  return scope.finish(mulSize(8, mulSize(shape[0]!, shape[3]!)));
}

/** A convolution of an image that another convolution makes, row by row, with the moments of the latter between them. */
export interface Chain {
  readonly producer: NodeId;
  readonly end: NodeId;
  /** Its mean and variance, as nodes. */
  readonly items: readonly NodeId[];
}

export function chainedConvKernel(scope: KernelScope, conv: NodeId, end: NodeId, chain: Chain, part: ValueId): Draft {
  const { k, elements } = scope;
  const node = scope.graph.nodes[conv] as NodeOf<"conv">;
  const x = node.inputs[0]!;
  const producer = convolutionOf(scope, chain.producer);
  const shape = elements.type(chain.end).shape;
  const c: Convolution = {
    ...convolutionOf(scope, conv),
    x: {
      convolution: producer,
      finish: (_k, at, value) => {
        const { lanes } = typeOf(value);
        return scope.whileHeld(chain.producer, k.let_("y", value), () => e.splat(elements.value(x, lanes === 1 ? at : withLanes(at), lanes), lanes));
      },
    },
  };
  const sink = scope.sink(conv, end);
  convolutionKernel(k, c, {
    ...sink,
    open(builder, task) {
      const n = task[0]!;
      const held = chain.items.map(() => k.alloc("moment", "f32", [shape[3]!], "local"));
      forVectors(k, shape[3]!, widest(scope), (channel, lanes) => {
        const { mean, variance } = combined(scope, part, bandsOf(producer), shape, n, channel, lanes);
        chain.items.forEach((id, i) => k.store(held[i]!, [channel], (scope.graph.nodes[id] as NodeOf<"item">).attrs.index === 0 ? mean : variance));
      });
      chain.items.forEach((id, i) => scope.hold(id, { value: (at, lanes) => elements.load(held[i]!, at.slice(1), lanes) }));
      sink.open?.(builder, task);
      for (const id of perChannel(scope, x, chain.end, shape)) holdPerChannel(scope, id, n);
    },
  });
  const products = (id: NodeId, { filter }: Convolution): Size => productSize([2, ...elements.type(id).shape, ...filter.shape.slice(0, 3)]);
  return scope.finish(addSize(products(conv, c), products(chain.producer, producer)));
}

/** Computed values of one element a channel that are repeated over the image: made once a task, not once a pixel. */
export function perChannel(scope: KernelScope, from: NodeId, until: NodeId, shape: readonly Size[]): NodeId[] {
  const found = new Set<NodeId>();
  const seen = new Set<NodeId>([until]);
  const visit = (id: NodeId): void => {
    if (seen.has(id)) return;
    seen.add(id);
    const node = scope.graph.nodes[id]!;
    if (isTuple(node.type) || scope.isHeld(id)) return;
    if (node.op === "broadcast") {
      const input = scope.graph.nodes[node.inputs[0]!]!;
      const type = isTuple(input.type) ? null : input.type;
      const isChannels = type && type.dtype === "f32" && type.shape.length === 2 && type.shape[1] === shape[3] && node.attrs.dims.join() === "0,3";
      if (isChannels && input.inputs.length > 0 && !scope.isHeld(node.inputs[0]!)) {
        found.add(node.inputs[0]!);
        return;
      }
    }
    node.inputs.forEach(visit);
  };
  visit(from);
  return [...found];
}

function holdPerChannel(scope: KernelScope, id: NodeId, image: Size): void {
  const { k, elements } = scope;
  const local = k.alloc("channels", "f32", [elements.type(id).shape[1]!], "local");
  forVectors(k, elements.type(id).shape[1]!, widest(scope), (c, lanes) => elements.scoped(() => k.store(local, [c], elements.read(id, [image, c], lanes))));
  scope.hold(id, { value: (at, lanes) => elements.load(local, at.slice(1), lanes) });
}
