// Branches that JavaScript takes on a tensor. A tensor is an object, so `if (x.gt(0))` always goes one way, and nothing
// stops it there. What it leaves behind tells: a comparison that nothing uses, on a line with a branch. Where a tensor
// becomes a number or a text (`x > 0`, `x + 1`, `${x}`) it refuses by itself. `x === y`, and `if (x)` of what was not
// compared, leave no mark.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { SluiceError } from "../base/diagnostics.ts";
import type { Span } from "../base/span.ts";
import { type Graph, isTuple, rootsOf } from "../graph/graph.ts";

const BRANCH = /\b(?:if|while)\s*\(|\?(?![.:?)])|&&|\|\||!(?!=)/;
const CONTINUED = /^\s*(?:\?(?![.?])|&&|\|\|)/;
const MAKES_CONDITIONS: ReadonlySet<string> = new Set([
  "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is_finite", "reduce",
]);

export const conditionError = (span: Span | null): SluiceError => new SluiceError({
  code: "TRACE009", message: "a tensor is used as a condition of JavaScript, which always takes the same branch", span,
  found: "a tensor, which has no value while the program is traced", expected: "a choice that is made when the program runs",
  hint: "in an entry condition.where(yes, no); in a procedure when(condition, yes, no), or loop(condition, body)",
});

const files = new Map<string, readonly string[]>();
function linesOf(file: string): readonly string[] {
  const known = files.get(file);
  if (known) return known;
  let lines: readonly string[] = [];
  try {
    lines = readFileSync(resolve(file), "utf8").split("\n");
  } catch {
    // The place of a program that has no file any more says nothing.
  }
  files.set(file, lines);
  return lines;
}

/** Whether the line, or the next one as its continuation, branches. */
export function branchesAt(span: Span): boolean {
  const lines = linesOf(span.file);
  return BRANCH.test(lines[span.line - 1] ?? "") || CONTINUED.test(lines[span.line] ?? "");
}

/** Throws SluiceError TRACE009 at a comparison of the graph that nothing uses, where its line branches. */
export function refuseUnreadConditions(graph: Graph): void {
  const used = new Set<number>(rootsOf(graph));
  for (const n of graph.nodes) for (const i of n.inputs) used.add(i);
  graph.nodes.forEach((n, id) => {
    if (used.has(id) || !MAKES_CONDITIONS.has(n.op) || isTuple(n.type) || n.type.dtype !== "bool") return;
    if (n.span !== null && branchesAt(n.span)) throw conditionError(n.span);
  });
}
