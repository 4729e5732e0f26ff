// What a procedure logs reaches whoever runs it, on a terminal and where there is none, by `sluice run` and by an executable;
// and Ctrl-C ends what runs, with the exit code that shells have for it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TEST_CACHE } from "../support/native-kernels.ts";

const program = resolve("tests/executable/rows.ts");
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-rows-"));
  const { status, stderr } = spawnSync(process.execPath, ["compiler/cli/sluice.js", "build", program, "-o", join(folder, "rows"), "--cache", TEST_CACHE], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

const commands: readonly (readonly [string, (...args: readonly string[]) => readonly string[]])[] = [
  ["sluice run", (...args) => [process.execPath, resolve("compiler/cli/sluice.js"), "run", program, ...args, "--threads", "1"]],
  ["an executable", (...args) => [join(folder, "rows"), ...args, "--threads", "1"]],
];

describe.each(commands)("%s", (_, command) => {
  test("where there is no terminal every row is a line, in order", () => {
    const [file, ...args] = command("count", "--times", "3") as [string, ...string[]];
    const { status, stdout, stderr } = spawnSync(file, args, { encoding: "utf8" });
    expect([status, stdout]).toEqual([0, ""]);
    const lines = stderr.trim().split("\n");
    expect(lines.filter(line => /^[a-z]+ \d+$/.test(line))).toEqual(["before 1", "sum 3", "sum 3", "sum 3", "after 2", "last 3"]);
    expect(lines.filter(line => /^3\/3 {2}[\d.]+\/s {2}took \d+ s$/.test(line))).toHaveLength(1);
  });

  test.skipIf(spawnSync("script", ["--version"]).status !== 0)("on a terminal a bar has what is logged in the loop, and the other rows are lines", () => {
    const quoted = command("count", "--times", "3").map(word => `'${word}'`).join(" ");
    const { status, stdout } = spawnSync("script", ["-qec", quoted, "/dev/null"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
    expect(status).toBe(0);
    expect(stdout).toMatch(/before 1\r?\n[\s\S]*3\/3 {2}sum 3 {2}[\d.]+\/s[\s\S]*\n[\s\S]*after 2\r?\n[\s\S]*last 3\r?\n/);
  });

  test.each([["a loop that calls nothing", "spin", /spinning 1/], ["a call that takes minutes", "long", /(wasm|cpu), 1 thread/]])("Ctrl-C ends %s with 130", async (_, name, started) => {
    const [file, ...args] = command(name) as [string, ...string[]];
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const said = (more: string): void => {
      const before = started.test(text);
      text += more;
      if (!before && started.test(text)) child.kill("SIGINT");
    };
    child.stdout.setEncoding("utf8").on("data", said);
    child.stderr.setEncoding("utf8").on("data", said);
    const [code] = await once(child, "close") as [number];
    expect(code, text).toBe(130);
    expect(text).not.toMatch(/internal error|\n\s+at /);
  });
});
