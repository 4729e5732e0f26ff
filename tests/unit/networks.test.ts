// Random networks: what is drawn, how one prints, how a failing one becomes small, and what counts as a difference.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { float64, type NdArray } from "../../compiler/graph/field.ts";
import { interpret } from "../../compiler/graph/interpret.ts";
import { type Layer, type Network, networks, networkText, NetworkError, runsAsReference } from "../../compiler/testing/index.ts";
import { isLayers } from "../../compiler/testing/networks/description.ts";
import { LAYERS } from "../../compiler/testing/networks/layers.ts";
import { programOfNetworks } from "../../compiler/testing/networks/program.ts";
import { differenceFromRun, runOf } from "../../compiler/testing/networks/reference.ts";

const drawn = (count: number, seed: number): Network[] => {
  const list: Network[] = [];
  fc.check(fc.property(networks(), n => void list.push(n)), { numRuns: count, seed });
  return list;
};
const kindsIn = (layers: readonly Layer[]): string[] => layers.flatMap(l => [l.kind, ...Object.values(l).filter(isLayers).flat().flatMap(kindsIn)]);

const SQUEEZED: Network = {
  dims: [{ name: "S", bind: "call", min: 0, max: 9, values: [2, 3] }], input: { of: "numbers", shape: [1, { dim: "S", times: 2, plus: 1 }, 4] },
  layers: [{ kind: "meet", how: "gate", branches: [[{ kind: "linear", axes: 1, to: [3], bias: true }], []] }, { kind: "activation", of: "tanh" }],
  loss: "square", optimizer: { kind: "adam", clip: 0.5, decay: 0 }, seed: 7,
};

test("every kind of layer is drawn, and sizes that are symbolic, 0 and 1", () => {
  const list = drawn(400, 5);
  expect([...new Set(list.flatMap(n => kindsIn(n.layers)))].sort()).toEqual(LAYERS.map(r => r.kind).sort());
  for (const size of [0, 1]) expect(list.some(n => n.input.shape.some(s => typeof s !== "number" && n.dims.find(d => d.name === s.dim)!.values.includes(size)))).toBe(true);
  expect(list.filter(n => n.optimizer).length).toBeGreaterThan(200);
});

test("the same seed draws the same networks", () => expect(drawn(20, 9)).toEqual(drawn(20, 9)));

test("a network prints as a person reads it", () => {
  expect(networkText(SQUEEZED)).toBe(`const S = dim("S", { min: 0, max: 9 }); // 2, then 3
x: f32(1, 2*S+1, 4)
  meet({ how: "gate" },
    [
      linear({ axes: 1, to: [3], bias: true })
    ],
    [x],
  )
  activation({ of: "tanh" })
adam(square, clip: 0.5)
// values from seed 7`);
});

test("what is left of a failing network is what the failure needs", () => {
  const details = fc.check(fc.property(networks({ most: 8 }), n => !kindsIn(n.layers).includes("conv")), { seed: 3, numRuns: 500 });
  const [smallest] = details.counterexample!;
  expect(smallest).toMatchObject({ dims: [], input: { of: "numbers", shape: [1] }, optimizer: null });
  expect(smallest.layers).toEqual([{ kind: "conv", to: 1, groups: 1, bias: false, kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: expect.toSatisfy((p: number) => p <= 0) }]);
});

test("an element that is off by more than rounding is named, also after training; one that is rounded is not", () => {
  const run = runOf(programOfNetworks([SQUEEZED]).traced[0]!);
  const results = new Map<string, NdArray>();
  let held = run.states;
  for (const { name, graph, dims, inputs } of run.calls) {
    const { outputs, updates } = interpret(graph, { inputs, states: held, dims, field: float64 });
    for (const [output, x] of Object.entries(outputs)) results.set(`${name}: ${output}`, x);
    for (const [state, x] of Object.entries(updates)) results.set(`${name}: state ${state}`, x);
    held = { ...held, ...updates };
  }
  const off = (name: string, by: number): Map<string, NdArray> => new Map([...results].map(([n, x]) => [n, n === name ? { ...x, data: x.data.map((v, i) => (i === 0 ? v * (1 + by) : v)) } : x]));
  expect(differenceFromRun(run, results)).toBeNull();
  expect(differenceFromRun(run, off("forward 2: y", 1e-8))).toBeNull();
  expect(differenceFromRun(run, off("forward 2: y", 1e-3))).toMatch(/^forward 2: y at \[0, 0, 0\] is .* and should be /);
  expect(differenceFromRun(run, off("learn 2: loss", 1e-3))).toMatch(/^learn 2: loss /);
  expect(differenceFromRun(run, off("learn 1: state net.l0_l0_l0_l0_linear.weight", 1e-3))).toMatch(/^learn 1: state net/);
});

test("what a target refuses is thrown as the smallest network, with the seed and the path to it", async () => {
  const run = { options: { target: "cpu", cc: "no-such-compiler" } } as const;
  const error = await runsAsReference(run, { networks: 2, seed: 11 }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NetworkError);
  if (!(error instanceof NetworkError)) return;
  expect(error.message).toMatch(/^error CPU001: .*\n[\s\S]*the smallest network, [\s\S]*graph forward \{[\s\S]*\nseed 11, path 0/);
  expect(error.network.layers).toEqual([]);
  await expect(runsAsReference(run, { seed: error.seed, path: error.path })).rejects.toThrow(networkText(error.network));
});
