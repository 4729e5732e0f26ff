// Values that fit a graph's inputs and states, drawn by name from a seed: the same name always gets the same values, so a
// graph that lost a part keeps the values of what is left.
import { type DType, DTYPES, type FloatType, isFloat } from "../base/dtypes.ts";
import { drawWords, numberArithmetic, streamWord } from "../base/random.ts";
import { type DimValues, evaluateSize } from "../base/sizes.ts";
import { type Field, float64, type NdArray, PRIME } from "../graph/field.ts";
import { type Graph, inputsOf, type TensorType } from "../graph/graph.ts";
import { newArray } from "../graph/ndarray.ts";

export interface Values {
  readonly inputs: { readonly [name: string]: NdArray };
  readonly states: { readonly [name: string]: NdArray };
}

/** How elements are drawn: near zero and far from poles and ties, or special ones among these, to show what happens there. */
export type Draw = "ordinary" | "special";

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

/** The largest value of a float dtype, and the smallest above 0, which is denormal. */
const ENDS: { readonly [D in FloatType]: readonly [largest: number, smallest: number] } = {
  f64: [Number.MAX_VALUE, Number.MIN_VALUE], f32: [3.4028234663852886e38, 2 ** -149], f16: [65504, 2 ** -24], bf16: [3.3895313892515355e38, 2 ** -133],
};
/** Beside ends, infinities and zeros: ties, where exp overflows and vanishes, what is lost beside 1, the ends of integers. */
const SPECIAL_FLOATS = [NaN, Infinity, -Infinity, 0, -0, 0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 1000, -1000, 1e-20, 2 ** 31, -(2 ** 31) - 1, 2 ** 53];
const SPECIAL_INTEGERS = [0, 1, -1, 2, 3, 4, -4, 7, 8, 15, 16, 31, 32, 255, 256];

/** Half of them special values of the dtype, the others ordinary. */
function specialElement(words: readonly [number, number], dtype: DType): number {
  const [a, b] = words;
  if (dtype === "bool" || (a >>> 16) % 2 === 0) return element(words, dtype, float64);
  if (isFloat(dtype)) {
    const [largest, smallest] = ENDS[dtype];
    const all = [...SPECIAL_FLOATS, largest, -largest, smallest, -smallest];
    return DTYPES[dtype].round(all[b % all.length]!);
  }
  const { bits, kind } = DTYPES[dtype];
  const [min, max] = kind === "signed" ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  const all = [...SPECIAL_INTEGERS, min, max, min, max, min + 1, max - 1, -(2 ** (bits >> 1))];
  return DTYPES[dtype].round(all[b % all.length]!);
}

/** One tensor's elements, which follow from its name, the seed, the field and the draw; special ones are of float64 alone. */
export function drawTensor(name: string, type: TensorType, dims: DimValues, seed: number, field: Field, draw: Draw = "ordinary"): NdArray {
  const out = newArray(type.dtype, type.shape.map(s => evaluateSize(s, dims)));
  const stream = streamWord(name);
  for (let i = 0; i < out.data.length; i++) {
    const words = drawWords(numberArithmetic, [seed >>> 0, 0], [stream, 0], i);
    out.data[i] = draw === "special" ? specialElement(words, type.dtype) : element(words, type.dtype, field);
  }
  return out;
}

export function drawValues(graph: Graph, dims: DimValues, seed: number, field: Field, how: Draw = "ordinary"): Values {
  const draw = (kind: string, x: { readonly name: string; readonly type: TensorType }) => [x.name, drawTensor(`${kind} ${x.name}`, x.type, dims, seed, field, how)] as const;
  return {
    inputs: Object.fromEntries(inputsOf(graph).map(x => draw("input", x))),
    states: Object.fromEntries(graph.states.map(x => draw("state", x))),
  };
}
