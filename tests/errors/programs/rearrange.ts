// A group whose sizes do not make its axis.
import { dim, entry, f32, type Tensor } from "sluice";

const [B, S] = [dim("B", { max: 8 }), dim("S", { max: 128 })];
const pattern: string = "b s (a e) -> b a s e";
export const heads = entry({ x: f32(B, S, 768) }, ({ x }) => ({ y: (x as Tensor).rearrange(pattern, { a: 7 }) }));
