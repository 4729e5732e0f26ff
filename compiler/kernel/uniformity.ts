// How far a value may differ between the threads of a workgroup: not at all (0), between subgroups only (1), or between any
// threads (2). Found for every name and buffer of a kernel at once, by iterating until nothing changes.
import { type Atom, dimsOf, type Size } from "../base/sizes.ts";
import type { Expr, Kernel, Param, Space, Stmt } from "./ir.ts";
import { operandsOf } from "./share.ts";

export const SUBGROUP = 32;

export class Uniformity {
  readonly #levels = new Map<string, number>();
  readonly #threads = new Map<string, { stride: number; extent: number }>();
  readonly #spaces = new Map<string, { space: Space; access?: Param["access"] }>();
  #changed = true;

  constructor(kernel: Kernel) {
    let stride = 1;
    for (const { name, extent } of kernel.threads) {
      if (typeof extent !== "number") continue;
      this.#threads.set(name, { stride, extent });
      stride *= extent;
    }
    for (const p of kernel.params) this.#spaces.set(p.name, p);
    // A simd kernel has one thread, so that nothing in it differs.
    for (let workgroup = stride > 1; workgroup && this.#changed; ) {
      this.#changed = false;
      this.#block(kernel.body, 0);
    }
  }

  #raise(name: string, level: number): void {
    if (level <= (this.#levels.get(name) ?? 0)) return;
    this.#levels.set(name, level);
    this.#changed = true;
  }

  #block(block: readonly Stmt[], control: number): void {
    for (const s of block) {
      switch (s.kind) {
        case "for": {
          const bounds = Math.max(this.ofSize(s.from), this.ofSize(s.to));
          this.#raise(s.variable, bounds);
          this.#block(s.body, Math.max(control, bounds));
          break;
        }
        case "while": this.#block(s.body, Math.max(control, this.of(s.condition))); break;
        case "if": {
          const inside = Math.max(control, this.of(s.condition));
          this.#block(s.yes, inside);
          this.#block(s.no, inside);
          break;
        }
        case "let": this.#raise(s.name, this.of(s.value)); break;
        case "mutable": this.#raise(s.name, this.of(s.init)); break;
        case "assign": this.#raise(s.name, Math.max(control, this.of(s.value))); break;
        case "alloc": this.#spaces.set(s.buffer.name, s.buffer); break;
        case "store": this.#raise(s.buffer, Math.max(control, this.of(s.value), ...s.index.map(i => this.of(i)))); break;
        default: break;
      }
    }
  }

  of(e: Expr): number {
    const level = Math.max(0, ...operandsOf(e).map(x => this.of(x)));
    switch (e.kind) {
      case "size": return this.ofSize(e.size);
      case "var": return this.#levels.get(e.name) ?? 0;
      case "load": case "gather": {
        const from = this.#spaces.get(e.buffer);
        if (from?.space === "local" || from?.space === "register") return Math.max(level, this.#levels.get(e.buffer) ?? 0);
        // What others may write at any time is not known to be the same for all.
        return from?.space === "global" && from.access !== "read" && this.#threads.size > 0 ? 2 : level;
      }
      case "subgroup_reduce": return Math.min(level, 1);
      default: return level;
    }
  }

  ofSize(s: Size): number {
    if (typeof s === "number") return 0;
    let level = 0;
    for (const t of s.terms) for (const atom of t.atoms) level = Math.max(level, this.#ofAtom(atom));
    return level;
  }
  #ofAtom(atom: Atom): number {
    if (atom.kind === "dim") {
      const thread = this.#threads.get(atom.name);
      if (!thread) return this.#levels.get(atom.name) ?? 0;
      return thread.extent === 1 ? 0 : thread.stride % SUBGROUP === 0 ? 1 : 2;
    }
    if (atom.kind === "floordiv" && typeof atom.b === "number") {
      const [name, ...others] = dimsOf(atom.a);
      const thread = name === undefined ? undefined : this.#threads.get(name);
      if (thread && others.length === 0 && typeof atom.a !== "number" && atom.a.key === name && (thread.stride * atom.b) % SUBGROUP === 0) return atom.b >= thread.extent ? 0 : 1;
    }
    return Math.max(this.ofSize(atom.a), this.ofSize(atom.b));
  }
}

/** Names that have one value, the same at every grid point: computed from dims and from what the whole grid only reads. */
export function gridConstants(kernel: Kernel): ReadonlySet<string> {
  const names = new Set<string>(kernel.dims.map(d => d.name));
  const read = new Set(kernel.params.filter(p => p.access === "read").map(p => p.name));
  const isConstant = (e: Expr): boolean => {
    if (e.kind === "size") return [...dimsOf(e.size)].every(n => names.has(n));
    if (e.kind === "var") return names.has(e.name);
    if ((e.kind === "load" || e.kind === "gather") && !read.has(e.buffer)) return false;
    if (e.kind === "subgroup_xor" || e.kind === "subgroup_reduce") return false;
    return operandsOf(e).every(isConstant);
  };
  // Only what stands outside all loops: inside one, a name has a value for each round.
  for (const s of kernel.body) if (s.kind === "let" && isConstant(s.value)) names.add(s.name);
  for (const d of kernel.dims) names.delete(d.name);
  return names;
}
