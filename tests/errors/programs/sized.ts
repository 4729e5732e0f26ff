// Sizes that no input has: one bound at load, one at each call.
import { dim, emit, entry, f32, full, procedure, state } from "sluice";

const [B, C] = [dim("B", { max: 8 }), dim("C", { max: 9, bind: "load" })];
export const cache = state(f32(C), 2);
export const draw = entry({}, () => ({ y: full(f32(B), 3), total: cache.sum() }));
export const twice = procedure({}, () => emit("y", draw({}, { B: 2 }).y));
