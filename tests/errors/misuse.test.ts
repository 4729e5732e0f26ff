// Words that are given what they do not take: one clear error at the user's line, where JavaScript would say that something
// undefined has no property, or say nothing and compute something else.
import { describe, expect, test } from "vitest";
import {
  constant, dim, emit, entry, evaluate, f32, gradientsOf, i32, int, iterate, linear, list, log, loop, procedure, random, read, save, state, type Tensor, traceProgram, variable, when,
  withGradient,
} from "sluice";
import { refusal } from "../support/refusal.ts";

const B = dim("B", { max: 8 });
const w = state(f32(3));
const over = (body: (x: Tensor) => unknown) => traceProgram({ w, f: entry({ x: f32(B, 3) }, ({ x }) => ({ y: body(x as Tensor) as Tensor })) }, "misuse");
const other = random("same");

test.each<readonly [string, () => unknown, string]>([
  ["a number where a table is indexed", () => over(x => x.gather(1 as never)), "TRACE004: this is not a tensor\n  found:    number"],
  ["a number into a product", () => over(x => x.matmul(3 as never)), "TRACE004: this is not a tensor\n  found:    number"],
  ["a module where a tensor is meant", () => over(x => x.add(linear(3, 3) as never)), "TRACE004: this is not a tensor\n  found:    function"],
  ["a number that a loop carries", () => over(x => iterate(2, { x, k: 1 as never }, now => now).x), "TRACE004: this is not a tensor\n  found:    number"],
  ["a loop's body without a result", () => over(x => iterate(2, { x }, () => undefined as never).x), "LOOP001: the loop's body does not give the next values\n  found:    undefined\n  expected: x\n  hint:     an arrow function returns an object in parentheses"],
  ["an entry without a function", () => entry({ x: f32(3) }, undefined as never), "TRACE010: an entry has no function"],
  ["an input without a dtype", () => entry({ x: 3 as never }, () => undefined), "TRACE010: input x of an entry is not described\n  found:    3\n  expected: a dtype with sizes: f32(B, 784), i32()"],
  ["a dtype that is not there", () => over(x => x.cast("float32" as never)), "DTYPE006: cast: there is no dtype float32\n  found:    float32\n  expected: "],
  ["a way to put rows that is not there", () => over(x => x.scatter("sum" as never, constant([0], i32(1)), constant([1, 1, 1], f32(1, 3)))), "TRACE010: scatter: there is no such way to put rows\n  found:    sum"],
  ["an axis that is selected twice", () => over(x => x.select({ 1: 0, [-1]: 1 })), "AXIS002: select: axis 1 is named twice"],
  ["a bound of random integers", () => traceProgram({ other, f: entry({}, () => ({ y: other.integers(i32(3), 0) })) }, "misuse"), "NN002: integers: the bound is no whole number of 1 or more"],
  ["two random streams of one name", () => traceProgram({ other, more: random("same"), f: entry({}, () => ({ y: other.normal(f32(3)) })) }, "misuse"), "PROGRAM005: two random streams are called same and would draw the same numbers\n  found:    other and more\n  expected: one name for each stream\n  hint:     random(\"more\")"],
])("%s", (_, f, text) => {
  const said = refusal(f);
  expect(said).toMatch(/^tests\/errors\/misuse\.test\.ts:\d+:\d+: error /);
  expect(said.replace(/^\S+ error /, "").slice(0, text.length)).toBe(text);
});

describe("in a procedure", () => {
  const step = entry({ x: f32(3), n: i32() }, ({ x, n }) => ({ loss: x.mul(w).mean(), y: x, k: n.add(1) }));
  const run = (body: () => unknown) => traceProgram({ w, step, p: procedure({}, body as () => void) }, "misuse");
  const vector = () => read("b.npy", { x: f32(3) }).x;
  test.each<readonly [string, () => unknown, string]>([
    ["a condition that is a counter", () => run(() => when(variable(3) as never, () => undefined)), "PROC010: when: the condition is no bool\n  found:    a scalar of i32"],
    ["a condition that is a number", () => run(() => when(3 as never, () => undefined)), "PROC010: when: the condition is no bool\n  found:    number"],
    ["a loop over a condition that is computed once", () => run(() => loop(variable(1).lt(3) as never, () => undefined)), "PROC010: loop: the condition is no function"],
    ["a tensor in a log", () => run(() => log({ y: step({ x: vector(), n: 1 }).y as never })), "PROC009: log: y is a tensor"],
    ["a path that is none", () => run(() => save(undefined as never, w)), "PROC011: this is no text or path\n  found:    undefined"],
    ["an output that is none", () => run(() => emit("a", undefined as never)), "PROC011: this is no text or path\n  found:    undefined"],
    ["a tensor of another dtype for an input", () => run(() => step({ x: read("b.npy", { x: i32(3) }).x as never, n: 1 })), "PROC009: input x of step is of another kind\n  found:    i32, one axis\n  expected: f32, one axis"],
    ["a tensor of other axes for an input", () => run(() => step({ x: read("b.npy", { x: f32(1, 3) }).x as never, n: 1 })), "PROC009: input x of step is of another kind\n  found:    f32, 2 axes\n  expected: f32, one axis"],
    ["a fraction for an input of integers", () => run(() => step({ x: vector(), n: step({ x: vector(), n: 1 }).loss as never })), "PROC009: input n of step is of another kind\n  found:    f32, a scalar\n  expected: i32, a scalar\n  hint:     round it as you mean it"],
    ["a list of no dtype", () => run(() => list("int" as never)), "DTYPE006: list: there is no dtype int"],
    ["a fraction into a list of integers", () => run(() => list("i32").push(1.5)), "DTYPE001: 1.5 is not a whole number"],
    ["a function that is async", () => run(async () => log({ a: 1 })), "PROC012: procedure p is async"],
    ["an argument that is a number", () => procedure({ a: 3 as never }, () => undefined), "TRACE010: argument a of a procedure is not described"],
    ["an argument whose name is no flag", () => procedure({ "a b": int(3) }, () => undefined), "TRACE010: an argument cannot be called \"a b\""],
    ["no function at all", () => procedure({}, undefined as never), "TRACE010: a procedure has no function"],
  ])("%s", (_, f, text) => {
    const said = refusal(f);
    expect(said).toMatch(/^tests\/errors\/misuse\.test\.ts:\d+:\d+: error /);
    expect(said.replace(/^\S+ error /, "").slice(0, text.length)).toBe(text);
  });
  test("what fits is taken: bools, counters for floats, scalars that an entry gave", () => {
    expect(refusal(() => run(() => {
      const { loss, k } = step({ x: vector(), n: variable(1) });
      when(loss.lt(0.1).and(k.gt(3)), () => log({ loss, k }));
      when(true as never, () => void step({ x: vector(), n: k }));
    }))).toBe("nothing was refused");
  });
});

describe("a gradient by hand", () => {
  const slope = (f: (x: Tensor) => Tensor) => [...evaluate(() => {
    const x = constant([1, 2, 3], f32(3));
    return gradientsOf(f(x).sum(), [x])[0]!;
  }).data];
  test("of integers counts for nothing, whatever stands beside them", () => {
    const picked = (x: Tensor) => withGradient([constant([2, 0], i32(2)), x, x.mul(2)], (ids, a, b) => a.add(b).gather(ids), (dy, ids, a, b) => [ids, a.mul(0).add(dy.sum()), b.mul(0)]);
    expect(slope(picked)).toEqual([2, 2, 2]);
  });
  test("beside integers that are used from outside", () => {
    const ids = (x: Tensor) => x.cast("i32").sub(1);
    expect(slope(x => {
      const [at, still] = [ids(x), x.mul(5).stopGradient()];
      return withGradient([x], a => a.gather(at).mul(still), dy => [dy.mul(0).add(7)]);
    })).toEqual([7, 7, 7]);
  });
  test.each<readonly [string, () => unknown, string]>([
    ["that is missing", () => slope(x => withGradient([x], a => a.mul(2), (() => []) as never)), "GRAD007: the gradient of with_gradient has not one value for each input\n  found:    0 values\n  expected: 1 values, in the inputs' order"],
    ["of another shape", () => slope(x => withGradient([x], a => a.mul(2), dy => [dy.sum()])), "GRAD007: the gradient of with_gradient does not fit input 1\n  found:    f32[]\n  expected: f32[3]"],
    ["of another dtype", () => slope(x => withGradient([x], a => a.mul(2), dy => [dy.cast("f16")])), "GRAD007: the gradient of with_gradient does not fit input 1\n  found:    f16[3]\n  expected: f32[3]"],
    ["where a weight from outside would get none", () => slope(x => {
      const weight = x.mul(2);
      return withGradient([x], a => a.mul(weight), dy => [dy]);
    }), "GRAD002: a function with a gradient of its own uses a tensor from outside, which would get none\n  found:    a tensor by mul at"],
  ])("%s", (_, f, text) => expect(refusal(f).replace(/^\S+ error /, "").slice(0, text.length)).toBe(text));
});
