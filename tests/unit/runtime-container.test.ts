// Containers: what is written reads back equal; what is damaged anywhere is refused by name.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { type DType, byteLength } from "../../compiler/base/dtypes.ts";
import { addSize, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size } from "../../compiler/base/sizes.ts";
import type { Span } from "../../compiler/base/span.ts";
import { crc32c } from "../../compiler/container/checksum.ts";
import { readContainer } from "../../compiler/container/read.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import type { Expr, Kernel, Stmt } from "../../compiler/kernel/ir.ts";
import type { MachineName } from "../../compiler/kernel/machines.ts";
import type { Procedure, ProcedureStep, ScalarExpr } from "../../compiler/plan/procedure.ts";
import type { CompiledProgram, Lowering, Schedule, Step } from "../../compiler/plan/schedule.ts";
import type { Module } from "../../runtime/program.ts";

const dims = ["H", "W", "B"] as const;
const { size, stmt } = fc.letrec<{ size: Size; expr: Expr; stmt: Stmt }>(tie => ({
  size: fc.oneof({ maxDepth: 3 },
    fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(...dims).map(dimSize),
    fc.tuple(tie("size"), tie("size"), fc.constantFrom(addSize, mulSize, minSize, maxSize)).map(([a, b, make]) => make(a, b)),
    fc.tuple(tie("size"), fc.integer({ min: 1, max: 64 }), fc.constantFrom(floorDivSize, modSize)).map(([a, b, make]) => make(a, b))),
  expr: fc.oneof({ maxDepth: 3 },
    fc.double().map((value): Expr => ({ kind: "const", type: { scalar: "f32", lanes: 4 }, value })),
    tie("size").map((s): Expr => ({ kind: "size", size: s })),
    fc.tuple(tie("expr"), tie("expr"), tie("expr")).map(([a, b, c]): Expr => ({ kind: "fma", a, b, c })),
    tie("expr").map((x): Expr => ({ kind: "shuffle", a: x, b: x, lanes: [0, 5] }))),
  stmt: fc.oneof({ maxDepth: 3 },
    fc.tuple(tie("expr"), tie("expr")).map(([value, at]): Stmt => ({ kind: "store", buffer: "y", index: [at], value })),
    fc.tuple(tie("size"), fc.array(tie("stmt"), { maxLength: 2 })).map(([to, body]): Stmt => ({ kind: "for", variable: "i", from: 0, to, step: 1, mode: "serial", body }))),
}));
const dtype = fc.constantFrom<DType>("f32", "f64", "i8", "i4", "u8", "bool");
const shape = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 });
const name = fc.string({ minLength: 1, maxLength: 5 });

const constant = fc.tuple(dtype, shape).chain(([d, s]) => {
  const length = byteLength(d, s.reduce((a, b) => a * b, 1));
  return fc.uint8Array({ minLength: length, maxLength: length }).map(bytes => ({ dtype: d, shape: s, bytes }));
});
const kernel = fc.record<Kernel>({
  name, machine: fc.constant("simd"), dims: fc.constant([{ name: "H", binding: "call", min: 1, max: 9, multipleOf: 1 }]),
  params: fc.array(fc.record({ name, dtype, shape: fc.array(size, { maxLength: 2 }), space: fc.constant("global"), lanes: fc.constant(1), swizzle: fc.constant(0), access: fc.constantFrom("read", "write") }), { maxLength: 2 }),
  grid: fc.array(fc.record({ name, extent: size }), { maxLength: 2 }), threads: fc.constant([]), body: fc.array(stmt, { maxLength: 3 }),
  spans: fc.constant([{ file: "a.ts", line: 1, column: 2 }]), summary: name, flops: size,
});
/** Of a step: it may be missing, or null. */
const span = fc.option(fc.option(fc.record({ file: name, line: fc.nat(), column: fc.nat() }), { nil: null }).map(s => ({ span: s })), { nil: {} });
const schedule = (kernels: number) => fc.record({ at: span, done: span, shapes: fc.array(fc.tuple(dtype, fc.array(size, { maxLength: 2 })), { minLength: 1, maxLength: 4 }), tasks: size, arena: size, name }).map(
  ({ at, done, shapes, tasks, arena, name }): Schedule => {
    const copy: Step = { kind: "copy", from: 0, to: 0, ...done };
    const step: Step = kernels > 0 ? { kind: "launch", kernel: kernels - 1, buffers: [0], tasks, ...done } : copy;
    return {
      entry: name, dims: [{ name: "H", binding: "call", min: 1, max: 9, multipleOf: 1 }], inputs: [],
      outputs: [{ name: "y", type: { dtype: shapes[0]![0], shape: shapes[0]![1], axes: shapes[0]![1].map(() => null) }, buffer: 0 }],
      reads: ["s"], writes: [], arena, ...at,
      buffers: shapes.map(([dtype, shape], i) => ({ dtype, shape, place: i === 0 ? { kind: "arena", offset: arena } : { kind: "state", name: "s" } })),
      steps: [step, { kind: "loop", trips: tasks, index: 0, until: null, body: [step, copy] }, { kind: "print", buffer: 0, label: "", span: null }],
    };
  });
const scalar: ScalarExpr = { kind: "binary", op: "lt", a: { kind: "slot", slot: 0 }, b: { kind: "const", value: Infinity } };
const steps = (span: { readonly span?: Span | null }): ProcedureStep[] => [
  { kind: "call", entry: "e", inputs: [{ name: "x", tensor: 1 }, { name: "y", scalar }], sizes: [{ dim: "H", value: scalar }], outputs: [], ...span },
  { kind: "repeat", count: scalar, index: 0, body: [{ kind: "if", condition: scalar, yes: [{ kind: "log", values: [{ name: "loss", value: scalar }] }], no: [] }] },
  { kind: "write", path: ["a", { slot: 1 }, { number: scalar }], tensor: 2, ...span },
  { kind: "save", path: [], states: [{ name: "w", state: "net.w" }], ...span },
  { kind: "load", path: [], states: [], ...span },
  { kind: "read", path: ["r"], tensors: [{ name: "t", dtype: "f32", shape: [2, dimSize("H")], slot: 1 }], ...span },
  { kind: "emit", name: "t", value: { text: ["x"] } },
  { kind: "pixels", picture: 0, dtype: "u8", resize: [4, 5], slot: 1, ...span },
  { kind: "list_push", list: 0, value: { tensor: 1 } },
];
const procedure = span.map((at): Procedure => ({
  name: "train", slots: 3, body: steps(at),
  args: [{ name: "steps", kind: "int", help: "steps", init: 5, slot: 0 }, { name: "to", kind: "file", help: "", slot: 1 }],
}));
const lowering = (machine: MachineName) => fc.array(kernel, { maxLength: 2 }).chain(kernels => fc.record<Lowering>({
  machine: fc.constant(machine), kernels: fc.constant(kernels), schedules: schedule(kernels.length).map(s => [{ ...s, entry: "run" }]),
}));
const program = fc.record<CompiledProgram>({
  name, lowerings: fc.tuple(lowering("simd128"), lowering("v3"), lowering("gpu")), constants: fc.array(constant, { maxLength: 3 }),
  dims: fc.constant([{ name: "B", binding: "instance", min: 1, max: 8, multipleOf: 1 }]),
  states: fc.constant([{ name: "s", type: { dtype: "f32", shape: [3], axes: [null] }, init: "init:s", span: { file: "a.ts", line: 3, column: 1 } }]),
  procedures: fc.array(procedure, { maxLength: 1 }),
});
const modulesOf = ({ lowerings }: CompiledProgram): Module[] => lowerings.flatMap(({ machine, kernels }, lowering): Module[] => {
  const code = { lowering, bytes: Uint8Array.of(0, 97, 115, 109), scratch: kernels.map((_, i) => i) };
  switch (machine) {
    case "simd128": return [{ kind: "wasm", relaxed: true, shared: false, ...code }];
    case "gpu": return [{ kind: "vulkan", ...code }, { kind: "cuda", architectures: ["sm_80", "sm_90"], ...code }];
    default: return [{ kind: "cpu", level: "v3", features: ["vnni"], ...code }];
  }
});

const small: CompiledProgram = {
  name: "small", dims: [], states: [], procedures: [], lowerings: [{ machine: "simd128", kernels: [], schedules: [] }],
  constants: [{ dtype: "u8", shape: [3], bytes: Uint8Array.of(1, 2, 3) }, { dtype: "f32", shape: [1], bytes: Uint8Array.of(0, 0, 128, 63) }],
};
const smallFile = writeContainer(small, modulesOf(small));

/** Reads a changed copy of the small container. */
function readChanged(change: (file: Uint8Array) => Uint8Array): unknown {
  try {
    return readContainer(change(smallFile.slice()));
  } catch (error) {
    return error;
  }
}
const isRefusal = (result: unknown) => result instanceof SluiceError && result.diagnostic.code === "SLX001";

describe("containers", () => {
  test("the checksum is CRC-32C", () => expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283));

  test("what is written reads back equal, and equal programs give equal bytes", () => {
    fc.assert(fc.property(program, p => {
      const bytes = writeContainer(p, modulesOf(p));
      expect(bytes.length % 4096).toBe(0);
      const container = readContainer(bytes);
      expect(container.compiled()).toEqual(p);
      expect(container.modules).toEqual(modulesOf(p));
      expect(writeContainer(p, modulesOf(p))).toEqual(bytes);
    }), { numRuns: 60 });
  });

  test("every flipped byte is refused", () => {
    for (let at = 0; at < smallFile.length; at++) {
      const result = readChanged(file => {
        file[at]! ^= 1 + (at % 255);
        return file;
      });
      if (!isRefusal(result)) expect.fail(`byte ${at} was changed and the container was read: ${result}`);
    }
  });

  test("every truncation is refused", () => {
    for (let length = 0; length < smallFile.length; length++) {
      const result = readChanged(file => file.subarray(0, length));
      if (!isRefusal(result)) expect.fail(`the first ${length} bytes were read: ${result}`);
    }
    expect(isRefusal(readChanged(file => Uint8Array.of(...file, ...new Uint8Array(4096))))).toBe(true);
  });

  test("a header whose checksum fits but whose content does not is refused, naming the place", () => {
    const withHeader = (edit: (text: string) => string) => (file: Uint8Array) => {
      const view = new DataView(file.buffer);
      const text = edit(new TextDecoder().decode(file.subarray(32, 32 + view.getUint32(12, true))));
      const header = new TextEncoder().encode(text);
      file.fill(0, 32, 4096).set(header, 32);
      view.setUint32(12, header.length, true);
      view.setUint32(24, crc32c(header), true);
      view.setUint32(28, crc32c(file.subarray(0, 28)), true);
      return file;
    };
    expect(isRefusal(readChanged(withHeader(text => text)))).toBe(false);
    const refusals: [(text: string) => string, RegExp][] = [
      [text => text.replace('"name":"small"', '"name":7'), /header\.program\.name: expected text/],
      [text => text.replace('"dims":[]', '"dims":{}'), /header\.program\.dims: expected a list/],
      [text => text.replace('"dtype":"u8"', '"dtype":"u9"'), /constants\[0\]\.dtype: expected one of f64/],
      [text => text.replace('"shape":[3]', '"shape":[2e15]'), /constants have another length/],
      [text => text.replace('"shape":[3]', '"shape":[-3]'), /constants\[0\]\.shape\[0\]: expected an integer from 0/],
      [text => text.replace('"shape":[3]', '"shape":[1]'), /padding after constant 0 is not zero/],
      [text => text.replace('"bytes":68', '"bytes":1000000'), /section constants does not fit/],
      [text => text.replace('"states":[]', '"state":[]'), /header\.program: expected no field "state"/],
      [text => text.replace('"procedures":[]', `"procedures":${"[".repeat(3000)}${"]".repeat(3000)}`), /procedures/],
      [text => text.replace('"procedures":[]', '"procedures":[{"name":"p","args":[],"slots":1,"body":[{"kind":"save","path":[],"states":[],"span":{"file":"a.ts","line":1}}]}]'), /procedures\[0\]\.body\[0\]\.span: expected a field "column"/],
      [text => text.slice(1), /header cannot be read/],
    ];
    for (const [edit, message] of refusals) {
      const result = readChanged(withHeader(edit));
      expect(result).toBeInstanceOf(SluiceError);
      expect((result as SluiceError).message).toMatch(message);
    }
  });
});
