// The expressions of a kernel as functions of a thread: what the interpreter of statements reads, computes and indexes with.
// Every operation rounds to its type, and every access is checked against the shape of its buffer.
import { atomSize, type DimValues, evaluateSize, type Size } from "../base/sizes.ts";
import { KernelInvariantError } from "./invariant.ts";
import { type Buffer, type Expr, typeOf } from "./ir.ts";
import type { Agent, Memory } from "./memory.ts";
import { binaryValue, bitcastValue, castValue, fmaValue, ROUND, unaryValue } from "./scalar.ts";
import { SUBGROUP } from "./uniformity.ts";

export type Value = number | readonly number[];
export type Run = (t: Thread) => Value;
export type Exec = (threads: readonly Thread[]) => void;

export interface Thread extends Agent {
  readonly slots: Value[];
  readonly memories: Memory[];
  /** Copies of this thread that are under way: the open group last. */
  copies: (() => void)[][];
}

export const number = (v: Value | undefined): number => v as number;
export const vectorOf = (v: Value, lanes: number): readonly number[] => (lanes === 1 ? [v as number] : (v as readonly number[]));
export const fold = { add: (a: number, b: number) => a + b, max: Math.max, min: Math.min };

export class Expressions {
  readonly #name: string;
  readonly #dims: DimValues;
  readonly #fused: boolean;
  /** Where a thread keeps the value of a name, and the memory of a buffer. */
  readonly slots = new Map<string, number>();
  readonly memories = new Map<string, { id: number; buffer: Buffer }>();
  slotCount = 0;
  /** Work that the threads of a subgroup must do together before the statement that is being compiled. */
  together: Exec[] = [];
  /** All threads of the workgroup that is running. */
  workgroup: readonly Thread[] = [];

  /** Of the kernel with this name; `fused` says whether f32 fma rounds once. */
  constructor(name: string, dims: DimValues, fused: boolean) {
    this.#name = name;
    this.#dims = dims;
    this.#fused = fused;
  }

  fault(invariant: number, message: string): KernelInvariantError {
    return new KernelInvariantError(invariant, message, this.#name);
  }

  slot(name: string): number {
    const id = this.slotCount++;
    this.slots.set(name, id);
    return id;
  }
  slotOf(name: string): number {
    const id = this.slots.get(name);
    if (id === undefined) throw this.fault(1, `${name} is used before it is defined`);
    return id;
  }
  memoryOf(name: string): { id: number; buffer: Buffer } {
    const m = this.memories.get(name);
    if (!m) throw this.fault(1, `no buffer ${name}`);
    return m;
  }

  size(s: Size): (t: Thread) => number {
    if (typeof s === "number") return () => s;
    const terms = s.terms.map(({ coefficient, atoms }) => {
      const factors = atoms.map(atom => {
        if (atom.kind === "dim") {
          const slot = this.slots.get(atom.name);
          if (slot !== undefined) return (t: Thread) => number(t.slots[slot]);
          const value = evaluateSize(atomSize(atom), this.#dims);
          return () => value;
        }
        const a = this.size(atom.a);
        const b = this.size(atom.b);
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
    const runs = operands.map(o => this.expr(o));
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

  expr(e: Expr): Run {
    switch (e.kind) {
      case "const": { const v = e.type.lanes === 1 ? e.value : new Array<number>(e.type.lanes).fill(e.value); return () => v; }
      case "size": { const size = this.size(e.size); return t => size(t) | 0; }
      case "var": { const slot = this.slotOf(e.name); return t => t.slots[slot]!; }
      case "unary": { const s = typeOf(e.x).scalar; return this.#map([e.x], x => unaryValue(e.op, s, x)); }
      case "binary": { const s = typeOf(e.a).scalar; return this.#map([e.a, e.b], (a, b) => binaryValue(e.op, s, a, b)); }
      case "fma": { const s = typeOf(e.c).scalar; return this.#map([e.a, e.b, e.c], (a, b, c) => fmaValue(s, a, b, c, this.#fused)); }
      case "select": return this.#map([e.condition, e.yes, e.no], (c, yes, no) => (c !== 0 ? yes : no));
      case "cast": { const s = typeOf(e.x).scalar; return this.#map([e.x], x => castValue(s, e.to, x)); }
      case "bitcast": { const s = typeOf(e.x).scalar; return this.#map([e.x], x => bitcastValue(s, e.to, x)); }
      case "load": return this.#load(e);
      case "gather": return this.#gather(e);
      case "splat": { const x = this.expr(e.x); return t => new Array<number>(e.lanes).fill(number(x(t))); }
      case "vector": { const items = e.items.map(i => this.expr(i)); return t => items.map(i => number(i(t))); }
      case "lane": { const x = this.expr(e.x); return t => (x(t) as readonly number[])[e.lane]!; }
      case "shuffle": {
        const a = this.expr(e.a);
        const b = this.expr(e.b);
        const lanes = typeOf(e.a).lanes;
        return t => {
          const all = [...vectorOf(a(t), lanes), ...vectorOf(b(t), lanes)];
          return e.lanes.length === 1 ? all[e.lanes[0]!]! : e.lanes.map(l => all[l]!);
        };
      }
      case "horizontal": {
        const x = this.expr(e.x);
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
  position(m: Memory, index: readonly number[], lanes: number, t: Thread): number {
    let flat = 0;
    for (let axis = 0; axis < index.length; axis++) {
      const i = index[axis]!;
      const extent = m.shape[axis]!;
      const width = axis === index.length - 1 ? lanes : 1;
      if (i < 0 || i + width > extent) {
        throw this.fault(3, `${m.name}[${index.join(", ")}]${lanes > 1 ? ` of ${lanes} elements` : ""} is outside its shape [${m.shape.join(", ")}] in task ${t.task} thread ${t.thread}`);
      }
      flat = flat * extent + i;
    }
    return flat * m.lanes;
  }
  read(m: Memory, at: number, t: Thread): number {
    m.log?.read(m.name, at, t);
    return m.get(at);
  }
  write(m: Memory, at: number, value: number, t: Thread): void {
    m.log?.write(m.name, at, t, false);
    m.set(at, value);
  }

  #load(e: Expr & { kind: "load" }): Run {
    const { id, buffer } = this.memoryOf(e.buffer);
    const index = e.index.map(i => this.expr(i));
    const lanes = e.type.lanes;
    const width = buffer.space === "register" ? 1 : lanes;
    return t => {
      const m = t.memories[id]!;
      const at = this.position(m, index.map(i => number(i(t))), width, t);
      if (lanes === 1) return this.read(m, at, t);
      const values = new Array<number>(lanes);
      for (let l = 0; l < lanes; l++) values[l] = this.read(m, at + l, t);
      return values;
    };
  }
  #gather(e: Expr & { kind: "gather" }): Run {
    const { id } = this.memoryOf(e.buffer);
    const index = e.index.map(i => this.expr(i));
    return t => {
      const m = t.memories[id]!;
      const values = index.map(i => i(t));
      const outer = values.slice(0, -1).map(number);
      const found = vectorOf(values.at(-1)!, e.type.lanes).map(i => this.read(m, this.position(m, [...outer, i], 1, t), t));
      return e.type.lanes === 1 ? found[0]! : found;
    };
  }

  #subgroup(e: Expr & { kind: "subgroup_xor" | "subgroup_reduce" }): Run {
    const x = this.expr(e.x);
    const slot = this.slotCount++;
    const { lanes, scalar } = typeOf(e.x);
    // The reduction is the same tree as a butterfly of xor exchanges.
    const exchange = (values: readonly Value[]): readonly Value[] => {
      if (e.kind === "subgroup_xor") return values.map((_, i) => values[i ^ e.mask]!);
      let level = values.map(v => vectorOf(v, lanes));
      while (level.length > 1) level = level.slice(0, level.length / 2).map((v, i) => v.map((a, l) => ROUND[scalar](fold[e.op](a, level[i + level.length / 2]![l]!))));
      const all = lanes === 1 ? level[0]![0]! : level[0]!;
      return values.map(() => all);
    };
    this.together.push(threads => {
      for (const group of this.subgroups(threads, e.kind)) {
        const results = exchange(group.map(x));
        group.forEach((t, i) => { t.slots[slot] = results[i]!; });
      }
    });
    return t => t.slots[slot]!;
  }
  /** The active threads by subgroup; each subgroup must be whole. */
  subgroups(threads: readonly Thread[], what: string): Thread[][] {
    const groups = new Map<number, Thread[]>();
    for (const t of threads) groups.set(t.subgroup, [...(groups.get(t.subgroup) ?? []), t]);
    for (const [id, group] of groups) {
      const size = Math.min(SUBGROUP, this.workgroup.length - id * SUBGROUP);
      if (group.length !== size) throw this.fault(6, `${what} is reached by ${group.length} of the ${size} threads of a subgroup`);
    }
    return [...groups.values()];
  }
}
