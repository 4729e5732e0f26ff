// Reading and writing at positions that are data. What is gathered is clamped into the axis, and is 0 where the axis has no
// elements; what is scattered outside of it is dropped.
import { isInteger } from "../../base/dtypes.ts";
import { productSize, sameSize } from "../../base/sizes.ts";
import type { TensorType, ValueType } from "../graph.ts";
import { countOf, newArray } from "../ndarray.ts";
import { type OpRows, TypeRuleError } from "./definition.ts";
import type { Ungraded } from "./elementwise.ts";
import { requireAxis, requireKind, requireSameDtype, requireSameShape, tensorAt, typeText } from "./typing.ts";

const PUT = { set: null, add: "add", max: "max", min: "min" } as const;

function gathered(inputs: readonly ValueType[], axis: number, batch: number): TensorType {
  const [x, ids] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
  requireAxis(axis, x.shape.length);
  requireKind(ids, "integer ids (i32)", d => d === "i32" || (isInteger(d) && d === "u32"));
  if (batch > axis || batch > ids.shape.length) throw new TypeRuleError(`${batch} batch axes do not fit`, `${typeText(x)} at ${typeText(ids)}`, `at most ${Math.min(axis, ids.shape.length)}`);
  for (let i = 0; i < batch; i++) {
    if (!sameSize(x.shape[i]!, ids.shape[i]!)) throw new TypeRuleError(`batch axis ${i} differs`, `${typeText(x)} at ${typeText(ids)}`, "equal batch axes");
  }
  return {
    dtype: x.dtype,
    shape: [...x.shape.slice(0, axis), ...ids.shape.slice(batch), ...x.shape.slice(axis + 1)],
    axes: [...x.axes.slice(0, axis), ...ids.axes.slice(batch), ...x.axes.slice(axis + 1)],
  };
}

interface Walk {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly batch: number;
  readonly ids: { readonly shape: readonly number[]; readonly data: Float64Array };
}

/** For each element of the gathered shape: its position, the id it reads at, and x's position for a given id. */
function forEachSlice({ shape, axis, batch, ids }: Walk, visit: (part: number, id: number, at: (id: number) => number) => void): void {
  const [batches, between] = [countOf(shape.slice(0, batch)), countOf(shape.slice(batch, axis))];
  const [perBatch, n, inner] = [countOf(ids.shape.slice(batch)), shape[axis]!, countOf(shape.slice(axis + 1))];
  let part = 0;
  for (let b = 0; b < batches; b++) {
    for (let m = 0; m < between; m++) {
      for (let k = 0; k < perBatch; k++) {
        const id = ids.data[b * perBatch + k]!;
        for (let i = 0; i < inner; i++) visit(part++, id, to => ((b * between + m) * n + to) * inner + i);
      }
    }
  }
}

export const indexing: Ungraded<OpRows<"gather" | "scatter">> = {
  gather: {
    family: "gather", arity: [2, 2],
    infer: (inputs, { axis, batch }) => gathered(inputs, axis, batch),
    evaluate({ attrs: { axis, batch } }, [x, ids]) {
      const shape = [...x!.shape.slice(0, axis), ...ids!.shape.slice(batch), ...x!.shape.slice(axis + 1)];
      const out = newArray(x!.dtype, shape);
      const last = x!.shape[axis]! - 1;
      forEachSlice({ shape: x!.shape, axis, batch, ids: ids! }, (part, id, at) => {
        out.data[part] = last < 0 ? 0 : x!.data[at(Math.min(Math.max(id, 0), last))]!;
      });
      return out;
    },
    flops: () => 0,
  },
  scatter: {
    family: "scatter", arity: [3, 3],
    infer(inputs, { kind, axis, batch }) {
      const [x, part] = [tensorAt(inputs, 0), tensorAt(inputs, 2)];
      requireSameDtype(x, part);
      if (kind === "add") requireKind(x, "a number dtype for add", d => d !== "bool");
      requireSameShape({ ...gathered(inputs, axis, batch), dtype: part.dtype }, part);
      return x;
    },
    evaluate({ attrs: { kind, axis, batch } }, [x, ids, part], { field }) {
      const out = { ...x!, data: x!.data.slice() };
      const op = PUT[kind];
      forEachSlice({ shape: x!.shape, axis, batch, ids: ids! }, (p, id, at) => {
        if (id < 0 || id >= x!.shape[axis]!) return;
        const to = at(id);
        out.data[to] = op === null ? part!.data[p]! : field.binary(op, out.data[to]!, part!.data[p]!, x!.dtype);
      });
      return out;
    },
    flops: (_, inputs) => productSize(inputs[2]!.shape),
  },
};
