// Each invariant of a graph is named when it is broken.
import { describe, expect, it } from "vitest";
import { dimSize } from "../../compiler/base/sizes.ts";
import { importProgram } from "../../compiler/cli/program-module.ts";
import { assert, dim, entry, f32, iterate } from "../../compiler/dsl/index.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { type Graph, type Node, tensorType } from "../../compiler/graph/graph.ts";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { GraphInvariantError, verifyGraph } from "../../compiler/graph/verify.ts";

const good = parseGraph(`
  graph good {
    dim N: call 1 .. 8
    state w: f32[4]
    %0 = input x : f32[N, 4]
    %1 = state w : f32[4]
    %2 = reduce sum %0 axes=[0] : f32[4]
    %3 = print sums %2
    %4 = sort %2 axis=0 descending=false
    %5 = composite double %2 : f32[4]
      body double {
        dim N: call 1 .. 8
        %0 = input x0 : f32[4]
        %1 = add %0, %0
        output y0 = %1
      }
    output y = %5
    update w = %2
    effects %3
  }`);

const withNode = (id: number, change: object): Graph => ({ ...good, nodes: good.nodes.map((n, i) => (i === id ? { ...n, ...change } as Node : n)) });
const body = (change: object): Graph => {
  const n = good.nodes[5] as Node & { op: "composite" };
  return withNode(5, { attrs: { ...n.attrs, body: { ...n.attrs.body, ...change } } });
};
const vector = tensorType("f32", [4]);

describe("the graph verifier", () => {
  it("accepts what tracing makes", async () => {
    verifyGraph(good);
    const program = await importProgram("dsl-examples/noiser");
    for (const g of [...program.entries, ...program.states.flatMap(s => (s.init ? [s.init] : []))]) verifyGraph(g);
  });
  it("accepts bodies that use a dim first, and tracing refuses effects in them", () => {
    const N = dim("N", { max: 8 });
    const M = dim("M", { max: 8 });
    const looping = entry({ x: f32(N) }, ({ x }) => iterate(3, { x }, ({ x: now }) => ({ x: now.expand(M).mean("M") })));
    for (const g of traceProgram({ looping }, "looping").entries) {
      expect(g.dims.map(d => d.name)).toEqual(["N", "M"]);
      verifyGraph(g);
    }
    const checking = entry({ x: f32(N) }, ({ x }) => iterate(3, { x }, ({ x: now }, i) => {
      assert(i.lt(9), "few");
      return { x: now };
    }));
    expect(() => traceProgram({ checking }, "checking")).toThrow("error TRACE005: print and assert stand in entries");
  });
  it.each<[number, string, Graph, string]>([
    [1, "an input that comes later", withNode(2, { inputs: [3] }), "%2"],
    [1, "an input that is the node itself", withNode(2, { inputs: [2] }), "%2"],
    [1, "an input that is no node", withNode(2, { inputs: [-1] }), "%-1"],
    [2, "an op that is in no table", withNode(2, { op: "total" }), "no op \"total\""],
    [2, "a missing attribute", withNode(2, { attrs: { kind: "sum" } }), "reduce has no axes"],
    [2, "an attribute of another op", withNode(2, { attrs: { kind: "sum", axes: [0], axis: 0 } }), "no attribute axis"],
    [2, "a word that is no kind", withNode(2, { attrs: { kind: "mean", axes: [0] } }), "one of sum"],
    [2, "an axis that is no whole number", withNode(2, { attrs: { kind: "sum", axes: [0.5] } }), "axes of reduce"],
    [3, "too many inputs", withNode(2, { inputs: [0, 0] }), "2 inputs are given"],
    [3, "an axis out of range", withNode(2, { attrs: { kind: "sum", axes: [2] } }), "axis 2 is out of range"],
    [3, "another type than the op's rule gives", withNode(2, { type: tensorType("f32", [5]) }), "found f32[5], expected f32[4]"],
    [3, "another axis name than the op's rule gives", withNode(2, { type: tensorType("f32", [4], ["C"]) }), "found f32[C=4], expected f32[4]"],
    [3, "a tuple as an operand", withNode(5, { inputs: [4] }), "is a tuple"],
    [4, "an undeclared dim", { ...good, dims: [] }, "dim N"],
    [4, "a size that is no whole number", withNode(0, { type: tensorType("f32", [0.5, 4]), attrs: { name: "x", type: tensorType("f32", [0.5, 4]) } }), "size 0.5"],
    [4, "a negative size", withNode(0, { type: tensorType("f32", [-1, 4]), attrs: { name: "x", type: tensorType("f32", [-1, 4]) } }), "negative size -1"],
    [4, "fewer axis names than axes", withNode(0, { type: { ...vector, axes: [] }, attrs: { name: "x", type: { ...vector, axes: [] } } }), "1 sizes and 0 axis names"],
    [5, "two dims of one name", { ...good, dims: [...good.dims, ...good.dims] }, "two dims are named N"],
    [5, "a dim without a size in its bounds", { ...good, dims: [{ name: "N", binding: "call", min: 3, max: 4, multipleOf: 5 }] }, "dim N"],
    [5, "two outputs of one name", { ...good, outputs: [...good.outputs, ...good.outputs] }, "two outputs"],
    [5, "two inputs of one name", { ...good, nodes: [...good.nodes, good.nodes[0]!] }, "two inputs"],
    [5, "a state that is updated twice", { ...good, updates: [...good.updates, ...good.updates] }, "two updates"],
    [6, "a state that is not declared", { ...good, states: [] }, "state w is not declared"],
    [6, "a state of another type", { ...good, states: [{ name: "w", type: tensorType("f32", [5]) }] }, "another type"],
    [6, "an update of another type", { ...good, updates: [{ name: "w", id: 0 }] }, "found f32[_=N, 4], expected f32[4]".replace("_=", "")],
    [7, "an effect that is not listed", { ...good, effects: [] }, "print is not among the effects"],
    [7, "an effect that is listed twice", { ...good, effects: [3, 3] }, "named twice"],
    [7, "an effect that is none", { ...good, effects: [3, 2] }, "%2 is reduce"],
    [8, "an output that is no node", { ...good, outputs: [{ name: "y", id: 9 }] }, "%9, which is no node"],
    [8, "a tuple as an output", { ...good, outputs: [{ name: "y", id: 4 }] }, "output y is a tuple"],
    [9, "a body with states", body({ states: [{ name: "w", type: vector }] }), "body double has states"],
    [9, "a body that is wrong itself", body({ outputs: [{ name: "y0", id: 7 }] }), "in body double: output y0 is %7, which is no node (invariant 8)"],
    [9, "a body with dims of its own", body({ dims: [{ name: "M", binding: "call", min: 1, max: 2, multipleOf: 1 }] }), "dim M of body double is no dim of the graph around it"],
  ])("names invariant %d for %s", (invariant, _, graph, detail) => {
    expect(() => verifyGraph(graph)).toThrow(GraphInvariantError);
    expect(() => verifyGraph(graph)).toThrow(`breaks invariant ${invariant}:`);
    expect(() => verifyGraph(graph)).toThrow(detail);
  });
  it("names the dim of a size inside another", () => {
    expect(() => verifyGraph(withNode(0, { type: tensorType("f32", [dimSize("M"), 4]), attrs: { name: "x", type: tensorType("f32", [dimSize("M"), 4]) } }))).toThrow("uses dim M, which is not declared");
  });
});
