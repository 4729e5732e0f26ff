// What each word of the DSL refuses, said when the program is traced: the whole text. Every refusal names a line of this file.
import { expect, test } from "vitest";
import {
  adam, arange, assert, attention, constant, conv2d, crossEntropy, dim, dropout, type Entry, einsum, embedding, entry, f32, full, gradients, groupNorm, i32, instanceNorm, int, iterate, layerNorm,
  linear, procedure, random, real, rmsNorm, rope, type Spec, sgd, span, state, type Tensor, traceProgram, u8,
} from "sluice";

const B = dim("B", { max: 8 });
const L = dim("L", { max: 4 });
const T = dim("T", { max: 8 });
type Exports = { readonly [name: string]: unknown };
/** Tensors without shapes in their types: tsc would refuse most of these first. */
const over = <const I extends { readonly [name: string]: Spec }>(inputs: I, body: (x: { readonly [k in keyof I]: Tensor }) => unknown, more: Exports = {}): Exports => ({ ...more, f: entry(inputs, body as never) });
const drops = random("drops");
const [wide, three] = [state(f32(3, 4)), state(f32(3))];
const image = conv2d(3, 8, 3);
const narrow = conv2d(1, 1, 5, { padding: 0 });
const [fc, table, norm, rms, inst, groups] = [linear(3, 8), embedding(4, 3), layerNorm(7), rmsNorm(7), instanceNorm(8), groupNorm(2, 8)];

const cases: readonly (readonly [what: string, program: () => Exports, text: string])[] = [
  ["an image of other channels", () => over({ x: f32(1, 8, 8, 4) }, ({ x }) => ({ y: image(x) }), { image }), `SHAPE008: conv2d: the input has 4 channels where the layer takes 3
  found:    [1, 8, 8, 4]
  expected: [batch, height, width, 3]`],
  ["an image without a batch", () => over({ x: f32(8, 8, 3) }, ({ x }) => ({ y: image(x) }), { image }), `SHAPE008: conv2d: the input has 3 axes instead of 4
  found:    [8, 8, 3]
  expected: [batch, height, width, 3]
  hint:     one image is a batch of one: x.unsqueeze(0)`],
  ["an image of bytes", () => over({ x: u8(1, 8, 8, 3) }, ({ x }) => ({ y: image(x) }), { image }), `DTYPE004: conv2d: the input is not of a float dtype
  found:    u8[1, 8, 8, 3]
  expected: f32, f16, bf16 or f64
  hint:     convert it: x.cast("f32")`],
  ["an image that may be smaller than the window", () => over({ x: f32(1, B, 9, 1) }, ({ x }) => ({ y: narrow(x) }), { narrow }), `SHAPE010: conv2d: height of [1, B, 9, 1], with its padding, is too small where B = 1
  found:    B
  expected: 5 or more
  hint:     the dims' bounds allow it: give a min or a max that does not`],
  ["groups that do not divide the channels", () => ({ c: conv2d(3, 8, 3, { groups: 2 }) }), `SHAPE009: conv2d: 2 groups do not divide the channels
  found:    3 to 8 channels
  expected: multiples of 2`],
  ["integers into a layer", () => over({ x: i32(B, 3) }, ({ x }) => ({ y: fc(x) }), { fc }), `DTYPE004: linear: the input is not of a float dtype
  found:    i32[B, 3]
  expected: f32, f16, bf16 or f64
  hint:     convert it: x.cast("f32")`],
  ["a layer whose size changes from call to call", () => ({ c: linear(B, 8) }), `DIM004: linear needs a constant size
  found:    B
  expected: a number, or a dim of one value`],
  ["a norm over another width", () => over({ x: f32(B, 8) }, ({ x }) => ({ y: norm(x) }), { norm }), `SHAPE008: layerNorm: the input ends in 8 where the layer takes 7
  found:    [B, 8]
  expected: […, 7]`],
  ["a norm of integers", () => over({ x: i32(B, 7) }, ({ x }) => ({ y: rms(x) }), { rms }), `DTYPE004: rmsNorm: the input is not of a float dtype
  found:    i32[B, 7]
  expected: f32, f16, bf16 or f64
  hint:     convert it: x.cast("f32")`],
  ["an instance norm of what is no image", () => over({ x: f32(B, 8) }, ({ x }) => ({ y: inst(x) }), { inst }), `SHAPE008: instanceNorm: the input has 2 axes instead of 4
  found:    [B, 8]
  expected: [batch, height, width, 8]`],
  ["a group norm of one image", () => over({ x: f32(4, 4, 8) }, ({ x }) => ({ y: groups(x) }), { groups }), `SHAPE008: groupNorm: the input has 3 axes instead of 4
  found:    [4, 4, 8]
  expected: [batch, height, width, 8]
  hint:     one image is a batch of one: x.unsqueeze(0)`],
  ["embedding ids that are no integers", () => over({ i: f32(2) }, ({ i }) => ({ y: table(i) }), { table }), `DTYPE003: embedding: the ids are not integers
  found:    f32
  expected: i32`],
  ["queries and keys of other heads", () => over({ q: f32(4, 2, 8), k: f32(4, 3, 8) }, ({ q, k }) => ({ y: attention(q, k, k) })), `SHAPE008: attention: queries, keys and values do not fit
  found:    q [4, 2, 8], k [4, 3, 8], v [4, 3, 8]
  expected: q [S, heads, width], k and v [T, heads, width], or all three with one batch before
  hint:     rearrange puts positions before heads: "b a s e -> b s a e"`],
  ["rotary positions of an odd width", () => over({ x: f32(3, 2, 5), p: i32(3) }, ({ x, p }) => ({ y: rope(x, p) })), `SHAPE009: rope: the last axis does not divide into pairs
  found:    [3, 2, 5]
  expected: an even size`],
  ["a probability of more than 1", () => over({ x: f32(3) }, ({ x }) => ({ y: dropout(x, 1.5, drops) }), { drops }), `NN001: dropout: the probability is out of range
  found:    1.5
  expected: 0 or more, and less than 1`],
  ["targets that are no ids", () => over({ x: f32(3, 4), t: f32(3) }, ({ x, t }) => ({ y: crossEntropy(x, t) })), `DTYPE003: crossEntropy: the ids are not integers
  found:    f32
  expected: i32`],
  ["fewer targets than rows", () => over({ x: f32(B, T, 4), t: i32(B) }, ({ x, t }) => ({ y: crossEntropy(x, t) })), `SHAPE008: crossEntropy: there is not one id for each row of the logits
  found:    logits [B, T, 4], ids [B]
  expected: ids [B, T]`],
  ["a condition that is a number", () => over({ x: f32(4) }, ({ x }) => ({ y: x.where(1, 2) })), `DTYPE005: where: the condition is not bool
  found:    f32[4]
  expected: bool
  hint:     compare it first: x.gt(0).where(yes, no)`],
  ["a slice beyond a constant axis", () => over({ x: f32(4) }, ({ x }) => ({ y: x.slice({ 0: span(2, 3) }) })), `SHAPE010: slice: the part lies outside axis 0 of [4]
  found:    2 to 5
  expected: within 0 to 4`],
  ["a slice that only a large axis holds", () => over({ x: f32(B) }, ({ x }) => ({ y: x.slice({ B: span(2, 3) }) })), `SHAPE010: slice: the part lies outside axis B of [B] where B = 1
  found:    2 to 5
  expected: within 0 to B
  hint:     the dims' bounds allow it: give a min or a max that does not`],
  ["a slice of one dim by another", () => over({ x: f32(T) }, ({ x }) => ({ y: x.slice({ T: span(0, L) }) })), `SHAPE010: slice: the part lies outside axis T of [T] where L = 4, T = 1
  found:    0 to L
  expected: within 0 to T
  hint:     the dims' bounds allow it: give a min or a max that does not`],
  ["an index that is not there", () => over({ x: f32(B, 3) }, ({ x }) => ({ y: x.select({ [-1]: 3 }) })), `SHAPE010: select: the part lies outside axis 1 of [B, 3]
  found:    3 to 4
  expected: within 0 to 3`],
  ["more of the largest than there may be", () => over({ x: f32(B) }, ({ x }) => ({ y: x.topK(5).values })), `SHAPE010: topK: axis B of [B] is too small where B = 1
  found:    B
  expected: 5 or more
  hint:     the dims' bounds allow it: give a min or a max that does not`],
  ["rows that a state may not hold", () => over({ x: f32(B, 4), at: i32() }, ({ x, at }) => wide.put({ 0: at }, x), { wide }), `SHAPE010: put: the part lies outside axis 0 of [3, 4] where B = 8
  found:    0 to B
  expected: within 0 to 3
  hint:     the dims' bounds allow it: give a min or a max that does not`],
  ["a value that does not fit its state", () => over({}, () => three.set(constant([1, 2], f32(2))), { three }), `STATE004: the value does not fit state three
  found:    f32[2]
  expected: f32[3]`],
  ["a letter twice on the right", () => over({ x: f32(4, 3) }, ({ x }) => ({ y: einsum("a b -> a a" as string, x) })), `PATTERN001: einsum: a stands twice on the right (column 10)
  found:    a b -> a a
                     ^
  expected: each letter once`],
  ["a 1 for an axis that is not", () => over({ x: f32(4, 3) }, ({ x }) => ({ y: einsum("a 1 -> a" as string, x) })), `PATTERN001: einsum: axis 1 of operand 1 is 3 (column 3)
  found:    a 1 -> a
              ^
  expected: a letter for it: 1 stands for an axis of size 1`],
  ["two arrows", () => over({ x: f32(4, 3) }, ({ x }) => ({ y: einsum("a b -> a -> b" as string, x) })), `PATTERN001: einsum: unexpected "->" (column 10)
  found:    a b -> a -> b
                     ^
  expected: letters, and nothing after them: inputs -> output`],
  ["a parenthesis that is not closed", () => over({ x: f32(4, 3) }, ({ x }) => ({ y: x.rearrange("(a b c -> a b c") })), `PATTERN001: rearrange: unexpected "->" (column 8)
  found:    (a b c -> a b c
                   ^
  expected: a closing parenthesis`],
  ["a loss of several numbers", () => over({}, () => ({ g: gradients(three.square() as Tensor, { three }).of(three) }), { three }), `GRAD001: only a float scalar has gradients
  found:    f32[3]
  expected: f32[]
  hint:     reduce the loss with mean() or sum() first`],
  ["an optimizer of nothing", () => ({ o: adam({ a: 3 }, { rate: 1 }) }), `GRAD004: the group has no state to train
  expected: a module, or an object that holds states of a float dtype`],
  ["rates of states that are not there", () => ({ o: sgd({ fc }, { rate: 1, rates: { "fc.wieght": 2 } }) }), `GROUP001: rates: no state is called fc.wieght
  found:    fc.wieght
  expected: fc.weight, fc.bias
  hint:     * stands for any characters but dots, ** for any`],
  ["a loop that forgets what it carries", () => over({ x: f32(4) }, ({ x }) => iterate(3, { x }, () => ({}) as never)), `LOOP001: the loop's body does not give the next x
  expected: x`],
  ["an assertion in a loop's body", () => over({ x: f32(4) }, ({ x }) => iterate(3, { x }, now => {
    assert(now.x.sum().gt(0), "positive");
    return now;
  })), `TRACE005: print and assert stand in entries, not in bodies of loops or composites`],
  ["an output that is no tensor", () => over({ x: f32(4) }, () => ({ y: 3 })), `TRACE004: output y of entry f is not a tensor
  found:    3
  expected: a tensor
  hint:     a number that is an output is a constant: constant(3)`],
  ["an entry called in an entry", () => {
    const g = entry({}, () => ({ y: arange(3) }));
    return over({}, () => ({ y: g().y }), { g });
  }, `TRACE006: an entry is called inside an entry
  hint:     share a function or a module between them; procedures call entries`],
  ["a call without an input", () => {
    const g = entry({ x: f32() }, ({ x }) => ({ y: x }));
    return { g, p: procedure({}, () => (g as Entry)({})) };
  }, `PROC006: input x of g is missing
  expected: x`],
  ["two dims of one name", () => over({ x: f32(B), y: f32(dim("B", { max: 99 })) }, ({ x, y }) => ({ z: x.sum().add(y.sum()) })), `DIM005: two dims of f are called B
  found:    1 … 8 and 1 … 99
  expected: one dim for each name
  hint:     share one: const B = dim("B", { … }), or give the other another name`],
  ["an argument whose first value is no integer", () => ({ p: procedure({ steps: int(2.5) }, () => undefined) }), `PROC008: the argument's first value is no integer of i32
  found:    2.5
  expected: an integer, 0 … 2147483647`],
  ["an argument whose first value lies below the least, which is 0 unless it is given", () => ({ p: procedure({ shift: int(-1) }, () => undefined) }), `PROC008: the argument's first value is out of its bounds
  found:    -1
  expected: an integer, 0 … 2147483647
  hint:     bounds are given after the help: int(-1, "", { min: -1 })`],
  ["bounds of an argument that nothing lies in", () => ({ p: procedure({ steps: int(3, "steps", { min: 9, max: 5 }) }, () => undefined) }), `PROC008: no number lies within the argument's bounds
  found:    min 9, max 5
  expected: min ≤ max`],
  ["a bound that i32 does not hold", () => ({ p: procedure({ steps: int(3, "steps", { max: 2 ** 31 }) }, () => undefined) }), `PROC008: a bound of the argument is no integer of i32
  found:    2147483648
  expected: -2147483648 … 2147483647`],
  ["a rate that is no number", () => ({ p: procedure({ rate: real(NaN) }, () => undefined) }), `PROC008: the argument's first value is no number
  found:    NaN
  expected: a number, -3.4028234663852886e+38 … 3.4028234663852886e+38`],
  ["a state called seed", () => ({ seed: state(f32(3)), f: entry({}, () => ({ y: full(f32(3), 1) })) }), `PROGRAM004: the name seed is taken
  found:    export seed
  expected: another name
  hint:     seed is the state that every random stream starts from: --seed sets it`],
];

test.each(cases)("%s", (_, program, text) => {
  const refused = (() => {
    try {
      traceProgram(program(), "words");
      return "nothing was refused";
    } catch (error) {
      return (error as Error).message;
    }
  })();
  expect(refused).toMatch(/^tests\/errors\/words\.test\.ts:\d+:\d+: error /);
  expect(refused.replace(/^\S+ error /, "")).toBe(text);
});
