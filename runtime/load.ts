// A loaded program: entries and procedures to call, states to read and set, one call at a time in the order of the calls.
// Everything a caller gives is checked here, before it reaches a backend.
import { SluiceError } from "../compiler/base/diagnostics.ts";
import type { DimDecl, DimValues } from "../compiler/base/sizes.ts";
import type { TensorType } from "../compiler/graph/graph.ts";
import type { Procedure } from "../compiler/plan/procedure.ts";
import { bindArguments, boundsText, checkDims, type HostIn, named, type Signature } from "./arguments.ts";
import type { Backend } from "./backend.ts";
import { type EmittedRow, procedureArguments } from "./procedure.ts";
import type { RuntimeProgram } from "./program.ts";
import type { HostTensor } from "./tensor.ts";

export interface EntryInfo extends Signature {
  readonly outputs: readonly { readonly name: string; readonly type: TensorType }[];
}

/** What a program offers, whatever runs it. */
export interface ProgramInfo {
  readonly name: string;
  readonly dims: readonly DimDecl[];
  readonly entries: readonly EntryInfo[];
  readonly procedures: readonly Procedure[];
  readonly states: readonly { readonly name: string; readonly type: TensorType }[];
}

/** Entries are the schedules that are no state's first value. */
export function infoOf(program: RuntimeProgram): ProgramInfo {
  const inits = new Set(program.states.map(s => s.init));
  return { ...program, entries: program.lowerings[0]!.schedules.filter(s => !inits.has(s.entry)) };
}

export interface RunOptions {
  /** Ends the run before the next call of an entry or trip of a loop; it is then rejected with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How far the outermost loop has come. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Each log and emit as it comes, with the values that belong together. */
  readonly onRow?: (row: EmittedRow) => void;
}
export type Emitted = EmittedRow["values"][number];
export type ProcedureRun = Promise<void> & AsyncIterable<Emitted>;

export interface ProgramState {
  get(name: string): Promise<HostTensor>;
  set(name: string, value: HostIn): Promise<void>;
}

/** The state that every random stream starts from: the seed, and a step of 0. */
const SEED_STATE = "seed";

export class Program {
  readonly info: ProgramInfo;
  readonly state: ProgramState;
  /** What runs it, for people. */
  readonly description: string;
  /** Values of the dims that are bound at load. */
  readonly dims: DimValues;
  readonly #backend: Backend;
  readonly #entries: ReadonlyMap<string, EntryInfo>;
  readonly #procedures: ReadonlyMap<string, Procedure>;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(info: ProgramInfo, backend: Backend, dims: DimValues) {
    this.info = info;
    this.description = backend.description;
    this.#backend = backend;
    this.dims = dims;
    this.#entries = new Map(info.entries.map(e => [e.entry, e]));
    this.#procedures = new Map(info.procedures.map(p => [p.name, p]));
    const states = new Map(info.states.map(s => [s.name, s.type]));
    this.state = {
      get: async name => {
        named("state", "STATE104", name, states);
        return this.#queue(() => backend.getState(name));
      },
      set: async (name, value) => {
        const type = named("state", "STATE104", name, states);
        const { tensors } = bindArguments({ entry: "state", dims: [], inputs: [{ name, type }] }, { [name]: value }, dims);
        await this.#queue(() => backend.setState(name, tensors.get(name)!));
      },
    };
  }

  /** `sizes`: call dims that no input has. */
  async call(entry: string, inputs: { readonly [name: string]: HostIn | undefined } = {}, sizes: DimValues = {}): Promise<{ [output: string]: HostTensor }> {
    const signature = named("entry", "ENTRY001", entry, this.#entries);
    const { tensors, dims } = bindArguments(signature, inputs, { ...this.dims, ...sizes });
    return Object.fromEntries(await this.#queue(() => this.#backend.call(entry, tensors, dims)));
  }

  run(name: string, args: { readonly [name: string]: unknown } = {}, options: RunOptions = {}): ProcedureRun {
    const rows = new RowQueue();
    const abort = new AbortController();
    const { signal } = options;
    const cancel = (): void => abort.abort();
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
    const start = async (): Promise<void> => {
      const procedure = named("procedure", "ENTRY001", name, this.#procedures);
      const values = procedureArguments(procedure, args);
      const sink = {
        row(row: EmittedRow) {
          options.onRow?.(row);
          rows.push(row.values);
        },
        progress: (done: number, total: number) => options.onProgress?.(done, total),
      };
      // It may have been cancelled while others ran.
      const finished = await this.#queue(async () => !abort.signal.aborted && this.#backend.run(name, values, sink, abort.signal));
      if (!finished && signal?.aborted) throw signal.reason;
    };
    const running = start().finally(() => signal?.removeEventListener("abort", cancel));
    running.then(() => rows.end(null), error => rows.end({ error }));
    return Object.assign(running, { [Symbol.asyncIterator]: () => rows.iterate(running, () => abort.abort()) });
  }

  /** Starts the random streams, and the first values drawn from them, from another seed; before anything has run. */
  async seed(seed: number): Promise<void> {
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) throw new SluiceError({ code: "SEED001", message: "a seed is an integer from 0 to 2^32 - 1", found: String(seed) });
    if (this.info.states.some(s => s.name === SEED_STATE)) await this.state.set(SEED_STATE, [seed, 0]);
  }

  /** Every launch, copy, read, write and call since it was opened with `trace: true`, as Chrome-trace JSON. */
  async trace(): Promise<string> {
    const { trace } = this.#backend;
    if (!trace) throw new SluiceError({ code: "RECORD001", message: `\`${this.info.name}\` was opened without a trace`, hint: "trace: true, when it is opened" });
    return this.#queue(trace);
  }

  /** `await using program = await open(…)` closes it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    await this.#backend.close();
  }

  /** Runs after everything that was asked before it. */
  #queue<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new SluiceError({ code: "CLOSED001", message: "the program has been closed" });
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** Rows on their way to an iterator. Nothing is kept while nobody iterates. */
class RowQueue {
  readonly #rows: Emitted[] = [];
  #listening = false;
  #ended: { readonly error: unknown } | null | undefined;
  #wake: (() => void) | null = null;

  push(values: readonly Emitted[]): void {
    if (!this.#listening) return;
    this.#rows.push(...values);
    this.#wake?.();
  }
  end(failure: { readonly error: unknown } | null): void {
    this.#ended = failure;
    this.#wake?.();
  }

  iterate(running: Promise<void>, cancel: () => void): AsyncIterator<Emitted> {
    this.#listening = true;
    running.catch(() => undefined);
    return {
      next: async () => {
        while (this.#rows.length === 0 && this.#ended === undefined) await new Promise<void>(resolve => (this.#wake = resolve));
        const value = this.#rows.shift();
        if (value) return { done: false, value };
        if (this.#ended) throw this.#ended.error;
        return { done: true, value: undefined };
      },
      return: async () => {
        cancel();
        await running.catch(() => undefined);
        return { done: true, value: undefined };
      },
    };
  }
}

/** Throws TARGET002 where validation is wanted of what is not Vulkan. */
export function requireVulkan(target: string): void {
  if (!target.startsWith("vulkan")) throw new SluiceError({ code: "TARGET002", message: "only Vulkan has validation layers", found: target, expected: "target vulkan, or no validation" });
}

/** Values for the dims that are bound at load. One that has a single value needs none given. */
export function instanceDims(info: Pick<ProgramInfo, "name" | "dims">, given: DimValues): DimValues {
  const decls = info.dims.filter(d => d.binding === "instance");
  const stranger = Object.keys(given).find(name => !decls.some(d => d.name === name));
  if (stranger !== undefined) {
    throw new SluiceError({
      code: "DIM003", message: `\`${info.name}\` has no dim ${stranger} that is bound when it is loaded`, found: stranger,
      expected: decls.map(d => `${d.name}: ${boundsText(d)}`).join("; ") || "none",
    });
  }
  const dims = { ...Object.fromEntries(decls.filter(d => d.min === d.max).map(d => [d.name, d.min])), ...given };
  checkDims(info.name, decls.filter(d => dims[d.name] !== undefined), dims);
  return dims;
}
