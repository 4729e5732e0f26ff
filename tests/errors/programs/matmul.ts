// A weight that is stored the other way round.
import { dim, entry, f32, state, type Tensor } from "sluice";

const [B, H] = [dim("B", { max: 8 }), dim("H", 768)];
export const weight: Tensor = state(f32(10, H));
export const logits = entry({ x: f32(B, H) }, ({ x }) => ({ y: x.matmul(weight) }));
