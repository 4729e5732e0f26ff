// NumPy's .npy, versions 1 to 3: one tensor, little-endian, row-major. Anything else in one is refused by name.
import { byteLength, type DType } from "../../compiler/base/dtypes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { bytesOf, elementCount, type HostTensor, tensorOfBytes } from "../tensor.ts";

const MAGIC = "\x93NUMPY";
const DESCRIPTIONS: { readonly [D in DType]?: string } = {
  f64: "<f8", f32: "<f4", f16: "<f2", i32: "<i4", i16: "<i2", i8: "|i1", u32: "<u4", u16: "<u2", u8: "|u1", bool: "|b1",
};

const refuse = (path: string, message: string, found?: string, expected?: string): SluiceError => new SluiceError({ code: "NPY001", message: `${path}: ${message}`, found, expected });

export function readNpy(path: string, bytes: Uint8Array): HostTensor {
  const latin = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));
  if (bytes.length < 12 || latin(0, 6) !== MAGIC) throw refuse(path, "not an .npy file");
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw refuse(path, "an unknown version of .npy", `version ${version}`, "1, 2 or 3");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [start, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (length > 2 ** 20 || start + length > bytes.length) throw refuse(path, "the header does not fit the file", `${length} bytes`);
  const header = latin(start, start + length);
  const fields = /^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d,\s]*)\),?\s*\}\s*$/.exec(header);
  if (!fields) throw refuse(path, "the header cannot be read", JSON.stringify(header.slice(0, 80)));
  const dtype = (Object.keys(DESCRIPTIONS) as DType[]).find(d => DESCRIPTIONS[d] === fields[1]);
  if (!dtype) throw refuse(path, "an element type that is not supported", fields[1], Object.values(DESCRIPTIONS).join(", "));
  if (fields[2] === "True") throw refuse(path, "column-major order is not supported", "fortran_order: True", "save it with np.ascontiguousarray");
  const shape = fields[3]!.split(",").filter(part => part.trim() !== "").map(Number);
  const data = bytes.subarray(start + length);
  const expected = byteLength(dtype, elementCount(shape));
  if (data.length !== expected) throw refuse(path, "the data has another length than the shape says", `${data.length} bytes`, `${expected} bytes`);
  return tensorOfBytes(dtype, shape, data);
}

export function writeNpy(path: string, tensor: HostTensor): Uint8Array {
  const description = DESCRIPTIONS[tensor.dtype];
  if (!description) throw refuse(path, `.npy cannot hold ${tensor.dtype}`, tensor.dtype, Object.keys(DESCRIPTIONS).join(", "));
  const shape = tensor.shape.length === 1 ? `${tensor.shape[0]},` : tensor.shape.join(", ");
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': (${shape}), }`;
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const data = bytesOf(tensor);
  const file = new Uint8Array(start + data.length);
  const header = `${MAGIC}\x01\x00${String.fromCharCode((start - 10) & 255, (start - 10) >> 8)}${text.padEnd(start - 11)}\n`;
  for (let i = 0; i < header.length; i++) file[i] = header.charCodeAt(i);
  file.set(data, start);
  return file;
}
