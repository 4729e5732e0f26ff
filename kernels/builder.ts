// Writes kernels statement by statement: blocks nest by callbacks, names are made unique, operands are checked at once,
// and expressions that are used twice in a block are bound once. `finish` returns the kernel.
//
//   const k = new KernelBuilder({ name: "scale", machine: "simd", summary: "y = 2x" });
//   const x = k.param("x", "f32", [n]), y = k.param("y", "f32", [n], "write");
//   const i = k.grid("i", n);
//   k.store(y, [i], mul(k.load(x, [i]), 2));
//   return k.finish({ flops: n });
//
// Loads from memory are bound where they are written; reads of mutables and of register buffers happen where the
// expression is used, so bind them with `let_` when they must keep an earlier value.
import { InternalError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { type DimDecl, dimSize, type Size, type SizeExpr } from "../compiler/base/sizes.ts";
import type { Span } from "../compiler/base/span.ts";
import { expr, index, type Operand, operandOf, sameType, typeText } from "../compiler/kernel/expr.ts";
import { type Buffer, type Expr, type IndexVar, type Kernel, type Param, REGISTER_TYPE, type Space, type Stmt, typeOf, type ValueType } from "../compiler/kernel/ir.ts";
import { MACHINES, type SimdMachine } from "../compiler/kernel/machines.ts";
import { Interner } from "../compiler/kernel/share.ts";

export interface KernelOptions {
  readonly name: string;
  readonly machine: Kernel["machine"];
  /** The registers that a simd kernel fills: those of WebAssembly unless others are given. */
  readonly simd?: SimdMachine;
  readonly summary: string;
  readonly dims?: readonly DimDecl[];
  readonly spans?: readonly Span[];
}

export type Mutable = Expr & { readonly kind: "var" };

/** A matrix fragment of a subgroup (simt). */
export interface Fragment {
  readonly name: string;
  readonly role: "a" | "b" | "accumulator";
}

/** What a register of the buffer's element holds. */
export const elementType = (b: Buffer): ValueType => ({ scalar: REGISTER_TYPE[b.dtype], lanes: b.lanes });

const isName = (s: SizeExpr): boolean => s.terms[0]?.atoms[0]?.kind === "dim" && s.key === s.terms[0].atoms[0].key;

export class KernelBuilder {
  readonly simd: SimdMachine;
  readonly #options: KernelOptions;
  readonly #params: Param[] = [];
  readonly #grid: IndexVar[] = [];
  readonly #threads: IndexVar[] = [];
  /** `gather` is the one word of the text form that no name may be. */
  readonly #names = new Set<string>(["gather"]);
  /** By hint, the number that may be free. */
  readonly #numbered = new Map<string, number>();
  readonly #mutables = new Set<string>();
  readonly #buffers = new Map<string, Buffer>();
  readonly #interner: Interner;
  #block: Stmt[] = [];

  constructor(options: KernelOptions) {
    this.#options = options;
    this.simd = options.simd ?? MACHINES.simd128;
    for (const d of options.dims ?? []) this.#names.add(d.name);
    this.#interner = new Interner({
      isMutable: name => this.#mutables.has(name),
      isReadOnly: name => this.#params.find(p => p.name === name)?.access === "read",
      isRegister: name => this.#buffers.get(name)?.space === "register",
      fresh: hint => this.fresh(hint),
    });
  }

  /** A name no one else has: the hint itself, or the hint with a number. */
  fresh(hint: string): string {
    let name = hint;
    let i = this.#numbered.get(hint) ?? 1;
    for (; this.#names.has(name); i++) name = `${hint}${i}`;
    this.#numbered.set(hint, i);
    this.#names.add(name);
    return name;
  }

  param(name: string, dtype: DType, shape: readonly Size[], access: Param["access"] = "read"): Param {
    const p: Param = { name: this.fresh(name), dtype, shape, space: "global", lanes: 1, swizzle: 0, access };
    this.#params.push(p);
    this.#buffers.set(p.name, p);
    return p;
  }

  /** The next axis of the grid; the last runs fastest. */
  grid(name: string, extent: Size): SizeExpr {
    return this.#indexVar(this.#grid, name, extent);
  }
  /** The next axis of the workgroup's threads; the first runs fastest. */
  thread(name: string, extent: number): SizeExpr {
    if (this.#options.machine !== "simt") throw new InternalError("only simt kernels have threads");
    return this.#indexVar(this.#threads, name, extent);
  }
  #indexVar(into: IndexVar[], name: string, extent: Size): SizeExpr {
    const v = { name: this.fresh(name), extent };
    into.push(v);
    return dimSize(v.name);
  }

  /** The statements that the callback writes, with shared expressions bound. */
  #nested(body: () => void): Stmt[] {
    const outer = this.#block;
    this.#block = [];
    body();
    const inner = this.#interner.share(this.#block);
    this.#block = outer;
    return inner;
  }

  for_(name: string, to: Size, body: (i: SizeExpr) => void, { from = 0, step = 1 }: { from?: Size; step?: number } = {}): void {
    this.#loop(name, from, to, step, "serial", body);
  }
  /** A loop that the emitter copies out: its variable is a constant in each copy. */
  unroll(name: string, to: number, body: (i: SizeExpr) => void, { from = 0, step = 1 }: { from?: number; step?: number } = {}): void {
    this.#loop(name, from, to, step, "unroll", body);
  }
  #loop(name: string, from: Size, to: Size, step: number, mode: "serial" | "unroll", body: (i: SizeExpr) => void): void {
    if (!(Number.isInteger(step) && step > 0)) throw new InternalError(`loop ${name} has step ${step}`);
    const variable = this.fresh(name);
    this.#block.push({ kind: "for", variable, from, to, step, mode, body: this.#nested(() => body(dimSize(variable))) });
  }

  /** Repeats while the condition holds. It is evaluated anew each round, so whatever it reads must be mutable or memory. */
  while_(condition: Expr, body: () => void): void {
    this.#requireCondition(condition);
    this.#block.push({ kind: "while", condition, body: this.#nested(body) });
  }

  if_(condition: Expr, yes: () => void, no?: () => void): void {
    this.#requireCondition(condition);
    if (condition.kind === "const") {
      const taken = condition.value !== 0 ? yes : no;
      if (taken) this.#block.push(...this.#nested(taken));
      return;
    }
    this.#block.push({ kind: "if", condition, yes: this.#nested(yes), no: no ? this.#nested(no) : [] });
  }
  #requireCondition(condition: Expr): void {
    if (!sameType(typeOf(condition), { scalar: "bool", lanes: 1 })) throw new InternalError(`condition is ${typeText(typeOf(condition))}`);
  }

  /** The value, evaluated here; constants and names that cannot change are returned as they are. */
  let_(hint: string, value: Operand): Expr {
    const e = expr(value);
    if (e.kind === "const" || (e.kind === "size" && typeof e.size === "number") || (e.kind === "var" && !this.#mutables.has(e.name))) return e;
    const name = this.fresh(hint);
    this.#block.push({ kind: "let", name, value: e });
    return { kind: "var", name, type: typeOf(e) };
  }

  /** An i32 evaluated here, as a symbol for index arithmetic. The verifier knows its range from the value. */
  index(hint: string, value: Operand): Size {
    const e = expr(value);
    if (e.kind === "size" && (typeof e.size === "number" || isName(e.size))) return e.size;
    if (!sameType(typeOf(e), { scalar: "i32", lanes: 1 })) throw new InternalError(`index ${hint} is ${typeText(typeOf(e))}`);
    const bound = this.let_(hint, e);
    if (bound.kind === "const") return bound.value;
    if (bound.kind !== "var") throw new InternalError(`index ${hint} has no name`);
    return dimSize(bound.name);
  }

  mutable(hint: string, init: Expr): Mutable {
    const m: Mutable = { kind: "var", name: this.fresh(hint), type: typeOf(init) };
    this.#mutables.add(m.name);
    this.#block.push({ kind: "mutable", name: m.name, type: m.type, init });
    return m;
  }

  assign(m: Mutable, value: Operand): void {
    if (!this.#mutables.has(m.name)) throw new InternalError(`${m.name} is not mutable`);
    this.#block.push({ kind: "assign", name: m.name, value: operandOf(value, m.type) });
  }

  /** Scratch memory until the end of the block; undefined at first. */
  alloc(hint: string, dtype: DType, shape: readonly Size[], space: Exclude<Space, "global">, { lanes = 1, swizzle = 0 }: { lanes?: number; swizzle?: number } = {}): Buffer {
    const buffer: Buffer = { name: this.fresh(hint), dtype, shape, space, lanes, swizzle };
    this.#buffers.set(buffer.name, buffer);
    this.#block.push({ kind: "alloc", buffer });
    return buffer;
  }
  /** A tile of registers, each a vector of `lanes`; indexed by constants once loops are unrolled. */
  tile(hint: string, dtype: DType, shape: readonly number[], lanes = 1): Buffer {
    return this.alloc(hint, dtype, shape, "register", { lanes });
  }

  /** `lanes` elements from the index on along the last axis. */
  load(b: Buffer, at: readonly Operand[], lanes = 1): Expr {
    const type = { scalar: REGISTER_TYPE[b.dtype], lanes: b.space === "register" ? b.lanes : lanes };
    const e: Expr = { kind: "load", buffer: b.name, index: this.#position(b, at), type };
    return b.space === "register" ? e : this.let_("v", e);
  }
  /** One element a lane: the last index is a vector of i32. */
  gather(b: Buffer, at: readonly Operand[]): Expr {
    const position = this.#position(b, at);
    const last = position.at(-1);
    if (!last) throw new InternalError(`gather from ${b.name} needs an index`);
    return this.let_("v", { kind: "gather", buffer: b.name, index: position, type: { scalar: REGISTER_TYPE[b.dtype], lanes: typeOf(last).lanes } });
  }
  /** As many elements as the value has lanes; numbers and scalars fill a register buffer's element. */
  store(b: Buffer, at: readonly Operand[], value: Operand): void {
    this.#requireWritable(b);
    this.#block.push({ kind: "store", buffer: b.name, index: this.#position(b, at), value: this.#element(b, value) });
  }
  atomic(op: "add" | "max" | "min", b: Buffer, at: readonly Operand[], value: Operand): void {
    this.#requireWritable(b);
    this.#block.push({ kind: "atomic", op, buffer: b.name, index: this.#position(b, at), value: this.#element(b, value) });
  }
  #element(b: Buffer, value: Operand): Expr {
    const { scalar, lanes } = elementType(b);
    if (typeof value === "number") return operandOf(value, { scalar, lanes });
    return operandOf(value, { scalar, lanes: b.space === "register" ? lanes : typeOf(expr(value)).lanes });
  }
  #requireWritable(b: Buffer): void {
    if (this.#params.find(p => p.name === b.name)?.access === "read") throw new InternalError(`${b.name} is read only`);
  }
  #position(b: Buffer, at: readonly Operand[]): Expr[] {
    if (at.length !== b.shape.length) throw new InternalError(`${b.name} has ${b.shape.length} axes and is indexed by ${at.length}`);
    return at.map((x, axis) => {
      const e = typeof x === "number" ? index(x) : expr(x);
      const t = typeOf(e);
      if (t.scalar !== "i32" || (t.lanes !== 1 && axis !== at.length - 1)) throw new InternalError(`index ${axis} of ${b.name} is ${typeText(t)}`);
      return e;
    });
  }

  barrier(scope: "workgroup" | "subgroup" = "workgroup"): void {
    this.#block.push({ kind: "barrier", scope });
  }
  asyncCopy(to: Buffer, toIndex: readonly Operand[], from: Buffer, fromIndex: readonly Operand[], elements: number): void {
    this.#block.push({
      kind: "async_copy", to: to.name, toIndex: this.#position(to, toIndex), from: from.name, fromIndex: this.#position(from, fromIndex), elements,
    });
  }
  asyncCommit(): void {
    this.#block.push({ kind: "async_commit" });
  }
  asyncWait(pending: number): void {
    this.#block.push({ kind: "async_wait", pending });
  }

  fragment(hint: string, role: Fragment["role"], dtype: DType, m: number, n: number, k: number): Fragment {
    const name = this.fresh(hint);
    this.#block.push({ kind: "fragment", name, role, dtype, m, n, k });
    return { name, role };
  }
  fragmentFill(f: Fragment, value: number): void {
    this.#block.push({ kind: "fragment_fill", fragment: f.name, value });
  }
  fragmentLoad(f: Fragment, b: Buffer, at: readonly Operand[], order: "row" | "column" = "row"): void {
    this.#block.push({ kind: "fragment_load", fragment: f.name, buffer: b.name, index: this.#position(b, at), order });
  }
  /** d = a·b + d. */
  fragmentMma(d: Fragment, a: Fragment, b: Fragment): void {
    this.#block.push({ kind: "fragment_mma", d: d.name, a: a.name, b: b.name });
  }
  fragmentStore(f: Fragment, b: Buffer, at: readonly Operand[]): void {
    this.#block.push({ kind: "fragment_store", fragment: f.name, buffer: b.name, index: this.#position(b, at) });
  }

  finish({ flops }: { flops: Size }): Kernel {
    const { name, machine, summary, dims = [], spans = [] } = this.#options;
    return {
      name, machine, params: this.#params, dims, grid: this.#grid, threads: this.#threads, body: this.#interner.share(this.#block), spans, summary, flops,
    };
  }
}
