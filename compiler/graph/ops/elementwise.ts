// Elementwise ops: operands of one shape and, but for `select`'s condition, of one dtype. Also the conversions.
import { type DType, DTYPES, isFloat, isInteger } from "../../base/dtypes.ts";
import { productSize } from "../../base/sizes.ts";
import type { BinaryOp, ElementwiseOp, TensorType, UnaryOp } from "../graph.ts";
import { newArray } from "../ndarray.ts";
import { type OpDefinition, type OpRows, TypeRuleError } from "./definition.ts";
import { mergeAxes, requireKind, requireSameDtype, requireSameShape, tensorAt, typeText } from "./typing.ts";

type Row = Omit<OpDefinition<ElementwiseOp>, "gradient">;
const count = (_: unknown, inputs: readonly TensorType[]) => productSize(inputs[0]!.shape);
const isNumber = (d: DType) => d !== "bool";
const isSignedNumber = (d: DType) => isFloat(d) || DTYPES[d].kind === "signed";
const isBits = (d: DType) => d === "bool" || isInteger(d);

const unary = (op: UnaryOp, what: string, ok: (d: DType) => boolean, result?: DType): Row => ({
  family: "elementwise", arity: [1, 1],
  infer(inputs) {
    const x = tensorAt(inputs, 0);
    requireKind(x, what, ok);
    return result ? { ...x, dtype: result } : x;
  },
  evaluate(_node, [x], { field }) {
    const out = newArray(result ?? x!.dtype, x!.shape);
    for (let i = 0; i < out.data.length; i++) out.data[i] = field.unary(op, x!.data[i]!, x!.dtype);
    return out;
  },
  flops: count,
});

const binary = (op: BinaryOp, what: string, ok: (d: DType) => boolean, result?: DType): Row => ({
  family: "elementwise", arity: [2, 2],
  infer(inputs) {
    const [a, b] = [tensorAt(inputs, 0), tensorAt(inputs, 1)];
    requireSameDtype(a, b);
    requireSameShape(a, b);
    requireKind(a, what, ok);
    return { dtype: result ?? a.dtype, shape: a.shape, axes: mergeAxes(a, b) };
  },
  evaluate(_node, [a, b], { field }) {
    const out = newArray(result ?? a!.dtype, a!.shape);
    for (let i = 0; i < out.data.length; i++) out.data[i] = field.binary(op, a!.data[i]!, b!.data[i]!, a!.dtype);
    return out;
  },
  flops: count,
});

const float = (op: UnaryOp) => unary(op, "a float dtype", isFloat);
const number = (op: BinaryOp) => binary(op, "a number dtype", isNumber);
const compare = (op: BinaryOp) => binary(op, "any dtype", () => true, "bool");
const bits = (op: BinaryOp) => binary(op, "an integer dtype or bool", isBits);
const words = (op: BinaryOp) => binary(op, "an integer dtype", isInteger);

export const elementwise: { readonly [O in ElementwiseOp]: Row } = {
  neg: unary("neg", "a number dtype", isNumber),
  abs: unary("abs", "a signed number dtype", isSignedNumber),
  sign: unary("sign", "a signed number dtype", isSignedNumber),
  exp: float("exp"), log: float("log"), sqrt: float("sqrt"), rsqrt: float("rsqrt"), sin: float("sin"), cos: float("cos"),
  tanh: float("tanh"), erf: float("erf"), floor: float("floor"), ceil: float("ceil"), round: float("round"),
  not: unary("not", "an integer dtype or bool", isBits),
  is_finite: unary("is_finite", "a float dtype", isFloat, "bool"),
  add: number("add"), sub: number("sub"), mul: number("mul"), div: number("div"), mod: number("mod"),
  pow: binary("pow", "a float dtype", isFloat), atan2: binary("atan2", "a float dtype", isFloat),
  max: binary("max", "any dtype", () => true), min: binary("min", "any dtype", () => true),
  eq: compare("eq"), ne: compare("ne"), lt: compare("lt"), le: compare("le"), gt: compare("gt"), ge: compare("ge"),
  and: bits("and"), or: bits("or"), xor: bits("xor"), shl: words("shl"), shr: words("shr"),
  mulhi: binary("mulhi", "u32 or i32", d => d === "u32" || d === "i32"),
  select: {
    family: "elementwise", arity: [3, 3],
    infer(inputs) {
      const [condition, yes, no] = [tensorAt(inputs, 0), tensorAt(inputs, 1), tensorAt(inputs, 2)];
      requireKind(condition, "bool", d => d === "bool");
      requireSameDtype(yes, no);
      requireSameShape(yes, no);
      requireSameShape(condition, yes);
      return { ...yes, axes: mergeAxes({ ...yes, axes: mergeAxes(yes, no) }, condition) };
    },
    evaluate(_node, [condition, yes, no]) {
      const out = newArray(yes!.dtype, yes!.shape);
      for (let i = 0; i < out.data.length; i++) out.data[i] = condition!.data[i] ? yes!.data[i]! : no!.data[i]!;
      return out;
    },
    flops: count,
  },
};

const words32 = new DataView(new ArrayBuffer(8));
/** Reads the bits of a value of one dtype as another of the same width. */
const QUIET_NAN = 0x7fc00000;
/** Every NaN has the same bits here: which of them an operation gives is not stated. */
function reinterpret(x: number, from: DType, to: DType): number {
  if (Number.isNaN(x)) words32.setUint32(0, QUIET_NAN);
  else if (from === "f32") words32.setFloat32(0, x);
  else words32.setUint32(0, x >>> 0);
  return to === "f32" ? words32.getFloat32(0) : to === "i32" ? words32.getInt32(0) : words32.getUint32(0);
}

export const conversions: Ungraded<OpRows<"cast" | "bitcast">> = {
  cast: {
    family: "conversion", arity: [1, 1],
    infer: (inputs, { dtype }) => ({ ...tensorAt(inputs, 0), dtype }),
    evaluate({ attrs }, [x], { field }) {
      const out = newArray(attrs.dtype, x!.shape);
      for (let i = 0; i < out.data.length; i++) out.data[i] = field.cast(x!.data[i]!, x!.dtype, attrs.dtype);
      return out;
    },
    flops: count,
  },
  bitcast: {
    family: "conversion", arity: [1, 1],
    infer(inputs, { dtype }) {
      const x = tensorAt(inputs, 0);
      const words = ["f32", "i32", "u32"];
      if (!words.includes(x.dtype) || !words.includes(dtype)) {
        throw new TypeRuleError("bitcast is between f32, i32 and u32", `${typeText(x)} to ${dtype}`, "two dtypes of 32 bits");
      }
      return { ...x, dtype };
    },
    evaluate({ attrs }, [x], { field }) {
      const out = newArray(attrs.dtype, x!.shape);
      for (let i = 0; i < out.data.length; i++) {
        out.data[i] = field.name !== "prime" ? reinterpret(x!.data[i]!, x!.dtype, attrs.dtype) : field.cast(x!.data[i]!, x!.dtype, attrs.dtype);
      }
      return out;
    },
    flops: () => 0,
  },
};

/** Rows without their gradient, which `../ops.ts` adds from its own column. */
export type Ungraded<R> = { readonly [K in keyof R]: Omit<R[K], "gradient"> };
