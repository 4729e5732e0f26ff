// The native runtime's own tests: they are built and run here, so that `npm test` covers them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("the words of a Vulkan device's self-tests are those that their source compiles to", () => {
  const device = (name: string): string => fileURLToPath(new URL(`../../runtime/native/device/${name}`, import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "sluice-probes-"));
  try {
    const file = join(folder, "code.h");
    const { status, stderr } = spawnSync(process.execPath, [device("vulkan-probe.mjs"), file], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(readFileSync(device("vulkan-probe-code.h"), "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the native runtime passes its tests", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["runtime/native/build.mjs", "--test"], { cwd: fileURLToPath(new URL("../../", import.meta.url)), encoding: "utf8" });
  expect(status, `${stdout}\n${stderr}`).toBe(0);
  expect(stdout).toMatch(/test cases: +\d+ \| +\d+ passed \| 0 failed/);
});
