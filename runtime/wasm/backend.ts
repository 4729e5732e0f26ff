// The WebAssembly backend on the caller's thread: starts the workers, sends them work and receives results. It never
// blocks; while nothing is running the workers do not keep the process alive.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { DimValues } from "../../compiler/base/sizes.ts";
import type { Backend, PerformEffect, RunSink } from "../backend.ts";
import { lowered } from "../../compiler/plan/schedule.ts";
import type { LoweredProgram, Module, RuntimeProgram, WasmModule } from "../program.ts";
import { turn } from "../procedure.ts";
import { bytesOf, type HostTensor } from "../tensor.ts";
import type { Placed } from "./bind.ts";
import type { EngineFeatures } from "./features.ts";
import { MAX_PAGES } from "./heap.ts";
import { type Answer, buffersOf, errorFromWire, errorToWire, type FromWorker, fromWire, type Port, type Start, tensorsFromWire, type ToLeader, toWire } from "./protocol.ts";

export interface WorkerHandle extends Port<ToLeader, FromWorker> {
  onFailure(listener: (error: Error) => void): void;
  /** Whether the worker keeps the process alive. */
  keepAlive(yes: boolean): void;
  terminate(): void;
}

export interface WasmOptions {
  readonly program: RuntimeProgram;
  readonly modules: readonly Module[];
  readonly features: EngineFeatures;
  readonly threads: number;
  /** What all of it may take of memory. */
  readonly memoryBytes: number;
  readonly dims: DimValues;
  readonly checkNan: boolean;
  readonly trace: boolean;
  spawn(): WorkerHandle;
  perform: PerformEffect;
  print(text: string): void;
}

/** The module to run on an engine: shared memory if there are threads, relaxed SIMD where both have it. */
export function chooseModule(modules: readonly Module[], features: EngineFeatures): WasmModule {
  const usable = modules.filter(m => m.kind === "wasm").filter(m => (!m.relaxed || features.relaxedSimd) && (!m.shared || features.threads));
  const best = usable.sort((a, b) => Number(b.shared) - Number(a.shared) || Number(b.relaxed) - Number(a.relaxed))[0];
  if (!best || !features.simd) {
    throw new SluiceError({
      code: "WASM001", message: "this engine cannot run the program's WebAssembly", found: `SIMD ${features.simd}, relaxed SIMD ${features.relaxedSimd}, shared memory ${features.threads}`,
      expected: "SIMD128", hint: "build with --target wasm, which includes a variant for every engine with SIMD",
    });
  }
  return best;
}

/** Only what the leader needs: kernels' bodies, if there are any, stay here, and so does the file that constants lie in. */
const withoutBodies = (program: LoweredProgram): LoweredProgram => ({
  ...program,
  constants: program.constants.map(c => ({ ...c, bytes: new Uint8Array(c.bytes) })),
  kernels: program.kernels.map(({ name, params, dims, summary }) => ({ name, params, dims, summary })),
});

/** Node's Buffer is a Uint8Array whose `slice` is a view. */
const copyOf = <A extends HostTensor["data"]>(data: A): HostTensor["data"] => (data instanceof Uint8Array ? new Uint8Array(data) : data.slice());

/** Larger inputs are written where they will be used, at the price of one more message. */
const LARGE = 65536;

async function writeShared(memory: WebAssembly.Memory, { address }: Placed, t: HostTensor): Promise<void> {
  const bytes = bytesOf(t);
  // A thread sees that another has grown the memory a moment later.
  while (memory.buffer.byteLength < address + bytes.length) await turn();
  new Uint8Array(memory.buffer).set(bytes, address);
}

type Waiting =
  | { readonly kind: "result"; readonly resolve: (value: ReadonlyMap<string, HostTensor>) => void; readonly reject: (error: Error) => void }
  | { readonly kind: "place"; readonly resolve: (inputs: ReadonlyMap<string, Placed>) => void; readonly reject: (error: Error) => void }
  | { readonly kind: "trace"; readonly resolve: (json: string) => void; readonly reject: (error: Error) => void }
  | { readonly kind: "run"; readonly resolve: (finished: boolean) => void; readonly reject: (error: Error) => void; readonly sink: RunSink };

export async function startWasm(options: WasmOptions): Promise<Backend> {
  const chosen = chooseModule(options.modules, options.features);
  const program = lowered(options.program, chosen.lowering);
  const workers = chosen.shared ? Math.max(1, options.threads) : 1;
  const module = await WebAssembly.compile(chosen.bytes as Uint8Array<ArrayBuffer>);
  const memory = chosen.shared ? new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true }) : null;
  const handles = Array.from({ length: workers }, () => options.spawn());
  const leader = handles[0]!;
  const waiting = new Map<number, Waiting>();
  let next = 0;
  let failure: Error | null = null;
  let starting = workers;
  let stopped: (() => void) | null = null;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const w of waiting.values()) w.reject(error);
    waiting.clear();
    ready.reject(error);
  };
  const ready = Promise.withResolvers<void>();

  const receive = (message: FromWorker): void => {
    switch (message.kind) {
      case "ready":
        if (--starting === 0) ready.resolve();
        break;
      case "stopped":
        stopped?.();
        break;
      case "print":
        options.print(message.text);
        break;
      case "ask":
        void answer(message);
        break;
      case "rows": {
        const w = waiting.get(message.id);
        if (w?.kind !== "run") break;
        for (const row of message.rows) {
          w.sink.row({ kind: row.kind, inLoop: row.inLoop, values: row.values.map(({ name, value }) => ({ name, value: typeof value === "object" ? fromWire(value) : value })) });
        }
        if (message.progress) w.sink.progress(message.progress.done, message.progress.total);
        break;
      }
      case "done": case "failed": case "placed": case "traced": {
        const w = waiting.get(message.id);
        waiting.delete(message.id);
        if (waiting.size === 0) leader.keepAlive(false);
        if (message.kind === "failed") w?.reject(errorFromWire(message.error));
        else if (message.kind === "placed") w?.kind === "place" && w.resolve(message.inputs);
        else if (message.kind === "traced") w?.kind === "trace" && w.resolve(message.json);
        else if (w?.kind === "run") w.resolve(!message.cancelled);
        else if (w?.kind === "result") w.resolve(tensorsFromWire(message.result));
        break;
      }
    }
  };

  const answer = async ({ id, effect }: Extract<FromWorker, { kind: "ask" }>): Promise<void> => {
    let result: Answer | { readonly error: ReturnType<typeof errorToWire> };
    try {
      const reply = await options.perform(
        effect.kind === "write" ? { ...effect, tensor: fromWire(effect.tensor) } : effect.kind === "save" ? { ...effect, tensors: tensorsFromWire(effect.tensors) } : effect,
      );
      result = reply === undefined ? { none: true } : "dtype" in reply ? { tensor: toWire(reply) } : { tensors: [...reply].map(([name, t]) => [name, toWire(t)] as const) };
    } catch (error) {
      result = { error: errorToWire(error) };
    }
    leader.post({ kind: "answer", id, answer: result });
  };

  handles.forEach((handle, worker) => {
    handle.onMessage(receive);
    handle.onFailure(fail);
    const { dims, checkNan, trace, memoryBytes } = options;
    const start: Start = {
      kind: "start", module, memory, worker, workers, kernels: program.kernels.length,
      lead: worker === 0 ? { program: withoutBodies(program), scratch: chosen.scratch, dims, checkNan, trace, memoryBytes } : null,
    };
    handle.post(start);
  });
  await ready.promise;
  for (const handle of handles) handle.keepAlive(false);

  const send = (w: Waiting, message: (id: number) => ToLeader, moved: readonly ArrayBuffer[] = []): number => {
    if (failure) w.reject(failure);
    const id = next++;
    waiting.set(id, w);
    leader.keepAlive(true);
    leader.post(message(id), moved);
    return id;
  };
  const request = (message: (id: number) => ToLeader, moved?: readonly ArrayBuffer[]): Promise<ReadonlyMap<string, HostTensor>> =>
    new Promise((resolve, reject) => void send({ kind: "result", resolve, reject }, message, moved));
  /** A copy of its own, since a message would carry the whole buffer that a view lies in. */
  const copied = (t: HostTensor) => ({ ...toWire(t), data: copyOf(t.data) });

  return {
    description: `wasm, ${workers} thread${workers === 1 ? "" : "s"}, ${chosen.relaxed ? "relaxed SIMD" : "SIMD without fused multiply-add"}`,
    async call(entry, inputs, dims) {
      const large = memory ? [...inputs].filter(([, t]) => t.data.byteLength > LARGE) : [];
      if (memory && large.length > 0) {
        const places = await new Promise<ReadonlyMap<string, Placed>>((resolve, reject) => void send({ kind: "place", resolve, reject }, id => ({ kind: "place", id, entry, dims })));
        for (const [name, t] of large) await writeShared(memory, places.get(name)!, t);
      }
      const wire = [...inputs].filter(pair => !large.includes(pair)).map(([name, t]) => [name, copied(t)] as const);
      return request(id => ({ kind: "call", id, entry, inputs: wire, dims }), buffersOf(wire.map(([, t]) => t)));
    },
    run: (procedure, args, sink, signal) => new Promise((resolve, reject) => {
      const id = send({ kind: "run", resolve, reject, sink }, id => ({ kind: "run", id, procedure, args: [...args] }));
      signal.addEventListener("abort", () => leader.post({ kind: "cancel", id }), { once: true });
    }),
    async getState(name) {
      return (await request(id => ({ kind: "get_state", id, name }))).get("value")!;
    },
    async setState(name, value) {
      const wire = copied(value);
      await request(id => ({ kind: "set_state", id, name, value: wire }), buffersOf([wire]));
    },
    trace: options.trace ? () => new Promise((resolve, reject) => void send({ kind: "trace", resolve, reject }, id => ({ kind: "trace", id }))) : null,
    async close() {
      let left = workers;
      await new Promise<void>(resolve => {
        stopped = () => {
          if (--left === 0) resolve();
        };
        for (const handle of handles) handle.keepAlive(true);
        if (failure) resolve();
        else leader.post({ kind: "stop" });
      });
      for (const handle of handles) handle.terminate();
    },
  };
}
