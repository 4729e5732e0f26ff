// `npm run gpu:pack`: one archive with everything that a machine with a GPU is asked, which needs no Node there: executables,
// recorded cases with what is expected of them, the program that compares, and `run.sh`, which runs it all and prints a table.
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import * as noiser from "../../dsl-examples/noiser/index.ts";
import { containerOf } from "../../compiler/build.ts";
import { importProgram } from "../../compiler/cli/program-module.ts";
import { withContainer } from "../../compiler/container/executable.ts";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { open } from "../../compiler/open.ts";
import { requireBuilt } from "../../runtime/native/built.ts";
import { type HostTensor, tensorOfNumbers } from "../../runtime/tensor.ts";
import { emitterCases, probe } from "../support/emitter-suite.ts";
import { fromHost } from "../support/graph-programs.ts";
import { OP_GRAPHS } from "../support/op-graphs.ts";
import { WORKGROUP_CASES } from "../support/workgroup-cases.ts";
import { reals, small } from "../support/kernel-cases.ts";
import { CaseFolder, opGraph, randomGraphs } from "./cases.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const MOST_BYTES = 60 * 2 ** 20;
const GRAPHS = 60;
const SEED = 20261126;
/** Of the executables. */
const EVERY = "sm_75,sm_80,sm_86,sm_89,sm_90";

const { architectures, output } = new Command("gpu:pack")
  .description("pack what a machine with a GPU is asked: conformance, compute-sanitizer and benchmarks")
  .option("--architectures <list>", "of the conformance cases; executables have code for all", "sm_90")
  .option("-o, --output <file>", "the archive", "build/gpu-pack.tar.gz")
  .parse().opts<{ architectures: string; output: string }>();

const folder = output.replace(/(\.tar\.gz|\.tgz)?$/, "");
const say = (text: string): void => void process.stderr.write(`${text}\n`);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const cases = new CaseFolder(`vulkan,cuda:${architectures}`);
say(`${OP_GRAPHS.length} graphs of all ops, and ${GRAPHS} random ones`);
await cases.addGraphs("graphs of all ops", OP_GRAPHS.map(opGraph));
await cases.addGraphs("random graphs", randomGraphs(8, GRAPHS, SEED));
say("kernels of every operation");
for (const [, list] of emitterCases({ lanes: [1, 4], fused: "all", roundsTwice: false })) await cases.addKernels("kernels", list());
for (const [, list] of WORKGROUP_CASES) await cases.addKernels("workgroups", list());
await cases.addKernels("workgroups", [
  { kernel: await probe("flash-attention"), dims: { A: 2, S: 5, T: 45 }, inputs: { q: reals(2 * 5 * 32, 7), k: reals(2 * 45 * 32, 8), v: reals(2 * 45 * 32, 9) }, tolerance: 1e-4 },
  { kernel: await probe("gemm-fragments"), dims: { M: 64, N: 32, K: 48 }, inputs: { a: small("f16", 64 * 48, 3), b: small("f16", 48 * 32, 4) } },
]);
say("NoiSER");
await addNoiser();
await cases.write(join(folder, "cases"));

for (const [name, path, fusion] of [["noiser", "../../dsl-examples/noiser", true], ["launches", "../bench/programs/launches.ts", false]] as const) {
  say(`the executable ${name}`);
  const container = await containerOf(await importProgram(here(path), {}), `cpu:v3,vulkan,cuda:${EVERY}`, { fusion });
  writeFileSync(join(folder, name), withContainer(readFileSync(requireBuilt("runner")), container), { mode: 0o755 });
}
for (const file of [requireBuilt("conformance"), here("run.sh"), here("peer.py"), here("../bench/peers/pytorch.py")]) {
  const copied = join(folder, basename(file));
  copyFileSync(file, copied);
  if (!file.endsWith(".py")) chmodSync(copied, 0o755);
}
execFileSync("tar", ["-czf", output, "-C", join(folder, ".."), basename(folder)]);
const { size } = statSync(output);
say(`${output}: ${(size / 2 ** 20).toFixed(1)} MiB. On the machine with the GPU: tar -xzf ${basename(output)} && ${basename(folder)}/run.sh`);
if (size > MOST_BYTES) throw new Error(`the archive has ${size} bytes where ${MOST_BYTES} are the most that is carried`);

/** A training step from given states, and a picture enhanced, as the CPU does both. */
async function addNoiser(): Promise<void> {
  const program = await open(noiser, { target: "cpu", seed: 7 });
  const traced = traceProgram(noiser, "noiser");
  const states = () => Promise.all(traced.states.map(async ({ name }) => [name, await program.state.get(name)] as const));
  await program.call("learn");
  const before = await states();
  const { loss } = await program.call("learn");
  const image = tensorOfNumbers("u8", [47, 31, 3], Array.from({ length: 47 * 31 * 3 }, (_, i) => (i * 37 + Math.floor(i / 93) * 11) % 97));
  const { image: bright } = await program.call("enhance", { image });
  const after = await states();
  await program.close();
  const near = (name: string, t: HostTensor, part: number, least: number) => {
    const numbers = [...fromHost(t).data];
    const allowed = part * Math.max(...numbers.map(Math.abs)) + least;
    return cases.expected(name, t.shape, numbers, numbers.map(() => allowed));
  };
  const given = before.map(([name, t]) => cases.given(name, t));
  // Where a gradient is almost 0, Adam's step goes by its sign; that of a bias before a normalisation is rounding alone.
  const least = (name: string): number => (name.startsWith("net") ? 5e-4 : name.includes(".second.") ? 1e-12 : 1e-7);
  const updates = after.map(([name, t]) => (t.dtype === "f32" ? near(name, t, 1e-3, least(name)) : near(name, t, 0, 0)));
  const container = await containerOf(traced, `vulkan,cuda:${architectures}`, {});
  const none = { sizes: [], states: given } as const;
  cases.add("NoiSER", container, [
    { ...none, name: "a training step", entry: "learn", inputs: [], outputs: [near("loss", loss, 1e-4, 0)], updates },
    { ...none, name: "a picture", entry: "enhance", states: after.map(([name, t]) => cases.given(name, t)), inputs: [cases.given("image", image)], outputs: [near("image", bright, 0, 1)], updates: [] },
  ]);
}
