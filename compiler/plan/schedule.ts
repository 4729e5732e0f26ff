// A schedule: what an entry does when it runs, as plain data. Steps are in order; every worker walks them itself and meets
// the others after each launch. Buffers are places in one linear memory: constants, states and workspace.
//
// A wasm kernel is exported as `(args: i32, lo: i32, hi: i32, scratch: i32)`: args points to i32 words, the addresses of its
// params in order and then the values of its dims in order; [lo, hi) is the range of tasks (the row-major index of the grid);
// scratch points to this worker's local memory, `Kernel`'s local buffers laid out by the emitter.
import type { DType } from "../base/dtypes.ts";
import type { DimDecl, Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import type { TensorType } from "../graph/graph.ts";
import type { Kernel } from "../kernel/ir.ts";
import type { MachineName } from "../kernel/machines.ts";
import type { Procedure } from "./procedure.ts";

export type BufferId = number;

/** What indices of 32 bits count: they have a sign, and run a little beyond the elements where a loop goes in blocks. */
export const MOST_COUNTED = 2 ** 31 - 2 ** 16;

export interface ScheduleBuffer {
  readonly dtype: DType;
  readonly shape: readonly Size[];
  /** input, output and workspace: at the start of a slot of the entry. state and constant: at load, by name or index. */
  readonly place:
    | { readonly kind: "slot"; readonly slot: number }
    | { readonly kind: "state"; readonly name: string }
    | { readonly kind: "constant"; readonly index: number };
}

/** Spans that may be missing are for traces. A launch has the lines of its own, the first before the others, since equal kernels are one. */
export type Step =
  | { readonly kind: "launch"; readonly kernel: number; readonly buffers: readonly BufferId[]; readonly tasks: Size; readonly spans: readonly Span[] }
  | { readonly kind: "copy"; readonly from: BufferId; readonly to: BufferId; readonly span?: Span | null }
  /** `index` (i32 scalar) counts 0 … trips − 1. After the body, `until` (bool scalar) may end the loop. */
  | { readonly kind: "loop"; readonly trips: Size; readonly index: BufferId; readonly until: BufferId | null; readonly body: readonly Step[] }
  | { readonly kind: "print"; readonly buffer: BufferId; readonly label: string; readonly span: Span | null }
  | { readonly kind: "assert"; readonly buffer: BufferId; readonly message: string; readonly span: Span | null };

export interface Schedule {
  readonly entry: string;
  readonly dims: readonly DimDecl[];
  readonly inputs: readonly { readonly name: string; readonly type: TensorType; readonly buffer: BufferId }[];
  readonly outputs: readonly { readonly name: string; readonly type: TensorType; readonly buffer: BufferId }[];
  /** States it reads before writing them: they must have a value. And those it writes. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly buffers: readonly ScheduleBuffer[];
  readonly steps: readonly Step[];
  /** Element counts of tensors, be they stored or not, that the bounds of dims let grow beyond what indices of 32 bits count, with the lines that ask for them. */
  readonly counts?: readonly { readonly elements: Size; readonly span: Span | null }[];
  /** Bytes of the places that buffers share one after the other. They lie one behind the other, each at a multiple of
   *  `SLOT_ALIGNMENT`, once dims are bound: no sum of them stands here, so that a schedule grows with its steps alone. */
  readonly slots: readonly Size[];
  /** The entry's own place, or that of the state whose first value it makes. */
  readonly span?: Span | null;
}

export interface Constant {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A program's entries as kernels and schedules for one machine profile. */
export interface Lowering {
  readonly machine: MachineName;
  readonly kernels: readonly Kernel[];
  /** Of entries and first values, in one order whatever the machine. */
  readonly schedules: readonly Schedule[];
}

/** What a container holds, and all that a runtime needs. Constants are shared by the lowerings, of which there is at least one. */
export interface CompiledProgram {
  readonly name: string;
  readonly dims: readonly DimDecl[];
  /** `init` names a schedule with one output, `value`; without it the state must be loaded or written before it is read. */
  readonly states: readonly { readonly name: string; readonly type: TensorType; readonly init: string | null; readonly span: Span | null }[];
  readonly constants: readonly Constant[];
  readonly procedures: readonly Procedure[];
  readonly lowerings: readonly Lowering[];
}

/** The program as one machine runs it. */
export type Lowered<P extends { readonly lowerings: readonly unknown[] }> = Omit<P, "lowerings"> & P["lowerings"][number];

export function lowered<P extends { readonly lowerings: readonly object[] }>(program: P, lowering: number): Lowered<P> {
  const { lowerings, ...rest } = program;
  return { ...rest, ...lowerings[lowering] } as Lowered<P>;
}
