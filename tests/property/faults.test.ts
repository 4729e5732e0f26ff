// The kit finds what is wrong: planted faults are found, shrunk to a few nodes, and told with what replays them.
import { expect, test } from "vitest";
import { type Graph, type MeaningOptions, parseGraph, preservesMeaning, PropertyError, rewriteWith, type Rule, type Transform } from "../../compiler/testing/index.ts";

const wrongRules: readonly Rule[] = [
  { name: "sub-as-add", from: "sub(x, y)", to: "add(x, y)", exact: "field" },
  // Products do not distribute over one operand alone.
  { name: "mul-of-half-a-sum", from: "mul(x, add(y, z))", to: "add(mul(x, y), z)", exact: "field" },
  // A transpose of equal sizes is no identity.
  { name: "square-transpose", from: "t:transpose(x)", to: "x", exact: "field", when: m => JSON.stringify(m.type("t")) === JSON.stringify(m.type("x")) && !m.attrs("t", "transpose").perm.every((p, i) => p === i) },
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
  expect(() => preservesMeaning(transform, { seed, path })).toThrow(error.message.split("\n")[0]);
  expect(error.message).toContain(`seed: ${seed}, path: "${path}"`);
  expect(found.graph.outputs.length + found.graph.updates.length).toBeGreaterThan(0);
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
  const found = message({ ops: ["add", "neg"], most: 6 });
  const [, seed, path] = /preservesMeaning\(mine, \{ ops: \["add","neg"\], most: 6, seed: (-?\d+), path: "([\d:]+)" \}\)$/.exec(found) ?? [];
  expect(message({ ops: ["add", "neg"], most: 6, seed: Number(seed), path: path! }).split("\n")[0]).toBe(found.split("\n")[0]);
});

test("a transform that breaks a graph's invariants is told so", () => {
  const breaking: Transform = { name: "drops-a-node", summary: "", run: g => (g.nodes.length > 1 ? { ...g, nodes: g.nodes.slice(1) } : g) };
  expect(() => preservesMeaning(breaking, { seed: 7 })).toThrow(/drops-a-node makes a graph that is not valid/);
});
