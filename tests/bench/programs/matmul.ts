// One matrix product between states, so that a call moves no data in or out.
import { entry, f32, settings, state } from "sluice";

const { size } = settings({ size: 512 });
export const a = state(f32(size, size));
export const b = state(f32(size, size));
export const c = state(f32(size, size));
export const multiply = entry({}, () => c.set(a.matmul(b)));
