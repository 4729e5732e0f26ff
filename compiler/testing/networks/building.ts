// A network under construction: the parts that its layers own, each made once and found again when the network is traced for
// another entry, and what a layer may ask of the sizes it is given.
import { type DimDecl, evaluateSize, type Size, sizeRange } from "../../base/sizes.ts";
import { type Bounds, Dim, dim } from "../../dsl/dims.ts";
import { type HasSource, typeOfSource } from "../../dsl/operands.ts";
import { random, type RandomStream } from "../../dsl/random.ts";
import { statesOf } from "../../dsl/state.ts";
import type { Tensor } from "../../dsl/tensor.ts";
import type { TensorType } from "../../graph/graph.ts";
import type { Choose } from "../sketch.ts";
import type { Layer, Network, NetworkDim, NetworkSize } from "./description.ts";

export const typeOf = (x: Tensor): TensorType => typeOfSource((x as unknown as HasSource).source);
export const shapeOf = (x: Tensor): readonly Size[] => typeOf(x).shape;

/** A size of the trace as a dim that words of the DSL take. */
export const dimOf = (size: Size): number | Dim => (typeof size === "number" ? size : new Dim(size.key, size, []));

/** `size` elements of an axis from `start` on. */
export const part = (x: Tensor, axis: number, start: number, size: Size): Tensor => x.slice({ [axis]: { start, length: dimOf(size), span: undefined as never } } as never) as Tensor;

/** A kind of layer: how one is drawn for an input, and what it makes of an input. */
export interface LayerRow<L extends Layer = Layer> {
  readonly kind: L["kind"];
  /** How often it is drawn, beside the others. */
  readonly weight: number;
  /** It has layers inside. */
  readonly nests?: true;
  /** One that fits the input; null if none does. */
  draw(choose: Choose, x: Tensor, net: Building): Omit<L, "kind"> | null;
  /** What it makes of its input; null where it does not fit. */
  apply(layer: L, x: Tensor, net: Building): Tensor | null;
}

/** The row whose options are those of L, as a row of the table. */
export const row = <L extends Layer>(r: LayerRow<L>): LayerRow => r as unknown as LayerRow;

/** Draws so many layers, each fitting what the ones before it make of x. */
export type Drawer = (choose: Choose, x: Tensor, count: number) => readonly Layer[];

export class Building {
  /** Stands before every name, so that several networks can be one program. */
  readonly prefix: string;
  readonly dims: ReadonlyMap<string, Dim>;
  /** What is trained, and what is not: caches. */
  readonly parts: { [name: string]: object } = {};
  readonly caches: { [name: string]: object } = {};
  readonly stream: RandomStream;
  /** Set where a layer draws from the stream. */
  isRandom = false;
  readonly layersOf: (name: string) => LayerRow | undefined;
  readonly #decls: ReadonlyMap<string, DimDecl>;
  readonly #values: { readonly [dim: string]: number };
  /** Draws so many layers after x. While a network is drawn its layers have no places yet: none of their parts is found again. */
  readonly #draw: Drawer | null;
  #path: readonly number[] = [];
  #loops = 0;

  constructor(network: Pick<Network, "dims">, layersOf: (name: string) => LayerRow | undefined, prefix = "", draw: Drawer | null = null) {
    this.prefix = prefix;
    this.layersOf = layersOf;
    this.#draw = draw;
    this.dims = new Map(network.dims.map(d => [d.name, dim(this.dimName(d.name), boundsOf(d))]));
    const decls = [...this.dims.values()].flatMap(d => d.decls);
    this.#decls = new Map(decls.map(d => [d.name, d]));
    this.#values = Object.fromEntries(network.dims.map(d => [this.dimName(d.name), Math.max(...d.values)]));
    this.stream = random(`${prefix}drops`);
  }
  dimName(name: string): string {
    return `${this.prefix}${name}`;
  }

  drawn(choose: Choose, x: Tensor, count: number): readonly Layer[] {
    return this.#draw?.(choose, x, count) ?? [];
  }

  /** A size of the description. */
  size(s: NetworkSize): number | Dim {
    if (typeof s === "number") return s;
    const d = this.dims.get(s.dim)!;
    const scaled = s.times === 1 ? d : d.times(s.times);
    return s.plus === 0 ? scaled : scaled.plus(s.plus);
  }
  /** The bounds of a size. */
  range(size: Size): { readonly min: number; readonly max: number } {
    return sizeRange(size, name => this.#decls.get(name));
  }
  /** The size in the larger of the two calls. */
  value(size: Size): number {
    return evaluateSize(size, this.#values);
  }
  /** Elements in the larger of the two calls. */
  elements(x: Tensor): number {
    return shapeOf(x).reduce<number>((n, s) => n * this.value(s), 1);
  }

  /** What a layer owns, by a name of its own within the layer. */
  part<T extends object>(name: string, make: () => T): T {
    return this.#owned(this.parts, `${this.prefix}net`, name, make);
  }
  /** A state that entries write and no optimizer touches. */
  cache<T extends object>(name: string, make: () => T): T {
    return this.#owned(this.caches, `${this.prefix}caches`, name, make);
  }
  #owned<T extends object>(group: { [name: string]: object }, groupName: string, name: string, make: () => T): T {
    const key = this.#draw ? `drawn${Object.keys(group).length}` : [...this.#path.map(i => `l${i}`), name].join("_");
    const known = group[key];
    if (known) return known as T;
    const made = make();
    group[key] = made;
    for (const { path, state } of statesOf(made, `${groupName}.${key}`)) state.name = path;
    return made;
  }

  /** Whether a loop's body is traced, in which no state is written and nothing is drawn. */
  get isInLoop(): boolean {
    return this.#loops > 0;
  }
  inLoop<R>(f: () => R): R {
    this.#loops++;
    try {
      return f();
    } finally {
      this.#loops--;
    }
  }

  /** The layers one after the other; one that does not fit is left out. */
  apply(layers: readonly Layer[], x: Tensor, at = 0): Tensor {
    const outer = this.#path;
    try {
      return layers.reduce((value, layer, i) => {
        this.#path = [...outer, at, i];
        return this.layersOf(layer.kind)?.apply(layer, value, this) ?? value;
      }, x);
    } finally {
      this.#path = outer;
    }
  }
}

const boundsOf = ({ bind, min, max }: NetworkDim): Bounds => ({ bind, min, max });
