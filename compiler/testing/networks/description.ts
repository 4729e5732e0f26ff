// A network as plain data: sizes, layers with their options, a loss and an optimizer. It prints, it is drawn at random, and it
// shrinks, since a layer that does not fit its input is left out when the network is built.

/** A size by name; `values` are those of the first call and of the second. Bound at load it has the first value only. */
export interface NetworkDim {
  readonly name: string;
  readonly bind: "call" | "load";
  readonly min: number;
  readonly max: number;
  readonly values: readonly [number, number];
}
/** A number, or `times · dim + plus`. */
export type NetworkSize = number | { readonly dim: string; readonly times: number; readonly plus: number };

/** `kind` says which row of the table of layers builds it; the rest are that row's options. */
export interface Layer {
  readonly kind: string;
  readonly [option: string]: Option;
}
export type Option = number | string | boolean | readonly number[] | readonly (readonly Layer[])[];

export interface NetworkOptimizer {
  readonly kind: "sgd" | "momentum" | "nesterov" | "adam" | "adamW";
  /** The largest norm of the gradients; 0: not clipped. */
  readonly clip: number;
  readonly decay: number;
}

export interface Network {
  readonly dims: readonly NetworkDim[];
  /** Numbers, or whole numbers from 0 that an embedding makes numbers of. */
  readonly input: { readonly of: "numbers" | "ids"; readonly shape: readonly NetworkSize[] };
  readonly layers: readonly Layer[];
  readonly loss: "sum" | "square" | "mean" | "cross-entropy";
  /** null: it runs forward only. */
  readonly optimizer: NetworkOptimizer | null;
  readonly seed: number;
}

export const isLayers = (o: Option): o is readonly (readonly Layer[])[] => Array.isArray(o) && Array.isArray(o[0]);

const sizeText = (s: NetworkSize): string => (typeof s === "number" ? String(s) : `${s.times === 1 ? "" : `${s.times}*`}${s.dim}${s.plus === 0 ? "" : `+${s.plus}`}`);

const optionText = (o: Exclude<Option, readonly (readonly Layer[])[]>): string => (Array.isArray(o) ? `[${o.join(", ")}]` : typeof o === "string" ? `"${o}"` : String(o));

function layerLines({ kind, ...options }: Layer, indent: string): string[] {
  const plain = Object.entries(options).flatMap(([name, o]) => (isLayers(o) ? [] : [`${name}: ${optionText(o as number)}`])).join(", ");
  const bodies = Object.values(options).filter(isLayers).flat();
  if (bodies.length === 0) return [`${indent}${kind}(${plain === "" ? "" : `{ ${plain} }`})`];
  return [`${indent}${kind}(${plain === "" ? "" : `{ ${plain} },`}`, ...bodies.flatMap(body => (body.length === 0 ? [`${indent}  [x],`] : [`${indent}  [`, ...body.flatMap(l => layerLines(l, `${indent}    `)), `${indent}  ],`])), `${indent})`];
}

/** The network as a person reads it: its dims with the values of the two calls, its input, one line for each layer, and how it is trained. */
export function networkText({ dims, input, layers, loss, optimizer, seed }: Network): string {
  return [
    ...dims.map(d => `const ${d.name} = dim("${d.name}", { min: ${d.min}, max: ${d.max}${d.bind === "load" ? `, bind: "load" }); // ${d.values[0]}` : ` }); // ${d.values.join(", then ")}`}`),
    `x: ${input.of === "ids" ? "i32" : "f32"}(${input.shape.map(sizeText).join(", ")})`,
    ...layers.flatMap(l => layerLines(l, "  ")),
    ...(optimizer ? [`${optimizer.kind}(${loss}${optimizer.clip > 0 ? `, clip: ${optimizer.clip}` : ""}${optimizer.decay > 0 ? `, decay: ${optimizer.decay}` : ""})`] : []),
    `// values from seed ${seed}`,
  ].join("\n");
}
