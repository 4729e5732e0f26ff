// NoiSER's network and a step of its training, on every target there is, against the reference interpreter.
import { dim, entry, f32 } from "sluice";
import { expect, test } from "vitest";
import { traceProgram } from "../../compiler/dsl/program.ts";
import { net, noise, optimizer } from "../../dsl-examples/noiser/index.ts";
import { expectCompiled } from "../support/compiled.ts";

const [B, H, W] = [dim("B", { max: 16 }), dim("H", { min: 16, max: 4096 }), dim("W", { min: 16, max: 4096 })];
const picture = f32(B, H, W, 3);

test("a picture", async () => {
  const brighter = entry({ image: picture }, ({ image }) => ({ image: net(image) }), { B: 1 });
  const [graph] = traceProgram({ net, brighter }, "noiser").entries;
  await expectCompiled(graph!, { dims: { H: 25, W: 19 } });
});

test("a step of training", async () => {
  const learn = entry({}, () => {
    const x = noise.normal(picture).clamp(-1, 1);
    const loss = net(x).sub(x).square().mean();
    optimizer.step(loss);
    return { loss };
  }, { B: 1, H: 16, W: 17 });
  const program = traceProgram({ net, noise, optimizer, learn }, "noiser");
  expect(program.states.length).toBeGreaterThan(4);
  await expectCompiled(program.entries[0]!);
});
