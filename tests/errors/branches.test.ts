// Tensors where JavaScript wants a number, a text or a condition. What can be caught is refused at the user's line: `>`, `+`,
// templates, and comparisons of tensors that a branch of JavaScript took. What cannot be caught when the program is traced
// is refused by the types (tests/types/shapes.ts).
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { constant, dim, entry, f32, file, procedure, read, type Scalar, save, state, type Tensor, traceProgram, when } from "sluice";
import { refusal } from "../support/refusal.ts";

const B = dim("B", { max: 8 });
const weight = state(f32(3), "ones");
const step = entry({ x: f32(B, 3) }, ({ x }) => ({ loss: x.mul(weight).mean() }));
const run = (body: (x: Tensor) => unknown) => traceProgram({ weight, f: entry({ x: f32(B, 3) }, ({ x }) => ({ y: x.exp(), z: body(x as Tensor) as Tensor })) }, "branches");
const within = (body: (loss: Scalar<"f32">) => void) => traceProgram({ weight, step, p: procedure({}, () => body(step({ x: read("x.npy", { x: f32(1, 3) }).x }).loss)) }, "branches");
/** As JavaScript would, whatever the types say. */
const loose = (x: unknown): number => x as number;

test.each<readonly [string, () => unknown]>([
  ["a comparison", () => run(x => (loose(x) > 0 ? x : x.neg()))],
  ["arithmetic", () => run(x => constant(loose(x) + 1))],
  ["a sign", () => run(x => constant(-loose(x)))],
  ["Math", () => run(x => constant(Math.max(loose(x), 0)))],
  ["a state", () => run(x => (loose(weight) > 0 ? x : x.neg()))],
])("%s of a tensor is refused at its line, with the words for it", (_, f) => {
  expect(refusal(f)).toMatch(/^tests\/errors\/branches\.test\.ts:\d+:\d+: error TRACE009: a tensor is used as a number of JavaScript\n {2}found: {4}(tensor|state) .*f32\[.*, which has no value while the program is traced\n {2}expected: words for tensors: add, mul, gt, eq, …\n {2}hint: {5}compare by x\.gt\(y\), then choose by condition\.where\(yes, no\), or in a procedure by when/);
});
test("a template is refused", () => {
  expect(refusal(() => run(x => x.tag(`${x as unknown as string}`)))).toMatch(/^tests\/errors\/branches\.test\.ts:\d+:\d+: error TRACE009: a tensor is used as text\n.*\n.*\n {2}hint: {5}x\.print\(label\) prints it/);
});
test("a scalar of a procedure is refused too", () => {
  expect(refusal(() => within(loss => void (loose(loss) > 1)))).toMatch(/branches\.test\.ts:\d+:\d+: error TRACE009: a tensor is used as a number of JavaScript\n {2}found: {4}scalar f32\[\] of a procedure/);
});

test("an argument of a procedure is no text of JavaScript", () => {
  const keeping = procedure({ to: file("weights") }, ({ to }) => save(`${to as unknown as string}/net.safetensors`, weight));
  expect(refusal(() => traceProgram({ weight, step, keeping }, "branches"))).toMatch(/^tests\/errors\/branches\.test\.ts:\d+:\d+: error TRACE009: an argument is used as a text of JavaScript\n.*\n.*\n {2}hint: {5}ask for the whole path/);
});

const condition = /^tests\/errors\/branches\.test\.ts:(\d+):\d+: error TRACE009: a tensor is used as a condition of JavaScript, which always takes the same branch\n.*\n.*\n {2}hint: {5}in an entry condition\.where\(yes, no\); in a procedure when\(condition, yes, no\), or loop/;
test.each<readonly [string, () => unknown]>([
  ["if", () => run(x => {
    if (x.mean().gt(0)) return x;
    return x.neg();
  })],
  ["?", () => run(x => (x.mean().gt(0) ? x : x.neg()))],
  ["? on the next line", () => run(x => x.mean().lt(0)
    ? x
    : x.neg())],
  ["? on what a chain over lines compares", () => run(x => x
    .mean()
    .gt(0) ? x : x.neg())],
  ["brackets around it", () => run(x => {
    if ((x.mean().gt(0))) return x;
    return x.neg();
  })],
  ["!", () => run(x => [x, x.neg()][Number(!x.eq(0).any())])],
  ["&&", () => run(x => x.gt(0) && x)],
  ["while, in a procedure", () => within(loss => {
    while (loss.gt(1)) break;
  })],
  ["if, in a procedure", () => within(loss => {
    if (loss.lt(0.1).and(loss.gt(0))) when(loss.gt(3), () => undefined);
  })],
])("%s on a comparison of tensors is refused", (_, f) => expect(refusal(f)).toMatch(condition));

test("comparisons that are used, and unused ones on which nothing branches, are no conditions", () => {
  const isStrict = B.name === "B";
  const many = (x: Tensor) => ({ hit: isStrict ? x.gt(0) : x.ge(0), value: !isStrict || x.shape.length > 1 ? x.abs() : x, under: isStrict && x.lt(0) });
  expect(refusal(() => run(x => {
    const { value } = many(x);
    const isLarge = x.mean().gt(1);
    return isLarge.where(value, x);
  }))).toBe("nothing was refused");
  expect(refusal(() => within(loss => when(loss.lt(0.1), () => undefined)))).toBe("nothing was refused");
});

test("console.log and util.inspect show what a tensor is", () => {
  const shown: string[] = [];
  run(x => {
    shown.push(inspect(x), inspect({ x: x.exp() }), inspect(weight));
    return x;
  });
  expect(shown[0]).toMatch(/^tensor f32\[B, 3\], an input/);
  expect(shown[1]).toMatch(/^\{ x: tensor f32\[B, 3\] by exp at tests\/errors\/branches\.test\.ts:\d+:\d+ \}$/);
  expect(shown[2]).toBe("state weight: f32[3]");
  expect(inspect(constant(2))).toBe("constant f32[]");
});

test("a dim of one value is its number; one that is bound later refuses", () => {
  expect(loose(dim("H", 768)) * 2).toBe(1536);
  expect(`${B as unknown as string}`).toBe("B");
  expect(refusal(() => loose(B) > 3)).toMatch(/DIM004: dim B is used as a number of JavaScript\n {2}found: {4}B, whose value is bound when the program is called\n.*\n {2}hint: {5}times, plus, minus and over compute with dims/);
});
