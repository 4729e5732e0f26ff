// The container that a command names: built from a program's module, or read.
import { SluiceError } from "../base/diagnostics.ts";
import { containerOf } from "../build.ts";
import type { CompileOptions } from "../targets.ts";
import { type ProgramOptions, settingsOf } from "./options.ts";
import { importProgram } from "./program-module.ts";

export const isContainer = (path: string): boolean => path.endsWith(".slx");

/** A program's container, for a folder or a file that is built. */
export async function containerFor(path: string, options: Pick<ProgramOptions, "set"> & CompileOptions & { readonly target: string }): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  if (isContainer(path)) {
    refuseSettings(path, options);
    const { nodeFiles } = await import("../../runtime/io/node-files.ts");
    const { readContainer } = await import("../container/read.ts");
    const bytes = await nodeFiles.read(path);
    return { name: readContainer(bytes).program.name, bytes };
  }
  const program = await importProgram(path, settingsOf(options));
  return { name: program.name, bytes: await containerOf(program, options.target, options) };
}

export function refuseSettings(path: string, { set, fusion = true }: Pick<ProgramOptions, "set" | "fusion">): void {
  if (!fusion) throw new SluiceError({ code: "CLI007", message: "a container's kernels are fixed", found: `--no-fusion on ${path}`, hint: "build it again from its program" });
  if (set.length > 0) throw new SluiceError({ code: "CLI007", message: "a container's settings are fixed", found: `--set ${set.join(" ")} on ${path}`, hint: "build it again from its program" });
}
