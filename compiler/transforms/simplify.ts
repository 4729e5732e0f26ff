// Algebra: what arithmetic, selection and casts say about single elements. Every rule keeps the value of every element, NaN,
// infinities and the sign of a zero included, unless it is marked `rounds`; so x*0 and x-x vanish for integers only, x+0 only
// where x is no -0, and nothing is reassociated.
import { type DType, DTYPES, isFloat, isInteger } from "../base/dtypes.ts";
import { isTuple, type Node, type TensorType } from "../graph/graph.ts";
import { type Match, type Rule, rewriteWith } from "./rewrite.ts";

const dtypeOf = (n: Node): DType => (n.type as TensorType).dtype;
const ofFloats = (m: Match): boolean => isFloat(dtypeOf(m.root));
const ofIntegers = (m: Match): boolean => isInteger(dtypeOf(m.root));
const ofUnsigned = (m: Match): boolean => DTYPES[dtypeOf(m.root)].kind === "unsigned";
const ofBools = (m: Match): boolean => dtypeOf(m.root) === "bool";
const isPowerOfTwo = (x: number): boolean => x > 0 && Number.isFinite(x) && Number.isInteger(Math.log2(x)) && 2 ** Math.log2(x) === x;

/** 1/c is exact: c and 1/c are powers of two that every float dtype here holds as normal numbers. */
const hasExactInverse = (m: Match): boolean => isPowerOfTwo(Math.abs(m.number("c"))) && Math.abs(Math.log2(Math.abs(m.number("c")))) <= (dtypeOf(m.root) === "f16" ? 14 : 126);

/** No element is -0: then x + 0 is x. */
function isNeverMinusZero(n: Node): boolean {
  switch (n.op) {
    case "abs": case "exp": case "iota": case "size": return true;
    case "mul": return n.inputs[0] === n.inputs[1];
    case "random": return n.attrs.kind !== "normal";
    default: return !isTuple(n.type) && !isFloat(n.type.dtype);
  }
}

/** Bits of a whole number that a float dtype holds exactly. */
const MANTISSA: { readonly [D in DType]?: number } = { f64: 53, f32: 24, f16: 11, bf16: 8 };

/** Every value of `from` is a value of `to`. */
function holdsAll(to: DType, from: DType): boolean {
  const [a, b] = [DTYPES[from], DTYPES[to]];
  if (to === from) return true;
  if (a.kind === "bool") return b.kind !== "bool";
  if (b.kind === "bool" || a.kind === "float") return from === "f32" && to === "f64";
  const bits = a.kind === "signed" ? a.bits - 1 : a.bits;
  if (b.kind === "float") return bits <= MANTISSA[to]!;
  return a.kind === "unsigned" && b.kind === "unsigned" ? bits <= b.bits : b.kind === "signed" && bits <= b.bits - 1;
}
const castsThrough = (float: boolean) => (m: Match): boolean => {
  const [from, through, to] = [m.type("x").dtype, dtypeOf(m.node("d")), dtypeOf(m.root)];
  // Back from a float an integer saturates where it would wrap, and on to a narrower float it rounds twice.
  const isSafe = !float || !isInteger(from) || holdsAll(to, from);
  return isFloat(through) === float && isSafe && holdsAll(through, from);
};

export const RULES: readonly Rule[] = [
  // sums
  { name: "add-zero", from: "add(x, 0)", to: "x", when: m => isNeverMinusZero(m.node("x")), exact: "field" },
  { name: "add-minus-zero", from: "add(x, -0)", to: "x", exact: "field" },
  { name: "subtract-zero", from: "sub(x, 0)", to: "x", exact: "field" },
  { name: "subtract-from-zero", from: "sub(0, x)", to: "neg(x)", when: ofIntegers, exact: "field" },
  { name: "subtract-from-minus-zero", from: "sub(-0, x)", to: "neg(x)", when: ofFloats, exact: "field" },
  { name: "subtract-itself", from: "sub(x, x)", to: "0", when: ofIntegers, exact: "field" },
  { name: "negate-twice", from: "neg(neg(x))", to: "x", exact: "field" },
  { name: "add-negated", from: "add(x, neg(y))", to: "sub(x, y)", exact: "field" },
  { name: "subtract-negated", from: "sub(x, neg(y))", to: "add(x, y)", exact: "field" },
  // products
  { name: "multiply-by-one", from: "mul(x, 1)", to: "x", exact: "field" },
  { name: "multiply-by-minus-one", from: "mul(x, -1)", to: "neg(x)", exact: "field" },
  { name: "multiply-by-zero", from: "mul(x, 0)", to: "0", when: ofIntegers, exact: "field" },
  { name: "multiply-negated-both", from: "mul(neg(x), neg(y))", to: "mul(x, y)", exact: "field" },
  { name: "multiply-negated-by-constant", from: "mul(neg(x), #c)", to: "mul(x, #r)", numbers: { r: m => -m.number("c") }, when: ofFloats, exact: "field" },
  { name: "divide-by-one", from: "div(x, 1)", to: "x", exact: "field" },
  { name: "divide-by-minus-one", from: "div(x, -1)", to: "neg(x)", when: ofFloats, exact: "field" },
  { name: "divide-by-power-of-two", from: "div(x, #c)", to: "mul(x, #r)", numbers: { r: m => 1 / m.number("c") }, when: m => ofFloats(m) && hasExactInverse(m), exact: "field" },
  { name: "divide-unsigned-by-power-of-two", from: "div(x, #c)", to: "shr(x, #r)", numbers: { r: m => Math.log2(m.number("c")) }, when: m => ofUnsigned(m) && isPowerOfTwo(m.number("c")), exact: "field" },
  { name: "remainder-of-power-of-two", from: "mod(x, #c)", to: "and(x, #r)", numbers: { r: m => m.number("c") - 1 }, when: m => ofIntegers(m) && isPowerOfTwo(m.number("c")), exact: "field" },
  { name: "power-of-zero", from: "pow(x, 0)", to: "1", exact: "float64" },
  { name: "power-of-one", from: "pow(x, 1)", to: "x", exact: "float64" },
  { name: "power-of-two", from: "pow(x, 2)", to: "mul(x, x)", exact: "float64", rounds: true },
  { name: "power-of-minus-one", from: "pow(x, -1)", to: "div(1, x)", exact: "float64", rounds: true },
  { name: "one-over-square-root", from: "div(1, sqrt(x))", to: "rsqrt(x)", exact: "float64" },
  // signs and whole numbers
  { name: "absolute-of-negated", from: "abs(neg(x))", to: "abs(x)", exact: "float64" },
  { name: "absolute-twice", from: "abs(a:abs(x))", to: "a", exact: "float64" },
  { name: "floor-twice", from: "floor(a:floor(x))", to: "a", exact: "float64" },
  { name: "ceil-twice", from: "ceil(a:ceil(x))", to: "a", exact: "float64" },
  { name: "round-twice", from: "round(a:round(x))", to: "a", exact: "float64" },
  // order
  { name: "max-of-itself", from: "max(x, x)", to: "x", exact: "field" },
  { name: "min-of-itself", from: "min(x, x)", to: "x", exact: "field" },
  { name: "max-with-lowest", from: "max(x, -inf)", to: "x", when: ofFloats, exact: "float64" },
  { name: "min-with-highest", from: "min(x, inf)", to: "x", when: ofFloats, exact: "float64" },
  { name: "max-with-two-constants", from: "max(max(x, #c), #d)", to: "max(x, #r)", numbers: { r: m => Math.max(m.number("c"), m.number("d")) }, exact: "float64" },
  { name: "min-with-two-constants", from: "min(min(x, #c), #d)", to: "min(x, #r)", numbers: { r: m => Math.min(m.number("c"), m.number("d")) }, exact: "float64" },
  { name: "less-than-itself", from: "lt(x, x)", to: "0", exact: "field" },
  { name: "greater-than-itself", from: "gt(x, x)", to: "0", exact: "field" },
  { name: "not-less", from: "not(lt(x, y))", to: "ge(x, y)", when: m => !isFloat(m.type("x").dtype), exact: "field" },
  { name: "not-greater", from: "not(gt(x, y))", to: "le(x, y)", when: m => !isFloat(m.type("x").dtype), exact: "field" },
  { name: "not-equal", from: "not(eq(x, y))", to: "ne(x, y)", exact: "field" },
  { name: "not-unequal", from: "not(ne(x, y))", to: "eq(x, y)", exact: "field" },
  // bits and truth
  { name: "not-twice", from: "not(not(x))", to: "x", exact: "field" },
  { name: "and-with-itself", from: "and(x, x)", to: "x", exact: "field" },
  { name: "or-with-itself", from: "or(x, x)", to: "x", exact: "field" },
  { name: "xor-with-itself", from: "xor(x, x)", to: "0", exact: "field" },
  { name: "and-with-zero", from: "and(x, 0)", to: "0", exact: "field" },
  { name: "or-with-zero", from: "or(x, 0)", to: "x", exact: "field" },
  { name: "xor-with-zero", from: "xor(x, 0)", to: "x", exact: "field" },
  { name: "and-with-true", from: "and(x, 1)", to: "x", when: ofBools, exact: "field" },
  { name: "or-with-true", from: "or(x, 1)", to: "1", when: ofBools, exact: "field" },
  { name: "shift-left-by-zero", from: "shl(x, 0)", to: "x", exact: "field" },
  { name: "shift-right-by-zero", from: "shr(x, 0)", to: "x", exact: "field" },
  // choices
  { name: "select-by-true", from: "select(1, x, y)", to: "x", exact: "field" },
  { name: "select-by-false", from: "select(0, x, y)", to: "y", exact: "field" },
  { name: "select-of-equals", from: "select(p, x, x)", to: "x", exact: "field" },
  { name: "select-by-not", from: "select(not(p), x, y)", to: "select(p, y, x)", exact: "field" },
  { name: "select-same-condition-first", from: "select(p, select(p, x, y), z)", to: "select(p, x, z)", exact: "field" },
  { name: "select-same-condition-second", from: "select(p, x, select(p, y, z))", to: "select(p, x, z)", exact: "field" },
  // casts; one to a narrow float's own dtype rounds what was computed wider
  { name: "cast-to-own-dtype", from: "c:cast(x)", to: "x", when: m => m.type("x").dtype === dtypeOf(m.root), exact: "field", rounds: true },
  { name: "cast-through-wider-integer", from: "c:cast(d:cast(x))", to: "c:cast(x)", when: castsThrough(false), exact: "field" },
  { name: "cast-through-wider-float", from: "c:cast(d:cast(x))", to: "c:cast(x)", when: castsThrough(true), exact: "float64" },
  // reductions
  { name: "reduce-no-axis", from: "r:reduce(x)", to: "x", when: m => m.attrs("r", "reduce").axes.length === 0, exact: "field", rounds: true },
  { name: "reduce-twice", from: "r:reduce(s:reduce(x))", to: "t:reduce(x)", attrs: { t: reducedOnce }, exact: "field", rounds: true },
  { name: "stop-gradient-twice", from: "stop_gradient(s:stop_gradient(x))", to: "s", exact: "field" },
];

function reducedOnce(m: Match): object | null {
  const [outer, inner] = [m.attrs("r", "reduce"), m.attrs("s", "reduce")];
  if (outer.kind !== inner.kind) return null;
  const kept = m.type("x").shape.map((_, i) => i).filter(i => !inner.axes.includes(i));
  return { kind: outer.kind, axes: [...inner.axes, ...outer.axes.map(a => kept[a]!)].sort((a, b) => a - b) };
}

export const simplify = rewriteWith("simplify", "algebra on elements: x*1, --x, casts of casts, choices that are decided", RULES);
