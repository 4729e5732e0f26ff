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
import type { Expr, Kernel, Param, Stmt } from "../../compiler/kernel/ir.ts";
import type { MachineName } from "../../compiler/kernel/machines.ts";
import type { Procedure, ProcedureStep, ScalarExpr } from "../../compiler/plan/procedure.ts";
import type { CompiledProgram, Lowering, Schedule, ScheduleBuffer, Step } from "../../compiler/plan/schedule.ts";
import type { Module } from "../../runtime/program.ts";
import { sample } from "./runtime-sample.ts";

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
  params: fc.array(fc.record<Param>({ name, dtype, shape: fc.array(size, { maxLength: 2 }), space: fc.constant("global"), lanes: fc.constant(1), swizzle: fc.constant(0), access: fc.constantFrom("read", "write") }), { maxLength: 2 }),
  grid: fc.array(fc.record({ name, extent: size }), { maxLength: 2 }), threads: fc.constant([]), body: fc.array(stmt, { maxLength: 3 }),
  spans: fc.constant([{ file: "a.ts", line: 1, column: 2 }]), summary: name, flops: size,
});
/** Of a step: it may be missing, or null. */
const span = fc.option(fc.option(fc.record({ file: name, line: fc.nat(), column: fc.nat() }), { nil: null }).map(s => ({ span: s })), { nil: {} });
const callDims: Schedule["dims"] = (["H", "W"] as const).map(name => ({ name, binding: "call", min: 1, max: 9, multipleOf: 1 }));
const port = (name: string, { dtype, shape }: Pick<ScheduleBuffer, "dtype" | "shape">, buffer: number): Schedule["inputs"][number] =>
  ({ name, type: { dtype, shape, axes: shape.map(() => null) }, buffer });
/** An entry that launches the last of the kernels and loops, and the one that makes the first value of `s`. */
const schedules = (kernels: readonly Kernel[]) => fc.record({ at: span, done: span, sizes: fc.array(size, { maxLength: 2 }), tasks: size, slot: size }).map(
  ({ at, done, sizes, tasks, slot }): Schedule[] => {
    const own: readonly ScheduleBuffer[] = [
      { dtype: "f32", shape: [3], place: { kind: "state", name: "s" } }, { dtype: "f64", shape: sizes, place: { kind: "slot", slot: 0 } },
      { dtype: "i32", shape: [], place: { kind: "slot", slot: 0 } }, { dtype: "bool", shape: [], place: { kind: "slot", slot: 1 } },
    ];
    const params = kernels.at(-1)?.params ?? [];
    const operands = params.map(({ dtype, shape }): ScheduleBuffer => ({ dtype, shape, place: { kind: "slot", slot: 1 } }));
    const copy: Step = { kind: "copy", from: 1, to: 1, ...done };
    const spans = "span" in done && done.span ? [done.span] : [];
    const step: Step = kernels.length > 0 ? { kind: "launch", kernel: kernels.length - 1, buffers: params.map((_, i) => own.length + i), tasks, spans } : copy;
    const loop: Step = { kind: "loop", trips: tasks, index: 2, until: 3, body: [step, copy] };
    return [
      {
        entry: "run", dims: callDims, inputs: [port("x", own[1]!, 1), port("y", own[2]!, 2)], outputs: [port("z", own[1]!, 1)], reads: ["s"], writes: ["s"], slots: [slot, tasks],
        buffers: [...own, ...operands], steps: [step, loop, { kind: "print", buffer: 0, label: "", span: null }, { kind: "assert", buffer: 3, message: "m", span: null }], ...at,
      },
      { entry: "init:s", dims: [], inputs: [], outputs: [port("value", { dtype: "f32", shape: [3] }, 0)], reads: [], writes: [], slots: [12], buffers: [{ dtype: "f32", shape: [3], place: { kind: "slot", slot: 0 } }], steps: [] },
    ];
  });
const scalar: ScalarExpr = { kind: "binary", op: "lt", a: { kind: "slot", slot: 0 }, b: { kind: "const", value: Infinity } };
const steps = (span: { readonly span?: Span | null }): ProcedureStep[] => [
  { kind: "call", entry: "run", inputs: [{ name: "x", tensor: 1 }, { name: "y", scalar }], sizes: [{ dim: "H", value: scalar }], outputs: [{ name: "z", slot: 2 }], ...span },
  { kind: "repeat", count: scalar, index: 0, body: [{ kind: "if", condition: scalar, yes: [{ kind: "log", values: [{ name: "loss", value: scalar }] }], no: [] }] },
  { kind: "write", path: ["a", { slot: 1 }, { number: scalar }], tensor: 2, ...span },
  { kind: "save", path: [], states: [{ name: "w", state: "s" }], ...span },
  { kind: "load", path: [], states: [], ...span },
  { kind: "read", path: ["r"], tensors: [{ name: "t", dtype: "f32", shape: [2, dimSize("H")], slot: 1 }], ...span },
  { kind: "emit", name: "t", value: { text: ["x"] } },
  { kind: "pixels", picture: 1, dtype: "u8", resize: [4, 5], slot: 1, ...span },
  { kind: "list_new", list: 3, dtype: "i32" },
  { kind: "list_push", list: 3, value: { tensor: 1 } },
];
const procedure = span.map((at): Procedure => ({
  name: "train", slots: 4, body: steps(at),
  args: [{ name: "steps", kind: "int", help: "steps", init: 5, slot: 0 }, { name: "to", kind: "file", help: "", slot: 1 }],
}));
const lowering = (machine: MachineName) => fc.array(kernel, { maxLength: 2 }).chain(kernels => fc.record<Lowering>({
  machine: fc.constant(machine), kernels: fc.constant(kernels), schedules: schedules(kernels),
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
/** What reading says of a file whose header is changed; null if it is read. */
function refusalOf(file: Uint8Array, change: (header: { readonly program: unknown }) => void): unknown {
  const view = new DataView(file.buffer);
  const header = JSON.parse(new TextDecoder().decode(file.subarray(32, 32 + view.getUint32(12, true))));
  change(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const [start, rest] = [4096 * Math.ceil((32 + text.length) / 4096), file.subarray(4096 * Math.ceil((32 + view.getUint32(12, true)) / 4096))];
  const whole = new Uint8Array(start + rest.length);
  whole.set(file.subarray(0, 32));
  whole.set(text, 32);
  whole.set(rest, start);
  const to = new DataView(whole.buffer);
  to.setUint32(12, text.length, true);
  to.setBigUint64(16, BigInt(whole.length), true);
  to.setUint32(24, crc32c(text), true);
  to.setUint32(28, crc32c(whole.subarray(0, 28)), true);
  try {
    return readContainer(whole) && null;
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
      [text => text.replace('"procedures":[]', '"procedures":[{"name":"p","args":[],"slots":1,"body":[{"kind":"save","path":[],"states":[],"span":1}]}]').replace('"spans":[]', '"spans":[["a.ts",1,2]]'), /procedures\[0\]\.body\[0\]\.span: expected an integer from 0 to 0/],
      [text => text.replace('"spans":[]', '"spans":[["a.ts",1]]'), /header\.spans\[0\]\[2\]: expected an integer/],
      [text => text.replace('"spans":[]', '"spans":[["a.ts",1,2,3]]'), /header\.spans\[0\]: expected a file, a line and a column/],
      [text => text.slice(1), /header cannot be read/],
    ];
    for (const [edit, message] of refusals) {
      const result = readChanged(withHeader(edit));
      expect(result).toBeInstanceOf(SluiceError);
      expect((result as SluiceError).message).toMatch(message);
    }
  });

  test("a reference to what is not there, or is of another kind, is refused, naming the place", () => {
    type Path = readonly (string | number)[];
    const changed = (path: Path, value: unknown): unknown => {
      const file = writeContainer(sample, [{ ...modulesOf(small)[0]!, scratch: sample.lowerings[0]!.kernels.map(() => 16) } as Module]);
      return refusalOf(file, header => {
        const place = path.slice(0, -1).reduce<unknown>((at, key) => (at as { [k: string | number]: unknown })[key], header.program);
        (place as { [k: string | number]: unknown })[path.at(-1)!] = value;
      });
    };
    const entryIndex = (entry: string): number => sample.lowerings[0]!.schedules.findIndex(s => s.entry === entry);
    const schedule = (entry: string, ...path: Path): Path => ["lowerings", 0, "schedules", entryIndex(entry), ...path];
    const body = (...path: Path): Path => ["procedures", 0, "body", ...path];
    const lone = { kind: "slot", slot: 5 };
    const refusals: [Path, unknown, string][] = [
      [schedule("double", "buffers", 0, "place", "slot"), 2, "buffers[0].place.slot: expected an integer from 0 to 1"],
      [schedule("count", "buffers", 0, "place", "name"), "contour", "buffers[0].place.name: expected a state of the program"],
      [schedule("count", "buffers", 0, "dtype"), "i32", "buffers[0]: expected f32 with 1 axis"],
      [schedule("weigh", "buffers", 0, "place", "index"), 1, "buffers[0].place.index: expected a constant of the program"],
      [schedule("weigh", "steps", 0, "buffers"), [1, 0], "steps[0].buffers[1]: expected a buffer that is no constant"],
      [schedule("weigh", "steps", 0, "buffers"), [1], "steps[0].buffers: expected 2 buffers"],
      [schedule("double", "steps", 0, "kernel"), 4, "steps[0].buffers[0]: expected a buffer of i32"],
      [schedule("double", "steps", 0, "tasks"), { sum: [[1, "M"]] }, "steps[0].tasks: expected dims of the entry"],
      [schedule("double", "slots", 0), { sum: [[1, ["min", { sum: [[1, "M"]] }, 3]]] }, "slots[0]: expected dims of the entry"],
      [schedule("count", "steps", 0, "kernel"), 1, "steps[0].buffers: expected 2 buffers"],
      [schedule("weigh", "steps", 0, "kernel"), 1, "steps[0].kernel: expected a kernel of the entry's dims"],
      [schedule("loop", "steps", 0, "index"), 1, "steps[0].index: expected i32 with 0 axes"],
      [schedule("loop", "steps", 0, "until"), 2, "steps[0].until: expected bool with 0 axes"],
      [schedule("fails", "steps", 1, "buffer"), 0, "steps[1].buffer: expected bool with 0 axes"],
      [schedule("double", "inputs", 0, "type", "dtype"), "i32", "inputs[0].buffer: expected i32 with 1 axis"],
      [schedule("weigh", "outputs", 0, "buffer"), 0, "outputs[0].buffer: expected a buffer in a slot"],
      [schedule("count", "reads", 0), "contour", "reads[0]: expected a state of the program"],
      [schedule("total", "entry"), "double", "schedules[1]: expected a name of its own"],
      [["states", 1, "name"], "counter", "states[1]: expected a name of its own"],
      [["states", 0, "init"], "double", "states[0].init: expected an entry without inputs that has an output value"],
      [["states", 0, "type", "dtype"], "i32", "expected i32 with 1 axis"],
      [body(1, "body", 0, "entry"), "discount", "body[1].body[0].entry: expected an entry of the program"],
      [body(1, "body", 0, "outputs", 0, "name"), "y", "body[1].body[0].outputs[0].name: expected an output of the entry"],
      [body(1, "body", 1, "inputs", 0, "name"), "y", "body[1].body[1].inputs[0].name: expected an input of the entry"],
      [body(1, "body", 1, "inputs", 0, "tensor"), 5, "body[1].body[1].inputs[0].tensor: expected a slot that holds a tensor"],
      [body(1, "body", 1, "sizes"), [{ dim: "M", value: lone }], "body[1].body[1].sizes[0].dim: expected a dim of the entry"],
      [body(1, "index"), 6, "body[1].index: expected an integer from 0 to 5"],
      [body(1, "count"), lone, "body[1].count.slot: expected a slot that holds a number"],
      [body(1, "body", 3, "list"), 0, "body[1].body[3].list: expected a slot that holds a list"],
      [body(2, "value"), { tensor: 4 }, "body[2].value.tensor: expected a slot that holds a tensor"],
      [body(4, "path"), [{ slot: 5 }], "body[4].path[0].slot: expected a slot that holds text"],
      [body(4, "states", 0, "state"), "contour", "body[4].states[0].state: expected a state of the program"],
    ];
    for (const [path, value, message] of refusals) {
      const result = changed(path, value);
      expect(isRefusal(result) ? (result as SluiceError).message : `${path.join(".")} was read`).toContain(message);
    }
  });
});
