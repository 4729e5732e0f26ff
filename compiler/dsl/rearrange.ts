// einsum and rearrange: patterns over letters, checked against the operands' shapes and turned into contractions and movement.
import { SluiceError } from "../base/diagnostics.ts";
import { divideExactly, productSize, sameSize, type Size, sizeText } from "../base/sizes.ts";
import type { NodeId, TensorType } from "../graph/graph.ts";
import type { DimLike } from "./dims.ts";
import { Dim, requireSize } from "./dims.ts";
import { type Group, parsePattern, patternError, type Word } from "./pattern.ts";
import { userSpan } from "./source.ts";
import { build, shapeText, trace } from "./trace.ts";

const isGroup = (g: Group): g is readonly Word[] => Array.isArray(g);

/** `rearrange("b s (a e) -> b a s e", x, { a: A })`: letters split, joined and put in another order. */
export function rearrangePattern(pattern: string, x: NodeId, sizes: { readonly [letter: string]: DimLike }): NodeId {
  const g = build();
  const t = g.type(x);
  const { operands, result } = parsePattern("rearrange", pattern);
  const from = operands[0]!;
  if (operands.length !== 1) throw patternError("rearrange", pattern, 1, "more than one operand", "one tensor's axes");
  if (from.length !== t.shape.length) throw new SluiceError({ code: "PATTERN002", message: `rearrange: the pattern has ${from.length} axes and the tensor ${t.shape.length}`, span: userSpan(), found: `"${pattern}" for ${shapeText(t)}`, expected: `${t.shape.length} axes on the left` });
  const known = new Map<string, { size: Size; axis: string | null }>();
  const letters = [...from, ...result].flatMap(gr => (isGroup(gr) ? gr : [gr])).map(w => w.letter);
  const stranger = Object.keys(sizes).find(letter => !letters.includes(letter));
  if (stranger !== undefined) throw new SluiceError({ code: "PATTERN003", message: `rearrange: a size is given for ${stranger}, which is not in the pattern`, span: userSpan(), found: `"${pattern}"`, expected: `sizes of ${[...new Set(letters)].filter(l => l !== "1").join(", ")}` });
  Object.values(sizes).forEach(requireSize);
  for (const [letter, d] of Object.entries(sizes)) known.set(letter, { size: trace().sizeOf(d), axis: d instanceof Dim ? d.name : null });
  from.forEach((group, i) => bindGroup(pattern, group, t, i, known));

  const left = from.flatMap(gr => (isGroup(gr) ? gr : [gr])).filter(w => w.letter !== "1");
  const right = result.flatMap(gr => (isGroup(gr) ? gr : [gr])).filter(w => w.letter !== "1");
  checkOnce(pattern, left);
  checkOnce(pattern, right);
  for (const w of left) if (!right.some(r => r.letter === w.letter)) throw patternError("rearrange", pattern, w.column, `${w.letter} is on the left only`, "every letter on both sides; sum it first");
  const fresh = right.filter(r => !left.some(w => w.letter === r.letter));
  for (const w of fresh) if (!known.has(w.letter)) throw patternError("rearrange", pattern, w.column, `${w.letter} is on the right only and has no size`, `a size for it: { ${w.letter}: … }`);

  const split = g.reshape(x, left.map(w => known.get(w.letter)!.size), left.map(w => known.get(w.letter)!.axis));
  const kept = right.filter(r => left.some(w => w.letter === r.letter));
  const moved = g.transpose(split, kept.map(r => left.findIndex(w => w.letter === r.letter)));
  const whole = g.broadcastTo(moved, { shape: right.map(r => known.get(r.letter)!.size), axes: right.map(r => known.get(r.letter)!.axis) }, kept.map(r => right.indexOf(r)));
  const sizeOf = (gr: Group): Size => (isGroup(gr) ? productSize(gr.filter(w => w.letter !== "1").map(w => known.get(w.letter)!.size)) : gr.letter === "1" ? 1 : known.get(gr.letter)!.size);
  const nameOf = (gr: Group): string | null => {
    if (!isGroup(gr)) return gr.letter === "1" ? null : known.get(gr.letter)!.axis;
    const names = gr.map(w => known.get(w.letter)?.axis ?? sizeText(known.get(w.letter)?.size ?? 1));
    return gr.some(w => known.get(w.letter)?.axis) ? names.join("*") : null;
  };
  return g.reshape(whole, result.map(sizeOf), result.map(nameOf));
}

function checkOnce(pattern: string, words: readonly Word[]): void {
  words.forEach((w, i) => {
    if (words.findIndex(v => v.letter === w.letter) !== i) throw patternError("rearrange", pattern, w.column, `${w.letter} stands twice on one side`, "each letter once");
  });
}

/** Binds the letters of one axis; of a group one size may be missing, which is the quotient. */
function bindGroup(pattern: string, group: Group, t: TensorType, i: number, known: Map<string, { size: Size; axis: string | null }>): void {
  const size = t.shape[i]!;
  const words = (isGroup(group) ? group : [group]).filter(w => w.letter !== "1");
  const missing = words.filter(w => !known.has(w.letter));
  const others = productSize(words.filter(w => known.has(w.letter)).map(w => known.get(w.letter)!.size));
  const column = (isGroup(group) ? group[0] : group)?.column ?? 1;
  if (missing.length > 1) throw patternError("rearrange", pattern, missing[1]!.column, `the sizes of ${missing.map(w => w.letter).join(" and ")} are not known`, "sizes for all but one: rearrange(pattern, { letter: size })");
  const rest = divideExactly(size, others);
  if (missing.length === 0 ? !sameSize(size, others) : rest === undefined) {
    throw patternError("rearrange", pattern, column, `axis ${i} of ${shapeText(t)} is ${sizeText(size)}, which is not ${missing.length ? "a multiple of " : ""}${sizeText(others)}`, `sizes whose product is ${sizeText(size)}`);
  }
  const only = missing[0];
  if (!only || rest === undefined) return;
  const name = t.axes[i];
  const given = words.filter(w => w !== only).map(w => known.get(w.letter)!.axis ?? sizeText(known.get(w.letter)!.size)).join("*");
  const restName = words.length === 1 ? name : name?.endsWith(`*${given}`) ? name.slice(0, -given.length - 1) : name?.startsWith(`${given}*`) ? name.slice(given.length + 1) : null;
  known.set(only.letter, { size: rest, axis: restName ?? null });
}

/** The labels of each operand and of the result; sizes under one letter must agree. */
export function einsumNode(pattern: string, operands: readonly NodeId[]): NodeId {
  const g = build();
  const { operands: sides, result } = parsePattern("einsum", pattern);
  if (sides.length !== operands.length) throw patternError("einsum", pattern, 1, `the pattern has ${sides.length} operands and ${operands.length} are given`, `${sides.length} tensors`);
  const letters = new Map<string, { label: number; size: Size; owner: number }>();
  const labelsOf = (side: readonly Group[], which: number): number[] => {
    const t = g.type(operands[which]!);
    if (side.length !== t.shape.length) throw new SluiceError({ code: "PATTERN002", message: `einsum: operand ${which + 1} has ${t.shape.length} axes and the pattern ${side.length}`, span: userSpan(), found: `${shapeText(t)} for "${pattern}"`, expected: `${t.shape.length} letters for operand ${which + 1}` });
    return side.map((w, i) => {
      if (isGroup(w)) throw patternError("einsum", pattern, w[0]?.column ?? 1, "no parentheses in einsum", "rearrange splits and joins axes");
      if (w.letter === "1" && t.shape[i] !== 1) throw patternError("einsum", pattern, w.column, `axis ${i} of operand ${which + 1} is ${sizeText(t.shape[i]!)}`, "a letter for it: 1 stands for an axis of size 1");
      const seen = letters.get(w.letter);
      if (seen && !sameSize(seen.size, t.shape[i]!)) {
        throw patternError("einsum", pattern, w.column, `${w.letter} is ${sizeText(seen.size)} in operand ${seen.owner + 1} and ${sizeText(t.shape[i]!)} in operand ${which + 1}`, "one size for each letter");
      }
      const label = seen?.label ?? letters.size;
      if (!seen) letters.set(w.letter, { label, size: t.shape[i]!, owner: which });
      return label;
    });
  };
  const labels = sides.map(labelsOf);
  const out = result.map((w, at) => {
    if (isGroup(w)) throw patternError("einsum", pattern, w[0]?.column ?? 1, "no parentheses in einsum", "rearrange splits and joins axes");
    const found = letters.get(w.letter);
    if (!found) throw patternError("einsum", pattern, w.column, `${w.letter} is on the right only`, "letters of the operands");
    if (result.findIndex(other => !isGroup(other) && other.letter === w.letter) !== at) throw patternError("einsum", pattern, w.column, `${w.letter} stands twice on the right`, "each letter once");
    return found.label;
  });
  let [x, own] = diagonal(operands[0]!, labels[0]!);
  for (let i = 1; i < operands.length; i++) {
    const [y, other] = diagonal(operands[i]!, labels[i]!);
    const later = new Set([...out, ...labels.slice(i + 1).flat()]);
    const kept = [...new Set([...own, ...other])].filter(l => later.has(l));
    const target = i === operands.length - 1 ? out : kept;
    x = g.node("contract", [x, y], { a: own, b: other, out: target });
    own = [...target];
  }
  const summed = own.map((l, i) => (out.includes(l) ? -1 : i)).filter(i => i >= 0);
  const rest = own.filter(l => out.includes(l));
  return g.transpose(g.sum(x, summed), out.map(l => rest.indexOf(l)));
}

/** A letter that stands twice in one operand takes the diagonal. */
function diagonal(x: NodeId, labels: readonly number[]): [NodeId, number[]] {
  const twice = labels.findIndex((l, i) => labels.indexOf(l) !== i);
  if (twice < 0) return [x, [...labels]];
  const g = build();
  const t = g.type(x);
  const first = labels.indexOf(labels[twice]!);
  const index = (axis: number) => g.node("iota", [], { axis, type: { ...t, dtype: "i32" } });
  const on = g.select(g.binary("eq", index(first), index(twice)), x, g.fill(0, x));
  return diagonal(g.sum(on, [twice]), labels.filter((_, i) => i !== twice));
}
