// Tensors in files: .npy and safetensors, both ways, and every way in which such a file may be wrong.
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { readNpy, writeNpy } from "../../runtime/io/npy.ts";
import { readSafetensors, writeSafetensors } from "../../runtime/io/safetensors.ts";
import { elementAt, elementCount, type HostTensor, tensorOfNumbers } from "../../runtime/tensor.ts";

const message = async (work: () => unknown): Promise<string> => {
  try {
    await work();
    return "nothing was refused";
  } catch (error) {
    return (error as Error).message;
  }
};

const tensor = (dtypes: readonly DType[]) => fc.tuple(fc.constantFrom(...dtypes), fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })).chain(([dtype, shape]) =>
  fc.array(fc.integer({ min: -100, max: 100 }), { minLength: elementCount(shape), maxLength: elementCount(shape) }).map(values => tensorOfNumbers(dtype, shape, values)));
const plain = (t: HostTensor) => ({ dtype: t.dtype, shape: t.shape, data: [...t.data] });

describe(".npy", () => {
  test("round trips", () => fc.assert(fc.property(tensor(["f64", "f32", "f16", "i32", "i16", "i8", "u32", "u16", "u8", "bool"]), t => {
    const bytes = writeNpy("t.npy", t);
    expect(plain(readNpy("t.npy", bytes))).toEqual(plain(t));
    expect((bytes[8]! + bytes[9]! * 256 + 10) % 64).toBe(0);
  })));
  test("a damaged file is refused by name", async () => {
    const good = writeNpy("t.npy", tensorOfNumbers("f32", [2, 3], [1, 2, 3, 4, 5, 6]));
    expect(await message(() => readNpy("t.npy", good.subarray(0, -1)))).toBe("error NPY001: t.npy: the data has another length than the shape says\n  found:    23 bytes\n  expected: 24 bytes");
    expect(await message(() => readNpy("t.npy", Uint8Array.of(1, 2)))).toBe("error NPY001: t.npy: not an .npy file");
    for (let length = 0; length < good.length; length++) expect(await message(() => readNpy("t.npy", good.subarray(0, length)))).toMatch(/NPY001/);
  });

  /** A file as NumPy writes it, of a header and data. */
  const npy = (header: string, data: Uint8Array, version = 1): Uint8Array => {
    const start = version === 1 ? 10 : 12;
    const bytes = new Uint8Array(start + header.length + data.length);
    bytes.set([0x93, ...Buffer.from("NUMPY"), version, 0]);
    const view = new DataView(bytes.buffer);
    if (version === 1) view.setUint16(8, header.length, true);
    else view.setUint32(8, header.length, true);
    bytes.set(Buffer.from(header, "latin1"), start);
    bytes.set(data, start + header.length);
    return bytes;
  };
  const described = (descr: string, shape: string, order = "False"): string => `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }\n`;
  const bytesOfArray = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const swapped = (array: ArrayBufferView, width: number): Uint8Array => {
    const bytes = bytesOfArray(array).slice();
    for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
    return bytes;
  };
  const sources: readonly (readonly [descr: string, values: ArrayBufferView])[] = [
    ["i8", BigInt64Array.of(0n, 1n, 2n, 100n, 5n, 1n)], ["i4", Int32Array.of(0, 1, 2, 100, 5, 1)], ["i2", Int16Array.of(0, 1, 2, 100, 5, 1)], ["i1", Int8Array.of(0, 1, 2, 100, 5, 1)],
    ["u8", BigUint64Array.of(0n, 1n, 2n, 100n, 5n, 1n)], ["u4", Uint32Array.of(0, 1, 2, 100, 5, 1)], ["u2", Uint16Array.of(0, 1, 2, 100, 5, 1)], ["u1", Uint8Array.of(0, 1, 2, 100, 5, 1)],
    ["f8", Float64Array.of(0, 1, 2, 100, 5, 1)], ["f4", Float32Array.of(0, 1, 2, 100, 5, 1)], ["f2", Uint16Array.of(0, 0x3c00, 0x4000, 0x5640, 0x4500, 0x3c00)],
  ];
  const wanted = ["f64", "f32", "f16", "bf16", "i32", "i16", "i8", "u32", "u16", "u8"] as const;

  test.each(sources)("%s in either order of bytes and of axes is made what is wanted", (kind, values) => {
    const width = Number(kind[1]);
    for (const dtype of wanted) {
      for (const [mark, data] of [["<", bytesOfArray(values)], [">", swapped(values, width)]] as const) {
        const rows = readNpy("x", npy(described(mark + kind, "2, 3"), data), dtype);
        expect([rows.dtype, rows.shape, Array.from(rows.data, (_, i) => elementAt(rows, i))]).toEqual([dtype, [2, 3], [0, 1, 2, 100, 5, 1]]);
        const columns = readNpy("x", npy(described(mark + kind, "2, 3", "True"), data), dtype);
        expect(Array.from(columns.data, (_, i) => elementAt(columns, i))).toEqual([0, 2, 5, 1, 100, 1]);
      }
    }
  });

  const one = (descr: string, values: ArrayBufferView, dtype: DType, shape = `${values.byteLength / Number(descr.at(-1))},`) => message(() => readNpy("x.npy", npy(described(descr, shape), bytesOfArray(values)), dtype));
  test("a number that does not fit is refused with its place; a fraction is rounded", async () => {
    expect(await one("<i8", BigInt64Array.of(1n, -1n), "u8")).toBe("error NPY002: x.npy: a number does not fit u8\n  found:    -1 at [1]\n  expected: integers from 0 to 255");
    expect(await one("<i8", BigInt64Array.of(1n, 2n, 3n, 2n ** 53n + 1n), "f64", "2, 2")).toMatch(/9007199254740993 at \[1, 1\]\n {2}expected: integers that f64 holds exactly/);
    expect(await one("<i8", BigInt64Array.of(-(2n ** 60n)), "f32")).toBe("nothing was refused");
    expect(await one("<i4", Int32Array.of(2 ** 24 + 1), "f32")).toMatch(/16777217 at \[0\]/);
    expect(await one("<f8", Float64Array.of(0.1), "f32")).toBe("nothing was refused");
    expect(await one("<f8", Float64Array.of(Infinity, Number.NaN), "f16")).toBe("nothing was refused");
    expect(await one("<f8", Float64Array.of(1e39), "f32")).toMatch(/1e\+39 at \[0\]/);
    expect(await one("<f8", Float64Array.of(70_000), "f16")).toMatch(/70000 at \[0\]/);
    expect(await one("<f4", Float32Array.of(2, 2.5), "i32")).toMatch(/2\.5 at \[1\]\n {2}expected: integers from -2147483648 to 2147483647/);
    expect(await one("<f4", Float32Array.of(Number.NaN), "i32")).toMatch(/NaN at \[0\]/);
    expect(await one("|u1", Uint8Array.of(0, 1, 2), "bool")).toMatch(/2 at \[2\]\n {2}expected: integers from 0 to 1/);
    expect(await one("|b1", Uint8Array.of(0, 9), "bool")).toMatch(/a number does not fit bool\n {2}found: {4}9 at \[1\]/);
    expect(await one("|b1", Uint8Array.of(0, 9), "f32")).toMatch(/a number does not fit bool\n {2}found: {4}9 at \[1\]/);
    expect(await one("|i1", Int8Array.of(-8, 7), "i4")).toBe("nothing was refused");
    expect(await one("|i1", Int8Array.of(8), "i4")).toMatch(/8 at \[0\]\n {2}expected: integers from -8 to 7/);
  });

  test("headers of versions 1, 2 and 3, long ones, and keys in any order and either quotes", () => {
    const data = bytesOfArray(Float32Array.of(1, 2));
    const read = (header: string, version: number) => [...readNpy("x", npy(header, data, version)).data];
    for (const version of [1, 2, 3]) expect(read(described("<f4", "2,"), version)).toEqual([1, 2]);
    expect(read(`${described("<f4", "2,")}${" ".repeat(900_000)}\n`, 2)).toEqual([1, 2]);
    expect(read('{"shape": (2L,), "fortran_order": False, "descr": "=f4"}', 1)).toEqual([1, 2]);
  });

  const strange: readonly (readonly [what: string, header: string, text: RegExp])[] = [
    ["complex numbers", described("<c8", "1,"), /an element type that is not supported\n {2}found: {4}<c8\n {2}expected: integers, floats and bools: b1, i1/],
    ["records", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", /records are no tensor\n {2}found: {4}\[\('a', '<f4'\)\]/],
    ["an extent past 2^53", described("<f4", "9007199254740993,"), /the header cannot be read/],
    ["a size that overflows", described("<f4", "4503599627370496, 4503599627370496, 0"), /another length than the shape says\n {2}found: {4}8 bytes\n {2}expected: more than a file holds/],
    ["65 axes", described("<f4", "1, ".repeat(65)), /the header cannot be read/],
    ["a key twice", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", /the header cannot be read/],
    ["no shape", "{'descr': '<f4', 'fortran_order': False, }", /the header cannot be read/],
    ["a negative extent", described("<f4", "-2,"), /the header cannot be read/],
    ["what follows", `${described("<f4", "2,")}x`, /the header cannot be read/],
  ];
  test.each(strange)("%s is refused by name", async (_, header, text) => expect(await message(() => readNpy("x.npy", npy(header, new Uint8Array(8)), "f32"))).toMatch(text));
});

describe("safetensors", () => {
  const named = fc.dictionary(fc.string({ minLength: 1, maxLength: 6 }).filter(n => n !== "__metadata__" && n !== "__proto__"), tensor(["f64", "f32", "f16", "bf16", "i32", "i8", "u8"]));
  test("round trips", () => fc.assert(fc.property(named, tensors => {
    const read = readSafetensors("w", writeSafetensors("w", new Map(Object.entries(tensors)), { format: "pt" }));
    expect(new Map(read.names.map(n => [n, plain(read.find(n)!)]))).toEqual(new Map(Object.entries(tensors).map(([n, t]) => [n, plain(t)])));
    expect(read.metadata()).toEqual({ format: "pt" });
  })));

  const file = (header: unknown, data: number, text = JSON.stringify(header)): Uint8Array => {
    const json = new TextEncoder().encode(text);
    const bytes = new Uint8Array(8 + json.length + data);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    return bytes;
  };
  const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({ dtype: "F32", shape, data_offsets: [start, end] });
  const refusals: [string, Uint8Array, RegExp][] = [
    ["too short", new Uint8Array(7), /too short/],
    ["a header over 100 MB", (() => { const b = new Uint8Array(16); new DataView(b.buffer).setBigUint64(0, 100_000_001n, true); return b; })(), /header is too large/],
    ["a header longer than the file", file({}, 0).with(0, 9), /does not fit the file/],
    ["no JSON", file(null, 0, "{x"), /header is no JSON/],
    ["not an object", file(null, 0, "[]"), /does not start with \{/],
    ["a hole", file({ a: f32(0, 4), b: f32(8, 12) }, 12), /`b` leaves a hole before it/],
    ["an overlap", file({ a: f32(0, 8), b: f32(4, 12) }, 12), /`b` overlaps the one before it/],
    ["bytes after the end", file({ a: f32(0, 4) }, 8), /do not fill the file/],
    ["a short file", file({ a: f32(0, 8) }, 4), /ends before its tensors do/],
    ["a wrong size", file({ a: f32(0, 4, [2]) }, 4), /another length than its shape says/],
    ["a dtype that is no text", file({ a: { ...f32(0, 4), dtype: 7 } }, 4), /no valid element type/],
    ["a dtype 100,000 lists deep", file(null, 0, `{"a":{"dtype":${"[".repeat(100_000)}`), /no valid element type/],
    ["a field 100,000 lists deep", file(null, 0, `{"a":{"x":${"[".repeat(100_000)}`), /header is no JSON\n {2}found: {4}byte 40: expected values nested at most 32 deep/],
    ["text that is not UTF-8", file(null, 0, "{\"\u0000").with(10, 0xff), /header is no JSON/],
    ["two tensors of one name", file(null, 4, `{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(0, 4))}}`), /two tensors are called `a`/],
    ["two shapes of one tensor", file(null, 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}"), /no valid element type, shape and offsets/],
    ["65 axes", file({ a: f32(0, 4, new Array(65).fill(1)) }, 4), /no valid element type, shape and offsets/],
    ["a size that overflows", file({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4), /another length than its shape says\n {2}found: {4}4 bytes\n {2}expected: more than a file holds/],
    ["a negative extent", file({ a: f32(0, 4, [-1]) }, 4), /no valid element type, shape and offsets/],
    ["metadata that is no text", file({ __metadata__: { a: 1 } }, 0), /__metadata__/],
  ];
  test.each(refusals)("%s is refused", async (_, bytes, text) => expect(await message(() => readSafetensors("w.safetensors", bytes))).toMatch(text));

  test("a tensor whose dtype we lack is refused when it is asked for, and the others are read", async () => {
    const read = readSafetensors("w.safetensors", file({ ids: { dtype: "I64", shape: [2], data_offsets: [0, 16] }, w: f32(16, 24) }, 24));
    expect(read.names).toEqual(["ids", "w"]);
    expect(plain(read.find("w")!)).toEqual({ dtype: "f32", shape: [2], data: [0, 0] });
    expect(await message(() => read.find("ids"))).toBe("error SAFE001: w.safetensors: tensor `ids` has an element type that is not supported\n  found:    `I64`\n  expected: F64, F32, F16, BF16, I32, I16, I8, U32, U16, U8, BOOL");
  });

  test("a header of any length is read from a Buffer that lies anywhere", () => {
    for (let odd = 0; odd < 8; odd++) {
      const text = JSON.stringify({ a: f32(0, 8) }) + " ".repeat(odd);
      const bytes = Buffer.from(file(null, 8, text));
      bytes.writeFloatLE(2.5, bytes.length - 4);
      expect([...readSafetensors("w", bytes).find("a")!.data]).toEqual([0, 2.5]);
    }
  });

  test("a byte that is no bool is refused, with its place", async () => {
    const bytes = file({ m: { dtype: "BOOL", shape: [2, 2], data_offsets: [0, 4] } }, 4);
    bytes[bytes.length - 1] = 7;
    expect(await message(() => readSafetensors("w", bytes).find("m"))).toBe("error SAFE001: w: tensor `m` holds a byte that is no bool\n  found:    7 at [1, 1]\n  expected: 0 or 1");
  });

  test("a header of many megabytes takes less than three times its length", { timeout: 120_000 }, () => {
    const count = 60_000;
    const parts = Array.from({ length: count }, (_, i) => `"t${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`);
    const bytes = file(null, 0, `{${parts.join(",")}}`);
    // Alone, in an engine whose heap holds no more than that.
    const script = `import { readSafetensors } from ${JSON.stringify(new URL("../../runtime/io/safetensors.ts", import.meta.url).href)};
      import { readFileSync } from "node:fs";
      process.stdout.write(String(readSafetensors("w", readFileSync(0)).names.length));`;
    const limit = Math.ceil((3 * bytes.length) / 2 ** 20) + 16;
    const { stdout, stderr, status } = spawnSync(process.execPath, [`--max-old-space-size=${limit}`, "--input-type=module", "-e", script], { input: bytes, encoding: "utf8" });
    expect([status, stdout], stderr).toEqual([0, String(count)]);
  });
});
