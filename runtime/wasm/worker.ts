// A worker's life: it gets the module and the memory, and then follows, or leads. The leader answers the caller's messages
// one at a time; while a procedure waits for a file it goes on receiving.
import type { DimValues } from "../../compiler/base/sizes.ts";
import { named } from "../arguments.ts";
import { CANCELLED, driveProcedure, type EffectReply, type HostEffect, type ProcedureSink, runProcedure, turn } from "../procedure.ts";
import { Trace, type TraceLabel } from "../trace.ts";
import { CONTROL_BYTES, Crew, type KernelFunction } from "./crew.ts";
import { MAX_PAGES } from "./heap.ts";
import { WasmMachine } from "./machine.ts";
import {
  type Answer, buffersOf, errorFromWire, errorToWire, type FromWorker, fromWire, type Port, type Progress, type Start, tensorsFromWire, tensorsToWire, type ToLeader, toWire,
  type WireEffect, type WireRow,
} from "./protocol.ts";

export function startWorker(port: Port<FromWorker, ToLeader>): void {
  let leader: Leader | null = null;
  port.onMessage(message => {
    if (message.kind !== "start") {
      leader?.receive(message);
      return;
    }
    const memory = message.memory ?? new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
    const instance = new WebAssembly.Instance(message.module, { env: { memory } });
    const kernels = Array.from({ length: message.kernels }, (_, k) => instance.exports[`k${k}`] as KernelFunction);
    const crew = new Crew(memory, kernels, message.worker, message.workers);
    port.post({ kind: "ready" });
    if (message.lead) leader = new Leader(port, crew, memory, message.workers, message.lead);
    else {
      crew.follow();
      port.post({ kind: "stopped" });
    }
  });
}

type Job = Extract<ToLeader, { kind: "place" | "call" | "run" | "get_state" | "set_state" | "trace" }>;

class Leader {
  readonly #port: Port<FromWorker, ToLeader>;
  readonly #crew: Crew;
  readonly #dims: DimValues;
  readonly #machine: WasmMachine;
  readonly #trace: Trace | null;
  readonly #procedures: ReadonlyMap<string, Parameters<typeof runProcedure>[0]>;
  #cancelled = -1;
  #answer: ((reply: EffectReply) => void) | null = null;
  #refuse: ((error: Error) => void) | null = null;

  constructor(port: Port<FromWorker, ToLeader>, crew: Crew, memory: WebAssembly.Memory, workers: number, { program, scratch, dims, checkNan, trace, memoryBytes }: NonNullable<Start["lead"]>) {
    this.#port = port;
    this.#crew = crew;
    this.#dims = dims;
    this.#trace = trace ? new Trace() : null;
    this.#procedures = new Map(program.procedures.map(p => [p.name, p]));
    const print = (text: string): void => port.post({ kind: "print", text });
    this.#machine = new WasmMachine({ program, scratch, memory, crew, workers, dims, checkNan, trace: this.#trace, start: CONTROL_BYTES, memoryBytes, print });
  }

  receive(message: Exclude<ToLeader, Start>): void {
    switch (message.kind) {
      case "stop":
        this.#crew.dismiss();
        this.#port.post({ kind: "stopped" });
        break;
      case "cancel":
        this.#cancelled = message.id;
        break;
      case "answer": {
        const { answer } = message;
        if ("error" in answer) this.#refuse?.(errorFromWire(answer.error));
        else this.#answer?.(replyOf(answer));
        break;
      }
      default:
        void this.#work(message);
    }
  }

  async #work(job: Job): Promise<void> {
    try {
      if (job.kind === "place") {
        this.#port.post({ kind: "placed", id: job.id, inputs: this.#machine.place(job.entry, job.dims) });
        return;
      }
      if (job.kind === "trace") {
        this.#port.post({ kind: "traced", id: job.id, json: this.#trace!.json() });
        return;
      }
      const cancelled = job.kind === "run" && (await this.#run(job.id, job)) === CANCELLED;
      const result = job.kind === "run" ? [] : this.#perform(job);
      this.#port.post({ kind: "done", id: job.id, result, cancelled }, buffersOf(result.map(([, t]) => t)));
    } catch (error) {
      this.#port.post({ kind: "failed", id: job.id, error: errorToWire(error) });
    }
  }

  #perform(job: Exclude<Job, { kind: "run" | "place" | "trace" }>) {
    switch (job.kind) {
      case "call": {
        const outputs = this.#machine.run(job.entry, tensorsFromWire(job.inputs), job.dims, { othersPlaced: true });
        return tensorsToWire([...outputs].map(([name, placed]) => [name, this.#machine.read(placed)] as const));
      }
      case "get_state":
        return tensorsToWire([["value", this.#machine.getState(job.name)]]);
      case "set_state":
        this.#machine.setState(job.name, fromWire(job.value));
        return [];
    }
  }

  async #run(id: number, job: Extract<Job, { kind: "run" }>): Promise<typeof CANCELLED | undefined> {
    let rows: WireRow[] = [];
    let progress: Progress | null = null;
    const flush = (): void => {
      if (rows.length === 0 && progress === null) return;
      this.#port.post({ kind: "rows", id, rows, progress });
      rows = [];
      progress = null;
    };
    const sink: ProcedureSink = {
      row: row => rows.push({ kind: row.kind, inLoop: row.inLoop, values: row.values.map(({ name, value }) => ({ name, value: typeof value === "object" ? toWire(value) : value })) }),
      progress(done, total) {
        progress = { done, total };
      },
      cancelled: () => this.#cancelled === id,
    };
    const procedure = named("procedure", "ENTRY001", job.procedure, this.#procedures);
    const steps = runProcedure(procedure, new Map(job.args), this.#machine, sink, this.#dims);
    try {
      return await driveProcedure(steps, async effect => {
        flush();
        if (effect.kind === "pause") return turn();
        const begin = performance.now();
        const reply = await this.#ask(id, effect);
        this.#trace?.add(labelOf(effect), begin);
        return reply;
      });
    } finally {
      flush();
    }
  }

  #ask(id: number, effect: Exclude<HostEffect, { kind: "pause" }>): Promise<EffectReply> {
    const wire: WireEffect = effect.kind === "write" ? { ...effect, tensor: toWire(effect.tensor) } : effect.kind === "save" ? { ...effect, tensors: tensorsToWire(effect.tensors) } : effect;
    const moved = wire.kind === "write" ? [wire.tensor] : wire.kind === "save" ? wire.tensors.map(([, t]) => t) : [];
    return new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#refuse = reject;
      this.#port.post({ kind: "ask", id, effect: wire }, buffersOf(moved));
    });
  }
}

function labelOf(effect: Exclude<HostEffect, { kind: "pause" }>): TraceLabel {
  const name = effect.kind !== "pixels" ? effect.path : typeof effect.picture === "string" ? effect.picture : "picture";
  return { kind: effect.kind === "write" || effect.kind === "save" ? "write" : "read", name, span: effect.span ?? null };
}

const replyOf = (answer: Answer): EffectReply => ("tensors" in answer ? tensorsFromWire(answer.tensors) : "tensor" in answer ? fromWire(answer.tensor) : undefined);
