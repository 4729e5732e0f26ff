// The native backend: programs on the addon, in a thread of their own with a crew of workers. It never blocks; while nothing is
// running it does not keep the process alive. Files and pictures are read and written here, as for WebAssembly, so that
// both give the same for every format.
import { createRequire } from "node:module";
import { type Diagnostic, SluiceError } from "../../compiler/base/diagnostics.ts";
import type { DType } from "../../compiler/base/dtypes.ts";
import type { DimValues } from "../../compiler/base/sizes.ts";
import type { Slot } from "../../compiler/plan/procedure.ts";
import type { Backend, PerformEffect, RunSink } from "../backend.ts";
import type { HostEffect, ProcedureValue } from "../procedure.ts";
import { type HostTensor, tensorOfBytes } from "../tensor.ts";
import { requireBuilt } from "./built.ts";

/** `vulkan` and `cuda` take the fastest device; else one by number, or by a part of its name. */
export type NativeTarget = "cpu" | "vulkan" | `vulkan:${string}` | "cuda" | `cuda:${string}`;

export interface NativeOptions {
  readonly target: NativeTarget;
  /** A container, whose code is run. */
  readonly bytes: Uint8Array;
  readonly threads: number;
  readonly dims: DimValues;
  readonly checkNan: boolean;
  readonly trace: boolean;
  /** Of Vulkan: whatever its validation layers say is an error, GPU007. */
  readonly validate: boolean;
  perform: PerformEffect;
  print(text: string): void;
}

/** A tensor that comes from the addon; one that goes there is a HostTensor. */
interface NativeTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}
type Pairs<T> = readonly (readonly [name: string, value: T])[];

type Effect = Exclude<HostEffect, { kind: "pause" }>;
type NativeEffect =
  | { readonly kind: "write"; readonly path: string; readonly tensor: NativeTensor }
  | { readonly kind: "save"; readonly path: string; readonly tensors: Pairs<NativeTensor> }
  | Extract<Effect, { kind: "load" | "read" | "pixels" }>;
interface NativeRow {
  readonly kind: "log" | "emit";
  readonly inLoop: boolean;
  readonly values: readonly { readonly name: string; readonly value: number | string | NativeTensor }[];
}
type NativeError = { readonly diagnostic: Diagnostic } | { readonly message: string };
type Message =
  | readonly [kind: "print", text: string]
  | readonly [kind: "ask", effect: NativeEffect]
  | readonly [kind: "rows", rows: readonly NativeRow[], progress: readonly [done: number, total: number] | null];

/** What runtime/native/addon.cc defines. Promises are rejected with a NativeError. */
interface NativeProgram {
  open(): Promise<string>;
  call(entry: string, inputs: Pairs<HostTensor>, dims: Pairs<number>): Promise<Pairs<NativeTensor>>;
  run(procedure: string, args: readonly (readonly [Slot, ProcedureValue])[]): Promise<boolean>;
  cancel(): void;
  /** The rows that came last were taken, and everything else had its turn. */
  taken(): void;
  answer(answer: { readonly error: NativeError } | { readonly tensors: Pairs<HostTensor> } | { readonly tensor: HostTensor } | Record<string, never>): void;
  getState(name: string): Promise<NativeTensor>;
  setState(name: string, value: HostTensor): Promise<void>;
  trace(): Promise<string>;
  close(): Promise<void>;
}
interface Addon {
  readonly NativeProgram: new (bytes: Uint8Array, options: { target: NativeTarget; threads: number; dims: Pairs<number>; checkNan: boolean; trace: boolean; validate: boolean }, listener: (...message: Message) => void) => NativeProgram;
}

const fromNative = ({ dtype, shape, bytes }: NativeTensor): HostTensor => tensorOfBytes(dtype, shape, bytes);
const tensorsFromNative = (pairs: Pairs<NativeTensor>): Map<string, HostTensor> => new Map(pairs.map(([name, t]) => [name, fromNative(t)]));
const toNativeError = (error: unknown): NativeError => (error instanceof SluiceError ? { diagnostic: error.diagnostic } : { message: error instanceof Error ? error.message : String(error) });

async function settled<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    const native = error as NativeError;
    throw "diagnostic" in native ? new SluiceError(native.diagnostic) : new Error(native.message);
  }
}

function effectOf(effect: NativeEffect): Effect {
  switch (effect.kind) {
    case "write": return { ...effect, tensor: fromNative(effect.tensor) };
    case "save": return { ...effect, tensors: tensorsFromNative(effect.tensors) };
    default: return effect;
  }
}

/** Throws CPU007 where the addon is not built, CPU005 where the container has no code for this machine, GPU001 to GPU008 for GPUs. */
export async function startNative(options: NativeOptions): Promise<Backend> {
  const { NativeProgram } = createRequire(import.meta.url)(requireBuilt("addon")) as Addon;
  let sink: RunSink | null = null;
  const { target, checkNan, trace, validate } = options;
  const program = new NativeProgram(options.bytes, { target, threads: Math.max(1, options.threads), dims: Object.entries(options.dims), checkNan, trace, validate }, (...message) => {
    switch (message[0]) {
      case "print":
        options.print(message[1]);
        break;
      case "ask":
        void answer(message[1]);
        break;
      case "rows":
        for (const row of message[1]) sink?.row({ kind: row.kind, inLoop: row.inLoop, values: row.values.map(({ name, value }) => ({ name, value: typeof value === "object" ? fromNative(value) : value })) });
        if (message[2]) sink?.progress(...message[2]);
        setImmediate(() => program.taken());
        break;
    }
  });
  const answer = async (effect: NativeEffect): Promise<void> => {
    try {
      const reply = await options.perform(effectOf(effect));
      program.answer(reply === undefined ? {} : "dtype" in reply ? { tensor: reply } : { tensors: [...reply] });
    } catch (error) {
      program.answer({ error: toNativeError(error) });
    }
  };
  const description = await settled(program.open()).catch(async (error: unknown) => {
    await program.close();
    throw error;
  });
  return {
    description,
    call: async (entry, inputs, dims) => tensorsFromNative(await settled(program.call(entry, [...inputs], Object.entries(dims)))),
    async run(procedure, args, to, signal) {
      sink = to;
      const cancel = (): void => program.cancel();
      const running = settled(program.run(procedure, [...args]));
      signal.addEventListener("abort", cancel);
      if (signal.aborted) cancel();
      try {
        return await running;
      } finally {
        signal.removeEventListener("abort", cancel);
        sink = null;
      }
    },
    getState: async name => fromNative(await settled(program.getState(name))),
    setState: (name, value) => settled(program.setState(name, value)),
    trace: trace ? () => settled(program.trace()) : null,
    close: () => settled(program.close()),
  };
}
