// A network as a program: an entry that runs it forward and one that trains it. Several networks become one program, whose
// names begin with a prefix of each, so that a compiler is started once for all of them.
import { type Dim, f32, i32 } from "../../dsl/dims.ts";
import { arange } from "../../dsl/functions.ts";
import { crossEntropy, embedding } from "../../dsl/nn.ts";
import { adam, adamW, gradientsOf, type Optimizer, sgd } from "../../dsl/optim.ts";
import { entry, traceProgram } from "../../dsl/program.ts";
import { withoutLines } from "../../dsl/source.ts";
import { statesOf } from "../../dsl/state.ts";
import type { Scalar, Tensor } from "../../dsl/tensor.ts";
import { Trace, within } from "../../dsl/trace.ts";
import { wrap } from "../../dsl/value.ts";
import type { Graph, Program } from "../../graph/graph.ts";
import { Building, dimOf, shapeOf } from "./building.ts";
import type { Network, NetworkOptimizer } from "./description.ts";
import { layerRow } from "./layers.ts";

/** How many rows the table has that makes numbers of ids. */
export const IDS = 11;

/** A network that was traced: its entries, and of which states it owns. */
export interface TracedNetwork {
  readonly network: Network;
  readonly prefix: string;
  readonly forward: Graph;
  readonly learn: Graph | null;
}

/** The network's input, in a trace. */
export function firstValue(network: Network, x: Tensor, net: Building): Tensor {
  return network.input.of === "numbers" ? x : net.part("table", () => embedding(IDS, 8))(x as never) as Tensor;
}
const forward = (network: Network, x: Tensor, net: Building): Tensor => net.apply(network.layers, firstValue(network, x, net));

const rate = 0.05;
function optimizerOf(parts: object, { kind, decay }: NetworkOptimizer): Optimizer {
  const opts = { rate, ...(decay > 0 ? { decay } : {}) };
  switch (kind) {
    case "sgd": return sgd(parts, opts);
    case "momentum": return sgd(parts, { ...opts, momentum: 0.9 });
    case "nesterov": return sgd(parts, { ...opts, momentum: 0.9, nesterov: true });
    // Far from the rounding of a gradient that is 0.
    case "adam": return adam(parts, { ...opts, eps: 0.01 });
    case "adamW": return adamW(parts, { ...opts, eps: 0.01 });
  }
}

function lossOf(network: Network, y: Tensor, net: Building): Scalar<"f32"> {
  const shape = shapeOf(y);
  const last = shape.at(-1);
  if (network.loss === "cross-entropy" && shape.length >= 2 && typeof last === "number" && last > 0) {
    // The ids follow from the position, and every fifth row has none.
    const rows = shape.at(-2)!;
    const ids = (arange(dimOf(rows) as Dim) as Tensor).mod(Math.min(last, 5) + 1).sub(1) as Tensor;
    const all = shape.length === 2 ? ids : (ids.expand(...shape.slice(0, -2).map(dimOf)) as Tensor);
    return crossEntropy(y as never, all as never).sum() as Scalar<"f32">;
  }
  const isEverSmall = shape.every(s => net.range(s).min >= 1);
  if (network.loss === "mean" && isEverSmall) return y.sub(0.3).square().mean() as Scalar<"f32">;
  return (network.loss === "sum" ? y : y.sub(0.3).square()).sum() as Scalar<"f32">;
}

/** The words that a user would write for the network. */
export function exportsOf(network: Network, prefix: string): { readonly [name: string]: unknown } {
  const net = new Building(network, layerRow, prefix);
  const spec = (): ReturnType<typeof f32> => (network.input.of === "ids" ? i32 : f32)(...network.input.shape.map(s => net.size(s))) as ReturnType<typeof f32>;
  // Traced once for nothing, so that every layer has made its parts before the program asks for their names.
  const t = new Trace("parts", null);
  net.stream.stream.name = `${prefix}drops`;
  within(t, () => void forward(network, wrap(t.b.add("input", [], { name: "x", type: t.typeOf(spec()) }, null)), net));
  const isTrained = network.optimizer !== null && statesOf(net.parts).length > 0;
  const optimizer = isTrained && network.optimizer ? optimizerOf(net.parts, network.optimizer) : null;
  return {
    [`${prefix}net`]: net.parts, [`${prefix}caches`]: net.caches,
    ...(net.isRandom ? { [`${prefix}drops`]: net.stream } : {}), ...(optimizer ? { [`${prefix}optimizer`]: optimizer } : {}),
    [`${prefix}forward`]: entry({ x: spec() }, ({ x }) => ({ y: forward(network, x as Tensor, net) })),
    ...(network.optimizer === null ? {} : {
      [`${prefix}learn`]: entry({ x: spec() }, ({ x }) => {
        const loss = lossOf(network, forward(network, x as Tensor, net), net);
        const dx = network.input.of === "numbers" ? { dx: gradientsOf(loss, [x as Tensor])[0]! } : {};
        const norm = optimizer ? { norm: optimizer.step(loss, network.optimizer!.clip > 0 ? { clip: network.optimizer!.clip } : {}).norm } : {};
        return { loss, ...dx, ...norm } as { readonly [name: string]: Tensor };
      }),
    }),
  };
}

/** The networks as one program without first values: whoever runs it sets its states. */
export function programOfNetworks(networks: readonly Network[]): { readonly program: Program; readonly traced: readonly TracedNetwork[] } {
  const prefixOf = (i: number): string => (networks.length === 1 ? "" : `n${i}_`);
  const { states, ...rest } = withoutLines(() => traceProgram(Object.assign({}, ...networks.map((n, i) => exportsOf(n, prefixOf(i)))), "networks"));
  const program = { ...rest, states: states.map(({ name, type, span }) => ({ name, type, span })) };
  const named = (name: string): Graph | null => program.entries.find(e => e.name === name) ?? null;
  return { program, traced: networks.map((network, i) => ({ network, prefix: prefixOf(i), forward: named(`${prefixOf(i)}forward`)!, learn: named(`${prefixOf(i)}learn`) })) };
}
