// Procedures whose rows are looked at: some are logged in a loop and some outside of it. One goes on until it is interrupted.
import { entry, f32, full, int, iterate, log, loop, procedure, repeat, variable } from "sluice";

export const one = entry({}, () => ({ y: full(f32(3), 1).sum() }));

export const count = procedure({ times: int(3, "how often", { min: 0, max: 1000 }) }, ({ times }) => {
  log({ before: 1 });
  repeat(times, () => log({ sum: one().y }));
  log({ after: 2 });
  log({ last: 3 });
});

/** A loop that calls nothing. */
export const spin = procedure({}, () => {
  log({ spinning: 1 });
  const i = variable(0);
  loop(() => i.ge(0), () => i.set(1));
});

/** A call that takes minutes. */
export const long = entry({}, () => ({ y: iterate(2_000_000_000, { x: full(f32(64), 1) }, ({ x }) => ({ x: x.mul(0.5).add(1) })).x.sum() }));
