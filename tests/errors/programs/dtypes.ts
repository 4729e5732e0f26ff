// Two dtypes in one sum.
import { dim, entry, f16, f32, type Tensor } from "sluice";

const B = dim("B", { max: 8 });
export const total = entry({ x: f32(B), y: f16(B) }, ({ x, y }) => ({ z: (x as Tensor).add(y) }));
