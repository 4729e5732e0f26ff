// Reads kernels from .slk text (the form is described in text.ts). Names are resolved and types found here; whether the
// kernel is valid is the verifier's question. Errors are SluiceErrors with line, column and a caret.
import { SluiceError } from "../base/diagnostics.ts";
import { type DType, isDType } from "../base/dtypes.ts";
import { excerpt } from "../base/excerpt.ts";
import { addSize, dimSize, floorDivSize, maxSize, minSize, modSize, mulSize, type Size, subSize } from "../base/sizes.ts";
import type { AccessTree, BufferTree, ExprTree, KernelTree, Position, StmtTree, Word } from "./grammar.ts";
import { type BinaryOp, type Buffer, type Expr, type Kernel, type Param, REGISTER_TYPE, type ScalarType, type Space, type Stmt, typeOf, type UnaryOp, type ValueType } from "./ir.ts";
import { ROUND } from "./scalar.ts";

/** The kernel that the text describes. `file` is named in errors. */
export async function parseKernel(text: string, file = "kernel.slk"): Promise<Kernel> {
  const { readTree } = await import("./grammar.ts");
  const tree = readTree(text);
  const fail: Fail = (at, message, more = {}) => {
    throw new SluiceError({ code: "SLK001", message: `${message}\n${excerpt(text, at.line, at.column)}`, span: { file, ...at }, ...more });
  };
  return "body" in tree ? new Resolver(fail).kernel(tree) : fail(tree.at, tree.message, { found: tree.found });
}

type Fail = (at: Position, message: string, more?: { found?: string; expected?: string; hint?: string }) => never;

const UNARY: ReadonlySet<string> = new Set<UnaryOp>(["neg", "abs", "sqrt", "floor", "ceil", "trunc", "round_even", "not"]);
const BINARY: ReadonlySet<string> = new Set<BinaryOp>([
  "add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi", "eq", "ne", "lt", "le", "gt", "ge",
]);
const SIZE_CALLS: { readonly [name: string]: (a: Size, b: Size) => Size } = { floordiv: floorDivSize, mod: modSize, min: minSize, max: maxSize };
const INFIX = { "+": addSize, "-": subSize, "*": mulSize };
const isUnary = (name: string): name is UnaryOp => UNARY.has(name);
const isBinary = (name: string): name is BinaryOp => BINARY.has(name);
const isScalar = (name: string): name is ScalarType => Object.hasOwn(ROUND, name);
const isReduction = (name: string | undefined): name is "add" | "max" | "min" => name === "add" || name === "max" || name === "min";

class Resolver {
  readonly #fail: Fail;
  /** Of each name that is bound by let or mut, its type; null for index variables and dims. */
  #names = new Map<string, ValueType | null>();
  #buffers = new Map<string, Buffer>();

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  kernel(k: KernelTree): Kernel {
    for (const d of k.dims) this.#names.set(d.name, null);
    const params = k.params.map(({ buffer, access }): Param => {
      const p: Param = { ...this.#buffer(buffer, "global"), space: "global", access };
      this.#buffers.set(p.name, p);
      return p;
    });
    const flops = this.#size(k.flops);
    const variables = (vs: KernelTree["grid"]) => vs.map(v => {
      const extent = this.#size(v.extent);
      this.#names.set(v.name, null);
      return { name: v.name, extent };
    });
    const grid = variables(k.grid);
    const threads = variables(k.threads);
    return { name: k.name, machine: k.machine, params, dims: k.dims, grid, threads, body: this.#block(k.body), spans: k.spans, summary: k.summary, flops };
  }

  #type({ text, at }: Word): { name: string; lanes: number } {
    const [, name, lanes] = /^([a-z]+\d*?)(?:x(\d+))?$/.exec(text) ?? [];
    if (name === undefined) return this.#fail(at, "a type is a name and perhaps lanes", { found: text, expected: "f32, i32x4, …" });
    return { name, lanes: lanes === undefined ? 1 : Number(lanes) };
  }
  #valueType(w: Word): ValueType {
    const { name, lanes } = this.#type(w);
    return isScalar(name) ? { scalar: name, lanes } : this.#fail(w.at, "no such register type", { found: name, expected: Object.keys(ROUND).join(", ") });
  }
  #dtype(w: Word): { dtype: DType; lanes: number } {
    const { name, lanes } = this.#type(w);
    return isDType(name) ? { dtype: name, lanes } : this.#fail(w.at, "no such dtype", { found: name });
  }
  #buffer(b: BufferTree, space: Space): Buffer {
    return { name: b.name, ...this.#dtype(b.element), shape: b.shape.map(s => this.#size(s)), space, swizzle: b.swizzle };
  }

  // ---- statements

  #block(block: readonly StmtTree[]): Stmt[] {
    const names = new Map(this.#names);
    const buffers = new Map(this.#buffers);
    const statements = block.map(s => this.#statement(s));
    this.#names = names;
    this.#buffers = buffers;
    return statements;
  }

  #statement(s: StmtTree): Stmt {
    switch (s.kind) {
      case "for": {
        const from = this.#size(s.from);
        const to = this.#size(s.to);
        const outer = this.#names;
        this.#names = new Map(outer).set(s.variable, null);
        const body = this.#block(s.body);
        this.#names = outer;
        return { kind: "for", variable: s.variable, from, to, step: s.step, mode: s.unroll ? "unroll" : "serial", body };
      }
      case "while": return { kind: "while", condition: this.#expr(s.condition), body: this.#block(s.body) };
      case "if": return { kind: "if", condition: this.#expr(s.condition), yes: this.#block(s.yes), no: this.#block(s.no) };
      case "let": {
        const value = this.#expr(s.value);
        this.#names.set(s.name, typeOf(value));
        return { kind: "let", name: s.name, value };
      }
      case "mut": {
        const init = this.#expr(s.value);
        const type = this.#valueType(s.type);
        this.#names.set(s.name, type);
        return { kind: "mutable", name: s.name, type, init };
      }
      case "assign":
        if (!this.#names.has(s.name)) this.#fail(s.at, `no name ${s.name}`);
        return { kind: "assign", name: s.name, value: this.#expr(s.value) };
      case "alloc": {
        const buffer = this.#buffer(s.buffer, s.space);
        this.#buffers.set(buffer.name, buffer);
        return { kind: "alloc", buffer };
      }
      case "store": return { kind: "store", ...this.#target(s.to), value: this.#expr(s.value) };
      case "atomic": return { kind: "atomic", op: s.op, ...this.#target(s.to), value: this.#expr(s.value) };
      case "async_copy": {
        const to = this.#target(s.to);
        const from = this.#target(s.from);
        return { kind: "async_copy", to: to.buffer, toIndex: to.index, from: from.buffer, fromIndex: from.index, elements: s.elements };
      }
      case "barrier": return { kind: "barrier", scope: this.#oneOf(s.at, s.scope, ["workgroup", "subgroup"]) };
      case "async_commit": return { kind: "async_commit" };
      case "async_wait": return { kind: "async_wait", pending: s.pending };
      case "fragment": {
        const [m, n, k] = s.sizes as [number, number, number];
        return { kind: "fragment", name: s.name, role: this.#oneOf(s.at, s.role, ["a", "b", "accumulator"]), dtype: this.#dtype(s.dtype).dtype, m, n, k };
      }
      case "fragment_fill": return { kind: "fragment_fill", fragment: s.fragment, value: this.#literal(s.value) };
      case "fragment_load": return { kind: "fragment_load", fragment: s.fragment, ...this.#target(s.from), order: this.#oneOf(s.at, s.order, ["row", "column"]) };
      case "fragment_mma": return { kind: "fragment_mma", d: s.d, a: s.a, b: s.b };
      case "fragment_store": return { kind: "fragment_store", fragment: s.fragment, ...this.#target(s.to) };
    }
  }
  #oneOf<T extends string>(at: Position, word: T, words: readonly T[]): T {
    return words.includes(word) ? word : this.#fail(at, "no such word here", { found: word, expected: words.join(", ") });
  }
  #target(a: AccessTree): { buffer: string; index: Expr[] } {
    return { buffer: this.#bufferOf(a).name, index: a.index.map(i => this.#expr(i)) };
  }
  #bufferOf(a: AccessTree): Buffer {
    return this.#buffers.get(a.buffer) ?? this.#fail(a.at, `no buffer ${a.buffer}`, { hint: `there are ${[...this.#buffers.keys()].join(", ")}` });
  }

  // ---- expressions

  #expr(e: ExprTree): Expr {
    if (this.#readsAsIndex(e)) return { kind: "size", size: this.#size(e) };
    switch (e.kind) {
      case "name": {
        const type = this.#names.get(e.name);
        return type ? { kind: "var", name: e.name, type } : this.#fail(e.at, `no name ${e.name}`);
      }
      case "access": return this.#access(e);
      case "call": return this.#call(e);
      case "number": case "negative": case "infix": return { kind: "size", size: this.#size(e) };
    }
  }

  /** Mirrors readsAsIndex in text.ts. */
  #readsAsIndex(e: ExprTree): boolean {
    switch (e.kind) {
      case "number": case "negative": case "infix": return true;
      case "name": return this.#names.get(e.name) === null;
      case "access": return false;
      case "call": return e.name === "floordiv" || e.name === "mod" || ((e.name === "min" || e.name === "max") && e.operands.every(x => this.#readsAsIndex(x)));
    }
  }

  #size(e: ExprTree): Size {
    switch (e.kind) {
      case "number":
        return Number.isInteger(e.value) ? e.value : this.#fail(e.at, "an index is a whole number", { found: String(e.value), hint: `write f32(${e.value}) for a constant` });
      case "name": return this.#names.has(e.name) ? dimSize(e.name) : this.#fail(e.at, `no dim, variable or value ${e.name}`);
      case "negative": return mulSize(this.#size(e.x), -1);
      case "infix": return INFIX[e.op](this.#size(e.a), this.#size(e.b));
      case "call": {
        const [a, b] = e.operands;
        if (e.name === "index" && a && e.operands.length === 1) return this.#size(a);
        const f = Object.hasOwn(SIZE_CALLS, e.name) ? SIZE_CALLS[e.name] : undefined;
        if (f && a && b && e.operands.length === 2) return f(this.#size(a), this.#size(b));
        return this.#fail(e.at, `${e.name} is no index arithmetic`, { expected: "+, -, *, floordiv, mod, min, max of two", hint: "write add(a, b) for values" });
      }
      case "access": return this.#fail(e.at, "memory cannot be read in index arithmetic", { hint: "bind it by let first" });
    }
  }

  #access({ access: a, gather }: ExprTree & { kind: "access" }): Expr {
    const buffer = this.#bufferOf(a);
    const index = a.index.map(i => this.#expr(i));
    const scalar = REGISTER_TYPE[buffer.dtype];
    if (!gather) return { kind: "load", buffer: buffer.name, index, type: { scalar, lanes: buffer.space === "register" ? buffer.lanes : a.lanes } };
    const last = index.at(-1);
    return last ? { kind: "gather", buffer: buffer.name, index, type: { scalar, lanes: typeOf(last).lanes } } : this.#fail(a.at, "gather needs an index");
  }

  /** A number written out: of a constant, a table, a lane. */
  #literal(e: ExprTree | undefined): number {
    if (e?.kind === "number") return e.value;
    if (e?.kind === "negative") return -this.#literal(e.x);
    if (e?.kind === "name" && e.name === "nan") return NaN;
    if (e?.kind === "name" && e.name === "inf") return Infinity;
    return this.#fail(e?.at ?? { line: 1, column: 1 }, "a number must stand here");
  }

  #call(e: ExprTree & { kind: "call" }): Expr {
    const { name, operands, at } = e;
    const need = (count: number): void => {
      if (operands.length !== count) this.#fail(at, `${name} takes ${count} operand${count === 1 ? "" : "s"}`, { found: String(operands.length) });
    };
    const all = (count: number): Expr[] => {
      need(count);
      return operands.map(x => this.#expr(x));
    };
    const x = (): Expr => (operands[0] ? this.#expr(operands[0]) : this.#fail(at, `${name} takes an operand`));
    const literals = (from: number): number[] => operands.slice(from).map(o => this.#literal(o));
    if (isUnary(name)) return { kind: "unary", op: name, x: all(1)[0]! };
    if (isBinary(name)) {
      const [a, b] = all(2) as [Expr, Expr];
      return { kind: "binary", op: name, a, b };
    }
    switch (name) {
      case "index": {
        need(1);
        return { kind: "size", size: this.#size(operands[0]!) };
      }
      case "fma": case "dot4": {
        const [a, b, c] = all(3) as [Expr, Expr, Expr];
        return { kind: name, a, b, c };
      }
      case "select": {
        const [condition, yes, no] = all(3) as [Expr, Expr, Expr];
        return { kind: "select", condition, yes, no };
      }
      case "vector": return { kind: "vector", items: all(operands.length) };
      case "splat": return { kind: "splat", x: x(), lanes: this.#literal(operands[1]) };
      case "lane": return { kind: "lane", x: x(), lane: this.#literal(operands[1]) };
      case "subgroup_xor": return { kind: "subgroup_xor", x: x(), mask: this.#literal(operands[1]) };
      case "shuffle":
        if (operands.length < 3) need(3);
        return { kind: "shuffle", a: x(), b: this.#expr(operands[1]!), lanes: literals(2) };
    }
    const [, head, tail] = /^(cast|bitcast|horizontal|subgroup|lookup16)_(\w+)$/.exec(name) ?? [];
    if ((head === "cast" || head === "bitcast") && tail !== undefined && isScalar(tail)) return { kind: head, to: tail, x: all(1)[0]! };
    if (head === "horizontal" && isReduction(tail)) return { kind: "horizontal", op: tail, x: all(1)[0]! };
    if (head === "subgroup" && isReduction(tail)) return { kind: "subgroup_reduce", op: tail, x: all(1)[0]! };
    if (head === "lookup16" && tail !== undefined && isScalar(tail)) {
      need(17);
      const at16 = x();
      return { kind: "lookup16", table: literals(1).map(ROUND[tail]), index: at16, type: { scalar: tail, lanes: typeOf(at16).lanes } };
    }
    if (!/^[a-z]+\d*?(x\d+)?$/.test(name) || !isScalar(this.#type({ text: name, at }).name)) return this.#fail(at, `no function ${name}`);
    const type = this.#valueType({ text: name, at });
    need(1);
    return { kind: "const", type, value: ROUND[type.scalar](this.#literal(operands[0])) };
  }
}
