// A small program made by hand, with kernels written as WebAssembly text and in C: what the runtimes' tests run.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import binaryen from "binaryen";
import type { DType } from "../../compiler/base/dtypes.ts";
import { addSize, dimSize, floorDivSize, mulSize, productSize, type Size } from "../../compiler/base/sizes.ts";
import type { Span } from "../../compiler/base/span.ts";
import { requireCompiler } from "../../compiler/emit/cpu/compiler.ts";
import { tensorType } from "../../compiler/graph/graph.ts";
import type { Kernel, Param } from "../../compiler/kernel/ir.ts";
import type { Procedure, ScalarExpr } from "../../compiler/plan/procedure.ts";
import type { CompiledProgram, Schedule, ScheduleBuffer, Step } from "../../compiler/plan/schedule.ts";
import type { CpuModule, WasmModule } from "../../runtime/program.ts";

const address = (i: string) => `(i32.load (i32.add (local.get $args) (i32.const ${i})))`;
const kernelText = (k: number, body: string) => `(func (export "k${k}") (param $args i32) (param $lo i32) (param $hi i32) (param $scratch i32) (local $at i32) ${body})`;
/** For each task i in [lo, hi); $at is 4·i. */
const eachTask = (body: string) => `(loop $next (if (i32.lt_s (local.get $lo) (local.get $hi)) (then
  (local.set $at (i32.mul (local.get $lo) (i32.const 4))) ${body}
  (local.set $lo (i32.add (local.get $lo) (i32.const 1))) (br $next))))`;
const element = (param: number) => `(i32.add ${address(String(param * 4))} (local.get $at))`;

const BODIES = [
  // 0: y = 2·x, through this worker's scratch
  eachTask(`(f32.store (local.get $scratch) (f32.mul (f32.load ${element(0)}) (f32.const 2))) (f32.store ${element(1)} (f32.load (local.get $scratch)))`),
  // 1: y[0] = sum of x, whose length is the dim
  `(local $sum f32) (local $n i32) (local.set $n ${address("8")})
   (loop $next (if (i32.gt_s (local.get $n) (i32.const 0)) (then (local.set $n (i32.sub (local.get $n) (i32.const 1)))
     (local.set $at (i32.mul (local.get $n) (i32.const 4))) (local.set $sum (f32.add (local.get $sum) (f32.load ${element(0)}))) (br $next))))
   (f32.store ${address("4")} (local.get $sum))`,
  // 2: s += 1 in place
  eachTask(`(f32.store ${element(0)} (f32.add (f32.load ${element(0)}) (f32.const 1)))`),
  // 3: y = √x
  eachTask(`(f32.store ${element(1)} (f32.sqrt (f32.load ${element(0)})))`),
  // 4: flag = index ≥ 3
  `(i32.store8 ${address("4")} (i32.ge_s (i32.load ${address("0")}) (i32.const 3)))`,
  // 5: y = 10
  eachTask(`(f32.store ${element(0)} (f32.const 10))`),
  // 6: traps
  "(unreachable)",
  // 7: y = 255 - x, bytes; a task is a row of as many pixels as the dim says
  `(local $end i32) (local.set $at (i32.mul (local.get $lo) (i32.mul ${address("8")} (i32.const 3)))) (local.set $end (i32.mul (local.get $hi) (i32.mul ${address("8")} (i32.const 3))))
   (loop $next (if (i32.lt_s (local.get $at) (local.get $end)) (then
     (i32.store8 ${element(1)} (i32.sub (i32.const 255) (i32.load8_u ${element(0)}))) (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next))))`,
  // 8: y = 2·x again, of four
  eachTask(`(f32.store ${element(1)} (f32.mul (f32.load ${element(0)}) (f32.const 2)))`),
];

/** The module for an engine; binaryen only assembles the text. */
export function sampleModule(shared: boolean): WasmModule {
  const module = binaryen.parseText(`(module (import "env" "memory" (memory 1 65536 ${shared ? "shared" : ""})) ${BODIES.map((b, k) => kernelText(k, b)).join("\n")})`);
  module.setFeatures(binaryen.Features.All);
  if (!module.validate()) throw new Error("the sample module is not valid");
  const bytes = module.emitBinary();
  module.dispose();
  return { kind: "wasm", lowering: 0, relaxed: false, shared, bytes, scratch: BODIES.map(() => 16) };
}

/** The same kernels in C, by the system's compiler. */
export async function sampleCpuModule(): Promise<CpuModule> {
  const compiler = await requireCompiler();
  const source = fileURLToPath(new URL("../../runtime/native/tests/sample-kernels.c", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "sluice-sample-"));
  try {
    const object = join(folder, "kernels.so");
    execFileSync(compiler.path, ["-O2", "-shared", "-fPIC", "-nostdlib", source, "-o", object]);
    return { kind: "cpu", lowering: 0, level: "v3", features: [], bytes: new Uint8Array(await readFile(object)), scratch: BODIES.map(() => 16) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const N = dimSize("N");
export const LIMIT = 3_000_000_000;
const dimN = { name: "N", binding: "call" as const, min: 1, max: LIMIT, multipleOf: 1 };
const picture = [dimSize("H"), dimSize("W"), 3];
const dimH = { name: "H", binding: "call" as const, min: 1, max: 4096, multipleOf: 1 };
const dimW = { ...dimH, name: "W" };
const pictureBytes = mulSize(64, floorDivSize(addSize(productSize(picture), 63), 64));
const pixels = (slot: number): ScheduleBuffer => ({ dtype: "u8", shape: picture, place: { kind: "slot", slot } });
const param = (name: string, access: Param["access"], shape: readonly Size[] = [N], dtype: DType = "f32"): Param => ({ name, dtype, shape, space: "global", lanes: 1, swizzle: 0, access });
const kernel = (name: string, params: Param[], line: number): Kernel => ({
  name, machine: "simd", params, dims: name === "sum" ? [dimN] : [], grid: [{ name: "i", extent: N }], threads: [], body: [],
  spans: [{ file: "sample.ts", line, column: 3 }], summary: name, flops: N,
});

const f32 = (shape: readonly Size[], slot: number): ScheduleBuffer => ({ dtype: "f32", shape, place: { kind: "slot", slot } });
const bytesN = mulSize(N, 4);
const bytes64N = mulSize(N, 64);
const port = (name: string, shape: readonly Size[], buffer: number) => ({ name, type: tensorType("f32", shape), buffer });
const schedule = (entry: string, parts: Partial<Schedule> & Pick<Schedule, "buffers" | "steps">): Schedule => ({
  entry, dims: [], inputs: [], outputs: [], reads: [], writes: [], slots: [64], ...parts,
});
const launch = (kernel: number, buffers: number[], tasks: Size = 1, span?: Span): Step => ({
  kind: "launch", kernel, buffers, tasks, spans: [span ?? { file: "sample.ts", line: 10 + kernel, column: 3 }],
});
const counter: ScheduleBuffer = { dtype: "f32", shape: [4], place: { kind: "state", name: "counter" } };

const at = (line: number): Span => ({ file: "sample.ts", line, column: 3 });
const slot = (s: number): ScalarExpr => ({ kind: "slot", slot: s });
const train: Procedure = {
  name: "train", slots: 6,
  args: [{ name: "steps", kind: "int", help: "how many", init: 3, slot: 0 }, { name: "to", kind: "file", help: "weights", slot: 4 }],
  body: [
    { kind: "list_new", list: 5, dtype: "f32" },
    {
      kind: "repeat", count: slot(0), index: 1, body: [
        { kind: "call", entry: "count", inputs: [], sizes: [], outputs: [{ name: "value", slot: 2 }], span: at(40) },
        { kind: "call", entry: "total", inputs: [{ name: "x", tensor: 2 }], sizes: [], outputs: [{ name: "sum", slot: 3 }], span: at(41) },
        { kind: "log", values: [{ name: "sum", value: slot(3) }] },
        { kind: "list_push", list: 5, value: { scalar: slot(3) } },
      ],
    },
    { kind: "emit", name: "last", value: { tensor: 2 } },
    { kind: "emit", name: "note", value: { text: ["after ", { number: { kind: "list_length", list: 5 } }, " steps"] } },
    { kind: "save", path: [{ slot: 4 }], states: [{ name: "c", state: "counter" }], span: at(42) },
  ],
};
const resume: Procedure = {
  name: "resume", slots: 1, args: [{ name: "from", kind: "file", help: "", slot: 0 }],
  body: [{ kind: "load", path: [{ slot: 0 }], states: [{ name: "c", state: "counter" }], span: at(50) }],
};
const forever: Procedure = {
  name: "forever", slots: 2, args: [],
  body: [{ kind: "while", condition: { kind: "const", value: 1 }, body: [
    { kind: "call", entry: "count", inputs: [], sizes: [], outputs: [{ name: "value", slot: 0 }] }, { kind: "log", values: [{ name: "tick", value: { kind: "seconds" } }] },
  ] }],
};

export const sample: CompiledProgram = {
  name: "sample",
  dims: [dimN, dimH, dimW],
  constants: [{ dtype: "f32", shape: [4], bytes: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) }],
  states: [
    { name: "counter", type: tensorType("f32", [4]), init: "counter.init", span: { file: "sample.ts", line: 2, column: 1 } },
    { name: "unset", type: tensorType("f32", [4]), init: null, span: { file: "sample.ts", line: 7, column: 1 } },
  ],
  procedures: [train, resume, forever],
  lowerings: [{ machine: "simd128", kernels: [
    kernel("double", [param("x", "read"), param("y", "write")], 10), kernel("sum", [param("x", "read"), param("y", "write", [])], 11),
    kernel("increment", [param("s", "readwrite", [4])], 12), kernel("root", [param("x", "read"), param("y", "write")], 13),
    kernel("enough", [param("i", "read", [], "i32"), param("flag", "write", [], "bool")], 14), kernel("ten", [param("y", "write", [4])], 15), kernel("trap", [], 16),
    { ...kernel("invert", [param("x", "read", picture, "u8"), param("y", "write", picture, "u8")], 17), dims: [dimW] },
    kernel("double four", [param("x", "read", [4]), param("y", "write", [4])], 18),
  ], schedules: [
    schedule("double", {
      dims: [dimN], inputs: [port("x", [N], 0)], outputs: [port("y", [N], 1)], slots: [bytes64N, bytes64N],
      buffers: [f32([N], 0), f32([N], 1)], steps: [launch(0, [0, 1], N)],
    }),
    schedule("total", {
      dims: [dimN], inputs: [port("x", [N], 0)], outputs: [port("sum", [], 1)], slots: [bytes64N, bytes64N],
      buffers: [f32([N], 0), f32([], 1)], steps: [launch(1, [0, 1])],
    }),
    schedule("weigh", {
      outputs: [port("y", [4], 1)], buffers: [{ dtype: "f32", shape: [4], place: { kind: "constant", index: 0 } }, f32([4], 0)], steps: [launch(8, [0, 1], 4)],
    }),
    schedule("counter.init", { outputs: [port("value", [4], 0)], buffers: [f32([4], 0)], steps: [launch(5, [0], 4)], span: at(2) }),
    schedule("count", {
      reads: ["counter"], writes: ["counter"], outputs: [port("value", [4], 1)], buffers: [counter, f32([4], 0)],
      steps: [launch(2, [0], 4, at(19)), { kind: "copy", from: 0, to: 1, span: at(20) }],
    }),
    schedule("loop", {
      reads: ["counter"], writes: ["counter"], outputs: [port("value", [4], 1)],
      buffers: [counter, f32([4], 0), { dtype: "i32", shape: [], place: { kind: "slot", slot: 1 } }, { dtype: "bool", shape: [], place: { kind: "slot", slot: 2 } }], slots: [16, 4, 1],
      steps: [{ kind: "loop", trips: 100, index: 2, until: 3, body: [launch(2, [0], 4), launch(4, [2, 3])] }, { kind: "copy", from: 0, to: 1 }],
    }),
    schedule("root", {
      dims: [dimN], inputs: [port("x", [N], 0)], outputs: [port("y", [N], 1)], slots: [bytes64N, bytes64N],
      buffers: [f32([N], 0), f32([N], 1)], steps: [launch(3, [0, 1], N), { kind: "print", buffer: 1, label: "roots", span: null }],
    }),
    schedule("invert", {
      dims: [dimH, dimW], inputs: [{ name: "image", type: tensorType("u8", picture), buffer: 0 }], outputs: [{ name: "image", type: tensorType("u8", picture), buffer: 1 }],
      buffers: [pixels(0), pixels(1)], steps: [launch(7, [0, 1], picture[0])], slots: [pictureBytes, pictureBytes],
    }),
    schedule("needs_unset", { reads: ["unset"], buffers: [{ dtype: "f32", shape: [4], place: { kind: "state", name: "unset" } }], steps: [launch(2, [0], 4)] }),
    schedule("fails", {
      reads: ["counter"], writes: ["counter"], inputs: [{ name: "ok", type: tensorType("bool", []), buffer: 1 }],
      buffers: [counter, { dtype: "bool", shape: [], place: { kind: "slot", slot: 0 } }],
      steps: [launch(2, [0], 4), { kind: "assert", buffer: 1, message: "ok must hold", span: { file: "sample.ts", line: 30, column: 5 } }],
    }),
    schedule("traps", { buffers: [f32([4], 0)], steps: [launch(6, [], 4)] }),
    schedule("outside", { buffers: [f32([17], 0)], steps: [launch(5, [0], 4)] }),
    schedule("huge", { dims: [dimN], inputs: [], buffers: [f32([4], 0)], steps: [launch(5, [0], 4)], slots: [bytesN] }),
  ] }],
};
