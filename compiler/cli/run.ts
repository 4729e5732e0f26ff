// `sluice run <program> [entry|procedure]`: runs one entry on given inputs, or one procedure with its arguments as flags.
// Without a name it lists what the program has.
import { type Command, Option } from "commander";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import type { Program } from "../../runtime/load.ts";
import { tensorText } from "../../runtime/tensor.ts";
import { SluiceError } from "../base/diagnostics.ts";
import type { OpenedForCommand } from "./open-program.ts";
import { assignment, collect, INTERRUPTED, type ProgramOptions, withCompilerOptions, withProgramOptions } from "./options.ts";

interface RunCommandOptions extends ProgramOptions {
  readonly input: readonly string[];
  readonly states: readonly string[];
  readonly rename: readonly string[];
  readonly partial?: boolean;
  readonly out?: string;
}

export function addRun(program: Command): void {
  withCompilerOptions(withProgramOptions(program.command("run <program> [name] [flags...]")))
    .description("run an entry or a procedure; without a name, list them")
    .option("--input <name=file>", "a picture, .npy, .safetensors or a number for an entry's input", collect, [])
    .option("--states <[module=]file>", "states to start from, .safetensors; a module may lie in several", collect, [])
    .option("--rename <name=state>", "the state that a tensor of such a file is", collect, [])
    .option("--partial", "a part of a module's states is meant")
    .option("--out <dir>", "where outputs go: pictures as .png, other tensors as .npy")
    .option("--dim <name=value>", "a dim that is bound when the program is loaded, or one of an entry that no input has", collect, [])
    .option("--target <target>", "what runs it: wasm (the default), cpu, cpu:v3, cpu:v4, …, vulkan, cuda, vulkan:<number or name of a device>, cuda:<the same, or sm_90>, interpret, or interpret:f32")
    .option("--trust", "run the native code that a container brings, instead of compiling its kernels anew")
    .option("--threads <n>", "at most, from 1 to 1024; as many as this process may run at once by default")
    .addOption(new Option("--check <what>", "stop at the first NaN and name its line").choices(["nan"]))
    .option("--trace <file>", "where to write what happened when, for Perfetto or chrome://tracing")
    .option("--validate", "on Vulkan: under its validation layers, whose every message is an error")
    .option("--json", "one JSON object a line")
    .allowUnknownOption()
    .action(async (path: string, name: string | undefined, flags: readonly string[], options: RunCommandOptions) => {
      const interrupts = watchInterrupts();
      const { openForCommand } = await import("./open-program.ts");
      const opened = await openForCommand(path, options);
      try {
        // A run that failed has a trace too, but what is said is why it failed.
        await run(opened, path, name, flags, options, interrupts).catch(async (error: unknown) => {
          await writeTrace(opened.program, options.trace).catch(() => undefined);
          throw error;
        });
        await writeTrace(opened.program, options.trace);
      } finally {
        await opened.program.close();
        interrupts.end();
      }
    });
}

interface Interrupts {
  /** While it runs, the first Ctrl-C aborts the signal. */
  cancels<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  end(): void;
}

/** Ctrl-C ends the process with INTERRUPTED: at once, or where what is running can be cancelled, when that was done; a second time always at once. */
function watchInterrupts(): Interrupts {
  let abort: AbortController | null = null;
  const interrupt = (): void => {
    if (abort === null || abort.signal.aborted) process.exit(INTERRUPTED);
    abort.abort(new SluiceError({ code: "CLI005", message: "interrupted" }));
  };
  process.on("SIGINT", interrupt);
  return {
    cancels(work) {
      abort = new AbortController();
      return work(abort.signal);
    },
    end: () => void process.removeListener("SIGINT", interrupt),
  };
}

/** Sets the states that the files name, and says so. */
async function startFrom(program: Program, options: RunCommandOptions): Promise<void> {
  const { states, rename, partial = false } = options;
  if (states.length === 0 && rename.length === 0) return;
  const { loadStates } = await import("./states.ts");
  const loaded = await loadStates(program, states, rename.map(text => assignment("--rename", text)), partial);
  if (!options.json) process.stderr.write(loaded.map(text => `${text}\n`).join(""));
}

async function writeTrace(program: Program, path: string | undefined): Promise<void> {
  if (path !== undefined) await nodeFiles.write(path, new TextEncoder().encode(await program.trace()));
}

async function run({ program, sizes }: OpenedForCommand, path: string, name: string | undefined, flags: readonly string[], options: RunCommandOptions, interrupts: Interrupts): Promise<void> {
  const { entries, procedures } = program.info;
  const values = await import("./values.ts");
  const procedure = procedures.find(p => p.name === name);
  const entry = entries.find(e => e.entry === name);
  if (name === undefined) {
    process.stdout.write(`${program.info.name}\n${values.usageText(path, entries, procedures)}\n`);
    return;
  }
  if (!procedure && !entry) {
    throw new SluiceError({ code: "ENTRY001", message: `${path} has no entry or procedure \`${name}\``, found: name, expected: `one of ${[...procedures.map(p => p.name), ...entries.map(e => e.entry)].join(", ") || "none"}` });
  }
  if (options.target === undefined && !options.json) process.stderr.write(`${program.description}\n`);

  if (procedure) {
    const [size] = Object.entries(sizes);
    if (size) throw new SluiceError({ code: "CLI010", message: `\`${procedure.name}\` is a procedure and binds dim ${size[0]} itself`, found: `--dim ${size.join("=")}`, hint: "dims of calls are given with an entry" });
    await startFrom(program, options);
    const { progressView } = await import("./progress.ts");
    const view = await progressView(options.json === true);
    try {
      const args = values.procedureFlags(procedure, flags);
      await interrupts.cancels(signal => program.run(procedure.name, args, { signal, onProgress: view.progress, onRow: view.row }));
    } finally {
      view.finish();
    }
    return;
  }
  if (flags.length > 0) throw new SluiceError({ code: "CLI004", message: `\`${entry!.entry}\` is an entry and takes no flags`, found: flags.join(" "), hint: "its inputs are --input name=file" });
  const inputs = await values.readInputs(entry!, options.input);
  await startFrom(program, options);
  const start = performance.now();
  const outputs = await program.call(entry!.entry, inputs.values, sizes);
  const milliseconds = performance.now() - start;
  for (const { name: output, path: file, value } of await values.writeOutputs(outputs, options.out, inputs.pictures)) {
    const line = options.json ? JSON.stringify({ output, dtype: value.dtype, shape: value.shape, ...(file === null ? { data: [...value.data] } : { path: file }) }) : `${output}: ${file ?? tensorText(value)}`;
    process.stdout.write(`${line}\n`);
  }
  if (!options.json) process.stderr.write(`took ${milliseconds.toFixed(1)} ms\n`);
}
