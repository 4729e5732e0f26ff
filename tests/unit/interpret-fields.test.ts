// What the reference interpreter holds while it runs, and the field in which it rounds as targets do.
import { expect, test } from "vitest";
import { dim, entry, f32, open, state } from "sluice";
import { f32Field, interpret } from "sluice/testing";
import { graphOf } from "../support/op-graphs.ts";
import { numbersOf, values } from "../support/programs.ts";

const CHAIN = 50;
const ELEMENTS = 1000;
const x = { dtype: "f32" as const, shape: [ELEMENTS], data: Float64Array.from({ length: ELEMENTS }, (_, i) => i / ELEMENTS) };

test("of a chain of ops two values are held at a time, however long it is", () => {
  const graph = graphOf((g, input) => Array.from({ length: CHAIN }).reduce<number>(y => g.add(g.neg(y), y), input("x", "f32", ELEMENTS)));
  const { peakBytes } = interpret(graph, { inputs: { x } });
  // An op's operands and its result.
  expect(peakBytes).toBe(3 * ELEMENTS * 8);
});

test("what is read late, or left behind, is held until then", () => {
  const graph = graphOf((g, input) => {
    const start = g.unary("exp", input("x", "f32", ELEMENTS));
    const end = Array.from({ length: CHAIN }).reduce<number>(y => g.neg(y), start);
    return [g.add(start, end), g.unary("abs", start)];
  });
  const { outputs, peakBytes } = interpret(graph, { inputs: { x } });
  expect(peakBytes).toBe(3 * ELEMENTS * 8);
  expect(outputs["out1"]!.data[ELEMENTS - 1]).toBe(Math.exp((ELEMENTS - 1) / ELEMENTS));
});

test("a value that nothing reads is let go at once", () => {
  const graph = graphOf((g, input) => {
    const y = input("x", "f32", ELEMENTS);
    for (let i = 0; i < CHAIN; i++) g.unary("exp", y);
    return g.neg(y);
  });
  expect(interpret(graph, { inputs: { x } }).peakBytes).toBeLessThanOrEqual(2 * ELEMENTS * 8);
});

test("in the field f32 the result of each op is rounded to its dtype, and a sum once", () => {
  const graph = graphOf((g, input) => {
    const [a, b, h] = [input("a", "f32", 2), input("b", "f64", 2), input("h", "f16", 2)];
    return [g.add(g.unary("exp", a), g.fill(1e-9, a)), g.add(b, g.fill(1e-9, b)), g.mul(h, g.fill(1 / 3, h)), g.sum(a, [0]), g.cast(b, "bf16"), g.cast(g.cast(a, "f64"), "i32")];
  });
  const a = Float64Array.of(0.1, 300.7);
  const { outputs } = interpret(graph, { inputs: { a: { dtype: "f32", shape: [2], data: a }, b: { dtype: "f64", shape: [2], data: a }, h: { dtype: "f16", shape: [2], data: Float64Array.of(1, 3) } }, field: f32Field });
  const [p, q] = [Math.fround(0.1), Math.fround(300.7)];
  expect([...outputs["out0"]!.data]).toEqual([Math.fround(Math.fround(Math.exp(p)) + Math.fround(1e-9)), Infinity]);
  expect([...outputs["out1"]!.data]).toEqual([0.1 + 1e-9, 300.7 + 1e-9]);
  // A third, as f16 holds it.
  expect([...outputs["out2"]!.data]).toEqual([0.333251953125, 1]);
  expect(outputs["out3"]!.data[0]).toBe(Math.fround(p + q));
  expect([...outputs["out4"]!.data]).toEqual([0.10009765625, 300]);
  expect([...outputs["out5"]!.data]).toEqual([0, 300]);
  // The caller's own values are as they were.
  expect([...a]).toEqual([0.1, 300.7]);
});

test("a network that rounds to whole numbers decides on interpret:f32 as targets do", async () => {
  const B = dim("B", { max: 64 });
  const scale = state(f32(), 0.1);
  // A quotient that is half a step in f32, and below it in float64.
  const quantize = entry({ x: f32(B) }, ({ x }) => ({ steps: x.div(scale).round().cast("i8"), back: x.cast("f16").cast("f32") }));
  const x = values(64).map(v => Math.fround(Math.fround(Math.round(v * 40) + 0.5) * Math.fround(0.1)));
  const of = async (target: "interpret" | "interpret:f32" | "wasm") => {
    const program = await open({ scale, quantize }, { target });
    const { steps, back } = await program.call("quantize", { x });
    await program.close();
    return { steps: numbersOf(steps), back: numbersOf(back) };
  };
  const [exact, rounded, wasm] = [await of("interpret"), await of("interpret:f32"), await of("wasm")];
  expect(rounded).toEqual(wasm);
  expect(exact.steps).not.toEqual(wasm.steps);
});
