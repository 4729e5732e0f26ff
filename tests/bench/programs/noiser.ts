// NoiSER as the benchmarks run it: the example, a procedure that only trains, and a step on a given picture of noise, by which
// training is compared with the peers'.
import { dim, entry, f32, int, procedure, repeat, span } from "sluice";
import { learn, net, optimizer } from "../../../dsl-examples/noiser/index.ts";

export { enhance, learn, net, noise, optimizer } from "../../../dsl-examples/noiser/index.ts";

export const steps = procedure({ steps: int(10, "training steps") }, ({ steps }) => repeat(steps, () => void learn()));

const [B, H, W] = [dim("B", { max: 16 }), dim("H", { min: 16, max: 4096 }), dim("W", { min: 16, max: 4096 })];
export const learnFrom = entry({ x: f32(B, H, W, 3) }, ({ x }) => {
  const y = net(x);
  const [H1, W1] = [H.minus(1), W.minus(1)];
  const down = y.slice({ H: span(1, H1) }).sub(y.slice({ H: span(0, H1) })).square().sum();
  const right = y.slice({ W: span(1, W1) }).sub(y.slice({ W: span(0, W1) })).square().sum();
  const loss = y.sub(x).abs().mean().add(down.add(right).div(B.times(H).times(W).times(3)));
  optimizer.step(loss);
  return { loss };
}, { B: 1, H: 104, W: 104 });
