// The arbitrary of networks. A network is drawn while it is traced, layer by layer, so that each layer fits what the layers
// before it made, and the whole stays small. It shrinks as plain data (see networks/shrink.ts).
import * as fc from "fast-check";
import { SluiceError } from "../base/diagnostics.ts";
import { f32, i32 } from "../dsl/dims.ts";
import { withoutLines } from "../dsl/source.ts";
import type { Tensor } from "../dsl/tensor.ts";
import { Trace, within } from "../dsl/trace.ts";
import { wrap } from "../dsl/value.ts";
import { Building, type LayerRow } from "./networks/building.ts";
import { costOf } from "./networks/cost.ts";
import type { Layer, Network, NetworkDim, NetworkSize } from "./networks/description.ts";
import { LAYERS, layerRow } from "./networks/layers.ts";
import { width } from "./networks/layers/products.ts";
import { firstValue } from "./networks/program.ts";
import { smallerNetworks } from "./networks/shrink.ts";
import { Choose } from "./sketch.ts";

export interface NetworkOptions {
  /** The kinds of layers that occur; all by default. */
  readonly layers?: readonly string[];
  /** How many layers follow each other, at most: 6 by default. */
  readonly most?: number;
  /** Operations of one forward run, at most: 60,000 by default. */
  readonly cost?: number;
}

/**
 * Random networks: layers of every kind on sequences, images and vectors of static and symbolic sizes, 0 and 1 among them, with a
 * loss and an optimizer. Each is plain data that `networkText` prints and that shrinks to the smallest network that fails.
 */
export const networks = (options: NetworkOptions = {}): fc.Arbitrary<Network> => new NetworkArbitrary(options);

class NetworkArbitrary extends fc.Arbitrary<Network> {
  readonly #options: NetworkOptions;

  constructor(options: NetworkOptions) {
    super();
    this.#options = options;
  }
  override generate(random: fc.Random): fc.Value<Network> {
    return new fc.Value(withoutLines(() => drawn(new Choose((min, max) => random.nextInt(min, max)), this.#options)), undefined);
  }
  override canShrinkWithoutContext(value: unknown): value is Network {
    return typeof value === "object" && value !== null && "layers" in value && "input" in value;
  }
  override shrink(value: Network): fc.Stream<fc.Value<Network>> {
    return new fc.Stream(smallerNetworks(value)).map(smaller => new fc.Value(smaller, undefined));
  }
}

/** An axis that holds positions, images of a batch or rows: constant, or one of the dims. */
function leading(choose: Choose, dims: readonly NetworkDim[]): NetworkSize {
  const free = dims.filter(d => d.name !== "P");
  if (free.length > 0 && choose.chance(60)) {
    return { dim: choose.pick(free).name, times: choose.pick([1, 1, 1, 2, 4]), plus: choose.pick([0, 0, 0, 0, 1, 2]) };
  }
  return choose.pick([1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16]);
}

function drawnDims(choose: Choose): NetworkDim[] {
  return ["S", "B", "P"].slice(0, choose.pick([0, 0, 1, 1, 1, 2, 2, 3])).map((name): NetworkDim => {
    const min = name === "P" ? 0 : choose.pick([0, 1, 1, 1, 1, 2, 3]);
    const max = min + choose.pick([0, 1, 4, 9, 15, 60, 4096].slice(name === "P" ? 1 : 0, name === "P" ? 5 : 7));
    const value = (): number => (choose.chance(25) ? min : choose.int(min, Math.min(max, min + choose.pick([1, 4, 9]))));
    return { name, bind: name === "P" || choose.chance(75) ? "call" : "load", min, max, values: [value(), value()] };
  });
}

function drawnShape(choose: Choose, dims: readonly NetworkDim[], isIds: boolean): NetworkSize[] {
  const lead = (): NetworkSize => leading(choose, dims);
  if (isIds) return choose.chance(50) ? [lead()] : [lead(), lead()];
  switch (choose.pick(["rows", "rows", "sequence", "sequence", "image", "image", "vector", "heads"] as const)) {
    case "vector": return [width(choose)];
    case "rows": return [lead(), width(choose)];
    case "sequence": return [choose.chance(40) ? 1 : lead(), lead(), width(choose)];
    case "image": return [choose.chance(40) ? 1 : lead(), lead(), lead(), choose.pick([1, 2, 3, 4, 5, 8, 16])];
    case "heads": return [choose.chance(50) ? 1 : lead(), lead(), choose.int(1, 4), choose.pick([1, 2, 4, 8])];
  }
}

/** Layers inside of layers inside of layers. */
const MOST_NESTED = 2;
/** Elements of a tensor, at most. */
const MOST_ELEMENTS = 4000;

function drawn(choose: Choose, { layers = LAYERS.map(r => r.kind), most = 6, cost = 60_000 }: NetworkOptions): Network {
  const rows = LAYERS.filter(r => layers.includes(r.kind));
  const weighted = (isInside: boolean): readonly LayerRow[] => rows.flatMap(r => (isInside && r.nests ? [] : Array.from({ length: r.weight }, () => r)));
  const [outer, inner] = [weighted(false), weighted(true)];
  const dims = drawnDims(choose);
  const of = choose.chance(10) ? "ids" : "numbers";
  const largestOf = (s: NetworkSize): number => (typeof s === "number" ? s : Math.max(...dims.find(d => d.name === s.dim)!.values) * s.times + s.plus);
  let shape = drawnShape(choose, dims, of === "ids");
  while (shape.reduce<number>((n, s) => n * largestOf(s), 1) > 1500) shape = drawnShape(choose, dims, of === "ids");
  const bare: Network = {
    dims, input: { of, shape }, layers: [], loss: choose.pick(["square", "square", "mean", "sum", "cross-entropy"] as const),
    optimizer: choose.chance(70) ? { kind: choose.pick(["sgd", "sgd", "momentum", "nesterov", "adam", "adam", "adamW"] as const), clip: choose.pick([0, 0, 0.5]), decay: choose.pick([0, 0, 0.1]) } : null,
    seed: choose.int(0, 2 ** 31 - 1),
  };
  let left = cost;
  const trace = new Trace("drawn", null);
  let depth = 0;
  const after = (c: Choose, start: Tensor, count: number): readonly Layer[] => {
    const taken: Layer[] = [];
    const from = depth < MOST_NESTED ? outer : inner;
    let x = start;
    for (let tries = 0; taken.length < count && tries < 4 * count && from.length > 0; tries++) {
      const r = c.pick(from);
      depth++;
      const options = r.draw(c, x, net);
      depth--;
      if (!options) continue;
      const layer: Layer = { kind: r.kind, ...options };
      const before = trace.b.nodes.length;
      let y: Tensor | null;
      try {
        y = r.apply(layer, x, net);
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        // Refused by the words of the DSL, which whoever tries the network will see.
        return [...taken, layer];
      }
      if (y === null || net.elements(y) > MOST_ELEMENTS) continue;
      const price = costOf(trace.b.nodes, before, size => net.value(size));
      if (price > left) continue;
      left -= price;
      taken.push(layer);
      x = y;
    }
    return taken;
  };
  const net = new Building(bare, layerRow, "", after);
  net.stream.stream.name = "drops";
  return within(trace, () => {
    const spec = (of === "ids" ? i32 : f32)(...shape.map(s => net.size(s)));
    const x = wrap(trace.b.add("input", [], { name: "x", type: trace.typeOf(spec) }, null));
    return { ...bare, layers: after(choose, firstValue(bare, x, net), choose.int(1, most)) };
  });
}
