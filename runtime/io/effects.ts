// What procedures ask of their surroundings, over anything that reads and writes files and pictures by name: a disk under
// Node, the visitor's files and downloads in a browser.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { DType } from "../../compiler/base/dtypes.ts";
import type { PerformEffect } from "../backend.ts";
import type { HostEffect, HostPicture } from "../procedure.ts";
import { type HostTensor, shapeText } from "../tensor.ts";
import { readNpy, writeNpy } from "./npy.ts";
import { pictureTensor, tensorPicture } from "./pictures.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

export interface HostFiles {
  read(path: string): Promise<Uint8Array>;
  /** All of it, or nothing. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  readPicture(path: string): Promise<HostPicture>;
  /** The format goes by the path's ending. */
  encodePicture(path: string, picture: HostPicture): Promise<Uint8Array>;
  resizePicture(picture: HostPicture, height: number, width: number): Promise<HostPicture>;
}

export const PICTURE_FILE = /\.(png|jpe?g|webp)$/i;
const endingOf = (path: string): string => /\.[^./\\]*$/.exec(path)?.[0].toLowerCase() ?? "";

/** The tensors of a file; an .npy holds one, of any name, and lists none. */
export interface TensorFile {
  readonly names: readonly string[];
  /** An .npy is made the dtype that is wanted. */
  find(name: string, wanted: DType): HostTensor | undefined;
}

export async function readTensors(files: HostFiles, path: string): Promise<TensorFile> {
  const bytes = await files.read(path);
  switch (endingOf(path)) {
    case ".npy":
      return { names: [], find: (_, wanted) => readNpy(path, bytes, wanted) };
    case ".safetensors":
      return readSafetensors(path, bytes);
    default:
      throw new SluiceError({ code: "FILE002", message: `${path}: tensors cannot be read from such a file`, expected: ".safetensors or .npy" });
  }
}

export async function writeTensor(files: HostFiles, path: string, tensor: HostTensor, alpha: Uint8Array | null): Promise<void> {
  const ending = endingOf(path);
  if (PICTURE_FILE.test(path)) await files.write(path, await files.encodePicture(path, tensorPicture(path, tensor, alpha)));
  else if (ending === ".npy") await files.write(path, writeNpy(path, tensor));
  else if (ending === ".safetensors") await files.write(path, writeSafetensors(path, new Map([["value", tensor]])));
  else throw new SluiceError({ code: "FILE002", message: `${path}: a tensor cannot be written to such a file`, expected: ".png, .jpg, .webp, .npy or .safetensors" });
}

/** Performs effects with these files. Pictures that were read lend their alpha to results of the same size. */
export function effectsOver(files: HostFiles): PerformEffect {
  const alphas = new Map<string, Uint8Array>();
  return async effect => {
    switch (effect.kind) {
      case "pixels": {
        const whole = typeof effect.picture === "string" ? await files.readPicture(effect.picture) : effect.picture;
        const picture = effect.resize ? await files.resizePicture(whole, effect.resize[0], effect.resize[1]) : whole;
        if (picture.alpha) alphas.set(`${picture.height}x${picture.width}`, picture.alpha);
        return pictureTensor(picture, effect.dtype);
      }
      case "write":
        await writeTensor(files, effect.path, effect.tensor, alphas.get(`${effect.tensor.shape[0]}x${effect.tensor.shape[1]}`) ?? null);
        return undefined;
      case "save":
        await files.write(effect.path, writeSafetensors(effect.path, effect.tensors));
        return undefined;
      case "load": case "read":
        return wantedTensors(await readTensors(files, effect.path), effect);
    }
  };
}

/** The wanted tensors, or a refusal with all that are missing and misshapen and, for `load`, those that nobody wants. */
export function wantedTensors({ names, find }: TensorFile, { kind, path, wanted }: Extract<HostEffect, { kind: "load" | "read" }>): ReadonlyMap<string, HostTensor> {
  const found = new Map<string, HostTensor>();
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const w of wanted) {
    const tensor = find(w.name, w.dtype);
    const type = `${w.dtype} ${shapeText(w.shape.map(n => (n < 0 ? "?" : n)))}`;
    if (!tensor) missing.push(`\`${w.name}\` ${type}`);
    else if (tensor.dtype !== w.dtype || tensor.shape.length !== w.shape.length || w.shape.some((n, axis) => n >= 0 && n !== tensor.shape[axis])) {
      misshapen.push(`\`${w.name}\` ${tensor.dtype} ${shapeText(tensor.shape)} instead of ${type}`);
    } else found.set(w.name, tensor);
  }
  const known = new Set(wanted.map(w => w.name));
  const extra = kind === "load" ? names.filter(name => !known.has(name)).map(name => `\`${name}\``) : [];
  const problems = [listed("missing", missing), listed("extra", extra), listed("misshapen", misshapen)].filter(part => part !== "");
  if (problems.length > 0) throw new SluiceError({ code: "LOAD001", message: `${path}: the file's tensors are not those that are wanted`, found: problems.join("; ") });
  return found;
}

const SHOWN = 8;
/** `missing: a, b`, with a count instead of what is past the eighth; empty for none. */
export const listed = (what: string, items: readonly string[]): string =>
  items.length === 0 ? "" : `${what === "" ? "" : `${what}: `}${items.slice(0, SHOWN).join(", ")}${items.length > SHOWN ? ` and ${items.length - SHOWN} more` : ""}`;
