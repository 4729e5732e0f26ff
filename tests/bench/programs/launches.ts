// An entry that is a hundred tiny kernels where ops are not fused: what a launch costs beside its kernel.
import { entry, f32, int, procedure, repeat, state } from "sluice";

export const LAUNCHES = 100;
export const x = state(f32(64), 1);
export const step = entry({}, () => {
  let y = x.mul(0.5);
  for (let i = 1; i < LAUNCHES; i++) y = i % 2 === 0 ? y.mul(0.5) : y.add(x);
  x.set(y);
});
export const steps = procedure({ times: int(1) }, ({ times }) => repeat(times, () => void step()));
