// Movement ops as index maps: where an element of the result lies in the input. Nothing is moved.
import { addSize, type Atom, divideExactly, floorDivSize, maxSize, minSize, modSize, mulSize, productSize, sameSize, type Size, subSize } from "../base/sizes.ts";
import type { NodeOf } from "../graph/graph.ts";

export type MovementOp = "broadcast" | "reshape" | "transpose" | "slice" | "flip";

/** Row-major position of an index. */
export const flatten = (at: readonly Size[], shape: readonly Size[]): Size =>
  at.reduce<Size>((position, x, i) => addSize(mulSize(position, shape[i]!), x), 0);

/** The index of a row-major position that lies in the shape: the first axis longer than 1 has all that is left. */
export function unflatten(position: Size, shape: readonly Size[]): Size[] {
  const first = shape.findIndex(extent => extent !== 1);
  let rest = position;
  const at: Size[] = [];
  for (let i = shape.length - 1; i >= 0; i--) {
    const extent = shape[i]!;
    at.unshift(extent === 1 ? 0 : i === first ? rest : modSize(rest, extent));
    rest = floorDivSize(rest, extent);
  }
  return at;
}

/** Runs of axes whose sizes have equal products on both sides, as short as can be seen: only they mix in a reshape. */
function reshapeRuns(from: readonly Size[], to: readonly Size[]): { from: [number, number]; to: [number, number] }[] {
  const runs: { from: [number, number]; to: [number, number] }[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    const [i0, j0] = [i, j];
    let a: Size = i < from.length ? from[i++]! : 1;
    let b: Size = j < to.length ? to[j++]! : 1;
    while (!sameSize(a, b)) {
      const canGrowA = i < from.length;
      const canGrowB = j < to.length;
      if (canGrowA && (!canGrowB || divideExactly(b, a) !== undefined)) a = mulSize(a, from[i++]!);
      else if (canGrowB && (!canGrowA || divideExactly(a, b) !== undefined)) b = mulSize(b, to[j++]!);
      else if (canGrowA && canGrowB) {
        a = mulSize(a, from[i++]!);
        b = mulSize(b, to[j++]!);
      } else break;
    }
    runs.push({ from: [i0, i], to: [j0, j] });
  }
  return runs;
}

/** Index in the input of a movement node of the element at `at` of its result. */
export function inputIndex(node: NodeOf<MovementOp>, at: readonly Size[], from: readonly Size[], to: readonly Size[]): Size[] {
  switch (node.op) {
    case "broadcast": {
      const { dims } = node.attrs as NodeOf<"broadcast">["attrs"];
      return from.map((extent, i) => (extent === 1 ? 0 : at[dims[i]!]!));
    }
    case "transpose": {
      const { perm } = node.attrs as NodeOf<"transpose">["attrs"];
      const index: Size[] = [];
      perm.forEach((p, i) => (index[p] = at[i]!));
      return index;
    }
    case "slice": {
      const { start, stride } = node.attrs as NodeOf<"slice">["attrs"];
      return at.map((x, i) => addSize(start[i]!, mulSize(x, stride[i]!)));
    }
    case "flip": {
      const { axes } = node.attrs as NodeOf<"flip">["attrs"];
      return at.map((x, i) => (axes.includes(i) ? subSize(subSize(from[i]!, 1), x) : x));
    }
    case "reshape":
      return reshapeRuns(from, to).flatMap(run => {
        const [sizes, index] = [to.slice(...run.to), at.slice(...run.to)];
        const target = from.slice(...run.from);
        if (target.length === 1 && sizes.length === 1) return [index[0]!];
        return unflatten(flatten(index, sizes), target);
      });
  }
}

export const elementsOf = (shape: readonly Size[]): Size => productSize(shape);

/** Whether it is plain that an index is never negative, as variables are not. */
export const isNonNegative = (x: Size): boolean =>
  (typeof x === "number" ? x >= 0 : x.terms.every(t => t.coefficient > 0 && t.atoms.every(isNonNegativeAtom)));
function isNonNegativeAtom(atom: Atom): boolean {
  switch (atom.kind) {
    case "dim": case "mod": return true;
    case "floordiv": return isNonNegative(atom.a);
    case "min": return isNonNegative(atom.a) && isNonNegative(atom.b);
    case "max": return isNonNegative(atom.a) || isNonNegative(atom.b);
  }
}

/** An index that may lie outside an axis, as the nearest one that does not. */
export const clampIndex = (x: Size, extent: Size): Size => minSize(isNonNegative(x) ? x : maxSize(x, 0), subSize(extent, 1));
