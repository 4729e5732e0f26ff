// Accepts a kernel or throws KernelInvariantError with the number of what it breaks:
//   1  every name, buffer and fragment is defined before it is used; only mutables are assigned; loops unroll constants
//   2  operands have the types that their operation takes, stores the type of their buffer
//   3  every access lies in its buffer: proved from loop, grid and thread ranges, dims' bounds and enclosing conditions,
//      or from a visible clamp (min, max, remainder, mask) where the index is data
//   4  register buffers have constant shapes and are indexed by constants once loops are unrolled
//   5  no two grid points touch the same element unless all of them only read, or only add atomically
//   6  barriers, subgroup operations and fragments are reached by all threads they concern
//   7  between barriers no two threads of a workgroup touch the same element unless all only read; by enumeration
//   8  an asynchronous copy is waited for before its data is read and before the kernel ends; by enumeration
//   9  shared memory is written before it is read; by enumeration
//  10  the kernel keeps within the device: shared memory, registers of a thread, workgroup size
//  11  threads, barriers, shared memory, copies, subgroups and fragments occur in simt kernels only
// Enumeration runs a workgroup with small dims in the interpreter; everything else is proved for all dims.
import { byteLength } from "../base/dtypes.ts";
import { dimSize, dimsOf, type Size, sizeText, subSize } from "../base/sizes.ts";
import { Definitions } from "./definitions.ts";
import { enumerateWorkgroups } from "./enumerate.ts";
import { sameType, typeText } from "./expr.ts";
import { boundsOf, factsOf, indexSize } from "./indices.ts";
import { KernelInvariantError } from "./invariant.ts";
import { type Buffer, type Expr, type Kernel, REGISTER_TYPE, type Stmt, typeOf, type ValueType } from "./ir.ts";
import { Knowledge } from "./prove.ts";
import { type Access, provesTasksApart } from "./races.ts";
import { operandsOf } from "./share.ts";
import { checkType } from "./typecheck.ts";
import { SUBGROUP, Uniformity } from "./uniformity.ts";

export interface DeviceLimits {
  readonly sharedBytes: number;
  /** 32-bit registers that a thread's register buffers, mutables and fragments may take. */
  readonly registers: number;
  readonly threads: number;
}
/** What every device of the class offers. */
export const LEAST_LIMITS: { readonly [M in Kernel["machine"]]: DeviceLimits } = {
  simd: { sharedBytes: 0, registers: Infinity, threads: 1 },
  simt: { sharedBytes: 32768, registers: 255, threads: 256 },
};

/** Throws KernelInvariantError if the kernel breaks an invariant. */
export function verifyKernel(kernel: Kernel, limits: DeviceLimits = LEAST_LIMITS[kernel.machine]): void {
  new Verifier(kernel, limits).verify();
  if (kernel.machine !== "simt") return;
  const fault = enumerateWorkgroups(kernel);
  if (fault) throw new KernelInvariantError(fault.invariant, fault.detail, kernel.name);
}

interface Scope {
  readonly knows: Knowledge;
  /** Those of the kernel, as they are at the statement. */
  readonly buffers: ReadonlyMap<string, Buffer>;
  /** Variables of unrolled loops. */
  readonly constants: ReadonlySet<string>;
  /** How far the enclosing conditions and bounds differ between threads. */
  readonly divergence: number;
}

class Verifier {
  readonly #kernel: Kernel;
  readonly #limits: DeviceLimits;
  readonly #accesses: Access[] = [];
  readonly #uniformity: Uniformity;
  readonly #defined = new Definitions();
  readonly #values = new Map<string, { readonly type: ValueType; readonly mutable: boolean; readonly value?: Expr }>();
  readonly #buffers = new Map<string, Buffer>();
  /** Rows and columns of each. */
  readonly #fragmentShapes = new Map<string, readonly [number, number]>();
  #shared = 0;
  #registers = 0;

  constructor(kernel: Kernel, limits: DeviceLimits) {
    this.#kernel = kernel;
    this.#limits = limits;
    this.#uniformity = new Uniformity(kernel);
  }

  #refuse(invariant: number, message: string): never {
    throw new KernelInvariantError(invariant, message, this.#kernel.name);
  }

  verify(): void {
    const { dims, grid, threads, params, body, machine } = this.#kernel;
    let knows = Knowledge.ofDims(dims);
    for (const p of params) for (const s of p.shape) this.#checkSize(s, knows);
    for (const v of [...grid, ...threads]) {
      this.#checkSize(v.extent, knows);
      knows = knows.withVariable(v.name, 0, v.extent);
    }
    if (threads.length > 0 && machine !== "simt") this.#refuse(11, "a simd kernel has threads");
    let workgroup = 1;
    for (const t of threads) workgroup *= typeof t.extent === "number" ? t.extent : this.#refuse(4, `thread ${t.name} has no constant extent`);
    if (workgroup > this.#limits.threads) this.#refuse(10, `${workgroup} threads where ${this.#limits.threads} are allowed`);
    for (const p of params) this.#buffers.set(p.name, p);
    this.#block(body, { knows, buffers: this.#buffers, constants: new Set(), divergence: 0 });
    if (this.#shared > this.#limits.sharedBytes) this.#refuse(10, `${this.#shared} bytes of shared memory where ${this.#limits.sharedBytes} are allowed`);
    if (this.#registers > this.#limits.registers) this.#refuse(10, `${this.#registers} registers where ${this.#limits.registers} are allowed`);
    const apart = provesTasksApart(this.#kernel, this.#accesses);
    if (apart !== true) this.#refuse(5, apart);
  }

  #checkSize(s: Size, knows: Knowledge): void {
    for (const name of dimsOf(s)) if (!knows.has(name)) this.#refuse(1, `${name} is used in ${sizeText(s)} before it is defined`);
  }

  #block(block: readonly Stmt[], outer: Scope): void {
    this.#defined.block(() => {
      let scope = outer;
      for (const s of block) scope = this.#statement(s, scope);
    });
  }

  /** Checks the statement; returns the scope after it. */
  #statement(s: Stmt, scope: Scope): Scope {
    switch (s.kind) {
      case "for": {
        this.#checkSize(s.from, scope.knows);
        this.#checkSize(s.to, scope.knows);
        const unrolled = s.mode === "unroll";
        if (unrolled && ![s.from, s.to].every(b => [...dimsOf(b)].every(n => scope.constants.has(n)))) this.#refuse(1, `loop ${s.variable} unrolls from ${sizeText(s.from)} to ${sizeText(s.to)}`);
        this.#block(s.body, {
          ...scope,
          knows: scope.knows.withVariable(s.variable, s.from, s.to, s.step),
          constants: unrolled ? new Set(scope.constants).add(s.variable) : scope.constants,
          divergence: Math.max(scope.divergence, this.#uniformity.ofSize(s.from), this.#uniformity.ofSize(s.to)),
        });
        return scope;
      }
      case "while": {
        this.#condition(s.condition, scope);
        this.#block(s.body, { ...scope, divergence: Math.max(scope.divergence, this.#uniformity.of(s.condition)) });
        return scope;
      }
      case "if": {
        this.#condition(s.condition, scope);
        const divergence = Math.max(scope.divergence, this.#uniformity.of(s.condition));
        const inside = (holds: boolean): Scope => ({ ...scope, divergence, knows: factsOf(s.condition, holds, scope.knows, name => this.#values.get(name)?.value).reduce((k, f) => k.withFact(f), scope.knows) });
        this.#block(s.yes, inside(true));
        this.#block(s.no, inside(false));
        return scope;
      }
      case "let": {
        this.#expr(s.value, scope);
        const type = typeOf(s.value);
        this.#defined.define(this.#values, s.name, { type, mutable: false, value: s.value });
        const exact = indexSize(s.value);
        if (exact !== undefined) return { ...scope, knows: scope.knows.withEqual(s.name, exact) };
        if (type.scalar !== "i32" && type.scalar !== "u32") return scope;
        const { lower, upper } = boundsOf(s.value, scope);
        return { ...scope, knows: scope.knows.withBounds(s.name, lower, upper) };
      }
      case "mutable": {
        this.#expr(s.init, scope);
        if (!sameType(s.type, typeOf(s.init))) this.#refuse(2, `mutable ${s.name}: ${typeText(s.type)} starts as ${typeText(typeOf(s.init))}`);
        this.#registers += s.type.lanes * (s.type.scalar === "f64" ? 2 : 1);
        this.#defined.define(this.#values, s.name, { type: s.type, mutable: true });
        return scope;
      }
      case "assign": {
        this.#expr(s.value, scope);
        const target = this.#values.get(s.name);
        if (!target) return this.#refuse(1, `${s.name} is assigned before it is defined`);
        if (!target.mutable) this.#refuse(1, `${s.name} is assigned and is no mutable`);
        if (!sameType(target.type, typeOf(s.value))) this.#refuse(2, `${s.name}: ${typeText(target.type)} is assigned ${typeText(typeOf(s.value))}`);
        return scope;
      }
      case "alloc": return this.#alloc(s.buffer, scope);
      case "store": case "atomic": {
        for (const i of s.index) this.#expr(i, scope);
        this.#expr(s.value, scope);
        const b = this.#buffer(s.buffer);
        const t = typeOf(s.value);
        if (t.scalar !== REGISTER_TYPE[b.dtype] || (b.space === "register" && t.lanes !== b.lanes)) this.#refuse(2, `${s.kind} of ${typeText(t)} to ${s.buffer}, which is ${b.dtype}${b.lanes > 1 ? `x${b.lanes}` : ""}`);
        if (s.kind === "atomic" && (t.lanes !== 1 || b.space === "register" || b.space === "local")) this.#refuse(2, `atomic of ${typeText(t)} on ${b.space} memory`);
        this.#access(b, s.index, b.space === "register" ? 1 : t.lanes, s.kind === "atomic" ? "atomic" : "write", scope);
        return scope;
      }
      case "barrier": {
        this.#simtOnly("a barrier");
        this.#together(s.scope === "workgroup" ? "a barrier" : "a subgroup barrier", s.scope === "workgroup" ? 0 : 1, scope);
        return scope;
      }
      case "async_copy": {
        this.#simtOnly("an asynchronous copy");
        for (const i of [...s.toIndex, ...s.fromIndex]) this.#expr(i, scope);
        const to = this.#buffer(s.to);
        const from = this.#buffer(s.from);
        if (to.space !== "shared" || from.space !== "global" || to.dtype !== from.dtype) this.#refuse(2, `asynchronous copy from ${from.space} ${from.dtype} to ${to.space} ${to.dtype}`);
        const bytes = byteLength(to.dtype, s.elements);
        if (bytes !== 4 && bytes !== 8 && bytes !== 16) this.#refuse(2, `asynchronous copy of ${bytes} bytes`);
        this.#access(to, s.toIndex, s.elements, "write", scope);
        this.#access(from, s.fromIndex, s.elements, "read", scope);
        return scope;
      }
      case "async_commit": case "async_wait": this.#simtOnly("an asynchronous copy"); return scope;
      case "fragment": {
        this.#simtOnly("a fragment");
        const shape: readonly [number, number] = s.role === "a" ? [s.m, s.k] : s.role === "b" ? [s.k, s.n] : [s.m, s.n];
        this.#registers += Math.ceil((shape[0] * shape[1] * byteLength(s.dtype, 8)) / (8 * 4 * SUBGROUP));
        this.#defined.define(this.#fragmentShapes, s.name, shape);
        return scope;
      }
      case "fragment_fill": this.#fragments([s.fragment], scope); return scope;
      case "fragment_mma": this.#fragments([s.d, s.a, s.b], scope); return scope;
      case "fragment_load": case "fragment_store": {
        this.#fragments([s.fragment], scope);
        for (const i of s.index) this.#expr(i, scope);
        const [m, n] = this.#fragmentShapes.get(s.fragment)!;
        const [rows, columns] = s.kind === "fragment_load" && s.order === "column" ? [n, m] : [m, n];
        this.#access(this.#buffer(s.buffer), s.index, columns, s.kind === "fragment_load" ? "read" : "write", scope, rows);
        return scope;
      }
    }
  }

  #simtOnly(what: string): void {
    if (this.#kernel.machine !== "simt") this.#refuse(11, `a simd kernel has ${what}`);
  }
  #together(what: string, allowed: number, scope: Scope): void {
    if (scope.divergence > allowed) this.#refuse(6, `${what} is in control flow that differs between threads`);
  }
  #fragments(names: readonly string[], scope: Scope): void {
    this.#together("a fragment", 1, scope);
    for (const name of names) if (!this.#fragmentShapes.has(name)) this.#refuse(1, `fragment ${name} is used before it is defined`);
  }
  #buffer(name: string): Buffer {
    return this.#buffers.get(name) ?? this.#refuse(1, `buffer ${name} is used before it is defined`);
  }
  #condition(e: Expr, scope: Scope): void {
    this.#expr(e, scope);
    if (!sameType(typeOf(e), { scalar: "bool", lanes: 1 })) this.#refuse(2, `a condition is ${typeText(typeOf(e))}`);
  }

  #alloc(b: Buffer, scope: Scope): Scope {
    for (const s of b.shape) this.#checkSize(s, scope.knows);
    let count = b.lanes;
    if (b.space !== "local") for (const s of b.shape) count *= typeof s === "number" ? s : this.#refuse(4, `${b.space} buffer ${b.name} has no constant shape`);
    if (b.space === "shared") {
      this.#simtOnly("shared memory");
      this.#together("the allocation of shared memory", 0, scope);
      this.#shared += byteLength(b.dtype, count);
    }
    if (b.space === "register") this.#registers += count * (b.dtype === "f64" ? 2 : 1);
    if (b.lanes !== 1 && b.space !== "register") this.#refuse(2, `${b.space} buffer ${b.name} has elements of ${b.lanes} lanes`);
    this.#defined.define(this.#buffers, b.name, b);
    return scope;
  }

  #expr(e: Expr, scope: Scope): void {
    for (const x of operandsOf(e)) this.#expr(x, scope);
    if (e.kind === "size") this.#checkSize(e.size, scope.knows);
    if (e.kind === "var") {
      const known = this.#values.get(e.name);
      if (!known) this.#refuse(1, `${e.name} is used before it is defined`);
      if (known && !sameType(known.type, e.type)) this.#refuse(2, `${e.name} is ${typeText(known.type)} and is used as ${typeText(e.type)}`);
    }
    checkType(e, name => this.#buffer(name), message => this.#refuse(2, message));
    if (e.kind === "load") this.#access(this.#buffer(e.buffer), e.index, this.#buffer(e.buffer).space === "register" ? 1 : e.type.lanes, "read", scope);
    if (e.kind === "gather") this.#access(this.#buffer(e.buffer), e.index, 1, "read", scope);
    if (e.kind === "subgroup_xor" || e.kind === "subgroup_reduce") {
      this.#simtOnly("a subgroup operation");
      this.#together("a subgroup operation", 1, scope);
    }
  }

  /** Invariants 3 and 4; what global memory is touched where is kept for invariant 5. */
  #access(b: Buffer, index: readonly Expr[], lanes: number, kind: Access["kind"], scope: Scope, rows = 1): void {
    if (index.length !== b.shape.length) this.#refuse(2, `${b.name} has ${b.shape.length} axes and is indexed by ${index.length}`);
    if (b.space === "global" && kind !== "read" && this.#kernel.params.find(p => p.name === b.name)?.access === "read") this.#refuse(2, `${b.name} is read only`);
    let knows = scope.knows;
    const at = index.map((e, axis): Size => {
      const t = typeOf(e);
      if (t.scalar !== "i32") this.#refuse(2, `index ${axis} of ${b.name} is ${typeText(t)}`);
      const exact = indexSize(e);
      if (exact !== undefined) return exact;
      const name = `${b.name}.${axis}`;
      const { lower, upper } = boundsOf(e, scope);
      knows = knows.withBounds(name, lower, upper);
      return dimSize(name);
    });
    const text = (): string => `${b.name}[${at.map(sizeText).join(", ")}]${lanes > 1 ? ` of ${lanes} elements` : ""}, whose shape is [${b.shape.map(sizeText).join(", ")}]`;
    at.forEach((i, axis) => {
      if (b.space === "register") {
        for (const name of dimsOf(i)) if (!scope.constants.has(name)) this.#refuse(4, `registers ${b.name} are indexed by ${sizeText(i)}, which is no constant once loops are unrolled`);
      }
      const width = axis === at.length - 1 ? lanes : axis === at.length - 2 ? rows : 1;
      if (!knows.isNonNegative(i)) this.#refuse(3, `index ${axis} may be negative in ${text()}`);
      if (!knows.isNonNegative(subSize(subSize(b.shape[axis]!, width), i))) this.#refuse(3, `index ${axis} may be too large in ${text()}`);
    });
    if (b.space === "global" && !knows.isNever) this.#accesses.push({ buffer: b.name, kind, index: at, shape: b.shape, lanes, rows, knows });
  }
}
