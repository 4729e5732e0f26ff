// NoiSER's two convolutions alone, between states, so that a call moves no data in or out; of a picture so low that
// caches hold all of it, as they do the rows that `enhance` works on.
import { conv2d, entry, f32, int, procedure, repeat, state } from "sluice";

export const [height, width, hidden] = [8, 600, 32];
export const into = conv2d(3, hidden, 3);
export const outOf = conv2d(hidden, 3, 3);
export const image = state(f32(1, height, width, 3));
export const between = state(f32(1, height, width, hidden));
export const result = state(f32(1, height, width, 3));
export const first = entry({}, () => between.set(into(image)));
export const second = entry({}, () => result.set(outOf(between)));
export const manyFirst = procedure({ times: int(1) }, ({ times }) => repeat(times, () => void first()));
export const manySecond = procedure({ times: int(1) }, ({ times }) => repeat(times, () => void second()));
