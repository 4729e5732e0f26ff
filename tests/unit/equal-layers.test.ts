// A network's kernels are as many as its layers differ: equal layers share theirs, whatever states, inputs and streams of
// random numbers are called.
import { expect, test } from "vitest";
import { compileProgram } from "../../compiler/compile.ts";
import { importProgram } from "../../compiler/cli/program-module.ts";
import { dropout, entry, f32, linear, random, times, traceProgram, type Tensor } from "../../compiler/dsl/index.ts";
import type { Program } from "../../compiler/graph/graph.ts";
import type { MachineName } from "../../compiler/kernel/machines.ts";

const SMALL = { heads: "2", headSize: "8", vocabulary: "32", context: "64" };
const MACHINES: readonly MachineName[] = ["simd128", "gpu"];
const kernelCounts = (program: Program): number[] => compileProgram(program, MACHINES).lowerings.map(l => l.kernels.length);

test("a GPT of 4 layers has the kernels of one of 2, to train and to decode", async () => {
  const of = async (layers: number): Promise<number[]> => kernelCounts(await importProgram("tests/bench/programs/gpt.ts", { ...SMALL, layers: String(layers) }));
  expect(await of(4)).toEqual(await of(2));
}, 300_000);

test("first values and dropouts of equal layers share their kernels, though each draws numbers of its own", () => {
  const of = (layers: number): number[] => {
    const parts = times(layers, () => linear(8, 8));
    const drops = random("drops");
    const run = entry({ x: f32(4, 8) }, ({ x }) => ({ y: parts.reduce<Tensor>((y, layer) => dropout(layer(y as typeof x).tanh(), 0.5, drops), x) }));
    return kernelCounts(traceProgram({ parts, drops, run }, "drops"));
  };
  expect(of(6)).toEqual(of(3));
});
