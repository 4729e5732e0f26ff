// What the caller's thread and the workers say to each other. Tensors travel as plain data; their bytes are moved, not
// copied, wherever the sender made them for the message.
import { type Diagnostic, SluiceError } from "../../compiler/base/diagnostics.ts";
import type { DType } from "../../compiler/base/dtypes.ts";
import type { DimValues } from "../../compiler/base/sizes.ts";
import type { Slot } from "../../compiler/plan/procedure.ts";
import type { HostEffect, HostPicture, ProcedureValue } from "../procedure.ts";
import type { LoweredProgram, WasmCode } from "../program.ts";
import type { Placed } from "./bind.ts";
import { type HostArray, type HostTensor, hostTensor } from "../tensor.ts";

export interface WireTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: HostArray;
}
export type WireTensors = readonly (readonly [name: string, tensor: WireTensor])[];

export type WireEffect =
  | { readonly kind: "write"; readonly path: string; readonly tensor: WireTensor }
  | { readonly kind: "save"; readonly path: string; readonly tensors: WireTensors }
  | Extract<HostEffect, { kind: "load" | "read" | "pixels" }>;

export interface WireRow {
  readonly kind: "log" | "emit";
  readonly inLoop: boolean;
  readonly values: readonly { readonly name: string; readonly value: number | string | WireTensor }[];
}
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** Sent once to each worker. */
export interface Start {
  readonly kind: "start";
  readonly module: WebAssembly.Module;
  /** Null: unshared, which only the worker itself can make. */
  readonly memory: WebAssembly.Memory | null;
  readonly worker: number;
  readonly workers: number;
  readonly kernels: number;
  /** The leader's alone. */
  readonly lead: { readonly program: LoweredProgram; readonly scratch: WasmCode["scratch"]; readonly dims: DimValues; readonly checkNan: boolean; readonly trace: boolean;
    readonly memoryBytes: number } | null;
}

export type Answer = { readonly tensors: WireTensors } | { readonly tensor: WireTensor } | { readonly none: true };
export type WireError = { readonly diagnostic: Diagnostic } | { readonly message: string; readonly stack: string };

export type ToLeader =
  | Start
  /** Asks where the inputs of the next call will lie, so that the caller can write large ones there itself. */
  | { readonly kind: "place"; readonly id: number; readonly entry: string; readonly dims: DimValues }
  /** Inputs that are not among `inputs` were written in place. */
  | { readonly kind: "call"; readonly id: number; readonly entry: string; readonly inputs: WireTensors; readonly dims: DimValues }
  | { readonly kind: "run"; readonly id: number; readonly procedure: string; readonly args: readonly (readonly [Slot, ProcedureValue])[] }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "get_state"; readonly id: number; readonly name: string }
  | { readonly kind: "set_state"; readonly id: number; readonly name: string; readonly value: WireTensor }
  | { readonly kind: "trace"; readonly id: number }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer | { readonly error: WireError } }
  | { readonly kind: "stop" };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "stopped" }
  | { readonly kind: "done"; readonly id: number; readonly result: WireTensors; readonly cancelled: boolean }
  | { readonly kind: "placed"; readonly id: number; readonly inputs: ReadonlyMap<string, Placed> }
  | { readonly kind: "traced"; readonly id: number; readonly json: string }
  | { readonly kind: "failed"; readonly id: number; readonly error: WireError }
  | { readonly kind: "rows"; readonly id: number; readonly rows: readonly WireRow[]; readonly progress: Progress | null }
  | { readonly kind: "ask"; readonly id: number; readonly effect: WireEffect }
  | { readonly kind: "print"; readonly text: string };

/** One end of the line between two threads. */
export interface Port<Sent, Received> {
  post(message: Sent, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: Received) => void): void;
}

export const toWire = ({ dtype, shape, data }: HostTensor): WireTensor => ({ dtype, shape, data });
export const fromWire = ({ dtype, shape, data }: WireTensor): HostTensor => hostTensor(dtype, shape, data);
export const tensorsToWire = (tensors: Iterable<readonly [string, HostTensor]>): WireTensors => [...tensors].map(([name, t]) => [name, toWire(t)]);
export const tensorsFromWire = (tensors: WireTensors): Map<string, HostTensor> => new Map(tensors.map(([name, t]) => [name, fromWire(t)]));
/** The buffers of tensors that were made for a message and can be moved with it. */
export const buffersOf = (tensors: Iterable<WireTensor>): ArrayBuffer[] => [...new Set([...tensors].map(t => t.data.buffer as ArrayBuffer))];

export const errorToWire = (error: unknown): WireError =>
  error instanceof SluiceError ? { diagnostic: error.diagnostic }
    : error instanceof Error ? { message: error.message, stack: error.stack ?? "" } : { message: String(error), stack: "" };

export function errorFromWire(wire: WireError): Error {
  if ("diagnostic" in wire) return new SluiceError(wire.diagnostic);
  return Object.assign(new Error(wire.message), { stack: wire.stack });
}

export const isPicture = (value: ProcedureValue): value is HostPicture => typeof value === "object";
