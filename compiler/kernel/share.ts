// Turns the expression graphs that generators build into the trees that kernel IR wants: in one block, whatever is worth
// more than a register and used twice is bound by a `let` before its first use. Expressions that read memory or mutables
// are shared within one statement only, since a later statement may see other values. Nothing moves between blocks.
import { sizeText } from "../base/sizes.ts";
import { type Expr, type Stmt, typeOf } from "./ir.ts";

/** What a statement of the block evaluates itself, nested blocks left out; rebuilt by `map`. */
export function mapExpressions(s: Stmt, map: (e: Expr) => Expr): Stmt {
  const all = (es: readonly Expr[]): Expr[] => es.map(map);
  switch (s.kind) {
    case "if": return { ...s, condition: map(s.condition) };
    case "let": case "assign": return { ...s, value: map(s.value) };
    case "mutable": return { ...s, init: map(s.init) };
    case "store": case "atomic": return { ...s, index: all(s.index), value: map(s.value) };
    case "async_copy": return { ...s, toIndex: all(s.toIndex), fromIndex: all(s.fromIndex) };
    case "fragment_load": case "fragment_store": return { ...s, index: all(s.index) };
    // A while condition is evaluated anew each round, so it stays as it is.
    case "while": case "for": case "alloc": case "barrier": case "async_commit": case "async_wait": case "fragment": case "fragment_fill": case "fragment_mma": return s;
  }
}

/** The expression with its direct operands replaced. */
export function mapOperands(e: Expr, map: (e: Expr) => Expr): Expr {
  switch (e.kind) {
    case "const": case "size": case "var": return e;
    case "unary": case "cast": case "bitcast": case "splat": case "lane": case "horizontal": case "subgroup_xor": case "subgroup_reduce": return { ...e, x: map(e.x) };
    case "binary": return { ...e, a: map(e.a), b: map(e.b) };
    case "fma": case "dot4": return { ...e, a: map(e.a), b: map(e.b), c: map(e.c) };
    case "select": return { ...e, condition: map(e.condition), yes: map(e.yes), no: map(e.no) };
    case "load": case "gather": return { ...e, index: e.index.map(map) };
    case "vector": return { ...e, items: e.items.map(map) };
    case "shuffle": return { ...e, a: map(e.a), b: map(e.b) };
    case "lookup16": return { ...e, index: map(e.index) };
  }
}

/** The direct operands, in order. */
export function operandsOf(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case "const": case "size": case "var": return [];
    case "unary": case "cast": case "bitcast": case "splat": case "lane": case "horizontal": case "subgroup_xor": case "subgroup_reduce": return [e.x];
    case "binary": case "shuffle": return [e.a, e.b];
    case "fma": case "dot4": return [e.a, e.b, e.c];
    case "select": return [e.condition, e.yes, e.no];
    case "load": case "gather": return e.index;
    case "vector": return e.items;
    case "lookup16": return [e.index];
  }
}

/** What an expression is, apart from its operands. */
function headText(e: Expr): string {
  switch (e.kind) {
    case "const": return `const ${e.type.scalar} ${e.type.lanes} ${Object.is(e.value, -0) ? "-0" : e.value}`;
    case "size": return `size ${sizeText(e.size)}`;
    case "var": return `var ${e.name}`;
    case "unary": case "binary": return `${e.kind} ${e.op}`;
    case "cast": case "bitcast": return `${e.kind} ${e.to}`;
    case "load": case "gather": return `${e.kind} ${e.buffer} ${e.type.lanes}`;
    case "splat": return `splat ${e.lanes}`;
    case "lane": return `lane ${e.lane}`;
    case "shuffle": return `shuffle ${e.lanes.join()}`;
    case "horizontal": case "subgroup_reduce": return `${e.kind} ${e.op}`;
    case "lookup16": return `lookup16 ${e.type.scalar} ${e.table.join()}`;
    case "subgroup_xor": return `subgroup_xor ${e.mask}`;
    case "fma": case "select": case "vector": case "dot4": return e.kind;
  }
}

interface Entry {
  readonly id: number;
  readonly expr: Expr;
  readonly operands: readonly Entry[];
  /** Reads neither memory that may be written nor a mutable: the same value everywhere in its scope. */
  readonly pure: boolean;
}

export interface SharingScope {
  readonly isMutable: (name: string) => boolean;
  readonly isReadOnly: (buffer: string) => boolean;
  readonly isRegister: (buffer: string) => boolean;
  readonly fresh: (hint: string) => string;
}

/** Numbers expressions so that structurally equal ones are one entry. Names are unique in a kernel, so one serves all blocks. */
export class Interner {
  readonly #scope: SharingScope;
  readonly #byKey = new Map<string, Entry>();
  readonly #byIdentity = new WeakMap<Expr, Entry>();

  constructor(scope: SharingScope) {
    this.#scope = scope;
  }

  entry(e: Expr): Entry {
    const known = this.#byIdentity.get(e);
    if (known) return known;
    const operands = operandsOf(e).map(x => this.entry(x));
    const key = `${headText(e)}(${operands.map(o => o.id).join()})`;
    let entry = this.#byKey.get(key);
    if (!entry) {
      entry = { id: this.#byKey.size, expr: e, operands, pure: this.#isPure(e) && operands.every(o => o.pure) };
      this.#byKey.set(key, entry);
    }
    this.#byIdentity.set(e, entry);
    return entry;
  }

  #isPure(e: Expr): boolean {
    switch (e.kind) {
      case "var": return !this.#scope.isMutable(e.name);
      case "load": case "gather": return this.#scope.isReadOnly(e.buffer);
      case "subgroup_xor": case "subgroup_reduce": return false;
      default: return true;
    }
  }

  isWorthSharing({ expr: e }: Entry): boolean {
    if (e.kind === "load") return !this.#scope.isRegister(e.buffer);
    return e.kind !== "const" && e.kind !== "var" && e.kind !== "size";
  }

  /** The block with shared expressions bound. */
  share(block: readonly Stmt[]): Stmt[] {
    const purelyUsed = new Map<Entry, number>();
    const usedByStatement = block.map(s => {
      const used = new Map<Entry, number>();
      const count = (entry: Entry): void => {
        const uses = entry.pure ? purelyUsed : used;
        const before = uses.get(entry) ?? 0;
        uses.set(entry, before + 1);
        if (before === 0) entry.operands.forEach(count);
      };
      mapExpressions(s, e => {
        count(this.entry(e));
        return e;
      });
      return used;
    });
    const bound = new Map<Entry, Expr>();
    const shared: Stmt[] = [];
    block.forEach((statement, i) => {
      const boundHere = new Map<Entry, Expr>();
      const used = usedByStatement[i]!;
      const rewrite = (entry: Entry, ownName?: string): Expr => {
        const names = entry.pure ? bound : boundHere;
        const name = names.get(entry);
        if (name) return name;
        const e = mapOperands(entry.expr, x => rewrite(this.entry(x)));
        const uses = (entry.pure ? purelyUsed : used).get(entry) ?? 0;
        if (uses < 2 || !this.isWorthSharing(entry)) return e;
        if (ownName !== undefined) {
          if (entry.pure) names.set(entry, variable(ownName, e));
          return e;
        }
        const held = variable(this.#scope.fresh("t"), e);
        shared.push({ kind: "let", name: held.name, value: e });
        names.set(entry, held);
        return held;
      };
      // A `let` of a shared value becomes its name, instead of a second name for it.
      shared.push(mapExpressions(statement, e => rewrite(this.entry(e), statement.kind === "let" ? statement.name : undefined)));
    });
    return shared;
  }
}

const variable = (name: string, value: Expr): Expr & { kind: "var" } => ({ kind: "var", name, type: typeOf(value) });
