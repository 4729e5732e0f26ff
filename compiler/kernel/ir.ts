// Kernel IR: loop nests over typed buffers, one form for every target. Machine classes differ only in who runs the grid:
//   simd  (wasm, cpu)     a grid point is a task; a worker runs a range of tasks one after another, vectors are explicit
//   simt  (cuda, vulkan)  a grid point is a workgroup of `threads`, which share `shared` buffers and meet at barriers
// Loop, grid and thread variables are index symbols: they stand in `Size` polynomials, so that indices stay analysable.
// Arithmetic is exact at the stated type, operation by operation; only `fma` may be fused or not, as the target likes.
// Narrow dtypes are storage: loads widen (f16, bf16 → f32; i4, i8, i16 → i32; u8, u16 → u32), stores round and wrap.
import type { DType } from "../base/dtypes.ts";
import type { DimDecl, Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import { isComparison } from "./scalar.ts";

/** What registers hold. */
export type ScalarType = "f64" | "f32" | "f16" | "i32" | "u32" | "bool";
export interface ValueType {
  readonly scalar: ScalarType;
  /** 1 is a scalar. Vectors of bool are lane masks. */
  readonly lanes: number;
}

/** The type in registers of a buffer's element. */
export const REGISTER_TYPE: { readonly [D in DType]: ScalarType } = {
  f64: "f64", f32: "f32", f16: "f32", bf16: "f32", i32: "i32", i16: "i32", i8: "i32", i4: "i32", u32: "u32", u16: "u32", u8: "u32", bool: "bool",
};

/** global: an argument. shared: of a workgroup. local: of one thread or worker, in memory. register: of one thread, indexed only by constants once loops are unrolled. */
export type Space = "global" | "shared" | "local" | "register";

export interface Buffer {
  readonly name: string;
  readonly dtype: DType;
  /** Row-major; the last axis is contiguous. Register buffers: constants. */
  readonly shape: readonly Size[];
  readonly space: Space;
  /** Each element is a vector of so many lanes (register buffers only); otherwise 1. */
  readonly lanes: number;
  /** Shared buffers: the row index is xor-ed into the column in units of this many elements, against bank conflicts. 0: plain. */
  readonly swizzle: number;
}
export interface Param extends Buffer {
  readonly space: "global";
  readonly access: "read" | "write" | "readwrite";
}

/** An index variable running from 0 to its extent. */
export interface IndexVar {
  readonly name: string;
  readonly extent: Size;
}

export type UnaryOp = "neg" | "abs" | "sqrt" | "floor" | "ceil" | "trunc" | "round_even" | "not";
export type BinaryOp =
  | "add" | "sub" | "mul" | "div" | "rem" | "min" | "max"
  | "and" | "or" | "xor" | "shl" | "shr" | "mulhi"
  | "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/** Immutable, and a tree: whatever is used twice is bound by `let`. */
export type Expr =
  | { readonly kind: "const"; readonly type: ValueType; readonly value: number }
  /** An integer (i32) in dims, loop, grid and thread variables, and in `let` names of i32 scalars. */
  | { readonly kind: "size"; readonly size: Size }
  /** A `let` or `mutable` name. */
  | { readonly kind: "var"; readonly name: string; readonly type: ValueType }
  /** min and max: IEEE minimum/maximum (NaN wins). Integer div truncates, and by zero is undefined; rem has the dividend's sign. shr of i32 is arithmetic. Comparisons give bool. */
  | { readonly kind: "unary"; readonly op: UnaryOp; readonly x: Expr }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly a: Expr; readonly b: Expr }
  /** a·b + c, rounded once or twice. */
  | { readonly kind: "fma"; readonly a: Expr; readonly b: Expr; readonly c: Expr }
  | { readonly kind: "select"; readonly condition: Expr; readonly yes: Expr; readonly no: Expr }
  /** Between scalar types, lane by lane; float to integer truncates and saturates. */
  | { readonly kind: "cast"; readonly to: ScalarType; readonly x: Expr }
  | { readonly kind: "bitcast"; readonly to: ScalarType; readonly x: Expr }
  /** `lanes` elements from the index on along the last axis; of a register buffer, the whole element. */
  | { readonly kind: "load"; readonly buffer: string; readonly index: readonly Expr[]; readonly type: ValueType }
  /** One element a lane: the last index is a vector of i32. */
  | { readonly kind: "gather"; readonly buffer: string; readonly index: readonly Expr[]; readonly type: ValueType }
  | { readonly kind: "splat"; readonly x: Expr; readonly lanes: number }
  /** A vector of scalars. */
  | { readonly kind: "vector"; readonly items: readonly Expr[] }
  | { readonly kind: "lane"; readonly x: Expr; readonly lane: number }
  /** Lanes of a, then lanes of b, by number. */
  | { readonly kind: "shuffle"; readonly a: Expr; readonly b: Expr; readonly lanes: readonly number[] }
  /** Of all lanes, in the fixed order ((0+2)+(1+3)) for four: halves are combined until one is left. */
  | { readonly kind: "horizontal"; readonly op: "add" | "max" | "min"; readonly x: Expr }
  /** a and b hold four i8 each in an i32 (per lane): a0·b0 + … + a3·b3 + c. */
  | { readonly kind: "dot4"; readonly a: Expr; readonly b: Expr; readonly c: Expr }
  /** table[index & 15], lane by lane. */
  | { readonly kind: "lookup16"; readonly table: readonly number[]; readonly index: Expr; readonly type: ValueType }
  /** Over the threads of a subgroup (simt): x of the thread whose lane is this lane xor mask; or the reduction of all. */
  | { readonly kind: "subgroup_xor"; readonly x: Expr; readonly mask: number }
  | { readonly kind: "subgroup_reduce"; readonly op: "add" | "max" | "min"; readonly x: Expr };

export type Stmt =
  /** `variable` runs from `from` while below `to`. unroll: constant bounds, copied by the emitter. */
  | { readonly kind: "for"; readonly variable: string; readonly from: Size; readonly to: Size; readonly step: number; readonly mode: "serial" | "unroll"; readonly body: readonly Stmt[] }
  /** Repeats while the condition holds; it is evaluated before each round. */
  | { readonly kind: "while"; readonly condition: Expr; readonly body: readonly Stmt[] }
  | { readonly kind: "if"; readonly condition: Expr; readonly yes: readonly Stmt[]; readonly no: readonly Stmt[] }
  | { readonly kind: "let"; readonly name: string; readonly value: Expr }
  | { readonly kind: "mutable"; readonly name: string; readonly type: ValueType; readonly init: Expr }
  | { readonly kind: "assign"; readonly name: string; readonly value: Expr }
  /** The scratch buffer lives until the end of the block. Its content is undefined at first. */
  | { readonly kind: "alloc"; readonly buffer: Buffer }
  /** As many elements as the value has lanes, along the last axis; of a register buffer, the whole element. */
  | { readonly kind: "store"; readonly buffer: string; readonly index: readonly Expr[]; readonly value: Expr }
  | { readonly kind: "atomic"; readonly op: "add" | "max" | "min"; readonly buffer: string; readonly index: readonly Expr[]; readonly value: Expr }
  /** All threads of the workgroup (or subgroup) arrive before any goes on; memory writes before it are seen after it. */
  | { readonly kind: "barrier"; readonly scope: "workgroup" | "subgroup" }
  /** `elements` contiguous elements (4, 8 or 16 bytes in all) from global to shared memory, complete after a wait that covers its group. */
  | { readonly kind: "async_copy"; readonly to: string; readonly toIndex: readonly Expr[]; readonly from: string; readonly fromIndex: readonly Expr[]; readonly elements: number }
  | { readonly kind: "async_commit" }
  /** Until at most `pending` committed groups of this thread are still under way. */
  | { readonly kind: "async_wait"; readonly pending: number }
  /** Matrix fragments are held by a whole subgroup; every thread of it must get here. */
  | { readonly kind: "fragment"; readonly name: string; readonly role: "a" | "b" | "accumulator"; readonly dtype: DType; readonly m: number; readonly n: number; readonly k: number }
  | { readonly kind: "fragment_fill"; readonly fragment: string; readonly value: number }
  | { readonly kind: "fragment_load"; readonly fragment: string; readonly buffer: string; readonly index: readonly Expr[]; readonly order: "row" | "column" }
  | { readonly kind: "fragment_mma"; readonly d: string; readonly a: string; readonly b: string }
  | { readonly kind: "fragment_store"; readonly fragment: string; readonly buffer: string; readonly index: readonly Expr[] };

export interface Kernel {
  readonly name: string;
  readonly machine: "simd" | "simt";
  readonly params: readonly Param[];
  /** Dims that are passed at launch, with their bounds: whatever sizes and indices use that is not a variable of the kernel. */
  readonly dims: readonly DimDecl[];
  /** Tasks or workgroups; row-major, the last runs fastest. */
  readonly grid: readonly IndexVar[];
  /** Threads of a workgroup (simt); extents are constant. The first runs fastest; a subgroup is 32 threads in that order. */
  readonly threads: readonly IndexVar[];
  readonly body: readonly Stmt[];
  /** The user's lines that the kernel computes, for traces and reports. */
  readonly spans: readonly Span[];
  /** What it does, for people: "conv + gelu + conv + tanh". */
  readonly summary: string;
  /** Arithmetic operations of the whole grid, for the roofline. */
  readonly flops: Size;
}

export const typeOf = (e: Expr): ValueType => {
  switch (e.kind) {
    case "const": case "var": case "load": case "gather": case "lookup16": return e.type;
    case "size": return { scalar: "i32", lanes: 1 };
    case "unary": case "subgroup_xor": case "subgroup_reduce": return typeOf(e.x);
    case "binary": {
      const t = typeOf(e.a);
      return isComparison(e.op) ? { scalar: "bool", lanes: t.lanes } : t;
    }
    case "fma": case "dot4": return typeOf(e.c);
    case "select": return typeOf(e.yes);
    case "cast": case "bitcast": return { scalar: e.to, lanes: typeOf(e.x).lanes };
    case "splat": return { scalar: typeOf(e.x).scalar, lanes: e.lanes };
    case "vector": return { scalar: e.items[0] ? typeOf(e.items[0]).scalar : "f32", lanes: e.items.length };
    case "lane": case "horizontal": return { scalar: typeOf(e.x).scalar, lanes: 1 };
    case "shuffle": return { scalar: typeOf(e.a).scalar, lanes: e.lanes.length };
  }
};
