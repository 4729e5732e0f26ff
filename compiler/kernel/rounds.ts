// Which loops do the same in every round, as far as threads get in each other's way: those that leave nothing in scratch at
// a place that tells the round, but for its parity. Of these, enumeration runs the first two rounds and the last.
import type { Size } from "../base/sizes.ts";
import type { Expr, Stmt } from "./ir.ts";
import { mapOperands } from "./share.ts";

/** Whether the size tells more of a name than its parity. */
function tells(s: Size, names: ReadonlySet<string>): boolean {
  if (typeof s === "number") return false;
  return s.terms.some(t => t.atoms.some(a => {
    if (a.kind === "dim") return names.has(a.name);
    return !(a.kind === "mod" && a.b === 2) && (tells(a.a, names) || tells(a.b, names));
  }));
}
function exprTells(e: Expr, names: ReadonlySet<string>): boolean {
  let found = (e.kind === "size" && tells(e.size, names)) || (e.kind === "var" && names.has(e.name));
  mapOperands(e, x => {
    found ||= exprTells(x, names);
    return x;
  });
  return found;
}

export function repeatsItself(loop: Stmt & { kind: "for" }, isGlobal: (buffer: string) => boolean): boolean {
  const names = new Set([loop.variable]);
  const own = new Set<string>();
  const isFree = (buffer: string, index: readonly Expr[]): boolean => isGlobal(buffer) || own.has(buffer) || !index.some(i => exprTells(i, names));
  const all = (block: readonly Stmt[]): boolean => block.every(s => {
    switch (s.kind) {
      case "alloc": own.add(s.buffer.name); return true;
      case "let": if (exprTells(s.value, names)) names.add(s.name); return true;
      // What a mutable holds may be of any round.
      case "mutable": names.add(s.name); return true;
      case "for": if (tells(s.from, names) || tells(s.to, names)) names.add(s.variable); return all(s.body);
      case "while": return all(s.body);
      case "if": return all(s.yes) && all(s.no);
      case "store": case "atomic": case "fragment_store": return isFree(s.buffer, s.index);
      case "async_copy": return isFree(s.to, s.toIndex);
      default: return true;
    }
  });
  return all(loop.body);
}
