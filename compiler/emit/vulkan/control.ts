// Structured control flow: blocks with the merge instructions that SPIR-V asks for.
import { type Assembler, type Id, OP } from "./assembler.ts";

/** Repeats while the condition, computed before each round, holds. */
export function whileLoop(m: Assembler, condition: () => Id, body: () => void): void {
  const [head, test, round, next, end] = [m.id(), m.id(), m.id(), m.id(), m.id()];
  m.act(OP.Branch, head);
  m.label(head);
  m.act(OP.LoopMerge, end, next, 0);
  m.act(OP.Branch, test);
  m.label(test);
  m.act(OP.BranchConditional, condition(), round, end);
  m.label(round);
  body();
  m.act(OP.Branch, next);
  m.label(next);
  m.act(OP.Branch, head);
  m.label(end);
}

export function branch(m: Assembler, condition: Id, yes: () => void, no?: () => void): void {
  const [then, otherwise, end] = [m.id(), m.id(), m.id()];
  m.act(OP.SelectionMerge, end, 0);
  m.act(OP.BranchConditional, condition, then, no ? otherwise : end);
  m.label(then);
  yes();
  m.act(OP.Branch, end);
  if (no) {
    m.label(otherwise);
    no();
    m.act(OP.Branch, end);
  }
  m.label(end);
}
