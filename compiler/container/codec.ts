// The decoders of everything that a container's header and kernel section hold, field by field. What passes has the types
// that plan/schedule, plan/procedure and kernel/ir declare, and references (kernels, buffers, constants) that exist.
import { type DType, DTYPES } from "../base/dtypes.ts";
import { count, type Decoder, flag, index, integer, lazy, list, nullable, oneOf, optional, pair, real, record, sharedSpan, size, text, union } from "./json.ts";
import type { DimDecl } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import type { TensorType } from "../graph/graph.ts";
import { type MachineName, MACHINES } from "../kernel/machines.ts";
import type { BinaryOp, Buffer, Expr, IndexVar, Kernel, Param, ScalarType, Stmt, UnaryOp, ValueType } from "../kernel/ir.ts";
import type { Procedure, ProcedureArg, ProcedureStep, ScalarBinary, ScalarExpr, ScalarUnary, TextExpr } from "../plan/procedure.ts";
import type { Constant, Schedule, ScheduleBuffer, Step } from "../plan/schedule.ts";
import type { CpuFeature, CpuModule, CudaModule, KernelInfo, RuntimeLowering, RuntimeProgram, VulkanModule, WasmModule } from "../../runtime/program.ts";

const dtype: Decoder<DType> = oneOf(...(Object.keys(DTYPES) as DType[]));
/** Where traces alone ask for it. */
const traced = optional(nullable(sharedSpan));
const dim: Decoder<DimDecl> = record({ name: text, binding: oneOf("instance", "call"), min: integer, max: integer, multipleOf: integer });
const tensorType: Decoder<TensorType> = record({ dtype, shape: list(size), axes: list(nullable(text)) });

// Schedules

const buffer: Decoder<ScheduleBuffer> = record({
  dtype,
  shape: list(size),
  place: union<ScheduleBuffer["place"]>({ slot: { slot: count }, state: { name: text }, constant: { index: count } }),
});

const stepsOf = (buffers: number, kernels: number): Decoder<Step[]> => {
  const id = index(buffers);
  const step: Decoder<Step> = union<Step>({
    launch: { kernel: index(kernels), buffers: list(id), tasks: size, spans: list(sharedSpan) },
    copy: { from: id, to: id, span: traced },
    loop: { trips: size, index: id, until: nullable(id), body: lazy(() => list(step)) },
    print: { buffer: id, label: text, span: nullable(sharedSpan) },
    assert: { buffer: id, message: text, span: nullable(sharedSpan) },
  });
  return list(step);
};

export const schedule = (kernels: number): Decoder<Schedule> => (value, at, shared) => {
  const { buffers } = record<{ buffers: unknown[] }>({ buffers: list(b => b) })(
    { buffers: (value as { buffers?: unknown } | null)?.buffers }, at, shared);
  const port = record<Schedule["inputs"][number]>({ name: text, type: tensorType, buffer: index(buffers.length) });
  return record<Schedule>({
    entry: text, dims: list(dim), inputs: list(port), outputs: list(port), reads: list(text), writes: list(text),
    buffers: list(buffer), steps: stepsOf(buffers.length, kernels), slots: list(size), span: traced,
    counts: optional(list(record({ elements: size, span: nullable(sharedSpan) }))),
  })(value, at, shared);
};

// Procedures

const scalar: Decoder<ScalarExpr> = lazy(() => scalarUnion);
const scalarUnion: Decoder<ScalarExpr> = union<ScalarExpr>({
  const: { value: real },
  slot: { slot: count },
  unary: { op: oneOf<ScalarUnary>("neg", "abs", "not", "floor", "sqrt", "exp", "log", "to_i32", "to_f32"), x: scalar },
  binary: {
    op: oneOf<ScalarBinary>("add", "sub", "mul", "div", "mod", "pow", "max", "min", "eq", "ne", "lt", "le", "gt", "ge", "and", "or"),
    a: scalar, b: scalar,
  },
  select: { condition: scalar, yes: scalar, no: scalar },
  list_length: { list: count },
  list_at: { list: count, index: scalar },
  list_find: { list: count, value: scalar },
  tensor_size: { tensor: count, axis: count },
  seconds: {},
});
/** The one of several forms that has the key. */
const keyed = <T>(forms: { readonly [key: string]: Decoder<T> }): Decoder<T> => (value, at, shared) => {
  const key = Object.keys(forms).find(k => typeof value === "object" && value !== null && k in value);
  return (key === undefined ? record<T & object>({} as never) as Decoder<T> : forms[key]!)(value, at, shared);
};
const textExpr: Decoder<TextExpr> = list((part, at, shared) =>
  typeof part === "string" ? part : keyed<Exclude<TextExpr[number], string>>({ slot: record({ slot: count }), number: record({ number: scalar }) })(part, at, shared));

type CallStep = Extract<ProcedureStep, { kind: "call" }>;
type EmitStep = Extract<ProcedureStep, { kind: "emit" }>;
type PushStep = Extract<ProcedureStep, { kind: "list_push" }>;
const states = list(record({ name: text, state: text }));
const steps: Decoder<ProcedureStep[]> = lazy(() => list(procedureStep));
const procedureStep: Decoder<ProcedureStep> = union<ProcedureStep>({
  set: { slot: count, value: scalar },
  call: {
    entry: text,
    inputs: list(keyed<CallStep["inputs"][number]>({ tensor: record({ name: text, tensor: count }), scalar: record({ name: text, scalar }) })),
    sizes: list(record({ dim: text, value: scalar })),
    outputs: list(record({ name: text, slot: count })),
    span: traced,
  },
  repeat: { count: scalar, index: count, body: steps },
  while: { condition: scalar, body: steps },
  if: { condition: scalar, yes: steps, no: steps },
  log: { values: list(record({ name: text, value: scalar })) },
  emit: { name: text, value: keyed<EmitStep["value"]>({ text: record({ text: textExpr }), tensor: record({ tensor: count }), scalar: record({ scalar }) }) },
  write: { path: textExpr, tensor: count, span: traced },
  save: { path: textExpr, states, span: traced },
  load: { path: textExpr, states, span: traced },
  read: { path: textExpr, tensors: list(record({ name: text, dtype, shape: list(size), slot: count })), span: traced },
  pixels: { picture: count, dtype: oneOf("u8", "f32"), resize: optional(pair(integer)), slot: count, span: traced },
  list_new: { list: count, dtype },
  list_push: { list: count, value: keyed<PushStep["value"]>({ scalar: record({ scalar }), tensor: record({ tensor: count, count: optional(scalar) }) }) },
  list_clear: { list: count },
  list_range: { list: count, start: scalar, length: scalar, slot: count },
});
const procedureArg: Decoder<ProcedureArg> = record({
  name: text, kind: oneOf("int", "real", "flag", "text", "file", "picture"), help: text,
  init: optional<number | string>((value, at, shared) => (typeof value === "string" ? value : real(value, at, shared))), min: optional(real), max: optional(real), slot: count,
});
const procedure: Decoder<Procedure> = record({ name: text, args: list(procedureArg), slots: count, body: steps });

// Kernels

const scalarType: Decoder<ScalarType> = oneOf("f64", "f32", "f16", "i32", "u32", "bool");
const valueType: Decoder<ValueType> = record({ scalar: scalarType, lanes: integer });
const bufferFields = { name: text, dtype, shape: list(size), lanes: integer, swizzle: integer };
const kernelBuffer: Decoder<Buffer> = record({ ...bufferFields, space: oneOf("global", "shared", "local", "register") });
const param: Decoder<Param> = record({ ...bufferFields, space: oneOf("global"), access: oneOf("read", "write", "readwrite") });

const expr: Decoder<Expr> = lazy(() => exprUnion);
const exprUnion: Decoder<Expr> = union<Expr>({
  const: { type: valueType, value: real },
  size: { size },
  var: { name: text, type: valueType },
  unary: { op: oneOf<UnaryOp>("neg", "abs", "sqrt", "floor", "ceil", "trunc", "round_even", "not"), x: expr },
  binary: {
    op: oneOf<BinaryOp>("add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi", "eq", "ne", "lt", "le", "gt", "ge"),
    a: expr, b: expr,
  },
  fma: { a: expr, b: expr, c: expr },
  select: { condition: expr, yes: expr, no: expr },
  cast: { to: scalarType, x: expr },
  bitcast: { to: scalarType, x: expr },
  load: { buffer: text, index: list(expr), type: valueType },
  gather: { buffer: text, index: list(expr), type: valueType },
  splat: { x: expr, lanes: integer },
  vector: { items: list(expr) },
  lane: { x: expr, lane: integer },
  shuffle: { a: expr, b: expr, lanes: list(integer) },
  horizontal: { op: oneOf("add", "max", "min"), x: expr },
  dot4: { a: expr, b: expr, c: expr },
  lookup16: { table: list(real), index: expr, type: valueType },
  subgroup_xor: { x: expr, mask: integer },
  subgroup_reduce: { op: oneOf("add", "max", "min"), x: expr },
});

const stmts: Decoder<Stmt[]> = lazy(() => list(stmt));
const stmt: Decoder<Stmt> = union<Stmt>({
  for: { variable: text, from: size, to: size, step: integer, mode: oneOf("serial", "unroll"), body: stmts },
  while: { condition: expr, body: stmts },
  if: { condition: expr, yes: stmts, no: stmts },
  let: { name: text, value: expr },
  mutable: { name: text, type: valueType, init: expr },
  assign: { name: text, value: expr },
  alloc: { buffer: kernelBuffer },
  store: { buffer: text, index: list(expr), value: expr },
  atomic: { op: oneOf("add", "max", "min"), buffer: text, index: list(expr), value: expr },
  barrier: { scope: oneOf("workgroup", "subgroup") },
  async_copy: { to: text, toIndex: list(expr), from: text, fromIndex: list(expr), elements: integer },
  async_commit: {},
  async_wait: { pending: integer },
  fragment: { name: text, role: oneOf("a", "b", "accumulator"), dtype, m: integer, n: integer, k: integer },
  fragment_fill: { fragment: text, value: real },
  fragment_load: { fragment: text, buffer: text, index: list(expr), order: oneOf("row", "column") },
  fragment_mma: { d: text, a: text, b: text },
  fragment_store: { fragment: text, buffer: text, index: list(expr) },
});

const infoFields = { name: text, params: list(param), dims: list(dim), summary: text };
export const kernelInfo: Decoder<KernelInfo> = record(infoFields);

/** The rest of a kernel, beside its `KernelInfo`. */
export type KernelCode = Omit<Kernel, keyof KernelInfo>;
const span: Decoder<Span> = record({ file: text, line: integer, column: integer });
const indexVar: Decoder<IndexVar> = record({ name: text, extent: size });
export const kernelCode: Decoder<KernelCode> = record({
  machine: oneOf("simd", "simt"), grid: list(indexVar), threads: list(indexVar), body: stmts, spans: list(span), flops: size,
});

// Programs

/** A constant without its bytes, which stand in a section. */
export type ConstantInfo = Omit<Constant, "bytes">;

/** All of a program that stands in the header. */
export interface ProgramHeader extends Omit<RuntimeProgram, "constants"> {
  readonly constants: readonly ConstantInfo[];
}

const lowering: Decoder<RuntimeLowering> = (value, at, shared) => {
  const kernels = (value as { kernels?: unknown } | null)?.kernels;
  return record<RuntimeLowering>({
    machine: oneOf(...(Object.keys(MACHINES) as MachineName[])),
    kernels: list(kernelInfo),
    schedules: list(schedule(Array.isArray(kernels) ? kernels.length : 0)),
  })(value, at, shared);
};

export const programHeader: Decoder<ProgramHeader> = record<ProgramHeader>({
  name: text,
  dims: list(dim),
  states: list(record({ name: text, type: tensorType, init: nullable(text), span: nullable(sharedSpan) })),
  constants: list(record({ dtype, shape: list(count) })),
  procedures: list(procedure),
  lowerings: list(lowering),
});

/** A module without its code, which stands in a section. */
export type ModuleHeader = Omit<WasmModule, "bytes"> | Omit<CpuModule, "bytes"> | Omit<VulkanModule, "bytes"> | Omit<CudaModule, "bytes">;
export const moduleHeader: Decoder<ModuleHeader> = union<ModuleHeader>({
  wasm: { lowering: count, relaxed: flag, shared: flag, scratch: list(size) },
  cpu: { lowering: count, level: oneOf("v3", "v4"), features: list(oneOf<CpuFeature>("vnni", "bf16")), scratch: list(size) },
  vulkan: { lowering: count, scratch: list(size) },
  cuda: { lowering: count, architectures: list(text), scratch: list(size) },
});
