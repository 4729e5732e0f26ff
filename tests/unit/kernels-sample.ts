// What the tests of kernel generators share: operands of small integers, the graph interpreter's answer, and a kernel that
// is verified and run in the kernel interpreter on poisoned outputs.
import { expect } from "vitest";
import type { DType } from "../../compiler/base/dtypes.ts";
import { type DimDecl, type DimValues, dimSize, evaluateSize, type Size } from "../../compiler/base/sizes.ts";
import { GraphBuilder } from "../../compiler/graph/builder.ts";
import { type OpAttrs, type OpName, tensorType } from "../../compiler/graph/graph.ts";
import type { NdArray } from "../../compiler/graph/field.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { countOf } from "../../compiler/graph/ndarray.ts";
import { interpretKernel } from "../../compiler/kernel/interpret.ts";
import { MACHINES, type SimdMachine } from "../../compiler/kernel/machines.ts";
import type { Kernel, Param } from "../../compiler/kernel/ir.ts";
import { verifyKernel } from "../../compiler/kernel/verify.ts";
import { KernelBuilder } from "../../kernels/builder.ts";
import type { Sink, Source } from "../../kernels/fused.ts";

export const dim = (name: string, max = 4096, min = 1): DimDecl => ({ name, binding: "call", min, max, multipleOf: 1 });
export const [N, H, W] = ["N", "H", "W"].map(dimSize) as [Size, Size, Size];

/** Whole numbers from -4 to 4, another series for each seed. */
export function integers(shape: readonly number[], seed: number): NdArray {
  const data = new Float64Array(countOf(shape));
  let state = seed * 7919 + 17;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    data[i] = ((state >>> 16) % 9) - 4;
  }
  return { dtype: "f32", shape, data };
}

/** What the graph interpreter makes of one op. */
export function reference<O extends OpName>(op: O, inputs: readonly NdArray[], attrs: OpAttrs[O]): NdArray {
  const b = new GraphBuilder("reference");
  const ids = inputs.map((x, i) => b.add("input", [], { name: `i${i}`, type: tensorType(x.dtype, x.shape) }));
  b.outputs.push({ name: "y", id: b.add(op, ids, attrs) });
  return interpret(b.finish(), { inputs: Object.fromEntries(inputs.map((x, i) => [`i${i}`, x])) }).outputs["y"]!;
}

export const sourceOf = (p: Param): Source => ({ dtype: p.dtype, shape: p.shape, read: (k, at, lanes) => k.load(p, at, lanes) });
export const sinkOf = (p: Param): Sink => ({ write: (k, at, value) => k.store(p, at, value) });

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u32: Uint32Array };
const arrayType = (d: DType) => {
  if (d !== "f32" && d !== "f64" && d !== "i32" && d !== "u32") throw new Error(`no array of ${d}`);
  return ARRAYS[d];
};

export interface Built {
  readonly name: string;
  readonly dims: readonly DimDecl[];
  readonly inputs: readonly { readonly name: string; readonly shape: readonly Size[]; readonly data: NdArray }[];
  readonly output: { readonly dtype: DType; readonly shape: readonly Size[] };
  body(k: KernelBuilder, sources: readonly Source[], sink: Sink): void;
}

/** The output of the kernel, once it has been verified: the same on each machine. */
export function verified(built: Built, dims: DimValues): number[] {
  const [first, ...others] = Object.values(MACHINES).filter(m => m.tasks === "ranges").map(m => run(builtOn(m, "simd", built), built, dims));
  for (const other of others) expect(other).toEqual(first);
  return first!;
}
/** The kernel of workgroups, once it has been verified, and its output. */
export function verifiedInWorkgroups(built: Built, dims: DimValues): { readonly kernel: Kernel; readonly output: number[] } {
  const kernel = builtOn(MACHINES.gpu, "simt", built);
  return { kernel, output: run(kernel, built, dims) };
}

function builtOn(machine: SimdMachine, kind: Kernel["machine"], built: Built): Kernel {
  const k = new KernelBuilder({ name: `${built.name} on ${machine.name}`, machine: kind, simd: machine, summary: built.name, dims: built.dims });
  const params = built.inputs.map(i => k.param(i.name, i.data.dtype, i.shape));
  const y = k.param("y", built.output.dtype, built.output.shape, "write");
  built.body(k, params.map(sourceOf), sinkOf(y));
  return k.finish({ flops: 0 });
}
function run(kernel: Kernel, built: Built, dims: DimValues): number[] {
  verifyKernel(kernel);
  const out = new (arrayType(built.output.dtype))(countOf(built.output.shape.map(s => evaluateSize(s, dims)))).fill(-12345);
  const buffers = Object.fromEntries(built.inputs.map(({ data }, i) => [kernel.params[i]!.name, arrayType(data.dtype).from(data.data)]));
  interpretKernel(kernel, { buffers: { ...buffers, y: out }, dims });
  return [...out];
}
