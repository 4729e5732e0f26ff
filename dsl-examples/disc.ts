// A small network learns which points of a square lie in a disc.
import { adam, dim, entry, every, type F32, f32, file, int, linear, log, module, procedure, random, repeat, save } from "sluice";

const B = dim("B", { max: 4096 });
const X = dim("X", 2);
const H = dim("H", 64);
const Y = dim("Y", 1);

const parts = { first: linear([X], [H]), second: linear([H], [H]), last: linear([H], [Y]) };
export const net = module(parts, (x: F32<["B", "X"]>) => parts.last(parts.second(parts.first(x).gelu()).gelu()).sigmoid());
export const points = random("points");
export const optimizer = adam(net, { rate: 1e-2 });

export const classify = entry({ x: f32(B, X) }, ({ x }) => ({ inside: net(x) }));

export const learn = entry({}, () => {
  const x = points.uniform(f32(B, X)).mul(2).sub(1);
  const distance = x.square().sum("X").sqrt().unsqueeze();
  const inside = distance.lt(0.7).cast("f32");
  const loss = net(x).sub(inside).square().mean();
  optimizer.step(loss);
  return { loss };
}, { B: 1024 });

export const train = procedure({ steps: int(500, "training steps"), to: file("weights", "disc.safetensors") }, ({ steps, to }) => {
  repeat(steps, i => {
    const { loss } = learn();
    every(100, i, () => log({ loss }));
  });
  save(to, net);
});
