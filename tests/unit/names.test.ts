// What an error offers for a name or a pattern that matches nothing.
import { expect, test } from "vitest";
import { nearestNames, nearestText } from "../../compiler/base/names.ts";

const states = ["net.in.weight", "net.in.bias", "net.blocks.0.fc.weight", "net.blocks.0.fc.bias", "table"];

test("the name that differs in the fewest characters comes first", () => {
  expect(nearestNames("net.in.wieght", states)[0]).toBe("net.in.weight");
  expect(nearestNames("tabel", states)[0]).toBe("table");
  expect(nearestNames("NET.IN.BIAS", states)[0]).toBe("net.in.bias");
});

test("a name whose path is missing finds those that end in it", () => {
  expect(nearestNames("weight", states, 2)).toEqual(["net.in.weight", "net.blocks.0.fc.weight"]);
  expect(nearestNames("fc.bias", states, 2)).toEqual(["net.in.bias", "net.blocks.0.fc.bias"]);
});

test("stars of a pattern stand for anything, so that a pattern with one star too few finds what two would", () => {
  expect(nearestNames("*.weight", states, 2).sort()).toEqual(["net.blocks.0.fc.weight", "net.in.weight"]);
  expect(nearestNames("net.*.wight", states, 2).sort()).toEqual(["net.blocks.0.fc.weight", "net.in.weight"]);
});

test("equally similar names stand in their own order, and text says how many more there are", () => {
  expect(nearestNames("x", ["a", "b", "c"])).toEqual(["a", "b", "c"]);
  expect(nearestText("tabel", states, 1)).toBe("table, … (4 more)");
  expect(nearestText("x", [])).toBe("none");
});
