// Graphs print and parse to the identical graph; a wrong text is refused with its place, and every text is answered.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { importProgram } from "../../compiler/cli/program-module.ts";
import { OP_NAMES } from "../../compiler/graph/ops.ts";
import { parseGraph, parseGraphs } from "../../compiler/graph/parse.ts";
import { graphsText, graphText } from "../../compiler/graph/text.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { everyOp } from "./graph-sample.ts";

describe("graph text", () => {
  const graph = everyOp();
  const text = graphText(graph);

  it("reads back to the identical graph with every op in it", () => {
    expect(new Set(graph.nodes.map(n => n.op))).toEqual(new Set(OP_NAMES));
    verifyGraph(graph);
    const read = parseGraph(text);
    expect(read).toStrictEqual(graph);
    expect(graphText(read)).toBe(text);
  });
  it("reads NoiSER's entries and initial values back to the identical graphs", async () => {
    const program = await importProgram("dsl-examples/noiser");
    expect(parseGraphs(graphsText(program.entries))).toStrictEqual(program.entries);
    const first = program.states.flatMap(s => (s.init ? [s.init] : []));
    expect(first.length).toBeGreaterThan(3);
    for (const g of first) expect(parseGraph(graphText(g))).toStrictEqual(g);
  });
  it("writes one line a node, with the axis names that a dim does not imply", () => {
    const lines = text.split("\n").map(line => line.trim());
    expect(lines).toContain("%0 = input x : f32[N, \"my axis\"=4]");
    expect(lines).toContain("%1 = input ids : i32[_=N]");
    expect(lines).toContain("%2 = input words : u32[\"_\"=2]");
    expect(lines).toContain("%21 = add %0, %0 : f32[N, \"my axis\"=4]  # folder/model.ts:12:5");
    expect(lines).toContain(`effects %${graph.effects[0]}, %${graph.effects[1]}`);
  });
  it("needs no types that follow from the inputs, and takes any names for nodes", () => {
    const short = parseGraph(`
      graph small {
        dim N: call 1 .. 9
        // labels are what the writer likes
        %x = input x : f32[N, 3]
        %loud = mul %x, %x
        %s = reduce sum %loud axes=[1]
        output s = %s
      }`);
    expect(short.nodes.map(n => n.op)).toEqual(["input", "mul", "reduce"]);
    expect(short.nodes[2]!.type).toEqual({ dtype: "f32", shape: [short.nodes[0]!.type].flatMap(t => ("shape" in t ? [t.shape[0]] : [])), axes: ["N"] });
    expect(short.outputs).toEqual([{ name: "s", id: 2 }]);
  });
});

const failure = (text: string): string => {
  try {
    parseGraphs(text, "g.slir");
  } catch (e) {
    if (e instanceof SluiceError) return e.message;
    throw e;
  }
  throw new Error("was read");
};
const small = (line: string): string => `graph g {\n  dim N: call 1 .. 8\n  state w: f32[4]\n  %0 = input x : f32[N, 4]\n  ${line}\n  output y = %0\n}\n`;

describe("errors", () => {
  it.each([
    ["a missing sign", "%1 add %0, %0", ":5:6", ["cannot stand here", "`add`", "expected: `=`"]],
    ["an unknown op", "%1 = plus %0, %0 : f32[N, 4]", ":5:8", ["there is no op plus"]],
    ["an unknown node", "%1 = add %0, %7", ":5:16", ["no node %7 before this place"]],
    ["a node that refers to itself", "%1 = add %0, %1", ":5:16", ["no node %1"]],
    ["a node defined twice", "%0 = neg %0", ":5:3", ["two nodes are called %0"]],
    ["an unknown dim", "%1 = reshape %0 : f32[4, M]", ":5:28", ["no dim M", "expected: N"]],
    ["an unknown dtype", "%1 = cast %0 : float[N, 4]", ":5:18", ["no dtype float", "f32"]],
    ["too few inputs", "%1 = add %0", ":5:3", ["1 inputs are given", "found:    1", "expected: 2"]],
    ["a type that the inputs do not give", "%1 = add %0, %0 : f32[N, 5]", ":5:3", ["not the one that follows", "found:    f32[N, 5]", "expected: f32[N, 4]"]],
    ["another axis name", "%1 = add %0, %0 : f32[rows=N, 4]", ":5:3", ["found:    f32[rows=N, 4]", "expected: f32[N, 4]"]],
    ["shapes that do not fit", "%1 = transpose %0 perm=[1, 0]\n  %2 = add %0, %1", ":6:3", ["axis 0 is N in one and 4 in the other"]],
    ["a type that is needed", "%1 = cast %0", ":5:3", ["type of cast does not follow from its inputs"]],
    ["an unknown attribute", "%1 = reduce sum %0 axis=1", ":5:22", ["no attribute axis", "kind, axes"]],
    ["an attribute given twice", "%1 = flip %0 axes=[0] axes=[1]", ":5:25", ["axes is given twice"]],
    ["a missing attribute", "%1 = flip %0", ":5:3", ["flip has no axes", "axes=…"]],
    ["a word that is none of the kinds", "%1 = reduce mean %0 axes=[0]", ":5:15", ["sum, prod, max, min"]],
    ["an axis that is not there", "%1 = flip %0 axes=[2]", ":5:3", ["axis 2 is out of range"]],
    ["a fraction where a size stands", "%1 = slice %0 start=[0, 0.5] size=[N, 1] stride=[1, 1]", ":5:27", ["a size is a whole number", "0.5"]],
    ["a stride of 0", "%1 = slice %0 start=[0, 0] size=[N, 4] stride=[0, 1]", ":5:3", ["stride 0 on axis 0"]],
    ["a body that is missing", "%1 = composite gelu %0 : f32[N, 4]", ":5:3", ["composite has no body"]],
    ["a body without the dims that it uses", "%1 = composite c %0\n  body b {\n %0 = input x : f32[N, 4]\n}", ":7:21", ["no dim N"]],
    ["a body with an effect", "%1 = composite c %0\n  body b {\n dim N: call 1 .. 8\n %0 = input x : f32[N, 4]\n%1 = print a %0\noutput y = %1\neffects %1\n}", ":5:3", ["body b has states, updates or effects"]],
    ["an unlisted effect", "%1 = print a %0", ":5:3", ["print is not among the effects"]],
    ["an undeclared state", "%1 = state v : f32[4]", ":5:3", ["state v is not declared"]],
    ["an update of another type", "update w = %0", ":1:7", ["state w is updated by a tensor of another type", "f32[N, 4]"]],
    ["two outputs of one name", "output y = %0", ":1:7", ["two outputs are named y"]],
    ["a tuple as an output", "%1 = sort %0 axis=1 descending=true\n  output z = %1", ":1:7", ["output z is a tuple"]],
    ["a comment that is no place", "%1 = neg %0  # negated", ":5:16", ["no place in a program", "begins with //"]],
    ["an unclosed text", "%1 = tag \"a %0", ":5:12", ["quotes on both sides"]],
    ["a bad escape", "%1 = tag \"\\q\" %0", ":5:12", ["escapes of JSON"]],
    ["a character of no token", "%1 = neg %0 ;", ":5:15", ["begins nothing", "\";\""]],
    ["a negative size", "%1 = reshape %0 : f32[-4, N]", ":5:3", ["negative size -4"]],
    ["division by 0", "%1 = size floordiv(N, 0) : i32[]", ":5:25", ["divided by 0"]],
  ])("place %s", (_, line, at, said) => {
    const message = failure(small(line));
    expect(message).toContain(`g.slir${at}: error SLIR001`);
    for (const part of said) expect(message).toContain(part);
    expect(message).toMatch(/\n.*\^/);
  });
  it("place what is wrong around graphs", () => {
    expect(failure("")).toContain("g.slir:1:1: error SLIR001: the text ends too early");
    expect(failure("graph g {\n  %0 = input x : f32[3]\n")).toMatch(/:2:24: [\s\S]*a node, `dim`/);
    expect(failure("graph g { dim N: never 1 .. 2 }")).toContain("call or instance");
    expect(failure("graph g { dim N: call 5 .. 2 }")).toContain("no size lies within the bounds of dim N");
    expect(failure("graph g { }\ngraph g { }")).toContain("two graphs are named g");
    expect(() => parseGraph("graph g { }\ngraph h { }")).toThrow("a second graph stands here");
  });
});

describe("any text is answered", () => {
  const answered = (text: string): void => {
    try {
      for (const g of parseGraphs(text)) verifyGraph(g);
    } catch (e) {
      if (!(e instanceof SluiceError)) throw e;
    }
  };
  it.each([
    ["deep lists", `graph g { %0 = flip %0 axes=${"[".repeat(50_000)}`],
    ["deep calls", `graph g { dim N: call 1 .. 2 %0 = size ${"min(".repeat(50_000)}`],
    ["deep bodies", `graph g { ${"%0 = composite a body b { ".repeat(5_000)}`],
    ["open quotes", `graph g { ${"\"\\".repeat(100_000)}`],
    ["a long sum", `graph g { dim N: call 1 .. 2 %0 = size ${"N*N + ".repeat(50_000)} 1 }`],
    ["a long product", `graph g { dim N: call 1 .. 2 %0 = size ${"N*".repeat(50_000)} 1 }`],
    ["a product of sums", `graph g { ${Array.from({ length: 40 }, (_, i) => `dim d${i}: call 1 .. 2 dim e${i}: call 1 .. 2`).join(" ")} %0 = input x : f32[${Array.from({ length: 40 }, (_, i) => `d${i} + e${i}`).join(", ")}]
      %1 = reshape %0 : f32[7] }`],
    ["doubling sizes", `graph g { dim N: call 1 .. 2 %0 = input x : f32[N]\n${Array.from({ length: 2000 }, (_, i) => `%${i + 1} = concat %${i}, %${i} axis=0`).join("\n")} }`],
    ["names of the prototype", "graph __proto__ { %0 = constructor %0 __proto__=1 toString=2 }"],
  ])("%s", (_, text) => answered(text));
  it("mutated texts", () => {
    const seed = graphText(everyOp());
    const edit = fc.tuple(fc.nat(seed.length), fc.nat(40), fc.oneof(fc.constantFrom("%3", "[", "]", "=", "0", "-1", "1e999", "N", "\"", "#", "{", "}", ",", "body b {", "\n", "f32[]", "(", "sum", "nan"), fc.string({ unit: "binary", maxLength: 4 })));
    fc.assert(fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), edits => {
      answered(edits.reduce((text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut), seed));
    }), { numRuns: 300 });
  });
});
