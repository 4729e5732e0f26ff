// Which loops do the same in every round, as far as threads get in each other's way: neither where they touch scratch nor
// whether they do tells the round, but for its parity. Of these, enumeration runs the first two rounds and the last.
import type { Size } from "../base/sizes.ts";
import type { Buffer, Expr, Param, Stmt } from "./ir.ts";
import { mapExpressions, operandsOf } from "./share.ts";

/** Whether the size tells more of a name than its parity. */
function tells(s: Size, names: ReadonlySet<string>): boolean {
  if (typeof s === "number") return false;
  return s.terms.some(t => t.atoms.some(a => {
    if (a.kind === "dim") return names.has(a.name);
    return !(a.kind === "mod" && a.b === 2) && (tells(a.a, names) || tells(a.b, names));
  }));
}
const exprTells = (e: Expr, names: ReadonlySet<string>): boolean =>
  (e.kind === "size" && tells(e.size, names)) || (e.kind === "var" && names.has(e.name)) || operandsOf(e).some(x => exprTells(x, names));

export function repeatsItself(loop: Stmt & { kind: "for" }, bufferOf: (name: string) => Buffer | Param | undefined): boolean {
  const names = new Set([loop.variable]);
  const own = new Map<string, Buffer>();
  /** Whether other threads may be there too, and not all of them only read. */
  const isShared = (name: string): boolean => {
    const buffer = own.get(name) ?? bufferOf(name);
    return buffer === undefined || buffer.space === "shared" || (buffer.space === "global" && (buffer as Param).access !== "read");
  };
  const isFree = (name: string, index: readonly Expr[]): boolean => bufferOf(name)?.space === "global" || own.has(name) || !index.some(i => exprTells(i, names));
  /** Whether it reads what others write at a place that tells the round. */
  const readsTelling = (e: Expr): boolean =>
    ((e.kind === "load" || e.kind === "gather") && isShared(e.buffer) && e.index.some(i => exprTells(i, names))) || operandsOf(e).some(readsTelling);
  const all = (block: readonly Stmt[]): boolean => block.every(s => {
    let isTelling = false;
    mapExpressions(s, e => {
      isTelling ||= readsTelling(e);
      return e;
    });
    if (isTelling || (s.kind === "while" && readsTelling(s.condition))) return false;
    switch (s.kind) {
      case "fragment_load": return !(isShared(s.buffer) && s.index.some(i => exprTells(i, names)));
      case "alloc": own.set(s.buffer.name, s.buffer); return true;
      case "let": if (exprTells(s.value, names)) names.add(s.name); return true;
      // What a mutable holds may be of any round.
      case "mutable": names.add(s.name); return true;
      case "for": {
        const isTold = tells(s.from, names) || tells(s.to, names);
        if (isTold) names.add(s.variable);
        return all(s.body) && !(isTold && meets(s.body, isShared));
      }
      case "while": return all(s.body) && !meets(s.body, isShared);
      case "if": return all(s.yes) && all(s.no) && !(exprTells(s.condition, names) && meets([...s.yes, ...s.no], isShared));
      case "store": case "atomic": case "fragment_store": return isFree(s.buffer, s.index);
      case "async_copy": return isFree(s.to, s.toIndex);
      default: return true;
    }
  });
  return all(loop.body);
}

/** Whether threads may meet in the block: at a barrier or in memory that is not their own. */
function meets(block: readonly Stmt[], isShared: (buffer: string) => boolean): boolean {
  return block.some(s => {
    if (s.kind === "for" || s.kind === "while") return meets(s.body, isShared);
    if (s.kind === "if") return meets([...s.yes, ...s.no], isShared);
    if (s.kind === "barrier" || s.kind === "async_copy" || s.kind === "async_wait") return true;
    if ((s.kind === "store" || s.kind === "atomic" || s.kind === "fragment_store" || s.kind === "fragment_load") && isShared(s.buffer)) return true;
    let found = false;
    mapExpressions(s, e => {
      found ||= reads(e, isShared);
      return e;
    });
    return found;
  });
}
const reads = (e: Expr, isShared: (buffer: string) => boolean): boolean =>
  ((e.kind === "load" || e.kind === "gather") && isShared(e.buffer)) || operandsOf(e).some(x => reads(x, isShared));
