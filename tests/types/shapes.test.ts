// The types of the DSL: `shapes.ts` and every example are checked by tsc; the time that takes is printed (goal: under 2 s).
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tsc = (...args: readonly string[]) => spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", ...args], { cwd: root, encoding: "utf8" });

test("wrong shapes are refused and right ones have the right type, in shapes.ts and in every example", () => {
  const start = performance.now();
  const { stdout, stderr } = tsc("--noEmit", "-p", "tests/types");
  console.info(`type check of all examples: ${((performance.now() - start) / 1000).toFixed(2)} s`);
  expect(stdout + stderr).toBe("");
});

test("the examples are among what is checked", () => {
  const files = tsc("--noEmit", "--listFilesOnly", "-p", "tests/types").stdout;
  expect(files).toContain("dsl-examples/noiser/index.ts");
  expect(files).toContain("tests/types/shapes.ts");
});
