// What procedures ask of their surroundings, over anything that reads and writes files and pictures by name: a disk under
// Node, the visitor's files and downloads in a browser.
import type { DType } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { PerformEffect } from "../backend.ts";
import type { HostPicture } from "../procedure.ts";
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

/** Every tensor of a file by name; an .npy holds one, of any name. */
export async function readTensors(files: HostFiles, path: string): Promise<(name: string) => HostTensor | undefined> {
  const bytes = await files.read(path);
  switch (endingOf(path)) {
    case ".npy": {
      const tensor = readNpy(path, bytes);
      return () => tensor;
    }
    case ".safetensors": {
      const { tensors } = readSafetensors(path, bytes);
      return name => tensors.get(name);
    }
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
      case "load": case "read": {
        const find = await readTensors(files, effect.path);
        if (effect.kind === "load") await refuseStrangers(files, effect.path, effect.wanted.map(w => w.name));
        return new Map(effect.wanted.map(w => [w.name, fitting(effect.path, w, find(w.name))]));
      }
    }
  };
}

/** Weights of another program, or of another version of this one, must not pass unnoticed. */
async function refuseStrangers(files: HostFiles, path: string, wanted: readonly string[]): Promise<void> {
  if (endingOf(path) !== ".safetensors") return;
  const strangers = [...readSafetensors(path, await files.read(path)).tensors.keys()].filter(name => !wanted.includes(name));
  if (strangers.length > 0) {
    throw new SluiceError({ code: "LOAD001", message: `${path}: the file has tensors that are not wanted`, found: strangers.slice(0, 8).join(", "), expected: wanted.slice(0, 8).join(", ") });
  }
}

function fitting(path: string, wanted: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }, found: HostTensor | undefined): HostTensor {
  const expected = `${wanted.dtype} ${shapeText(wanted.shape.map(n => (n < 0 ? "?" : n)))}`;
  if (!found) throw new SluiceError({ code: "LOAD001", message: `${path}: the file has no tensor \`${wanted.name}\``, expected });
  const fits = found.dtype === wanted.dtype && found.shape.length === wanted.shape.length && wanted.shape.every((n, axis) => n < 0 || n === found.shape[axis]);
  if (!fits) throw new SluiceError({ code: "LOAD001", message: `${path}: tensor \`${wanted.name}\` has another type`, found: `${found.dtype} ${shapeText(found.shape)}`, expected });
  return found;
}
