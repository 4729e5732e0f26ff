#!/usr/bin/env node
// The command `sluice`. Modules are kept for the next start as they were compiled, without their types; for that they are
// imported after this is asked for, and this file has no types itself. Nothing is imported by name before the version of
// Node is known: an older one would say that the name is missing, and not why.
import process from "node:process";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`error NODE001: this Node does not run TypeScript, which programs are written in
  found:    Node ${process.versions.node}, ${process.execPath}
  expected: Node 22.18 or newer
  hint:     install Node 24 (https://nodejs.org), or add it to your project: npm install node@24; in Sluice's own repository: npm run sluice -- <command>
`);
  process.exitCode = 1;
} else {
  const { enableCompileCache } = await import("node:module");
  enableCompileCache();
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
}
