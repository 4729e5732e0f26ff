// Fields for what an entry or a procedure takes: numbers, switches, text, files and pictures. Each field gives its value
// when asked; a file field also takes names of files that the program itself has written.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { TensorType } from "../../compiler/graph/graph.ts";
import { numberBounds, type Procedure, type ProcedureArg, type ProcedureStep } from "../../compiler/plan/procedure.ts";
import { type HostIn, typeText } from "../arguments.ts";
import { readNpy } from "../io/npy.ts";
import { isPictureShape, pictureTensor } from "../io/pictures.ts";
import type { HostPicture, ProcedureValue } from "../procedure.ts";
import { element } from "./elements.ts";
import type { PageFiles } from "./files.ts";

export interface Field<T> {
  readonly root: HTMLElement;
  value(): Promise<T>;
  /** Of a picture field: what was chosen, for showing beside the result. */
  readonly chosen?: PictureChoice;
}
export interface PictureChoice {
  picture(): Promise<HostPicture | null>;
  onChange(listener: () => void): void;
}

/** A file input for one picture. */
function pictureChoice(name: string, files: PageFiles): PictureChoice & { readonly input: HTMLInputElement; required(): Promise<HostPicture> } {
  const input = element("input", { type: "file", accept: "image/png,image/jpeg,image/webp", name });
  const picture = async (): Promise<HostPicture | null> => {
    const file = input.files?.[0];
    if (!file) return null;
    files.add(file.name, file);
    return files.readPicture(file.name);
  };
  const required = async (): Promise<HostPicture> => {
    const found = await picture();
    if (!found) throw missing(name);
    return found;
  };
  return { input, picture, required, onChange: listener => input.addEventListener("change", listener) };
}

const labelled = (name: string, help: string, input: HTMLElement): HTMLElement =>
  element("label", {}, element("span", {}, name, element("small", {}, help)), input);
const missing = (name: string): SluiceError => new SluiceError({ code: "INPUT001", message: `\`${name}\` has no value yet`, hint: "choose a file" });

/** A field for one input of an entry. */
export function inputField(name: string, type: TensorType, files: PageFiles): Field<HostIn> {
  if (isPictureShape(type.dtype, type.shape) && type.shape[2] === 3) {
    const chosen = pictureChoice(name, files);
    const dtype = type.dtype === "u8" ? "u8" : "f32";
    return { root: labelled(name, `${typeText(type)}, a picture`, chosen.input), chosen, value: async () => pictureTensor(await chosen.required(), dtype) };
  }
  if (type.shape.length === 0) {
    const input = element("input", { type: "number", step: "any", value: "0", name });
    return { root: labelled(name, typeText(type), input), value: async () => input.valueAsNumber };
  }
  const input = element("input", { type: "file", accept: ".npy", name });
  return {
    root: labelled(name, `${typeText(type)}, an .npy file`, input),
    async value() {
      const file = input.files?.[0];
      if (!file) throw missing(name);
      return readNpy(file.name, new Uint8Array(await file.arrayBuffer()), type.dtype);
    },
  };
}

/** Whether the procedure reads the file that the argument names, anywhere. */
function reads(procedure: Procedure, arg: ProcedureArg): boolean {
  const inSteps = (steps: readonly ProcedureStep[]): boolean => steps.some(s => {
    if (s.kind === "load" || s.kind === "read") return s.path.some(part => typeof part === "object" && "slot" in part && part.slot === arg.slot);
    if (s.kind === "if") return inSteps(s.yes) || inSteps(s.no);
    return "body" in s && inSteps(s.body);
  });
  return inSteps(procedure.body);
}

/** A field for one argument of a procedure. */
export function argumentField(procedure: Procedure, arg: ProcedureArg, files: PageFiles): Field<ProcedureValue> {
  switch (arg.kind) {
    case "int": case "real": {
      const { min, max } = numberBounds(arg);
      const input = element("input", { type: "number", step: arg.kind === "int" ? "1" : "any", min: String(min), max: String(max), value: String(arg.init ?? 0), name: arg.name });
      return { root: labelled(arg.name, arg.help, input), value: async () => input.valueAsNumber };
    }
    case "flag": {
      const input = element("input", { type: "checkbox", checked: arg.init === 1, name: arg.name });
      return { root: labelled(arg.name, arg.help, input), value: async () => Number(input.checked) };
    }
    case "picture": {
      const chosen = pictureChoice(arg.name, files);
      return { root: labelled(arg.name, arg.help, chosen.input), chosen, value: chosen.required };
    }
    case "text": case "file": {
      const input = element("input", { type: "text", name: arg.name, value: String(arg.init ?? (arg.kind === "file" ? suggestedName(arg) : "")) });
      if (arg.kind === "text" || !reads(procedure, arg)) return { root: labelled(arg.name, arg.help, input), value: async () => input.value };
      const chosen = element("input", { type: "file" });
      chosen.addEventListener("change", () => {
        const file = chosen.files?.[0];
        if (!file) return;
        files.add(file.name, file);
        input.value = file.name;
      });
      return { root: labelled(arg.name, arg.help, element("div", { className: "both" }, input, chosen)), value: async () => input.value };
    }
  }
}

/** Named after the ending that the help mentions: "weights, .safetensors". */
const suggestedName = (arg: ProcedureArg): string => {
  const ending = /\.(safetensors|npy|png|jpg|webp)/.exec(arg.help)?.[0];
  return ending ? `${ending === ".safetensors" ? "weights" : arg.name}${ending}` : "weights.safetensors";
};
