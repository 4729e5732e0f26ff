// The gradient of a convolution's filter for simd machines: a task takes a band of dy's rows, in every image, and makes the
// whole filter's partial sum over them; adding the bands is left to a second kernel. Rows of x go through a zero-padded ring
// and those of dy through a buffer, and a register tile of filter elements runs along the row. Bands follow from the
// shape alone, so the order of the sum does too.
import { addSize, floorDivSize, minSize, modSize, mulSize, type Size, subSize } from "../compiler/base/sizes.ts";
import type { ConvAttrs } from "../compiler/graph/graph.ts";
import { add, constant, fma, ge, index, splat } from "../compiler/kernel/expr.ts";
import { type Buffer, REGISTER_TYPE } from "../compiler/kernel/ir.ts";
import type { KernelBuilder } from "./builder.ts";
import type { Sink, Source } from "./fused.ts";
import { allocRing, clearEdges, constantSize, copyRow, firstUnder, type Ring, type Window, windowSlot } from "./ring.ts";
import { lanesOverInputs, lanesUpTo, registerDType, restOf } from "./simd.ts";

export interface FilterGradient {
  readonly attrs: ConvAttrs;
  readonly x: Source;
  readonly dy: Source;
  /** Height and width of the filter. */
  readonly size: readonly [number, number];
}

const MOST_BANDS = 32;
const rowsOf = (height: Size): Size => floorDivSize(addSize(height, MOST_BANDS - 1), MOST_BANDS);

/** The grid: bands of rows, of which the last may be empty. */
export function filterGradientGrid({ dy }: FilterGradient): Size[] {
  const height = dy.shape[1]!;
  return [typeof height === "number" ? Math.ceil(height / Math.ceil(height / MOST_BANDS)) : MOST_BANDS];
}

/** The result's shape: [band, height, width, input channels of a group, output channels]. */
export const filterGradientShape = (g: FilterGradient): Size[] => [
  ...filterGradientGrid(g), ...g.size, constantSize(g.x.shape[3]!) / g.attrs.groups, constantSize(g.dy.shape[3]!),
];

/** Which products of a row a register tile holds: `steps` units of x's channels by `width` units of dy's, of which one
 *  side is a vector and the other a splatted scalar. */
interface Tile {
  readonly over: "outputs" | "inputs";
  readonly steps: number;
  readonly width: number;
  readonly unit: number;
}

class Gradient {
  readonly #k: KernelBuilder;
  readonly #g: FilterGradient;
  readonly #window: Window;
  readonly #ring: Ring;
  readonly #lanes: number;
  readonly #over: Tile["over"];
  readonly #perGroup: number;
  readonly #outputs: number;
  /** Output channels of a group with padding, and vectors or channels in a tile. */
  readonly #padded: number;
  readonly #width: number;
  readonly #row: Buffer;
  readonly #sums: Buffer;

  constructor(k: KernelBuilder, g: FilterGradient) {
    this.#k = k;
    this.#g = g;
    const dtype = registerDType(g.x.dtype);
    const { groups } = g.attrs;
    this.#perGroup = constantSize(g.x.shape[3]!) / groups;
    this.#outputs = constantSize(g.dy.shape[3]!) / groups;
    const overInputs = lanesOverInputs(k.simd, dtype, this.#perGroup, this.#outputs);
    const lanes = overInputs ?? lanesUpTo(this.#outputs, k.simd, dtype);
    this.#lanes = lanes;
    this.#over = overInputs === null ? "outputs" : "inputs";
    this.#width = this.#over === "inputs" ? this.#outputs : this.#outputs > lanes ? 2 : 1;
    this.#padded = this.#over === "inputs" ? this.#outputs : Math.ceil(this.#outputs / (this.#width * lanes)) * this.#width * lanes;
    this.#window = { attrs: g.attrs, size: g.size, spread: [1, 1], input: g.x.shape, dtype };
    this.#ring = allocRing(k, this.#window, g.dy.shape[2]!, true, false);
    clearEdges(k, this.#ring, this.#window, firstUnder(g.attrs, 0));
    this.#row = k.alloc("gradient", dtype, [mulSize(g.dy.shape[2]!, groups * this.#padded)], "local");
    this.#sums = k.alloc("sums", dtype, [groups, g.size[0] * g.size[1] * this.#perGroup * this.#padded], "local");
    const zero = constant(REGISTER_TYPE[dtype], 0);
    k.for_("g", groups, group => k.for_("i", g.size[0] * g.size[1] * this.#perGroup * this.#padded, i => k.store(this.#sums, [group, i], zero)));
    if (this.#padded > this.#outputs) k.for_("i", mulSize(g.dy.shape[2]!, groups * this.#padded), i => k.store(this.#row, [i], zero));
  }

  /** Adds the products of rows y of all images, y from `first` on. */
  accumulate(first: Size, rows: Size): void {
    const k = this.#k;
    const { x, attrs } = this.#g;
    k.for_("n", x.shape[0]!, n => k.for_("group", addSize(rows, this.#ring.warm), group => {
      k.for_("q", attrs.stride[0], q => {
        const row = addSize(mulSize(group, attrs.stride[0]), q);
        const from = addSize(subSize(mulSize(first, attrs.stride[0]), attrs.padding[0][0]), row);
        copyRow(k, this.#ring, this.#window, x, { n, row: from, column: firstUnder(attrs, 0) }, k.index("slot", index(modSize(row, this.#ring.slots))));
      });
      k.if_(ge(index(group), this.#ring.warm), () => {
        this.#copyGradient(n, addSize(first, subSize(group, this.#ring.warm)));
        const slots = Array.from({ length: this.#g.size[0] }, (_, ky) => windowSlot(k, this.#ring, group, ky * attrs.dilation[0]));
        k.for_("g", attrs.groups, g => slots.forEach((slot, ky) => this.#filterRow(g, ky, slot)));
      });
    }));
  }

  #copyGradient(n: Size, y: Size): void {
    const k = this.#k;
    const { dy, attrs } = this.#g;
    k.for_("x", dy.shape[2]!, x => k.for_("g", attrs.groups, g => {
      const copy = (o: Size, lanes: number): void =>
        k.store(this.#row, [addSize(mulSize(addSize(mulSize(x, attrs.groups), g), this.#padded), o)], dy.read(k, [n, y, x, addSize(mulSize(g, this.#outputs), o)], lanes));
      const whole = this.#outputs - (this.#outputs % this.#lanes);
      if (whole > 0) k.for_("o", whole, o => copy(o, this.#lanes), { step: this.#lanes });
      for (const rest of restOf(this.#outputs, this.#lanes)) copy(rest.from, rest.lanes);
    }));
  }

  /** Adds to the sums of filter row ky of group g. */
  #filterRow(g: Size, ky: number, slot: Size): void {
    const k = this.#k;
    const [, kw] = this.#g.size;
    const { dilation, groups } = this.#g.attrs;
    const channels = this.#ring.channels;
    const unit = this.#over === "inputs" ? this.#lanes : 1;
    const run = (at: Size, number: number, length: number): void => {
      const count = length / unit;
      // The accumulators, the gradients and one more operand stay in all registers but one.
      const { registers } = k.simd;
      const most = Math.min(registers - 4, Math.floor((registers - 2 - this.#width) / this.#width));
      const steps = Math.ceil(count / Math.ceil(count / most));
      const whole = Math.floor(count / steps);
      const block = (from: Size, n: number): void => this.#tile(g, slot, addSize(at, mulSize(from, unit)), addSize(number, mulSize(from, unit)), { over: this.#over, steps: n, width: this.#width, unit });
      k.for_("i", whole * steps, i => block(i, steps), { step: steps });
      if (count > whole * steps) block(whole * steps, count - whole * steps);
    };
    if (groups === 1 && dilation[1] === 1) run(0, ky * kw * this.#perGroup, kw * this.#perGroup);
    else for (let kx = 0; kx < kw; kx++) run(addSize(kx * dilation[1] * channels, mulSize(g, this.#perGroup)), (ky * kw + kx) * this.#perGroup, this.#perGroup);
  }

  /** Filter elements from `number` on, whose first factors stand in the slot from `at` on, for each block of outputs. */
  #tile(g: Size, slot: Size, at: Size, number: Size, { over, steps, width, unit }: Tile): void {
    const k = this.#k;
    const lanes = this.#lanes;
    const { dtype } = this.#window;
    const perBlock = over === "inputs" ? width : width * lanes;
    k.for_("o", this.#padded, o => {
      const acc = k.tile("acc", dtype, [steps, width], lanes);
      k.unroll("s", steps, s => { for (let v = 0; v < width; v++) k.store(acc, [s, v], 0); });
      k.for_("x", this.#g.dy.shape[2]!, x => {
        const dyAt = addSize(mulSize(addSize(mulSize(x, this.#g.attrs.groups), g), this.#padded), o);
        const xAt = addSize(mulSize(x, this.#g.attrs.stride[1] * this.#ring.channels), at);
        const gradients = Array.from({ length: width }, (_, v) =>
          over === "inputs" ? splat(k.load(this.#row, [addSize(dyAt, v)]), lanes) : k.load(this.#row, [addSize(dyAt, v * lanes)], lanes));
        k.unroll("s", steps, s => {
          const value = splat(k.load(this.#ring.buffer, [slot, addSize(xAt, mulSize(s, unit))], over === "inputs" ? lanes : 1), lanes);
          gradients.forEach((gradient, v) => k.store(acc, [s, v], fma(value, gradient, k.load(acc, [s, v]))));
        });
      });
      // The sums lie as the tile is: [step, output] with vectors of outputs, or [unit of steps, output, lane].
      const sumAt = (s: Size, v: number): Size =>
        over === "inputs"
          ? addSize(mulSize(addSize(number, mulSize(s, lanes)), this.#outputs), mulSize(addSize(o, v), lanes))
          : addSize(addSize(mulSize(addSize(number, s), this.#padded), o), v * lanes);
      k.unroll("s", steps, s => {
        for (let v = 0; v < width; v++) k.store(this.#sums, [g, sumAt(s, v)], add(k.load(this.#sums, [g, sumAt(s, v)], lanes), k.load(acc, [s, v])));
      });
    }, { step: perBlock });
  }

  /** Writes the sums of the band. */
  write(sink: Sink, band: Size): void {
    const k = this.#k;
    const [kh, kw] = this.#g.size;
    k.for_("g", this.#g.attrs.groups, g => k.for_("ky", kh, ky => k.for_("kx", kw, kx => k.for_("c", this.#perGroup, c => {
      const number = addSize(mulSize(addSize(mulSize(ky, kw), kx), this.#perGroup), c);
      const write = (o: Size, lanes: number): void => {
        const at = this.#over === "inputs"
          ? addSize(addSize(mulSize(mulSize(floorDivSize(number, this.#lanes), this.#lanes), this.#outputs), mulSize(o, this.#lanes)), modSize(number, this.#lanes))
          : addSize(mulSize(number, this.#padded), o);
        sink.write(k, [band, ky, kx, c, addSize(mulSize(g, this.#outputs), o)], k.load(this.#sums, [g, at], lanes));
      };
      const whole = this.#over === "inputs" ? 0 : this.#outputs - (this.#outputs % this.#lanes);
      if (whole > 0) k.for_("o", whole, o => write(o, this.#lanes), { step: this.#lanes });
      for (let o = whole; o < this.#outputs; o++) write(o, 1);
    }))));
  }
}

/** Writes grid and body: partial sums go to the sink at [band, ky, kx, input channel, output channel]. */
export function filterGradientKernel(k: KernelBuilder, g: FilterGradient, sink: Sink): void {
  const band = k.grid("band", filterGradientGrid(g)[0]!);
  sink.open?.(k, [band]);
  const gradient = new Gradient(k, g);
  const rows = rowsOf(g.dy.shape[1]!);
  const first = mulSize(band, rows);
  gradient.accumulate(first, minSize(rows, subSize(g.dy.shape[1]!, first)));
  gradient.write(sink, band);
  sink.close?.(k);
}
