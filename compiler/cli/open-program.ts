// Opens what a command names: a program's module, which is traced and compiled, or a container.
import { load } from "../../runtime/index.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import type { Program } from "../../runtime/load.ts";
import { MOST_THREADS } from "../../runtime/threads.ts";
import { SluiceError } from "../base/diagnostics.ts";
import type { DimDecl, DimValues } from "../base/sizes.ts";
import { readContainer } from "../container/read.ts";
import { compiledAs, type CompileOptions, isInterpreted, machineOf, modulesOf, parseTargets, runBy, runnable, type Target } from "../targets.ts";
import { assignment, numberOf, type ProgramOptions, settingsOf } from "./options.ts";
import { isContainer, refuseSettings } from "./program-container.ts";
import { importProgram } from "./program-module.ts";

export interface OpenedForCommand {
  readonly program: Program;
  /** The dims given that are bound at each call. */
  readonly sizes: DimValues;
}

export async function openForCommand(path: string, options: ProgramOptions): Promise<OpenedForCommand> {
  const threads = options.threads === undefined ? undefined : numberOf("--threads", options.threads);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) {
    throw new SluiceError({ code: "CLI002", message: `--threads takes an integer from 1 to ${MOST_THREADS}`, found: options.threads });
  }
  const given = options.dim.map((text): readonly [string, number] => {
    const [name, value] = assignment("--dim", text);
    return [name, numberOf(`dim ${name}`, value)];
  });
  const seed = options.seed === undefined ? undefined : numberOf("--seed", options.seed);
  const common = { threads, seed, check: options.check, trace: options.trace !== undefined, validate: options.validate === true, print: (text: string) => void (options.json ? process.stderr : process.stdout).write(`${text}\n`) };
  const { cc, nvcc, cache, fusion } = options;
  const target = runnable(options.target ?? "wasm");
  if (isContainer(path)) {
    if (isInterpreted(target)) throw new SluiceError({ code: "CLI006", message: "a container has no graph to interpret", found: path, hint: "name the program's module, or leave --target out" });
    refuseSettings(path, options);
    const bytes = await nodeFiles.read(path);
    const { dims, sizes } = whenBound(given, readContainer(bytes).program.dims);
    const program = target === "wasm" ? await load(bytes, { ...common, dims })
      : await load(options.trust ? bytes : await recompiled(path, bytes, compiledAs(target), { cc, nvcc, cache }), { ...common, dims, target: runBy(target), trust: true });
    return { program, sizes };
  }
  const { open } = await import("../open.ts");
  const traced = await importProgram(path, settingsOf(options));
  const { dims, sizes } = whenBound(given, traced.dims);
  return { program: await open(traced, { ...common, dims, target, cc, nvcc, cache, fusion }), sizes };
}

/** Dims that are bound at load (or are not there, which loading refuses) and at each call. */
function whenBound(given: readonly (readonly [string, number])[], decls: readonly DimDecl[]): { readonly dims: DimValues; readonly sizes: DimValues } {
  const isOfCalls = ([name]: readonly [string, number]): boolean => decls.some(d => d.name === name && d.binding === "call");
  return { dims: Object.fromEntries(given.filter(d => !isOfCalls(d))), sizes: Object.fromEntries(given.filter(isOfCalls)) };
}

/** A container with native code made here from the kernels that it carries. */
async function recompiled(path: string, bytes: Uint8Array, target: string, options: CompileOptions): Promise<Uint8Array> {
  const { writeContainer } = await import("../container/write.ts");
  const { verifyLowering } = await import("../container/verify.ts");
  const [wanted] = parseTargets(target) as [Target];
  const machine = machineOf(wanted);
  const program = readContainer(bytes).compiled();
  const lowering = program.lowerings.findIndex(l => l.machine === machine);
  if (lowering < 0) {
    throw new SluiceError({
      code: "CLI009", message: `${path} has no kernels for ${target}`, found: program.lowerings.map(l => l.machine).join(", "), expected: machine, hint: `build it with --target ${target}, or name the program's module`,
    });
  }
  verifyLowering(program.lowerings[lowering]!);
  return writeContainer(program, await modulesOf(wanted, program.lowerings[lowering]!.kernels, lowering, options));
}
