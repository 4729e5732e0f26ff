// A mean whose axis is gone does not go with what it was taken from.
import { dim, entry, f32, type Tensor } from "sluice";

const [B, S, H] = [dim("B", { max: 8 }), dim("S", { max: 128 }), dim("H", 768)];
export const centred = entry({ x: f32(B, S, H) }, ({ x }) => ({ y: (x as Tensor).sub(x.mean("H")) }));
