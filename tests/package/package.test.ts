// The package as others get it: packed, installed from the tarball in a project of its own, and used from there. Packing
// rewrites package.json for a moment, so it is done in a copy.
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder = "";
let project = "";
/** As a user has it: the Node that runs this, the machine's own variables, and no settings of npm's from here. */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS$|VITEST|NODE_ENV$)/i.test(name))),
  PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
  npm_config_update_notifier: "false",
};
const run = (cwd: string, command: string, ...args: readonly string[]): { code: number | null; out: string; err: string } => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
};
/** The README's program of that number. */
const readmeProgram = async (n: number): Promise<string> => [...(await readFile("README.md", "utf8")).matchAll(/```ts\n(.*?)```/gs)][n]![1]!;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-package-"));
  const copy = join(folder, "copy");
  for (const part of ["compiler", "runtime", "kernels", "docs", "README.md", "package.json", "tsconfig.json", "tsconfig.build.json"]) await cp(part, join(copy, part), { recursive: true });
  await symlink(join(process.cwd(), "node_modules"), join(copy, "node_modules"));
  const packed = run(copy, "npm", "pack", "--pack-destination", folder);
  expect(packed.code, packed.err).toBe(0);
  project = join(folder, "project");
  await mkdir(project);
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  const tarball = (await readdir(folder)).find(name => name.endsWith(".tgz"))!;
  const installed = run(project, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", join(folder, tarball));
  expect(installed.code, installed.err).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

test("it ships JavaScript and types, and no TypeScript sources", async () => {
  const files = await readdir(join(project, "node_modules", "sluice"), { recursive: true });
  expect(files.filter(f => f.endsWith(".ts") && !f.endsWith(".d.ts"))).toEqual([]);
  expect(files).toContain(join("dist", "compiler", "index.js"));
  expect(files).toContain(join("dist", "compiler", "index.d.ts"));
  const { scripts, devDependencies } = JSON.parse(await readFile(join(project, "node_modules", "sluice", "package.json"), "utf8")) as { scripts?: unknown; devDependencies?: unknown };
  expect([scripts, devDependencies]).toEqual([undefined, undefined]);
});

test("the README's first program runs under plain node", async () => {
  await writeFile(join(project, "line.ts"), await readmeProgram(0));
  expect(run(project, "node", "line.ts")).toEqual({ code: 0, out: "slope 3.000\n", err: "" });
});

test("so do its other programs: a module used from TypeScript, and a transform of one's own", async () => {
  await writeFile(join(project, "disc.ts"), await readmeProgram(1));
  await writeFile(join(project, "use.ts"), await readmeProgram(2));
  await writeFile(join(project, "transform.ts"), await readmeProgram(4));
  const used = run(project, "node", "use.ts");
  expect(used).toEqual({ code: 0, out: expect.stringMatching(/^(\[ \{ name: 'loss', value: 0\.0\d+ \} \]\n){5}$/), err: "" });
  expect(await readdir(project)).toContain("disc.safetensors");
  expect(run(project, "node", "transform.ts")).toEqual({ code: 0, out: "", err: "" });
});

test("its types are checked with the package's", async () => {
  const right = ["line.ts", "disc.ts", "use.ts", "transform.ts"];
  for (const [i, n] of [0, 1, 2, 4].entries()) await writeFile(join(project, right[i]!), await readmeProgram(n));
  await writeFile(join(project, "wrong.ts"), `import type { F32 } from "sluice";\nexport const sum = (x: F32<["B", 784]>, y: F32<["B", 10]>) => x.add(y);\n`);
  const tsc = (...files: readonly string[]) => run(project, "node", join(process.cwd(), "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--noUncheckedIndexedAccess", "--allowImportingTsExtensions", "--target", "esnext", "--module", "nodenext", ...files);
  expect(tsc(...right)).toEqual({ code: 0, out: "", err: "" });
  expect(tsc("wrong.ts").out).toContain("add: [B, 784] with [B, 10]: 784 against 10");
});

test("the command line runs a user's program, and an error names the user's line", async () => {
  await writeFile(join(project, "double.ts"), `import { dim, entry, f32, settings } from "sluice";\nconst { by } = settings({ by: 2 });\nexport const scale = entry({ x: f32(dim("N", { max: 8 })) }, ({ x }) => ({ y: x.mul(by) }));\n`);
  await writeFile(join(project, "wrong.js"), `import { entry, f32 } from "sluice";\nexport const add = entry({ x: f32(3), y: f32(4) }, ({ x, y }) => ({ z: x.add(y) }));\n`);
  const sluice = (...args: readonly string[]) => run(project, join("node_modules", ".bin", "sluice"), ...args);
  expect(sluice("run", "double.ts", "--set", "by=3").out).toContain("sluice run double.ts scale --input x=<f32 [N]>");
  expect(sluice("run", "wrong.js", "add")).toEqual({ code: 1, out: "", err: `wrong.js:2:74: error SHAPE002: add: shapes [3] and [4] do not broadcast
  found:    3 against 4 at the last axis
  expected: equal sizes, or 1, counting axes from the right
  hint:     a size of 1 repeats: unsqueeze makes one; rearrange and reshape move what is there
` });
  const built = sluice("build", "double.ts", "--target", "wasm", "-o", "site");
  expect(built.err).toBe("");
  expect(await readdir(join(project, "site"))).toEqual(["index.html", "program.slx", "sluice"]);
});
