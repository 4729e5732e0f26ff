// Kernel expressions as C++: one scalar for each lane. What several lanes use, and what the threads of a warp do together,
// is held under a name before the statement.
import { InternalError } from "../../base/diagnostics.ts";
import { dimSize } from "../../base/sizes.ts";
import { type Buffer, type Expr, type ScalarType, typeOf } from "../../kernel/ir.ts";
import { SUBGROUP } from "../../kernel/uniformity.ts";
import { binary, bitcast, cast, multiplyAdd, opened, unary } from "./arithmetic.ts";
import { type Code, literal, SCALAR_TYPE } from "./code.ts";
import { type Home, loadLanes, type Place, placeOf, withNames } from "./memory.ts";
import type { Sizes } from "./sizes.ts";

export type BufferHome =
  | ({ readonly kind: "memory" } & Home)
  /** An array of the thread, whose indices are constants once loops are unrolled. */
  | { readonly kind: "register"; readonly buffer: Buffer; readonly base: string };

export class Expressions {
  /** The C++ texts of the lanes of `let` and `mutable` values. */
  readonly values = new Map<string, readonly string[]>();
  readonly buffers = new Map<string, BufferHome>();
  /** The names of arrays of 16 that stand before the function, by their type and elements. */
  readonly #tables = new Map<string, string>();
  readonly #code: Code;
  readonly #sizes: Sizes;
  readonly #kernel: string;
  readonly #threads: number;

  /** `kernel` is the function's name, `threads` how many a block has. */
  constructor(code: Code, sizes: Sizes, kernel: string, threads: number) {
    this.#code = code;
    this.#sizes = sizes;
    this.#kernel = kernel;
    this.#threads = threads;
  }

  scalar(e: Expr, hint = "t"): string {
    return this.lanes(e, hint)[0]!;
  }

  /** Each binds as tightly as a name. `hint` is what the value is called. */
  lanes(e: Expr, hint = "t"): string[] {
    const { scalar, lanes } = typeOf(e);
    switch (e.kind) {
      case "const": return Array<string>(lanes).fill(literal(scalar, e.value));
      case "size": return [this.#index(e)];
      case "var": return [...(this.values.get(e.name) ?? [this.#index({ kind: "size", size: dimSize(e.name) })])];
      case "unary": return this.lanes(e.x).map(x => unary(e.op, scalar, x));
      case "binary": return zip(this.lanes(e.a), this.lanes(e.b), (a, b) => binary(e.op, typeOf(e.a).scalar, a, b));
      case "fma": {
        const [a, b, c] = [this.lanes(e.a), this.lanes(e.b), this.lanes(e.c)];
        return a.map((x, i) => multiplyAdd(scalar, x, b[i]!, c[i]!));
      }
      case "select": {
        const [condition, yes, no] = [this.lanes(e.condition), this.lanes(e.yes), this.lanes(e.no)];
        return yes.map((y, i) => `(${opened(condition[i]!)} ? ${y} : ${no[i]})`);
      }
      case "cast": return this.lanes(e.x).map(x => cast(typeOf(e.x).scalar, e.to, x));
      case "bitcast": return this.lanes(e.x).map(x => bitcast(typeOf(e.x).scalar, e.to, x));
      case "load": return this.#load(e, hint);
      case "gather": return this.#gather(e);
      case "splat": {
        const x = this.scalar(e.x);
        return Array<string>(e.lanes).fill(e.lanes === 1 ? x : this.#once(scalar, x));
      }
      case "vector": return e.items.map(item => this.scalar(item));
      case "lane": return [this.lanes(e.x)[e.lane]!];
      case "shuffle": {
        const both = [...this.lanes(e.a), ...this.lanes(e.b)].map(x => this.#once(scalar, x));
        return e.lanes.map(lane => both[lane]!);
      }
      case "horizontal": {
        let level = this.lanes(e.x);
        while (level.length > 1) level = zip(level.slice(0, level.length / 2), level.slice(level.length / 2), (a, b) => binary(e.op, scalar, a, b));
        return level;
      }
      case "dot4": {
        const [a, b, c] = [this.lanes(e.a), this.lanes(e.b), this.lanes(e.c)];
        return a.map((x, i) => `dot4_i32(${opened(x)}, ${opened(b[i]!)}, ${opened(c[i]!)})`);
      }
      case "lookup16": {
        const table = this.#table(scalar, e.table);
        return this.lanes(e.index).map(i => `${table}[${i} & 15]`);
      }
      case "subgroup_xor": return this.lanes(e.x).map(x => this.#code.held(SCALAR_TYPE[scalar], `subgroup_xor<${this.#subgroup()}>(${opened(x)}, ${e.mask})`, hint));
      case "subgroup_reduce": {
        const type = SCALAR_TYPE[scalar];
        const combine = `[](${type} a, ${type} b) { return ${opened(binary(e.op, scalar, "a", "b"))}; }`;
        return this.lanes(e.x).map(x => this.#code.held(type, `subgroup_reduce<${this.#subgroup()}>(${opened(x)}, ${combine})`, hint));
      }
    }
  }

  /** Threads of each subgroup. */
  #subgroup(): number {
    const threads = this.#threads;
    if (threads % SUBGROUP === 0) return SUBGROUP;
    if (threads > SUBGROUP || (threads & (threads - 1)) !== 0) throw new InternalError(`the subgroups of ${threads} threads are not all alike`);
    return threads;
  }

  /** What is written more than once, unless that costs nothing. */
  #once(scalar: ScalarType, x: string): string {
    return /^[\w.]+(\[\d+\])?$|^\(?-?[\d.]+(e-?\d+)?[uf]?\)?$/.test(x) ? x : this.#code.held(SCALAR_TYPE[scalar], opened(x), "t");
  }

  /** Index arithmetic as an i32. */
  #index(e: Expr & { kind: "size" }): string {
    const size = this.#sizes.resolve(e.size);
    return typeof size === "number" ? literal("i32", size | 0) : this.#sizes.int(size);
  }

  #table(scalar: ScalarType, table: readonly number[]): string {
    const key = `${SCALAR_TYPE[scalar]} = {${table.map(x => opened(literal(scalar, x))).join(", ")}}`;
    const name = this.#tables.get(key) ?? `${this.#kernel}_table${this.#tables.size}`;
    this.#tables.set(key, name);
    return name;
  }
  /** Their definitions. */
  get tables(): string[] {
    return [...this.#tables].map(([key, name]) => `__device__ const ${key.replace(" = ", ` ${name}[16] = `)};`);
  }

  home(name: string): BufferHome {
    const home = this.buffers.get(name);
    if (!home) throw new InternalError(`buffer ${name} is used before it is defined`);
    return home;
  }
  memory(name: string): BufferHome & { kind: "memory" } {
    const home = this.home(name);
    if (home.kind === "register") throw new InternalError(`registers ${name} where memory is needed`);
    return home;
  }

  /** The lanes of a register buffer's element. */
  registers({ buffer, base }: BufferHome & { kind: "register" }, index: readonly Expr[]): string[] {
    const at = index.map(e => `[${e.kind === "size" ? this.#sizes.open(e.size) : opened(this.scalar(withNames(this.#sizes, e)))}]`).join("");
    return buffer.lanes === 1 ? [base + at] : Array.from({ length: buffer.lanes }, (_, lane) => `${base}${at}[${lane}]`);
  }
  place(home: Home, index: readonly Expr[]): Place {
    return placeOf(this.#sizes, home.buffer, index, e => this.#once("i32", this.scalar(e)));
  }

  #load(e: Expr & { kind: "load" }, hint: string): string[] {
    const home = this.home(e.buffer);
    return home.kind === "register" ? this.registers(home, e.index) : loadLanes(this.#code, home, this.place(home, e.index), e.type.lanes, hint);
  }
  #gather(e: Expr & { kind: "gather" }): string[] {
    const home = this.memory(e.buffer);
    return this.lanes(e.index.at(-1)!).map(column => {
      const last: Expr = { kind: "lane", x: e.index.at(-1)!, lane: 0 };
      const place = placeOf(this.#sizes, home.buffer, [...e.index.slice(0, -1), last], x => (x === last ? column : this.#once("i32", this.scalar(x))));
      return loadLanes(this.#code, home, place, 1, "t")[0]!;
    });
  }
}

const zip = (a: readonly string[], b: readonly string[], f: (a: string, b: string) => string): string[] => a.map((x, i) => f(x, b[i]!));
