// One kernel as a __global__ function. A kernel whose tasks do not depend on each other has a thread for each task; one of
// workgroups has a block for each. Loops that the kernel wants copied out are left to nvcc where their bounds are numbers.
import { byteLength } from "../../base/dtypes.ts";
import { InternalError } from "../../base/diagnostics.ts";
import { dimSize, floorDivSize, modSize, productSize, type Range, sameSize, type Size, sizeText, subSize } from "../../base/sizes.ts";
import { spanText } from "../../base/span.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, type Kernel, type Param, REGISTER_TYPE, type Stmt, typeOf } from "../../kernel/ir.ts";
import { operandsOf } from "../../kernel/share.ts";
import { ScratchLayout } from "../scratch.ts";
import { opened } from "./arithmetic.ts";
import { Code, SCALAR_TYPE } from "./code.ts";
import { Expressions } from "./expressions.ts";
import { Fragments } from "./fragments.ts";
import { loadLanes, rounded, STORAGE_TYPE, storeLanes, withNames } from "./memory.ts";
import { Scope } from "./scope.ts";
import { fits, I32, powerOfTwoIn, Sizes } from "./sizes.ts";

/** Threads of a block of independent tasks. */
const TASK_THREADS = 256;
/** Bytes of a local buffer that is an array of the thread. Memory is set aside for those of all threads that a GPU can run. */
const MOST_IN_ARRAY = 1024;
/** Loops in each other, in a loop that nvcc is to leave as it is. */
const DEEP = 2;
const ATOMIC: ReadonlySet<string> = new Set(["i32", "u32", "f32", "f64"]);

export interface EmittedKernel {
  readonly text: string;
  /** Of a block. */
  readonly threads: number;
  readonly tasks: number;
  /** Bytes of scratch that each task needs. */
  readonly scratch: Size;
}

export const emitKernel = (kernel: Kernel, name: string): EmittedKernel => new KernelFunction(kernel, name).emit();

class KernelFunction {
  readonly #kernel: Kernel;
  readonly #name: string;
  readonly #code = new Code();
  readonly #sizes = new Sizes();
  readonly #expressions: Expressions;
  readonly #fragments: Fragments;
  readonly #scope: Scope;
  readonly #scratch: ScratchLayout;
  readonly #threads: number;

  constructor(kernel: Kernel, name: string) {
    this.#kernel = kernel;
    this.#name = name;
    this.#threads = kernel.threads.reduce((n, { name: t, extent }) => {
      if (typeof extent !== "number") throw new InternalError(`thread ${t} of kernel ${kernel.name} has no constant extent`);
      return n * extent;
    }, 1);
    this.#expressions = new Expressions(this.#code, this.#sizes, name, this.#threads);
    this.#fragments = new Fragments(this.#code, this.#sizes, this.#expressions);
    this.#scope = new Scope(this.#code, this.#sizes, this.#expressions, kernel.dims);
    this.#scratch = new ScratchLayout(kernel);
  }

  emit(): EmittedKernel {
    const { name: title, summary, spans, grid, machine, threads } = this.#kernel;
    const isTasks = machine === "simd";
    this.#bindArguments();
    const statements = this.#code.aside(() => {
      if (isTasks) this.#task();
      else this.#workgroup();
      this.#statements(this.#kernel.body);
    });
    const body = [...this.#narrowDims(statements.join("\n")), ...statements];
    const code = new Code();
    code.line(`// ${oneLine(`${title}${summary === "" ? "" : `: ${summary}`}`)}`);
    for (const span of spans) code.line(`//   ${oneLine(spanText(span))}`);
    const points = grid.map(v => `${v.name} < ${sizeText(v.extent)}`).join(", ");
    if (grid.length > 0) code.line(`//   ${isTasks ? "tasks" : "blocks"}: ${oneLine(points)}`);
    if (!isTasks) code.line(`//   threads: ${threads.map(v => `${v.name} < ${sizeText(v.extent)}`).join(", ")}`);
    for (const table of this.#expressions.tables) code.line(table);
    const block = isTasks ? TASK_THREADS : this.#threads;
    code.line(`extern "C" __global__ void __launch_bounds__(${block}) ${this.#name}(`);
    code.line(`${this.#parameters().map(group => `  ${group.join(", ")}`).join(",\n")}) {`);
    code.add(body);
    code.line("}");
    return { text: code.text, threads: block, tasks: isTasks ? block : 1, scratch: this.#scratch.bytes };
  }

  /** A line each of pointers, of dims, and of what a launch adds. */
  #parameters(): string[][] {
    const { params, dims } = this.#kernel;
    return [
      params.map(p => `${p.access === "read" ? "const " : ""}${STORAGE_TYPE[p.dtype]} *${this.#isApart(p) ? "__restrict__ " : ""}${this.#code.name(p.name)}`),
      dims.map(d => `int64_t ${this.#dimParameter(d.name, fits(d))}`),
      ["int64_t low", "int64_t high", "char *scratch", "int64_t scratch_bytes"],
    ].filter(group => group.length > 0);
  }
  /** Whether nothing that is written can lie where it does: new values may be given the place of old ones of their size. */
  #isApart(p: Param): boolean {
    return p.access === "read" && this.#kernel.params.every(q => q.access === "read" || q.dtype !== p.dtype || !sameSize(productSize(q.shape), productSize(p.shape)));
  }
  #dimParameter(name: string, isNarrow: boolean): string {
    return this.#code.name(isNarrow ? `wide ${name}` : name);
  }

  #bindArguments(): void {
    const { params, dims } = this.#kernel;
    for (const p of params) this.#scope.buffer(p.name, { kind: "memory", buffer: p, base: this.#code.name(p.name) });
    for (const d of dims) this.#scope.variable(d.name, fits(d) ? 32 : 64, d, powerOfTwoIn(d.multipleOf));
  }
  /** Dims as the statements use them. */
  #narrowDims(statements: string): string[] {
    const used = this.#kernel.dims.filter(d => fits(d) && new RegExp(`\\b${this.#code.name(d.name)}\\b`).test(statements));
    return used.map(d => `  const int ${this.#code.name(d.name)} = (int)${this.#dimParameter(d.name, true)};`);
  }

  /** Nothing is done by threads beyond the last task. */
  #task(): void {
    const code = this.#code;
    const { grid } = this.#kernel;
    const number = code.name("thread number");
    code.declare(`const int64_t ${number} = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;`);
    code.line(`if (${number} >= high - low) return;`);
    this.#gridPoint(`low + ${number}`, "task number");
    for (const v of grid) this.#scope.runs(v.name, 0, v.extent);
  }
  #workgroup(): void {
    const code = this.#code;
    const { grid, threads } = this.#kernel;
    this.#gridPoint("low + blockIdx.x", "task number");
    let rest = "(int)threadIdx.x";
    threads.forEach(({ name, extent }, i) => {
      const isLast = i === threads.length - 1;
      code.declare(`const int ${code.name(name)} = ${isLast ? rest : `${rest} % ${extent}`};`);
      rest = `${rest} / ${extent}`;
      this.#scope.variable(name, 32, { min: 0, max: Number(extent) - 1 });
    });
    for (const v of [...grid, ...threads]) this.#scope.runs(v.name, 0, v.extent);
  }
  /** The grid's variables at the point of that number: the last runs fastest. */
  #gridPoint(number: string, hint: string): void {
    const code = this.#code;
    for (const { name, extent } of this.#kernel.grid) if (extent === 1) this.#scope.constant(name, 0);
    const grid = this.#kernel.grid.filter(v => v.extent !== 1);
    if (grid.length === 0) return;
    const below = (extent: Size): Range => ({ min: 0, max: Math.max(0, this.#sizes.range(extent).max - 1) });
    const range = below(productSize(grid.map(v => v.extent)));
    const bits = fits(range) ? 32 : 64;
    const type = bits === 32 ? "int" : "int64_t";
    const point = grid.length === 1 ? grid[0]!.name : hint;
    code.declare(`const ${type} ${code.name(point)} = (${type})(${number});`);
    this.#scope.variable(point, bits, range);
    if (grid.length === 1) return;
    let rest: Size = dimSize(hint);
    const places = [...grid].reverse().map(({ extent }, i) => {
      const place = i === grid.length - 1 ? rest : modSize(rest, extent);
      rest = floorDivSize(rest, extent);
      return place;
    }).reverse();
    const texts = grid.map((v, i) => (fits(below(v.extent)) ? `const int ${code.name(v.name)} = ${opened(this.#sizes.int(places[i]!))};` : `const int64_t ${code.name(v.name)} = ${this.#sizes.open(places[i]!)};`));
    grid.forEach((v, i) => {
      code.declare(texts[i]!);
      this.#scope.variable(v.name, fits(below(v.extent)) ? 32 : 64, below(v.extent));
    });
  }

  #statements(block: readonly Stmt[]): void {
    this.#scratch.block(() => {
      for (const s of block) this.#statement(s);
    });
  }
  #block(block: readonly Stmt[]): void {
    this.#scope.block(() => this.#statements(block));
  }

  #statement(s: Stmt): void {
    const code = this.#code;
    switch (s.kind) {
      case "for": this.#for(s); return;
      case "while": this.#while(s); return;
      case "if": {
        const head = `if (${opened(this.#expressions.scalar(s.condition))})`;
        if (s.no.length > 0) code.branch(head, () => this.#block(s.yes), () => this.#block(s.no));
        else code.block(head, () => this.#block(s.yes));
        return;
      }
      case "let": this.#let(s.name, s.value); return;
      case "mutable": {
        const values = this.#expressions.lanes(s.init).map(opened);
        const name = code.name(s.name);
        const type = SCALAR_TYPE[s.type.scalar];
        code.declare(values.length === 1 ? `${type} ${name} = ${values[0]};` : `${type} ${name}[${values.length}] = {${values.join(", ")}};`);
        this.#scope.value(s.name, lanesOf(name, values.length));
        return;
      }
      case "assign": {
        const names = this.#expressions.values.get(s.name);
        if (!names) throw new InternalError(`${s.name} is assigned before it is defined`);
        this.#setAll(names, SCALAR_TYPE[typeOf(s.value).scalar], isLanewise(s.value, () => false), () => this.#expressions.lanes(s.value));
        return;
      }
      case "alloc": this.#alloc(s.buffer); return;
      case "store": this.#store(s); return;
      case "atomic": {
        const home = this.#expressions.memory(s.buffer);
        const { dtype, space } = home.buffer;
        if (space === "local" || !ATOMIC.has(dtype)) throw new InternalError(`atomic on ${s.buffer}, which is ${space} ${dtype}`);
        const at = this.#expressions.place(home, s.index).at(0);
        code.line(`atomic_${s.op}_${dtype}(&${home.base}[${at}], ${opened(this.#expressions.scalar(s.value))});`);
        return;
      }
      case "barrier": code.line(s.scope === "workgroup" ? "__syncthreads();" : "__syncwarp();"); return;
      case "async_copy": this.#copy(s); return;
      case "async_commit": code.line("async_commit();"); return;
      case "async_wait": code.line(`async_wait<${s.pending}>();`); return;
      default: this.#fragments.statement(s);
    }
  }

  #while(s: Stmt & { kind: "while" }): void {
    const code = this.#code;
    let condition = "";
    const before = code.aside(() => this.#scope.block(() => { condition = this.#expressions.scalar(s.condition); }));
    if (before.length === 0) {
      code.block(`while (${opened(condition)})`, () => this.#block(s.body));
      return;
    }
    code.block("for (;;)", () => {
      code.add(before);
      code.line(`if (!${condition}) break;`);
      this.#block(s.body);
    });
  }

  #for(s: Stmt & { kind: "for" }): void {
    const code = this.#code;
    const [from, to] = [this.#sizes.constant(s.from), this.#sizes.constant(s.to)];
    if (s.mode === "unroll" && (from === undefined || to === undefined)) throw new InternalError(`loop ${s.variable} cannot be unrolled`);
    const isLiteral = typeof s.from === "number" && typeof s.to === "number";
    if (from !== undefined && to !== undefined && (to <= from + s.step || (s.mode === "unroll" && !isLiteral))) {
      for (let i = from; i < to; i += s.step) {
        code.group(() => this.#scope.block(() => {
          this.#scope.constant(s.variable, i);
          this.#statements(s.body);
        }));
      }
      return;
    }
    const range = { min: this.#sizes.range(s.from).min, max: this.#sizes.range(subSize(s.to, 1)).max };
    const bits = fits({ min: range.min, max: range.max + s.step }) ? 32 : 64;
    const name = code.name(s.variable);
    const head = `for (${bits === 32 ? "int" : "int64_t"} ${name} = ${this.#sizes.open(s.from)}; ${name} < ${this.#sizes.text(s.to)}; ${s.step === 1 ? `${name}++` : `${name} += ${s.step}`})`;
    if (s.mode === "unroll") code.line("#pragma unroll");
    // Left to itself, nvcc copies out whole nests of constant loops, and holds what all of them load in registers.
    else if (isLiteral && depthOf(s.body) >= DEEP) code.line("#pragma unroll 1");
    const multipleOf = Math.min(powerOfTwoIn(s.step), this.#sizes.multipleOf(s.from));
    code.block(head, () => this.#scope.block(() => {
      this.#scope.runs(s.variable, s.from, s.to, s.step);
      this.#scope.variable(s.variable, bits, range, multipleOf);
      this.#statements(s.body);
    }));
  }

  #let(name: string, value: Expr): void {
    const code = this.#code;
    const type = typeOf(value);
    const cpp = SCALAR_TYPE[type.scalar];
    const isIndex = type.scalar === "i32" && type.lanes === 1;
    const size = isIndex ? indexSize(withNames(this.#sizes, value)) : undefined;
    if (size !== undefined) {
      const range = this.#sizes.range(size);
      code.declare(`const int ${code.name(name)} = ${opened(this.#sizes.int(size))};`);
      this.#scope.equals(name, size);
      this.#scope.variable(name, 32, fits(range) ? range : I32, fits(range) ? this.#sizes.multipleOf(size) : 1);
      return;
    }
    if (value.kind === "splat") {
      // All lanes are the one scalar.
      const x = opened(this.#expressions.scalar(value.x));
      code.declare(`const ${cpp} ${code.name(name)} = ${x};`);
      this.#scope.value(name, Array<string>(value.lanes).fill(code.name(name)));
      return;
    }
    const values = this.#expressions.lanes(value, name);
        if (isIndex) {
      code.declare(`const int ${code.name(name)} = ${opened(values[0]!)};`);
      this.#scope.variable(name, 32, this.#scope.rangeOf(value));
    } else if (values.every(v => /^\w+(\.\w)?$/.test(v)) && (value.kind === "subgroup_xor" || value.kind === "subgroup_reduce" || (value.kind === "load" && this.#expressions.home(value.buffer).kind === "memory"))) {
      // It is held under its own name already.
      this.#scope.value(name, values);
    } else {
      const own = code.name(name);
      code.declare(values.length === 1 ? `const ${cpp} ${own} = ${opened(values[0]!)};` : `const ${cpp} ${own}[${values.length}] = {${values.map(opened).join(", ")}};`);
      this.#scope.value(name, lanesOf(own, values.length));
    }
  }
  #alloc(buffer: Buffer): void {
    const code = this.#code;
    const shape = buffer.shape.map(s => this.#sizes.resolve(s));
    const base = code.name(buffer.name);
    const count = this.#sizes.constant(productSize(shape));
    if (buffer.space === "register") {
      if (count === undefined) throw new InternalError(`registers ${buffer.name} have no constant shape`);
      code.declare(`${SCALAR_TYPE[REGISTER_TYPE[buffer.dtype]]} ${base}${[...shape, ...(buffer.lanes === 1 ? [] : [buffer.lanes])].map(n => `[${sizeText(n)}]`).join("")};`);
      this.#scope.buffer(buffer.name, { kind: "register", buffer, base });
      return;
    }
    this.#scope.buffer(buffer.name, { kind: "memory", buffer: { ...buffer, shape }, base });
    const type = STORAGE_TYPE[buffer.dtype];
    const stored = (n: number): number => (buffer.dtype === "i4" ? Math.ceil(n / 2) : n);
    if (buffer.space === "shared") {
      if (count === undefined) throw new InternalError(`shared buffer ${buffer.name} has no constant shape`);
      code.declare(`SHARED(${type}, ${base}, ${stored(count)});`);
      return;
    }
    if (count !== undefined && (byteLength(buffer.dtype, count) <= MOST_IN_ARRAY || this.#kernel.machine === "simt")) {
      code.declare(`alignas(16) ${type} ${base}[${Math.max(1, stored(count))}];`);
      return;
    }
    if (this.#kernel.machine === "simt") throw new InternalError(`local buffer ${buffer.name} of a thread has no constant shape`);
    const offset = this.#sizes.open(this.#scratch.place(buffer.name, buffer.dtype, shape));
    code.declare(`${type} *const ${base} = (${type} *)(scratch + ${code.name("thread number")} * scratch_bytes${offset === "0" ? "" : ` + ${offset}`});`);
  }

  #store(s: Stmt & { kind: "store" }): void {
    const code = this.#code;
    const home = this.#expressions.home(s.buffer);
    if (home.kind === "register") {
      this.#setAll(this.#expressions.registers(home, s.index), SCALAR_TYPE[REGISTER_TYPE[home.buffer.dtype]], isLanewise(s.value, () => false), () => this.#expressions.lanes(s.value).map(v => rounded(home.buffer.dtype, v)));
      return;
    }
    code.group(() => {
      const values = this.#expressions.lanes(s.value);
      const type = SCALAR_TYPE[typeOf(s.value).scalar];
      // Loads come before any of the stores.
      const held = values.length > 1 && !isLanewise(s.value, name => this.#expressions.home(name).kind === "memory") ? values.map(v => code.hold(type, opened(v))) : values;
      storeLanes(code, home, this.#expressions.place(home, s.index), held);
    });
  }

  /** The values may read what they replace, though lane by lane in their order. */
  #setAll(names: readonly string[], type: string, inOrder: boolean, values: () => readonly string[]): void {
    const code = this.#code;
    code.group(() => {
      const all = values();
      const held = all.length === 1 || inOrder ? all : all.map(v => code.hold(type, opened(v)));
      held.forEach((v, i) => { code.line(`${names[i]} = ${opened(v)};`); });
    });
  }

  #copy(s: Stmt & { kind: "async_copy" }): void {
    const code = this.#code;
    const [to, from] = [this.#expressions.memory(s.to), this.#expressions.memory(s.from)];
    code.group(() => {
      const [target, source] = [this.#expressions.place(to, s.toIndex), this.#expressions.place(from, s.fromIndex)];
      const { dtype } = to.buffer;
      for (let first = 0; first < s.elements; ) {
        const aligned = Math.min(target.multipleOf(first), source.multipleOf(first));
        const width = [16, 8, 4].map(bytes => (8 * bytes) / (byteLength(dtype, 8))).find(n => Number.isInteger(n) && n <= s.elements - first && aligned % n === 0);
        const at = (base: string, place: string): string => `&${base}[${dtype === "i4" ? `(${place}) >> 1` : place}]`;
        if (width !== undefined) code.line(`async_copy<${byteLength(dtype, width)}>(${at(to.base, target.at(first))}, ${at(from.base, source.at(first))});`);
        else storeLanes(code, to, { at: i => target.at(first + i), multipleOf: () => 1, width: null }, loadLanes(code, from, { at: i => source.at(first + i), multipleOf: () => 1, width: null }, 1, "t"));
        first += width ?? 1;
      }
    });
  }
}

const lanesOf = (name: string, count: number): string[] => (count === 1 ? [name] : Array.from({ length: count }, (_, i) => `${name}[${i}]`));

/** Whether each lane is computed from the same lane of what registers hold, so that lanes can be set one after the other. */
function isLanewise(e: Expr, readsMemory: (buffer: string) => boolean): boolean {
  if (["shuffle", "lane", "horizontal", "vector"].includes(e.kind)) return false;
  if ((e.kind === "load" || e.kind === "gather") && readsMemory(e.buffer)) return false;
  return operandsOf(e).every(x => isLanewise(x, readsMemory));
}

/** A comment must not end early. */
const oneLine = (text: string): string => text.replace(/\s+/g, " ").replace(/\\$/, "");

/** How many serial loops stand in each other. */
const depthOf = (block: readonly Stmt[]): number => Math.max(0, ...block.map(s => {
  if (s.kind === "if") return Math.max(depthOf(s.yes), depthOf(s.no));
  return "body" in s ? depthOf(s.body) + (s.kind === "for" && s.mode === "unroll" ? 0 : 1) : 0;
}));
