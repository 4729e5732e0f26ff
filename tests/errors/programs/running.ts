// A program that traces well and goes wrong when it is run.
import { dim, entry, f32, i32, int, procedure, repeat, state, u8, write, picture, file } from "sluice";

const N = dim("N", { min: 2, max: 8, multipleOf: 2 });
const [H, W] = [dim("H", { min: 4, max: 4096 }), dim("W", { min: 4, max: 4096 })];
export const table = state(f32(4), "empty");

export const look = entry({}, () => ({ y: table.add(1) }));
export const root = entry({ x: f32(N) }, ({ x }) => ({ y: x.sub(1).sqrt().mul(2) }));
export const count = entry({ ids: i32(N) }, ({ ids }) => ({ y: ids.add(1) }));
export const invert = entry({ image: u8(H, W, 3) }, ({ image }) => ({ image: image.cast("f32").neg().add(255).cast("u8") }));
export const turn = procedure({ photo: picture("what to invert"), times: int(1, "how often"), to: file("a .png", "inverted.png") }, ({ photo, times, to }) => {
  repeat(times, () => write(to, invert({ image: photo.pixels() }).image));
});
