// One kernel as a C function of (params, dims, low, high, scratch): the loop over its tasks and the statements of a task.
// Unrolled loops are copied out, register buffers are variables, local buffers lie one after the other in scratch.
import { byteLength } from "../../base/dtypes.ts";
import { InternalError } from "../../base/diagnostics.ts";
import { dimSize, productSize, type Range, type Size, sizeText, subSize } from "../../base/sizes.ts";
import { spanText } from "../../base/span.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, type Kernel, REGISTER_TYPE, type Stmt, typeOf } from "../../kernel/ir.ts";
import { mapOperands } from "../../kernel/share.ts";
import { Definitions } from "../../kernel/definitions.ts";
import { ScratchLayout } from "../scratch.ts";
import { Code, type Machine, partsOf } from "./code.ts";
import { Expressions } from "./expressions.ts";
import { roundTo, storeElement, storeVector } from "./memory.ts";
import { Sizes } from "./sizes.ts";
import { usesOf } from "./uses.ts";

const I32: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };
/** Bytes of a local buffer that is an array of the function. Of larger ones, compilers keep too much in registers. */
const MOST_IN_ARRAY = 256;
const ATOMIC: ReadonlySet<string> = new Set(["i32", "u32", "f32", "f64"]);

export interface EmittedKernel {
  readonly text: string;
  /** Bytes of scratch that the function needs. */
  readonly scratch: Size;
}

export function emitKernel(machine: Machine, kernel: Kernel, name: string): EmittedKernel {
  return new KernelFunction(machine, kernel).emit(name);
}

class KernelFunction {
  readonly #kernel: Kernel;
  readonly #code: Code;
  readonly #sizes = new Sizes();
  readonly #expressions: Expressions;
  readonly #scratch: ScratchLayout;
  readonly #uses: ReadonlyMap<string, number>;
  readonly #defined = new Definitions();

  constructor(machine: Machine, kernel: Kernel) {
    if (kernel.machine !== "simd") throw new InternalError(`kernel ${kernel.name} is for ${kernel.machine} machines`);
    this.#kernel = kernel;
    this.#uses = usesOf(kernel);
    this.#code = new Code(machine);
    this.#expressions = new Expressions(this.#code, this.#sizes);
    this.#scratch = new ScratchLayout(kernel);
  }

  emit(name: string): EmittedKernel {
    const { name: title, summary, spans, grid } = this.#kernel;
    const code = this.#code;
    code.line(`// ${oneLine(`${title}${summary === "" ? "" : `: ${summary}`}`)}`);
    for (const span of spans) code.line(`//   ${oneLine(spanText(span))}`);
    if (grid.length > 0) code.line(`//   tasks: ${oneLine(grid.map(v => `${v.name} < ${sizeText(v.extent)}`).join(", "))}`);
    code.block(`void ${name}(char *const *params, const int64_t *dims, int64_t low, int64_t high, char *scratch)`, () => {
      this.#arguments();
      this.#tasks();
    });
    return { text: code.text, scratch: this.#scratch.bytes };
  }

  #arguments(): void {
    const code = this.#code;
    this.#kernel.params.forEach((p, i) => {
      const base = code.name(p.name);
      code.declare(`${p.access === "read" ? "const char" : "char"} *const ${base} = params[${i}];`);
      this.#expressions.buffers.set(p.name, { kind: "memory", buffer: p, base });
    });
    this.#kernel.dims.forEach((d, i) => {
      code.declare(`const int64_t ${code.name(d.name)} = dims[${i}];`);
      this.#bindVariable(d.name, 64, d, d.multipleOf % 2 === 0);
    });
  }

  #bindVariable(name: string, bits: 32 | 64, { min, max }: Range, even = false): void {
    this.#code.rebind(this.#code.name(name));
    this.#defined.define(this.#sizes.names, name, { kind: "variable", text: this.#code.name(name), bits, range: { min, max }, even });
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  #bindConstant(name: string, value: number): void {
    this.#defined.define(this.#sizes.names, name, { kind: "size", size: value });
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  #bindValue(name: string, parts: readonly string[]): void {
    this.#defined.define(this.#expressions.values, name, parts);
    this.#defined.define(this.#sizes.names, name, undefined);
  }
  #tasks(): void {
    const code = this.#code;
    const { grid, body } = this.#kernel;
    const bind = (name: string, extent: Size): void => this.#bindVariable(name, 64, { min: 0, max: Math.max(0, this.#sizes.range(extent).max - 1) });
    if (grid.length === 1) {
      const [v] = grid as [typeof grid[0] & object];
      const name = code.name(v.name);
      code.block(`for (int64_t ${name} = low; ${name} < high; ${name}++)`, () => this.#defined.block(() => {
        bind(v.name, v.extent);
        this.#statements(body);
      }));
      return;
    }
    code.block("for (int64_t task = low; task < high; task++)", () => this.#defined.block(() => {
      if (grid.length > 1) code.declare("int64_t rest = task;");
      for (let g = grid.length - 1; g > 0; g--) {
        const extent = this.#sizes.text(grid[g]!.extent);
        code.declare(`const int64_t ${code.name(grid[g]!.name)} = rest % ${extent};`);
        code.line(`rest /= ${extent};`);
      }
      if (grid.length > 0) code.declare(`const int64_t ${code.name(grid[0]!.name)} = rest;`);
      for (const v of grid) bind(v.name, v.extent);
      this.#statements(body);
    }));
  }

  #statements(block: readonly Stmt[]): void {
    this.#scratch.block(() => {
      for (const s of block) this.#statement(s);
    });
  }
  #block(block: readonly Stmt[]): void {
    this.#defined.block(() => this.#statements(block));
  }

  #statement(s: Stmt): void {
    const code = this.#code;
    switch (s.kind) {
      case "for": this.#for(s); return;
      case "while": {
        code.block("for (;;)", () => {
          code.line(`if (!${this.#expressions.scalar(s.condition)}) break;`);
          this.#block(s.body);
        });
        return;
      }
      case "if": {
        code.block(`if (${this.#expressions.scalar(s.condition)})`, () => this.#block(s.yes), s.no.length > 0 ? "} else {" : "}");
        if (s.no.length > 0) code.rest(() => this.#block(s.no));
        return;
      }
      case "let": this.#let(s.name, s.value); return;
      case "mutable": {
        const values = this.#expressions.parts(s.init);
        const names = this.#partNames(s.name, values.length);
        code.typesOf(s.type).forEach((type, i) => { code.declare(`${type} ${names[i]} = ${values[i]};`); });
        this.#bindValue(s.name, names);
        return;
      }
      case "assign": {
        const names = this.#expressions.values.get(s.name);
        if (!names) throw new InternalError(`${s.name} is assigned before it is defined`);
        this.#setAll(names, code.typesOf(typeOf(s.value)), this.#expressions.parts(s.value));
        return;
      }
      case "alloc": this.#alloc(s.buffer); return;
      case "store": this.#store(s); return;
      case "atomic": {
        const home = this.#expressions.home(s.buffer);
        const { dtype } = home.buffer;
        if (home.kind === "register" || !ATOMIC.has(dtype)) throw new InternalError(`atomic on ${s.buffer}, which is ${home.kind} ${dtype}`);
        code.line(`atomic_${s.op}_${dtype}(${this.#expressions.address(home, s.index).at(0)}, ${this.#expressions.scalar(s.value)});`);
        return;
      }
      default: throw new InternalError(`${s.kind} in a simd kernel`);
    }
  }

  /** The names of a value's parts. */
  #partNames(name: string, parts: number): string[] {
    return parts === 1 ? [this.#code.name(name)] : Array.from({ length: parts }, (_, i) => this.#code.name(`${name}_${i}`));
  }

  /** The values may read what they replace. */
  #setAll(names: readonly string[], types: readonly string[], values: readonly string[]): void {
    const code = this.#code;
    if (values.length === 1) {
      code.line(`${names[0]} = ${values[0]};`);
      return;
    }
    code.group(() => {
      const held = values.map((v, i) => code.hold(types[i]!, v));
      held.forEach((v, i) => { code.line(`${names[i]} = ${v};`); });
    });
  }

  #for(s: Stmt & { kind: "for" }): void {
    const code = this.#code;
    const [from, to] = [this.#sizes.constant(s.from), this.#sizes.constant(s.to)];
    if (s.mode === "unroll" && (from === undefined || to === undefined)) throw new InternalError(`loop ${s.variable} cannot be unrolled`);
    if (from !== undefined && to !== undefined && (s.mode === "unroll" || to <= from + s.step)) {
      for (let i = from; i < to; i += s.step) {
        code.group(() => this.#defined.block(() => {
          this.#bindConstant(s.variable, i);
          this.#statements(s.body);
        }));
      }
      return;
    }
    const name = code.name(s.variable);
    const range = { min: this.#sizes.range(s.from).min, max: this.#sizes.range(subSize(s.to, 1)).max };
    const even = s.step % 2 === 0 && this.#sizes.isEven(s.from);
    code.block(`for (int64_t ${name} = ${this.#sizes.open(s.from)}; ${name} < ${this.#sizes.text(s.to)}; ${s.step === 1 ? `${name}++` : `${name} += ${s.step}`})`, () => this.#defined.block(() => {
      this.#bindVariable(s.variable, 64, range, even);
      this.#statements(s.body);
    }));
  }

  #let(name: string, value: Expr): void {
    const code = this.#code;
    const type = typeOf(value);
    const isIndex = type.scalar === "i32" && type.lanes === 1;
    const size = isIndex ? indexSize(this.#withNames(value)) : undefined;
    if (size !== undefined) {
      const range = this.#sizes.range(size);
      const even = this.#sizes.isEven(size);
      const fits = range.min >= I32.min && range.max <= I32.max;
      code.declare(`const int64_t ${code.name(name)} = ${fits ? this.#sizes.open(size) : `(int32_t)${this.#sizes.text(size)}`};`);
      this.#bindVariable(name, 64, fits ? range : I32, even);
      return;
    }
    const values = this.#expressions.parts(value);
    const names = this.#partNames(name, values.length);
    const isOperand = value.kind === "splat" ? value.x.kind !== "const" : value.kind === "load" && type.lanes > 1 && this.#expressions.home(value.buffer).kind === "memory";
    const isKept = isOperand && (this.#uses.get(name) ?? 0) > 1;
    code.typesOf(type).forEach((t, i) => { code.declare(`${isKept ? "" : "const "}${t} ${names[i]} = ${values[i]};`); });
    if (isKept) for (const n of names) code.line(`KEEP(${n});`);
    if (isIndex) {
      this.#bindVariable(name, 32, I32);
      this.#defined.define(this.#expressions.values, name, names);
    } else this.#bindValue(name, names);
  }
  /** Bound i32 names as symbols. */
  #withNames(e: Expr): Expr {
    return e.kind === "var" && this.#sizes.names.has(e.name) ? { kind: "size", size: dimSize(e.name) } : mapOperands(e, x => this.#withNames(x));
  }

  #alloc(buffer: Buffer): void {
    const code = this.#code;
    const shape = buffer.shape.map(s => this.#sizes.resolve(s));
    if (buffer.space === "register") {
      const count = shape.reduce<number>((n, s) => n * (typeof s === "number" ? s : Number.NaN), 1);
      if (Number.isNaN(count)) throw new InternalError(`registers ${buffer.name} have no constant shape`);
      const type = { scalar: REGISTER_TYPE[buffer.dtype], lanes: buffer.lanes };
      const elements = Array.from({ length: count }, (_, i) => this.#partNames(`${buffer.name}_${i}`, code.typesOf(type).length));
      code.typesOf(type).forEach((t, p) => { code.declare(`${t} ${elements.map(e => e[p]!).join(", ")};`); });
      this.#defined.define(this.#expressions.buffers, buffer.name, { kind: "register", buffer, elements });
      return;
    }
    if (buffer.space !== "local") throw new InternalError(`${buffer.space} memory in a simd kernel`);
    const base = code.name(buffer.name);
    code.rebind(base);
    const count = this.#sizes.constant(productSize(shape));
    const bytes = count === undefined ? Infinity : byteLength(buffer.dtype, count);
    if (bytes <= MOST_IN_ARRAY) {
      // Nothing else reaches an array of the function, so that sums in it stay in registers while a loop runs.
      code.declare(`char ${base}[${bytes}] __attribute__((aligned(64)));`);
    } else {
      const offset = this.#sizes.text(this.#scratch.place(buffer.name, buffer.dtype, shape));
      code.declare(`char *const ${base} = ${offset === "0" ? "scratch" : `scratch + ${offset}`};`);
    }
    this.#defined.define(this.#expressions.buffers, buffer.name, { kind: "memory", buffer, base });
  }

  #store(s: Stmt & { kind: "store" }): void {
    const code = this.#code;
    const home = this.#expressions.home(s.buffer);
    const type = typeOf(s.value);
    const values = this.#expressions.parts(s.value);
    const { dtype } = home.buffer;
    if (home.kind === "register") {
      const widths = type.lanes === 1 ? [1] : partsOf(code.machine, type.scalar, type.lanes).map(p => p.width);
      this.#setAll(this.#expressions.registers(home, s.index), code.typesOf(type), values.map((v, i) => roundTo(dtype, type.scalar, widths[i]!, v)));
      return;
    }
    const address = this.#expressions.address(home, s.index);
    if (type.lanes === 1) code.line(`${storeElement(dtype, address, values[0]!)};`);
    else code.group(() => storeVector(code, dtype, type.lanes, address, values.length > 1 ? code.holdParts(type.scalar, type.lanes, values) : values));
  }
}

/** A comment must not end early. */
const oneLine = (text: string): string => text.replace(/\s+/g, " ").replace(/\\$/, "");
