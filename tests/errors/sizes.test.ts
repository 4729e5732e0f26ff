// Sizes and counts that are none, wherever one is given: refused at the user's line, before anything is traced with them.
import { describe, expect, test } from "vitest";
import {
  arange, bf16, bool, constant, conv2d, dim, entry, every, f16, f32, f64, full, groupNorm, i4, i8, i16, i32, iterate, linear, type Picture, picture, procedure, repeat, span, state,
  type Tensor, times, traceProgram, u8, u16, u32, variable,
} from "sluice";
import { refusal } from "../support/refusal.ts";

const B = dim("B", { max: 8 });
/** Over a vector of ten. */
const over = (body: (x: Tensor) => Tensor | undefined, fixed: { readonly [dim: string]: number } = {}) =>
  traceProgram({ f: entry({ x: f32(10), y: f32(B) }, ({ x, y }) => ({ z: body(x as Tensor) as Tensor, y }), fixed) }, "sizes");
const inProcedure = (body: (a: { readonly photo: Picture }) => void) => traceProgram({ f: entry({ x: f32(2) }, ({ x }) => ({ y: x.exp() })), p: procedure({ photo: picture("a picture") }, body) }, "sizes");
type Called = (inputs: { readonly n: number }, sizes: { readonly [dim: string]: number }) => void;
const calling = (body: (f: Called) => void) => {
  const f = entry({ n: i32() }, ({ n }) => ({ y: full(f32(B), 1).mul(n.cast("f32")) }));
  return traceProgram({ f, p: procedure({}, () => body((inputs, sizes) => void f(inputs, sizes))) }, "sizes");
};
const atThisFile = /^tests\/errors\/sizes\.test\.ts:\d+:\d+: error /;

describe("a size in a spec", () => {
  const words = { f64, f32, f16, bf16, i32, i16, i8, i4, u32, u16, u8, bool };
  test.each(Object.entries(words))("%s", (_, word) => {
    for (const size of [-3, 2.5, NaN, Infinity, 2 ** 60]) expect(refusal(() => word(size))).toMatch(new RegExp(`${atThisFile.source}DIM006: this is no size\n  found:    ${String(size).replace("+", "\\+")}\n  expected: a whole number, 0 or more, or a dim$`));
  });
  test("of a dim that may be less than nothing names the value of the dim", () => {
    expect(refusal(() => f32(B.minus(5)))).toMatch(/DIM006: this is no size\n {2}found: {4}B-5, which is -4 where B = 1\n {2}expected: a size of 0 or more\n {2}hint: {5}the dims' bounds allow it/);
    expect(refusal(() => f32(dim("H", 3).minus(5)))).toMatch(/found: {4}H-5, which is -2/);
    expect(refusal(() => f32(B.minus(1)))).toBe("nothing was refused");
  });
  test("of a list says how sizes are given", () => expect(refusal(() => f32([2, 3] as never))).toMatch(/found: {4}a list of 2\n.*\n {2}hint: {5}sizes are given one by one: f32\(2, 3\)/));
});

const wrong: readonly (readonly [what: string, make: () => unknown, text: string])[] = [
  ["a dim's size", () => dim("H", NaN), "DIM001: dim H has no valid size"],
  ["a dim's bounds without end", () => dim("H", { max: Infinity }), "DIM001: no size lies within the bounds of dim H"],
  ["a dim's bounds with fractions", () => dim("H", { min: 1.5, max: 3 }), "DIM001: no size lies within the bounds of dim H"],
  ["a dim times a fraction", () => B.times(1.5), "DIM006: this is no size"],
  ["a dim over a fraction", () => dim("H", 8).over(1.5), "DIM006: this is no size"],
  ["the sizes of a reshape", () => over(x => x.reshape(2.5, 4)), "DIM006: this is no size"],
  ["two negative sizes of a reshape", () => over(x => x.reshape(-2, -5)), "DIM006: this is no size"],
  ["the sizes of an expand", () => over(x => x.expand(-1)), "DIM006: this is no size"],
  ["the size of a state", () => state(f32(-3)), "DIM006: this is no size"],
  ["the size of a full", () => full(f32(-1)), "DIM006: this is no size"],
  ["the length of an arange", () => arange(2.5), "DIM006: this is no size"],
  ["the sizes of a layer", () => linear(-3, 4), "DIM006: this is no size"],
  ["the start of a part", () => over(x => x.slice({ 0: span(2.5, 1) })), "DIM006: this is no size"],
  ["the length of a part", () => over(x => x.slice({ 0: span(0, NaN) })), "DIM006: this is no size"],
  ["an index", () => over(x => x.select({ 0: 1.5 })), "DIM006: this is no size"],
  ["how many come of a topK", () => over(x => x.topK(-1).values), "DIM006: this is no size"],
  ["a size of a rearrange", () => over(x => x.rearrange("(a b) -> a b", { a: 2.5 })), "DIM006: this is no size"],
  ["a size of a rearrange for a letter that is not there", () => over(x => x.rearrange("(a b) -> a b", { a: 2, c: 3 })), "PATTERN003: rearrange: a size is given for c, which is not in the pattern"],
  ["the rounds of a loop", () => over(x => iterate(-1, { x }, now => ({ x: now.x.add(1) })).x), "DIM006: this is no size"],
  ["the pieces of a chunk", () => over(x => x.chunk(-2)[0]), "NN002: chunk: the number of pieces is no whole number of 1 or more"],
  ["padding", () => over(x => x.pad({ 0: [1.5, 0] })), "NN002: pad: the number of elements put in is no whole number of 0 or more"],
  ["the place of a new axis", () => over(x => x.unsqueeze(7)), "AXIS001: unsqueeze: there is no place 7 for an axis"],
  ["an axis by a fraction", () => over(x => x.sum(0.5)), "AXIS001: sum: there is no axis 0.5"],
  ["a window", () => conv2d(3, 8, 0), "NN002: conv2d: the window is no whole number of 1 or more"],
  ["a stride", () => conv2d(3, 8, 3, { stride: 0 }), "NN002: conv2d: the stride is no whole number of 1 or more"],
  ["the padding of a window", () => conv2d(3, 8, 3, { padding: -1 }), "NN002: conv2d: the padding is no whole number of 0 or more"],
  ["a dilation", () => conv2d(3, 8, 3, { dilation: 1.5 }), "NN002: conv2d: the dilation is no whole number of 1 or more"],
  ["groups", () => groupNorm(0, 8), "NN002: groupNorm: the number of groups is no whole number of 1 or more"],
  ["how many of a layer", () => times(2.5, () => linear(2, 3)), "NN002: times: the number is no whole number of 0 or more"],
  ["the rounds of a repeat", () => inProcedure(() => repeat(-5, () => undefined)), "NN002: repeat: the number of rounds is no whole number of 0 or more"],
  ["every so many rounds", () => inProcedure(() => repeat(3, i => every(0, i, () => undefined))), "NN002: every: the number of rounds is no whole number of 1 or more"],
  ["a picture's new size", () => inProcedure(({ photo }) => void photo.pixels({ resize: [0, 4] })), "NN002: pixels: the size to resize to is no whole number of 1 or more"],
  ["a counter that is no whole number", () => inProcedure(() => void variable(2.5)), "DTYPE001: 2.5 is not a whole number"],
  ["a counter that is set to NaN", () => inProcedure(() => variable(2).set(NaN)), "DTYPE001: NaN is not a whole number"],
  ["a first value that the state does not hold", () => state(i32(3), 1.5), "DTYPE001: 1.5 is not a whole number"],
  ["a size in a call for a dim that is not there", () => calling(f => f({ n: 1 }, { C: 3 })), "PROC006: f has no dim C that a call binds"],
  ["a size in a call out of the dim's bounds", () => calling(f => f({ n: 1 }, { B: 9 })), "DIM001: dim B of f is out of bounds"],
  ["a number for an input of integers", () => calling(f => f({ n: 2.5 }, { B: 2 })), "DTYPE001: 2.5 is not a whole number"],
  ["a dim that an entry fixes and does not have", () => over(x => x, { C: 3 }), "DIM007: entry f fixes dim C, which none of its sizes has"],
  ["a dim that an entry fixes out of its bounds", () => over(x => x, { B: 99 }), "DIM007: f fixes dim B out of its bounds"],
];
test.each(wrong)("%s", (_, make, text) => expect(refusal(make)).toMatch(new RegExp(atThisFile.source + text.replace(/[()]/g, "\\$&"))));

describe("numbers that the dtype does not hold", () => {
  test.each<readonly [string, () => unknown, string]>([
    ["a fraction in integers", () => constant([1, 1.5], i32(2)), "DTYPE001: 1.5 is not a whole number"],
    ["NaN in integers", () => constant(NaN, i32()), "DTYPE001: NaN is not a whole number"],
    ["300 in bytes", () => constant([300], u8(1)), "DTYPE001: 300 is no value of u8"],
    ["300 added to bytes", () => traceProgram({ f: entry({ x: u8(3) }, ({ x }) => ({ y: x.add(300) })) }, "p"), "DTYPE001: 300 is no value of u8"],
    ["too few numbers", () => constant([1, 2], f32(3)), "SHAPE011: constant: 2 values are given for f32[3]"],
    ["text", () => constant(["1"] as never, f32(1)), "TRACE004: constant: these are no numbers"],
    ["a list of lists", () => constant([[1, 2]] as never, f32(1, 2)), "TRACE004: constant: these are no numbers"],
  ])("%s", (_, make, text) => expect(refusal(make)).toMatch(new RegExp(atThisFile.source + text.replace(/[[\]]/g, "\\$&"))));
  test("the same bits with the other sign are held", () => {
    expect(refusal(() => traceProgram({ f: entry({ x: i32(3), y: u32(3) }, ({ x, y }) => ({ x: x.and(0xffffffff), y: y.add(-1) })) }, "p"))).toBe("nothing was refused");
  });
});
