// What stands behind a loaded program: something that runs its entries and procedures. Calls come one at a time.
import type { DimValues } from "../compiler/base/sizes.ts";
import type { Slot } from "../compiler/plan/procedure.ts";
import type { EmittedRow, HostEffect, EffectReply, ProcedureValue } from "./procedure.ts";
import type { HostTensor } from "./tensor.ts";

export interface RunSink {
  row(row: EmittedRow): void;
  progress(done: number, total: number): void;
}

export interface Backend {
  /** For people: "wasm, 2 threads, relaxed SIMD". */
  readonly description: string;
  call(entry: string, inputs: ReadonlyMap<string, HostTensor>, dims: DimValues): Promise<ReadonlyMap<string, HostTensor>>;
  /** False if it was cancelled. */
  run(procedure: string, args: ReadonlyMap<Slot, ProcedureValue>, sink: RunSink, signal: AbortSignal): Promise<boolean>;
  getState(name: string): Promise<HostTensor>;
  setState(name: string, value: HostTensor): Promise<void>;
  /** What happened so far, as Chrome-trace JSON; null: nothing is recorded. */
  readonly trace: (() => Promise<string>) | null;
  close(): Promise<void>;
}

/** Performs what a procedure asks of its surroundings. */
export type PerformEffect = (effect: Exclude<HostEffect, { kind: "pause" }>) => Promise<EffectReply>;
