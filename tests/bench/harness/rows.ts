// What a benchmark reports: rows, as a table for people and as JSON. A row with a goal is met or it is not; a peer that is
// not installed never makes a row met.
import { cpus, totalmem } from "node:os";

export interface Row {
  readonly suite: string;
  readonly row: string;
  /** The best of the runs, in `unit`; null: it could not be measured, and `note` says why. */
  readonly ours: number | null;
  readonly peer: number | null;
  readonly peerName: string;
  readonly unit: string;
  /** How often ours goes into the peer for times (larger is better), ours over peer for sizes. */
  readonly ratio: number | null;
  readonly goal: string;
  /** Null: the row has no goal of its own. */
  readonly met: boolean | null;
  readonly device: string;
  readonly medians?: { readonly ours: number; readonly peer: number | null };
  readonly note?: string;
}

export interface Timing {
  readonly best: number;
  readonly median: number;
}
export function timingOf(milliseconds: readonly number[]): Timing {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  return { best: sorted[0] ?? Number.NaN, median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN };
}

export const device = `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;

/** Why something could not be measured. */
export interface Missing {
  readonly why: string;
}
export const isMissing = (x: object): x is Missing => "why" in x;

interface Compared {
  readonly suite: string;
  readonly row: string;
  readonly peerName: string;
  readonly ours: Timing | Missing;
  readonly peer: Timing | Missing;
  /** How many times faster than the peer ours must be; left out: no goal. */
  readonly factor?: number;
}
/** A row of times against a peer's. */
export function timesRow({ suite, row, peerName, ours, peer, factor }: Compared): Row {
  const [own, other] = [isMissing(ours) ? null : ours, isMissing(peer) ? null : peer];
  const ratio = own && other ? other.best / own.best : null;
  const notes = [ours, peer].flatMap(x => (isMissing(x) ? [x.why] : []));
  return {
    suite, row, ours: own?.best ?? null, peer: other?.best ?? null, peerName, unit: "ms", ratio, goal: factor === undefined ? "" : `≥ ${factor}×`,
    met: factor === undefined ? null : ratio !== null && ratio >= factor, device,
    ...(own ? { medians: { ours: own.median, peer: other?.median ?? null } } : {}), ...(notes.length > 0 ? { note: notes.join("; ") } : {}),
  };
}

interface Limited {
  readonly suite: string;
  readonly row: string;
  readonly unit: string;
  readonly ours: number | Missing;
  /** Left out: no goal. */
  readonly limit?: number;
  /** Which side of the limit is good; at most, if left out. */
  readonly side?: "most" | "least";
  readonly median?: number;
  readonly note?: string;
}
/** A row that must stay at or on one side of a limit, if it has one. */
export function limitRow({ suite, row, unit, ours, limit, side = "most", median, note }: Limited): Row {
  const own = typeof ours === "number" ? ours : null;
  const text = [typeof ours === "number" ? undefined : ours.why, note].filter(x => x !== undefined).join("; ");
  return {
    suite, row, ours: own, peer: null, peerName: "", unit, ratio: null, goal: limit === undefined ? "" : `${side === "most" ? "≤" : "≥"} ${limit} ${unit}`,
    met: limit === undefined ? null : own !== null && (side === "most" ? own <= limit : own >= limit), device,
    ...(own !== null && median !== undefined ? { medians: { ours: median, peer: null } } : {}), ...(text ? { note: text } : {}),
  };
}

interface Counted {
  readonly suite: string;
  readonly row: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly note?: string;
}
/** A row of what is counted, not timed: fewer is better. */
export const countsRow = (counted: Counted): Row => ({ ...counted, ratio: counted.peer / counted.ours, goal: "", met: null, device });

/** A row that needs what is not here: its goal is neither met nor missed. */
export const notRunRow = (suite: string, row: string, goal: string, { why }: Missing): Row =>
  ({ suite, row, ours: null, peer: null, peerName: "", unit: "", ratio: null, goal, met: null, device, note: `not run: ${why}` });

export const numberText = (x: number | null): string => (x === null ? "–" : Math.abs(x) >= 100 ? x.toFixed(0) : Math.abs(x) >= 10 ? x.toFixed(1) : x.toFixed(2));
export const metText = (met: boolean | null): string => (met === null ? "" : met ? "yes" : "no");

/** Columns of a row, as text: what both the terminal and the document show. */
export const COLUMNS = ["row", "ours", "median", "peer", "median", "peer's name", "ratio", "goal", "met"] as const;
export const cells = (r: Row): string[] => [
  r.row, r.ours === null ? "–" : `${numberText(r.ours)} ${r.unit}`, r.medians ? numberText(r.medians.ours) : "", r.peer === null ? "–" : `${numberText(r.peer)} ${r.unit}`,
  r.medians && r.medians.peer !== null ? numberText(r.medians.peer) : "", r.peerName, r.ratio === null ? "" : `${r.ratio.toFixed(2)}×`, r.goal, metText(r.met),
];

/** The rows as a table for a terminal, with notes below. */
export function tableText(rows: readonly Row[]): string {
  const lines = [[...COLUMNS], ...rows.map(cells)];
  const widths = COLUMNS.map((_, i) => Math.max(...lines.map(l => l[i]!.length)));
  const notes = rows.flatMap(r => (r.note ? [`  ${r.row}: ${r.note}`] : []));
  return [...lines.map(l => l.map((text, i) => (i === 0 || i === 5 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join("  ").trimEnd()), ...notes].join("\n");
}
