// What the command line gives a program and gets from it: `name=file` and `name=number` as an entry's inputs, flags as a
// procedure's arguments, outputs as files in a folder or text.
import { join } from "node:path";
import { boundsText, type HostIn, named, typeText } from "../../runtime/arguments.ts";
import { PICTURE_FILE, readTensors, writeTensor } from "../../runtime/io/effects.ts";
import { nodeFiles } from "../../runtime/io/node-files.ts";
import { isPictureShape, pictureTensor } from "../../runtime/io/pictures.ts";
import type { EntryInfo } from "../../runtime/load.ts";
import type { HostPicture } from "../../runtime/procedure.ts";
import { elementCount, type HostTensor } from "../../runtime/tensor.ts";
import { SluiceError } from "../base/diagnostics.ts";
import type { DType } from "../base/dtypes.ts";
import { sizeText } from "../base/sizes.ts";
import type { TensorType } from "../graph/graph.ts";
import type { Procedure } from "../plan/procedure.ts";
import { assignment, numberOf } from "./options.ts";

export interface EntryInputs {
  readonly values: { readonly [name: string]: HostIn };
  /** Those that were pictures. */
  readonly pictures: readonly HostPicture[];
}

/** Reads the files given for an entry's inputs. */
export async function readInputs(entry: EntryInfo, given: readonly string[]): Promise<EntryInputs> {
  const types = new Map(entry.inputs.map(i => [i.name, i.type]));
  const values: { [name: string]: HostIn } = {};
  const pictures: HostPicture[] = [];
  for (const text of given) {
    const [name, source] = assignment("--input", text);
    const type = named("input", "INPUT002", name, types);
    if (!PICTURE_FILE.test(source)) values[name] = /\.(npy|safetensors)$/i.test(source) ? await readTensor(name, source, type.dtype) : numberIn(name, source);
    else {
      const picture = await pictureFor(name, type, source);
      pictures.push(picture);
      values[name] = pictureTensor(picture, type.dtype === "u8" ? "u8" : "f32");
    }
  }
  return { values, pictures };
}

/** A number where a file might stand. */
function numberIn(name: string, text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isNaN(value)) {
    throw new SluiceError({ code: "INPUT006", message: `input \`${name}\` is no number, and no file of a kind that can be read`, found: text, expected: "a picture (.png, .jpg, .webp), a tensor (.npy, .safetensors) or a number" });
  }
  return value;
}

async function readTensor(name: string, path: string, wanted: DType): Promise<HostTensor> {
  const file = await readTensors(nodeFiles, path);
  const found = file.find(name, wanted);
  if (!found) throw new SluiceError({ code: "LOAD001", message: `${path}: the file has no tensor \`${name}\``, found: file.names.slice(0, 8).join(", ") });
  return found;
}

async function pictureFor(name: string, type: TensorType, path: string): Promise<HostPicture> {
  if (!isPictureShape(type.dtype, type.shape) || type.shape[2] !== 3) {
    throw new SluiceError({ code: "INPUT004", message: `input \`${name}\` is no picture`, found: path, expected: `${typeText(type)}, from an .npy or .safetensors file` });
  }
  return nodeFiles.readPicture(path);
}

/** Outputs as files in `folder` (pictures as PNG, others as .npy), scalars and small tensors as text. */
export async function writeOutputs(outputs: { readonly [name: string]: HostTensor }, folder: string | undefined, pictures: readonly HostPicture[]): Promise<{ name: string; path: string | null; value: HostTensor }[]> {
  const only = pictures.length === 1 ? pictures[0] : undefined;
  const written: { name: string; path: string | null; value: HostTensor }[] = [];
  for (const [name, value] of Object.entries(outputs)) {
    const shown = isPictureShape(value.dtype, value.shape) && value.shape.length === 3;
    const path = value.shape.length === 0 || folder === undefined ? null : join(folder, `${name}.${shown ? "png" : "npy"}`);
    const fits = only && only.height === value.shape[0] && only.width === value.shape[1];
    if (path !== null) await writeTensor(nodeFiles, path, value, fits ? only.alpha : null);
    else if (elementCount(value.shape) > 64) {
      throw new SluiceError({ code: "CLI003", message: `output \`${name}\` is too large to print`, found: `${elementCount(value.shape)} elements`, hint: "say where files go: --out dir" });
    }
    written.push({ name, path, value });
  }
  return written;
}

/** `--steps 100 --fast` as a procedure's arguments. */
export function procedureFlags(procedure: Procedure, flags: readonly string[]): { [name: string]: number | string } {
  const known = new Map(procedure.args.map(a => [a.name, a]));
  const values: { [name: string]: number | string } = {};
  for (let i = 0; i < flags.length; i++) {
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(flags[i]!) ?? [];
    if (name === undefined) throw new SluiceError({ code: "CLI004", message: `\`${procedure.name}\` takes flags`, found: flags[i], expected: procedure.args.map(a => `--${a.name}`).join(", ") || "none" });
    const arg = named("argument", "ARG002", name, known);
    if (arg.kind === "flag") values[name] = inline === undefined ? 1 : Number(inline !== "false" && inline !== "0");
    else {
      const text = inline ?? flags[++i];
      if (text === undefined) throw new SluiceError({ code: "CLI001", message: `--${name} needs a value`, expected: arg.kind });
      values[name] = arg.kind === "int" || arg.kind === "real" ? numberOf(`--${name}`, text) : text;
    }
  }
  return values;
}

/** What a program offers, as the command line takes it. */
export function usageText(path: string, entries: readonly EntryInfo[], procedures: readonly Procedure[]): string {
  const flag = (a: Procedure["args"][number]): string =>
    `    --${a.name}${a.kind === "flag" ? "" : ` <${a.kind}>`}  ${a.help}${a.init === undefined ? "" : ` (${a.init})`}`;
  // Dims that no input has as a size.
  const free = (e: EntryInfo): string => e.dims.filter(d => !e.inputs.some(i => i.type.shape.some(s => sizeText(s) === d.name))).map(d => ` --dim ${d.name}=<${boundsText(d)}>`).join("");
  return [
    ...procedures.flatMap(p => [`  sluice run ${path} ${p.name}`, ...p.args.map(flag)]),
    ...entries.map(e => `  sluice run ${path} ${e.entry}${e.inputs.map(i => ` --input ${i.name}=<${typeText(i.type)}>`).join("")}${free(e)}  → ${e.outputs.map(o => `${o.name}: ${typeText(o.type)}`).join(", ") || "nothing"}`),
  ].join("\n");
}
