// The command line: one file per command. Exit codes: 0 done, 1 what the user gave is wrong (one clear message), 2 a fault
// of ours (with its stack, for the report), 130 interrupted.
import { Command, CommanderError } from "commander";
import { SluiceError } from "../base/diagnostics.ts";
import { INTERRUPTED } from "./options.ts";

type Add = (program: Command) => void;
const COMMANDS: { readonly [name: string]: () => Promise<Add> } = {
  run: async () => (await import("./run.ts")).addRun,
  build: async () => (await import("./build.ts")).addBuild,
  opt: async () => (await import("./opt.ts")).addOpt,
  doctor: async () => (await import("./doctor.ts")).addDoctor,
};

export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("sluice").description("Traces, compiles and runs dataflow programs.").version("0.1.0").exitOverride();
  // What the others need is loaded only where all of them are listed.
  const wanted = Object.keys(COMMANDS).filter(name => name === args[0]);
  for (const name of wanted.length > 0 ? wanted : Object.keys(COMMANDS)) (await COMMANDS[name]!())(program);
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 || error.code === "commander.help" ? 0 : 1;
    if (error instanceof SluiceError) {
      process.stderr.write(`${error.message}\n`);
      return error.diagnostic.code === "CLI005" ? INTERRUPTED : 1;
    }
    process.stderr.write(`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 2;
  }
}
