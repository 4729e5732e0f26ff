// Checks what a caller gives an entry and makes it what the entry takes: tensors of the declared dtypes, and a value for
// every call dim. Every refusal says what was found and what was expected; nothing is converted silently.
import { type DType, DTYPES } from "../compiler/base/dtypes.ts";
import { SluiceError } from "../compiler/base/diagnostics.ts";
import { type DimDecl, type DimValues, evaluateSize, exactSize, sizeText } from "../compiler/base/sizes.ts";
import type { TensorType } from "../compiler/graph/graph.ts";
import { elementCount, holds, type HostArray, type HostTensor, hostTensor, shapeText, tensorOfNumbers } from "./tensor.ts";

type Numbers = number | readonly Numbers[];
/** Data with its shape; the dtype may be left out where the array's own type says it. */
export type ShapedData = { readonly shape: readonly number[]; readonly data: HostArray; readonly dtype?: DType };
/** What may be given for a tensor. A bare typed array has the shape that the entry declares. */
export type HostIn = ShapedData | HostArray | Numbers;

/** The parts of a schedule or graph that say what an entry takes. */
export interface Signature {
  readonly entry: string;
  readonly dims: readonly DimDecl[];
  readonly inputs: readonly { readonly name: string; readonly type: TensorType }[];
}

export const typeText = (t: TensorType): string => `${t.dtype} ${shapeText(t.shape.map(sizeText))}`;

const plural = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

/** The one with that name, or a refusal that lists what there is. */
export function named<T>(what: string, code: string, name: string, all: ReadonlyMap<string, T>): T {
  const found = all.get(name);
  if (found === undefined) throw new SluiceError({ code, message: `there is no ${what} \`${name}\``, found: name, expected: all.size === 0 ? `no ${what} at all` : `one of ${plural([...all.keys()])}` });
  return found;
}

/** The inputs as host tensors by name, and the value of every dim. `bound`: dims that have a value already. */
export function bindArguments(signature: Signature, inputs: { readonly [name: string]: HostIn | undefined }, bound: DimValues): { tensors: Map<string, HostTensor>; dims: DimValues } {
  const known = new Set(signature.inputs.map(i => i.name));
  const stranger = Object.keys(inputs).find(name => !known.has(name));
  if (stranger !== undefined) {
    throw new SluiceError({ code: "INPUT002", message: `\`${signature.entry}\` has no input \`${stranger}\``, found: stranger, expected: plural([...known]) });
  }
  const tensors = new Map<string, HostTensor>();
  const dims: { [dim: string]: number } = { ...bound };
  for (const { name, type } of signature.inputs) {
    const given = inputs[name];
    if (given === undefined) {
      throw new SluiceError({ code: "INPUT001", message: `\`${signature.entry}\` needs an input \`${name}\``, found: plural(Object.keys(inputs)), expected: `${name}: ${typeText(type)}` });
    }
    const tensor = asTensor(signature.entry, name, type, given, dims);
    bindShape(signature.entry, name, type, tensor.shape, dims);
    tensors.set(name, tensor);
  }
  checkDims(signature.entry, signature.dims, dims);
  for (const { name, type } of signature.inputs) checkShape(signature.entry, name, type, tensors.get(name)!.shape, dims);
  return { tensors, dims };
}

function asTensor(entry: string, name: string, type: TensorType, given: HostIn, dims: DimValues): HostTensor {
  if (typeof given === "number" || Array.isArray(given)) {
    const shape: number[] = [];
    for (let level: Numbers | undefined = given as Numbers; Array.isArray(level); level = (level as readonly Numbers[])[0]) shape.push(level.length);
    const flat = [given].flat(Infinity) as number[];
    if (flat.length !== elementCount(shape) || flat.some(x => typeof x !== "number")) {
      throw new SluiceError({ code: "INPUT005", message: `input \`${name}\` of \`${entry}\` is a nested list whose rows differ in length, or holds something that is no number`, expected: typeText(type) });
    }
    const unfit = DTYPES[type.dtype].kind === "float" ? undefined : flat.find(x => DTYPES[type.dtype].round(x) !== x);
    if (unfit !== undefined) throw new SluiceError({ code: "INPUT003", message: `input \`${name}\` of \`${entry}\` holds a number that ${type.dtype} cannot`, found: String(unfit), expected: typeText(type) });
    return tensorOfNumbers(type.dtype, shape, flat);
  }
  const { data, dtype, shape } = ArrayBuffer.isView(given) ? { data: given as HostArray, dtype: undefined, shape: undefined } : (given as ShapedData);
  if (!ArrayBuffer.isView(data)) throw new SluiceError({ code: "INPUT003", message: `input \`${name}\` of \`${entry}\` is no tensor`, found: typeof given, expected: typeText(type) });
  if ((dtype ?? type.dtype) !== type.dtype || !holds(data, type.dtype)) {
    const found = dtype && dtype !== type.dtype ? dtype : data.constructor.name;
    throw new SluiceError({ code: "INPUT003", message: `input \`${name}\` of \`${entry}\` has the wrong dtype`, found, expected: typeText(type), hint: `convert it to ${type.dtype}, or cast inside the entry` });
  }
  const extents = shape ?? inferShape(type, data, dims);
  const elements = type.dtype === "i4" ? Math.ceil(elementCount(extents) / 2) : elementCount(extents);
  if (elements !== data.length) {
    throw new SluiceError({
      code: "INPUT004", message: `input \`${name}\` of \`${entry}\` has the wrong number of elements`,
      found: shape ? `shape ${shapeText(extents)} with ${data.length} elements` : `${data.length} elements`, expected: typeText(type),
      hint: shape ? undefined : `pass { shape, data } to say what its sizes are`,
    });
  }
  return hostTensor(type.dtype, extents, data);
}

/** The declared shape, with the one size that is not known yet found from the number of elements. */
function inferShape(type: TensorType, data: HostArray, dims: DimValues): number[] {
  const extents = type.shape.map(s => exactSize(s, dims));
  const known = extents.reduce<number>((n, extent) => n * (extent ?? 1), 1);
  const elements = type.dtype === "i4" ? data.length * 2 : data.length;
  return extents.map(extent => extent ?? (extents.filter(e => e === undefined).length === 1 ? Math.floor(elements / known) : 0));
}

const shapeError = (entry: string, name: string, type: TensorType, shape: readonly number[], hint?: string): SluiceError =>
  new SluiceError({ code: "INPUT004", message: `input \`${name}\` of \`${entry}\` has the wrong shape`, found: `${type.dtype} ${shapeText(shape)}`, expected: typeText(type), hint });

/** Binds the dims that stand alone as an axis. */
function bindShape(entry: string, name: string, type: TensorType, shape: readonly number[], dims: { [dim: string]: number }): void {
  if (shape.length !== type.shape.length) throw shapeError(entry, name, type, shape, `it has ${shape.length} axes instead of ${type.shape.length}`);
  type.shape.forEach((size, axis) => {
    const atom = typeof size === "number" || size.terms.length !== 1 || size.terms[0]!.coefficient !== 1 || size.terms[0]!.atoms.length !== 1 ? undefined : size.terms[0]!.atoms[0];
    if (atom?.kind !== "dim") return;
    const before = dims[atom.name];
    if (before !== undefined && before !== shape[axis]) throw shapeError(entry, name, type, shape, `${atom.name} is ${before}, but axis ${axis} is ${shape[axis]}`);
    dims[atom.name] = shape[axis]!;
  });
}

function checkShape(entry: string, name: string, type: TensorType, shape: readonly number[], dims: DimValues): void {
  type.shape.forEach((size, axis) => {
    const expected = evaluateSize(size, dims);
    if (expected !== shape[axis]) throw shapeError(entry, name, type, shape, `axis ${axis} is ${shape[axis]} instead of ${sizeText(size)}${typeof size === "number" ? "" : ` = ${expected}`}`);
  });
}

export const boundsText = (d: DimDecl): string => `${d.min} … ${d.max}${d.multipleOf > 1 ? `, a multiple of ${d.multipleOf}` : ""}`;

/** Every dim has a value within its bounds. */
export function checkDims(where: string, decls: readonly DimDecl[], dims: DimValues): void {
  for (const d of decls) {
    const value = dims[d.name];
    if (value === undefined) {
      throw new SluiceError({
        code: "DIM002", message: `dim ${d.name} of \`${where}\` has no value`, expected: `${d.name}: ${boundsText(d)}`,
        hint: d.binding === "instance" ? `it is bound when the program is loaded: dims: { ${d.name}: … }` : "no input has it as a size; give it in sizes",
      });
    }
    if (!Number.isInteger(value) || value < d.min || value > d.max || value % d.multipleOf !== 0) {
      throw new SluiceError({ code: "DIM001", message: `dim ${d.name} of \`${where}\` is out of bounds`, found: `${d.name} = ${value}`, expected: `${d.name}: ${boundsText(d)}` });
    }
  }
}
