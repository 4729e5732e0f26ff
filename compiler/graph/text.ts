// Graphs as text (.slir): what people read and edit, what parse.ts reads back to the identical graph.
//
//   graph learn {
//     dim N: call 1 .. 1024 multiple 8
//     state net.weight: f32[784, 10]
//
//     %0 = input images : f32[N, 784]  # mnist.ts:12:5
//     %1 = state net.weight : f32[784, 10]
//     %2 = contract %0, %1 a=[0, 1] b=[1, 2] out=[0, 2] : f32[N, 10]  # mnist.ts:14:20
//     %3 = reduce max %2 axes=[1] : f32[N]
//     output highest = %3
//   }
//
// A node is one line: its op, for some ops the attribute that names or decides it, inputs, other attributes, type and span.
// An axis is its size; `H` is a dim whose name is also the axis's, `_=H` has none, `rows=H` another. What the type says
// (dtype of a cast, shape of a broadcast) is not said twice. The bodies of a loop or a composite follow their node.
import type { DimDecl } from "../base/sizes.ts";
import { type Size, sizeText } from "../base/sizes.ts";
import { type AttrKind, attributesOf, LEADING } from "./attributes.ts";
import { type AttrValue, type Graph, isTuple, type Named, type Node, type NodeId, type ValueType } from "./graph.ts";

const WORD = /^[A-Za-z_$][\w$]*(\.[\w$]+)*$/;
/** A name as it is where it reads as one, otherwise quoted. */
export const nameText = (name: string): string => (WORD.test(name) ? name : JSON.stringify(name));

export function numberText(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x < 0 ? "-inf" : "inf";
  return Object.is(x, -0) ? "-0" : String(x);
}

function axisText(size: Size, name: string | null): string {
  const text = sizeText(size);
  // A lone dim names its axis too, unless the text says otherwise.
  const implied = typeof size !== "number" && WORD.test(text) ? text : null;
  if (name === implied) return text;
  return `${name === null ? "_" : name === "_" ? JSON.stringify(name) : nameText(name)}=${text}`;
}

/** `f32[N, rows=784]`, or several in parentheses. */
export const valueTypeText = (t: ValueType): string =>
  isTuple(t) ? `(${t.items.map(valueTypeText).join(", ")})` : `${t.dtype}[${t.shape.map((s, i) => axisText(s, t.axes[i] ?? null)).join(", ")}]`;

const listText = (items: readonly string[]): string => `[${items.join(", ")}]`;

function attrValueText(x: AttrValue): string {
  if (typeof x === "number") return numberText(x);
  if (typeof x === "string") return JSON.stringify(x);
  return typeof x === "boolean" ? String(x) : listText(x.map(attrValueText));
}

/** The value of an attribute; null for what the type or a body says. */
function attributeText(kind: AttrKind, value: unknown): string | null {
  if (typeof kind !== "string") return String(value);
  switch (kind) {
    case "text": return nameText(value as string);
    case "number": case "count": case "positive": return numberText(value as number);
    case "values": return typeof value === "number" ? numberText(value) : listText((value as readonly number[]).map(numberText));
    case "flag": return String(value);
    case "counts": case "pair": return listText((value as readonly number[]).map(numberText));
    case "pairs": return listText((value as readonly (readonly number[])[]).map(pair => listText(pair.map(numberText))));
    case "size": case "trips": return sizeText(value as Size);
    case "sizes": return listText((value as readonly Size[]).map(sizeText));
    case "record": return `{${Object.entries(value as { readonly [key: string]: AttrValue }).map(([key, x]) => `${nameText(key)}: ${attrValueText(x)}`).join(", ")}}`;
    case "type": case "dtype": case "shape": case "axes": case "graph": case "optional graph": return null;
  }
}

const spanComment = (n: Node): string => (n.span ? `  # ${/^[^\s"](.*[^\s])?$/.test(n.span.file) ? n.span.file : JSON.stringify(n.span.file)}:${n.span.line}:${n.span.column}` : "");

const numbered = (id: NodeId): string => `%${id}`;

/** One node's line, without its bodies. Labels are the nodes' numbers unless others are given. */
export function nodeText(n: Node, own: string, labelOf: (id: NodeId) => string = numbered): string {
  const leading = LEADING[n.op];
  const attrs = n.attrs as { readonly [name: string]: unknown };
  let text = `${own} = ${n.op}`;
  if (leading !== undefined) {
    const kind = attributesOf(n.op).find(([name]) => name === leading)![1];
    text += ` ${attributeText(kind, attrs[leading])}`;
  }
  n.inputs.forEach((input, i) => {
    text += `${i === 0 ? " " : ", "}${labelOf(input)}`;
  });
  for (const [name, kind] of attributesOf(n.op)) {
    if (name === leading || attrs[name] === undefined) continue;
    const value = attributeText(kind, attrs[name]);
    if (value !== null && !(kind === "record" && value === "{}")) text += ` ${name}=${value}`;
  }
  return `${text} : ${valueTypeText(n.type)}${spanComment(n)}`;
}

const dimText = (d: DimDecl): string => `dim ${d.name}: ${d.binding} ${d.min} .. ${d.max}${d.multipleOf === 1 ? "" : ` multiple ${d.multipleOf}`}`;

function lines(g: Graph, word: string, indent: string, into: string[]): void {
  const inside = `${indent}  `;
  into.push(`${indent}${word} ${nameText(g.name)} {`);
  for (const d of g.dims) into.push(inside + dimText(d));
  for (const s of g.states) into.push(`${inside}state ${nameText(s.name)}: ${valueTypeText(s.type)}`);
  g.nodes.forEach((n, id) => {
    into.push(inside + nodeText(n, numbered(id)));
    if (n.op === "loop" || n.op === "composite") lines(n.attrs.body, "body", `${inside}  `, into);
    if (n.op === "composite" && n.attrs.gradient) lines(n.attrs.gradient, "gradient", `${inside}  `, into);
  });
  const named = (what: string) => (x: Named): void => {
    into.push(`${inside}${what} ${nameText(x.name)} = %${x.id}`);
  };
  g.outputs.forEach(named("output"));
  g.updates.forEach(named("update"));
  if (g.effects.length > 0) into.push(`${inside}effects ${g.effects.map(id => `%${id}`).join(", ")}`);
  into.push(`${indent}}`);
}

/** The graph's lines; the nodes of the graph itself stand one after the other. */
export function graphText(g: Graph): string {
  const into: string[] = [];
  lines(g, "graph", "", into);
  return `${into.join("\n")}\n`;
}

/** Several graphs, one after the other: the entries of a program. */
export const graphsText = (graphs: readonly Graph[]): string => graphs.map(graphText).join("\n");
