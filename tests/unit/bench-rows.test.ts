// Rows of the benchmarks: when a goal counts as met, and that nothing which was not measured does.
import { expect, test } from "vitest";
import { largestDifference } from "../bench/harness/participant.ts";
import { readTallies, tallyText } from "../support/conformance-reporter.ts";
import { countsRow, limitRow, notRunRow, tableText, timesRow, timingOf } from "../bench/harness/rows.ts";

const [fast, slow] = [timingOf([5, 4, 9]), timingOf([12, 10, 11])];
const common = { suite: "s", row: "r", peerName: "p", factor: 2.5 };

test("a time is met when the peer takes as many times as long as the goal says", () => {
  expect(fast).toEqual({ best: 4, median: 5 });
  expect(timesRow({ ...common, ours: fast, peer: slow })).toMatchObject({ ours: 4, peer: 10, ratio: 2.5, goal: "≥ 2.5×", met: true, medians: { ours: 5, peer: 11 } });
  expect(timesRow({ ...common, ours: slow, peer: fast })).toMatchObject({ ratio: 0.4, met: false });
  expect(timesRow({ ...common, factor: undefined, ours: slow, peer: fast })).toMatchObject({ goal: "", met: null });
});

test("a peer that is not installed, or a time that is missing, never meets a goal", () => {
  expect(timesRow({ ...common, ours: fast, peer: { why: "p: peer not installed" } })).toMatchObject({ peer: null, ratio: null, met: false, note: "p: peer not installed" });
  expect(timesRow({ ...common, ours: { why: "broken" }, peer: slow })).toMatchObject({ ours: null, met: false, note: "broken" });
  expect(limitRow({ suite: "s", row: "r", unit: "ms", limit: 10, ours: { why: "broken" } })).toMatchObject({ ours: null, met: false });
  expect(timesRow({ ...common, ours: timingOf([]), peer: slow }).met).toBe(false);
});

test("a limit holds up to itself", () => {
  expect(limitRow({ suite: "s", row: "r", unit: "ms", limit: 10, ours: 10 })).toMatchObject({ goal: "≤ 10 ms", met: true });
  expect(limitRow({ suite: "s", row: "r", unit: "ms", limit: 10, ours: 10.1 }).met).toBe(false);
  expect(limitRow({ suite: "s", row: "r", unit: "ms", limit: 10, ours: Number.NaN }).met).toBe(false);
});

test("what has no limit is reported, what is counted is better if fewer, and a goal that was not run for is neither met nor missed", () => {
  expect(limitRow({ suite: "s", row: "r", unit: "µs", ours: 3 })).toMatchObject({ ours: 3, goal: "", met: null });
  expect(countsRow({ suite: "s", row: "r", unit: "kernels", ours: 6, peer: 30, peerName: "unfused" })).toMatchObject({ ratio: 5, met: null });
  expect(notRunRow("s", "r", "≥ 2×", { why: "no GPU" })).toMatchObject({ ours: null, goal: "≥ 2×", met: null, note: "not run: no GPU" });
});

test("what the conformance suite prints is read again", () => {
  const tallies = [{ target: "cuda, host shim", ran: 60, passed: 59 }, { target: "wasm", ran: 7, passed: 7 }];
  expect(readTallies(`Tests 3\n${tallies.map(({ target, ...tally }) => tallyText(target, tally)).join("\n")}\nend`)).toEqual(tallies);
});

test("outputs of other lengths, and NaN, are infinitely far apart", () => {
  expect(largestDifference(Float32Array.of(1, 2), Float32Array.of(1, 4))).toBe(2);
  expect(largestDifference(Float32Array.of(1), Float32Array.of(1, 4))).toBe(Infinity);
  expect(largestDifference(Float32Array.of(1, Number.NaN), Float32Array.of(1, 4))).toBe(Infinity);
});

test("the table lines up, with notes below", () => {
  const lines = tableText([timesRow({ ...common, ours: fast, peer: { why: "none" } })]).split("\n");
  expect(lines[0]!.indexOf("ours") + 4).toBe(lines[1]!.indexOf("4.00 ms") + 7);
  expect(lines[2]).toBe("  r: none");
});
