// The README shows programs that run. The first runs in the test of the package; the second is the file that it names.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the program as a module is dsl-examples/disc.ts", () => {
  const [, , second] = /```ts\n(.*?)```.*?```ts\n(.*?)```/s.exec(read("README.md")) ?? [];
  expect(second).toBe(read("dsl-examples/disc.ts"));
});
