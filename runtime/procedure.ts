// Interprets procedures over any machine that can call entries: the WebAssembly one and the reference interpreter. It is a
// generator, so that it stops wherever the outside has to act (files, pictures, a turn for other messages) and goes on
// with the answer; between those it runs straight through. Cancellation takes effect before an entry is called and before each
// trip of a loop, so that a loop which calls nothing ends too.
import { SluiceError } from "../compiler/base/diagnostics.ts";
import type { DType } from "../compiler/base/dtypes.ts";
import { type DimValues, dimsOf, evaluateSize } from "../compiler/base/sizes.ts";
import type { Span } from "../compiler/base/span.ts";
import { numberBounds, type Procedure, type ProcedureArg, type ProcedureStep, type ScalarBinary, type ScalarExpr, type ScalarUnary, type Slot, type TextExpr } from "../compiler/plan/procedure.ts";
import { exp, log, pow } from "./scalar-math.ts";
import { elementAt, type HostTensor, tensorOfNumbers } from "./tensor.ts";

/** What runs entries and keeps tensors, as handles T, where they lie. A tensor without axes is a plain number. */
export interface Machine<T> {
  /** Runs an entry; dims that its inputs bind need not be in `sizes`. `wanted`: the outputs that are kept. `span`: the line that calls. */
  call(entry: string, inputs: ReadonlyMap<string, T | number>, sizes: DimValues, wanted: readonly string[], span?: Span | null): ReadonlyMap<string, T | number>;
  shape(tensor: T): readonly number[];
  toHost(tensor: T): HostTensor;
  fromHost(tensor: HostTensor): T;
  /** The handle is not used again. */
  release(tensor: T): void;
  getState(name: string): HostTensor;
  /** The size of each axis is bound. */
  stateType(name: string): { readonly dtype: DType; readonly shape: readonly number[] };
  setState(name: string, value: HostTensor): void;
}

/** Three 8-bit channels a pixel, and the alpha channel if there was one. */
export interface HostPicture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  readonly alpha: Uint8Array | null;
}
/** A path or, in a browser, the picture itself. */
export type ProcedureValue = number | string | HostPicture;

/** What the outside does for a procedure. Each is answered with the value in `EffectReply`. */
export type HostEffect =
  | { readonly kind: "write"; readonly path: string; readonly tensor: HostTensor; readonly span?: Span | null }
  | { readonly kind: "save"; readonly path: string; readonly tensors: ReadonlyMap<string, HostTensor>; readonly span?: Span | null }
  /** The tensors of these names, dtypes and shapes (-1 where any size will do); for `load`, the file holds no others. */
  | { readonly kind: "load" | "read"; readonly path: string; readonly wanted: readonly { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }[]; readonly span?: Span | null }
  | { readonly kind: "pixels"; readonly picture: string | HostPicture; readonly dtype: "u8" | "f32"; readonly resize?: readonly [number, number]; readonly span?: Span | null }
  /** A turn for other messages. */
  | { readonly kind: "pause" };
export type EffectReply = ReadonlyMap<string, HostTensor> | HostTensor | undefined;

export interface EmittedRow {
  readonly kind: "log" | "emit";
  /** Whether a loop whose progress is told was running. */
  readonly inLoop: boolean;
  readonly values: readonly { readonly name: string; readonly value: number | string | HostTensor }[];
}
/** Where a procedure's rows go, and how far its outermost loop has come. */
export interface ProcedureSink {
  row(row: EmittedRow): void;
  progress(done: number, total: number): void;
  cancelled(): boolean;
}

export const CANCELLED: unique symbol = Symbol("cancelled");

const PAUSE_MS = 40;

interface List {
  readonly dtype: DType;
  readonly values: number[];
}
type Value<T> = { readonly tensor: T } | { readonly list: List } | ProcedureValue;

const bool = (x: boolean): number => (x ? 1 : 0);
const UNARY: { readonly [O in ScalarUnary]: (x: number) => number } = {
  neg: x => -x, abs: Math.abs, not: x => bool(x === 0), floor: Math.floor, sqrt: Math.sqrt, exp, log,
  to_i32: x => Math.trunc(x) | 0, to_f32: Math.fround,
};
const BINARY: { readonly [O in ScalarBinary]: (a: number, b: number) => number } = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b, mod: (a, b) => a - Math.floor(a / b) * b, pow,
  max: Math.max, min: Math.min, eq: (a, b) => bool(a === b), ne: (a, b) => bool(a !== b), lt: (a, b) => bool(a < b), le: (a, b) => bool(a <= b),
  gt: (a, b) => bool(a > b), ge: (a, b) => bool(a >= b), and: (a, b) => bool(a !== 0 && b !== 0), or: (a, b) => bool(a !== 0 || b !== 0),
};

/** The arguments in their slots' order; missing ones take their first value, and a required one is asked for by name. */
export function procedureArguments(procedure: Procedure, given: { readonly [name: string]: unknown }): Map<Slot, ProcedureValue> {
  const known = procedure.args.map(a => a.name);
  const stranger = Object.keys(given).find(name => !known.includes(name));
  if (stranger !== undefined) throw new SluiceError({ code: "ARG002", message: `\`${procedure.name}\` has no argument \`${stranger}\``, found: stranger, expected: known.join(", ") || "none" });
  return new Map(procedure.args.map(a => {
    const value = given[a.name] ?? a.init ?? (a.kind === "flag" ? 0 : undefined);
    if (value === undefined) throw new SluiceError({ code: "ARG001", message: `\`${procedure.name}\` needs an argument \`${a.name}\``, expected: `${a.name}: ${a.kind}${a.help ? `, ${a.help}` : ""}` });
    return [a.slot, argumentValue(procedure.name, a, value)];
  }));
}

function argumentValue(procedure: string, arg: ProcedureArg, value: unknown): ProcedureValue {
  const { name, kind } = arg;
  const refuse = (expected: string): never => {
    const found = typeof value === "object" ? "an object" : typeof value === "number" ? String(value) : JSON.stringify(value);
    throw new SluiceError({ code: "ARG003", message: `argument \`${name}\` of \`${procedure}\` has the wrong kind`, found, expected });
  };
  const bounded = (x: number): number => {
    const { min, max } = numberBounds(arg);
    if (x >= min && x <= max) return x;
    throw new SluiceError({ code: "ARG004", message: `argument \`${name}\` of \`${procedure}\` is out of bounds`, found: String(x), expected: `${min} … ${max}` });
  };
  switch (kind) {
    case "int": return typeof value === "number" && Number.isInteger(value) ? bounded(value) : refuse("an integer");
    case "real": return typeof value === "number" && !Number.isNaN(value) ? bounded(value) : refuse("a number");
    case "flag": return typeof value === "boolean" || value === 0 || value === 1 ? Number(value) : refuse("true or false");
    case "text": case "file": return typeof value === "string" ? value : refuse(kind === "text" ? "text" : "a path");
    case "picture": return typeof value === "string" || (typeof value === "object" && value !== null && "rgb" in value) ? (value as ProcedureValue) : refuse("a path or a picture");
  }
}

/** Runs the procedure. Returns CANCELLED if the sink said so before a call or a trip of a loop. `dims`: those that are bound already. */
export function* runProcedure<T>(
  procedure: Procedure, args: ReadonlyMap<Slot, ProcedureValue>, machine: Machine<T>, sink: ProcedureSink, dims: DimValues,
): Generator<HostEffect, typeof CANCELLED | undefined, EffectReply> {
  const slots: (Value<T> | undefined)[] = Array.from({ length: procedure.slots }, (_, slot) => args.get(slot));
  let lastPause = performance.now();
  let depth = 0;
  /** Whether the run is to end; the outside has its turn now and then. */
  function* isCancelled(): Generator<HostEffect, boolean, EffectReply> {
    if (performance.now() - lastPause > PAUSE_MS) {
      yield { kind: "pause" };
      lastPause = performance.now();
    }
    return sink.cancelled();
  }

  const fail = (what: string): never => {
    throw new SluiceError({ code: "PROC001", message: `\`${procedure.name}\` ${what}` });
  };
  const put = (slot: Slot, value: Value<T>): void => {
    const before = slots[slot];
    if (typeof before === "object" && "tensor" in before) machine.release(before.tensor);
    slots[slot] = value;
  };
  const number = (slot: Slot): number => {
    const value = slots[slot];
    return typeof value === "number" ? value : fail(`uses slot ${slot} as a number before it has one`);
  };
  const list = (slot: Slot): List => {
    const value = slots[slot];
    return typeof value === "object" && "list" in value ? value.list : fail(`uses slot ${slot} as a list before it is one`);
  };
  const tensor = (slot: Slot): T | number => {
    const value = slots[slot];
    if (typeof value === "number") return value;
    return typeof value === "object" && "tensor" in value ? value.tensor : fail(`uses slot ${slot} as a tensor before it is one`);
  };
  const host = (slot: Slot): HostTensor => {
    const value = tensor(slot);
    return typeof value === "number" ? tensorOfNumbers("f32", [], [value]) : machine.toHost(value);
  };

  const scalar = (e: ScalarExpr): number => {
    switch (e.kind) {
      case "const": return e.value;
      case "slot": return number(e.slot);
      case "unary": return UNARY[e.op](scalar(e.x));
      case "binary": return BINARY[e.op](scalar(e.a), scalar(e.b));
      case "select": return scalar(e.condition) !== 0 ? scalar(e.yes) : scalar(e.no);
      case "list_length": return list(e.list).values.length;
      case "list_at": {
        const { values } = list(e.list);
        const i = scalar(e.index);
        return values[i] ?? fail(`reads item ${i} of a list of ${values.length}`);
      }
      case "list_find": return list(e.list).values.indexOf(scalar(e.value));
      case "tensor_size": {
        const value = tensor(e.tensor);
        return (typeof value === "number" ? undefined : machine.shape(value)[e.axis]) ?? fail(`asks for axis ${e.axis} of a tensor that has none`);
      }
      case "seconds": return performance.now() / 1000;
    }
  };
  const text = (parts: TextExpr): string => parts.map(part => {
    if (typeof part === "string") return part;
    const value = "slot" in part ? slots[part.slot] : scalar(part.number);
    return typeof value === "string" || typeof value === "number" ? String(value) : fail("joins something that is no text");
  }).join("");

  const call = (step: Extract<ProcedureStep, { kind: "call" }>): void => {
    const inputs = new Map(step.inputs.map(i => [i.name, "tensor" in i ? tensor(i.tensor) : scalar(i.scalar)]));
    const sizes = Object.fromEntries(step.sizes.map(s => [s.dim, scalar(s.value)]));
    const outputs = machine.call(step.entry, inputs, sizes, step.outputs.map(o => o.name), step.span);
    for (const { name, slot } of step.outputs) {
      const value = outputs.get(name) ?? fail(`wants an output ${name} that \`${step.entry}\` does not have`);
      put(slot, typeof value === "number" ? value : { tensor: value });
    }
  };

  function* run(steps: readonly ProcedureStep[]): Generator<HostEffect, boolean, EffectReply> {
    for (const step of steps) if (!(yield* perform(step))) return false;
    return true;
  }

  /** False once the run is cancelled. */
  function* perform(step: ProcedureStep): Generator<HostEffect, boolean, EffectReply> {
    switch (step.kind) {
      case "set":
        put(step.slot, scalar(step.value));
        return true;
      case "call":
        if (yield* isCancelled()) return false;
        call(step);
        return true;
      case "repeat": {
        const trips = scalar(step.count);
        depth++;
        for (let trip = 0; trip < trips; trip++) {
          if (yield* isCancelled()) return false;
          put(step.index, trip);
          if (!(yield* run(step.body))) return false;
          if (depth === 1) sink.progress(trip + 1, trips);
        }
        depth--;
        return true;
      }
      case "while":
        while (scalar(step.condition) !== 0) if ((yield* isCancelled()) || !(yield* run(step.body))) return false;
        return true;
      case "if":
        return yield* run(scalar(step.condition) !== 0 ? step.yes : step.no);
      case "log":
        sink.row({ kind: "log", inLoop: depth > 0, values: step.values.map(v => ({ name: v.name, value: scalar(v.value) })) });
        return true;
      case "emit": {
        const v = step.value;
        const single = "tensor" in v ? tensor(v.tensor) : undefined;
        const value = "text" in v ? text(v.text) : "scalar" in v ? scalar(v.scalar) : typeof single === "number" ? single : host(v.tensor);
        sink.row({ kind: "emit", inLoop: depth > 0, values: [{ name: step.name, value }] });
        return true;
      }
      case "write":
        yield { kind: "write", path: text(step.path), tensor: host(step.tensor), span: step.span };
        return true;
      case "save":
        yield { kind: "save", path: text(step.path), tensors: new Map(step.states.map(s => [s.name, machine.getState(s.state)])), span: step.span };
        return true;
      case "load": {
        const wanted = step.states.map(s => ({ ...machine.stateType(s.state), name: s.name }));
        const found = (yield { kind: "load", path: text(step.path), wanted, span: step.span }) as ReadonlyMap<string, HostTensor>;
        for (const s of step.states) machine.setState(s.state, found.get(s.name)!);
        return true;
      }
      case "read": {
        const wanted = step.tensors.map(t => ({ name: t.name, dtype: t.dtype, shape: t.shape.map(s => ([...dimsOf(s)].every(d => d in dims) ? evaluateSize(s, dims) : -1)) }));
        const found = (yield { kind: "read", path: text(step.path), wanted, span: step.span }) as ReadonlyMap<string, HostTensor>;
        for (const t of step.tensors) keep(t.slot, found.get(t.name)!);
        return true;
      }
      case "pixels": {
        const picture = slots[step.picture];
        if (typeof picture !== "string" && !(typeof picture === "object" && "rgb" in picture)) return fail(`uses slot ${step.picture} as a picture before it is one`);
        keep(step.slot, (yield { kind: "pixels", picture, dtype: step.dtype, resize: step.resize, span: step.span }) as HostTensor);
        return true;
      }
      case "list_new":
        put(step.list, { list: { dtype: step.dtype, values: [] } });
        return true;
      case "list_push": {
        const { values } = list(step.list);
        if ("scalar" in step.value) values.push(scalar(step.value.scalar));
        else {
          const t = host(step.value.tensor);
          const length = step.value.count === undefined ? Infinity : scalar(step.value.count);
          const elements = t.shape.reduce((n, extent) => n * extent, 1);
          for (let i = 0; i < Math.min(length, elements); i++) values.push(elementAt(t, i));
        }
        return true;
      }
      case "list_clear":
        list(step.list).values.length = 0;
        return true;
      case "list_range": {
        const { dtype, values } = list(step.list);
        const start = scalar(step.start);
        const part = values.slice(start, start + scalar(step.length));
        keep(step.slot, tensorOfNumbers(dtype, [part.length], part));
        return true;
      }
    }
  }
  const keep = (slot: Slot, t: HostTensor): void => put(slot, t.shape.length === 0 ? elementAt(t, 0) : { tensor: machine.fromHost(t) });

  try {
    return (yield* run(procedure.body)) ? undefined : CANCELLED;
  } finally {
    for (const value of slots) if (typeof value === "object" && "tensor" in value) machine.release(value.tensor);
  }
}

/** Runs a procedure to its end, with the outside answering each effect; a refusal is thrown where the procedure stands. */
export async function driveProcedure(
  steps: ReturnType<typeof runProcedure>, answer: (effect: HostEffect) => Promise<EffectReply>,
): Promise<typeof CANCELLED | undefined> {
  let step = steps.next();
  while (!step.done) {
    const reply = await answer(step.value).then(value => ({ value }), (error: unknown) => ({ error }));
    step = "error" in reply ? steps.throw(reply.error) : steps.next(reply.value);
  }
  return step.value;
}

/** Resolves after messages that have already come were received. */
export const turn = (): Promise<undefined> => new Promise(resolve => {
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener("message", () => {
    port1.close();
    resolve(undefined);
  });
  port1.start();
  port2.postMessage(null);
});
