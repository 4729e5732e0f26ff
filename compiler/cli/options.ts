// Options that commands share, and how their text is read.
import type { Command } from "commander";
import { SluiceError } from "../base/diagnostics.ts";

export interface ProgramOptions {
  readonly set: readonly string[];
  readonly dim: readonly string[];
  readonly target?: string;
  readonly trust?: boolean;
  readonly cc?: string;
  readonly nvcc?: string;
  readonly cache?: string;
  readonly fusion?: boolean;
  readonly threads?: string;
  readonly seed?: string;
  readonly check?: "nan";
  readonly trace?: string;
  readonly validate?: boolean;
  readonly json?: boolean;
}
/** The exit code of a process that was interrupted: 128 and the number of the signal, as shells have it. */
export const INTERRUPTED = 130;

export const collect = (value: string, before: readonly string[]): string[] => [...before, value];

export const withSettingsOption = (command: Command): Command => command.option("--set <name=value>", "a setting, read before the program is traced", collect, []);
/** Options of every command that opens a program to run it. */
export const withProgramOptions = (command: Command): Command => withSettingsOption(command).option("--seed <n>", "of the random streams");

export const withFusionOption = (command: Command): Command => command.option("--no-fusion", "make every op a kernel of its own, to compare with");
/** Options of every command that compiles a program. */
export const withCompilerOptions = (command: Command): Command =>
  withFusionOption(command).option("--cc <path>", "the C compiler of cpu targets").option("--nvcc <path>", "NVIDIA's compiler, of cuda targets").option("--cache <dir>", "where compiled kernels are kept");

/** `a=1` as a pair. */
export function assignment(option: string, text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new SluiceError({ code: "CLI001", message: `${option} takes name=value`, found: text });
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Decimal digits with a point and an exponent, or an infinity: what executables take too. */
export const numberOf = (what: string, text: string): number => {
  const value = /^[-+.\deE]+$|^-?Infinity$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new SluiceError({ code: "CLI002", message: `${what} is no number`, found: text });
  return value;
};

/** What --set gives, by name. */
export const settingsOf = ({ set }: Pick<ProgramOptions, "set">): { [name: string]: string } => Object.fromEntries(set.map(text => assignment("--set", text)));
