// Computes equal things once: nodes of the same op, operands, attributes and type become the first of them. Operands of
// commutative ops count in either order. Prints and assertions happen each for itself, and tags keep their places.
import type { Graph, Node, NodeId, OpName } from "../graph/graph.ts";
import { graphText, nodeText } from "../graph/text.ts";
import { rebuild, sameType } from "./rebuild.ts";
import { isCommutative } from "./rewrite.ts";
import type { Fired, Transform } from "./transform.ts";

const UNIQUE: ReadonlySet<OpName> = new Set(["input", "print", "assert", "tag"]);
/** Longer arrays are not compared. */
const LONGEST = 4096;
const isUnique = (n: Node): boolean => UNIQUE.has(n.op) || (n.op === "const" && typeof n.attrs.value !== "number" && n.attrs.value.length > LONGEST);

export const commonSubexpressions: Transform = {
  name: "common-subexpressions",
  summary: "compute equal things once",
  run: (graph, fired = () => undefined) => share(graph, fired),
};

function share(graph: Graph, fired: Fired): Graph {
  const first = new Map<string, NodeId>();
  return rebuild(graph, body => share(body, fired), (n, table) => {
    if (isUnique(n)) return table.push(n);
    const key = keyOf(n);
    const known = first.get(key);
    // A swapped pair of operands may name the axes of the result otherwise.
    if (known !== undefined && sameType(table.nodes[known]!.type, n.type)) {
      fired(`share-${n.op}`);
      return known;
    }
    const id = table.push(n);
    if (known === undefined) first.set(key, id);
    return id;
  });
}

/** Equal for nodes that compute the same. */
function keyOf(n: Node): string {
  const inputs = isCommutative(n.op) ? [...n.inputs].sort((a, b) => a - b) : n.inputs;
  if (Object.keys(n.attrs).length === 0) return `${n.op} ${inputs.join()}`;
  const bodies = n.op === "loop" ? [n.attrs.body] : n.op === "composite" ? [n.attrs.body, ...(n.attrs.gradient ? [n.attrs.gradient] : [])] : [];
  return `${nodeText({ ...n, inputs, span: null } as Node, "")}${bodies.map(bodyText).join("")}`;
}

const texts = new WeakMap<Graph, string>();
function bodyText(body: Graph): string {
  const known = texts.get(body);
  if (known !== undefined) return known;
  const text = graphText(withoutSpans(body));
  texts.set(body, text);
  return text;
}

function withoutSpans(body: Graph): Graph {
  return { ...body, name: "", nodes: body.nodes.map((n): Node => {
    if (n.op === "loop") return { ...n, span: null, attrs: { ...n.attrs, body: withoutSpans(n.attrs.body) } };
    if (n.op !== "composite") return { ...n, span: null };
    return { ...n, span: null, attrs: { ...n.attrs, body: withoutSpans(n.attrs.body), ...(n.attrs.gradient ? { gradient: withoutSpans(n.attrs.gradient) } : {}) } };
  }) };
}
