// Kernels that together need all that emitters of GPU code have words for: every operation, dtype, atomic and fragment.
import { type DType, DTYPES } from "../../compiler/base/dtypes.ts";
import { binary, bitcast, cast, constant, dot4, fma, lookup16, unary } from "../../compiler/kernel/expr.ts";
import { type BinaryOp, type Buffer, type Expr, type Kernel, REGISTER_TYPE, type ScalarType, type UnaryOp } from "../../compiler/kernel/ir.ts";
import { hasBinary, hasUnary, isFloatScalar } from "../../compiler/kernel/scalar.ts";
import { KernelBuilder } from "../../kernels/builder.ts";

const SCALARS: readonly ScalarType[] = ["f32", "f64", "i32", "u32", "bool", "f16"];
const UNARY: readonly UnaryOp[] = ["neg", "abs", "sqrt", "floor", "ceil", "trunc", "round_even", "not"];
const BINARY: readonly BinaryOp[] = ["add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi", "eq", "ne", "lt", "le", "gt", "ge"];

function operations(s: ScalarType): Kernel {
  const d = s === "f16" ? "f32" : s;
  const k = new KernelBuilder({ name: `operations of ${s}`, machine: "simd", summary: "" });
  const [x, y, z] = [k.param("x", d, [1]), k.param("y", d, [1]), k.param("z", "f64", [64], "write")];
  const i = k.grid("i", 1);
  const [a, b] = [cast(s, k.load(x, [i])), cast(s, k.load(y, [i]))];
  const results: Expr[] = [
    ...UNARY.filter(op => hasUnary(op, s)).map(op => unary(op, a)), ...BINARY.filter(op => hasBinary(op, s)).map(op => binary(op, a, b)), ...SCALARS.map(to => cast(to, a)),
    ...(isFloatScalar(s) ? [fma(a, b, a)] : []), ...(s === "i32" ? [dot4(a, b, a), bitcast("f32", a), lookup16("f32", [...Array(16).keys()], a)] : []),
  ];
  results.forEach((r, at) => k.store(z, [at], cast("f64", r)));
  return k.finish({ flops: 1 });
}

function memory(lanes: number): Kernel {
  const k = new KernelBuilder({ name: `memory x${lanes}`, machine: "simd", summary: "" });
  k.grid("i", 1);
  for (const d of Object.keys(DTYPES) as DType[]) {
    const [x, y] = [k.param("x", d, [8]), k.param("y", d, [8], "write")];
    const [local, register] = [k.alloc("l", d, [8], "local"), k.tile("r", d, [1], lanes)];
    k.store(local, [0], k.load(x, [0], lanes));
    k.store(register, [0], k.load(local, [0], lanes));
    k.store(y, [0], k.load(register, [0]));
  }
  for (const d of ["i32", "u32", "f32", "f64"] as const) {
    const y = k.param("y", d, [1], "readwrite");
    for (const op of ["add", "min", "max"] as const) k.atomic(op, y, [0], constant(REGISTER_TYPE[d], 3));
  }
  return k.finish({ flops: 1 });
}

function fragments(d: "f16" | "bf16" | "f32" | "i8"): Kernel {
  const k = new KernelBuilder({ name: `fragments of ${d}`, machine: "simt", summary: "" });
  const sum = d === "i8" ? "i32" : "f32";
  const [x, z] = [k.param("x", d, [32, 32]), k.param("z", sum, [16, 16], "write")];
  k.grid("i", 1);
  const t = k.thread("t", 32);
  const shared = k.alloc("s", d, [32, 32], "shared");
  k.for_("r", 32, r => k.store(shared, [r, t], k.load(x, [r, t])));
  k.barrier();
  const [a, b, total] = [k.fragment("a", "a", d, 16, 16, 32), k.fragment("b", "b", d, 16, 16, 32), k.fragment("c", "accumulator", sum, 16, 16, 32)];
  k.fragmentFill(total, 0);
  for (const from of [x, shared] as readonly Buffer[]) for (const order of ["row", "column"] as const) {
    k.fragmentLoad(a, from, [0, 0], order);
    k.fragmentLoad(b, from, [0, 0], order);
    k.fragmentMma(total, a, b);
  }
  k.fragmentStore(total, z, [0, 0]);
  return k.finish({ flops: 1 });
}

export const everyInstruction = (): Kernel[] => [...SCALARS.map(operations), ...[1, 4].map(memory), ...(["f16", "bf16", "f32", "i8"] as const).map(fragments)];
