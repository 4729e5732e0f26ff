// Products that are summed: einsum of two operands, and the three forms of convolution. Each form is one partial derivative
// of the trilinear T(x, filter, y) = Σ x·filter·y over the window, so that the family is closed under differentiation.
import { isFloat } from "../../base/dtypes.ts";
import { addSize, floorDivSize, mulSize, productSize, sameSize, type Size, sizeText, subSize } from "../../base/sizes.ts";
import type { NdArray } from "../field.ts";
import type { ConvAttrs, TensorType } from "../graph.ts";
import { forEachIndex, newArray, stridesOf } from "../ndarray.ts";
import { type EvaluateContext, type OpRows, TypeRuleError } from "./definition.ts";
import type { Ungraded } from "./elementwise.ts";
import { requireKind, requireSameDtype, tensorAt, typeText } from "./typing.ts";

/** Spatial size of y: one more than the strides that fit. */
export function convOutputSize(x: Size, kernel: number, a: ConvAttrs, axis: 0 | 1): Size {
  const [before, after] = a.padding[axis];
  return addSize(floorDivSize(subSize(addSize(x, before + after), a.dilation[axis] * (kernel - 1) + 1), a.stride[axis]), 1);
}

function requireImage(t: TensorType, what: string): void {
  requireKind(t, "a float dtype", isFloat);
  if (t.shape.length !== 4) throw new TypeRuleError(`${what} has ${t.shape.length} axes`, typeText(t), "4 axes: batch, height, width, channels (a filter: height, width, in, out)");
}

function requireChannels(given: Size, expected: Size, what: string): void {
  if (!sameSize(given, expected)) throw new TypeRuleError(`channels of ${what} do not fit`, sizeText(given), sizeText(expected));
}

/** Groups part the channels evenly, and the window fits at least once. */
function requireWindow(x: TensorType, filter: readonly [Size, Size], channels: Size, y: readonly [Size, Size], a: ConvAttrs): void {
  if (typeof channels === "number" && channels % a.groups !== 0) throw new TypeRuleError(`${channels} channels do not part into ${a.groups} groups`, String(channels), `a multiple of ${a.groups}`);
  y.forEach((n, i) => {
    if (typeof n === "number" && n < 1) throw new TypeRuleError(`the filter does not fit into spatial axis ${i}`, `${sizeText(filter[i]!)} in ${typeText(x)}`, "a filter that is not larger than the padded input", "pad the input");
  });
}

const kernelSize = (filter: TensorType): [number, number] => {
  const [h, w] = filter.shape;
  if (typeof h !== "number" || typeof w !== "number") throw new TypeRuleError("the filter's height and width are not constant", typeText(filter), "constant sizes");
  return [h, w];
};

/** Calls `visit` with row-major positions (x, filter, y) for every product of the window. */
function forEachProduct(x: readonly number[], filter: readonly number[], y: readonly number[], a: ConvAttrs, visit: (x: number, filter: number, y: number) => void): void {
  const [, height, width, channels] = x as [number, number, number, number];
  const [kh, kw, perGroup, out] = filter as [number, number, number, number];
  const perGroupOut = out / a.groups;
  forEachIndex(y, (yAt, [n, oy, ox, o]) => {
    const group = Math.floor(o! / perGroupOut);
    for (let ky = 0; ky < kh; ky++) {
      const iy = oy! * a.stride[0] + ky * a.dilation[0] - a.padding[0][0];
      if (iy < 0 || iy >= height) continue;
      for (let kx = 0; kx < kw; kx++) {
        const ix = ox! * a.stride[1] + kx * a.dilation[1] - a.padding[1][0];
        if (ix < 0 || ix >= width) continue;
        for (let c = 0; c < perGroup; c++) {
          visit(((n! * height + iy) * width + ix) * channels + group * perGroup + c, ((ky * kw + kx) * perGroup + c) * out + o!, yAt);
        }
      }
    }
  });
}

function accumulate(out: NdArray, outAt: number, a: number, b: number, { field }: EvaluateContext): void {
  out.data[outAt] = field.binary("add", out.data[outAt]!, field.binary("mul", a, b, out.dtype), out.dtype);
}

export const contraction: Ungraded<OpRows<"contract" | "conv" | "conv_input" | "conv_filter">> = {
  contract: {
    family: "contract", arity: [2, 2],
    infer(inputs, { a: as, b: bs, out }) {
      const [a, b] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
      requireSameDtype(a, b);
      requireKind(a, "a number dtype", d => d !== "bool");
      const sizes = new Map<number, { size: Size; axis: string | null }>();
      for (const [t, labels, which] of [[a, as, "left"], [b, bs, "right"]] as const) {
        if (labels.length !== t.shape.length || new Set(labels).size !== labels.length) {
          throw new TypeRuleError(`the ${which} operand needs one label for each axis, all different`, `${typeText(t)} with ${labels.length} labels`, `${t.shape.length} different labels`);
        }
        labels.forEach((l, i) => {
          const seen = sizes.get(l);
          if (seen && !sameSize(seen.size, t.shape[i]!)) {
            throw new TypeRuleError(`the sizes multiplied together differ: ${sizeText(seen.size)} and ${sizeText(t.shape[i]!)}`, `${typeText(a)} with ${typeText(b)}`,
              "equal sizes", `axis ${as.indexOf(l)} on the left meets axis ${i} on the right; a transpose may be missing`);
          }
          sizes.set(l, { size: t.shape[i]!, axis: seen?.axis ?? t.axes[i]! });
        });
      }
      if (new Set(out).size !== out.length || out.some(l => !sizes.has(l))) throw new TypeRuleError("the result's labels are not labels of the operands", `[${out.join(", ")}]`, "different labels of the operands");
      return { dtype: a.dtype, shape: out.map(l => sizes.get(l)!.size), axes: out.map(l => sizes.get(l)!.axis) };
    },
    evaluate({ attrs }, [a, b], context) {
      const size = new Map<number, number>();
      attrs.a.forEach((l, i) => size.set(l, a!.shape[i]!));
      attrs.b.forEach((l, i) => size.set(l, b!.shape[i]!));
      const labels = [...size.keys()];
      const out = newArray(a!.dtype, attrs.out.map(l => size.get(l)!));
      const stepOf = (own: readonly number[], shape: readonly number[]) => {
        const strides = stridesOf(shape);
        return labels.map(l => (own.includes(l) ? strides[own.indexOf(l)]! : 0));
      };
      const [sa, sb, so] = [stepOf(attrs.a, a!.shape), stepOf(attrs.b, b!.shape), stepOf(attrs.out, out.shape)];
      forEachIndex(labels.map(l => size.get(l)!), (_, index) => {
        let [pa, pb, po] = [0, 0, 0];
        for (let i = 0; i < index.length; i++) {
          pa += index[i]! * sa[i]!;
          pb += index[i]! * sb[i]!;
          po += index[i]! * so[i]!;
        }
        accumulate(out, po, a!.data[pa]!, b!.data[pb]!, context);
      });
      return out;
    },
    flops: ({ attrs }, inputs) => {
      const size = new Map<number, Size>();
      attrs.a.forEach((l, i) => size.set(l, inputs[0]!.shape[i]!));
      attrs.b.forEach((l, i) => size.set(l, inputs[1]!.shape[i]!));
      return mulSize(2, productSize([...size.values()]));
    },
  },
  conv: {
    family: "conv", arity: [2, 2],
    infer(inputs, attrs) {
      const [x, filter] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
      requireImage(x, "the input");
      requireImage(filter, "the filter");
      requireSameDtype(x, filter);
      const [kh, kw] = kernelSize(filter);
      requireChannels(x.shape[3]!, mulSize(filter.shape[2]!, attrs.groups), "input and filter");
      const [h, w] = [convOutputSize(x.shape[1]!, kh, attrs, 0), convOutputSize(x.shape[2]!, kw, attrs, 1)];
      requireWindow(x, [kh, kw], filter.shape[3]!, [h, w], attrs);
      const keep = (n: Size, i: number) => (sameSize(n, x.shape[i]!) ? x.axes[i]! : null);
      return { dtype: x.dtype, shape: [x.shape[0]!, h, w, filter.shape[3]!], axes: [x.axes[0]!, keep(h, 1), keep(w, 2), filter.axes[3]!] };
    },
    evaluate({ attrs }, [x, filter], context) {
      const [kh, kw] = [filter!.shape[0]!, filter!.shape[1]!];
      const out = newArray(x!.dtype, [x!.shape[0]!, Number(convOutputSize(x!.shape[1]!, kh, attrs, 0)), Number(convOutputSize(x!.shape[2]!, kw, attrs, 1)), filter!.shape[3]!]);
      forEachProduct(x!.shape, filter!.shape, out.shape, attrs, (px, pf, py) => accumulate(out, py, x!.data[px]!, filter!.data[pf]!, context));
      return out;
    },
    flops: ({ type }, inputs) => mulSize(2, productSize([...("shape" in type ? type.shape : []), ...inputs[1]!.shape.slice(0, 3)])),
  },
  conv_input: {
    family: "conv", arity: [2, 2],
    infer(inputs, attrs) {
      const [dy, filter] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
      requireImage(dy, "the output's gradient");
      requireImage(filter, "the filter");
      requireSameDtype(dy, filter);
      const [kh, kw] = kernelSize(filter);
      requireChannels(dy.shape[3]!, filter.shape[3]!, "gradient and filter");
      [kh, kw].forEach((k, i) => {
        const size = convOutputSize(attrs.size[i as 0 | 1], k, attrs, i as 0 | 1);
        if (!sameSize(size, dy.shape[i + 1]!)) throw new TypeRuleError(`spatial axis ${i} does not fit`, typeText(dy), `${sizeText(size)} for an input of ${sizeText(attrs.size[i as 0 | 1])}`);
      });
      requireWindow(dy, [kh, kw], filter.shape[3]!, [dy.shape[1]!, dy.shape[2]!], attrs);
      return { dtype: dy.dtype, shape: [dy.shape[0]!, ...attrs.size, mulSize(filter.shape[2]!, attrs.groups)], axes: [dy.axes[0]!, null, null, null] };
    },
    evaluate({ attrs }, [dy, filter], context) {
      const out = newArray(dy!.dtype, [dy!.shape[0]!, ...attrs.size.map(context.size), filter!.shape[2]! * attrs.groups]);
      forEachProduct(out.shape, filter!.shape, dy!.shape, attrs, (px, pf, py) => accumulate(out, px, filter!.data[pf]!, dy!.data[py]!, context));
      return out;
    },
    flops: (_, inputs) => mulSize(2, productSize([...inputs[0]!.shape, ...inputs[1]!.shape.slice(0, 3)])),
  },
  conv_filter: {
    family: "conv", arity: [2, 2],
    infer(inputs, attrs) {
      const [x, dy] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
      requireImage(x, "the input");
      requireImage(dy, "the output's gradient");
      requireSameDtype(x, dy);
      ([0, 1] as const).forEach(i => {
        const size = convOutputSize(x.shape[i + 1]!, attrs.size[i], attrs, i);
        if (!sameSize(size, dy.shape[i + 1]!)) throw new TypeRuleError(`spatial axis ${i} does not fit`, typeText(dy), `${sizeText(size)} for a filter of ${attrs.size[i]}`);
      });
      requireWindow(x, attrs.size, x.shape[3]!, [dy.shape[1]!, dy.shape[2]!], attrs);
      requireWindow(x, attrs.size, dy.shape[3]!, [dy.shape[1]!, dy.shape[2]!], attrs);
      return { dtype: x.dtype, shape: [...attrs.size, floorDivSize(x.shape[3]!, attrs.groups), dy.shape[3]!], axes: [null, null, null, dy.axes[3]!] };
    },
    evaluate({ attrs }, [x, dy], context) {
      const out = newArray(x!.dtype, [...attrs.size, x!.shape[3]! / attrs.groups, dy!.shape[3]!]);
      forEachProduct(x!.shape, out.shape, dy!.shape, attrs, (px, pf, py) => accumulate(out, pf, x!.data[px]!, dy!.data[py]!, context));
      return out;
    },
    flops: ({ attrs }, inputs) => mulSize(2, productSize([...inputs[1]!.shape, ...attrs.size, floorDivSize(inputs[0]!.shape[3]!, attrs.groups)])),
  },
};
