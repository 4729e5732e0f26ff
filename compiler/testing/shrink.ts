// Smaller graphs that may fail in the same way, boldest first: one root alone, an operand instead of a root, a new input
// instead of a node and all that only it needed, an operand instead of a node, bodies inlined and made smaller, dims bound.
// Each has fewer nodes, or as many and is simpler otherwise, so shrinking comes to an end.
import { SluiceError } from "../base/diagnostics.ts";
import { type DimValues, dimsOf, type Size, sameSize, substituteSize } from "../base/sizes.ts";
import { type AttrKind, attributesOf } from "../graph/attributes.ts";
import { Build } from "../graph/build.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { copyInto } from "../graph/copy.ts";
import { type Graph, inputsOf, isTuple, type Named, type Node, type NodeId, type OpAttrs, type OpName, rootsOf, type TensorType } from "../graph/graph.ts";
import type { GraphCase } from "./graphs.ts";

const isSource = (n: Node): boolean => n.inputs.length === 0;
const bodiesOf = (n: Node): Graph[] => (n.op === "loop" ? [n.attrs.body] : n.op === "composite" ? [n.attrs.body, ...(n.attrs.gradient ? [n.attrs.gradient] : [])] : []);

/** Nodes, those of bodies included. */
export const countNodes = (g: Graph): number => g.nodes.reduce((sum, n) => sum + 1 + bodiesOf(n).reduce((inner, b) => inner + countNodes(b), 0), 0);
const countInner = (g: Graph): number => g.nodes.reduce((sum, n) => sum + (isSource(n) ? 0 : 1) + bodiesOf(n).reduce((inner, b) => inner + countInner(b), 0), 0);

/** Compared from the left. */
const weightOf = (g: Graph): number[] => [countNodes(g), countInner(g), rootsOf(g).length, g.dims.length + g.states.length];
function isLighter(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((x, i) => x !== b[i]);
  return at >= 0 && a[at]! < b[at]!;
}

export function* smallerCases(c: GraphCase): Generator<GraphCase> {
  const weight = weightOf(c.graph);
  for (const smaller of candidates(c.graph, c.dims)) if (smaller && isLighter(weightOf(smaller), weight)) yield { ...c, graph: smaller };
}

function* candidates(g: Graph, dims: DimValues): Generator<Graph | null> {
  const roots: readonly Roots[] = [
    ...g.outputs.map(o => ({ ...NO_ROOTS, outputs: [o] })), ...g.updates.map(u => ({ ...NO_ROOTS, updates: [u] })), ...g.effects.map(e => ({ ...NO_ROOTS, effects: [e] })),
  ];
  if (roots.length > 1) {
    for (const r of roots) yield edited(g, { roots: r });
    for (const o of g.outputs) yield edited(g, { roots: { ...g, outputs: g.outputs.filter(x => x !== o) } });
    for (const u of g.updates) yield edited(g, { roots: { ...g, updates: g.updates.filter(x => x !== u) } });
    for (const e of g.effects) yield edited(g, { roots: { ...g, effects: g.effects.filter(x => x !== e) } });
  } else {
    yield edited(g, {});
    // An operand of the only root instead of it.
    const [root] = rootsOf(g);
    const operands = root === undefined ? [] : g.nodes[root]!.op === "item" ? g.nodes[g.nodes[root]!.inputs[0]!]!.inputs : g.nodes[root]!.inputs;
    for (const id of new Set(operands)) yield rootedAt(g, id);
  }
  // What nothing uses may fail too.
  const used = new Set([...rootsOf(g), ...g.nodes.flatMap(n => n.inputs)]);
  for (let id = g.nodes.length - 1; id >= 0; id--) if (!used.has(id)) yield rootedAt(g, id);
  for (let id = g.nodes.length - 1; id >= 0; id--) if (!isSource(g.nodes[id]!) && !isTuple(g.nodes[id]!.type)) yield edited(g, { inputAt: id });
  yield* shortcuts(g);
  for (let id = g.nodes.length - 1; id >= 0; id--) {
    const n = g.nodes[id]!;
    if (n.op === "composite" || n.op === "loop") yield edited(g, { inlineAt: id });
    yield* withSmallerBody(g, id);
  }
  for (const d of g.dims) yield boundDim(g, d.name, dims[d.name]!);
}

const rootedAt = (g: Graph, id: NodeId): Graph | null => (isTuple(g.nodes[id]!.type) ? null : edited(g, { roots: { ...NO_ROOTS, outputs: [{ name: "y0", id }] } }));

/** An earlier node of the same type instead of a node: one of its operands, or any for a source. */
function* shortcuts(g: Graph): Generator<Graph | null> {
  for (let id = g.nodes.length - 1; id >= 0; id--) {
    const n = g.nodes[id]!;
    if (isTuple(n.type)) continue;
    const from = n.op === "item" ? g.nodes[n.inputs[0]!]!.inputs : isSource(n) ? g.nodes.map((_, i) => i).filter(i => i < id) : n.inputs;
    for (const i of new Set(from)) if (sameTensor(g.nodes[i]!, n.type)) yield edited(g, { aliasAt: [id, i] });
  }
}
function sameTensor({ type }: Node, other: TensorType): boolean {
  return !isTuple(type) && type.dtype === other.dtype && type.shape.length === other.shape.length && type.shape.every((s, i) => sameSize(s, other.shape[i]!));
}

type Roots = Pick<Graph, "outputs" | "updates" | "effects">;
const NO_ROOTS: Roots = { outputs: [], updates: [], effects: [] };

interface Edit {
  readonly roots?: Roots;
  /** A new input, in a body a constant, stands here. */
  readonly inputAt?: NodeId;
  /** The second stands for the first. */
  readonly aliasAt?: readonly [NodeId, NodeId];
  /** The body of the composite, or one step of the loop, stands here. */
  readonly inlineAt?: NodeId;
  /** Another body at a node. */
  readonly bodyAt?: { readonly id: NodeId; readonly attrs: OpAttrs["loop"] | OpAttrs["composite"] };
  readonly isBody?: boolean;
}

/** The graph with an edit, without what nothing needs any more; null if it does not fit together. A body keeps its inputs. */
function edited(g: Graph, edit: Edit): Graph | null {
  const roots = edit.roots ?? g;
  const needed = neededBy(g, roots, edit);
  const b = new GraphBuilder(g.name);
  for (const d of g.dims) b.declareDim(d);
  const updated = new Set(roots.updates.map(u => u.name));
  for (const s of g.states) if (updated.has(s.name) || g.nodes.some((n, id) => n.op === "state" && n.attrs.name === s.name && needed[id])) b.declareState(s);
  const ids: NodeId[] = [];
  const items = new Map<NodeId, readonly NodeId[]>();
  try {
    g.nodes.forEach((n, id) => {
      if (!needed[id]) return;
      const inputs = n.inputs.map(i => ids[i]!);
      if (edit.aliasAt?.[0] === id) ids[id] = ids[edit.aliasAt[1]]!;
      else if (edit.inputAt === id) ids[id] = replacement(b, g, n, edit.isBody === true);
      else if (edit.inlineAt === id) {
        const results = inlined(b, n, inputs);
        items.set(id, results);
        ids[id] = results[0]!;
      } else if (n.op === "item" && items.has(n.inputs[0]!)) ids[id] = items.get(n.inputs[0]!)![n.attrs.index]!;
      else ids[id] = b.add<OpName>(n.op, inputs, edit.bodyAt?.id === id ? edit.bodyAt.attrs : n.attrs, n.span);
    });
  } catch (e) {
    if (e instanceof SluiceError) return null;
    throw e;
  }
  const moved = (list: readonly Named[]): Named[] => list.map(o => ({ name: o.name, id: ids[o.id]! }));
  // A print whose result is used stays an effect.
  const effects = g.effects.filter(id => needed[id] && edit.inputAt !== id && edit.aliasAt?.[0] !== id).map(id => ids[id]!);
  return withUsedDims({ ...b.finish(), outputs: moved(roots.outputs), updates: moved(roots.updates), effects }, edit.isBody === true ? g.dims : []);
}

function neededBy(g: Graph, roots: Roots, edit: Edit): boolean[] {
  const needed: boolean[] = [];
  for (const id of rootsOf({ ...g, ...roots })) needed[id] = true;
  for (let id = g.nodes.length - 1; id >= 0; id--) {
    const n = g.nodes[id]!;
    if (edit.isBody && n.op === "input") needed[id] = true;
    if (!needed[id] || edit.inputAt === id) continue;
    for (const i of edit.aliasAt?.[0] === id ? [edit.aliasAt[1]] : n.inputs) needed[i] = true;
  }
  return needed;
}

function replacement(b: GraphBuilder, g: Graph, n: Node, isBody: boolean): NodeId {
  const type = n.type as TensorType;
  if (isBody) return new Build(b, null).constant(1, type);
  const taken = new Set(inputsOf(g).map(i => i.name));
  let number = 0;
  while (taken.has(`in${number}`)) number++;
  return b.add("input", [], { name: `in${number}`, type });
}

/** The body's results with the operands in place of its inputs; a loop's first step. */
function inlined(b: GraphBuilder, n: Node, inputs: readonly NodeId[]): NodeId[] {
  if (n.op !== "loop" && n.op !== "composite") return [];
  const { body } = n.attrs;
  const given = n.op === "loop" ? [b.add("const", [], { value: 0, type: { dtype: "i32", shape: [], axes: [] } }), ...inputs] : inputs;
  const ids = copyInto(b, body, given);
  return body.outputs.map(o => ids[o.id]!);
}

function* withSmallerBody(g: Graph, id: NodeId): Generator<Graph | null> {
  const n = g.nodes[id]!;
  if (n.op !== "loop" && n.op !== "composite") return;
  if (n.op === "composite" && n.attrs.gradient) {
    const { gradient: _, ...attrs } = n.attrs;
    yield edited(g, { bodyAt: { id, attrs } });
  }
  const { body } = n.attrs;
  const withBody = (smaller: Graph | null): Graph | null => smaller && edited(g, { bodyAt: { id, attrs: { ...n.attrs, body: smaller } } });
  yield withBody(edited(body, { isBody: true }));
  for (let at = body.nodes.length - 1; at >= 0; at--) {
    const inner = body.nodes[at]!;
    if (!isTuple(inner.type) && !isSource(inner)) yield withBody(edited(body, { inputAt: at, isBody: true }));
    if (inner.op === "loop" || inner.op === "composite") yield withBody(edited(body, { inlineAt: at, isBody: true }));
    if (isTuple(inner.type)) continue;
    for (const i of new Set(inner.inputs)) if (sameTensor(body.nodes[i]!, inner.type)) yield withBody(edited(body, { aliasAt: [at, i], isBody: true }));
  }
}

// ---- sizes everywhere in a graph

/** The attribute with its sizes replaced. */
function mapAttribute(kind: AttrKind, value: unknown, f: (s: Size) => Size): unknown {
  switch (kind) {
    case "size": case "trips": return f(value as Size);
    case "sizes": case "shape": return (value as readonly Size[]).map(f);
    case "type": return { ...(value as TensorType), shape: (value as TensorType).shape.map(f) };
    case "graph": case "optional graph": return value === undefined ? undefined : mapSizes(value as Graph, f);
    default: return value;
  }
}
/** The graph with every size replaced; types follow. Throws SluiceError if it does not fit together. */
function mapSizes(g: Graph, f: (s: Size) => Size): Graph {
  const b = new GraphBuilder(g.name);
  for (const n of g.nodes) {
    const attrs = Object.fromEntries(Object.entries(n.attrs).map(([name, value]) => [name, mapAttribute(attributesOf(n.op).find(([own]) => own === name)![1], value, f)]));
    b.add<OpName>(n.op, n.inputs, attrs as unknown as OpAttrs[OpName], n.span);
  }
  return { ...g, states: g.states.map(s => ({ name: s.name, type: { ...s.type, shape: s.type.shape.map(f) } })), nodes: b.finish().nodes };
}

function boundDim(g: Graph, dim: string, value: number): Graph | null {
  try {
    const withoutDim = (body: Graph): Graph => ({
      ...body, dims: body.dims.filter(d => d.name !== dim),
      nodes: body.nodes.map((n): Node => {
        if (n.op === "loop") return { ...n, attrs: { ...n.attrs, body: withoutDim(n.attrs.body) } };
        if (n.op !== "composite") return n;
        return { ...n, attrs: { ...n.attrs, body: withoutDim(n.attrs.body), ...(n.attrs.gradient ? { gradient: withoutDim(n.attrs.gradient) } : {}) } };
      }),
    });
    return withoutDim(mapSizes(g, s => substituteSize(s, name => (name === dim ? value : undefined))));
  } catch (e) {
    if (e instanceof SluiceError) return null;
    throw e;
  }
}

/** The graph and its bodies declare only the dims that it uses, and `kept`. */
function withUsedDims(g: Graph, kept: Graph["dims"]): Graph {
  const used = new Set<string>(kept.map(d => d.name));
  const seen = (s: Size): Size => {
    dimsOf(s, used);
    return s;
  };
  for (const s of g.states) s.type.shape.forEach(seen);
  const visit = (body: Graph): void => {
    for (const n of body.nodes) {
      for (const t of isTuple(n.type) ? n.type.items : [n.type]) t.shape.forEach(seen);
      for (const [name, kind] of attributesOf(n.op)) if (kind === "size" || kind === "sizes" || kind === "trips") mapAttribute(kind, (n.attrs as { readonly [name: string]: unknown })[name], seen);
      bodiesOf(n).forEach(visit);
    }
  };
  visit(g);
  const declared = (body: Graph): Graph => ({
    ...body, dims: body.dims.filter(d => used.has(d.name)),
    nodes: body.nodes.map((n): Node => {
      if (n.op === "loop") return { ...n, attrs: { ...n.attrs, body: declared(n.attrs.body) } };
      if (n.op !== "composite") return n;
      return { ...n, attrs: { ...n.attrs, body: declared(n.attrs.body), ...(n.attrs.gradient ? { gradient: declared(n.attrs.gradient) } : {}) } };
    }),
  });
  return g.dims.every(d => used.has(d.name)) ? g : declared(g);
}
