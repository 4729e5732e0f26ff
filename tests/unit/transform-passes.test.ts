// Passes that are no rule tables: what each does, and what it leaves alone.
import { describe, expect, it } from "vitest";
import { dim, entry, f32, standardize } from "../../compiler/dsl/index.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { copyInto } from "../../compiler/graph/copy.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { graphText } from "../../compiler/graph/text.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { commonSubexpressions } from "../../compiler/transforms/common-subexpressions.ts";
import { deadCode } from "../../compiler/transforms/dead-code.ts";
import { preservesMeaning } from "../../compiler/testing/index.ts";
import { narrowConcats } from "../../compiler/transforms/narrow-concats.ts";
import { foldConstants } from "../../compiler/transforms/fold-constants.ts";
import { gradientOutputs } from "../../compiler/transforms/gradient-outputs.ts";
import { inlineComposites } from "../../compiler/transforms/inline-composites.ts";
import type { Transform } from "../../compiler/transforms/transform.ts";

/** The lines after the pass, without the graph's braces, and what the pass says it did. */
function resultOf(pass: Transform, text: string): { lines: string[]; fired: string[]; graph: Graph } {
  const fired: string[] = [];
  const graph = pass.run(parseGraph(`graph g {\n${text}\n}`), rule => fired.push(rule));
  verifyGraph(graph);
  expect(pass.run(graph), "a second run changes nothing").toBe(graph);
  return { lines: graphText(graph).trim().split("\n").slice(1, -1).map(line => line.trim()), fired, graph };
}

describe("fold-constants", () => {
  it("computes one element where all are one value, whatever the shape", () => {
    const { lines, fired } = resultOf(foldConstants, `
      dim N: call 1 .. 9
      %a = const 3 : f32[]
      %b = broadcast %a dims=[] : f32[N, 4]
      %c = const 0.5 : f32[N, 4]
      %d = pow %b %c
      output y = %d`.replace("%b %c", "%b, %c"));
    expect(lines).toEqual(["dim N: call 1 .. 9", `%0 = const ${Math.sqrt(3)} : f32[N, 4]`, "output y = %0"]);
    expect(fired).toEqual(["fold-broadcast", "fold-pow"]);
  });
  it("computes small arrays whole, integers as they wrap", () => {
    const { lines } = resultOf(foldConstants, `
      %a = const [250, 7, 3, 1] : u8[2, 2]
      %b = const [10, 20] : u8[2]
      %c = broadcast %b dims=[1] : u8[2, 2]
      %d = add %a, %c
      %e = transpose %d perm=[1, 0]
      %f = reduce max %e axes=[1]
      output e = %e
      output f = %f`);
    expect(lines).toEqual(["%0 = const [4, 13, 27, 21] : u8[2, 2]", "%1 = const [13, 27] : u8[2]", "output e = %0", "output f = %1"]);
  });
  it("takes constant sizes as numbers, and leaves large arrays, draws and effects", () => {
    const { lines, fired } = resultOf(foldConstants, `
      dim N: call 1 .. 9
      %a = size 12 : i32[]
      %b = size N : i32[]
      %c = const [1, 2] : u32[2]
      %d = random uniform %c stream=s call=0 : f32[3]
      %e = const 1 : bool[]
      %f = assert "holds" %e
      %g = const [1, 2] : f32[2]
      %h = broadcast %g dims=[1] : f32[1000, 2]
      output a = %a
      output b = %b
      output d = %d
      output h = %h
      effects %f`);
    expect(fired).toEqual(["fold-size"]);
    expect(lines).toContain("%0 = const 12 : i32[]");
    expect(lines).toContain("%7 = broadcast %6 dims=[1] : f32[1000, 2]");
  });
});

describe("common-subexpressions", () => {
  it("computes equal things once, operands of commutative ops in either order, bodies whatever their spans", () => {
    const { lines, fired } = resultOf(commonSubexpressions, `
      %x = input x : f32[4]
      %y = input y : f32[4]
      %a = mul %x, %y  # a.ts:1:1
      %b = mul %y, %x  # a.ts:2:1
      %c = composite sq %a : f32[4]  # a.ts:3:1
        body sq {
          %0 = input x0 : f32[4]
          %1 = mul %0, %0  # a.ts:3:1
          output y0 = %1
        }
      %d = composite sq %b : f32[4]  # a.ts:4:1
        body sq {
          %0 = input x0 : f32[4]
          %1 = mul %0, %0  # a.ts:4:1
          output y0 = %1
        }
      %e = sub %c, %d
      output e = %e`);
    expect(fired).toEqual(["share-mul", "share-composite"]);
    expect(lines).toContain("%2 = mul %0, %1 : f32[4]  # a.ts:1:1");
    expect(lines.at(-2)).toBe("%4 = sub %3, %3 : f32[4]");
  });
  it("keeps apart what differs or happens", () => {
    const text = `
      %x = input x : f32[4, 4]
      %y = input y : f32[4, 4]
      %a = sub %x, %y
      %b = sub %y, %x
      %c = reduce sum %x axes=[0]
      %d = reduce sum %x axes=[1]
      %e = const 0 : f32[4]
      %f = const -0 : f32[4]
      %g = print p %c
      %h = print p %c
      %i = tag t %c
      %j = tag t %c
      output a = %a
      output b = %b
      output d = %d
      output e = %e
      output f = %f
      output i = %i
      output j = %j
      effects %g, %h`;
    expect(resultOf(commonSubexpressions, text).fired).toEqual([]);
  });
});

describe("dead-code", () => {
  it("drops what nothing needs, in bodies too, and keeps inputs, tags and effects", () => {
    const { lines, graph } = resultOf(deadCode, `
      state used: f32[4]
      state unused: f32[4]
      %x = input x : f32[4]
      %z = input z : f32[4]
      %u = state unused : f32[4]
      %v = state used : f32[4]
      %a = neg %u
      %t = tag seen %x
      %p = print x %x
      %c = composite sq %v : f32[4]
        body sq {
          %0 = input x0 : f32[4]
          %1 = exp %0
          %2 = mul %0, %0
          output y0 = %2
        }
      output y = %c
      effects %p`);
    expect(graph.states.map(s => s.name)).toEqual(["used"]);
    expect(graph.nodes.map(n => n.op)).toEqual(["input", "input", "state", "tag", "print", "composite"]);
    expect(lines).not.toContain("%1 = exp %0 : f32[4]");
  });
});

describe("inline-composites", () => {
  const text = `
    %x = input x : f32[4]
    %s = stop_gradient %x
    %c = composite both %s : (f32[4], f32[4])  # a.ts:3:1
      body both {
        %0 = input x0 : f32[4]
        %1 = composite inner %0 : f32[4]
          body inner {
            %0 = input x0 : f32[4]
            %1 = exp %0  # a.ts:1:1
            output y0 = %1
          }
        output y0 = %1
        output y1 = %0
      }
    %i = item 0 %c
    %j = item 1 %c
    %r = add %i, %j
    output y = %r`;
  it("replaces composites in composites, tuples and stop_gradients", () => {
    const { lines, fired } = resultOf(inlineComposites(), text);
    expect(lines).toEqual(["%0 = input x : f32[4]", "%1 = exp %0 : f32[4]  # a.ts:1:1", "%2 = add %1, %0 : f32[4]", "output y = %2"]);
    expect(fired.sort()).toEqual(["inline-both", "inline-inner", "inline-stop-gradient"]);
  });
  it("keeps those it is told to keep", () => {
    const { graph } = resultOf(inlineComposites(n => n.op === "composite" && n.attrs.name === "inner"), text);
    expect(graph.nodes.map(n => (n.op === "composite" ? n.attrs.name : n.op))).toEqual(["input", "inner", "add"]);
  });
});

/** With the sum of an output's squares as the first output. */
function lengthFirst(g: Graph, output: string): Graph {
  const b = new GraphBuilder(g.name);
  for (const d of g.dims) b.declareDim(d);
  copyInto(b, g, []);
  const w = new Build(b, null);
  const x = g.outputs.find(o => o.name === output)!.id;
  b.outputs.push({ name: "length", id: w.sum(w.mul(x, x), [0, 1, 2]) }, ...g.outputs);
  return b.finish();
}

describe("differentiate", () => {
  it("adds the gradients of the first scalar with respect to float inputs as outputs", () => {
    const graph = gradientOutputs.run(parseGraph(`graph g {
      %x = input x : f32[4]
      %k = input k : i32[]
      %s = mul %x, %x
      %l = reduce sum %s axes=[0]
      output s = %s
      output loss = %l
    }`));
    verifyGraph(graph);
    expect(graph.outputs.map(o => o.name)).toEqual(["s", "loss", "gradient.x"]);
    const twice = parseGraph("graph g {\n%x = input x : f32[]\n%y = mul %x, %x\noutput y = %y\n}");
    expect(gradientOutputs.run(gradientOutputs.run(twice)).outputs.map(o => o.name)).toEqual(["y", "gradient.x", "gradient.gradient.x"]);
  });
  it("takes the gradient that moments bring, which is that of their body, and so are its own gradients", () => {
    const [N, M] = [dim("N", { max: 8 }), dim("M", { max: 8 })];
    const loss = entry({ x: f32(N, M, 3), w: f32(N, M, 3) }, ({ x, w }) => ({ loss: standardize(x.cast("f64"), ["M"]).pow(3).mul(w.cast("f64")).sum() }));
    const graph = traceProgram({ loss }, "moments").entries[0]!;
    expect(graph.nodes.some(n => n.op === "composite" && n.attrs.gradient)).toBe(true);
    const values = (count: number, step: number) => Float64Array.from({ length: count }, (_, i) => ((i * step) % 17) / 4 - 2);
    const gradients = (g: Graph) => interpret(g, { dims: { N: 2, M: 5 }, inputs: { x: { dtype: "f32", shape: [2, 5, 3], data: values(30, 7) }, w: { dtype: "f32", shape: [2, 5, 3], data: values(30, 5) } } }).outputs;
    const once = (g: Graph) => gradientOutputs.run(g);
    const twice = (g: Graph) => gradientOutputs.run(lengthFirst(once(g), "gradient.x"));
    for (const [derive, name] of [[once, "gradient.x"], [twice, "gradient.gradient.x"]] as const) {
      const found = gradients(derive(graph))[name]!.data;
      const wanted = gradients(derive(inlineComposites().run(graph)))[name]!.data;
      expect(Math.max(...wanted.map(Math.abs))).toBeGreaterThan(0.1);
      found.forEach((x, i) => expect(Math.abs(x - wanted[i]!)).toBeLessThan(1e-9));
    }
  });
  it("says what is missing", () => {
    expect(() => gradientOutputs.run(parseGraph("graph g {\n%x = input x : f32[4]\noutput y = %x\n}"))).toThrow("error GRAD003: graph g has nothing to differentiate\n  found:    outputs y");
    expect(() => gradientOutputs.run(parseGraph("graph g {\n%x = const 1 : f32[]\noutput y = %x\n}"))).toThrow("nothing to differentiate with respect to");
  });
});

describe("narrow-concats", () => {
  const text = `%x = input x : f32[2]
    %0 = concat %x, %x, %x, %x, %x, %x, %x axis=0
    output y = %0`;
  it("makes concatenations of few of one of many, in their order", () => {
    const { lines, graph } = resultOf(narrowConcats(3), text);
    expect(lines.filter(l => l.includes("concat"))).toEqual([
      "%1 = concat %0, %0, %0 axis=0 : f32[6]", "%2 = concat %0, %0, %0 axis=0 : f32[6]", "%3 = concat %1, %2, %0 axis=0 : f32[14]",
    ]);
    expect(graph.outputs.map(o => o.id)).toEqual([3]);
  });
  it("leaves those of few as they are", () => {
    const graph = parseGraph(`graph g {\n${text}\n}`);
    expect(narrowConcats(7).run(graph)).toBe(graph);
  });
  it("preserves meaning", () => {
    const { changed } = preservesMeaning(narrowConcats(2), { ops: ["concat", "neg", "slice"], graphs: 200, seed: 5 });
    expect(changed).toBeGreaterThan(20);
  });
});
