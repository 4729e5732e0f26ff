// Names that are used in one way only and are held accordingly from the start: scalars that are always splatted, which is
// one instruction for what is loaded, and lanes that only ever choose from tables of 16.
import type { Expr, Kernel, Stmt } from "../../kernel/ir.ts";
import { mapExpressions, operandsOf } from "../../kernel/share.ts";

type Use = "splat" | "lookup16";

export function namesWithOneUse(kernel: Kernel): ReadonlyMap<string, Use> {
  const uses = new Map<string, Use>();
  const others = new Set<string>();
  const use = (name: string, as: Use): void => {
    if ((uses.get(name) ?? as) === as) uses.set(name, as);
    else others.add(name);
  };
  const visit = (e: Expr): Expr => {
    if (e.kind === "var") others.add(e.name);
    else if (e.kind === "splat" && e.x.kind === "var" && e.lanes > 1) use(e.x.name, "splat");
    else if (e.kind === "lookup16" && e.index.kind === "var") use(e.index.name, "lookup16");
    else operandsOf(e).forEach(visit);
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
      // Whatever is assigned later is held as what it is.
      if (s.kind === "mutable") others.add(s.name);
    }
  };
  visitBlock(kernel.body);
  for (const name of others) uses.delete(name);
  return uses;
}
