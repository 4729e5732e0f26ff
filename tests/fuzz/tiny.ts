// The smallest program that has a bit of everything that a container holds: a dim, a state, a constant, an entry, a procedure.
import { constant, dim, entry, f32, log, procedure, repeat, state } from "sluice";

const N = dim("N", { max: 8 });
export const total = state(f32(2), "zeros");
export const add = entry({ x: f32(N, 2) }, ({ x }) => {
  const sum = total.add(x.sum("N"));
  total.set(sum);
  return { y: sum.mul(constant([2, 3])) };
});
export const count = procedure({}, () => repeat(3, i => log({ i })));
