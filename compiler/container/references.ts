// What a program's parts say of each other: every name and number refers to something that is there and is of the kind that is
// wanted, so that what was read can be bound and run without asking again. runtime/native/container/decode.cc refuses the
// same, in the same words.
import { dimsOf, type Size } from "../base/sizes.ts";
import type { DType } from "../base/dtypes.ts";
import type { Procedure, ProcedureStep, ScalarExpr, Slot, TextExpr } from "../plan/procedure.ts";
import type { Schedule, Step } from "../plan/schedule.ts";
import type { KernelInfo, RuntimeLowering } from "../../runtime/program.ts";
import type { ProgramHeader } from "./codec.ts";
import { JsonError } from "./json.ts";
import type { ContainerHeader } from "./layout.ts";

type Typed = { readonly dtype: DType; readonly shape: readonly unknown[] };
const typeText = ({ dtype, shape }: Typed): string => `${dtype} with ${shape.length} ${shape.length === 1 ? "axis" : "axes"}`;

function requireType(found: Typed, wanted: Typed, at: string): void {
  if (found.dtype !== wanted.dtype || found.shape.length !== wanted.shape.length) throw new JsonError(at, typeText(wanted));
}
function requireDistinct(names: readonly string[], at: string): void {
  const seen = new Set<string>();
  names.forEach((name, i) => {
    if (seen.has(name)) throw new JsonError(`${at}[${i}]`, "a name of its own");
    seen.add(name);
  });
}

/** Throws JsonError, which names the place. */
export function checkReferences({ program, modules }: Pick<ContainerHeader, "program" | "modules">, header: string): void {
  const at = `${header}.program`;
  const states = new Map(program.states.map(s => [s.name, s.type]));
  requireDistinct(program.states.map(s => s.name), `${at}.states`);
  requireDistinct(program.procedures.map(p => p.name), `${at}.procedures`);
  const instance: ReadonlySet<string> = new Set(program.dims.filter(d => d.binding === "instance").map(d => d.name));
  program.lowerings.forEach(({ kernels, schedules }, l) => {
    requireDistinct(schedules.map(s => s.entry), `${at}.lowerings[${l}].schedules`);
    const kernelDims = kernels.map(k => new Set([...k.dims.map(d => d.name), ...k.params.flatMap(p => p.shape.flatMap(s => [...dimsOf(s)]))].filter(d => !instance.has(d))));
    schedules.forEach((s, i) => new ScheduleCheck(program, states, instance, kernels, kernelDims, s).check(`${at}.lowerings[${l}].schedules[${i}]`));
    const entries = new Map(schedules.map(s => [s.entry, s]));
    program.states.forEach(({ type, init }, i) => {
      if (init === null) return;
      const schedule = entries.get(init);
      const value = schedule?.inputs.length === 0 ? schedule.outputs.find(o => o.name === "value") : undefined;
      if (!value) throw new JsonError(`${at}.states[${i}].init`, "an entry without inputs that has an output value");
      requireType(value.type, type, `${at}.states[${i}].init`);
    });
  });
  const [first] = program.lowerings;
  if (first) program.procedures.forEach((p, i) => new ProcedureCheck(states, first, p).check(`${at}.procedures[${i}]`));
  modules.forEach(({ lowering, scratch }, m) => scratch.forEach((size, k) => {
    const kernel = program.lowerings[lowering]?.kernels[k];
    const isKnown = (dim: string): boolean => instance.has(dim) || kernel!.dims.some(d => d.name === dim);
    if (kernel && ![...dimsOf(size)].every(isKnown)) throw new JsonError(`${header}.modules[${m}].scratch[${k}]`, "dims of the kernel");
  }));
}

class ScheduleCheck {
  readonly #program: ProgramHeader;
  readonly #states: ReadonlyMap<string, Typed>;
  readonly #kernels: readonly KernelInfo[];
  readonly #schedule: Schedule;
  readonly #instance: ReadonlySet<string>;
  readonly #kernelDims: readonly ReadonlySet<string>[];
  readonly #own: ReadonlySet<string>;
  /** Kernels whose dims have been looked at. */
  readonly #seen = new Set<number>();

  constructor(
    program: ProgramHeader, states: ReadonlyMap<string, Typed>, instance: ReadonlySet<string>, kernels: readonly KernelInfo[],
    kernelDims: readonly ReadonlySet<string>[], schedule: Schedule,
  ) {
    this.#program = program;
    this.#states = states;
    this.#kernels = kernels;
    this.#schedule = schedule;
    this.#instance = instance;
    this.#kernelDims = kernelDims;
    this.#own = new Set(schedule.dims.map(d => d.name));
  }

  check(at: string): void {
    const { buffers, inputs, outputs, reads, writes, slots, steps } = this.#schedule;
    slots.forEach((s, i) => this.#requireDims([s], `${at}.slots[${i}]`));
    buffers.forEach((b, i) => {
      const here = `${at}.buffers[${i}]`;
      this.#requireDims(b.shape, `${here}.shape`);
      const { place } = b;
      if (place.kind === "slot") {
        if (place.slot >= slots.length) throw new JsonError(`${here}.place.slot`, `an integer from 0 to ${slots.length - 1}`);
      } else {
        const held = place.kind === "state" ? this.#states.get(place.name) : this.#program.constants[place.index];
        if (!held) throw new JsonError(place.kind === "state" ? `${here}.place.name` : `${here}.place.index`, `a ${place.kind} of the program`);
        requireType(b, held, here);
      }
    });
    for (const [list, ports] of [["inputs", inputs], ["outputs", outputs]] as const) {
      requireDistinct(ports.map(p => p.name), `${at}.${list}`);
      ports.forEach(({ type, buffer }, i) => {
        this.#requireDims(type.shape, `${at}.${list}[${i}].type.shape`);
        requireType(buffers[buffer]!, type, `${at}.${list}[${i}].buffer`);
        if (buffers[buffer]!.place.kind !== "slot") throw new JsonError(`${at}.${list}[${i}].buffer`, "a buffer in a slot");
      });
    }
    for (const [list, names] of [["reads", reads], ["writes", writes]] as const) {
      names.forEach((name, i) => {
        if (!this.#states.has(name)) throw new JsonError(`${at}.${list}[${i}]`, "a state of the program");
      });
    }
    this.#checkSteps(steps, `${at}.steps`);
  }

  #requireDims(sizes: readonly Size[], at: string): void {
    for (const s of sizes) for (const dim of dimsOf(s)) if (!this.#knows(dim)) throw new JsonError(at, "dims of the entry");
  }
  #knows(dim: string): boolean {
    return this.#own.has(dim) || this.#instance.has(dim);
  }
  #requireWritable(buffer: number, at: string): void {
    if (this.#schedule.buffers[buffer]!.place.kind === "constant") throw new JsonError(at, "a buffer that is no constant");
  }

  #checkSteps(steps: readonly Step[], at: string): void {
    const { buffers } = this.#schedule;
    steps.forEach((s, i) => {
      const here = `${at}[${i}]`;
      switch (s.kind) {
        case "launch": {
          const { params } = this.#kernels[s.kernel]!;
          if (s.buffers.length !== params.length) throw new JsonError(`${here}.buffers`, `${params.length} buffers`);
          params.forEach((p, k) => {
            // A kernel may take all axes as one.
            if (buffers[s.buffers[k]!]!.dtype !== p.dtype) throw new JsonError(`${here}.buffers[${k}]`, `a buffer of ${p.dtype}`);
            if (p.access !== "read") this.#requireWritable(s.buffers[k]!, `${here}.buffers[${k}]`);
          });
          if (!this.#seen.has(s.kernel) && [...this.#kernelDims[s.kernel]!].some(d => !this.#knows(d))) throw new JsonError(`${here}.kernel`, "a kernel of the entry's dims");
          this.#seen.add(s.kernel);
          this.#requireDims([s.tasks], `${here}.tasks`);
          break;
        }
        case "copy":
          this.#requireWritable(s.to, `${here}.to`);
          if (buffers[s.from]!.dtype !== buffers[s.to]!.dtype) throw new JsonError(`${here}.to`, `a buffer of ${buffers[s.from]!.dtype}`);
          break;
        case "loop":
          this.#requireDims([s.trips], `${here}.trips`);
          requireType(buffers[s.index]!, { dtype: "i32", shape: [] }, `${here}.index`);
          this.#requireWritable(s.index, `${here}.index`);
          if (s.until !== null) requireType(buffers[s.until]!, { dtype: "bool", shape: [] }, `${here}.until`);
          this.#checkSteps(s.body, `${here}.body`);
          break;
        case "assert":
          requireType(buffers[s.buffer]!, { dtype: "bool", shape: [] }, `${here}.buffer`);
          break;
        case "print":
      }
    });
  }
}

/** What a slot may hold at some time. */
type Held = "number" | "text" | "picture" | "tensor" | "list";
const WORDS: { readonly [H in Held]: string } = { number: "a number", text: "text", picture: "a picture", tensor: "a tensor", list: "a list" };
const heldBy = ({ shape }: Pick<Typed, "shape">): Held => (shape.length === 0 ? "number" : "tensor");
const heldByArgument = (kind: Procedure["args"][number]["kind"]): Held =>
  kind === "picture" ? "picture" : kind === "text" || kind === "file" ? "text" : "number";

/** First all that is ever put into slots, then every use of them. */
class ProcedureCheck {
  readonly #states: ReadonlyMap<string, Typed>;
  readonly #entries: ReadonlyMap<string, Schedule>;
  readonly #procedure: Procedure;
  readonly #held: readonly Set<Held>[];

  constructor(states: ReadonlyMap<string, Typed>, { schedules }: RuntimeLowering, procedure: Procedure) {
    this.#states = states;
    this.#entries = new Map(schedules.map(s => [s.entry, s]));
    this.#procedure = procedure;
    this.#held = Array.from({ length: procedure.slots }, () => new Set());
  }

  check(at: string): void {
    const { args, body } = this.#procedure;
    requireDistinct(args.map(a => a.name), `${at}.args`);
    args.forEach((a, i) => this.#put(a.slot, heldByArgument(a.kind), `${at}.args[${i}].slot`));
    this.#fill(body, `${at}.body`);
    this.#use(body, `${at}.body`);
  }

  #put(slot: Slot, held: Held, at: string): void {
    const there = this.#held[slot];
    if (!there) throw new JsonError(at, `an integer from 0 to ${this.#held.length - 1}`);
    there.add(held);
  }
  #holds(slot: Slot, wanted: readonly Held[], at: string): void {
    const there = this.#held[slot];
    if (!there) throw new JsonError(at, `an integer from 0 to ${this.#held.length - 1}`);
    if (!wanted.some(w => there.has(w))) throw new JsonError(at, `a slot that holds ${WORDS[wanted[0]!]}`);
  }

  #fill(steps: readonly ProcedureStep[], at: string): void {
    steps.forEach((s, i) => {
      const here = `${at}[${i}]`;
      switch (s.kind) {
        case "set": return this.#put(s.slot, "number", `${here}.slot`);
        case "call": {
          const entry = this.#entries.get(s.entry);
          if (!entry) throw new JsonError(`${here}.entry`, "an entry of the program");
          s.outputs.forEach(({ name, slot }, k) => {
            const port = entry.outputs.find(o => o.name === name);
            if (!port) throw new JsonError(`${here}.outputs[${k}].name`, "an output of the entry");
            this.#put(slot, heldBy(port.type), `${here}.outputs[${k}].slot`);
          });
          return;
        }
        case "repeat":
          this.#put(s.index, "number", `${here}.index`);
          return this.#fill(s.body, `${here}.body`);
        case "while": return this.#fill(s.body, `${here}.body`);
        case "if":
          this.#fill(s.yes, `${here}.yes`);
          return this.#fill(s.no, `${here}.no`);
        case "read": return s.tensors.forEach((t, k) => this.#put(t.slot, heldBy(t), `${here}.tensors[${k}].slot`));
        case "pixels": case "list_range": return this.#put(s.slot, "tensor", `${here}.slot`);
        case "list_new": return this.#put(s.list, "list", `${here}.list`);
        case "log": case "emit": case "write": case "save": case "load": case "list_push": case "list_clear": return;
      }
    });
  }

  #use(steps: readonly ProcedureStep[], at: string): void {
    steps.forEach((s, i) => {
      const here = `${at}[${i}]`;
      switch (s.kind) {
        case "set": return this.#scalar(s.value, `${here}.value`);
        case "call": return this.#call(s, here);
        case "repeat":
          this.#scalar(s.count, `${here}.count`);
          return this.#use(s.body, `${here}.body`);
        case "while":
          this.#scalar(s.condition, `${here}.condition`);
          return this.#use(s.body, `${here}.body`);
        case "if":
          this.#scalar(s.condition, `${here}.condition`);
          this.#use(s.yes, `${here}.yes`);
          return this.#use(s.no, `${here}.no`);
        case "log": return s.values.forEach((v, k) => this.#scalar(v.value, `${here}.values[${k}].value`));
        case "emit":
          if ("text" in s.value) return this.#text(s.value.text, `${here}.value.text`);
          return "tensor" in s.value ? this.#tensor(s.value.tensor, `${here}.value.tensor`) : this.#scalar(s.value.scalar, `${here}.value.scalar`);
        case "write":
          this.#text(s.path, `${here}.path`);
          return this.#tensor(s.tensor, `${here}.tensor`);
        case "save": case "load":
          this.#text(s.path, `${here}.path`);
          return s.states.forEach(({ state }, k) => {
            if (!this.#states.has(state)) throw new JsonError(`${here}.states[${k}].state`, "a state of the program");
          });
        case "read": return this.#text(s.path, `${here}.path`);
        case "pixels": return this.#holds(s.picture, ["picture", "text"], `${here}.picture`);
        case "list_push":
          this.#holds(s.list, ["list"], `${here}.list`);
          if ("scalar" in s.value) return this.#scalar(s.value.scalar, `${here}.value.scalar`);
          this.#tensor(s.value.tensor, `${here}.value.tensor`);
          return s.value.count === undefined ? undefined : this.#scalar(s.value.count, `${here}.value.count`);
        case "list_clear": return this.#holds(s.list, ["list"], `${here}.list`);
        case "list_range":
          this.#holds(s.list, ["list"], `${here}.list`);
          this.#scalar(s.start, `${here}.start`);
          return this.#scalar(s.length, `${here}.length`);
        case "list_new": return;
      }
    });
  }

  #call(s: Extract<ProcedureStep, { kind: "call" }>, at: string): void {
    const { inputs, dims } = this.#entries.get(s.entry)!;
    s.inputs.forEach((given, k) => {
      const here = `${at}.inputs[${k}]`;
      if (!inputs.some(p => p.name === given.name)) throw new JsonError(`${here}.name`, "an input of the entry");
      if ("tensor" in given) this.#tensor(given.tensor, `${here}.tensor`);
      else this.#scalar(given.scalar, `${here}.scalar`);
    });
    s.sizes.forEach(({ dim, value }, k) => {
      if (!dims.some(d => d.name === dim)) throw new JsonError(`${at}.sizes[${k}].dim`, "a dim of the entry");
      this.#scalar(value, `${at}.sizes[${k}].value`);
    });
  }

  /** A tensor without axes is a number. */
  #tensor(slot: Slot, at: string): void {
    this.#holds(slot, ["tensor", "number"], at);
  }
  #text(parts: TextExpr, at: string): void {
    parts.forEach((part, i) => {
      if (typeof part === "string") return;
      if ("slot" in part) this.#holds(part.slot, ["text", "picture", "number"], `${at}[${i}].slot`);
      else this.#scalar(part.number, `${at}[${i}].number`);
    });
  }
  #scalar(e: ScalarExpr, at: string): void {
    switch (e.kind) {
      case "const": case "seconds": break;
      case "slot": this.#holds(e.slot, ["number"], `${at}.slot`); break;
      case "tensor_size": this.#holds(e.tensor, ["tensor"], `${at}.tensor`); break;
      case "unary": this.#scalar(e.x, `${at}.x`); break;
      case "binary":
        this.#scalar(e.a, `${at}.a`);
        this.#scalar(e.b, `${at}.b`);
        break;
      case "select":
        this.#scalar(e.condition, `${at}.condition`);
        this.#scalar(e.yes, `${at}.yes`);
        this.#scalar(e.no, `${at}.no`);
        break;
      case "list_length": this.#holds(e.list, ["list"], `${at}.list`); break;
      case "list_at":
        this.#holds(e.list, ["list"], `${at}.list`);
        this.#scalar(e.index, `${at}.index`);
        break;
      case "list_find":
        this.#holds(e.list, ["list"], `${at}.list`);
        this.#scalar(e.value, `${at}.value`);
    }
  }
}
