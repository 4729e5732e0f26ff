// What a trace says of a program: whatever happens stands at the line that asked for it.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { entry, f32, iterate, open, procedure, random, state } from "../../compiler/index.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";

const kept = state(f32(4), "kaiming", { in: 4, out: 4 });
const noise = random("noise");
const double = entry({ x: f32(4) }, ({ x }) => ({ y: x.mul(2) }));
const twice = entry({ x: f32(4) }, ({ x }) => ({ y: x.mul(2) }));
const same = entry({ x: f32(4) }, ({ x }) => ({ y: x }));
const swap = entry({ x: f32(4), y: f32(4) }, ({ x, y }) => iterate(3, { x, y }, now => ({ x: now.y, y: now.x })));
const draw = entry({}, () => ({ y: noise.uniform(f32(4)) }));
const recall = entry({}, () => ({ y: kept }));
const all = procedure({}, () => {
  draw();
  recall();
});

interface Event {
  readonly cat: string;
  readonly name: string;
  readonly args: { readonly line: string };
}

test.each(["wasm", "cpu"] as const)("a launch, a copy and a call stand at the line that asked for them, also where kernels are shared and values are only moved: %s", async target => {
  const source = (await readFile(fileURLToPath(import.meta.url), "utf8")).split("\n");
  const program = await open({ kept, noise, double, twice, same, swap, draw, recall, all }, { name: "traced", target, cache: TEST_CACHE, trace: true });
  const x = [1, 2, 3, 4];
  await program.call("double", { x });
  await program.call("twice", { x });
  await program.call("same", { x });
  await program.call("swap", { x, y: x });
  await program.run("all");
  const { traceEvents } = JSON.parse(await program.trace()) as { readonly traceEvents: readonly Event[] };
  await program.close();
  /** What happened, and the first words of the line. */
  const shown = traceEvents.map(({ cat, name, args }) => {
    const [, file, line] = /^(.*):(\d+):\d+$/.exec(args.line)!;
    expect(file).toBe("tests/unit/trace.test.ts");
    return `${cat === "call" ? `call ${name}` : cat}: ${source[Number(line) - 1]!.trim().split(" =")[0]}`;
  });
  expect([...new Set(shown)]).toEqual([
    "launch: const double", "call double: const double", "launch: const twice", "call twice: const twice", "copy: const same", "call same: const same",
    "copy: const swap", "call swap: const swap",
    "copy: const kept", "call init:seed: const kept", "copy: const noise", "call init:noise: const noise", "launch: const draw", "call draw: draw();",
    "launch: const kept", "call init:kept: const kept", "copy: const recall", "call recall: recall();",
  ]);
});
