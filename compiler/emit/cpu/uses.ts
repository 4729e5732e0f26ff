// How often names are read once loops are unrolled.
import type { Expr, Kernel, Stmt } from "../../kernel/ir.ts";
import { mapExpressions, operandsOf } from "../../kernel/share.ts";

/** Of every `let` and `mutable`, the places in the emitted code that read it. Names are unique in a kernel. */
export function usesOf(kernel: Kernel): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  const visitBlock = (block: readonly Stmt[], copies: number): void => {
    const visit = (e: Expr): Expr => {
      if (e.kind === "var") uses.set(e.name, (uses.get(e.name) ?? 0) + copies);
      operandsOf(e).forEach(visit);
      return e;
    };
    for (const s of block) {
      mapExpressions(s, visit);
      if (s.kind === "while") visit(s.condition);
      if (s.kind === "while") visitBlock(s.body, copies);
      if (s.kind === "for") {
        const rounds = s.mode === "unroll" && typeof s.from === "number" && typeof s.to === "number" ? Math.ceil((s.to - s.from) / s.step) : 1;
        visitBlock(s.body, copies * rounds);
      }
      if (s.kind === "if") {
        visitBlock(s.yes, copies);
        visitBlock(s.no, copies);
      }
    }
  };
  visitBlock(kernel.body, 1);
  return uses;
}
