// The kit finds what is wrong: planted faults are found, shrunk to a few nodes, and told with what replays them; what is right
// passes; and what was hardly ever applied is no pass.
import { describe, expect, test } from "vitest";
import { isFloat, isInteger } from "../../compiler/base/dtypes.ts";
import { sameSize } from "../../compiler/base/sizes.ts";
import type { TensorType } from "../../compiler/graph/graph.ts";
import {
  type Graph, IdleRuleError, type MeaningOptions, parseGraph, preservesMeaning, PropertyError, rewriteWith, type Rule, type Transform,
} from "../../compiler/testing/index.ts";

const dtypeOf = (m: Parameters<NonNullable<Rule["when"]>>[0]) => (m.root.type as TensorType).dtype;
const sameShape = (a: TensorType, b: TensorType): boolean => a.shape.length === b.shape.length && a.shape.every((s, i) => sameSize(s, b.shape[i]!));

/** Each is wrong somewhere: in values, shapes of parts, NaN, the sign of a zero, the ends of integers. */
const wrongRules: readonly Rule[] = [
  { name: "sub-as-add", from: "sub(x, y)", to: "add(x, y)", exact: "field" },
  // Products do not distribute over one operand alone.
  { name: "mul-of-half-a-sum", from: "mul(x, add(y, z))", to: "add(mul(x, y), z)", exact: "field" },
  // A transpose of equal sizes is no identity.
  { name: "square-transpose", from: "t:transpose(x)", to: "x", exact: "field", when: m => JSON.stringify(m.type("t")) === JSON.stringify(m.type("x")) && !m.attrs("t", "transpose").perm.every((p, i) => p === i) },
  // NaN and infinities times 0 are NaN, and the sign of the zero is that of x.
  { name: "multiply-by-zero", from: "mul(x, 0)", to: "0", exact: "field" },
  { name: "multiply-by-zero-of-floats", from: "mul(x, 0)", to: "0", exact: "field", when: m => isFloat(dtypeOf(m)) },
  // Rounding makes no number of NaN.
  { name: "multiply-by-zero-rounding", from: "mul(x, 0)", to: "0", exact: "field", rounds: true },
  // It is the absolute value.
  { name: "root-of-square", from: "sqrt(mul(x, x))", to: "x", exact: "float64", rounds: true },
  { name: "root-of-square-exactly", from: "sqrt(mul(x, x))", to: "x", exact: "float64" },
  // -0 + 0 is 0.
  { name: "add-zero", from: "add(x, 0)", to: "x", exact: "field" },
  // NaN is neither less nor not less.
  { name: "not-less", from: "not(lt(x, y))", to: "ge(x, y)", exact: "float64" },
  // Products of integers wrap, and a quotient by zero is zero.
  { name: "quotient-of-product", from: "div(mul(x, y), y)", to: "x", exact: "field", when: m => isInteger(dtypeOf(m)) },
  // The outer start counts in the inner stride.
  { name: "slice-twice", from: "s:slice(u:slice(x))", to: "v:slice(x)", exact: "field", attrs: { v: m => {
    const [outer, inner] = [m.attrs("s", "slice"), m.attrs("u", "slice")];
    const starts = [...outer.start, ...inner.start].filter(n => typeof n === "number");
    if (starts.length < 2 * outer.start.length) return null;
    return { start: outer.start.map((_, i) => starts[i]! + starts[outer.start.length + i]!), size: outer.size, stride: outer.stride.map((n, i) => n * inner.stride[i]!) };
  } } },
  // As many as there are of each are summed.
  { name: "sum-of-repeated", from: "r:reduce(b:broadcast(x))", to: "x", exact: "field", when: m => m.attrs("r", "reduce").kind === "sum" && sameShape(m.type("x"), m.root.type as TensorType) },
  // Permutations do not commute; where the shape is the same nothing else tells.
  { name: "transpose-twice", from: "t:transpose(u:transpose(x))", to: "v:transpose(x)", exact: "field", attrs: { v: m => {
    const [outer, inner, { shape }] = [m.attrs("t", "transpose").perm, m.attrs("u", "transpose").perm, m.type("x")];
    const [right, swapped] = [outer.map(p => inner[p]!), inner.map(p => outer[p]!)];
    return right.join() !== swapped.join() && right.every((p, i) => sameSize(shape[p]!, shape[swapped[i]!]!)) ? { perm: swapped } : null;
  } } },
  // Wrong for one dtype of one rank alone: the graphs go where the rule is applied.
  { name: "rare-maximum", from: "max(x, y)", to: "y", exact: "field", when: m => dtypeOf(m) === "i8" && m.type("x").shape.length === 3 },
  // A cast to a narrower dtype and back loses what it does not hold.
  { name: "cast-back", from: "c:cast(d:cast(x))", to: "x", exact: "float64", when: m => m.type("x").dtype === dtypeOf(m) },
];
const wrongPass: Transform = {
  name: "scans-inclusive", summary: "takes every running total for an inclusive one",
  run: (graph): Graph => (graph.nodes.some(n => n.op === "scan" && n.attrs.exclusive)
    ? { ...graph, nodes: graph.nodes.map(n => (n.op === "scan" ? { ...n, attrs: { ...n.attrs, exclusive: false } } : n)) }
    : graph),
};

test.each([...wrongRules.map(r => rewriteWith(r.name, "wrong", [r])), wrongPass])("$name is found and shrunk", transform => {
  let error: unknown;
  try {
    preservesMeaning(transform, { graphs: 20_000, seed: 6 });
  } catch (e) {
    error = e;
  }
  if (!(error instanceof PropertyError)) throw new Error(`nothing was found: ${String(error)}`);
  expect(error.case.graph.nodes.length).toBeLessThanOrEqual(5);
  expect(error.message).toMatch(/changes the meaning/);
  const text = /^graph .*?^}/ms.exec(error.message)?.[0] ?? "";
  expect(parseGraph(text).nodes.length).toBe(error.case.graph.nodes.length);
  // What the message says replays it: the same graph at once.
  const { seed, path, case: found } = error;
  const around = "rules" in transform ? { around: transform.name } : {};
  expect(() => preservesMeaning(transform, { ...around, seed, path })).toThrow(error.message.split("\n")[0]);
  expect(error.message).toContain(`seed: ${seed}, path: "${path}"`);
  expect(found.graph.outputs.length + found.graph.updates.length).toBeGreaterThan(0);
});

/** True in floats as they are, though most of them are false in other fields, or bit for bit. */
const trueRules: readonly Rule[] = [
  { name: "log-of-exp", from: "log(exp(x))", to: "x", exact: "float64", rounds: true },
  { name: "root-of-square", from: "sqrt(mul(x, x))", to: "abs(x)", exact: "float64", rounds: true },
  { name: "product-of-exps", from: "mul(exp(x), exp(y))", to: "exp(add(x, y))", exact: "float64", rounds: true },
  { name: "multiply-by-zero", from: "mul(x, 0)", to: "0", exact: "field", when: m => isInteger(dtypeOf(m)) },
];

describe("what is right passes, and says how often it was applied", () => {
  test.each(trueRules)("$name", rule => {
    for (const seed of [1, 2, 3]) expect(preservesMeaning(rewriteWith(rule.name, "right", [rule]), { seed, around: rule.name }).rules.get(rule.name)).toBeGreaterThanOrEqual(50);
  });
});

describe("a rule is held to what it says of itself", () => {
  const refused = (rule: Rule): string => {
    try {
      preservesMeaning(rewriteWith(rule.name, "said to be", [rule]), { seed: 1, around: rule.name });
      return "nothing was found";
    } catch (e) {
      return (e as Error).message;
    }
  };
  const [logOfExp] = trueRules as [Rule, ...Rule[]];
  test("in the prime field, if it says so", () => expect(refused({ ...logOfExp, exact: "field" })).toMatch(/changes the meaning: in the prime field/));
  test("bit for bit, unless it says that it rounds", () => {
    expect(refused({ name: "strict", from: "log(exp(x))", to: "x", exact: "float64" })).toMatch(/changes the meaning: in float64, .*, which is no more than rounding: what may round says so by `rounds: true`/);
  });
});

test("a rule that is applied too rarely to be tested is named", () => {
  const idle: Rule = { name: "never", from: "max(x, y)", to: "max(y, x)", exact: "field", when: m => m.type("x").shape.length === 9 };
  const busy: Rule = { name: "often", from: "neg(neg(x))", to: "x", exact: "field" };
  expect(() => preservesMeaning(rewriteWith("both", "one of them is idle", [busy, idle]), { seed: 1, firings: 5 })).toThrow(IdleRuleError);
  expect(() => preservesMeaning(rewriteWith("both", "one of them is idle", [busy, idle]), { seed: 1, firings: 5 })).toThrow(/rule never was applied 0 times in 300 graphs drawn around its left side, where 5 were asked for/);
});

test("a rule that the transform does not have is refused with the nearest names", () => {
  const mine = rewriteWith("mine", "", [{ name: "negate-twice", from: "neg(neg(x))", to: "x", exact: "field" }]);
  expect(() => preservesMeaning(mine, { around: "negate-twise" })).toThrow(/RULE003: mine has no rule negate-twise\n.*\n {2}expected: negate-twice/);
});

test("the replay draws from the same graphs", () => {
  const mine = rewriteWith("mine", "wrong", [{ name: "add-neg", from: "add(x, neg(y))", to: "sub(y, x)", exact: "field" }]);
  const message = (options: MeaningOptions): string => {
    try {
      preservesMeaning(mine, options);
      return "nothing was found";
    } catch (e) {
      return (e as Error).message;
    }
  };
  const found = message({ ops: ["add", "neg"], most: 6, firings: 0 });
  const [, seed, path] = /preservesMeaning\(mine, \{ ops: \["add","neg"\], most: 6, seed: (-?\d+), path: "([\d:]+)" \}\)$/.exec(found) ?? [];
  expect(message({ ops: ["add", "neg"], most: 6, seed: Number(seed), path: path! }).split("\n")[0]).toBe(found.split("\n")[0]);

  const around = message({ dtypes: ["f32"] });
  const [, at, way] = /preservesMeaning\(mine, \{ dtypes: \["f32"\], around: "add-neg", seed: (-?\d+), path: "([\d:]+)" \}\)$/.exec(around) ?? [];
  expect(message({ dtypes: ["f32"], around: "add-neg", seed: Number(at), path: way! }).split("\n")[0]).toBe(around.split("\n")[0]);
});

test("a transform that breaks a graph's invariants is told so", () => {
  const breaking: Transform = { name: "drops-a-node", summary: "", run: g => (g.nodes.length > 1 ? { ...g, nodes: g.nodes.slice(1) } : g) };
  expect(() => preservesMeaning(breaking, { seed: 7 })).toThrow(/drops-a-node makes a graph that is not valid/);
});
