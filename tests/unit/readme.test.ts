// The README shows programs that run: the second is the file that it names, the unit test stands below, and the others run in
// the test of the package.
import { readFileSync } from "node:fs";
import { open } from "sluice";
import { expect, test } from "vitest";
import * as disc from "../../dsl-examples/disc.ts";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const programs = [...read("README.md").matchAll(/```ts\n(.*?)```/gs)].map(([, program]) => program!);

test("the program as a module is dsl-examples/disc.ts", () => expect(programs[1]).toBe(read("dsl-examples/disc.ts")));
test("the unit test is the one below", () => expect(read("tests/unit/readme.test.ts")).toContain(programs[3]));

test("a point has one probability", async () => {
  const program = await open(disc, { target: "interpret" });
  const { inside } = await program.call("classify", { x: [[0, 0]] });
  expect(inside.shape).toEqual([1, 1]);
});
