// Rows of movements as fusion reads through them: random reshapes, transposes, slices, flips, broadcasts, repeats, paddings and
// concatenations, and the index that each of them makes of an index of the result.
import * as fc from "fast-check";
import { addSize, type DimDecl, dimSize, divideExactly, floorDivSize, mulSize, type Size, sizeRange, sizeText, subSize } from "../../compiler/base/sizes.ts";
import { clampIndex, inputIndex, type MovementOp } from "../../compiler/fusion/maps.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type Graph, isTuple, type NodeId, type NodeOf, tensorType } from "../../compiler/graph/graph.ts";
import { graphText } from "../../compiler/graph/text.ts";
import { Choose } from "../../compiler/testing/sketch.ts";

/** An index in the symbols i0, i1, …, and the shape that it has to lie in. */
interface Place {
  readonly at: readonly Size[];
  readonly shape: readonly Size[];
  readonly text: string;
}
export interface Movements {
  /** The movements of an input x, of which the last node is the result. */
  readonly graph: Graph;
  readonly dims: readonly DimDecl[];
  readonly result: readonly Size[];
  /** From the result to the input, each value that is read. */
  readonly trail: readonly Place[];
  /** For what a failing property prints. */
  [fc.toStringMethod](): string;
}

const DIMS: readonly DimDecl[] = [
  { name: "N", binding: "call", min: 1, max: 64, multipleOf: 1 }, { name: "S", binding: "call", min: 1, max: 4096, multipleOf: 1 },
  { name: "H", binding: "call", min: 4, max: 512, multipleOf: 1 }, { name: "W", binding: "call", min: 8, max: 512, multipleOf: 8 },
];
const leastOf = (s: Size): number => sizeRange(s, name => DIMS.find(d => d.name === name)).min;
const listText = (sizes: readonly Size[]): string => `[${sizes.map(sizeText).join(", ")}]`;

/** Up to `most` movements of a tensor of random shape. */
export const movements = (isSymbolic: boolean, most = 6): fc.Arbitrary<Movements> => fc.gen().map(gen => {
  const choose = new Choose((min, max) => gen(fc.integer, { min, max }));
  const b = new GraphBuilder("movements");
  for (const d of DIMS) b.declareDim(d);
  const extent = (): Size => (isSymbolic && choose.chance(45) ? mulSize(choose.pick([1, 1, 1, 2, 3]), dimSize(choose.pick(DIMS).name)) : choose.pick([1, 2, 3, 4, 5, 6, 8, 12, 16]));
  const x = b.add("input", [], { name: "x", type: tensorType("f32", Array.from({ length: choose.int(1, 4) }, extent)) });
  let result: NodeId = x;
  for (let i = choose.int(1, most); i > 0; i--) result = moved(new Build(b, null), choose, result) ?? result;
  b.outputs.push({ name: "y", id: result });
  const graph = b.finish();
  const shapeOf = (id: NodeId): readonly Size[] => {
    const { type } = graph.nodes[id]!;
    return isTuple(type) ? [] : type.shape;
  };
  const trail: Place[] = [];
  const read = (id: NodeId, at: readonly Size[], before: string): void => {
    const node = graph.nodes[id]!;
    const shape = shapeOf(id);
    const text = `${before}${before && " of "}${node.op} ${listText(shape)}`;
    trail.push({ at, shape, text });
    if (node.op === "pad") {
      const { low, high } = node.attrs;
      const from = shapeOf(node.inputs[0]!);
      read(node.inputs[0]!, at.map((i, axis) => (low[axis] === 0 && high[axis] === 0 ? i : clampIndex(subSize(i, low[axis]!), from[axis]!))), text);
    } else if (node.op === "concat") {
      let start: Size = 0;
      for (const from of node.inputs) {
        const [begin, size] = [start, shapeOf(from)[node.attrs.axis]!];
        read(from, at.map((i, axis) => (axis === node.attrs.axis ? clampIndex(subSize(i, begin), size) : i)), text);
        start = addSize(start, size);
      }
    } else if (node.op !== "input") read(node.inputs[0]!, inputIndex(node as NodeOf<MovementOp>, at, shapeOf(node.inputs[0]!), shape), text);
  };
  read(result, shapeOf(result).map((_, i) => dimSize(`i${i}`)), "");
  return { graph, dims: DIMS, result: shapeOf(result), trail, [fc.toStringMethod]: () => graphText(graph) };
});

/** One more movement; null where the one that was drawn does not fit. */
function moved(g: Build, choose: Choose, x: NodeId): NodeId | null {
  const { shape } = g.type(x);
  const rank = shape.length;
  const unnamed = shape.map(() => null);
  const axis = choose.int(0, Math.max(0, rank - 1));
  const reshaped = (to: readonly Size[]): NodeId => g.reshape(x, to, to.map(() => null));
  const replaced = (...by: readonly Size[]): Size[] => shape.toSpliced(axis, 1, ...by);
  switch (choose.pick(["merge", "merge", "split", "split", "ones", "transpose", "transpose", "slice", "flip", "repeat", "pad", "concat", "permuted"] as const)) {
    case "merge": return axis + 1 < rank ? reshaped(shape.toSpliced(axis, 2, mulSize(shape[axis]!, shape[axis + 1]!))) : null;
    case "split": {
      const inner = choose.pick<Size>([2, 3, 4, 8, ...DIMS.map(d => dimSize(d.name))]);
      const outer = divideExactly(shape[axis] ?? 1, inner);
      return outer === undefined || rank > 5 ? null : reshaped(choose.chance(50) ? replaced(outer, inner) : replaced(inner, outer));
    }
    case "ones": return rank > 5 ? null : reshaped(choose.chance(50) ? shape.filter(s => s !== 1) : shape.toSpliced(axis, 0, 1));
    case "transpose": return g.transpose(x, choose.shuffled(shape.map((_, i) => i)));
    // All axes in another order of the same number of elements.
    case "permuted": return reshaped(choose.shuffled(shape));
    case "flip": return rank === 0 ? null : g.node("flip", [x], { axes: [axis] });
    case "slice": {
      const least = rank === 0 ? 0 : leastOf(shape[axis]!);
      if (least < 2) return null;
      const [start, stride] = [choose.int(0, least - 1), choose.pick([1, 1, 2, 3])];
      const size = choose.chance(50) ? choose.int(1, Math.floor((least - 1 - start) / stride) + 1) : floorDivSize(addSize(subSize(shape[axis]!, start), stride - 1), stride);
      return g.node("slice", [x], { start: shape.map((_, i) => (i === axis ? start : 0)), size: replaced(size), stride: shape.map((_, i) => (i === axis ? stride : 1)) });
    }
    case "repeat": {
      if (rank === 0 || rank > 5) return null;
      // Of each element, or of the whole axis.
      const at = choose.chance(50) ? axis + 1 : axis;
      const times = choose.pick([2, 3]);
      const spread = shape.toSpliced(at, 0, times);
      const repeated = g.broadcastTo(x, { shape: spread, axes: spread.map(() => null) }, shape.map((_, i) => (i < at ? i : i + 1)));
      return g.reshape(repeated, replaced(mulSize(times, shape[axis]!)), unnamed);
    }
    case "pad": return rank === 0 ? null : g.node("pad", [x], { low: shape.map((_, i) => (i === axis ? choose.int(0, 2) : 0)), high: shape.map((_, i) => (i === axis ? choose.int(0, 2) : 0)), value: 0 });
    case "concat": return rank === 0 ? null : g.node("concat", [x, choose.chance(50) ? x : g.node("flip", [x], { axes: [axis] })], { axis });
  }
}
