// Cases to take to a machine with a GPU: containers, what goes into their entries and what the reference makes of it, in a
// folder that runtime/native/conformance reads there without Node.
import { availableParallelism } from "node:os";
import * as fc from "fast-check";
import { byteLength, type DType } from "../../compiler/base/dtypes.ts";
import { type DimValues, evaluateSize } from "../../compiler/base/sizes.ts";
import { SluiceError } from "../../compiler/base/diagnostics.ts";
import { writeContainer } from "../../compiler/container/write.ts";
import { float64, type NdArray } from "../../compiler/graph/field.ts";
import type { GraphCase } from "../../compiler/testing/graphs.ts";
import { referenceOf } from "../../compiler/testing/meaning.ts";
import { drawValues, type Values } from "../../compiler/testing/values.ts";
import { compileFor, type CompileOptions, modulesOf, parseTargets } from "../../compiler/targets.ts";
import { writeTogether } from "../../runtime/io/node-files.ts";
import type { HostTensor } from "../../runtime/tensor.ts";
import { buffersOf, type Case, wantedOf } from "../support/kernel-cases.ts";
import { programOfKernels } from "../support/kernel-program.ts";
import type { OpGraph } from "../support/op-graphs.ts";
import { compilable, prepared, programOf, toHost } from "../support/graph-programs.ts";

type Sizes = readonly (readonly [name: string, size: number])[];
interface Given {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where its bytes begin. */
  readonly at: number;
}
/** Elements as f64; without `allowed` each is wanted to the last bit. */
interface Expected {
  readonly name: string;
  readonly shape: readonly number[];
  readonly at: number;
  readonly allowed: number | null;
}
interface RecordedCase {
  readonly name: string;
  readonly entry: string;
  readonly sizes: Sizes;
  readonly states: readonly Given[];
  readonly inputs: readonly Given[];
  readonly outputs: readonly Expected[];
  readonly updates: readonly Expected[];
}
/** A graph, and values of its inputs and states. */
interface RecordedGraph {
  readonly name: string;
  readonly of: GraphCase;
  readonly values: Values;
}
/** Random ones, by their number. */
export const randomGraphs = (most: number, count: number, seed: number): RecordedGraph[] =>
  fc.sample(compilable(most), { numRuns: count, seed }).map((of, i) => ({ name: `number ${i}`, of, values: drawValues(of.graph, of.dims, of.seed, float64) }));
export const opGraph = (run: OpGraph): RecordedGraph => {
  const { dims, given, held } = prepared(run);
  return { name: `${run.family}: ${run.name}`, of: { graph: run.graph, dims, seed: 0 }, values: { inputs: given, states: held } };
};

/** What runtime/native/conformance/cases.h reads. */
interface CaseGroup {
  readonly suite: string;
  readonly container: string;
  readonly targets: readonly string[];
  readonly dims: Sizes;
  readonly cases: readonly RecordedCase[];
}

const kindsOf = (targets: string): string[] => [...new Set(parseTargets(targets).map(t => t.kind))];
const countOf = (shape: readonly number[]): number => shape.reduce((n, s) => n * s, 1);

export class CaseFolder {
  readonly #targets: string;
  readonly #options: CompileOptions;
  readonly #files: { readonly path: string; readonly bytes: Uint8Array }[] = [];
  readonly #groups: CaseGroup[] = [];
  readonly #numbers: Uint8Array[] = [];
  #length = 0;

  /** Programs are compiled for the targets. */
  constructor(targets: string, options: CompileOptions = {}) {
    this.#targets = targets;
    this.#options = options;
  }

  /** A program's own container, with cases of its entries. */
  add(suite: string, container: Uint8Array, cases: readonly RecordedCase[], { targets = kindsOf(this.#targets), dims = [] }: { targets?: readonly string[]; dims?: Sizes } = {}): void {
    const name = `${this.#groups.length}.slx`;
    this.#files.push({ path: name, bytes: container });
    this.#groups.push({ suite, container: name, targets, dims, cases });
  }

  /** Each as a program; those that are refused by name are left out. */
  async addGraphs(suite: string, graphs: readonly RecordedGraph[]): Promise<void> {
    let next = 0;
    // Compilers are processes beside this one.
    const work = async (): Promise<void> => {
      for (let i = next++; i < graphs.length; i = next++) await this.#addGraph(suite, graphs[i]!);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
  }
  async #addGraph(suite: string, { name, of, values }: RecordedGraph): Promise<void> {
    const { graph, dims } = of;
    const compiled = await compileFor(programOf(graph), parseTargets(this.#targets), this.#options).catch((error: unknown) => {
      if (error instanceof SluiceError && error.diagnostic.code === "STATE201") return undefined;
      throw error;
    });
    if (!compiled) return;
    const { results, allowed } = referenceOf(of, values);
    const given = (list: { readonly [name: string]: NdArray }): Given[] => Object.entries(list).map(([name, v]) => this.given(name, toHost(v)));
    const expected = (prefix: string): Expected[] => [...results].filter(([name]) => name.startsWith(prefix)).map(([name, v]) =>
      this.expected(name.slice(prefix.length), v.shape, v.data, v.data.map((_, i) => allowed(name, i))));
    const bound = (binding: "instance" | "call"): Sizes => graph.dims.filter(d => d.binding === binding).map(d => [d.name, dims[d.name]!]);
    this.add(suite, writeContainer(compiled.program, compiled.modules), [{
      name, entry: graph.name, sizes: bound("call"), states: given(values.states), inputs: given(values.inputs), outputs: expected("output "), updates: expected("update of "),
    }], { dims: bound("instance") });
  }

  /** Kernels on buffers of their own, as one program for CUDA: only there are all operations exact to the last bit. */
  async addKernels(suite: string, cases: readonly Case[]): Promise<void> {
    const kernels = cases.map(c => c.kernel);
    const targets = parseTargets(this.#targets).filter(t => t.kind === "cuda");
    const modules = (await Promise.all(targets.map(t => modulesOf(t, kernels, 0, this.#options)))).flat();
    this.add(suite, writeContainer(programOfKernels(kernels), modules), cases.map((c, k): RecordedCase => {
      const { kernel, dims = {} } = c;
      const shapeOf = (name: string): number[] => kernel.params.find(p => p.name === name)!.shape.map(s => evaluateSize(s, dims));
      const buffers = buffersOf(c, k);
      const inputs = kernel.params.map(({ name, dtype }) => {
        const shape = shapeOf(name);
        return { name, dtype, shape, at: this.#place(buffers[name]!.slice(0, byteLength(dtype, countOf(shape)))) };
      });
      const outputs = wantedOf(c, buffers, true).map(w => this.expected(w.param, shapeOf(w.param), w.values, w.allowed));
      return { name: kernel.name, entry: `k${k}`, sizes: sizesOf(dims), states: [], inputs, outputs, updates: [] };
    }), { targets: ["cuda"] });
  }

  given(name: string, { dtype, shape, data }: HostTensor): Given {
    return { name, dtype, shape, at: this.#place(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) };
  }
  expected(name: string, shape: readonly number[], values: ArrayLike<number>, allowed: ArrayLike<number>): Expected {
    const numbers = (list: ArrayLike<number>): number => this.#place(new Uint8Array(Float64Array.from(list).buffer));
    return { name, shape, at: numbers(values), allowed: Array.from(allowed).every(a => a === 0) ? null : numbers(allowed) };
  }
  #place(bytes: Uint8Array): number {
    const at = this.#length;
    this.#numbers.push(bytes);
    this.#length += bytes.length;
    return at;
  }

  /** All or nothing. */
  async write(folder: string): Promise<void> {
    const bin = new Uint8Array(this.#length);
    this.#numbers.reduce((at, part) => {
      bin.set(part, at);
      return at + part.length;
    }, 0);
    const json = new TextEncoder().encode(JSON.stringify({ groups: this.#groups }));
    await writeTogether([...this.#files, { path: "cases.bin", bytes: bin }, { path: "cases.json", bytes: json }].map(f => ({ ...f, path: `${folder}/${f.path}` })));
  }
}

const sizesOf = (dims: DimValues): Sizes => Object.entries(dims);
