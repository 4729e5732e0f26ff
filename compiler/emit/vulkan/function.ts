// One kernel as a SPIR-V module. A simd kernel's tasks do not depend on each other: a thread is a task. A simt kernel's are
// workgroups. Arguments are a block of 64-bit words at the address in the push constant: the address of each parameter,
// each dim, the first task and the end, where scratch lies and the bytes of it that a task has. Unrolled loops are copied out.
import { InternalError } from "../../base/diagnostics.ts";
import { dimSize, floorDivSize, modSize, productSize, type Range, type Size } from "../../base/sizes.ts";
import { indexSize } from "../../kernel/indices.ts";
import { type Buffer, type Expr, type Kernel, REGISTER_TYPE, type ScalarType, type Stmt, typeOf } from "../../kernel/ir.ts";
import { Definitions } from "../../kernel/definitions.ts";
import type { SizeName } from "../names.ts";
import { SUBGROUP } from "../../kernel/uniformity.ts";
import { ScratchLayout } from "../scratch.ts";
import { binary, typeOfScalar } from "./arithmetic.ts";
import { Assembler, BUILT_IN, CAPABILITY, DECORATION, type Id, OP, STORAGE } from "./assembler.ts";
import { branch, whileLoop } from "./control.ts";
import { type Feature, Features, FEATURES, subgroupUse, type Matrices, type SubgroupUse, subsets } from "./features.ts";
import { Expressions, type Named, type Place } from "./expressions.ts";
import { Fragments } from "./fragments.ts";
import { argument, atomic, type Home, homeAt, load, rawArray, rounded, store } from "./memory.ts";
import { Sizes, type Value } from "./sizes.ts";

/** Threads of a workgroup whose threads are tasks. */
const THREADS = 64;
/** Workgroups along the first axis of a dispatch; the rest of a launch lies along the second. */
const ROW_OF_GROUPS = 65535;
/** Local buffers of at most so many elements are arrays of the thread, the others lie in scratch. */
const SMALL = 128;
const WORKGROUP_SCOPE = 2;
const SUBGROUP_SCOPE = 3;
/** Of workgroup memory and of buffers. */
const ACQUIRE_RELEASE_ALL = 0x8 | 0x40 | 0x100;
const AVAILABLE_AND_VISIBLE = 0x2000 | 0x4000;
const TASK = "@task";
const ANYTHING: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };

export interface KernelModule {
  readonly words: Uint32Array;
  /** Of which size subgroups must be; 0: any. */
  readonly subgroup: 0 | typeof SUBGROUP;
  /** What it uses that not every device has. */
  readonly features: readonly Feature[];
  /** Of a workgroup. */
  readonly threads: number;
  readonly tasks: number;
  /** Bytes of scratch that each task needs. */
  readonly scratch: Size;
}

/** One for each set of features that the kernel has a use for, from all of them down to none; if it has fragments, by each of the extensions. */
export function kernelModules(kernel: Kernel): KernelModule[] {
  const subgroups = subgroupUse(kernel);
  const by = (matrices: Matrices | null): KernelModule[] => {
    const make = (features: readonly Feature[]): KernelModule => new KernelFunction(kernel, new Features(features), subgroups, matrices).module();
    const best = make(FEATURES);
    const others = subsets(best.features).slice(1);
    // What subgroups do without the others of their workgroup has no other way.
    return [best, ...others.filter(f => subgroups === "never" || subgroups === "together" || f.includes("subgroups")).map(make)];
  };
  return subgroups === "fragments" ? [...by("khr"), ...by("nv")] : by(null);
}

class KernelFunction {
  readonly #kernel: Kernel;
  readonly #m = new Assembler();
  readonly #sizes = new Sizes(this.#m);
  readonly #features: Features;
  readonly #expressions: Expressions;
  readonly #fragments: Fragments | null;
  readonly #scratch: ScratchLayout;
  /** Whether threads exchange values within subgroups of the device. */
  readonly #hasSubgroups: boolean;
  readonly #defined = new Definitions();
  /** The address of this task's scratch. */
  #scratchBase: Id = 0;
  /** Shared arrays, and those through which threads exchange values. */
  readonly #shared: Id[] = [];
  readonly #exchanged = new Map<ScalarType, Id>();
  #inGroup: Id = 0;

  constructor(kernel: Kernel, features: Features, subgroups: SubgroupUse, matrices: Matrices | null) {
    this.#kernel = kernel;
    this.#features = features;
    this.#hasSubgroups = subgroups !== "never" && this.#threads() % SUBGROUP === 0 && features.use("subgroups");
    if ((subgroups === "apart" || subgroups === "fragments") && !this.#hasSubgroups) throw new InternalError(`subgroups of ${kernel.name} act apart from each other, and a workgroup is no number of whole ones`);
    this.#expressions = new Expressions(this.#m, this.#sizes, features, this.#threads(), (scalar, value, mask) => this.#exchange(scalar, value, mask));
    this.#fragments = matrices && new Fragments(this.#m, this.#expressions, matrices);
    this.#scratch = new ScratchLayout(kernel);
  }

  module(): KernelModule {
    const m = this.#m;
    const vector = m.global(OP.TypeVector, [m.int(32), 3]);
    const group = m.globalVariable(vector, STORAGE.Input);
    m.decorate(group, DECORATION.BuiltIn, BUILT_IN.WorkgroupId);
    const threadInputs = (this.#hasSubgroups ? [BUILT_IN.SubgroupId, BUILT_IN.SubgroupLocalInvocationId] : [BUILT_IN.LocalInvocationIndex]).map(builtIn => {
      const variable = m.globalVariable(m.int(32), STORAGE.Input);
      m.decorate(variable, DECORATION.BuiltIn, builtIn);
      return variable;
    });
    const address = m.global(OP.TypeStruct, [m.int(64)], {
      decorate(id) {
        m.decorate(id, DECORATION.Block);
        m.decorateMember(id, 0, DECORATION.Offset, 0);
      },
    });
    const pushed = m.globalVariable(address, STORAGE.PushConstant);
    const block = homeAt(m, "f64", m.value(OP.Load, m.int(64), m.value(OP.AccessChain, m.pointer(STORAGE.PushConstant, m.int(64)), pushed, m.constantInt(32, 0))));
    const { params, dims } = this.#kernel;
    const word = (i: number): Id => argument(m, block.pointer, i);
    params.forEach((p, i) => this.#expressions.buffers.set(p.name, { kind: "memory", buffer: p, home: homeAt(m, p.dtype, word(i)) }));
    dims.forEach((d, i) => this.#bind(d.name, { kind: "variable", id: word(params.length + i), bits: 64, range: d }));
    const [low, high, scratch, scratchBytes] = [0, 1, 2, 3].map(i => word(params.length + dims.length + i)) as [Id, Id, Id, Id];

    const wide = (x: Id): Id => m.value(OP.UConvert, m.int(64), x);
    const sum = (a: Id, b: Id): Id => m.value(OP.IAdd, m.int(64), a, b);
    const product = (a: Id, b: Id): Id => m.value(OP.IMul, m.int(64), a, b);
    const groups = m.value(OP.Load, vector, group);
    const [x, y] = [0, 1].map(i => wide(m.value(OP.CompositeExtract, m.int(32), groups, i))) as [Id, Id];
    const linear = sum(product(y, m.constantInt(64, ROW_OF_GROUPS)), x);
    const [first, second] = threadInputs.map(variable => m.value(OP.Load, m.int(32), variable)) as [Id, Id | undefined];
    const inGroup = second === undefined ? first : m.value(OP.IAdd, m.int(32), m.value(OP.IMul, m.int(32), first, m.constantInt(32, SUBGROUP)), second);
    this.#inGroup = inGroup;
    const isThreaded = this.#kernel.machine === "simd";
    const number = isThreaded ? sum(product(linear, m.constantInt(64, THREADS)), wide(inGroup)) : linear;
    const task = sum(low, number);
    this.#scratchBase = sum(scratch, product(number, scratchBytes));
    branch(m, m.value(OP.ULessThan, m.bool(), task, high), () => this.#block(this.#kernel.body, () => {
      this.#bindGrid(task);
      this.#bindThreads(inGroup);
    }));
    const threads = this.#threads();
    if (this.#hasSubgroups) {
      m.needs(CAPABILITY.GroupNonUniform);
      m.needs(CAPABILITY.GroupNonUniformShuffle);
    }
    return {
      words: m.module([group, ...threadInputs, pushed, ...this.#shared], threads), threads, tasks: isThreaded ? THREADS : 1, scratch: this.#scratch.bytes,
      subgroup: this.#hasSubgroups ? SUBGROUP : 0, features: [...this.#features.used],
    };
  }

  /** The first variable runs fastest. */
  #bindThreads(inGroup: Id): void {
    const m = this.#m;
    let rest = inGroup;
    this.#kernel.threads.forEach(({ name, extent }, i) => {
      if (typeof extent !== "number") throw new InternalError(`threads ${name} have no constant extent`);
      const isLast = i === this.#kernel.threads.length - 1;
      const id = isLast ? rest : m.value(OP.UMod, m.int(32), rest, m.constantInt(32, extent));
      if (!isLast) rest = m.value(OP.UDiv, m.int(32), rest, m.constantInt(32, extent));
      this.#bind(name, { kind: "variable", id, bits: 32, range: { min: 0, max: extent - 1 } });
    });
  }

  /** The last variable runs fastest. */
  #bindGrid(task: Id): void {
    const { grid } = this.#kernel;
    const tasks = productSize(grid.map(v => v.extent));
    const { max } = this.#sizes.range(tasks);
    this.#bind(TASK, { kind: "variable", id: task, bits: 64, range: { min: 0, max: Math.max(0, max - 1) } });
    let rest: Size = dimSize(TASK);
    for (let g = grid.length - 1; g >= 0; g--) {
      const { name, extent } = grid[g]!;
      const place = g === 0 ? rest : modSize(rest, extent);
      rest = floorDivSize(rest, extent);
      const range = { min: 0, max: Math.max(0, this.#sizes.range(extent).max - 1) };
      this.#bind(name, { kind: "variable", id: this.#sizes.value(place, 32), bits: 32, range });
    }
  }

  #bind(name: string, as: SizeName<Value>): void {
    this.#defined.define(this.#sizes.names, name, as);
    this.#defined.define(this.#expressions.values, name, undefined);
  }
  #hold(name: string, as: Named): void {
    this.#defined.define(this.#expressions.values, name, as);
    this.#defined.define(this.#sizes.names, name, undefined);
  }
  /** Statements with a scope of their own. */
  #block(statements: readonly Stmt[], define?: () => void): void {
    this.#defined.block(() => this.#sizes.block(() => {
      define?.();
      this.#scratch.block(() => statements.forEach(s => this.#statement(s)));
    }));
  }

  #statement(s: Stmt): void {
    const m = this.#m;
    const { values } = this.#expressions;
    switch (s.kind) {
      case "for": this.#for(s); return;
      // A condition is computed anew each round.
      case "while": whileLoop(m, () => this.#computed(s.condition), () => this.#block(s.body)); return;
      case "if": branch(m, this.#expressions.scalar(s.condition), () => this.#block(s.yes), s.no.length > 0 ? () => this.#block(s.no) : undefined); return;
      case "let": this.#let(s.name, s.value); return;
      case "mutable": {
        const variables = this.#variables(s.type.scalar, this.#expressions.lanes(s.init));
        this.#hold(s.name, { lanes: variables, scalar: s.type.scalar, isVariable: true });
        return;
      }
      case "assign": {
        const held = values.get(s.name);
        if (!held) throw new InternalError(`${s.name} is assigned before it is defined`);
        this.#expressions.lanes(s.value).forEach((value, i) => m.act(OP.Store, held.lanes[i]!, value));
        return;
      }
      case "alloc": this.#alloc(s.buffer); return;
      case "store": this.#store(s); return;
      case "atomic": {
        const place = this.#expressions.place(s.buffer);
        if (place.kind === "register") throw new InternalError(`atomic on registers ${s.buffer}`);
        const { index } = this.#expressions.at(place.buffer, s.index);
        const scalar = REGISTER_TYPE[place.buffer.dtype];
        const value = this.#expressions.scalar(s.value);
        atomic(m, { op: s.op, home: place.home, index, value }, this.#features, (a, b) => binary(m, s.op, scalar, a, b), body => this.#repeat(body));
        return;
      }
      // Where subgroups are not the kernel's, the workgroup meets for them too.
      case "barrier": this.#barrier(s.scope === "subgroup" && this.#hasSubgroups ? SUBGROUP_SCOPE : WORKGROUP_SCOPE); return;
      case "async_copy": this.#copy(s); return;
      // Copies are complete where they stand.
      case "async_commit": case "async_wait": return;
      default: this.#fragments!.statement(s);
    }
  }

  #barrier(scope: number): void {
    const among = this.#m.constantInt(32, scope);
    this.#m.act(OP.ControlBarrier, among, among, this.#m.constantInt(32, this.#m.nonPrivate === 0 ? ACQUIRE_RELEASE_ALL : ACQUIRE_RELEASE_ALL | AVAILABLE_AND_VISIBLE));
  }

  #exchange(scalar: ScalarType, value: Id, mask: number): Id {
    const m = this.#m;
    const type = typeOfScalar(m, scalar);
    if (this.#hasSubgroups) return m.value(OP.GroupNonUniformShuffleXor, type, m.constantInt(32, SUBGROUP_SCOPE), value, m.constantInt(32, mask));
    const array = this.#exchanged.get(scalar) ?? this.#sharedArray(type, this.#threads());
    this.#exchanged.set(scalar, array);
    const at = (index: Id): Id => m.value(OP.AccessChain, m.pointer(STORAGE.Workgroup, type), array, index);
    m.act(OP.Store, at(this.#inGroup), value);
    this.#barrier(WORKGROUP_SCOPE);
    const other = m.value(OP.Load, type, at(m.value(OP.BitwiseXor, m.int(32), this.#inGroup, m.constantInt(32, mask))));
    this.#barrier(WORKGROUP_SCOPE);
    return other;
  }
  #sharedArray(type: Id, elements: number): Id {
    return this.#sharedVariable(this.#m.global(OP.TypeArray, [type, this.#m.constantInt(32, Math.max(1, elements))]));
  }
  #sharedVariable(array: Id): Id {
    const pointer = this.#m.globalVariable(array, STORAGE.Workgroup);
    this.#shared.push(pointer);
    return pointer;
  }
  #threads(): number {
    return this.#kernel.machine === "simd" ? THREADS : this.#kernel.threads.reduce((n, t) => n * (t.extent as number), 1);
  }

  /** In a scope of its own, so that what it computes is not known elsewhere. */
  #computed(e: Expr): Id {
    let id: Id = 0;
    this.#sizes.block(() => { id = this.#expressions.scalar(e); });
    return id;
  }

  /** Until the body's answer is no. */
  #repeat(body: () => Id): void {
    const m = this.#m;
    const again = m.variable(m.bool());
    m.act(OP.Store, again, m.constantBool(true));
    whileLoop(m, () => m.value(OP.Load, m.bool(), again), () => m.act(OP.Store, again, body()));
  }

  #variables(scalar: ScalarType, first: readonly Id[]): Id[] {
    return first.map(value => {
      const variable = this.#m.variable(typeOfScalar(this.#m, scalar));
      this.#m.act(OP.Store, variable, value);
      return variable;
    });
  }

  #for(s: Stmt & { kind: "for" }): void {
    const m = this.#m;
    const [from, to] = [this.#sizes.constant(s.from), this.#sizes.constant(s.to)];
    if (s.mode === "unroll" && (from === undefined || to === undefined)) throw new InternalError(`loop ${s.variable} cannot be unrolled`);
    if (from !== undefined && to !== undefined && (s.mode === "unroll" || to <= from + s.step)) {
      for (let i = from; i < to; i += s.step) this.#block(s.body, () => this.#bind(s.variable, { kind: "size", size: i }));
      return;
    }
    const [first, last] = [s.from, s.to].map(x => this.#sizes.range(this.#sizes.resolve(x))) as [Range, Range];
    const end = this.#sizes.value(s.to, 32);
    const [variable] = this.#variables("i32", [this.#sizes.value(s.from, 32)]);
    const now = (): Id => m.value(OP.Load, m.int(32), variable!);
    whileLoop(m, () => m.value(OP.SLessThan, m.bool(), now(), end), () => {
      const id = now();
      this.#block(s.body, () => this.#bind(s.variable, { kind: "variable", id, bits: 32, range: { min: first.min, max: last.max - 1 } }));
      m.act(OP.Store, variable!, m.value(OP.IAdd, m.int(32), id, m.constantInt(32, s.step)));
    });
  }

  #let(name: string, value: Expr): void {
    const type = typeOf(value);
    const size = type.scalar === "i32" && type.lanes === 1 ? indexSize(value) : undefined;
    if (size !== undefined) {
      this.#bind(name, { kind: "size", size: this.#sizes.resolve(size) });
      return;
    }
    const lanes = this.#expressions.lanes(value);
    // From here on sizes may use it.
    if (type.scalar === "i32" && type.lanes === 1) this.#bind(name, { kind: "variable", id: lanes[0]!, bits: 32, range: ANYTHING });
    else this.#hold(name, { lanes, scalar: type.scalar, isVariable: false });
  }

  #alloc(buffer: Buffer): void {
    const m = this.#m;
    const shape = buffer.shape.map(s => this.#sizes.resolve(s));
    const elements = productSize(shape);
    const place = (home: Place): void => this.#defined.define(this.#expressions.buffers, buffer.name, home);
    if (buffer.space === "register") {
      if (typeof elements !== "number") throw new InternalError(`registers ${buffer.name} have no constant shape`);
      const type = this.#expressions.registerType(buffer);
      place({ kind: "register", buffer, elements: Array.from({ length: elements }, () => Array.from({ length: buffer.lanes }, () => m.variable(type))) });
      return;
    }
    place({ kind: "memory", buffer: { ...buffer, shape }, home: this.#home(buffer, shape, elements) });
  }
  #home(buffer: Buffer, shape: readonly Size[], elements: Size): Home {
    const m = this.#m;
    const { dtype, space } = buffer;
    if (space === "local" && (typeof elements !== "number" || elements > SMALL)) return this.#inScratch(buffer, shape);
    if (typeof elements !== "number") throw new InternalError(`${space} ${buffer.name} has no constant shape`);
    const type = this.#expressions.registerType(buffer);
    // As in global memory, since fragments are loaded from it.
    if (space === "shared" && this.#fragments && dtype !== "i4") return { dtype, pointer: this.#sharedVariable(rawArray(m, dtype, elements)), storage: STORAGE.Workgroup, isRaw: true };
    if (space === "shared") return { dtype, pointer: this.#sharedArray(type, elements), storage: STORAGE.Workgroup };
    return { dtype, pointer: m.variable(m.global(OP.TypeArray, [type, m.constantInt(32, Math.max(1, elements))])), storage: STORAGE.Function };
  }
  #inScratch({ name, dtype }: Buffer, shape: readonly Size[]): Home {
    const m = this.#m;
    const offset = this.#sizes.value(this.#scratch.place(name, dtype, shape), 64);
    return homeAt(m, dtype, m.value(OP.IAdd, m.int(64), this.#scratchBase, offset));
  }

  #copy(s: Stmt & { kind: "async_copy" }): void {
    const [to, from] = [this.#expressions.place(s.to), this.#expressions.place(s.from)];
    if (to.kind === "register" || from.kind === "register") throw new InternalError(`a copy of registers in ${this.#kernel.name}`);
    for (let i = 0; i < s.elements; i++) {
      const [a, b] = [this.#expressions.at(from.buffer, s.fromIndex, i), this.#expressions.at(to.buffer, s.toIndex, i)];
      store(this.#m, to.home, b.index, b.width, load(this.#m, from.home, a.index, a.width));
    }
  }

  #store(s: Stmt & { kind: "store" }): void {
    const m = this.#m;
    const place = this.#expressions.place(s.buffer);
    const values = this.#expressions.lanes(s.value);
    if (place.kind === "register") {
      this.#expressions.registers(place, s.index).forEach((variable, i) => m.act(OP.Store, variable, rounded(m, place.buffer.dtype, values[i]!)));
      return;
    }
    values.forEach((value, lane) => {
      const { index, width } = this.#expressions.at(place.buffer, s.index, lane);
      store(m, place.home, index, width, value);
    });
  }
}
