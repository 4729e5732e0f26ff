// A letter that stands for two sizes.
import { dim, einsum, entry, f32 } from "sluice";

const [B, S, H] = [dim("B", { max: 8 }), dim("S", { max: 128 }), dim("H", 768)];
const pattern: string = "b s h, h k -> b s k";
export const project = entry({ x: f32(B, S, H), w: f32(512, 10) }, ({ x, w }) => ({ y: einsum(pattern, x, w) }));
