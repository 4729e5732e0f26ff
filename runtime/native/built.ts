// Where the native runtime lies once it is built: the addon for Node, and the runner that executables start with. `npm run
// setup` builds it in the repository; the package brings its sources and builds them where it is installed.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SluiceError } from "../../compiler/base/diagnostics.ts";

const FILES = { addon: "sluice.node", runner: "runner", conformance: "conformance" } as const;

/** The root of the repository or of the package: this file is in runtime/native or dist/runtime/native. */
const ROOT = new URL(import.meta.url.endsWith(".ts") ? "../../" : "../../../", import.meta.url);
export const BUILD_COMMAND = `node ${fileURLToPath(new URL("runtime/native/build.mjs", ROOT))}`;

export const builtFile = (file: keyof typeof FILES): string | undefined => {
  const path = fileURLToPath(new URL(`build/native/${FILES[file]}`, ROOT));
  return existsSync(path) ? path : undefined;
};

/** Throws CPU007 if the native runtime has not been built. */
export function requireBuilt(file: keyof typeof FILES): string {
  const path = builtFile(file);
  if (path !== undefined) return path;
  throw new SluiceError({
    code: "CPU007", message: "the native runtime has not been built here", expected: `the ${file}, ${FILES[file]}`,
    hint: `${BUILD_COMMAND} builds it and says what it needs; --target wasm runs without it`,
  });
}
