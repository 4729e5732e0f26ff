// A kernel without its arithmetic on floats: what is left touches the same places of memory in the same order, where no place
// depends on a float. Races and reads of what was not written show in it as in the whole, at a fraction of the time.
import { constant } from "./expr.ts";
import { type Buffer, type Expr, type Kernel, REGISTER_TYPE, type Stmt, typeOf } from "./ir.ts";
import { isFloatScalar } from "./scalar.ts";
import { mapExpressions, mapOperands, operandsOf } from "./share.ts";

const isFloat = (e: Expr): boolean => isFloatScalar(typeOf(e).scalar);
const isFloatRegister = (b: Buffer): boolean => b.space === "register" && isFloatScalar(REGISTER_TYPE[b.dtype]);

/** As it is where a loop runs until a condition holds, which floats may decide. */
export function withoutFloats(kernel: Kernel): Kernel {
  const hasWhile = (block: readonly Stmt[]): boolean => block.some(s => s.kind === "while" || (s.kind === "for" && hasWhile(s.body)) || (s.kind === "if" && (hasWhile(s.yes) || hasWhile(s.no))));
  if (hasWhile(kernel.body)) return kernel;
  // Of floats that are only read it does not matter who reads them: they need not lie anywhere, unless they are moved as they are.
  const moved = movedIn(kernel.body);
  const unwatched = new Set(kernel.params.filter(p => p.access === "read" && isFloatScalar(REGISTER_TYPE[p.dtype]) && !moved.has(p.name)).map(p => p.name));
  return { ...kernel, params: kernel.params.filter(p => !unwatched.has(p.name)), body: new Rewriter(unwatched).block(kernel.body) };
}

/** Buffers of copies and of fragments. */
function movedIn(block: readonly Stmt[], into = new Set<string>()): ReadonlySet<string> {
  for (const s of block) {
    if (s.kind === "async_copy") into.add(s.from);
    else if (s.kind === "fragment_load") into.add(s.buffer);
    else if (s.kind === "for") movedIn(s.body, into);
    else if (s.kind === "if") movedIn([...s.yes, ...s.no], into);
  }
  return into;
}

class Rewriter {
  /** Buffers that nobody looks at: registers, and what is only read. */
  readonly #unwatched: Set<string>;
  #names = 0;

  constructor(unwatched: ReadonlySet<string>) {
    this.#unwatched = new Set(unwatched);
  }

  block(block: readonly Stmt[]): Stmt[] {
    return block.flatMap(s => this.#statement(s));
  }

  #statement(s: Stmt): Stmt[] {
    switch (s.kind) {
      case "alloc":
        if (!isFloatRegister(s.buffer)) return [s];
        this.#unwatched.add(s.buffer.name);
        return [];
      case "for": {
        const body = this.block(s.body);
        return body.length === 0 ? [] : [{ ...s, body }];
      }
      case "if": return [...this.#loads(s.condition), { ...s, condition: this.#value(s.condition), yes: this.block(s.yes), no: this.block(s.no) }];
      case "let": case "assign": return isFloat(s.value) ? this.#loads(s.value) : this.#rewritten(s);
      case "mutable": return isFloat(s.init) ? this.#loads(s.init) : this.#rewritten(s);
      case "store": return this.#unwatched.has(s.buffer) ? [...s.index, s.value].flatMap(e => this.#loads(e)) : this.#rewritten(s);
      default: return this.#rewritten(s);
    }
  }
  #rewritten(s: Stmt): Stmt[] {
    const before: Stmt[] = [];
    const kept = mapExpressions(s, e => {
      before.push(...this.#loads(e));
      return this.#value(e);
    });
    return [...before, kept];
  }

  /** With 0 in place of every float. */
  #value(e: Expr): Expr {
    const { scalar, lanes } = typeOf(e);
    return isFloat(e) ? constant(scalar, 0, lanes) : mapOperands(e, x => this.#value(x));
  }

  /** The loads of floats in an expression, as statements. */
  #loads(e: Expr): Stmt[] {
    const found: Stmt[] = [];
    const visit = (x: Expr): void => {
      operandsOf(x).forEach(visit);
      if ((x.kind === "load" || x.kind === "gather") && isFloat(x) && !this.#unwatched.has(x.buffer)) {
        found.push({ kind: "let", name: `place ${this.#names++}`, value: mapOperands(x, y => this.#value(y)) });
      }
    };
    visit(e);
    return found;
  }
}
