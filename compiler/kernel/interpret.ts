// Executes a kernel on typed arrays, for both machine classes: the meaning that emitted code is compared with. Every
// operation rounds to its type; fma rounds once or twice as asked. The threads of a workgroup run in lockstep, statement by
// statement, so subgroup operations and fragments see all their threads; out-of-bounds accesses, reads of what was never
// written, races, divergent barriers and reads of copies still under way throw InternalError.
import { InternalError } from "../base/diagnostics.ts";
import { type DimValues, evaluateSize } from "../base/sizes.ts";
import { type Exec, Expressions, fold, number, type Thread, type Value, vectorOf } from "./expressions.ts";
import { Fragment } from "./fragment.ts";
import { type Buffer, type Kernel, type Stmt, typeOf } from "./ir.ts";
import { AccessLog, argumentMemory, type Memory, Scratch } from "./memory.ts";
import { repeatsItself } from "./rounds.ts";
import { ROUND } from "./scalar.ts";
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

export function interpretKernel(kernel: Kernel, options: RunOptions): void {
  new Interpreter(kernel, options).run();
}

class Interpreter {
  readonly #kernel: Kernel;
  readonly #tasks: number;
  readonly #skipsRounds: boolean;
  readonly #dims: DimValues;
  readonly #expressions: Expressions;
  readonly #arguments: Memory[];
  #memoryCount = 0;
  /** Of each subgroup. */
  readonly #fragments = new Map<string, Fragment[]>();

  constructor(kernel: Kernel, { buffers, dims = {}, fused = true, tasks = Infinity, skipsRounds = false }: RunOptions) {
    this.#kernel = kernel;
    this.#tasks = tasks;
    this.#skipsRounds = skipsRounds;
    this.#dims = dims;
    this.#expressions = new Expressions(kernel.name, dims, fused);
    this.#arguments = kernel.params.map((p, id) => {
      this.#expressions.memories.set(p.name, { id, buffer: p });
      const data = buffers[p.name];
      if (!data) throw new InternalError(`kernel ${kernel.name}: no buffer for parameter ${p.name}`);
      return argumentMemory(p.name, p.dtype, p.shape.map(s => evaluateSize(s, dims)), data, p.access === "read" ? undefined : new AccessLog());
    });
    for (const v of [...kernel.grid, ...kernel.threads]) this.#expressions.slot(v.name);
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
        const slots: Value[] = new Array<Value>(this.#expressions.slotCount).fill(0);
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
      this.#expressions.workgroup = threads;
      body(threads);
      if (threads.some(t => t.copies.some(group => group.length > 0))) throw this.#expressions.fault(8, "a copy is still under way when the kernel ends");
    }
  }

  #block(block: readonly Stmt[]): Exec {
    const names = new Map(this.#expressions.slots);
    const memories = new Map(this.#expressions.memories);
    const statements = block.map(s => {
      const outer = this.#expressions.together;
      this.#expressions.together = [];
      const run = this.#statement(s);
      const together = this.#expressions.together;
      this.#expressions.together = outer;
      if (together.length === 0) return run;
      return (threads: readonly Thread[]) => {
        for (const work of together) work(threads);
        run(threads);
      };
    });
    for (const [name] of this.#expressions.slots) if (!names.has(name)) this.#expressions.slots.delete(name);
    for (const [name, slot] of names) this.#expressions.slots.set(name, slot);
    for (const [name] of this.#expressions.memories) if (!memories.has(name)) this.#expressions.memories.delete(name);
    return threads => {
      for (const s of statements) s(threads);
    };
  }

  #statement(s: Stmt): Exec {
    switch (s.kind) {
      case "for": return this.#for(s);
      case "while": return this.#while(s);
      case "if": {
        const condition = this.#expressions.expr(s.condition);
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
        const value = this.#expressions.expr(s.kind === "let" ? s.value : s.init);
        const slot = this.#expressions.slot(s.name);
        return threads => { for (const t of threads) t.slots[slot] = value(t); };
      }
      case "assign": {
        const value = this.#expressions.expr(s.value);
        const slot = this.#expressions.slotOf(s.name);
        return threads => { for (const t of threads) t.slots[slot] = value(t); };
      }
      case "alloc": return this.#alloc(s.buffer);
      case "store": {
        const { id, buffer } = this.#expressions.memoryOf(s.buffer);
        const index = s.index.map(i => this.#expressions.expr(i));
        const value = this.#expressions.expr(s.value);
        const lanes = typeOf(s.value).lanes;
        return threads => {
          for (const t of threads) {
            const m = t.memories[id]!;
            const at = this.#expressions.position(m, index.map(i => number(i(t))), buffer.space === "register" ? 1 : lanes, t);
            vectorOf(value(t), lanes).forEach((v, l) => { this.#expressions.write(m, at + l, v, t); });
          }
        };
      }
      case "atomic": {
        const { id, buffer } = this.#expressions.memoryOf(s.buffer);
        const index = s.index.map(i => this.#expressions.expr(i));
        const value = this.#expressions.expr(s.value);
        const scalar = typeOf(s.value).scalar;
        if (buffer.space === "register") throw this.#expressions.fault(2, "atomic on registers");
        return threads => {
          for (const t of threads) {
            const m = t.memories[id]!;
            const at = this.#expressions.position(m, index.map(i => number(i(t))), 1, t);
            m.log?.write(m.name, at, t, true);
            m.set(at, ROUND[scalar](fold[s.op](m.get(at), number(value(t)))));
          }
        };
      }
      case "barrier": return threads => {
        if (s.scope === "subgroup") for (const group of this.#expressions.subgroups(threads, "a subgroup barrier")) for (const t of group) t.subgroupEpoch++;
        else {
          if (threads.length !== this.#expressions.workgroup.length) throw this.#expressions.fault(6, `a barrier is reached by ${threads.length} of ${this.#expressions.workgroup.length} threads`);
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
        return threads => {
          for (const [t] of this.#expressions.subgroups(threads, s.kind)) {
            const held = this.#fragments.get(s.name) ?? [];
            held[t!.subgroup] = new Fragment(s);
            this.#fragments.set(s.name, held);
          }
        };
      }
      case "fragment_fill": return this.#fragment(s.kind, [s.fragment], ([f]) => { f!.values.fill(s.value); });
      case "fragment_mma": return this.#fragment(s.kind, [s.d, s.a, s.b], ([d, a, b]) => { d!.addProduct(a!, b!); });
      case "fragment_load": case "fragment_store": return this.#fragmentAccess(s);
    }
  }

  #for(s: Stmt & { kind: "for" }): Exec {
    const from = this.#expressions.size(s.from);
    const to = this.#expressions.size(s.to);
    const outer = this.#expressions.slots.get(s.variable);
    const slot = this.#expressions.slot(s.variable);
    const body = this.#block(s.body);
    const skips = this.#skipsRounds && s.mode === "serial" && repeatsItself(s, name => this.#expressions.memories.get(name)?.buffer);
    if (outer === undefined) this.#expressions.slots.delete(s.variable);
    else this.#expressions.slots.set(s.variable, outer);
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
    const outer = this.#expressions.together;
    this.#expressions.together = [];
    const condition = this.#expressions.expr(s.condition);
    const together = this.#expressions.together;
    this.#expressions.together = outer;
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
    this.#expressions.memories.set(buffer.name, { id, buffer });
    const shape = buffer.shape.map(s => this.#expressions.size(s));
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
    const from = this.#expressions.memoryOf(s.from).id;
    const to = this.#expressions.memoryOf(s.to).id;
    const fromIndex = s.fromIndex.map(i => this.#expressions.expr(i));
    const toIndex = s.toIndex.map(i => this.#expressions.expr(i));
    return threads => {
      for (const t of threads) {
        const source = t.memories[from]!;
        const target = t.memories[to]!;
        if (!(target instanceof Scratch)) throw this.#expressions.fault(2, `async copy into ${target.name}, which is not shared`);
        const read = this.#expressions.position(source, fromIndex.map(i => number(i(t))), s.elements, t);
        const written = this.#expressions.position(target, toIndex.map(i => number(i(t))), s.elements, t);
        for (let i = 0; i < s.elements; i++) {
          target.log?.write(target.name, written + i, t, false);
          target.forget(written + i);
          t.copies.at(-1)!.push(() => { this.#expressions.write(target, written + i, this.#expressions.read(source, read + i, t), t); });
        }
      }
    };
  }

  #fragment(what: string, names: readonly string[], f: (fragments: readonly Fragment[], t: Thread) => void): Exec {
    return threads => {
      for (const [t] of this.#expressions.subgroups(threads, what)) {
        f(names.map(name => {
          const held = this.#fragments.get(name)?.[t!.subgroup];
          if (!held) throw this.#expressions.fault(1, `no fragment ${name}`);
          return held;
        }), t!);
      }
    };
  }
  #fragmentAccess(s: Stmt & { kind: "fragment_load" | "fragment_store" }): Exec {
    const { id } = this.#expressions.memoryOf(s.buffer);
    const index = s.index.map(i => this.#expressions.expr(i));
    return this.#fragment(s.kind, [s.fragment], ([f], t) => {
      const m = t.memories[id]!;
      const origin = index.map(i => number(i(t)));
      const transposed = s.kind === "fragment_load" && s.order === "column";
      for (let r = 0; r < f!.rows; r++) {
        for (let c = 0; c < f!.columns; c++) {
          const [down, across] = transposed ? [c, r] : [r, c];
          const at = this.#expressions.position(m, [...origin.slice(0, -2), origin.at(-2)! + down, origin.at(-1)! + across], 1, t);
          if (s.kind === "fragment_load") f!.values[r * f!.columns + c] = this.#expressions.read(m, at, t);
          else this.#expressions.write(m, at, f!.values[r * f!.columns + c]!, t);
        }
      }
    });
  }
}
