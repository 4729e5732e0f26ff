// Constructors of kernel expressions. Each checks its operand types and throws InternalError at once, folds constants at
// the exact type, and keeps index arithmetic in Size polynomials. A number takes the type of the operand beside it, and a
// scalar beside a vector is splatted.
import { InternalError } from "../base/diagnostics.ts";
import { addSize, maxSize, minSize, mulSize, type Size, type SizeExpr, subSize } from "../base/sizes.ts";
import { type BinaryOp, type Expr, type ScalarType, typeOf, type UnaryOp, type ValueType } from "./ir.ts";
import { binaryValue, bitcastValue, canBitcast, castValue, hasBinary, hasUnary, isComparison, isFloatScalar, ROUND, unaryValue } from "./scalar.ts";

/** What the helpers take: an expression, a number at the type of its neighbour, or index arithmetic. */
export type Operand = Expr | Size;

export const typeText = (t: ValueType): string => (t.lanes === 1 ? t.scalar : `${t.scalar}x${t.lanes}`);
export const sameType = (a: ValueType, b: ValueType): boolean => a.scalar === b.scalar && a.lanes === b.lanes;

const isSize = (x: Operand): x is Size => typeof x === "number" || "terms" in x;
const isSizeExpr = (x: Operand): x is SizeExpr => typeof x !== "number" && "terms" in x;

export const constant = (scalar: ScalarType, value: number, lanes = 1): Expr => ({ kind: "const", type: { scalar, lanes }, value: ROUND[scalar](value) });
/** Index arithmetic as an i32 expression. */
export const index = (size: Size): Expr => ({ kind: "size", size });

/** The operand as an expression; a lone number becomes an index. */
export const expr = (x: Operand): Expr => (isSize(x) ? index(x) : x);

/** The operand at a known type: numbers become constants of it and scalars are splatted. */
export function operandOf(x: Operand, type: ValueType): Expr {
  if (typeof x === "number") return constant(type.scalar, x, type.lanes);
  const e = expr(x);
  const t = typeOf(e);
  if (t.scalar !== type.scalar) throw new InternalError(`operand is ${typeText(t)} where ${typeText(type)} is needed`);
  return t.lanes === type.lanes ? e : splat(e, type.lanes);
}

function operands(name: string, ...xs: readonly Operand[]): Expr[] {
  const typed = xs.filter(x => typeof x !== "number").map(x => typeOf(expr(x)));
  const first = typed[0];
  if (!first) throw new InternalError(`${name}: at least one operand must have a type`);
  const lanes = Math.max(...typed.map(t => t.lanes));
  const wrong = typed.find(t => t.scalar !== first.scalar || (t.lanes !== 1 && t.lanes !== lanes));
  if (wrong) throw new InternalError(`${name}: operands are ${typed.map(typeText).join(", ")}`);
  // A number beside index arithmetic is an index too, so that the whole stays analysable.
  const isIndex = lanes === 1 && xs.every(x => isSize(x) || x.kind === "size");
  return xs.map(x => (isIndex && isSize(x) ? index(x) : operandOf(x, { scalar: first.scalar, lanes })));
}

const isConst = (e: Expr, value?: number): e is Expr & { kind: "const" } => e.kind === "const" && (value === undefined || Object.is(e.value, value));

export function unary(op: UnaryOp, x: Operand): Expr {
  const e = expr(x);
  const t = typeOf(e);
  if (!hasUnary(op, t.scalar)) throw new InternalError(`${op} of ${typeText(t)}`);
  return e.kind === "const" ? constant(t.scalar, unaryValue(op, t.scalar, e.value), t.lanes) : { kind: "unary", op, x: e };
}

export const neg = (x: Operand): Expr => unary("neg", x);
export const abs = (x: Operand): Expr => unary("abs", x);
export const sqrt = (x: Operand): Expr => unary("sqrt", x);
export const floor = (x: Operand): Expr => unary("floor", x);
export const ceil = (x: Operand): Expr => unary("ceil", x);
export const trunc = (x: Operand): Expr => unary("trunc", x);
export const roundEven = (x: Operand): Expr => unary("round_even", x);
export const not = (x: Operand): Expr => unary("not", x);

const SIZE_OPS: { readonly [op in BinaryOp]?: (a: Size, b: Size) => Size } = { add: addSize, sub: subSize, mul: mulSize, min: minSize, max: maxSize };

/** The operand where one side is a constant that changes nothing; undefined where the operation must stay. */
function identity(op: BinaryOp, float: boolean, a: Expr, b: Expr): Expr | undefined {
  if ((op === "mul" || op === "div") && isConst(b, 1)) return a;
  if (op === "mul" && isConst(a, 1)) return b;
  if (op === "sub" && isConst(b, 0)) return a;
  if (float) return undefined;
  if (["add", "or", "xor", "shl", "shr"].includes(op) && isConst(b, 0)) return a;
  if (["add", "or", "xor"].includes(op) && isConst(a, 0)) return b;
  return undefined;
}

export function binary(op: BinaryOp, x: Operand, y: Operand): Expr {
  const sizeOp = SIZE_OPS[op];
  if (sizeOp && isSize(x) && isSize(y) && (isSizeExpr(x) || isSizeExpr(y))) return index(sizeOp(x, y));
  const [a, b] = operands(op, x, y) as [Expr, Expr];
  if (sizeOp && a.kind === "size" && b.kind === "size") return index(sizeOp(a.size, b.size));
  if (sizeOp && a.kind === "size" && b.kind === "const") return index(sizeOp(a.size, b.value));
  if (sizeOp && a.kind === "const" && b.kind === "size") return index(sizeOp(a.value, b.size));
  const t = typeOf(a);
  if (!hasBinary(op, t.scalar)) throw new InternalError(`${op} of ${typeText(t)}`);
  const float = isFloatScalar(t.scalar);
  if (a.kind === "const" && b.kind === "const" && (float || b.value !== 0 || (op !== "div" && op !== "rem"))) {
    return constant(isComparison(op) ? "bool" : t.scalar, binaryValue(op, t.scalar, a.value, b.value), t.lanes);
  }
  return identity(op, float, a, b) ?? { kind: "binary", op, a, b };
}

export const add = (a: Operand, b: Operand): Expr => binary("add", a, b);
export const sub = (a: Operand, b: Operand): Expr => binary("sub", a, b);
export const mul = (a: Operand, b: Operand): Expr => binary("mul", a, b);
export const div = (a: Operand, b: Operand): Expr => binary("div", a, b);
export const rem = (a: Operand, b: Operand): Expr => binary("rem", a, b);
export const min = (a: Operand, b: Operand): Expr => binary("min", a, b);
export const max = (a: Operand, b: Operand): Expr => binary("max", a, b);
export const and = (a: Operand, b: Operand): Expr => binary("and", a, b);
export const or = (a: Operand, b: Operand): Expr => binary("or", a, b);
export const xor = (a: Operand, b: Operand): Expr => binary("xor", a, b);
export const shl = (a: Operand, b: Operand): Expr => binary("shl", a, b);
export const shr = (a: Operand, b: Operand): Expr => binary("shr", a, b);
export const mulhi = (a: Operand, b: Operand): Expr => binary("mulhi", a, b);
export const eq = (a: Operand, b: Operand): Expr => binary("eq", a, b);
export const ne = (a: Operand, b: Operand): Expr => binary("ne", a, b);
export const lt = (a: Operand, b: Operand): Expr => binary("lt", a, b);
export const le = (a: Operand, b: Operand): Expr => binary("le", a, b);
export const gt = (a: Operand, b: Operand): Expr => binary("gt", a, b);
export const ge = (a: Operand, b: Operand): Expr => binary("ge", a, b);

/** a·b + c, of floats. */
export function fma(x: Operand, y: Operand, z: Operand): Expr {
  const [a, b, c] = operands("fma", x, y, z) as [Expr, Expr, Expr];
  if (!isFloatScalar(typeOf(c).scalar)) throw new InternalError(`fma of ${typeText(typeOf(c))}`);
  if (isConst(a, 1)) return add(b, c);
  if (isConst(b, 1)) return add(a, c);
  return { kind: "fma", a, b, c };
}

/** yes where the condition holds, no elsewhere; both are evaluated. */
export function select(condition: Expr, x: Operand, y: Operand): Expr {
  const c = typeOf(condition);
  if (c.scalar !== "bool") throw new InternalError(`select by ${typeText(c)}`);
  const [yes, no] = operands("select", x, y) as [Expr, Expr];
  const lanes = Math.max(c.lanes, typeOf(yes).lanes);
  if (condition.kind === "const") return condition.value !== 0 ? splat(yes, lanes) : splat(no, lanes);
  return { kind: "select", condition: splat(condition, lanes), yes: splat(yes, lanes), no: splat(no, lanes) };
}

export function cast(to: ScalarType, x: Operand): Expr {
  const e = expr(x);
  const t = typeOf(e);
  if (t.scalar === to) return e;
  if (e.kind === "const") return constant(to, castValue(t.scalar, to, e.value), t.lanes);
  return { kind: "cast", to, x: e };
}

export function bitcast(to: ScalarType, x: Operand): Expr {
  const e = expr(x);
  const t = typeOf(e);
  if (t.scalar === to) return e;
  if (!canBitcast(t.scalar, to)) throw new InternalError(`bitcast from ${typeText(t)} to ${to}`);
  if (e.kind === "const") {
    const value = bitcastValue(t.scalar, to, e.value);
    // A NaN constant would lose its payload on the way through the text form.
    if (!Number.isNaN(value)) return constant(to, value, t.lanes);
  }
  return { kind: "bitcast", to, x: e };
}

/** The scalar in all lanes; a vector of that many lanes is left as it is. */
export function splat(x: Operand, lanes: number): Expr {
  const e = expr(x);
  const t = typeOf(e);
  if (t.lanes === lanes) return e;
  if (t.lanes !== 1) throw new InternalError(`splat of ${typeText(t)} to ${lanes} lanes`);
  return e.kind === "const" ? constant(t.scalar, e.value, lanes) : { kind: "splat", x: e, lanes };
}

export function vector(items: readonly Expr[]): Expr {
  const first = items[0];
  if (!first) throw new InternalError("a vector needs items");
  for (const item of items) {
    if (!sameType(typeOf(item), { scalar: typeOf(first).scalar, lanes: 1 })) throw new InternalError(`vector of ${items.map(i => typeText(typeOf(i))).join(", ")}`);
  }
  return { kind: "vector", items };
}

export function lane(x: Expr, number: number): Expr {
  const t = typeOf(x);
  if (number < 0 || number >= t.lanes) throw new InternalError(`lane ${number} of ${typeText(t)}`);
  if (t.lanes === 1) return x;
  if (x.kind === "splat") return x.x;
  if (x.kind === "const") return constant(t.scalar, x.value);
  return x.kind === "vector" ? x.items[number]! : { kind: "lane", x, lane: number };
}

/** The lanes by number: those of a count first, then those of b. */
export function shuffle(a: Expr, b: Expr, lanes: readonly number[]): Expr {
  const t = typeOf(a);
  if (!sameType(t, typeOf(b)) || lanes.some(l => l < 0 || l >= 2 * t.lanes)) throw new InternalError(`shuffle [${lanes.join(", ")}] of ${typeText(t)} and ${typeText(typeOf(b))}`);
  return { kind: "shuffle", a, b, lanes };
}

/** Lanes 0, 1, 2, … as i32: offsets of the elements of a vector. */
export const lanesFrom0 = (lanes: number): Expr => vector(Array.from({ length: lanes }, (_, i) => constant("i32", i)));

export function horizontal(op: "add" | "max" | "min", x: Expr): Expr {
  return typeOf(x).lanes === 1 ? x : { kind: "horizontal", op, x };
}

export function dot4(x: Operand, y: Operand, z: Operand): Expr {
  const [a, b, c] = operands("dot4", x, y, z) as [Expr, Expr, Expr];
  if (typeOf(c).scalar !== "i32") throw new InternalError(`dot4 of ${typeText(typeOf(c))}`);
  return { kind: "dot4", a, b, c };
}

/** table[index & 15], at the given scalar type. */
export function lookup16(scalar: ScalarType, table: readonly number[], at: Expr): Expr {
  const t = typeOf(at);
  if (table.length !== 16) throw new InternalError(`lookup16 in a table of ${table.length}`);
  if (t.scalar !== "i32" && t.scalar !== "u32") throw new InternalError(`lookup16 by ${typeText(t)}`);
  return { kind: "lookup16", table: table.map(ROUND[scalar]), index: at, type: { scalar, lanes: t.lanes } };
}
