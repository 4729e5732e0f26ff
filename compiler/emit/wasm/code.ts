// A WebAssembly function while it is being written: its locals, the statements written so far, and the levels of nesting
// at which values become known. A level's `start` is a place in code that was already passed, so that what an inner loop
// needs can still be computed outside of it.
import type { Size } from "../../base/sizes.ts";
import type { ScalarType, ValueType } from "../../kernel/ir.ts";
import * as m from "./instructions.ts";
import type { NumberType, Ref } from "./instructions.ts";

/** Statements; a list within the list is a place that may still be filled. */
export type Items = (Ref | Items)[];

/** A loop whose variable a pointer can follow. */
export interface Loop {
  readonly variable: string;
  readonly from: Size;
  readonly step: number;
  /** Runs once before the first round. */
  readonly before: Items;
  /** Runs at the end of each round. */
  readonly after: Items;
}

export interface Level {
  readonly start: Items;
  /** Locals that hold sizes, pointers and constants known from here on, by their text. */
  readonly known: Map<string, number>;
  readonly owned: number[];
  readonly loop: Loop | null;
}

/** Lanes of one v128. */
export const lanesPerPart = (s: ScalarType): number => (s === "f64" ? 2 : 4);
/** How many wasm values a value is made of: a vector is one v128 or more. */
export const partCount = ({ scalar, lanes }: ValueType): number => (lanes === 1 ? 1 : Math.ceil(lanes / lanesPerPart(scalar)));

/** The parameters of a kernel function, in order. */
export const PARAMS = { args: 0, low: 1, high: 2, scratch: 3 };

export class Code {
  readonly levels: Level[] = [];
  readonly #types: NumberType[] = Object.keys(PARAMS).map(() => "i32");
  readonly #free = new Map<NumberType, number[]>();
  /** The instruction that reads a local, by its number. */
  readonly #gets: Ref[] = [];
  #temporaries: number[] = [];
  #out: Items = [];

  /** The types of all locals that are no parameters. */
  get locals(): readonly NumberType[] {
    return this.#types.slice(Object.keys(PARAMS).length);
  }

  typeOf({ scalar, lanes }: ValueType): NumberType {
    if (lanes !== 1) return "v128";
    return scalar === "f64" ? "f64" : scalar === "f32" || scalar === "f16" ? "f32" : "i32";
  }

  /** A local that nothing else uses, anywhere: its value may be set in code that was already passed. */
  fresh(type: NumberType): number {
    this.#types.push(type);
    return this.#types.length - 1;
  }
  #reused(type: NumberType): number {
    return this.#free.get(type)?.pop() ?? this.fresh(type);
  }
  #release(locals: readonly number[]): void {
    for (const local of locals) {
      const type = this.#types[local]!;
      const free = this.#free.get(type);
      if (free) free.push(local);
      else this.#free.set(type, [local]);
    }
  }

  /** Locals for a value that lives until the innermost level ends. */
  scoped(type: ValueType): number[] {
    const locals = Array.from({ length: partCount(type) }, () => this.#reused(this.typeOf(type)));
    this.levels.at(-1)!.owned.push(...locals);
    return locals;
  }

  get(local: number): Ref {
    return (this.#gets[local] ??= m.local.get(local));
  }
  set(local: number, value: Ref): void {
    this.#out.push(m.local.set(local, value));
  }
  emit(statement: Ref | Items): void {
    this.#out.push(statement);
  }

  /** Computes the value here; what is returned may be used any number of times in this statement. */
  hold(value: Ref, type: NumberType = "v128"): () => Ref {
    const local = this.#reused(type);
    this.#temporaries.push(local);
    this.set(local, value);
    return () => this.get(local);
  }

  /** A v128 constant. Engines take several instructions to make one, so all but the simplest are made once. */
  constant(bytes: Uint8Array): Ref {
    if (bytes.every(x => x === bytes[0]) && (bytes[0] === 0 || bytes[0] === 255)) return m.v128.const(bytes);
    const { known, start } = this.levels[0]!;
    const key = `v128 ${bytes.join()}`;
    const local = known.get(key) ?? this.fresh("v128");
    if (!known.has(key)) {
      known.set(key, local);
      start.push(m.local.set(local, m.v128.const(bytes)));
    }
    return this.get(local);
  }

  /** Temporaries of what is written within are free again after it. */
  statement(write: () => void): void {
    const outer = this.#temporaries;
    this.#temporaries = [];
    write();
    this.#release(this.#temporaries);
    this.#temporaries = outer;
  }

  /** Writes into the list instead of here. */
  within(list: Items, write: () => void): void {
    const outer = this.#out;
    this.#out = list;
    write();
    this.#out = outer;
  }
  /** A place here that can be filled later. */
  place(): Items {
    const list: Items = [];
    this.#out.push(list);
    return list;
  }

  /** Opens a level that starts here and lasts until `block` ends. */
  open(loop: Loop | null = null): void {
    this.levels.push({ start: this.place(), known: new Map(), owned: [], loop });
  }
  /** The statements of a block with a level of its own. */
  block(loop: Loop | null, write: () => void): Items {
    const depth = this.levels.length;
    const list: Items = [];
    this.within(list, () => {
      this.open(loop);
      write();
    });
    for (const level of this.levels.splice(depth)) this.#release(level.owned);
    return list;
  }

  /** What is written within, as one statement. */
  apart(write: () => void): Ref {
    const list: Items = [];
    this.within(list, write);
    return this.sequence(list);
  }

  /** The statements as one. */
  sequence(list: Items): Ref {
    const flat: Ref[] = [];
    const append = (items: Items): void => {
      for (const item of items) {
        if (Array.isArray(item)) append(item);
        else flat.push(item);
      }
    };
    append(list);
    return flat.length === 1 ? flat[0]! : m.sequence(flat);
  }
}
