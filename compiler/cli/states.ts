// States from files before anything runs: `--states net=weights.safetensors`. Files are read together, so that a model may lie
// in several; a module that they have only a part of is refused, unless parts are meant.
import { listed, wantedTensors } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { readSafetensors, type SafetensorsFile } from "../../runtime/io/safetensors.ts";
import type { Program } from "../../runtime/load.ts";
import type { HostTensor } from "../../runtime/tensor.ts";
import { SluiceError } from "../base/diagnostics.ts";
import { nearestNames, nearestText } from "../base/names.ts";
import { exactSize } from "../base/sizes.ts";

/** Names of tensors in files and the whole names of the states that they are. */
export type Renamed = readonly (readonly [tensor: string, state: string])[];

interface Opened {
  readonly path: string;
  /** Of `module=file`. */
  readonly prefix: string | null;
  readonly file: SafetensorsFile;
}

/** One file and the states that its tensors are. */
interface Source extends Omit<Opened, "prefix"> {
  /** The module whose states the file's names are; "" if they are whole names. */
  readonly module: string;
  readonly states: readonly (readonly [tensor: string, state: string])[];
}

const within = (module: string, name: string): string => (module === "" ? name : `${module}.${name}`);

/** Sets the states that the files name, once all of them fit; what was loaded, as texts. Each is `file` or `module=file`. */
export async function loadStates(program: Program, given: readonly string[], renamed: Renamed, isPartial: boolean): Promise<string[]> {
  const files: Opened[] = [];
  for (const text of given) files.push(await openedFile(text));
  refuseUnusedNames(files, renamed);
  const sources = files.map(file => sourceOf(program, file, renamed));
  if (!isPartial) refuseParts(program, sources);
  const found = new Map<string, HostTensor>();
  for (const { path, states, file } of sources) {
    const types = new Map(program.info.states.map(s => [s.name, s.type]));
    const wanted = states.map(([name, state]) => {
      const { dtype, shape } = types.get(state)!;
      return { name, dtype, shape: shape.map(s => exactSize(s, program.dims) ?? -1) };
    });
    const tensors = wantedTensors(file, { kind: "read", path, wanted });
    for (const [name, state] of states) {
      if (found.has(state)) throw new SluiceError({ code: "LOAD003", message: `${path}: state \`${state}\` is given twice`, found: `\`${name}\`` });
      found.set(state, tensors.get(name)!);
    }
  }
  for (const [state, tensor] of found) await program.state.set(state, tensor);
  return sources.map(({ path, module }) => `${module || "states"} from ${path}`);
}

async function openedFile(given: string): Promise<Opened> {
  const at = given.indexOf("=");
  const [prefix, path] = at < 0 ? [null, given] : [given.slice(0, at), given.slice(at + 1)];
  return { path, prefix, file: readSafetensors(path, await nodeFiles.read(path)) };
}

function sourceOf(program: Program, { path, prefix, file }: Opened, renamed: Renamed): Source {
  // A tensor that is renamed has its state's whole name; the others are a module's.
  const renames = new Map(renamed.toReversed());
  const plain = file.names.filter(name => !renames.has(name));
  const module = prefix ?? (plain.length === 0 ? "" : moduleOf(program, path, plain));
  const states = file.names.map(name => [name, renames.get(name) ?? within(module, name)] as const);
  const known = program.info.states.map(s => s.name);
  const names = new Set(known);
  const extra = states.filter(([, state]) => !names.has(state));
  if (extra.length > 0) {
    throw new SluiceError({
      code: "LOAD001", message: `${path}: the file has tensors that are no states of \`${program.info.name}\``, found: listed("", extra.map(([name, state]) => `\`${name}\` for \`${state}\``)), expected: nearestText(extra[0]![1], known),
    });
  }
  return { path, module, states, file };
}

function refuseUnusedNames(files: readonly Opened[], renamed: Renamed): void {
  const names = files.flatMap(f => f.file.names);
  const unused = renamed.find(([tensor]) => !names.includes(tensor));
  if (unused) throw new SluiceError({ code: "LOAD002", message: `--rename ${unused.join("=")} names no tensor of ${files.map(f => f.path).join(", ") || "a file, since there is none"}`, found: unused[0], expected: nearestText(unused[0], names) });
}

/** A module that a file names, or one of whose states it does, is there as a whole. */
function refuseParts(program: Program, sources: readonly Source[]): void {
  const loaded = new Set(sources.flatMap(s => s.states.map(([, state]) => state)));
  const modules = new Set(sources.flatMap(({ module, states }) => (module === "" ? states.map(([, state]) => state.split(".")[0]!) : states.length > 0 ? [module] : [])));
  for (const module of modules) {
    const missing = program.info.states.map(s => s.name).filter(name => (name === module || name.startsWith(`${module}.`)) && !loaded.has(name));
    if (missing.length === 0) continue;
    throw new SluiceError({
      code: "LOAD004", message: `${sources.map(s => s.path).join(", ")}: only a part of \`${module}\` is there`, found: listed("missing", missing.map(name => `\`${name}\``)), hint: "--partial says that a part is meant; what is missing keeps its first value",
    });
  }
}

/** The module whose states the file's names are: "" if they are whole names. Of several the outermost. */
function moduleOf(program: Program, path: string, names: readonly string[]): string {
  const states = program.info.states.map(s => s.name);
  const [first] = names;
  const prefixes = first === undefined ? [] : states.filter(s => s === first || s.endsWith(`.${first}`)).map(s => s.slice(0, Math.max(0, s.length - first.length - 1)));
  const fitting = prefixes.filter(p => names.every(n => states.includes(within(p, n))));
  const depth = (p: string): number => (p === "" ? 0 : p.split(".").length);
  const least = Math.min(...fitting.map(depth));
  const outermost = [...new Set(fitting.filter(p => depth(p) === least))];
  if (outermost.length !== 1) {
    throw new SluiceError({
      code: "STATE105", message: `${path} fits ${outermost.length === 0 ? "no module" : "several modules"} of \`${program.info.name}\``, found: names.slice(0, 4).join(", "),
      expected: outermost.length === 0 ? `names of ${nearestNames(first!, states, 6).join(", ")}` : `one of ${outermost.join(", ")}`, hint: "name the module: --states net=file.safetensors; or single tensors: --rename name=state",
    });
  }
  return outermost[0]!;
}
