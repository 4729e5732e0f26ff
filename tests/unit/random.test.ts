// The generator's published vectors, and the statistics of what is drawn from it.
import { expect, test } from "vitest";
import { drawWords, numberArithmetic as numbers, normalOf, streamWord, threefry, uniformOf } from "../../compiler/base/random.ts";
import { Build } from "../../compiler/graph/build.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { tensorType } from "../../compiler/graph/graph.ts";
import { interpret } from "../../compiler/graph/interpret.ts";

const ONES = 0xffffffff;

test.each([
  [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
  [[ONES, ONES], [ONES, ONES], [0x1cb996fc, 0xbb002be7]],
  [[0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
] as const)("Threefry-2x32 with 20 rounds: key %j, counter %j", (key, counter, words) => {
  expect(threefry(numbers, key, counter)).toEqual(words);
});

test("a stream's word is FNV-1a of its name", () => {
  expect(streamWord("")).toBe(0x811c9dc5);
  expect(streamWord("a")).toBe(0xe40c292c);
  expect(streamWord("foobar")).toBe(0xbf9cf968);
});

const COUNT = 50_000;
const draws = (of: (words: [number, number]) => number, stream = "s", call = 0): number[] =>
  Array.from({ length: COUNT }, (_, i) => of(drawWords(numbers, [42, 7], [streamWord(stream), call], i)));
const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
const moment = (xs: readonly number[], power: number): number => mean(xs.map(x => x ** power));

test("uniforms fill [0, 1) evenly", () => {
  const xs = draws(([w]) => uniformOf(numbers, w));
  expect(xs.every(x => x >= 0 && x < 1)).toBe(true);
  expect(mean(xs)).toBeCloseTo(1 / 2, 2);
  expect(moment(xs, 2)).toBeCloseTo(1 / 3, 2);
  const bins = new Array<number>(100).fill(0);
  for (const x of xs) bins[Math.floor(x * 100)]!++;
  const chiSquare = bins.reduce((sum, n) => sum + (n - COUNT / 100) ** 2 / (COUNT / 100), 0);
  // 99 degrees of freedom: mean 99, deviation 14.
  expect(chiSquare).toBeGreaterThan(43);
  expect(chiSquare).toBeLessThan(155);
});

test("the ends of the uniform's range", () => {
  expect(uniformOf(numbers, 0)).toBe(0);
  expect(uniformOf(numbers, ONES)).toBe(1 - 2 ** -24);
});

test("normals have the moments and the tails of a normal", () => {
  const xs = draws(w => normalOf(numbers, w));
  expect(Math.abs(mean(xs))).toBeLessThan(0.02);
  expect(Math.abs(moment(xs, 2) - 1)).toBeLessThan(0.03);
  expect(Math.abs(moment(xs, 3))).toBeLessThan(0.06);
  expect(Math.abs(moment(xs, 4) - 3)).toBeLessThan(0.15);
  const share = (over: number) => xs.filter(x => Math.abs(x) > over).length / COUNT;
  expect(share(1)).toBeCloseTo(0.3173, 1);
  expect(share(2)).toBeCloseTo(0.0455, 2);
  expect(Math.abs(share(3) - 0.0027)).toBeLessThan(0.001);
});

test("normals are Box and Muller to f32 accuracy, at the extremes too", () => {
  const words: [number, number][] = [[0, 0], [ONES, 0], [0, ONES], [ONES, ONES], [0, 0x80000000], [0, 0x40000000], [0x80000000, 0xc0000000]];
  for (let i = 0; i < 2000; i++) words.push(drawWords(numbers, [1, 2], [streamWord("s"), 3], i));
  for (const [a, b] of words) {
    const u = ((a >>> 8) + 1) / 2 ** 24;
    const expected = Math.sqrt(-2 * Math.log(u)) * Math.cos((2 * Math.PI * (b >>> 8)) / 2 ** 24);
    expect(Math.abs(normalOf(numbers, [a, b]) - expected)).toBeLessThan(3e-6);
  }
});

test("streams, calls, steps, seeds and elements draw independently", () => {
  const one = draws(([w]) => uniformOf(numbers, w) - 0.5);
  const others = [draws(([w]) => uniformOf(numbers, w) - 0.5, "t"), draws(([w]) => uniformOf(numbers, w) - 0.5, "s", 1), draws(([, w]) => uniformOf(numbers, w) - 0.5), [...one.slice(1), 0]];
  for (const other of others) {
    const correlation = mean(one.map((x, i) => x * other[i]!)) * 12;
    expect(Math.abs(correlation)).toBeLessThan(0.02);
  }
  const words = new Set([[42, 7], [43, 7], [42, 8]].map(([seed, step]) => drawWords(numbers, [seed!, step!], [streamWord("s"), 0], 0).join()));
  expect(words.size).toBe(3);
});

test("the op draws element i from block i", () => {
  const b = new GraphBuilder("draw");
  const g = new Build(b, null);
  const key = g.constant([42, 7], tensorType("u32", [2]));
  for (const kind of ["bits", "uniform", "normal"] as const) b.outputs.push({ name: kind, id: g.node("random", [key], { kind, stream: "s", call: 5, shape: [2, 3], axes: [null, null] }) });
  const { bits, uniform, normal } = interpret(b.finish(), {}).outputs;
  const words = Array.from({ length: 6 }, (_, i) => drawWords(numbers, [42, 7], [streamWord("s"), 5], i));
  expect([...bits!.data]).toEqual(words.map(w => w[0]));
  expect([...uniform!.data]).toEqual(words.map(w => uniformOf(numbers, w[0])));
  expect([...normal!.data]).toEqual(words.map(w => normalOf(numbers, w)));
});
