// Every rule of the tables is applied where it should be, and both sides agree: in the prime field where the rule says so, and
// in float64 on values that include NaN, infinities and both zeros.
import { describe, expect, it } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { DTYPES, isFloat } from "../../compiler/base/dtypes.ts";
import { evaluateSize } from "../../compiler/base/sizes.ts";
import { type Field, float64, type NdArray, prime, PRIME } from "../../compiler/graph/field.ts";
import { type Graph, inputsOf } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { graphText } from "../../compiler/graph/text.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { RULES as MOVEMENT } from "../../compiler/transforms/movement.ts";
import { type Rule, rewriteWith } from "../../compiler/transforms/rewrite.ts";
import { RULES as SIMPLIFY } from "../../compiler/transforms/simplify.ts";

const PRELUDE = `
  dim N: call 1 .. 8
  %x = input x : f32[N, 4]
  %y = input y : f32[N, 4]
  %z = input z : f32[N, 4]
  %v = input v : f32[4]
  %i = input i : i32[N, 4]
  %j = input j : i32[N, 4]
  %u = input u : u32[N, 4]
  %b = input b : u8[N, 4]
  %p = input p : bool[N, 4]
  %q = input q : bool[N, 4]
  %k = input k : i32[]
  %w = input w : f32[2, 3, 4]`;

const constant = (name: string, value: string, dtype = "f32"): string => `%${name} = const ${value} : ${dtype}[N, 4]\n`;
const unary = (first: string, second: string, x = "%x"): string => `%a = ${first} ${x}\n%r = ${second} %a`;

/** For each rule lines after the prelude; the last node is the output. */
const EXAMPLES: { readonly [rule: string]: string } = {
  "add-zero": `${constant("c", "0")}%a = abs %x\n%r = add %c, %a`,
  "add-minus-zero": `${constant("c", "-0")}%r = add %x, %c`,
  "subtract-zero": `${constant("c", "0")}%r = sub %x, %c`,
  "subtract-from-zero": `${constant("c", "0", "i32")}%r = sub %c, %i`,
  "subtract-from-minus-zero": `${constant("c", "-0")}%r = sub %c, %x`,
  "subtract-itself": "%r = sub %i, %i",
  "negate-twice": unary("neg", "neg"),
  "add-negated": "%a = neg %y\n%r = add %a, %x",
  "subtract-negated": "%a = neg %y\n%r = sub %x, %a",
  "multiply-by-one": `%c = const 1 : f32[]\n%d = broadcast %c dims=[] : f32[N, 4]\n%r = mul %d, %x`,
  "multiply-by-minus-one": `${constant("c", "-1")}%r = mul %x, %c`,
  "multiply-by-zero": `${constant("c", "0", "u8")}%r = mul %b, %c`,
  "multiply-negated-both": "%a = neg %x\n%c = neg %y\n%r = mul %a, %c",
  "multiply-negated-by-constant": `${constant("c", "3")}%a = neg %x\n%r = mul %a, %c`,
  "divide-by-one": `${constant("c", "1")}%r = div %x, %c`,
  "divide-by-minus-one": `${constant("c", "-1")}%r = div %x, %c`,
  "divide-by-power-of-two": `${constant("c", "-0.25")}%r = div %x, %c`,
  "divide-unsigned-by-power-of-two": `${constant("c", "8", "u32")}%r = div %u, %c`,
  "remainder-of-power-of-two": `${constant("c", "4", "i32")}%r = mod %i, %c`,
  "power-of-zero": `${constant("c", "0")}%r = pow %x, %c`,
  "power-of-one": `${constant("c", "1")}%r = pow %x, %c`,
  "power-of-two": `${constant("c", "2")}%r = pow %x, %c`,
  "power-of-minus-one": `${constant("c", "-1")}%r = pow %x, %c`,
  "one-over-square-root": `${constant("c", "1")}%a = sqrt %x\n%r = div %c, %a`,
  "absolute-of-negated": unary("neg", "abs"),
  "absolute-twice": unary("abs", "abs"),
  "floor-twice": unary("floor", "floor"),
  "ceil-twice": unary("ceil", "ceil"),
  "round-twice": unary("round", "round"),
  "max-of-itself": "%r = max %x, %x",
  "min-of-itself": "%r = min %p, %p",
  "max-with-lowest": `${constant("c", "-inf")}%r = max %c, %x`,
  "min-with-highest": `${constant("c", "inf")}%r = min %x, %c`,
  "max-with-two-constants": `${constant("c", "1")}${constant("d", "-2")}%a = max %c, %x\n%r = max %a, %d`,
  "min-with-two-constants": `${constant("c", "1", "i32")}${constant("d", "-2", "i32")}%a = min %c, %i\n%r = min %a, %d`,
  "less-than-itself": "%r = lt %x, %x",
  "greater-than-itself": "%r = gt %i, %i",
  "not-less": "%a = lt %i, %j\n%r = not %a",
  "not-greater": "%a = gt %i, %j\n%r = not %a",
  "not-equal": "%a = eq %x, %y\n%r = not %a",
  "not-unequal": "%a = ne %x, %y\n%r = not %a",
  "not-twice": unary("not", "not", "%u"),
  "and-with-itself": "%r = and %p, %p",
  "or-with-itself": "%r = or %i, %i",
  "xor-with-itself": "%r = xor %p, %p",
  "and-with-zero": `${constant("c", "0", "i32")}%r = and %i, %c`,
  "or-with-zero": `${constant("c", "0", "u32")}%r = or %u, %c`,
  "xor-with-zero": `${constant("c", "0", "i32")}%r = xor %i, %c`,
  "and-with-true": `${constant("c", "1", "bool")}%r = and %p, %c`,
  "or-with-true": `${constant("c", "1", "bool")}%r = or %c, %p`,
  "shift-left-by-zero": `${constant("c", "0", "i32")}%r = shl %i, %c`,
  "shift-right-by-zero": `${constant("c", "0", "u32")}%r = shr %u, %c`,
  "select-by-true": `${constant("c", "1", "bool")}%r = select %c, %x, %y`,
  "select-by-false": `${constant("c", "0", "bool")}%r = select %c, %x, %y`,
  "select-of-equals": "%r = select %p, %x, %x",
  "select-by-not": "%a = not %p\n%r = select %a, %x, %y",
  "select-same-condition-first": "%a = select %p, %x, %y\n%r = select %p, %a, %z",
  "select-same-condition-second": "%a = select %p, %x, %y\n%r = select %p, %z, %a",
  "cast-to-own-dtype": "%r = cast %x : f32[N, 4]",
  "cast-through-wider-integer": "%a = cast %b : i32[N, 4]\n%r = cast %a : f32[N, 4]",
  "cast-through-wider-float": "%a = cast %b : f32[N, 4]\n%r = cast %a : i32[N, 4]",
  "reduce-no-axis": "%r = reduce max %x axes=[]",
  "reduce-twice": "%a = reduce sum %w axes=[1]\n%r = reduce sum %a axes=[1]",
  "stop-gradient-twice": unary("stop_gradient", "stop_gradient"),
  "transpose-in-order": "%r = transpose %x perm=[0, 1]",
  "reshape-to-own-shape": "%r = reshape %x : f32[N, 4]",
  "broadcast-to-own-shape": "%r = broadcast %x dims=[0, 1] : f32[N, 4]",
  "slice-of-everything": "%r = slice %x start=[0, 0] size=[N, 4] stride=[1, 1]",
  "pad-by-nothing": "%r = pad %x low=[0, 0] high=[0, 0] value=1",
  "flip-of-ones": "%a = reshape %x : f32[1, N, 4]\n%r = flip %a axes=[0]",
  "concat-of-one": "%r = concat %x axis=1",
  "transpose-twice": "%a = transpose %w perm=[1, 2, 0]\n%r = transpose %a perm=[0, 2, 1]",
  "reshape-twice": "%a = reshape %w : f32[6, 4]\n%r = reshape %a : f32[3, 8]",
  "broadcast-twice": "%a = broadcast %v dims=[1] : f32[3, 4]\n%r = broadcast %a dims=[1, 3] : f32[2, 3, N, 4]",
  "slice-twice": "%a = slice %w start=[0, 1, 0] size=[2, 2, 2] stride=[1, 1, 2]\n%r = slice %a start=[1, 1, 1] size=[1, 1, 1] stride=[1, 1, 1]",
  "pad-twice": "%a = pad %x low=[1, 0] high=[0, 0] value=2\n%r = pad %a low=[0, 1] high=[N, 0] value=2",
  "flip-twice": "%a = flip %w axes=[0, 1]\n%r = flip %a axes=[2, 1]",
  "broadcast-of-reshaped": "%a = reshape %x : f32[N, 1, 4]\n%r = broadcast %a dims=[0, 1, 2] : f32[N, 3, 4]",
  "reshape-of-broadcast": "%a = broadcast %x dims=[0, 2] : f32[N, 1, 4]\n%r = reshape %a : f32[1, N, 4, 1]",
  "transpose-of-broadcast": "%a = broadcast %w dims=[0, 1, 3] : f32[2, 3, N, 4]\n%r = transpose %a perm=[3, 2, 0, 1]",
  "slice-of-broadcast": "%a = broadcast %w dims=[0, 1, 3] : f32[2, 3, N, 4]\n%r = slice %a start=[1, 0, 0, 1] size=[1, 3, 1, 2] stride=[1, 1, 1, 2]",
  "cast-of-broadcast": "%a = broadcast %v dims=[1] : f32[N, 4]\n%r = cast %a : i32[N, 4]",
  "slice-inside-padding": "%a = pad %x low=[2, 1] high=[0, N] value=0\n%r = slice %a start=[2, 2] size=[N, 2] stride=[1, 1]",
  "dynamic-slice-at-constant": "%c = const 9 : i32[]\n%r = dynamic_slice %w, %c axes=[1] size=[2]",
  "dynamic-slice-at-two-constants": "%c = const -1 : i32[]\n%d = const 1 : i32[]\n%r = dynamic_slice %x, %c, %d axes=[0, 1] size=[1, 3]",
  "dynamic-update-of-everything": "%r = dynamic_update %x, %y, %k axes=[0]",
  "contract-transposed-left": "%a = transpose %x perm=[1, 0]\n%r = contract %a, %y a=[0, 1] b=[1, 2] out=[0, 2]",
  "contract-transposed-right": "%a = transpose %y perm=[1, 0]\n%r = contract %x, %a a=[0, 1] b=[1, 2] out=[0, 2]",
  "reduce-of-transposed": "%a = transpose %w perm=[2, 1, 0]\n%r = reduce max %a axes=[1]",
};

const INTEGER_OPS = ["and", "or", "xor", "shl", "shr", "mulhi"];
/** Examples of the rules that are there for each elementwise op. */
function exampleOf(name: string): string | undefined {
  const [, op, what] = /^([a-z0-9_]+)-of-(broadcast|broadcasts|broadcast-and-constant|constant-and-broadcast)$/.exec(name) ?? [];
  if (EXAMPLES[name] !== undefined || op === undefined) return EXAMPLES[name];
  const [dtype, x] = op === "not" ? ["bool", "%g"] : INTEGER_OPS.includes(op) ? ["i32", "%h"] : ["f32", "%v"];
  const head = "%h = cast %v : i32[4]\n%g = cast %v : bool[4]\n";
  const first = `${head}%a = broadcast ${x} dims=[1] : ${dtype}[N, 4]\n${constant("c", "3", dtype)}`;
  if (what === "broadcast") return `${first}%r = ${op} %a`;
  if (what === "broadcasts") return `${first}%n = neg ${x}\n%d = broadcast %n dims=[1] : ${dtype}[N, 4]\n%r = ${op} %a, %d`;
  return `${first}%r = ${op} ${what === "broadcast-and-constant" ? "%a, %c" : "%c, %a"}`;
}

const graphOf = (lines: string): Graph => {
  const last = /%(\w+) = [^\n]*$/.exec(lines.trim())![1];
  return parseGraph(`graph example {${PRELUDE}\n${lines}\noutput r = %${last}\n}`);
};

const FLOATS = [0, -0, 1, -1, 2.5, -3.25, 1e300, -1e-310, NaN, Infinity, -Infinity, 3, 0.1, 4, -2, 123.5];
function elementOf(seed: number, dtype: DType, field: Field): number {
  if (isFloat(dtype)) return field.name === "prime" ? (seed * 7919 + 12345) % PRIME : FLOATS[seed % FLOATS.length]!;
  return DTYPES[dtype].round(dtype === "bool" ? seed % 2 : (seed * 2654435761) % 2 ** 31 * (seed % 3 === 0 ? -1 : 1));
}

/** The output on values of all kinds, in several arrangements. */
function outcomes(g: Graph, field: Field): NdArray[] {
  const dims = { N: 3 };
  return [0, 5, 11, 17].map(shift => {
    const inputs = Object.fromEntries(inputsOf(g).map(({ name, type }, k) => {
      const shape = type.shape.map(s => evaluateSize(s, dims));
      const data = Float64Array.from({ length: shape.reduce((n, s) => n * s, 1) }, (_, i) => elementOf(i * 3 + k * (i % 4 === 3 ? 48 : 7) + shift + Math.floor(i / 4), type.dtype, field));
      return [name, { dtype: type.dtype, shape, data }];
    }));
    return interpret(g, { inputs, dims, field }).outputs["r"]!;
  });
}

function check(rule: Rule): void {
  const lines = exampleOf(rule.name);
  if (lines === undefined) throw new Error(`rule ${rule.name} has no example`);
  const before = graphOf(lines);
  const fired: string[] = [];
  const after = rewriteWith("one", "", [rule]).run(before, name => fired.push(name));
  expect(fired, "the rule is applied").toContain(rule.name);
  verifyGraph(after);
  expect(graphText(after)).not.toBe(graphText(before));
  if (rule.exact === "field") expect(outcomes(after, prime)).toEqual(outcomes(before, prime));
  const [found, wanted] = [outcomes(after, float64), outcomes(before, float64)];
  if (!rule.rounds) expect(found).toEqual(wanted);
  else found.forEach((array, k) => array.data.forEach((x, i) => {
    const y = wanted[k]!.data[i]!;
    expect(Object.is(x, y) || Math.abs(x - y) <= 1e-12 * Math.abs(y)).toBe(true);
  }));
  expect(wanted.some(array => array.data.some(x => x !== 0)) || /-zero|itself|false/.test(rule.name)).toBe(true);
}

describe("simplify", () => {
  it.each(SIMPLIFY.map(rule => [rule.name, rule] as const))("%s", (_, rule) => check(rule));
});
describe("movement", () => {
  it.each(MOVEMENT.map(rule => [rule.name, rule] as const))("%s", (_, rule) => check(rule));
});

describe("what floats forbid", () => {
  it.each([
    ["x*0, for NaN and infinity", `${constant("c", "0")}%r = mul %x, %c`],
    ["x-x, for NaN and infinity", "%r = sub %x, %x"],
    ["x+0, for -0", `${constant("c", "0")}%r = add %x, %c`],
    ["0-x, for 0", `${constant("c", "0")}%r = sub %c, %x`],
    ["not x<y, for NaN", "%a = lt %x, %y\n%r = not %a"],
    ["x/3, for rounding", `${constant("c", "3")}%r = div %x, %c`],
    ["x/2^-200, which a product would not hold", `${constant("c", "6.223015277861142e-61")}%r = div %x, %c`],
    ["i32 through f32, which does not hold all of them", "%a = cast %i : f32[N, 4]\n%r = cast %a : u8[N, 4]"],
    ["a remainder by a number that is no power of two", `${constant("c", "6", "i32")}%r = mod %i, %c`],
  ])("%s", (_, lines) => {
    const g = graphOf(lines);
    expect(rewriteWith("all", "", SIMPLIFY).run(g)).toBe(g);
  });
});

describe("the driver", () => {
  const rule = (r: Partial<Rule>): Rule => ({ name: "r", from: "neg(x)", to: "x", exact: "field", ...r });
  const refusal = (r: Partial<Rule>): string => {
    try {
      rewriteWith("t", "", [rule(r)]);
    } catch (e) {
      return (e as Error).message;
    }
    throw new Error("was taken");
  };
  it("refuses rules that cannot work", () => {
    expect(refusal({ to: "y" })).toContain("error RULE001: rule r: y of the right side does not occur on the left");
    expect(refusal({ to: "add(x, #c)" })).toContain("#c of the right side is neither on the left nor computed");
    expect(refusal({ to: "plus(x, x)" })).toContain("there is no op plus");
    expect(refusal({ from: "x" })).toContain("the left side is no op");
    expect(refusal({ to: "reduce(x)" })).toContain("the attributes of reduce on the right side");
    expect(refusal({ to: "add(1, 2)" })).toContain("the type of add on the right side is unknown");
    expect(refusal({ from: "add(x, y" })).toContain(", or ) is missing at column 9");
    expect(refusal({ from: "neg(x) y" })).toContain("goes on after its term");
  });
  it("stops rules that make what another undoes", () => {
    const circle = rewriteWith("circle", "", [rule({ name: "there", from: "add(x, y)", to: "sub(x, neg(y))" }), rule({ name: "back", from: "sub(x, neg(y))", to: "add(x, y)" })]);
    expect(() => circle.run(graphOf("%r = add %x, %y"))).toThrow(/RULE002: the rules come to no end\n {2}found: {4}(there, back|back, there)/);
  });
  it("refuses a rule that changes the type", () => {
    const wrong = rewriteWith("wrong", "", [rule({ from: "r:reduce(x)", to: "x" })]);
    expect(() => wrong.run(graphOf("%r = reduce sum %x axes=[0]"))).toThrow("rule r turns f32[4] into f32[N, 4]");
  });
  it("goes on with what a rule has made, keeps spans, and works in bodies", () => {
    const before = parseGraph(`graph g {
      %0 = input x : f32[4]
      %1 = neg %0  # m.ts:1:2
      %2 = neg %1  # m.ts:2:2
      %3 = neg %2  # m.ts:3:2
      %4 = composite c %3 : f32[4]
        body c {
          %0 = input x0 : f32[4]
          %1 = neg %0
          %2 = neg %1
          output y0 = %2
        }
      output y = %4
    }`);
    const after = rewriteWith("t", "", [rule({ from: "neg(neg(x))" })]).run(before);
    expect(graphText(after)).toBe(`graph g {
  %0 = input x : f32[4]
  %1 = neg %0 : f32[4]  # m.ts:3:2
  %2 = composite c %1 : f32[4]
    body c {
      %0 = input x0 : f32[4]
      output y0 = %0
    }
  output y = %2
}
`);
  });
});
