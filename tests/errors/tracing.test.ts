// What is wrong in a user's program, said when it is traced: the whole text, at the user's line. The programs stand beside
// this file; their types are loose where tsc would refuse them first.
import { expect, test } from "vitest";
import { importProgram } from "../../compiler/cli/program-module.ts";

const cases: readonly (readonly [what: string, program: string, text: string])[] = [
  ["a shape mismatch three calls deep in a module names the line, both shapes and the sizes that disagree", "three-calls-deep", `:12:12: error SHAPE002: add: shapes [B, 784] and [B, 10] do not broadcast
  found:    784 against 10 at the last axis
  expected: equal sizes, or 1, counting axes from the right
  hint:     a size of 1 repeats: unsqueeze makes one; rearrange and reshape move what is there`],
  ["a reduced axis that is missing has its own hint", "broadcast", `:5:82: error SHAPE002: sub: shapes [B, S, H=768] and [B, S] do not broadcast
  found:    S against B at the last axis but one
  expected: equal sizes, or 1, counting axes from the right
  hint:     if one of them was reduced from the other, keep the axis: sum(axis, { keepdims: true })`],
  ["a matrix that is stored the other way round", "matmul", `:6:66: error SHAPE003: matmul: shapes [B, H=768] and [10, H=768] do not fit
  found:    inner sizes H=768 on the left and 10 on the right
  expected: […, m, k] with […, k, n]
  hint:     the right side looks transposed: rearrange it first`],
  ["a layer's input of another width", "layer", `:6:65: error SHAPE008: linear: the input ends in 10 where the layer takes H=768
  found:    [B, 10]
  expected: […, H=768]
  hint:     the layer's weight is [H=768, 10]`],
  ["an axis that is not there", "axis", `:5:76: error AXIS001: mean: there is no axis W
  found:    [B, H=768]
  expected: one of B, H`],
  ["an einsum letter that no operand has, with its column", "einsum-letter", `:6:86: error PATTERN001: einsum: q is on the right only (column 19)
  found:    b s h, h k -> b s q
                              ^
  expected: letters of the operands`],
  ["an einsum letter of two sizes", "einsum-size", `:6:88: error PATTERN001: einsum: h is 768 in operand 1 and 512 in operand 2 (column 8)
  found:    b s h, h k -> b s k
                   ^
  expected: one size for each letter`],
  ["a character that no pattern has", "einsum-typo", `:6:86: error PATTERN001: einsum: unexpected character ";" (column 6)
  found:    b s h; h k -> b s k
                 ^
  expected: letters, 1, parentheses, commas and ->`],
  ["a pattern without an arrow", "einsum-arrow", `:6:86: error PATTERN001: einsum: the pattern ends too early (column 11)
  found:    b s h, h k
                      ^
  expected: an arrow: inputs -> output`],
  ["a group of sizes that do not make its axis", "rearrange", `:6:82: error PATTERN001: rearrange: axis 2 of [B, S, 768] is 768, which is not a multiple of 7 (column 6)
  found:    b s (a e) -> b a s e
                 ^
  expected: sizes whose product is 768`],
  ["two dtypes in one sum", "dtypes", `:5:88: error DTYPE002: add: dtypes f32 and f16 are mixed
  found:    f32[B] and f16[B]
  expected: one dtype
  hint:     convert one of them: x.cast("f32")`],
  ["two writes to one state, and where the first is", "two-writes", `:7:9: error STATE001: state total is written twice in entry add
  found:    set first at tests/errors/programs/two-writes.ts:6:9
  expected: one set of each state in an entry
  hint:     compute the final value first, then set it once`],
  ["a state that has no name", "unexported-state", `:5:61: error STATE003: a state that the program does not export is used
  hint:     export it, or the module that holds it: its export is its name`],
  ["a state whose size changes from call to call", "growing-state", `:5:22: error STATE006: a state's size depends on T, which changes from call to call
  expected: constant sizes, or dims bound at load
  hint:     dim("T", { max: …, bind: "load" }), or a capacity and a length`],
];

test.each(cases)("%s", async (_, program, text) => {
  const file = `tests/errors/programs/${program}.ts`;
  const refused = await importProgram(file).then(() => "nothing was refused", (error: Error) => error.message);
  expect(refused).toBe(file + text);
});
