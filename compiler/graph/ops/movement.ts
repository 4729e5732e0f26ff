// Ops that move elements and compute nothing: fusion turns each into an index map.
import { addSize, mulSize, productSize, sameSize, type Size, sizeText, subSize } from "../../base/sizes.ts";
import type { TensorType } from "../graph.ts";
import { aroundAxis, newArray, pick, positionOf, stridesOf } from "../ndarray.ts";
import { type OpRows, TypeRuleError } from "./definition.ts";
import type { Ungraded } from "./elementwise.ts";
import { requireAxes, requireAxis, requireSameDtype, requireScalar, resized, tensorAt, tensors, typeText } from "./typing.ts";

const free = () => 0;
const listText = (sizes: readonly Size[]) => `[${sizes.map(sizeText).join(", ")}]`;

function requireRank(list: readonly unknown[], x: TensorType, what: string): void {
  if (list.length !== x.shape.length) throw new TypeRuleError(`${what} has ${list.length} entries`, typeText(x), `one for each of ${x.shape.length} axes`);
}

/** Refuses what is certainly outside; symbolic starts that may fit are checked where the dims are bound. */
function requireInside(start: Size, end: Size, size: Size, axis: number): void {
  const [low, over] = [start, subSize(end, size)];
  if ((typeof low === "number" && low < 0) || (typeof over === "number" && over > 0)) {
    throw new TypeRuleError(`axis ${axis} is read outside its bounds`, `${sizeText(start)} to ${sizeText(end)}`, `0 to ${sizeText(size)}`);
  }
}

export const movement: Ungraded<OpRows<"broadcast" | "reshape" | "transpose" | "slice" | "dynamic_slice" | "dynamic_update" | "pad" | "flip" | "concat">> = {
  broadcast: {
    family: "movement", arity: [1, 1],
    infer(inputs, { dims, shape, axes }) {
      const x = tensorAt(inputs, 0);
      requireRank(dims, x, "dims");
      dims.forEach((d, i) => {
        requireAxis(d, shape.length, "output axis");
        if (i > 0 && d <= dims[i - 1]!) throw new TypeRuleError("dims do not ascend", `[${dims.join(", ")}]`, "ascending output axes");
        const from = x.shape[i]!;
        if (from !== 1 && !sameSize(from, shape[d]!)) {
          throw new TypeRuleError(`axis ${i} of size ${sizeText(from)} does not broadcast to ${sizeText(shape[d]!)}`, `${typeText(x)} to ${listText(shape)}`, "equal sizes, or 1");
        }
      });
      return { dtype: x.dtype, shape, axes };
    },
    evaluate({ attrs }, [x], { size }) {
      const strides = stridesOf(x!.shape);
      return pick(x!, attrs.shape.map(size), index =>
        attrs.dims.reduce((p, d, i) => p + (x!.shape[i] === 1 ? 0 : index[d]! * strides[i]!), 0));
    },
    flops: free,
  },
  reshape: {
    family: "movement", arity: [1, 1],
    infer(inputs, { shape, axes }) {
      const x = tensorAt(inputs, 0);
      const [before, after] = [productSize(x.shape), productSize(shape)];
      if (!sameSize(before, after)) {
        throw new TypeRuleError("reshape changes the number of elements", `${typeText(x)} to ${listText(shape)}: ${sizeText(before)} to ${sizeText(after)}`, "equal products of sizes");
      }
      return { dtype: x.dtype, shape, axes };
    },
    evaluate: ({ attrs }, [x], { size }) => ({ dtype: x!.dtype, shape: attrs.shape.map(size), data: x!.data.slice() }),
    flops: free,
  },
  transpose: {
    family: "movement", arity: [1, 1],
    infer(inputs, { perm }) {
      const x = tensorAt(inputs, 0);
      requireRank(perm, x, "perm");
      requireAxes(perm, x.shape.length);
      return { dtype: x.dtype, shape: perm.map(p => x.shape[p]!), axes: perm.map(p => x.axes[p]!) };
    },
    evaluate({ attrs }, [x]) {
      const strides = stridesOf(x!.shape);
      return pick(x!, attrs.perm.map(p => x!.shape[p]!), index => attrs.perm.reduce((at, p, i) => at + index[i]! * strides[p]!, 0));
    },
    flops: free,
  },
  slice: {
    family: "movement", arity: [1, 1],
    infer(inputs, { start, size, stride }) {
      const x = tensorAt(inputs, 0);
      for (const list of [start, size, stride]) requireRank(list, x, "slice");
      x.shape.forEach((n, i) => {
        if (!Number.isInteger(stride[i]) || stride[i]! < 1) throw new TypeRuleError(`stride ${stride[i]} on axis ${i}`, String(stride[i]), "a positive integer");
        requireInside(start[i]!, addSize(start[i]!, addSize(mulSize(subSize(size[i]!, 1), stride[i]!), 1)), n, i);
      });
      return resized(x, size);
    },
    evaluate({ attrs }, [x], { size }) {
      const strides = stridesOf(x!.shape);
      const [start, sizes] = [attrs.start.map(size), attrs.size.map(size)];
      // Symbolic bounds that the type rule could not refuse.
      x!.shape.forEach((n, i) => {
        if (sizes[i]! > 0) requireInside(start[i]!, start[i]! + (sizes[i]! - 1) * attrs.stride[i]! + 1, n, i);
      });
      return pick(x!, sizes, index => index.reduce((p, k, i) => p + (start[i]! + k * attrs.stride[i]!) * strides[i]!, 0));
    },
    flops: free,
  },
  dynamic_slice: {
    family: "movement", arity: [1, 99],
    infer(inputs, { axes, size }) {
      const x = tensorAt(inputs, 0);
      requireStarts(inputs.length - 1, axes, x, inputs.slice(1).map((_, i) => tensorAt(inputs, i + 1)));
      if (size.length !== axes.length) throw new TypeRuleError("one size for each axis is needed", listText(size), `${axes.length} sizes`);
      const shape = [...x.shape];
      axes.forEach((a, i) => {
        requireInside(0, size[i]!, x.shape[a]!, a);
        shape[a] = size[i]!;
      });
      return resized(x, shape);
    },
    evaluate({ attrs }, [x, ...starts], { size }) {
      const shape = [...x!.shape];
      attrs.axes.forEach((a, i) => {
        shape[a] = size(attrs.size[i]!);
        requireInside(0, shape[a], x!.shape[a]!, a);
      });
      const offset = offsetOf(x!.shape, shape, attrs.axes, starts.map(s => s.data[0]!));
      const strides = stridesOf(x!.shape);
      return pick(x!, shape, index => offset + positionOf(index, strides));
    },
    flops: free,
  },
  dynamic_update: {
    family: "movement", arity: [2, 99],
    infer(inputs, { axes }) {
      const [x, part] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
      requireSameDtype(x, part);
      requireRank(part.shape, x, "the part");
      requireStarts(inputs.length - 2, axes, x, inputs.slice(2).map((_, i) => tensorAt(inputs, i + 2)));
      x.shape.forEach((n, i) => {
        if (axes.includes(i)) requireInside(0, part.shape[i]!, n, i);
        else if (!sameSize(n, part.shape[i]!)) {
          throw new TypeRuleError(`axis ${i} of the part is ${sizeText(part.shape[i]!)}`, `${typeText(part)} into ${typeText(x)}`, sizeText(n), "give a start for this axis to write a part of it");
        }
      });
      return x;
    },
    evaluate({ attrs }, [x, part, ...starts]) {
      const out = { ...x!, data: x!.data.slice() };
      const offset = offsetOf(x!.shape, part!.shape, attrs.axes, starts.map(s => s.data[0]!));
      const strides = stridesOf(x!.shape);
      let p = 0;
      pick(part!, part!.shape, index => {
        out.data[offset + positionOf(index, strides)] = part!.data[p]!;
        return p++;
      });
      return out;
    },
    flops: free,
  },
  pad: {
    family: "movement", arity: [1, 1],
    infer(inputs, { low, high }) {
      const x = tensorAt(inputs, 0);
      requireRank(low, x, "low");
      requireRank(high, x, "high");
      for (const by of [...low, ...high]) if (typeof by === "number" && by < 0) throw new TypeRuleError("padding is negative", String(by), "0 or more", "use slice to cut");
      return resized(x, x.shape.map((n, i) => addSize(n, addSize(low[i]!, high[i]!))));
    },
    evaluate({ attrs }, [x], { size, field }) {
      const [low, high] = [attrs.low.map(size), attrs.high.map(size)];
      const strides = stridesOf(x!.shape);
      return pick(x!, x!.shape.map((n, i) => low[i]! + n + high[i]!), index => {
        let p = 0;
        for (let i = 0; i < index.length; i++) {
          const k = index[i]! - low[i]!;
          if (k < 0 || k >= x!.shape[i]!) return -1;
          p += k * strides[i]!;
        }
        return p;
      }, field.literal(attrs.value, x!.dtype));
    },
    flops: free,
  },
  flip: {
    family: "movement", arity: [1, 1],
    infer(inputs, { axes }) {
      const x = tensorAt(inputs, 0);
      requireAxes(axes, x.shape.length);
      return x;
    },
    evaluate({ attrs }, [x]) {
      const strides = stridesOf(x!.shape);
      return pick(x!, x!.shape, index => index.reduce((p, k, i) => p + (attrs.axes.includes(i) ? x!.shape[i]! - 1 - k : k) * strides[i]!, 0));
    },
    flops: free,
  },
  concat: {
    family: "movement", arity: [1, 9999],
    infer(inputs, { axis }) {
      const all = tensors(inputs);
      const first = all[0]!;
      requireAxis(axis, first.shape.length);
      for (const t of all) {
        requireSameDtype(first, t);
        requireRank(t.shape, first, "an input");
        const at = t.shape.findIndex((n, i) => i !== axis && !sameSize(n, first.shape[i]!));
        if (at >= 0) throw new TypeRuleError(`axis ${at} differs`, `${typeText(first)} and ${typeText(t)}`, `equal sizes but along axis ${axis}`);
      }
      return resized(first, first.shape.map((n, i) => (i === axis ? all.slice(1).reduce<Size>((sum, t) => addSize(sum, t.shape[axis]!), n) : n)));
    },
    evaluate({ attrs }, inputs) {
      const total = inputs.reduce((n, x) => n + x.shape[attrs.axis]!, 0);
      const out = newArray(inputs[0]!.dtype, inputs[0]!.shape.map((n, i) => (i === attrs.axis ? total : n)));
      const { outer, inner } = aroundAxis(out.shape, attrs.axis);
      let done = 0;
      for (const x of inputs) {
        const width = x.shape[attrs.axis]! * inner;
        for (let o = 0; o < outer; o++) out.data.set(x.data.subarray(o * width, (o + 1) * width), o * total * inner + done * inner);
        done += x.shape[attrs.axis]!;
      }
      return out;
    },
    flops: free,
  },
};

function requireStarts(given: number, axes: readonly number[], x: TensorType, starts: readonly TensorType[]): void {
  requireAxes(axes, x.shape.length);
  if (given !== axes.length) throw new TypeRuleError("one start for each axis is needed", `${given} starts`, `${axes.length} starts`);
  starts.forEach(s => requireScalar(s, "i32", "a start"));
}

/** Row-major position of the part's first element, starts clamped so that the part fits. */
function offsetOf(whole: readonly number[], part: readonly number[], axes: readonly number[], starts: readonly number[]): number {
  const strides = stridesOf(whole);
  return axes.reduce((p, a, i) => p + Math.min(Math.max(starts[i]!, 0), whole[a]! - part[a]!) * strides[a]!, 0);
}
