// JavaScript branches on a comparison of tensors, which it takes for true.
import { dim, entry, f32, type Tensor } from "sluice";

const B = dim("B", { max: 8 });
function clipped(x: Tensor): Tensor {
  if (x.abs().max().gt(1)) return x.div(x.abs().max());
  return x;
}
export const clip = entry({ x: f32(B) }, ({ x }) => ({ y: clipped(x) }));
