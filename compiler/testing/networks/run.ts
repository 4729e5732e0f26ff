// Networks on a target: compiled together, run one after the other, each beside the reference interpreter.
import { compileProgram } from "../../compile.ts";
import { diagnosticText, SluiceError } from "../../base/diagnostics.ts";
import type { DimValues } from "../../base/sizes.ts";
import type { NdArray } from "../../graph/field.ts";
import type { Graph } from "../../graph/graph.ts";
import type { MachineName } from "../../kernel/machines.ts";
import { open, type OpenOptions } from "../../open.ts";
import { compiledAs, isInterpreted, machineOf, parseTargets } from "../../targets.ts";
import { elementAt, elementCount, type HostTensor, tensorOfNumbers } from "../../../runtime/tensor.ts";
import type { Program } from "../../../runtime/load.ts";
import type { Network } from "./description.ts";
import { programOfNetworks, type TracedNetwork } from "./program.ts";
import { differenceFromRun, runOf } from "./reference.ts";

const toHost = (v: NdArray): HostTensor => tensorOfNumbers(v.dtype, v.shape, v.data);
const fromHost = (t: HostTensor): NdArray => ({ dtype: t.dtype, shape: t.shape, data: Float64Array.from({ length: elementCount(t.shape) }, (_, i) => elementAt(t, i)) });

/** Without the line: a network has none that a user wrote. */
const messageOf = (error: unknown): string =>
  error instanceof SluiceError ? diagnosticText({ ...error.diagnostic, span: null }) : error instanceof Error ? (error.stack ?? error.message) : String(error);

const boundAt = (binding: "instance" | "call", g: Graph, dims: DimValues): DimValues =>
  Object.fromEntries(g.dims.filter(d => d.binding === binding).map(d => [d.name, dims[d.name]!]));

/** What differs for one network of an opened program; null if nothing does. */
async function differenceIn(opened: Program, traced: TracedNetwork): Promise<string | null> {
  try {
    const run = runOf(traced);
    for (const [name, v] of Object.entries(run.states)) await opened.state.set(name, toHost(v));
    const found = new Map<string, NdArray>();
    for (const { name, graph, dims, inputs } of run.calls) {
      const given = Object.fromEntries(Object.entries(inputs).map(([input, v]) => [input, toHost(v)]));
      const outputs = await opened.call(graph.name, given, boundAt("call", graph, dims));
      for (const [output, t] of Object.entries(outputs)) found.set(`${name}: ${output}`, fromHost(t));
      for (const { name: state } of graph.updates) found.set(`${name}: state ${state}`, fromHost(await opened.state.get(state)));
    }
    return differenceFromRun(run, found);
  } catch (error) {
    return messageOf(error);
  }
}

/** What a target is, for a network: how programs are opened on it, and machines whose kernels are made and checked without being run. */
export interface NetworkTarget {
  readonly options: OpenOptions;
  readonly machines?: readonly MachineName[];
}

/** Why its kernels cannot be made for one of the machines; null if they can. */
function refusal(network: Network, machines: readonly MachineName[]): string | null {
  try {
    const { program } = programOfNetworks([network]);
    for (const machine of machines) {
      try {
        compileProgram(program, [machine]);
      } catch (error) {
        return `for the machine ${machine}: ${messageOf(error)}`;
      }
    }
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

const machinesOf = ({ options: { target = "wasm" }, machines = [] }: NetworkTarget): MachineName[] =>
  [...new Set([...(isInterpreted(target) ? [] : parseTargets(compiledAs(target)).map(machineOf)), ...machines])];

/** The networks as one program, opened once. */
async function ranTogether({ options, machines = [] }: NetworkTarget, networks: readonly Network[]): Promise<(string | null)[]> {
  const { program, traced } = programOfNetworks(networks);
  if (machines.length > 0) compileProgram(program, machines);
  const graphs = traced.flatMap(t => runOf(t).calls);
  const opened = await open(program, { ...options, dims: Object.assign({}, ...graphs.map(c => boundAt("instance", c.graph, c.dims))) as DimValues, print: () => {} });
  try {
    const found: (string | null)[] = [];
    for (const t of traced) found.push(await differenceIn(opened, t));
    return found;
  } finally {
    await opened.close();
  }
}

/**
 * For each network null, or what is wrong with it on the target: it is refused, it fails, or it differs from the reference by more
 * than rounding explains. All that can be compiled are one program, so that a compiler is started once.
 */
export async function differencesOn(target: NetworkTarget, networks: readonly Network[]): Promise<(string | null)[]> {
  if (networks.length === 0) return [];
  try {
    return await ranTogether(target, networks);
  } catch (error) {
    if (networks.length === 1) return [refusal(networks[0]!, machinesOf(target)) ?? messageOf(error)];
  }
  const refusals = networks.map(n => refusal(n, machinesOf(target)));
  const rest = networks.filter((_, i) => refusals[i] === null);
  const half = rest.length >> 1;
  // Each of them alone can be compiled: what fails is found by parting them.
  const found = rest.length < networks.length ? await differencesOn(target, rest) : [...(await differencesOn(target, rest.slice(0, half))), ...(await differencesOn(target, rest.slice(half)))];
  return refusals.map(r => (r === null ? found.shift()! : r));
}
