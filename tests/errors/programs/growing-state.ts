// A state whose size changes from call to call.
import { dim, entry, f32, state } from "sluice";

const T = dim("T", { max: 128 });
export const cache = state(f32(T, 64));
export const read = entry({}, () => ({ y: cache.add(1) }));
