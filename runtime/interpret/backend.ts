// The reference interpreter as a backend: the traced program itself, run node by node in float64, or rounded as targets round, on the caller's thread.
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import type { DType } from "../../compiler/base/dtypes.ts";
import { type DimValues, evaluateSize, sizeText } from "../../compiler/base/sizes.ts";
import { f32Field, float64, type NdArray } from "../../compiler/graph/field.ts";
import { type Graph, inputsOf, isTuple, type Node, type Program } from "../../compiler/graph/graph.ts";
import { interpret, type InterpretOptions } from "../../compiler/graph/interpret.ts";
import { checkDims, named } from "../arguments.ts";
import type { Backend, PerformEffect } from "../backend.ts";
import type { ProgramInfo } from "../load.ts";
import { CANCELLED, driveProcedure, type Machine, runProcedure, turn } from "../procedure.ts";
import { StateTable } from "../states.ts";
import { elementAt, elementCount, type HostTensor, shapeText, tensorOfNumbers, tensorText } from "../tensor.ts";

export interface InterpretSettings {
  readonly program: Program;
  /** Instance dims. */
  readonly dims: DimValues;
  readonly checkNan: boolean;
  /** float64 by default; in f32 each op's result is rounded to its dtype. */
  readonly field?: "float64" | "f32";
  perform: PerformEffect;
  print(text: string): void;
}

const fromArray = ({ dtype, shape, data }: NdArray): HostTensor => tensorOfNumbers(dtype, shape, data);
const toArray = (t: HostTensor): NdArray => ({ dtype: t.dtype, shape: t.shape, data: Float64Array.from({ length: elementCount(t.shape) }, (_, i) => elementAt(t, i)) });

/** What a traced program offers, with nothing compiled. */
export const infoOfProgram = (program: Program): ProgramInfo => ({
  ...program,
  entries: program.entries.map(g => ({
    entry: g.name, dims: g.dims, inputs: inputsOf(g),
    outputs: g.outputs.flatMap(o => {
      const type = g.nodes[o.id]!.type;
      return isTuple(type) ? [] : [{ name: o.name, type }];
    }),
  })),
});

class InterpretMachine implements Machine<NdArray> {
  readonly #o: InterpretSettings;
  readonly #entries: ReadonlyMap<string, Graph>;
  readonly #states: StateTable<Program["states"][number]>;
  readonly #values = new Map<string, NdArray>();

  constructor(settings: InterpretSettings) {
    this.#o = settings;
    this.#entries = new Map(settings.program.entries.map(g => [g.name, g]));
    this.#states = new StateTable(settings.program.states);
  }

  call(entry: string, inputs: ReadonlyMap<string, NdArray | number>, sizes: DimValues, wanted: readonly string[]): ReadonlyMap<string, NdArray | number> {
    const graph = named("entry", "ENTRY001", entry, this.#entries);
    const given = inputsOf(graph).map(({ name, type }) => {
      const value = inputs.get(name);
      return [name, typeof value === "number" ? { dtype: type.dtype, shape: [], data: Float64Array.of(value) } : value] as const;
    });
    const outputs = this.run(graph, Object.fromEntries(given.filter((pair): pair is [string, NdArray] => pair[1] !== undefined)), sizes);
    return new Map(wanted.map(name => {
      const value = named("output", "OUTPUT001", name, new Map(Object.entries(outputs)));
      return [name, value.shape.length === 0 ? value.data[0]! : value];
    }));
  }

  /** Runs an entry or an init; its outputs by name. */
  run(graph: Graph, inputs: { readonly [name: string]: NdArray }, sizes: DimValues): { readonly [name: string]: NdArray } {
    const dims: { [dim: string]: number } = { ...this.#o.dims, ...sizes };
    for (const { name, type } of inputsOf(graph)) {
      type.shape.forEach((size, axis) => {
        const extent = inputs[name]?.shape[axis];
        if (extent !== undefined && graph.dims.some(d => d.name === sizeText(size))) dims[sizeText(size)] ??= extent;
      });
    }
    checkDims(graph.name, graph.dims, dims);
    const read = new Set(graph.nodes.flatMap(n => (n.op === "state" ? [n.attrs.name] : [])));
    for (const name of read) this.prepare(name, graph.name);
    const options: InterpretOptions = { inputs, dims, field: this.#o.field === "f32" ? f32Field : float64, states: Object.fromEntries(this.#values), onEffect: (kind, text, value, node) => this.#perform(kind, text, value, node) };
    try {
      const { outputs, updates } = interpret(graph, options);
      if (this.#o.checkNan && [...Object.values(outputs), ...Object.values(updates)].some(hasNan)) refuseNan(graph, options);
      for (const [name, value] of Object.entries(updates)) this.#values.set(name, value);
      this.#states.wrote(Object.keys(updates));
      return outputs;
    } catch (error) {
      this.#states.failed(graph.name, graph.updates.map(u => u.name));
      throw error;
    }
  }

  #perform(kind: "print" | "assert", text: string, value: NdArray, node: Pick<Node, "span">): void {
    if (kind === "print") this.#o.print(`${text ? `${text}: ` : ""}${tensorText(fromArray(value))}`);
    else if (value.data[0] === 0) throw new SluiceError({ code: "ASSERT001", message: text, span: node.span });
  }

  prepare(name: string, reader: string | null): void {
    this.#states.prepare(name, reader, ({ init }) => {
      if (!init || init.name === reader) return false;
      this.#values.set(name, Object.values(this.run(init, {}, {}))[0]!);
      return true;
    });
  }

  shape(tensor: NdArray): readonly number[] {
    return tensor.shape;
  }
  toHost(tensor: NdArray): HostTensor {
    return fromArray(tensor);
  }
  fromHost(tensor: HostTensor): NdArray {
    return toArray(tensor);
  }
  release(): void {}

  stateType(name: string): { readonly dtype: DType; readonly shape: readonly number[] } {
    const { type } = this.#states.declaration(name);
    return { dtype: type.dtype, shape: type.shape.map(s => evaluateSize(s, this.#o.dims)) };
  }
  getState(name: string): HostTensor {
    this.prepare(name, null);
    return fromArray(this.#values.get(name)!);
  }
  setState(name: string, value: HostTensor): void {
    this.#values.set(name, toArray(value));
    this.#states.wrote([name]);
  }
}

const hasNan = (x: NdArray): boolean => x.data.some(Number.isNaN);

/** Runs the graph again with every node as an output, and names the first that holds a NaN. */
function refuseNan(graph: Graph, options: InterpretOptions): never {
  const all = graph.nodes.map((_, id) => ({ name: String(id), id }));
  const { outputs } = interpret({ ...graph, outputs: all }, { ...options, onEffect: () => {} });
  const id = graph.nodes.findIndex((n, i) => !isTuple(n.type) && hasNan(outputs[i]!));
  const node = graph.nodes[id]!;
  throw new SluiceError({ code: "NAN001", span: node.span, message: `NaN in \`${graph.name}\`, made by ${node.op}`, found: `${node.op} of shape ${shapeText(outputs[id]!.shape)}` });
}

export function startInterpreter(settings: InterpretSettings): Backend {
  const machine = new InterpretMachine(settings);
  const entries = new Map(settings.program.entries.map(g => [g.name, g]));
  const procedures = new Map(settings.program.procedures.map(p => [p.name, p]));
  return {
    description: `reference interpreter, ${settings.field ?? "float64"}`,
    async call(entry, inputs, dims) {
      const outputs = machine.run(named("entry", "ENTRY001", entry, entries), Object.fromEntries([...inputs].map(([name, t]) => [name, toArray(t)])), dims);
      return new Map(Object.entries(outputs).map(([name, value]) => [name, fromArray(value)]));
    },
    async run(name, args, sink, signal) {
      const steps = runProcedure(named("procedure", "ENTRY001", name, procedures), args, machine, { ...sink, cancelled: () => signal.aborted }, settings.dims);
      return (await driveProcedure(steps, effect => (effect.kind === "pause" ? turn() : settings.perform(effect)))) !== CANCELLED;
    },
    getState: async name => machine.getState(name),
    setState: async (name, value) => machine.setState(name, value),
    trace: null,
    close: async () => {},
  };
}
