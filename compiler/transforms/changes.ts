// What passes change, as lines of .slir: the nodes of a graph under labels that stay theirs from pass to pass, in a table that
// is committed once a pass through Immer, whose patches are the lines that went, came and changed. A node keeps its label if a
// node that does the same is there afterwards, or else one that differs in its inputs alone.
import { enablePatches, type Patch, produceWithPatches } from "immer";
import type { Graph, Named, NodeId } from "../graph/graph.ts";
import { nameText, nodeText } from "../graph/text.ts";

enablePatches();

export interface Change {
  readonly pass: string;
  /** How often each rule was applied. */
  readonly rules: ReadonlyMap<string, number>;
  readonly removed: readonly string[];
  readonly added: readonly string[];
  readonly changed: readonly { readonly before: string; readonly after: string }[];
}

/** The lines of a graph by label; those of bodies have the labels of the nodes around them in front. */
type Lines = { readonly [label: string]: string };

interface Labelled {
  readonly graph: Graph;
  readonly labels: readonly string[];
  readonly bodies: ReadonlyMap<string, Labelled>;
  /** The number of the next new label. */
  readonly next: number;
}

export class ChangeLog {
  #labelled: Labelled;
  #lines: Lines;

  constructor(graph: Graph) {
    this.#labelled = label(graph, null);
    this.#lines = linesOf(this.#labelled);
  }

  /** What the pass that led to this graph has changed. */
  commit(pass: string, graph: Graph, rules: ReadonlyMap<string, number>): Change {
    this.#labelled = label(graph, this.#labelled);
    const wanted = linesOf(this.#labelled);
    const [lines, patches, inverse] = produceWithPatches(this.#lines, draft => {
      const table = draft as { [label: string]: string };
      for (const name of Object.keys(this.#lines)) if (wanted[name] === undefined) delete table[name];
      for (const [name, line] of Object.entries(wanted)) if (this.#lines[name] !== line) table[name] = line;
    });
    this.#lines = lines;
    const before = new Map(inverse.map(p => [String(p.path[0]), String(p.value)]));
    const of = (op: Patch["op"]): Patch[] => patches.filter(p => p.op === op);
    // A body that goes or comes with its node goes without saying.
    const whole = (op: Patch["op"]): Patch[] => {
      const labels = new Set(of(op).map(p => String(p.path[0])));
      return of(op).filter(p => !ownersOf(String(p.path[0])).some(owner => labels.has(owner)));
    };
    return {
      pass, rules,
      removed: whole("remove").map(p => before.get(String(p.path[0]))!),
      added: whole("add").map(p => String(p.value)),
      changed: of("replace").map(p => ({ before: before.get(String(p.path[0]))!, after: String(p.value) })),
    };
  }
}

/** As comments of .slir: a line for the pass and its rules, then the lines that went, came and changed. */
export function changeText({ pass, rules, removed, added, changed }: Change): string {
  const fired = [...rules].map(([rule, times]) => (times === 1 ? rule : `${rule} ×${times}`)).join(", ");
  const count = removed.length + added.length + changed.length;
  const head = `// ${pass}: ${count === 0 ? "no change" : `${removed.length} removed, ${added.length} added, ${changed.length} changed`}${fired ? ` by ${fired}` : ""}`;
  return [head, ...removed.map(l => `//   - ${l}`), ...added.map(l => `//   + ${l}`), ...changed.flatMap(c => [`//   - ${c.before}`, `//   + ${c.after}`])].join("\n");
}

/** The labels of the nodes in whose bodies a line stands: `%3` and `%3 body %1` for `%3 body %1 gradient %0`. */
const ownersOf = (label: string): string[] => [...label.matchAll(/ (body|gradient) /g)].map(found => label.slice(0, found.index));

const bodiesOf = (g: Graph, id: NodeId): readonly (readonly [kind: string, body: Graph])[] => {
  const n = g.nodes[id]!;
  if (n.op === "loop") return [["body", n.attrs.body]];
  return n.op === "composite" ? [["body", n.attrs.body], ...(n.attrs.gradient ? [["gradient", n.attrs.gradient] as const] : [])] : [];
};

function label(graph: Graph, before: Labelled | null): Labelled {
  if (before?.graph === graph) return before;
  const exact = new Labels();
  const alike = new Labels();
  before?.graph.nodes.forEach((n, id) => {
    const own = before.labels[id]!;
    exact.add(nodeText(n, own, i => before.labels[i]!).slice(own.length), own);
    alike.add(nodeText(n, "", () => "%"), own);
  });
  const used = new Set<string>();
  const labels: string[] = [];
  const bodies = new Map<string, Labelled>();
  let next = before?.next ?? 0;
  graph.nodes.forEach((n, id) => {
    const line = nodeText(n, "", i => labels[i]!);
    const known = exact.take(line, used) ?? alike.take(nodeText(n, "", () => "%"), used);
    const own = known ?? `%${next++}`;
    used.add(own);
    labels.push(own);
    for (const [kind, body] of bodiesOf(graph, id)) bodies.set(`${own} ${kind}`, label(body, before?.bodies.get(`${own} ${kind}`) ?? null));
  });
  return { graph, labels, bodies, next };
}

/** Labels under a text, taken in their order. */
class Labels {
  readonly #lists = new Map<string, { readonly labels: string[]; next: number }>();

  add(key: string, label: string): void {
    const list = this.#lists.get(key);
    if (list) list.labels.push(label);
    else this.#lists.set(key, { labels: [label], next: 0 });
  }
  /** The first that is not used. */
  take(key: string, used: ReadonlySet<string>): string | undefined {
    const list = this.#lists.get(key);
    if (!list) return undefined;
    while (list.next < list.labels.length && used.has(list.labels[list.next]!)) list.next++;
    return list.labels[list.next];
  }
}

function linesOf({ graph, labels, bodies }: Labelled, within = ""): Lines {
  const lines: { [label: string]: string } = {};
  graph.nodes.forEach((n, id) => {
    const own = labels[id]!;
    lines[within + own] = within + nodeText(n, own, i => labels[i]!);
    for (const [kind] of bodiesOf(graph, id)) Object.assign(lines, linesOf(bodies.get(`${own} ${kind}`)!, `${within}${own} ${kind} `));
  });
  const named = (what: string, list: readonly Named[]): void => {
    for (const { name, id } of list) lines[`${within}${what} ${name}`] = `${within}${what} ${nameText(name)} = ${labels[id]}`;
  };
  named("output", graph.outputs);
  named("update", graph.updates);
  if (graph.effects.length > 0) lines[`${within}effects`] = `${within}effects ${graph.effects.map(id => labels[id]).join(", ")}`;
  return lines;
}
