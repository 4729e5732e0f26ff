// Programs are found, imported and traced, and what is wrong with one is said at the user's line.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { importProgram } from "../../compiler/cli/program-module.ts";

let folder = "";
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "sluice-program-"))));
afterAll(() => rm(folder, { recursive: true }));

const failure = async (path: string): Promise<string> => {
  try {
    await importProgram(path);
  } catch (e) {
    if (e instanceof SluiceError) return e.message;
    throw e;
  }
  throw new Error("was imported");
};

describe("a program", () => {
  it("is a folder with index.ts or the file itself, named after it", async () => {
    const program = await importProgram("dsl-examples/noiser");
    expect(program.name).toBe("noiser");
    expect(program.entries.map(e => e.name).sort()).toEqual(["enhance", "learn"]);
    expect((await importProgram("dsl-examples/noiser/index.ts")).name).toBe("noiser");
  });
  it.each([
    ["a path that is not there", "missing.ts", null, ["PROGRAM002", "there is no file or folder"]],
    ["a folder without index.ts", "empty", null, ["PROGRAM002", "has no index.ts"]],
    ["a file of another kind", "notes.txt", "hello", ["PROGRAM002", "is no program", ".txt"]],
    ["a module that exports no entry", "plain.mjs", "export const x = 1;", ["PROGRAM001", "plain exports no entry"]],
    ["a module that throws", "throws.mjs", "\nnull.x;", ["PROGRAM003", "throws.mjs:2:6", "Cannot read properties of null"]],
    ["a module with a syntax error", "syntax.mjs", "const = 3;", ["PROGRAM003", "syntax.mjs cannot be loaded"]],
    ["a package that is not installed", "imports.mjs", "import \"no-such-package\";", ["PROGRAM003", "npm install no-such-package"]],
    ["a file that imports one that is not there", "relative.mjs", "import \"./nowhere.mjs\";", ["PROGRAM003", "nowhere.mjs"]],
  ])("refuses %s", async (_, name, text, said) => {
    const path = join(folder, name);
    if (text !== null) await writeFile(path, text);
    if (name === "empty") await mkdir(path);
    const message = await failure(path);
    for (const part of said) expect(message).toContain(part);
  });
});
