// NoiSER's two convolutions alone, between states, so that a call moves no data in or out.
import { conv2d, entry, f32, state } from "sluice";

const [height, width, hidden] = [400, 600, 32];
export const into = conv2d(3, hidden, 3);
export const outOf = conv2d(hidden, 3, 3);
export const image = state(f32(1, height, width, 3));
export const between = state(f32(1, height, width, hidden));
export const result = state(f32(1, height, width, 3));
export const first = entry({}, () => between.set(into(image)));
export const second = entry({}, () => result.set(outOf(between)));
