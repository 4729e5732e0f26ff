// Movement ops that move nothing vanish, two in a row become one, and what repeats elements comes last: broadcasts move past
// elementwise ops, so that these compute each element once, and reductions and contractions read transposed operands in place.
import { addSize, mulSize, type Size, sameSize, subSize } from "../base/sizes.ts";
import type { BinaryOp, OpAttrs, TensorType, UnaryOp } from "../graph/graph.ts";
import { type Match, type Rule, rewriteWith } from "./rewrite.ts";

const sameShape = (a: readonly Size[], b: readonly Size[]): boolean => a.length === b.length && a.every((s, i) => sameSize(s, b[i]!));
const isZero = (s: Size): boolean => s === 0;
const placeOf = ({ shape, axes }: TensorType): Pick<TensorType, "shape" | "axes"> => ({ shape, axes });

/** For each axis of `from` that is not of size 1 the axis of `to` where it stands; null if the shapes differ in more than 1s. */
function alignAxes(from: readonly Size[], to: readonly Size[]): (number | null)[] | null {
  let next = 0;
  const at = from.map(size => {
    if (size === 1) return null;
    while (to[next] === 1) next++;
    return next < to.length && sameSize(size, to[next]!) ? next++ : -1;
  });
  return at.includes(-1) || to.slice(next).some(s => s !== 1) ? null : at;
}

/** Puts axes without a place between their neighbours; null where there is no room in `rank` axes. */
function placeBetween(axes: readonly (number | null)[], rank: number): number[] | null {
  const placed: number[] = [];
  for (const axis of axes) placed.push(axis ?? (placed.at(-1) ?? -1) + 1);
  return placed.every((axis, i) => axis < rank && (i === 0 || axis > placed[i - 1]!)) ? placed : null;
}

/** broadcast(reshape(x)) where the reshape adds or drops axes of size 1. */
function broadcastOfReshaped(m: Match): OpAttrs["broadcast"] | null {
  const outer = m.attrs("b", "broadcast");
  const at = alignAxes(m.type("x").shape, m.type("r").shape);
  const dims = at && placeBetween(at.map(a => (a === null ? null : outer.dims[a]!)), outer.shape.length);
  return dims && { ...outer, dims };
}

/** reshape(broadcast(x)) where the reshape adds or drops axes of size 1, or x is one element. */
function broadcastOfUnshaped(m: Match): OpAttrs["broadcast"] | null {
  const [inner, { shape, axes }] = [m.attrs("b", "broadcast"), m.attrs("r", "reshape")];
  if (inner.dims.length === 0) return { dims: [], shape, axes };
  const at = alignAxes(inner.shape, shape);
  const dims = at && placeBetween(inner.dims.map(d => at[d]!), shape.length);
  return dims?.every((d, i) => m.type("x").shape[i] === 1 || sameSize(m.type("x").shape[i]!, shape[d]!)) ? { dims, shape, axes } : null;
}

/** transpose(broadcast(x)) as broadcast(transpose(x)): where x's axes go, and their order there. */
function transposedDims(m: Match): { dims: number[]; perm: number[] } {
  const [{ perm }, { dims }] = [m.attrs("t", "transpose"), m.attrs("b", "broadcast")];
  const to = dims.map(d => perm.indexOf(d));
  const order = to.map((_, i) => i).sort((i, j) => to[i]! - to[j]!);
  return { dims: order.map(i => to[i]!), perm: order };
}

function sliceOfSliced(m: Match): OpAttrs["slice"] {
  const [outer, inner] = [m.attrs("s", "slice"), m.attrs("u", "slice")];
  return {
    start: outer.start.map((s, i) => addSize(inner.start[i]!, mulSize(s, inner.stride[i]!))), size: outer.size, stride: outer.stride.map((s, i) => s * inner.stride[i]!),
  };
}

/** The part of x that slice(broadcast(x)) sees: axes that repeat stay whole. */
function slicedBeforeBroadcast(m: Match): OpAttrs["slice"] {
  const [s, { dims, shape }] = [m.attrs("s", "slice"), m.attrs("b", "broadcast")];
  const x = m.type("x").shape;
  const isCut = dims.map((d, i) => x[i] !== 1 || shape[d] === 1);
  const pick = <T,>(of: readonly T[], whole: (i: number) => T): T[] => dims.map((d, i) => (isCut[i] ? of[d]! : whole(i)));
  return { start: pick<Size>(s.start, () => 0), size: pick<Size>(s.size, i => x[i]!), stride: pick<number>(s.stride, () => 1) };
}

/** slice(pad(x)) that sees nothing of the padding; null unless that is sure for all sizes. */
function sliceInsidePadding(m: Match): OpAttrs["slice"] | null {
  const [s, { low }] = [m.attrs("s", "slice"), m.attrs("p", "pad")];
  const start = s.start.map((from, i) => subSize(from, low[i]!));
  const isInside = m.type("x").shape.every((n, i) => {
    const last = addSize(start[i]!, mulSize(subSize(s.size[i]!, 1), s.stride[i]!));
    const [before, after] = [start[i]!, subSize(subSize(n, 1), last)];
    return typeof before === "number" && before >= 0 && typeof after === "number" && after >= 0;
  });
  return isInside ? { ...s, start } : null;
}

function flippedOnce(m: Match): OpAttrs["flip"] {
  const [a, b] = [m.attrs("f", "flip").axes, m.attrs("g", "flip").axes];
  return { axes: [...a.filter(x => !b.includes(x)), ...b.filter(x => !a.includes(x))].sort((x, y) => x - y) };
}

/** The labels of a contraction's operand as they stand before its transpose. */
const untransposed = (labels: readonly number[], perm: readonly number[]): number[] => {
  const before = [...labels];
  perm.forEach((p, i) => (before[p] = labels[i]!));
  return before;
};

/** Where a dynamic slice with a constant start begins, clamped as it is; null if that depends on sizes. */
function staticSlice(m: Match): OpAttrs["slice"] | null {
  const { axes, size } = m.attrs("d", "dynamic_slice");
  const x = m.type("x").shape;
  const starts = axes.map((axis, i) => {
    const room = subSize(x[axis]!, size[i]!);
    const start = Math.max(m.number(i === 0 ? "c" : "e"), 0);
    return start === 0 ? 0 : typeof room === "number" ? Math.min(start, room) : null;
  });
  if (starts.includes(null)) return null;
  const at = (axis: number): number => axes.indexOf(axis);
  return { start: x.map((_, i) => (at(i) < 0 ? 0 : starts[at(i)]!)), size: x.map((n, i) => (at(i) < 0 ? n : size[at(i)]!)), stride: x.map(() => 1) };
}

const UNARY: readonly UnaryOp[] = ["neg", "abs", "sign", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "erf", "floor", "ceil", "round", "not", "is_finite"];
const BINARY: readonly BinaryOp[] = ["add", "sub", "mul", "div", "mod", "pow", "max", "min", "atan2", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "shl", "shr", "mulhi"];
const COMMUTES: ReadonlySet<BinaryOp> = new Set(["add", "mul", "max", "min", "eq", "ne", "and", "or", "xor", "mulhi"]);

const repeatsAlike = (m: Match): boolean => {
  const [a, b] = [m.attrs("a", "broadcast").dims, m.attrs("b", "broadcast").dims];
  return a.every((d, i) => d === b[i]) && sameShape(m.type("x").shape, m.type("y").shape);
};
const constant = { r: (m: Match) => m.number("c") };

export const RULES: readonly Rule[] = [
  // what moves nothing
  { name: "transpose-in-order", from: "t:transpose(x)", to: "x", when: m => m.attrs("t", "transpose").perm.every((p, i) => p === i), exact: "field" },
  { name: "reshape-to-own-shape", from: "r:reshape(x)", to: "x", when: m => sameShape(m.type("x").shape, m.attrs("r", "reshape").shape), exact: "field" },
  { name: "broadcast-to-own-shape", from: "b:broadcast(x)", to: "x", when: m => sameShape(m.type("x").shape, m.attrs("b", "broadcast").shape), exact: "field" },
  { name: "slice-of-everything", from: "s:slice(x)", to: "x", when: m => sameShape(m.type("x").shape, m.attrs("s", "slice").size) && m.attrs("s", "slice").start.every(isZero) && m.attrs("s", "slice").stride.every(s => s === 1), exact: "field" },
  { name: "pad-by-nothing", from: "p:pad(x)", to: "x", when: m => [...m.attrs("p", "pad").low, ...m.attrs("p", "pad").high].every(isZero), exact: "field" },
  { name: "flip-of-ones", from: "f:flip(x)", to: "x", when: m => m.attrs("f", "flip").axes.every(a => m.type("x").shape[a] === 1), exact: "field" },
  { name: "concat-of-one", from: "c:concat(x)", to: "x", exact: "field" },
  // two in a row
  { name: "transpose-twice", from: "t:transpose(u:transpose(x))", to: "v:transpose(x)", attrs: { v: m => ({ perm: m.attrs("t", "transpose").perm.map(p => m.attrs("u", "transpose").perm[p]!) }) }, exact: "field" },
  { name: "reshape-twice", from: "r:reshape(s:reshape(x))", to: "r:reshape(x)", exact: "field" },
  { name: "broadcast-twice", from: "b:broadcast(c:broadcast(x))", to: "d:broadcast(x)", attrs: { d: m => ({ ...m.attrs("b", "broadcast"), dims: m.attrs("c", "broadcast").dims.map(d => m.attrs("b", "broadcast").dims[d]!) }) }, exact: "field" },
  { name: "slice-twice", from: "s:slice(u:slice(x))", to: "v:slice(x)", attrs: { v: sliceOfSliced }, exact: "field" },
  { name: "pad-twice", from: "p:pad(q:pad(x))", to: "v:pad(x)", when: m => Object.is(m.attrs("p", "pad").value, m.attrs("q", "pad").value), attrs: { v: m => {
    const [p, q] = [m.attrs("p", "pad"), m.attrs("q", "pad")];
    return { low: p.low.map((n, i) => addSize(n, q.low[i]!)), high: p.high.map((n, i) => addSize(n, q.high[i]!)), value: p.value };
  } }, exact: "field" },
  { name: "flip-twice", from: "f:flip(g:flip(x))", to: "v:flip(x)", attrs: { v: flippedOnce }, exact: "field" },
  // what repeats comes last
  { name: "broadcast-of-reshaped", from: "b:broadcast(r:reshape(x))", to: "c:broadcast(x)", attrs: { c: broadcastOfReshaped }, exact: "field" },
  { name: "reshape-of-broadcast", from: "r:reshape(b:broadcast(x))", to: "c:broadcast(x)", attrs: { c: broadcastOfUnshaped }, exact: "field" },
  { name: "transpose-of-broadcast", from: "t:transpose(b:broadcast(x))", to: "c:broadcast(v:transpose(x))", attrs: { c: m => ({ ...placeOf(m.type("t")), dims: transposedDims(m).dims }), v: m => ({ perm: transposedDims(m).perm }) }, exact: "field" },
  { name: "slice-of-broadcast", from: "s:slice(b:broadcast(x))", to: "c:broadcast(v:slice(x))", attrs: { c: m => ({ ...placeOf(m.type("s")), dims: m.attrs("b", "broadcast").dims }), v: slicedBeforeBroadcast }, exact: "field" },
  { name: "cast-of-broadcast", from: "c:cast(b:broadcast(x))", to: "b:broadcast(c:cast(x))", exact: "field" },
  ...UNARY.map((op): Rule => ({ name: `${op}-of-broadcast`, from: `${op}(b:broadcast(x))`, to: `b:broadcast(${op}(x))`, exact: "field" })),
  ...BINARY.map((op): Rule => ({ name: `${op}-of-broadcasts`, from: `${op}(a:broadcast(x), b:broadcast(y))`, to: `a:broadcast(${op}(x, y))`, when: repeatsAlike, exact: "field" })),
  ...BINARY.map((op): Rule => ({ name: `${op}-of-broadcast-and-constant`, from: `${op}(a:broadcast(x), #c)`, to: `a:broadcast(${op}(x, #r))`, numbers: constant, exact: "field" })),
  ...BINARY.filter(op => !COMMUTES.has(op)).map((op): Rule => ({ name: `${op}-of-constant-and-broadcast`, from: `${op}(#c, a:broadcast(x))`, to: `a:broadcast(${op}(#r, x))`, numbers: constant, exact: "field" })),
  // parts
  { name: "slice-inside-padding", from: "s:slice(p:pad(x))", to: "v:slice(x)", attrs: { v: sliceInsidePadding }, exact: "field" },
  { name: "dynamic-slice-at-constant", from: "d:dynamic_slice(x, #c)", to: "v:slice(x)", attrs: { v: staticSlice }, exact: "field" },
  { name: "dynamic-slice-at-two-constants", from: "d:dynamic_slice(x, #c, #e)", to: "v:slice(x)", attrs: { v: staticSlice }, exact: "field" },
  { name: "dynamic-update-of-everything", from: "d:dynamic_update(x, y, s)", to: "y", when: m => sameShape(m.type("x").shape, m.type("y").shape), exact: "field" },
  // operands are read as they lie; sums over several axes then go in another order
  { name: "contract-transposed-left", from: "c:contract(t:transpose(x), y)", to: "d:contract(x, y)", attrs: { d: m => ({ ...m.attrs("c", "contract"), a: untransposed(m.attrs("c", "contract").a, m.attrs("t", "transpose").perm) }) }, exact: "field", rounds: true },
  { name: "contract-transposed-right", from: "c:contract(x, t:transpose(y))", to: "d:contract(x, y)", attrs: { d: m => ({ ...m.attrs("c", "contract"), b: untransposed(m.attrs("c", "contract").b, m.attrs("t", "transpose").perm) }) }, exact: "field", rounds: true },
  { name: "reduce-of-transposed", from: "r:reduce(t:transpose(x))", to: "v:transpose(s:reduce(x))", attrs: { s: reducedAxes, v: keptOrder }, exact: "field", rounds: true },
];

function reducedAxes(m: Match): OpAttrs["reduce"] {
  const { kind, axes } = m.attrs("r", "reduce");
  const { perm } = m.attrs("t", "transpose");
  return { kind, axes: axes.map(a => perm[a]!).sort((a, b) => a - b) };
}
/** The order in which the axes that a reduction keeps stood after the transpose. */
function keptOrder(m: Match): OpAttrs["transpose"] {
  const { axes } = m.attrs("r", "reduce");
  const kept = m.attrs("t", "transpose").perm.filter((_, i) => !axes.includes(i));
  const ascending = [...kept].sort((a, b) => a - b);
  return { perm: kept.map(a => ascending.indexOf(a)) };
}

export const movement = rewriteWith("movement", "movement ops vanish, merge, and move behind what computes", RULES);
