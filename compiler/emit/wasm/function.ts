// One kernel as a WebAssembly function of (args, low, high, scratch): the loop over its tasks and the statements of a task.
// Unrolled loops are copied out, register buffers are locals, local buffers lie one after the other in scratch.
import { InternalError } from "../../base/diagnostics.ts";
import { addSize, dimSize, type Range, type Size, subSize } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, type Kernel, REGISTER_TYPE, type Stmt, typeOf, type ValueType } from "../../kernel/ir.ts";
import { isFloatScalar } from "../../kernel/scalar.ts";
import { Definitions } from "../../kernel/definitions.ts";
import { ScratchLayout } from "../scratch.ts";
import { Addresses, baseName } from "./addresses.ts";
import { emitAtomic } from "./atomics.ts";
import { Code, type Items, lanesPerPart, PARAMS } from "./code.ts";
import { Expressions, type Held } from "./expressions.ts";
import { roundTo, storeElement, storeVector } from "./memory.ts";
import { Sizes } from "./sizes.ts";
import { namesWithOneUse } from "./uses.ts";
import * as m from "./instructions.ts";
import type { Ref, WasmFunction } from "./instructions.ts";

const SCRATCH = "@scratch";
const LOW = "@low";
const ADDRESS: Range = { min: 0, max: 2 ** 32 - 1 };
const ANYTHING: Range = { min: -Infinity, max: Infinity };

/** The kernel's function, and the bytes of scratch that it needs. */
export function kernelFunction(kernel: Kernel): WasmFunction & { readonly scratch: Size } {
  return new KernelFunction(kernel).written();
}

class KernelFunction {
  readonly #kernel: Kernel;
  readonly #code: Code;
  readonly #sizes: Sizes;
  readonly #expressions: Expressions;
  readonly #uses: ReturnType<typeof namesWithOneUse>;
  readonly #defined = new Definitions();
  #labels = 0;
  readonly #scratch: ScratchLayout;

  constructor(kernel: Kernel) {
    if (kernel.machine !== "simd") throw new InternalError(`kernel ${kernel.name} is for ${kernel.machine} machines`);
    this.#kernel = kernel;
    this.#scratch = new ScratchLayout(kernel);
    this.#code = new Code();
    this.#sizes = new Sizes(this.#code);
    const even = new Set(kernel.dims.filter(d => d.multipleOf % 2 === 0).map(d => d.name));
    this.#expressions = new Expressions(this.#code, this.#sizes, new Addresses(this.#code, this.#sizes, even));
    this.#uses = namesWithOneUse(kernel);
  }

  written(): WasmFunction & { readonly scratch: Size } {
    const code = this.#code;
    const body = code.block(null, () => {
      this.#loadArguments();
      this.#tasks();
    });
    return { locals: code.locals, body: code.sequence(body), scratch: this.#scratch.bytes };
  }

  #loadArguments(): void {
    const code = this.#code;
    const { params, dims } = this.#kernel;
    code.within(code.levels[0]!.start, () => {
      const word = (i: number): number => {
        const local = code.fresh("i32");
        code.set(local, m.i32.load(4 * i, 4, code.get(PARAMS.args)));
        return local;
      };
      params.forEach((p, i) => {
        this.#bindLocal(baseName(p.name), word(i), ADDRESS);
        this.#expressions.buffers.set(p.name, { kind: "memory", buffer: p });
      });
      dims.forEach((d, i) => { this.#bindLocal(d.name, word(params.length + i), d); });
    });
    this.#bindLocal(SCRATCH, PARAMS.scratch, ADDRESS);
    this.#bindLocal(LOW, PARAMS.low, { min: 0, max: Infinity });
  }

  /** The name is an i32 known from the innermost level on. */
  #bindLocal(name: string, local: number, { min, max }: Range): void {
    this.#defined.define(this.#sizes.names, name, { kind: "variable", local, level: this.#code.levels.length - 1, range: { min, max } });
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  #bindSize(name: string, size: Size): void {
    this.#defined.define(this.#sizes.names, name, { kind: "size", size });
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  #bindValue(name: string, held: Held): void {
    this.#defined.define(this.#expressions.values, name, held);
    this.#defined.define(this.#sizes.names, name, undefined);
  }
  #tasks(): void {
    const code = this.#code;
    const { grid, body } = this.#kernel;
    if (grid.length === 1) {
      const last = subSize(grid[0]!.extent, 1);
      this.#loop(grid[0]!.name, dimSize(LOW), () => code.get(PARAMS.high), 1, { min: 0, max: this.#sizes.range(last).max }, body);
      return;
    }
    const locals = grid.map(() => code.fresh("i32"));
    const extents = grid.map(v => this.#sizes.resolve(v.extent));
    const rest = code.fresh("i32");
    code.set(rest, code.get(PARAMS.low));
    for (let g = grid.length - 1; g > 0; g--) {
      code.set(locals[g]!, m.i32.rem_u(code.get(rest), this.#sizes.resolvedValue(extents[g]!)));
      code.set(rest, m.i32.div_u(code.get(rest), this.#sizes.resolvedValue(extents[g]!)));
    }
    if (locals.length > 0) code.set(locals[0]!, code.get(rest));
    const task = code.block(null, () => {
      grid.forEach((v, g) => { this.#bindLocal(v.name, locals[g]!, { min: 0, max: this.#sizes.range(extents[g]!).max - 1 }); });
      this.#block(body);
      this.#increment(PARAMS.low, 1);
      this.#advanceGrid(locals, extents);
    });
    const label = this.#label();
    const again = m.br(label, m.i32.lt_u(code.get(PARAMS.low), code.get(PARAMS.high)));
    code.emit(m.if(m.i32.lt_u(code.get(PARAMS.low), code.get(PARAMS.high)), m.loop(label, code.sequence([task, again]))));
  }

  #increment(local: number, by: number): void {
    this.#code.set(local, m.i32.add(this.#code.get(local), m.i32.const(by)));
  }

  /** The last variable runs fastest. */
  #advanceGrid(locals: readonly number[], extents: readonly Size[]): void {
    const code = this.#code;
    const last = locals.length - 1;
    if (last < 0) return;
    this.#increment(locals[last]!, 1);
    if (last === 0) return;
    const carry: Items = [];
    code.within(carry, () => {
      code.set(locals[last]!, m.i32.const(0));
      this.#advanceGrid(locals.slice(0, last), extents);
    });
    code.emit(m.if(m.i32.ge_u(code.get(locals[last]!), this.#sizes.resolvedValue(extents[last]!)), code.sequence(carry)));
  }

  #label(): string {
    return `l${this.#labels++}`;
  }

  #loop(variable: string, from: Size, to: () => Ref, step: number, range: Range, body: readonly Stmt[]): void {
    const code = this.#code;
    const local = code.scoped({ scalar: "i32", lanes: 1 })[0]!;
    code.set(local, this.#sizes.value(from));
    const loop = { variable, from, step, before: [] as Items, after: [] as Items };
    const round = code.block(loop, () => {
      this.#defined.block(() => {
        this.#bindLocal(variable, local, range);
        this.#statements(body);
      });
    });
    const isBelow = (): Ref => m.i32.lt_s(code.get(local), to());
    const end: Items = [];
    const label = this.#label();
    code.within(end, () => {
      this.#increment(local, step);
      code.emit(m.br(label, isBelow()));
    });
    code.emit(m.if(isBelow(), code.sequence([loop.before, m.loop(label, code.sequence([round, loop.after, end]))])));
  }

  #statements(block: readonly Stmt[]): void {
    this.#scratch.block(() => {
      for (const s of block) this.#code.statement(() => { this.#statement(s); });
    });
  }
  /** The statements with a scope of their own, written here. */
  #block(block: readonly Stmt[], define?: () => void): void {
    this.#defined.block(() => this.#code.emit(this.#code.block(null, () => {
      define?.();
      this.#statements(block);
    })));
  }
  #nested(block: readonly Stmt[]): Ref {
    return this.#code.apart(() => { this.#block(block); });
  }

  #statement(s: Stmt): void {
    const code = this.#code;
    switch (s.kind) {
      case "for": this.#for(s); return;
      case "while": {
        const [again, done] = [this.#label(), this.#label()];
        const list: Items = [];
        code.within(list, () => {
          code.emit(m.br(done, m.i32.eqz(this.#expressions.scalar(s.condition))));
          this.#block(s.body);
          code.emit(m.br(again));
        });
        code.emit(m.block(done, m.loop(again, code.sequence(list))));
        return;
      }
      case "if": {
        const condition = this.#expressions.scalar(s.condition);
        code.emit(s.no.length > 0 ? m.if(condition, this.#nested(s.yes), this.#nested(s.no)) : m.if(condition, this.#nested(s.yes)));
        return;
      }
      case "let": this.#let(s.name, s.value); return;
      case "mutable": {
        this.#hold(s.name, s.type, this.#expressions.parts(s.init), "parts");
        return;
      }
      case "assign": {
        const held = this.#expressions.values.get(s.name);
        if (!held) throw new InternalError(`${s.name} is assigned before it is defined`);
        this.#setAll(held.locals, this.#expressions.parts(s.value));
        return;
      }
      case "alloc": this.#alloc(s.buffer); return;
      case "store": this.#store(s); return;
      case "atomic": {
        const home = this.#expressions.home(s.buffer);
        if (home.kind === "register") throw new InternalError(`atomic on registers ${s.buffer}`);
        emitAtomic(code, s.op, home.buffer, this.#expressions.address(home.buffer, s.index), this.#expressions.scalar(s.value), this.#label());
        return;
      }
      default: throw new InternalError(`${s.kind} in a simd kernel`);
    }
  }

  /** The parts may read what they replace. */
  #setAll(locals: readonly number[], parts: readonly Ref[]): void {
    const code = this.#code;
    const values = parts.length > 1 ? parts.map(p => code.hold(p)) : parts.map(p => () => p);
    values.forEach((value, i) => { code.set(locals[i]!, value()); });
  }

  #for(s: Stmt & { kind: "for" }): void {
    const from = this.#sizes.constant(s.from);
    const to = this.#sizes.constant(s.to);
    if (s.mode === "unroll" && (from === undefined || to === undefined)) throw new InternalError(`loop ${s.variable} cannot be unrolled`);
    if (from !== undefined && to !== undefined && (s.mode === "unroll" || to <= from + s.step)) {
      for (let i = from; i < to; i += s.step) this.#block(s.body, () => { this.#bindSize(s.variable, i); });
      return;
    }
    const bound = this.#sizes.resolve(s.to);
    const start = this.#sizes.resolve(s.from);
    this.#loop(s.variable, start, () => this.#sizes.resolvedValue(bound), s.step, { min: this.#sizes.range(start).min, max: this.#sizes.range(bound).max - 1 }, s.body);
  }

  #let(name: string, value: Expr): void {
    const type = typeOf(value);
    const use = this.#uses.get(name);
    if (use === "splat" && isFloatScalar(type.scalar)) {
      this.#hold(name, { scalar: type.scalar, lanes: lanesPerPart(type.scalar) }, [this.#expressions.splatted(value)], "splatted");
      return;
    }
    const nibbles = use === "lookup16" ? this.#expressions.nibbles(value) : undefined;
    if (nibbles) {
      this.#hold(name, { scalar: "i32", lanes: 4 * nibbles.length }, nibbles, "nibbles");
      return;
    }
    const size = type.scalar === "i32" && type.lanes === 1 ? indexSize(value) : undefined;
    if (size !== undefined) {
      this.#bindSize(name, this.#sizes.resolve(size));
      return;
    }
    const locals = this.#hold(name, type, this.#expressions.parts(value), "parts");
    if (type.scalar !== "i32" || type.lanes !== 1) return;
    // From here on sizes may use it.
    this.#code.open();
    this.#bindLocal(name, locals[0]!, ANYTHING);
  }

  #hold(name: string, type: ValueType, parts: readonly Ref[], form: Held["form"]): readonly number[] {
    const locals = this.#code.scoped(type);
    parts.forEach((p, i) => { this.#code.set(locals[i]!, p); });
    this.#bindValue(name, { locals, form });
    return locals;
  }

  #alloc(buffer: Buffer): void {
    const { buffers } = this.#expressions;
    const shape = buffer.shape.map(s => this.#sizes.resolve(s));
    if (buffer.space === "register") {
      const count = shape.reduce<number>((n, s) => n * (typeof s === "number" ? s : Number.NaN), 1);
      if (Number.isNaN(count)) throw new InternalError(`registers ${buffer.name} have no constant shape`);
      const elements = Array.from({ length: count }, () => this.#code.scoped({ scalar: REGISTER_TYPE[buffer.dtype], lanes: buffer.lanes }));
      this.#defined.define(buffers, buffer.name, { kind: "register", buffer, elements });
      return;
    }
    if (buffer.space !== "local") throw new InternalError(`${buffer.space} memory in a simd kernel`);
    this.#bindSize(baseName(buffer.name), addSize(dimSize(SCRATCH), this.#scratch.place(buffer.name, buffer.dtype, shape)));
    this.#defined.define(buffers, buffer.name, { kind: "memory", buffer: { ...buffer, shape } });
  }

  #store(s: Stmt & { kind: "store" }): void {
    const code = this.#code;
    const home = this.#expressions.home(s.buffer);
    const { lanes } = typeOf(s.value);
    const parts = this.#expressions.parts(s.value);
    const { dtype } = home.buffer;
    if (home.kind === "register") {
      this.#setAll(this.#expressions.registers(home, s.index), parts.map(p => roundTo(code, dtype, lanes, p)));
      return;
    }
    const at = this.#expressions.address(home.buffer, s.index);
    if (lanes === 1) {
      storeElement(code, dtype, at, parts[0]!);
      return;
    }
    const values = parts.length > 1 ? parts.map(p => code.hold(p)()) : parts;
    storeVector(code, dtype, lanes, at, values);
  }
}
