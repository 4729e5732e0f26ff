// The native runtime's own tests: they are built and run here, so that `npm test` covers them.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const BUILD_MS = 900_000;

test("the native runtime passes its tests", { timeout: BUILD_MS }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["runtime/native/build.mjs", "--test"], { cwd: fileURLToPath(new URL("../../", import.meta.url)), encoding: "utf8" });
  expect(status, `${stdout}\n${stderr}`).toBe(0);
  expect(stdout).toMatch(/test cases: +\d+ \| +\d+ passed \| 0 failed/);
});
