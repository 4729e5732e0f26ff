// Arithmetic on one C value: a scalar, or a part of a vector. Masks are 32 bits a lane (64 while they are compared from or
// choose between f64). What the machine has no vector instruction for is done lane by lane, on the lanes that count.
import { InternalError } from "../../base/diagnostics.ts";
import type { BinaryOp, ScalarType, UnaryOp } from "../../kernel/ir.ts";
import { isFloatScalar } from "../../kernel/scalar.ts";
import { type Code, ELEMENT, literal, type Part, SCALAR_TYPE, vectorType } from "./code.ts";

const OPERATORS: { readonly [op in BinaryOp]?: string } = {
  add: "+", sub: "-", mul: "*", div: "/", and: "&", or: "|", xor: "^", eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=",
};
/** Whether a result of f16 operands is none of f16 itself. */
const rounds = (s: ScalarType, op: BinaryOp | UnaryOp): boolean => s === "f16" && ["add", "sub", "mul", "div", "sqrt"].includes(op);

export const splatPart = (s: ScalarType, width: number, x: string): string => `splat_${vectorType(s, width)}(${s === "bool" ? `-(${x})` : x})`;
export const constantPart = (s: ScalarType, width: number, value: number): string => splatPart(s, width, literal(s, value));
export const extractLane = (s: ScalarType, part: string, lane: number): string => (s === "bool" ? `(-${part}[${lane}])` : `${part}[${lane}]`);
/** The part with these scalars in its first lanes. */
export const partOfScalars = (s: ScalarType, width: number, scalars: readonly string[]): string =>
  `(${vectorType(s, width)}){${scalars.map(x => (s === "bool" ? `-(${x})` : x)).join(", ")}}`;

export function scalarUnary(op: UnaryOp, s: ScalarType, x: string): string {
  const e = ELEMENT[s];
  if (op === "neg") return `(-${x})`;
  if (op === "not") return s === "bool" ? `!${x}` : `~${x}`;
  if (op === "abs" && s === "u32") return x;
  const result = `${op}_${e}(${x})`;
  return rounds(s, op) ? `half_f32(${result})` : result;
}

export function vectorUnary(op: UnaryOp, s: ScalarType, width: number, x: string): string {
  if (op === "neg") return `(-${x})`;
  if (op === "not") return `(~${x})`;
  if (op === "abs" && s === "u32") return x;
  const v = vectorType(s, width);
  const result = `${op}_${v}(${x})`;
  return rounds(s, op) ? `half_${v}(${result})` : result;
}

export function scalarBinary(op: BinaryOp, s: ScalarType, a: string, b: string): string {
  const e = ELEMENT[s];
  const operator = OPERATORS[op];
  if (op === "shl") return s === "i32" ? `(int32_t)((uint32_t)${a} << (${b} & 31))` : `(${a} << (${b} & 31))`;
  if (op === "shr") return `(${a} >> (${b} & 31))`;
  if (operator === undefined || (op === "div" && !isFloatScalar(s))) return `${op}_${e}(${a}, ${b})`;
  const result = `(${a} ${operator} ${b})`;
  return rounds(s, op) ? `half_f32(${result})` : result;
}

/** The scalar function on each lane that counts. */
export function laneByLane(code: Code, to: ScalarType, { count, width }: Part, operands: readonly { readonly scalar: ScalarType; readonly text: string }[], f: (...scalars: string[]) => string): string {
  const held = operands.map(o => ({ ...o, text: code.hold(vectorType(o.scalar, width), o.text) }));
  return partOfScalars(to, width, Array.from({ length: count }, (_, lane) => f(...held.map(h => extractLane(h.scalar, h.text, lane)))));
}

/** Comparisons give a mask of the lanes' own width. */
export function vectorBinary(code: Code, op: BinaryOp, s: ScalarType, part: Part, a: string, b: string): string {
  const v = vectorType(s, part.width);
  const operator = OPERATORS[op];
  if (op === "shl" || op === "shr") return `(${a} ${op === "shl" ? "<<" : ">>"} (${b} & 31))`;
  if (op === "rem" || (op === "div" && !isFloatScalar(s))) {
    return laneByLane(code, s, part, [a, b].map(text => ({ scalar: s, text })), (x, y) => scalarBinary(op, s, x!, y!));
  }
  if (operator === undefined) return `${op}_${v}(${a}, ${b})`;
  const result = `(${a} ${operator} ${b})`;
  return rounds(s, op) ? `half_${v}(${result})` : result;
}

export function multiplyAdd(code: Code, s: ScalarType, part: Part | undefined, a: string, b: string, c: string): string {
  if (s === "f16") {
    if (!part) return scalarBinary("add", s, scalarBinary("mul", s, a, b), c);
    return vectorBinary(code, "add", s, part, vectorBinary(code, "mul", s, part, a, b), c);
  }
  return `fma_${part ? vectorType(s, part.width) : ELEMENT[s]}(${a}, ${b}, ${c})`;
}

export function castScalar(from: ScalarType, to: ScalarType, x: string): string {
  if (from === to) return x;
  if (to === "bool") return `(${x} != 0)`;
  if (isFloatScalar(from) && !isFloatScalar(to)) return `${to}_of_${ELEMENT[from]}(${x})`;
  if (to === "f16") return from === "f64" ? `half_f64(${x})` : `half_f32((float)${x})`;
  if (to === "i32" || to === "u32" || to === "f32" || to === "f64") return `(${SCALAR_TYPE[to]})${x}`;
  throw new InternalError(`cast from ${from} to ${to}`);
}

/** Between types of one width: f64 has casts of its own. */
export function castPart(from: ScalarType, to: ScalarType, width: number, x: string): string {
  if (from === to) return x;
  if (to === "bool") return `(${x} != (${vectorType(from, width)}){0})`;
  const v = vectorType(to, width);
  if (!isFloatScalar(to)) {
    if (from === "bool") return to === "i32" ? `(-${x})` : `(${v})(-${x})`;
    return isFloatScalar(from) ? `${to}_of_${vectorType(from, width)}(${x})` : `(${v})${x}`;
  }
  const float = from === "bool" ? `__builtin_convertvector(-${x}, ${v})` : isFloatScalar(from) ? x : `__builtin_convertvector(${x}, ${v})`;
  return to === "f16" ? `half_${v}(${float})` : float;
}
