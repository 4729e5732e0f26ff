// Reductions, scans, sorting and searching along axes. Of an axis without elements the sum is 0, the product 1, the maximum
// −Infinity (the least integer, or false), the minimum Infinity (the largest integer, or true), and the position of an extreme 0.
import { type DType, integerRange, isInteger } from "../../base/dtypes.ts";
import { productSize, subSize } from "../../base/sizes.ts";
import type { Field, NdArray } from "../field.ts";
import type { TensorType } from "../graph.ts";
import { aroundAxis, forEachIndex, newArray, stridesOf } from "../ndarray.ts";
import { type OpRows, TypeRuleError } from "./definition.ts";
import type { Ungraded } from "./elementwise.ts";
import { requireAxes, requireAxis, requireKind, requireSameDtype, resized, tensorAt, typeText, withoutAxes } from "./typing.ts";

type Kind = "sum" | "prod" | "max" | "min";
const COMBINE = { sum: "add", prod: "mul", max: "max", min: "min" } as const;
const elements = (_: unknown, inputs: readonly TensorType[]) => productSize(inputs[0]!.shape);

/** What a reduction of no elements gives: 0, 1, and for the largest and the smallest the other end of what the dtype holds. */
function ofNothing(field: Field, kind: Kind, dtype: DType): number {
  if (kind === "sum" || kind === "prod") return field.literal(kind === "sum" ? 0 : 1, dtype);
  if (isInteger(dtype)) return integerRange(dtype)[kind === "max" ? "low" : "high"];
  return dtype === "bool" ? (kind === "max" ? 0 : 1) : field.literal(kind === "max" ? -Infinity : Infinity, dtype);
}

/** Sums and products start from their neutral element; extremes from the first element. */
const start = (field: Field, kind: Kind, x: NdArray) => (kind === "sum" ? field.literal(0, x.dtype) : kind === "prod" ? field.literal(1, x.dtype) : undefined);

function requireReducible(x: TensorType, kind: Kind): void {
  if (kind === "sum" || kind === "prod") requireKind(x, `a number dtype for ${kind}`, d => d !== "bool");
}

/** Whether a comes before b in a sort; in the prime field by residue, a consistent order. */
const precedes = (a: number, b: number, descending: boolean) => (descending ? a > b : a < b) || (Number.isNaN(b) && !Number.isNaN(a));

function sorted(x: NdArray, axis: number, descending: boolean, keep: number): readonly [NdArray, NdArray] {
  const { outer, n, inner } = aroundAxis(x.shape, axis);
  const shape = x.shape.map((s, i) => (i === axis ? keep : s));
  const [values, ids] = [newArray(x.dtype, shape), newArray("i32", shape)];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const at = (k: number) => x.data[(o * n + k) * inner + i]!;
      const order = Array.from({ length: n }, (_, k) => k).sort((p, q) => (precedes(at(p), at(q), descending) ? -1 : precedes(at(q), at(p), descending) ? 1 : p - q));
      for (let k = 0; k < Math.min(keep, n); k++) {
        values.data[(o * keep + k) * inner + i] = at(order[k]!);
        ids.data[(o * keep + k) * inner + i] = order[k]!;
      }
    }
  }
  return [values, ids];
}

export const reduction: Ungraded<OpRows<"reduce" | "arg_reduce" | "scan" | "sort" | "topk" | "search_sorted">> = {
  reduce: {
    family: "reduce", arity: [1, 1],
    infer(inputs, { kind, axes }) {
      const x = tensorAt(inputs, 0);
      requireAxes(axes, x.shape.length);
      requireReducible(x, kind);
      return withoutAxes(x, axes);
    },
    evaluate({ attrs: { kind, axes } }, [x], { field }) {
      const kept = x!.shape.map((_, i) => i).filter(i => !axes.includes(i));
      const out = newArray(x!.dtype, kept.map(i => x!.shape[i]!));
      const strides = stridesOf(out.shape);
      const first = start(field, kind, x!);
      const seen = new Uint8Array(out.data.length);
      out.data.fill(ofNothing(field, kind, x!.dtype));
      forEachIndex(x!.shape, (p, index) => {
        const at = kept.reduce((sum, a, i) => sum + index[a]! * strides[i]!, 0);
        const fresh = first === undefined && !seen[at];
        seen[at] = 1;
        out.data[at] = fresh ? x!.data[p]! : field.binary(COMBINE[kind], out.data[at]!, x!.data[p]!, x!.dtype);
      });
      return out;
    },
    flops: elements,
  },
  arg_reduce: {
    family: "reduce", arity: [1, 1],
    infer(inputs, { axis }) {
      const x = tensorAt(inputs, 0);
      requireAxis(axis, x.shape.length);
      return withoutAxes(x, [axis], "i32");
    },
    evaluate({ attrs: { kind, axis } }, [x]) {
      const [, ids] = sorted(x!, axis, kind === "max", 1);
      return { dtype: "i32", shape: x!.shape.filter((_, i) => i !== axis), data: ids.data };
    },
    flops: elements,
  },
  scan: {
    family: "scan", arity: [1, 1],
    infer(inputs, { kind, axis, exclusive }) {
      const x = tensorAt(inputs, 0);
      requireAxis(axis, x.shape.length);
      requireReducible(x, kind);
      if (exclusive && kind !== "sum" && kind !== "prod") throw new TypeRuleError(`an exclusive running ${kind} has no first value`, kind, "sum or prod");
      return x;
    },
    evaluate({ attrs: { kind, axis, exclusive, reverse } }, [x], { field }) {
      const out = newArray(x!.dtype, x!.shape);
      const { outer, n, inner } = aroundAxis(x!.shape, axis);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          let total = start(field, kind, x!);
          for (let k = 0; k < n; k++) {
            const at = (o * n + (reverse ? n - 1 - k : k)) * inner + i;
            const next = total === undefined ? x!.data[at]! : field.binary(COMBINE[kind], total, x!.data[at]!, x!.dtype);
            out.data[at] = exclusive ? total! : next;
            total = next;
          }
        }
      }
      return out;
    },
    flops: elements,
  },
  sort: {
    family: "sort", arity: [1, 1],
    infer(inputs, { axis }) {
      const x = tensorAt(inputs, 0);
      requireAxis(axis, x.shape.length);
      return { items: [x, { ...x, dtype: "i32" }] };
    },
    evaluate: ({ attrs }, [x]) => sorted(x!, attrs.axis, attrs.descending, x!.shape[attrs.axis]!),
    flops: elements,
  },
  topk: {
    family: "sort", arity: [1, 1],
    infer(inputs, { k, axis }) {
      const x = tensorAt(inputs, 0);
      requireAxis(axis, x.shape.length);
      const over = subSize(k, x.shape[axis]!);
      if (typeof over === "number" && over > 0) throw new TypeRuleError("more are asked for than there are", typeText(x), `k of at most the size of axis ${axis}`);
      const values = resized(x, x.shape.map((n, i) => (i === axis ? k : n)));
      return { items: [values, { ...values, dtype: "i32" }] };
    },
    evaluate: ({ attrs }, [x], { size }) => sorted(x!, attrs.axis, true, size(attrs.k)),
    flops: elements,
  },
  search_sorted: {
    family: "sort", arity: [2, 2],
    infer(inputs) {
      const [list, values] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
      requireSameDtype(list, values);
      if (list.shape.length !== 1) throw new TypeRuleError("the sorted values are not a vector", typeText(list), "one axis");
      return { ...values, dtype: "i32" };
    },
    evaluate(_node, [list, values]) {
      const out = newArray("i32", values!.shape);
      for (let p = 0; p < out.data.length; p++) {
        let [low, high] = [0, list!.data.length];
        while (low < high) {
          const middle = (low + high) >> 1;
          if (list!.data[middle]! < values!.data[p]!) low = middle + 1;
          else high = middle;
        }
        out.data[p] = low;
      }
      return out;
    },
    flops: (_, inputs) => productSize(inputs[1]!.shape),
  },
};

