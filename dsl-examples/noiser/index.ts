// NoiSER: a 1,763-parameter network learns to repeat pure noise, and then lights up photographs it has never seen.
import { adam, conv2d, dim, entry, every, type F32, f32, file, int, load, log, module, picture, procedure, random, repeat, save, span, standardize, type U8, u8, write } from "sluice";

const B = dim("B", { max: 16 });
const H = dim("H", { max: 16384 });
const W = dim("W", { max: 16384 });
type Images = F32<["B", "H", "W", 3]>;

const layers = { in: conv2d(3, 32, 3), out: conv2d(32, 3, 3) };
export const net = module(layers, (x: Images) => layers.out(standardize(layers.in(x), ["H", "W"]).gelu()).tanh());
export const noise = random("noise");
export const optimizer = adam(net, { rate: 2e-4, betas: [0.5, 0.999] });

// One step: repeat a picture of noise; the other loss is the output's total variation.
export const learn = entry({}, () => {
  const x = noise.normal(f32(B, H, W, 3)).mul(3).clamp(-1, 1);
  const y = net(x);
  const loss = y.sub(x).abs().mean().add(variation(y));
  optimizer.step(loss);
  return { loss };
}, { B: 1, H: 104, W: 104 });

// Bytes in, bytes out: a photograph of twelve million pixels needs no more memory than itself.
export const enhance = entry({ image: u8(H, W, 3) }, ({ image }) => ({ image: bytes(net(levels(image).expand(B)).select({ B: 0 })) }), { B: 1 });
const levels = (image: U8<["H", "W", 3]>) => image.cast("f32").mul(2 / 255).sub(1);
const bytes = (y: F32<["H", "W", 3]>) => y.add(1).mul(127.5).round().cast("u8");

export const train = procedure({ steps: int(2000, "training steps"), to: file("weights, .safetensors", "noiser.safetensors") }, ({ steps, to }) => {
  repeat(steps, i => {
    const { loss } = learn();
    every(50, i, () => log({ loss }));
  });
  save(to, net);
});

export const brighten = procedure({ weights: file("from train", "noiser.safetensors"), photo: picture("what to brighten"), to: file("a .png", "bright.png") }, ({ weights, photo, to }) => {
  load(weights, net);
  write(to, enhance({ image: photo.pixels() }).image);
});

function variation(y: Images) {
  const H1 = H.minus(1);
  const W1 = W.minus(1);
  const down = y.slice({ H: span(1, H1) }).sub(y.slice({ H: span(0, H1) }));
  const right = y.slice({ W: span(1, W1) }).sub(y.slice({ W: span(0, W1) }));
  return down.square().sum().add(right.square().sum()).div(B.times(H).times(W).times(3));
}
