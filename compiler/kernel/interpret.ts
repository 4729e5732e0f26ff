// Executes a kernel on typed arrays, for both machine classes: the meaning that emitted code is compared with. Every
// operation rounds to its type; fma rounds once or twice as asked. The threads of a workgroup run in lockstep, statement by
// statement, so subgroup operations and fragments see all their threads; out-of-bounds accesses, reads of what was never
// written, races, divergent barriers and reads of copies still under way throw InternalError.
import { InternalError } from "../base/diagnostics.ts";
import { atomSize, type DimValues, evaluateSize, type Size } from "../base/sizes.ts";
import { KernelInvariantError } from "./invariant.ts";
import { type Buffer, type Expr, type Kernel, type Stmt, typeOf } from "./ir.ts";
import { AccessLog, type Agent, argumentMemory, type Memory, Scratch } from "./memory.ts";
import { repeatsItself } from "./rounds.ts";
import { binaryValue, bitcastValue, castValue, fmaValue, ROUND, unaryValue } from "./scalar.ts";
import { SUBGROUP } from "./uniformity.ts";

export interface RunOptions {
  /** Of each parameter, its bytes as any typed array. Written in place. */
  readonly buffers: { readonly [param: string]: ArrayBufferView };
  readonly dims?: DimValues;
  /** Whether f32 fma rounds once. */
  readonly fused?: boolean;
  /** Run the first so many grid points only. */
  readonly tasks?: number;
  /** Of loops that do the same in every round, run the first two and the last one or two only. */
  readonly skipsRounds?: boolean;
}

type Value = number | readonly number[];
type Run = (t: Thread) => Value;
type Exec = (threads: readonly Thread[]) => void;

interface Thread extends Agent {
  readonly slots: Value[];
  readonly memories: Memory[];
  /** Copies of this thread that are under way: the open group last. */
  copies: (() => void)[][];
}
interface FragmentValue {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

const number = (v: Value | undefined): number => v as number;
const vectorOf = (v: Value, lanes: number): readonly number[] => (lanes === 1 ? [v as number] : (v as readonly number[]));
const fold = { add: (a: number, b: number) => a + b, max: Math.max, min: Math.min };

export function interpretKernel(kernel: Kernel, options: RunOptions): void {
  new Interpreter(kernel, options).run();
}

class Interpreter {
  readonly #kernel: Kernel;
  readonly #fused: boolean;
  readonly #tasks: number;
  readonly #skipsRounds: boolean;
  readonly #dims: DimValues;
  readonly #slots = new Map<string, number>();
  readonly #memories = new Map<string, { id: number; buffer: Buffer }>();
  readonly #arguments: Memory[];
  #slotCount = 0;
  #memoryCount = 0;
  /** Work that the threads of a subgroup must do together before the statement that is being compiled. */
  #together: Exec[] = [];
  /** All threads of the workgroup that is running. */
  #workgroup: readonly Thread[] = [];
  readonly #fragments = new Map<string, FragmentValue[]>();

  constructor(kernel: Kernel, { buffers, dims = {}, fused = true, tasks = Infinity, skipsRounds = false }: RunOptions) {
    this.#kernel = kernel;
    this.#fused = fused;
    this.#tasks = tasks;
    this.#skipsRounds = skipsRounds;
    this.#dims = dims;
    this.#arguments = kernel.params.map((p, id) => {
      this.#memories.set(p.name, { id, buffer: p });
      const data = buffers[p.name];
      if (!data) throw new InternalError(`kernel ${kernel.name}: no buffer for parameter ${p.name}`);
      return argumentMemory(p.name, p.dtype, p.shape.map(s => evaluateSize(s, dims)), data, p.access === "read" ? undefined : new AccessLog());
    });
    for (const v of [...kernel.grid, ...kernel.threads]) this.#slot(v.name);
  }

  run(): void {
    const body = this.#block(this.#kernel.body);
    const extents = this.#kernel.grid.map(v => evaluateSize(v.extent, this.#dims));
    const threadExtents = this.#kernel.threads.map(v => evaluateSize(v.extent, this.#dims));
    const threadCount = threadExtents.reduce((n, e) => n * e, 1);
    const tasks = Math.min(extents.reduce((n, e) => n * e, 1), this.#tasks);
    for (let task = 0; task < tasks; task++) {
      const threads: Thread[] = [];
      for (let thread = 0; thread < threadCount; thread++) {
        const slots: Value[] = new Array<Value>(this.#slotCount).fill(0);
        let rest = task;
        for (let g = extents.length - 1; g >= 0; g--) {
          slots[g] = rest % extents[g]!;
          rest = Math.floor(rest / extents[g]!);
        }
        let position = thread;
        threadExtents.forEach((extent, i) => {
          slots[extents.length + i] = position % extent;
          position = Math.floor(position / extent);
        });
        threads.push({ task, thread, subgroup: Math.floor(thread / SUBGROUP), epoch: 0, subgroupEpoch: 0, slots, memories: [...this.#arguments], copies: [[]] });
      }
      this.#workgroup = threads;
      body(threads);
      if (threads.some(t => t.copies.some(group => group.length > 0))) throw this.#fault(8, "a copy is still under way when the kernel ends");
    }
  }

  #fault(invariant: number, message: string): KernelInvariantError {
    return new KernelInvariantError(invariant, message, this.#kernel.name);
  }

  #slot(name: string): number {
    const id = this.#slotCount++;
    this.#slots.set(name, id);
    return id;
  }
  #slotOf(name: string): number {
    const id = this.#slots.get(name);
    if (id === undefined) throw this.#fault(1, `${name} is used before it is defined`);
    return id;
  }
  #memoryOf(name: string): { id: number; buffer: Buffer } {
    const m = this.#memories.get(name);
    if (!m) throw this.#fault(1, `no buffer ${name}`);
    return m;
  }

  // ---- expressions

  #size(s: Size): (t: Thread) => number {
    if (typeof s === "number") return () => s;
    const terms = s.terms.map(({ coefficient, atoms }) => {
      const factors = atoms.map(atom => {
        if (atom.kind === "dim") {
          const slot = this.#slots.get(atom.name);
          if (slot !== undefined) return (t: Thread) => number(t.slots[slot]);
          const value = evaluateSize(atomSize(atom), this.#dims);
          return () => value;
        }
        const a = this.#size(atom.a);
        const b = this.#size(atom.b);
        switch (atom.kind) {
          case "floordiv": return (t: Thread) => Math.floor(a(t) / b(t));
          case "mod": return (t: Thread) => { const d = b(t), n = a(t); return n - Math.floor(n / d) * d; };
          case "min": return (t: Thread) => Math.min(a(t), b(t));
          case "max": return (t: Thread) => Math.max(a(t), b(t));
        }
      });
      return factors.length === 1 && coefficient === 1 ? factors[0]! : (t: Thread) => factors.reduce((p, f) => p * f(t), coefficient);
    });
    return terms.length === 1 ? terms[0]! : t => terms.reduce((sum, term) => sum + term(t), 0);
  }

  #map(operands: readonly Expr[], f: (...xs: number[]) => number): Run {
    const lanes = Math.max(...operands.map(o => typeOf(o).lanes));
    const runs = operands.map(o => this.#expr(o));
    const [a, b, c] = runs as [Run, Run, Run];
    if (lanes === 1) {
      if (runs.length === 1) return t => f(number(a(t)));
      return runs.length === 2 ? t => f(number(a(t)), number(b(t))) : t => f(number(a(t)), number(b(t)), number(c(t)));
    }
    return t => {
      const values = runs.map((run, i) => vectorOf(run(t), typeOf(operands[i]!).lanes));
      return Array.from({ length: lanes }, (_, l) => f(...values.map(v => v[l]!)));
    };
  }

  #expr(e: Expr): Run {
    switch (e.kind) {
      case "const": { const v = e.type.lanes === 1 ? e.value : new Array<number>(e.type.lanes).fill(e.value); return () => v; }
      case "size": { const size = this.#size(e.size); return t => size(t) | 0; }
      case "var": { const slot = this.#slotOf(e.name); return t => t.slots[slot]!; }
      case "unary": { const s = typeOf(e.x).scalar; return this.#map([e.x], x => unaryValue(e.op, s, x)); }
      case "binary": { const s = typeOf(e.a).scalar; return this.#map([e.a, e.b], (a, b) => binaryValue(e.op, s, a, b)); }
      case "fma": { const s = typeOf(e.c).scalar; return this.#map([e.a, e.b, e.c], (a, b, c) => fmaValue(s, a, b, c, this.#fused)); }
      case "select": return this.#map([e.condition, e.yes, e.no], (c, yes, no) => (c !== 0 ? yes : no));
      case "cast": { const s = typeOf(e.x).scalar; return this.#map([e.x], x => castValue(s, e.to, x)); }
      case "bitcast": { const s = typeOf(e.x).scalar; return this.#map([e.x], x => bitcastValue(s, e.to, x)); }
      case "load": return this.#load(e);
      case "gather": return this.#gather(e);
      case "splat": { const x = this.#expr(e.x); return t => new Array<number>(e.lanes).fill(number(x(t))); }
      case "vector": { const items = e.items.map(i => this.#expr(i)); return t => items.map(i => number(i(t))); }
      case "lane": { const x = this.#expr(e.x); return t => (x(t) as readonly number[])[e.lane]!; }
      case "shuffle": {
        const a = this.#expr(e.a);
        const b = this.#expr(e.b);
        const lanes = typeOf(e.a).lanes;
        return t => {
          const all = [...vectorOf(a(t), lanes), ...vectorOf(b(t), lanes)];
          return e.lanes.length === 1 ? all[e.lanes[0]!]! : e.lanes.map(l => all[l]!);
        };
      }
      case "horizontal": {
        const x = this.#expr(e.x);
        const round = ROUND[typeOf(e.x).scalar];
        return t => {
          let values = [...(x(t) as readonly number[])];
          while (values.length > 1) values = values.slice(0, values.length / 2).map((v, i) => round(fold[e.op](v, values[i + values.length / 2]!)));
          return values[0]!;
        };
      }
      case "dot4": return this.#map([e.a, e.b, e.c], (a, b, c) => {
        let sum = c;
        for (let i = 0; i < 32; i += 8) sum += ((a << (24 - i)) >> 24) * ((b << (24 - i)) >> 24);
        return sum | 0;
      });
      case "lookup16": return this.#map([e.index], i => e.table[i & 15]!);
      case "subgroup_xor": case "subgroup_reduce": return this.#subgroup(e);
    }
  }

  /** Flat position of the element at the index; every axis is checked. */
  #position(m: Memory, index: readonly number[], lanes: number, t: Thread): number {
    let flat = 0;
    for (let axis = 0; axis < index.length; axis++) {
      const i = index[axis]!;
      const extent = m.shape[axis]!;
      const width = axis === index.length - 1 ? lanes : 1;
      if (i < 0 || i + width > extent) {
        throw this.#fault(3, `${m.name}[${index.join(", ")}]${lanes > 1 ? ` of ${lanes} elements` : ""} is outside its shape [${m.shape.join(", ")}] in task ${t.task} thread ${t.thread}`);
      }
      flat = flat * extent + i;
    }
    return flat * m.lanes;
  }
  #read(m: Memory, at: number, t: Thread): number {
    m.log?.read(m.name, at, t);
    return m.get(at);
  }
  #write(m: Memory, at: number, value: number, t: Thread): void {
    m.log?.write(m.name, at, t, false);
    m.set(at, value);
  }

  #load(e: Expr & { kind: "load" }): Run {
    const { id, buffer } = this.#memoryOf(e.buffer);
    const index = e.index.map(i => this.#expr(i));
    const lanes = e.type.lanes;
    const width = buffer.space === "register" ? 1 : lanes;
    return t => {
      const m = t.memories[id]!;
      const at = this.#position(m, index.map(i => number(i(t))), width, t);
      if (lanes === 1) return this.#read(m, at, t);
      const values = new Array<number>(lanes);
      for (let l = 0; l < lanes; l++) values[l] = this.#read(m, at + l, t);
      return values;
    };
  }
  #gather(e: Expr & { kind: "gather" }): Run {
    const { id } = this.#memoryOf(e.buffer);
    const index = e.index.map(i => this.#expr(i));
    return t => {
      const m = t.memories[id]!;
      const values = index.map(i => i(t));
      const outer = values.slice(0, -1).map(number);
      const found = vectorOf(values.at(-1)!, e.type.lanes).map(i => this.#read(m, this.#position(m, [...outer, i], 1, t), t));
      return e.type.lanes === 1 ? found[0]! : found;
    };
  }

  #subgroup(e: Expr & { kind: "subgroup_xor" | "subgroup_reduce" }): Run {
    const x = this.#expr(e.x);
    const slot = this.#slotCount++;
    const { lanes, scalar } = typeOf(e.x);
    // The reduction is the same tree as a butterfly of xor exchanges.
    const exchange = (values: readonly Value[]): readonly Value[] => {
      if (e.kind === "subgroup_xor") return values.map((_, i) => values[i ^ e.mask]!);
      let level = values.map(v => vectorOf(v, lanes));
      while (level.length > 1) level = level.slice(0, level.length / 2).map((v, i) => v.map((a, l) => ROUND[scalar](fold[e.op](a, level[i + level.length / 2]![l]!))));
      const all = lanes === 1 ? level[0]![0]! : level[0]!;
      return values.map(() => all);
    };
    this.#together.push(threads => {
      for (const group of this.#subgroups(threads, e.kind)) {
        const results = exchange(group.map(x));
        group.forEach((t, i) => { t.slots[slot] = results[i]!; });
      }
    });
    return t => t.slots[slot]!;
  }
  /** The active threads by subgroup; each subgroup must be whole. */
  #subgroups(threads: readonly Thread[], what: string): Thread[][] {
    const groups = new Map<number, Thread[]>();
    for (const t of threads) groups.set(t.subgroup, [...(groups.get(t.subgroup) ?? []), t]);
    for (const [id, group] of groups) {
      const size = Math.min(SUBGROUP, this.#workgroup.length - id * SUBGROUP);
      if (group.length !== size) throw this.#fault(6, `${what} is reached by ${group.length} of the ${size} threads of a subgroup`);
    }
    return [...groups.values()];
  }

  // ---- statements

  #block(block: readonly Stmt[]): Exec {
    const names = new Map(this.#slots);
    const memories = new Map(this.#memories);
    const statements = block.map(s => {
      const outer = this.#together;
      this.#together = [];
      const run = this.#statement(s);
      const together = this.#together;
      this.#together = outer;
      if (together.length === 0) return run;
      return (threads: readonly Thread[]) => {
        for (const work of together) work(threads);
        run(threads);
      };
    });
    for (const [name] of this.#slots) if (!names.has(name)) this.#slots.delete(name);
    for (const [name, slot] of names) this.#slots.set(name, slot);
    for (const [name] of this.#memories) if (!memories.has(name)) this.#memories.delete(name);
    return threads => {
      for (const s of statements) s(threads);
    };
  }

  #statement(s: Stmt): Exec {
    switch (s.kind) {
      case "for": return this.#for(s);
      case "while": return this.#while(s);
      case "if": {
        const condition = this.#expr(s.condition);
        const yes = this.#block(s.yes);
        const no = this.#block(s.no);
        return threads => {
          const taken = threads.map(t => number(condition(t)) !== 0);
          const into = (which: boolean): readonly Thread[] => threads.filter((_, i) => taken[i] === which);
          if (taken.includes(true)) yes(into(true));
          if (taken.includes(false)) no(into(false));
        };
      }
      case "let": case "mutable": {
        const value = this.#expr(s.kind === "let" ? s.value : s.init);
        const slot = this.#slot(s.name);
        return threads => { for (const t of threads) t.slots[slot] = value(t); };
      }
      case "assign": {
        const value = this.#expr(s.value);
        const slot = this.#slotOf(s.name);
        return threads => { for (const t of threads) t.slots[slot] = value(t); };
      }
      case "alloc": return this.#alloc(s.buffer);
      case "store": {
        const { id, buffer } = this.#memoryOf(s.buffer);
        const index = s.index.map(i => this.#expr(i));
        const value = this.#expr(s.value);
        const lanes = typeOf(s.value).lanes;
        return threads => {
          for (const t of threads) {
            const m = t.memories[id]!;
            const at = this.#position(m, index.map(i => number(i(t))), buffer.space === "register" ? 1 : lanes, t);
            vectorOf(value(t), lanes).forEach((v, l) => { this.#write(m, at + l, v, t); });
          }
        };
      }
      case "atomic": {
        const { id, buffer } = this.#memoryOf(s.buffer);
        const index = s.index.map(i => this.#expr(i));
        const value = this.#expr(s.value);
        const scalar = typeOf(s.value).scalar;
        if (buffer.space === "register") throw this.#fault(2, "atomic on registers");
        return threads => {
          for (const t of threads) {
            const m = t.memories[id]!;
            const at = this.#position(m, index.map(i => number(i(t))), 1, t);
            m.log?.write(m.name, at, t, true);
            m.set(at, ROUND[scalar](fold[s.op](m.get(at), number(value(t)))));
          }
        };
      }
      case "barrier": return threads => {
        if (s.scope === "subgroup") for (const group of this.#subgroups(threads, "a subgroup barrier")) for (const t of group) t.subgroupEpoch++;
        else {
          if (threads.length !== this.#workgroup.length) throw this.#fault(6, `a barrier is reached by ${threads.length} of ${this.#workgroup.length} threads`);
          for (const t of threads) t.epoch++;
        }
      };
      case "async_copy": return this.#copy(s);
      case "async_commit": return threads => { for (const t of threads) t.copies.push([]); };
      case "async_wait": return threads => {
        for (const t of threads) {
          // The last group is still open; of the committed ones all but `pending` complete.
          while (t.copies.length - 1 > s.pending) for (const complete of t.copies.shift()!) complete();
        }
      };
      case "fragment": {
        const [rows, columns] = s.role === "a" ? [s.m, s.k] : s.role === "b" ? [s.k, s.n] : [s.m, s.n];
        return threads => {
          for (const [t] of this.#subgroups(threads, s.kind)) {
            const held = this.#fragments.get(s.name) ?? [];
            held[t!.subgroup] = { rows, columns, values: new Float64Array(rows * columns).fill(NaN) };
            this.#fragments.set(s.name, held);
          }
        };
      }
      case "fragment_fill": return this.#fragment(s.kind, [s.fragment], ([f]) => { f!.values.fill(s.value); });
      case "fragment_mma": return this.#fragment(s.kind, [s.d, s.a, s.b], ([d, a, b]) => {
        for (let i = 0; i < d!.rows; i++) {
          for (let j = 0; j < d!.columns; j++) {
            let sum = d!.values[i * d!.columns + j]!;
            for (let k = 0; k < a!.columns; k++) sum = Math.fround(sum + a!.values[i * a!.columns + k]! * b!.values[k * b!.columns + j]!);
            d!.values[i * d!.columns + j] = sum;
          }
        }
      });
      case "fragment_load": case "fragment_store": return this.#fragmentAccess(s);
    }
  }

  #for(s: Stmt & { kind: "for" }): Exec {
    const from = this.#size(s.from);
    const to = this.#size(s.to);
    const outer = this.#slots.get(s.variable);
    const slot = this.#slot(s.variable);
    const body = this.#block(s.body);
    const skips = this.#skipsRounds && s.mode === "serial" && repeatsItself(s, name => this.#memories.get(name)?.buffer);
    if (outer === undefined) this.#slots.delete(s.variable);
    else this.#slots.set(s.variable, outer);
    return threads => {
      for (const t of threads) t.slots[slot] = from(t);
      for (let round = 1; ; round++) {
        const active = threads.every(t => number(t.slots[slot]) < to(t)) ? threads : threads.filter(t => number(t.slots[slot]) < to(t));
        if (active.length === 0) return;
        body(active);
        for (const t of active) {
          const next = number(t.slots[slot]) + s.step;
          // Two rounds on, and two more, to the last or the last but one.
          t.slots[slot] = skips && round === 2 ? next + 2 * s.step * Math.max(0, Math.ceil((to(t) - next) / (2 * s.step)) - 1) : next;
        }
      }
    };
  }

  #while(s: Stmt & { kind: "while" }): Exec {
    const outer = this.#together;
    this.#together = [];
    const condition = this.#expr(s.condition);
    const together = this.#together;
    this.#together = outer;
    const body = this.#block(s.body);
    return threads => {
      for (let active = threads; ; ) {
        for (const work of together) work(active);
        active = active.filter(t => number(condition(t)) !== 0);
        if (active.length === 0) return;
        body(active);
      }
    };
  }

  #alloc(buffer: Buffer): Exec {
    const id = this.#kernel.params.length + this.#memoryCount++;
    this.#memories.set(buffer.name, { id, buffer });
    const shape = buffer.shape.map(s => this.#size(s));
    return threads => {
      let shared: Memory | undefined;
      for (const t of threads) {
        if (buffer.space === "shared") {
          shared ??= new Scratch(buffer.name, buffer.dtype, shape.map(s => s(t)), 1, new AccessLog());
          t.memories[id] = shared;
        } else t.memories[id] = new Scratch(buffer.name, buffer.dtype, shape.map(s => s(t)), buffer.lanes, undefined);
      }
    };
  }

  #copy(s: Stmt & { kind: "async_copy" }): Exec {
    const from = this.#memoryOf(s.from).id;
    const to = this.#memoryOf(s.to).id;
    const fromIndex = s.fromIndex.map(i => this.#expr(i));
    const toIndex = s.toIndex.map(i => this.#expr(i));
    return threads => {
      for (const t of threads) {
        const source = t.memories[from]!;
        const target = t.memories[to]!;
        if (!(target instanceof Scratch)) throw this.#fault(2, `async copy into ${target.name}, which is not shared`);
        const read = this.#position(source, fromIndex.map(i => number(i(t))), s.elements, t);
        const written = this.#position(target, toIndex.map(i => number(i(t))), s.elements, t);
        for (let i = 0; i < s.elements; i++) {
          target.log?.write(target.name, written + i, t, false);
          target.forget(written + i);
          t.copies.at(-1)!.push(() => { this.#write(target, written + i, this.#read(source, read + i, t), t); });
        }
      }
    };
  }

  #fragment(what: string, names: readonly string[], f: (fragments: readonly FragmentValue[], t: Thread) => void): Exec {
    return threads => {
      for (const [t] of this.#subgroups(threads, what)) {
        f(names.map(name => {
          const held = this.#fragments.get(name)?.[t!.subgroup];
          if (!held) throw this.#fault(1, `no fragment ${name}`);
          return held;
        }), t!);
      }
    };
  }
  #fragmentAccess(s: Stmt & { kind: "fragment_load" | "fragment_store" }): Exec {
    const { id } = this.#memoryOf(s.buffer);
    const index = s.index.map(i => this.#expr(i));
    return this.#fragment(s.kind, [s.fragment], ([f], t) => {
      const m = t.memories[id]!;
      const origin = index.map(i => number(i(t)));
      const transposed = s.kind === "fragment_load" && s.order === "column";
      for (let r = 0; r < f!.rows; r++) {
        for (let c = 0; c < f!.columns; c++) {
          const [down, across] = transposed ? [c, r] : [r, c];
          const at = this.#position(m, [...origin.slice(0, -2), origin.at(-2)! + down, origin.at(-1)! + across], 1, t);
          if (s.kind === "fragment_load") f!.values[r * f!.columns + c] = this.#read(m, at, t);
          else this.#write(m, at, f!.values[r * f!.columns + c]!, t);
        }
      }
    });
  }
}
