#!/usr/bin/env node
// The command line: one file per command. Exit codes: 0 done, 1 what the user gave is wrong (one clear message), 2 a fault
// of ours (with its stack, for the report).
import { enableCompileCache } from "node:module";
import { Command, CommanderError } from "commander";
import { SluiceError } from "../base/diagnostics.ts";
import { addBuild } from "./build.ts";
import { addDoctor } from "./doctor.ts";
import { addOpt } from "./opt.ts";
import { addRun } from "./run.ts";

export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("sluice").description("Traces, compiles and runs dataflow programs.").version("0.1.0").exitOverride();
  for (const add of [addRun, addBuild, addOpt, addDoctor]) add(program);
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 || error.code === "commander.help" ? 0 : 1;
    if (error instanceof SluiceError) {
      process.stderr.write(`${error.message}\n`);
      return 1;
    }
    process.stderr.write(`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 2;
  }
}

// Modules without their types are kept for the next start.
enableCompileCache();
if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
