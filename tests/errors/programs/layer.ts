// A layer that is given what another layer should have made.
import { dim, entry, f32, linear, type Tensor } from "sluice";

const [B, H] = [dim("B", { max: 8 }), dim("H", 768)];
export const head = linear(H, 10);
export const logits = entry({ x: f32(B, 10) }, ({ x }) => ({ y: head(x as Tensor) }));
