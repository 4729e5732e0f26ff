// Names of scalars that are used in splats only: they are kept in all lanes from the start, which is one instruction for
// what is loaded.
import type { Expr, Kernel, Stmt } from "../../kernel/ir.ts";
import { mapExpressions, mapOperands } from "../../kernel/share.ts";

export function namesOnlySplatted(kernel: Kernel): ReadonlySet<string> {
  const splatted = new Set<string>();
  const plain = new Set<string>();
  const visit = (e: Expr): Expr => {
    if (e.kind === "var") plain.add(e.name);
    else if (e.kind === "splat" && e.x.kind === "var" && e.lanes > 1) splatted.add(e.x.name);
    else mapOperands(e, visit);
    return e;
  };
  const visitBlock = (block: readonly Stmt[]): void => {
    for (const s of block) {
      mapExpressions(s, visit);
      if (s.kind === "while") visit(s.condition);
      if (s.kind === "for" || s.kind === "while") visitBlock(s.body);
      if (s.kind === "if") {
        visitBlock(s.yes);
        visitBlock(s.no);
      }
      // An assigned name changes as a scalar.
      if (s.kind === "mutable") plain.add(s.name);
    }
  };
  visitBlock(kernel.body);
  for (const name of plain) splatted.delete(name);
  return splatted;
}
