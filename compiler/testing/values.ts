// Values that fit a graph's inputs and states, drawn by name from a seed: the same name always gets the same values, so a
// graph that lost a part keeps the values of what is left.
import { type DType, DTYPES, isFloat } from "../base/dtypes.ts";
import { drawWords, numberArithmetic } from "../base/random.ts";
import { type DimValues, evaluateSize } from "../base/sizes.ts";
import { type Field, type NdArray, PRIME } from "../graph/field.ts";
import { type Graph, inputsOf, type TensorType } from "../graph/graph.ts";
import { newArray } from "../graph/ndarray.ts";

export interface Values {
  readonly inputs: { readonly [name: string]: NdArray };
  readonly states: { readonly [name: string]: NdArray };
}

/** Integers stay near zero, where ids are in and just out of bounds; one in eight is of full width. */
function integer(word: number, more: number, dtype: DType): number {
  return DTYPES[dtype].round(word % 8 === 0 ? more | 0 : (more % 9) - 3);
}

function element(words: readonly [number, number], dtype: DType, field: Field): number {
  if (dtype === "bool") return words[0] & 1;
  if (!isFloat(dtype)) return integer(words[0], words[1], dtype);
  if (field.name === "prime") return words[0] % PRIME;
  // Small, of both signs, and never zero: far from most poles and ties. Narrow floats hold what they can hold.
  const x = ((words[0] & 1 ? 1 : -1) * (0.1 + (words[1] / 2 ** 32) * 2.4));
  return dtype === "f64" || dtype === "f32" ? x : DTYPES[dtype].round(x);
}

/** One tensor's elements, which follow from its name, the seed and the field. */
export function drawTensor(name: string, type: TensorType, dims: DimValues, seed: number, field: Field): NdArray {
  const out = newArray(type.dtype, type.shape.map(s => evaluateSize(s, dims)));
  for (let i = 0; i < out.data.length; i++) out.data[i] = element(drawWords(numberArithmetic, seed >>> 0, 0, name, 0, i), type.dtype, field);
  return out;
}

export function drawValues(graph: Graph, dims: DimValues, seed: number, field: Field): Values {
  const draw = (kind: string, x: { readonly name: string; readonly type: TensorType }) => [x.name, drawTensor(`${kind} ${x.name}`, x.type, dims, seed, field)] as const;
  return {
    inputs: Object.fromEntries(inputsOf(graph).map(x => draw("input", x))),
    states: Object.fromEntries(graph.states.map(x => draw("state", x))),
  };
}
