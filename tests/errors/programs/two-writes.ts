// A state that is set twice in one entry.
import { entry, f32, state } from "sluice";

export const total = state(f32(4));
export const add = entry({ x: f32(4) }, ({ x }) => {
  total.set(total.add(x));
  total.set(total.mul(2));
});
