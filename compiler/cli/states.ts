// States from a file before anything runs: `--states net=weights.safetensors`.
import { exactSize } from "../base/sizes.ts";
import { wantedTensors } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { readSafetensors } from "../../runtime/io/safetensors.ts";
import type { Program } from "../../runtime/load.ts";
import { SluiceError } from "../base/diagnostics.ts";

/** Names of tensors in files and the whole names of the states that they are. */
export type Renamed = readonly (readonly [tensor: string, state: string])[];

/** Sets the states that the file names, once all of them fit; what was loaded, as text. `given` is `file` or `module=file`. */
export async function loadStates(program: Program, given: string, renamed: Renamed): Promise<string> {
  const at = given.indexOf("=");
  const [prefix, path] = at < 0 ? [null, given] : [given.slice(0, at), given.slice(at + 1)];
  const file = readSafetensors(path, await nodeFiles.read(path));
  // A tensor that is renamed has its state's whole name; the others are a module's.
  const { names } = file;
  const renames = new Map(renamed.toReversed());
  const plain = names.filter(name => !renames.has(name));
  const module = prefix ?? (plain.length === 0 ? "" : moduleOf(program, path, plain));
  const states = new Map(program.info.states.map(s => [s.name, s.type]));
  const targets = names.map(name => [name, renames.get(name) ?? (module === "" ? name : `${module}.${name}`)] as const);
  const extra = targets.filter(([, state]) => !states.has(state)).map(([name, state]) => `\`${name}\` for \`${state}\``);
  if (extra.length > 0) throw new SluiceError({ code: "LOAD001", message: `${path}: the file has tensors that are no states of \`${program.info.name}\``, found: extra.join(", ") });
  const wanted = targets.map(([name, state]) => {
    const { dtype, shape } = states.get(state)!;
    return { name, dtype, shape: shape.map(s => exactSize(s, program.dims) ?? -1) };
  });
  // All of them fit before the first is set.
  const found = wantedTensors(file, { kind: "read", path, wanted });
  for (const [name, state] of targets) await program.state.set(state, found.get(name)!);
  return `${module || "states"} from ${path}`;
}

/** The module whose states the file's names are: "" if they are whole names. Of several the outermost. */
function moduleOf(program: Program, path: string, names: readonly string[]): string {
  const states = program.info.states.map(s => s.name);
  const [first] = names;
  const prefixes = first === undefined ? [] : states.filter(s => s === first || s.endsWith(`.${first}`)).map(s => s.slice(0, Math.max(0, s.length - first.length - 1)));
  const fitting = prefixes.filter(p => names.every(n => states.includes(p === "" ? n : `${p}.${n}`)));
  const depth = (p: string): number => (p === "" ? 0 : p.split(".").length);
  const least = Math.min(...fitting.map(depth));
  const outermost = fitting.filter(p => depth(p) === least);
  if (outermost.length !== 1) {
    throw new SluiceError({
      code: "STATE105", message: `${path} fits ${outermost.length === 0 ? "no module" : "several modules"} of \`${program.info.name}\``, found: names.slice(0, 4).join(", "),
      expected: outermost.length === 0 ? `names of ${states.slice(0, 6).join(", ")}` : `one of ${outermost.join(", ")}`, hint: "name the module: --states net=file.safetensors; or single tensors: --rename name=state",
    });
  }
  return outermost[0]!;
}
