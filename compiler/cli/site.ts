// The folder that `sluice build --target wasm` writes: index.html, the program's container, and the browser runtime as
// plain JavaScript modules, the same files with their types blanked out. Any static web server can serve it.
import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { dirname, extname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { writeTogether } from "../../runtime/io/node-files.ts";
import { pageHtml } from "./page-html.ts";

/** TypeScript in the repository, JavaScript in the package. */
const ENDING = extname(fileURLToPath(import.meta.url));
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const ENTRIES = ["runtime/browser/page", "runtime/browser/worker-browser"];

/** Every module that the page and its worker load, by its path in the folder. */
async function browserModules(): Promise<Map<string, string>> {
  const modules = new Map<string, string>();
  const add = async (path: string): Promise<void> => {
    if (modules.has(path)) return;
    const source = await readFile(join(ROOT, path), "utf8");
    const code = ENDING === ".ts" ? withoutTypes(source) : source;
    modules.set(path, code);
    for (const [, , target] of code.matchAll(IMPORT)) await add(posix.join(posix.dirname(path), target!));
  };
  for (const entry of ENTRIES) await add(`${entry}${ENDING}`);
  return new Map([...modules].map(([path, code]) => [asJavaScript(path), code.replaceAll(IMPORT, (_, before: string, target: string) => `${before}"${asJavaScript(target)}"`)]));
}

const IMPORT = /(\bfrom\s*|\bimport\s*)"(\.[^"]+)"/g;
const asJavaScript = (path: string): string => path.replace(/\.ts$/, ".js");

function withoutTypes(source: string): string {
  // Node warns once that the function is young; the warning is not the user's concern.
  const emit = process.emitWarning;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source).replace(/^[ \t]+$/gm, "").replace(/\n{3,}/g, "\n\n");
  } finally {
    process.emitWarning = emit;
  }
}

const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);

/** Writes the folder, whole or not at all, and returns its files with their sizes. */
export async function writeSite(folder: string, name: string, container: Uint8Array): Promise<{ readonly path: string; readonly bytes: number }[]> {
  const text = new TextEncoder();
  const files: [string, Uint8Array][] = [
    ...[...(await browserModules())].map(([path, code]): [string, Uint8Array] => [`sluice/${path}`, text.encode(code)]),
    ["program.slx", container],
    ["index.html", text.encode(pageHtml(escapeHtml(name)))],
  ];
  await writeTogether(files.map(([path, bytes]) => ({ path: join(folder, path), bytes })));
  return files.map(([path, bytes]) => ({ path: relative(".", join(folder, path)).split(sep).join("/"), bytes: bytes.length }));
}
