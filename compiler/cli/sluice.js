#!/usr/bin/env node
// The command `sluice`. Modules are kept for the next start as they were compiled, without their types; for that they are
// imported after this is asked for, and this file has no types itself.
import { enableCompileCache } from "node:module";

enableCompileCache();
const { main } = await import("./main.ts");
process.exitCode = await main(process.argv.slice(2));
