// A state that has no name.
import { entry, f32, state } from "sluice";

const hidden = state(f32(4));
export const read = entry({ x: f32(4) }, ({ x }) => ({ y: x.add(hidden) }));
