// Branches that JavaScript takes on a tensor. A tensor is an object, so `if (x.gt(0))` always goes one way, and nothing
// stops it there. What it leaves behind tells: a comparison that nothing uses, where the program's text branches. Where a tensor
// becomes a number or a text (`x > 0`, `x + 1`, `${x}`) it refuses by itself. `x === y`, and `if (x)` of what was not
// compared, leave no mark.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { SluiceError } from "../base/diagnostics.ts";
import type { Span } from "../base/span.ts";
import { type Graph, isTuple, rootsOf } from "../graph/graph.ts";

const MAKES_CONDITIONS: ReadonlySet<string> = new Set([
  "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is_finite", "reduce",
]);

export const conditionError = (span: Span | null): SluiceError => new SluiceError({
  code: "TRACE009", message: "a tensor is used as a condition of JavaScript, which always takes the same branch", span,
  found: "a tensor, which has no value while the program is traced", expected: "a choice that is made when the program runs",
  hint: "in an entry condition.where(yes, no); in a procedure when(condition, yes, no), or loop(condition, body)",
});

const files = new Map<string, string>();
function textOf(file: string): string {
  const known = files.get(file);
  if (known !== undefined) return known;
  let text = "";
  try {
    text = readFileSync(resolve(file), "utf8");
  } catch {
    // The place of a program that has no file any more says nothing.
  }
  files.set(file, text);
  return text;
}

/** The words that make conditions, as a call of theirs begins. */
const WORD = /\b(?:eq|ne|lt|le|gt|ge|and|or|not|isFinite|any|all)\s*\(/g;
const OPENS: { readonly [close: string]: string } = { ")": "(", "]": "[" };

/** Whether JavaScript branches on the comparison that the user's program makes there. */
export function branchesAt(span: Span): boolean {
  const text = textOf(span.file);
  const lines = text.split("\n");
  const start = lines.slice(0, span.line - 1).reduce((n, line) => n + line.length + 1, 0);
  WORD.lastIndex = start + span.column - 1;
  const found = WORD.exec(text);
  if (!found || found.index > start + (lines[span.line - 1] ?? "").length) return false;
  return isCondition(text, startOfChain(text, found.index), endOfCall(text, WORD.lastIndex));
}

/** Whether the expression between the two places decides where the program goes: `if (…)`, `… ?`, `… &&`, `!…`. */
function isCondition(text: string, start: number, end: number): boolean {
  const after = text.slice(end).replace(/^(?:\s|\/\/[^\n]*\n)+/, "");
  const before = text.slice(0, start).trimEnd();
  if (/^(?:\?(?![.?])|&&|\|\|)/.test(after) || before.endsWith("!")) return true;
  if (!after.startsWith(")") || !before.endsWith("(")) return false;
  if (/\b(?:if|while)\s*\($/.test(before)) return true;
  // A bracket around it is seen through, that of a call is not.
  const outer = before.slice(0, -1).trimEnd();
  return !/[\w$)\]]$/.test(outer) && isCondition(text, outer.length, text.length - after.length + 1);
}

/** Where the chain of calls and members begins that ends in the word there. */
function startOfChain(text: string, at: number): number {
  let i = at;
  const back = (fits: RegExp): void => {
    while (i > 0 && fits.test(text[i - 1]!)) i--;
  };
  for (;;) {
    const word = i;
    back(/\s/);
    if (text[i - 1] !== ".") return word;
    i--;
    back(/[?!\s]/);
    while (Object.hasOwn(OPENS, text[i - 1] ?? "")) i = openingBefore(text, i - 1);
    back(/[\w$]/);
  }
}
/** Where the bracket opens that closes there. */
function openingBefore(text: string, at: number): number {
  const [close, open] = [text[at]!, OPENS[text[at]!]!];
  let depth = 0;
  for (let i = at; i >= 0; i--) {
    depth += text[i] === close ? 1 : text[i] === open ? -1 : 0;
    if (depth === 0) return i;
  }
  return 0;
}
/** The place after the bracket that closes a call whose arguments begin there. */
function endOfCall(text: string, from: number): number {
  for (let i = from, depth = 1; i < text.length; i++) {
    depth += text[i] === "(" ? 1 : text[i] === ")" ? -1 : 0;
    if (depth === 0) return i + 1;
  }
  return text.length;
}

/** Throws SluiceError TRACE009 at a comparison of the graph that nothing uses, where the program branches on it. */
export function refuseUnreadConditions(graph: Graph): void {
  const used = new Set<number>(rootsOf(graph));
  for (const n of graph.nodes) for (const i of n.inputs) used.add(i);
  graph.nodes.forEach((n, id) => {
    if (used.has(id) || !MAKES_CONDITIONS.has(n.op) || isTuple(n.type) || n.type.dtype !== "bool") return;
    if (n.span !== null && branchesAt(n.span)) throw conditionError(n.span);
  });
}
