// A pattern without a result.
import { dim, einsum, entry, f32 } from "sluice";

const [B, S, H] = [dim("B", { max: 8 }), dim("S", { max: 128 }), dim("H", 768)];
const pattern: string = "b s h, h k";
export const project = entry({ x: f32(B, S, H), w: f32(H, 10) }, ({ x, w }) => ({ y: einsum(pattern, x, w) }));
