// A reduction over an axis that is not there.
import { dim, entry, f32, type Tensor } from "sluice";

const [B, H] = [dim("B", { max: 8 }), dim("H", 768)];
export const mean = entry({ x: f32(B, H) }, ({ x }) => ({ y: (x as Tensor).mean("W") }));
