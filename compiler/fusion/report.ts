// What fusion made of a graph, to be seen: its kernels with the bytes that each reads and writes, its arithmetic and the
// ratio of the two, and what they come to against every op as a kernel of its own.
import { DTYPES, type DType } from "../base/dtypes.ts";
import { type DimDecl, type DimValues, evaluateSize, mulSize, productSize, type Size } from "../base/sizes.ts";
import { type Graph, isTuple, type Node, type TensorType } from "../graph/graph.ts";
import { opDefinition } from "../graph/ops.ts";
import type { Kernel } from "../kernel/ir.ts";
import type { Lowering, Step } from "../plan/schedule.ts";
import { isFree } from "./partition.ts";

export interface Work {
  readonly name: string;
  readonly summary: string;
  readonly read: number;
  readonly written: number;
  readonly flops: number;
}

const bytesOf = (dtype: DType, shape: readonly Size[]): Size => mulSize(productSize(shape), DTYPES[dtype].bits / 8);

/** The launches and copies of a lowering's first schedule, in order; those of a loop count once for each of its rounds. */
export function fusedWork({ kernels, schedules }: Lowering, dims: DimValues): Work[] {
  const { steps, buffers } = schedules[0]!;
  const value = (size: Size): number => evaluateSize(size, dims);
  const kernelWork = (k: Kernel, times: number): Work => {
    const bytes = (written: boolean): number => k.params.filter(p => p.access === "readwrite" || (p.access === "write") === written).reduce((sum, p) => sum + value(bytesOf(p.dtype, p.shape)), 0);
    return { name: k.name, summary: k.summary, read: times * bytes(false), written: times * bytes(true), flops: times * value(k.flops) };
  };
  const walk = (list: readonly Step[], times: number): Work[] => list.flatMap((s): Work[] => {
    switch (s.kind) {
      case "launch": return [kernelWork(kernels[s.kernel]!, times)];
      case "copy": {
        const moved = times * value(bytesOf(buffers[s.from]!.dtype, buffers[s.from]!.shape));
        return [{ name: "copy", summary: "", read: moved, written: moved, flops: 0 }];
      }
      case "loop": return walk(s.body, times * value(s.trips));
      case "print": case "assert": return [];
    }
  });
  return walk(steps, 1);
}

/** Every op of a graph without composites as a kernel of its own; bodies of loops count once. */
export function unfusedWork({ nodes }: Graph, dims: DimValues): Work[] {
  const bytes = ({ dtype, shape }: TensorType): number => evaluateSize(bytesOf(dtype, shape), dims);
  const typesOf = ({ type }: Node): readonly TensorType[] => (isTuple(type) ? type.items : [type]);
  return nodes.filter(n => !isFree(n)).map(n => {
    const inputs = n.inputs.flatMap(i => typesOf(nodes[i]!));
    return {
      name: n.op, summary: "", read: inputs.reduce((sum, t) => sum + bytes(t), 0), written: typesOf(n).reduce((sum, t) => sum + bytes(t), 0),
      flops: evaluateSize(opDefinition(n.op).flops(n as never, inputs), dims),
    };
  });
}

/** A size that is easily read for each dim that has none: 512, or what its bounds allow. */
export const exampleDims = (decls: readonly DimDecl[], given: DimValues): DimValues =>
  Object.fromEntries(decls.map(({ name, min, max, multipleOf }) => [name, given[name] ?? Math.max(min, Math.floor(Math.min(max, 512) / multipleOf) * multipleOf)]));

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
function bytesText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 1024 ** unit;
  return `${scaled >= 100 || unit === 0 ? scaled.toFixed(0) : scaled.toPrecision(3)} ${UNITS[unit]}`;
}
function countText(n: number): string {
  const unit = Math.max(0, Math.min(4, Math.floor(Math.log10(Math.max(1, n)) / 3)));
  const scaled = n / 1000 ** unit;
  return unit === 0 ? `${n}` : `${scaled >= 100 ? scaled.toFixed(0) : scaled.toPrecision(3)} ${["", "k", "M", "G", "T"][unit]}`;
}
const intensity = ({ read, written, flops }: Omit<Work, "name" | "summary">): string => (read + written === 0 ? "–" : (flops / (read + written)).toPrecision(3));

const sumOf = (works: readonly Work[]): Omit<Work, "name" | "summary"> =>
  works.reduce((sum, w) => ({ read: sum.read + w.read, written: sum.written + w.written, flops: sum.flops + w.flops }), { read: 0, written: 0, flops: 0 });

/** A table for people: a line for each kernel, their sum, and the sum of the ops one by one. */
export function fusionText(title: string, fused: readonly Work[], unfused: readonly Work[]): string {
  const cells = (name: string, w: Omit<Work, "name" | "summary">, summary: string): string[] => [name, bytesText(w.read), bytesText(w.written), countText(w.flops), intensity(w), summary];
  const kernels = fused.filter(w => w.name !== "copy").length;
  const [all, apart] = [sumOf(fused), sumOf(unfused)];
  const ratio = (apart.read + apart.written) / (all.read + all.written);
  const rows = [
    ["kernel", "reads", "writes", "flops", "flops/byte", "what it computes"],
    ...fused.map(w => cells(w.name, w, w.summary)),
    cells(`${kernels} ${kernels === 1 ? "kernel" : "kernels"}`, all, ""),
    cells(`${unfused.length} ops unfused`, apart, Number.isFinite(ratio) ? `${ratio.toPrecision(3)} × the bytes` : ""),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(r => r[column]!.length)));
  const line = (r: readonly string[]): string => r.map((cell, i) => (i === 0 || i === r.length - 1 ? cell.padEnd(i === 0 ? widths[0]! : 0) : cell.padStart(widths[i]!))).join("  ").trimEnd();
  return `${title}\n${rows.map(line).join("\n")}\n`;
}
