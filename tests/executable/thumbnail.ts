// Reads a picture at a size of its own, and writes what an entry makes of it.
import { dim, entry, file, picture, procedure, u8, write } from "sluice";

const [H, W] = [dim("H", { min: 1, max: 4096 }), dim("W", { min: 1, max: 4096 })];
export const flip = entry({ image: u8(H, W, 3) }, ({ image }) => ({ image: image.cast("f32").neg().add(255).cast("u8") }));
export const small = procedure({ photo: picture("any"), to: file("a .png") }, ({ photo, to }) => write(to, flip({ image: photo.pixels({ resize: [20, 30] }) }).image));
export const large = procedure({ photo: picture("any"), to: file("a .png") }, ({ photo, to }) => write(to, flip({ image: photo.pixels({ resize: [90, 70] }) }).image));
