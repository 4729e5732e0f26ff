// Arithmetic on one scalar as C++ text. Operands bind as tightly as names; so do the results. f16 is a float that is rounded
// after each operation.
import { InternalError } from "../../base/diagnostics.ts";
import type { BinaryOp, ScalarType, UnaryOp } from "../../kernel/ir.ts";
import { isComparison, isFloatScalar } from "../../kernel/scalar.ts";
import { SCALAR_TYPE } from "./code.ts";

/** How the header names the type that an operation is done at. */
const at = (s: ScalarType): string => (s === "f16" ? "f32" : s);
const held = (s: ScalarType, text: string): string => (s === "f16" ? `half_f32(${text})` : text);

const FLOAT_FUNCTIONS: ReadonlySet<BinaryOp> = new Set(["mul", "div", "rem", "min", "max"]);
const INTEGER_FUNCTIONS: ReadonlySet<BinaryOp> = new Set(["div", "rem", "min", "max", "shl", "shr", "mulhi"]);
const SYMBOLS: { readonly [op in BinaryOp]?: string } = {
  add: "+", sub: "-", mul: "*", and: "&", or: "|", xor: "^", eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=",
};
const BOOL_SYMBOLS: { readonly [op in BinaryOp]?: string } = { and: "&&", or: "||", xor: "!=", eq: "==", ne: "!=" };

/** Without the parentheses around the whole, where any expression may stand. */
export const opened = (text: string): string => {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    if (text[i] === "(") depth++;
    if (text[i] === ")" && --depth === 0) return text;
  }
  return text.slice(1, -1);
};

export function unary(op: UnaryOp, s: ScalarType, x: string): string {
  if (op === "not") return s === "bool" ? `!${x}` : `~${x}`;
  if (op === "neg") return isFloatScalar(s) ? `(-${x})` : s === "u32" ? `(0u - ${x})` : `sub_i32(0, ${opened(x)})`;
  if (op === "abs" && s === "u32") return x;
  const text = `${op}_${at(s)}(${opened(x)})`;
  return op === "sqrt" ? held(s, text) : text;
}

export function binary(op: BinaryOp, s: ScalarType, a: string, b: string): string {
  const call = `${op}_${at(s)}(${opened(a)}, ${opened(b)})`;
  const symbol = (table: typeof SYMBOLS): string => `(${a} ${table[op] ?? wrong(op, s)} ${b})`;
  if (isComparison(op)) return symbol(SYMBOLS);
  if (s === "bool") return symbol(BOOL_SYMBOLS);
  if (isFloatScalar(s)) {
    if (op === "min" || op === "max") return call;
    const text = FLOAT_FUNCTIONS.has(op) ? call : symbol(SYMBOLS);
    return s === "f16" ? held(s, opened(text)) : text;
  }
  // C++'s own where it is by less than the width, but for values with a sign to the left.
  if ((op === "shr" || (op === "shl" && s === "u32")) && /^([12]?\d|3[01])u?$/.test(b)) return `(${a} ${op === "shl" ? "<<" : ">>"} ${b.replace("u", "")})`;
  if (INTEGER_FUNCTIONS.has(op) || (s === "i32" && (op === "add" || op === "sub" || op === "mul"))) return call;
  return symbol(SYMBOLS);
}
const wrong = (op: BinaryOp, s: ScalarType): never => {
  throw new InternalError(`${op} of ${s}`);
};

/** a·b + c; f16 rounds after each operation. */
export function multiplyAdd(s: ScalarType, a: string, b: string, c: string): string {
  return s === "f16" ? binary("add", s, binary("mul", s, a, b), c) : `fma_${s}(${opened(a)}, ${opened(b)}, ${opened(c)})`;
}

export function cast(from: ScalarType, to: ScalarType, x: string): string {
  if (from === to) return x;
  if (to === "bool") return `(${x} != ${from === "i32" ? "0" : from === "u32" ? "0u" : from === "f64" ? "0.0" : "0.0f"})`;
  if (isFloatScalar(from) && (to === "i32" || to === "u32")) return `${to}_of_${at(from)}(${opened(x)})`;
  if (to === "f16") return from === "f64" ? `half_f64(${opened(x)})` : held(to, from === "f32" ? opened(x) : `(float)${x}`);
  if (from === "f16" && to === "f32") return x;
  return `(${SCALAR_TYPE[to]})${x}`;
}

export function bitcast(from: ScalarType, to: ScalarType, x: string): string {
  if (from === to) return x;
  if (to === "f32") return `float_u32(${from === "i32" ? `(uint32_t)${x}` : opened(x)})`;
  if (from !== "f32") return `(${SCALAR_TYPE[to]})${x}`;
  return to === "i32" ? `(int)bits_f32(${opened(x)})` : `bits_f32(${opened(x)})`;
}
