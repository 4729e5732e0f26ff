// Safetensors and .npy files near good ones: headers whose numbers, names, shapes and lengths are changed, and data that fits
// them often enough for the checks behind to be reached.
import { mutatedJson } from "./json.ts";
import { bytesOfText, joined, mutatedBytes, NUMBERS, type Random } from "./random.ts";

const DTYPES: readonly (readonly [name: string, bytes: number])[] = [
  ["F64", 8], ["F32", 4], ["F16", 2], ["BF16", 2], ["I64", 8], ["I32", 4], ["I16", 2], ["I8", 1], ["U64", 8], ["U32", 4], ["U16", 2], ["U8", 1], ["BOOL", 1], ["F8_E4M3", 1], ["C64", 8],
];

/** Bytes that are mostly small, so that bools and small integers are among them. */
const data = (length: number, random: Random): Uint8Array => Uint8Array.from({ length }, () => (random.chance(0.7) ? random.below(2) : random.below(256)));

function safetensorsHeader(random: Random): { readonly header: { [name: string]: { dtype: string; shape: number[]; data_offsets: number[] } | { [key: string]: string } }; readonly length: number } {
  const header: ReturnType<typeof safetensorsHeader>["header"] = random.chance(0.3) ? { __metadata__: { format: "pt", "é": "\"\\" } } : {};
  let length = 0;
  for (const name of ["net.weight", "net.bias", "ids", "naïve", "a\"b"].slice(0, random.below(6))) {
    const [dtype, bytes] = random.from(DTYPES);
    const shape = Array.from({ length: random.below(4) }, () => random.below(4));
    const start = length;
    length += shape.reduce((n, extent) => n * extent, bytes);
    header[name] = { dtype, shape, data_offsets: [start, length] };
  }
  return { header, length };
}

export function mutatedSafetensors(random: Random): Uint8Array {
  const { header, length } = safetensorsHeader(random);
  const text = bytesOfText((random.chance(0.1) ? JSON.stringify(header) : mutatedJson(header, random)) + " ".repeat(random.below(9)));
  const prefix = new Uint8Array(8);
  const wanted = random.chance(0.9) ? BigInt(text.length) : BigInt.asUintN(64, BigInt(random.from(NUMBERS.filter(n => /^-?\d{1,20}$/.test(n)))));
  new DataView(prefix.buffer).setBigUint64(0, wanted, true);
  const file = joined(prefix, text, data(random.chance(0.9) ? length : random.below(100), random));
  return random.chance(0.15) ? mutatedBytes(file, random) : file;
}

const KINDS = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"];

export function mutatedNpy(random: Random): Uint8Array {
  const kind = random.from(KINDS);
  const shape = Array.from({ length: random.below(4) }, () => random.below(5));
  const count = shape.reduce((n, extent) => n * extent, 1);
  const isStrange = random.chance(0.4);
  const strange = (usual: string, others: readonly string[]): string => (isStrange && random.chance(0.3) ? random.from(others) : usual);
  const quote = strange("'", ["\"", "", "'''"]);
  const descr = `${quote}${random.from(["<", ">", "=", "|"])}${strange(kind, ["c8", "f16", "V8", "O", "U4", "", "f", "8", "i4i4", "\xff"])}${quote}`;
  const extents = shape.map(extent => strange(String(extent), [...NUMBERS, "2L", "0x2", "(2,)", "None", " ", "1, ".repeat(random.from([60, 100, 5000]))]));
  const fields = [
    ["descr", strange(descr, ["[('a', '<f4')]", "None", `[${"(".repeat(1000)}`])], ["fortran_order", strange(random.from(["True", "False"]), ["true", "0", "''", "None"])],
    ["shape", strange(`(${extents.join(", ")}${shape.length === 1 ? "," : ""})`, ["()", "(", "3", "[3]", "((3,),)", "(3,,)", "(-1,)"])],
  ];
  if (isStrange && random.chance(0.3)) fields.splice(random.below(4), random.below(2), random.from([...fields, ["extra", "1"]]));
  if (random.chance(0.1)) fields.reverse();
  const space = " ".repeat(random.chance(0.01) ? 900_000 : random.below(70));
  const header = `{${fields.map(([k, v]) => `${quote}${k}${quote}: ${v}`).join(", ")}${random.from(["", ",", ", "])}}${strange("", ["x", "}", "\0"])}${space}\n`;
  const version = random.chance(0.95) ? 1 + random.below(3) : random.below(256);
  const length = random.chance(0.95) ? header.length : Number(random.from(["0", "1", "100", "65535", "1048576", "1048577", "4294967295"]));
  const prefix = new Uint8Array(version === 1 ? 10 : 12);
  prefix.set([0x93, ...bytesOfText("NUMPY"), version, 0]);
  const view = new DataView(prefix.buffer);
  if (version === 1) view.setUint16(8, length & 65_535, true);
  else view.setUint32(8, length, true);
  const file = joined(prefix, bytesOfText(header), data(random.chance(0.95) ? count * Number(kind[1]) : random.below(100), random));
  return random.chance(0.1) ? mutatedBytes(file, random) : file;
}
