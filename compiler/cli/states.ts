// States from a file before an entry runs: `--states net=weights.safetensors`, or, said aloud, the file that the program's
// own procedures save by default if it lies here.
import { existsSync } from "node:fs";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { readSafetensors } from "../../runtime/io/safetensors.ts";
import type { Program } from "../../runtime/load.ts";
import { SluiceError } from "../base/diagnostics.ts";

/** Sets the states that the file names; what is loaded, as text. `given` is `file` or `module=file`. */
export async function loadStates(program: Program, given: string): Promise<string> {
  const at = given.indexOf("=");
  const [prefix, path] = at < 0 ? [null, given] : [given.slice(0, at), given.slice(at + 1)];
  const { tensors } = readSafetensors(path, await nodeFiles.read(path));
  const module = prefix ?? moduleOf(program, path, [...tensors.keys()]);
  for (const [name, value] of tensors) await program.state.set(module === "" ? name : `${module}.${name}`, value);
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
      expected: outermost.length === 0 ? `names of ${states.slice(0, 6).join(", ")}` : `one of ${outermost.join(", ")}`, hint: "name the module: --states net=file.safetensors",
    });
  }
  return outermost[0]!;
}

/** The file that is taken without being named: `noiser.safetensors` for the program `noiser`, in this folder. */
export function ownStatesFile(program: Program): string | null {
  const path = `${program.info.name}.safetensors`;
  return existsSync(path) ? path : null;
}
