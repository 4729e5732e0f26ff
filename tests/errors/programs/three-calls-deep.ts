// A residual connection whose second layer has the wrong width: found three calls deep.
import { dim, entry, f32, linear, module, type Tensor, times } from "sluice";

const B = dim("B", { max: 64 });
const narrow: number = 10;
const layer = () => module({ wide: linear(784, 64), back: linear(64, narrow) }, (x: Tensor) => residual(x, layers[0]!));
const layers = times(1, layer);
export const stack = module({ layers }, (x: Tensor) => layers.reduce((y, l) => l(y), x));

function residual(x: Tensor, l: { wide: (x: Tensor) => Tensor; back: (x: Tensor) => Tensor }): Tensor {
  const y = l.back(l.wide(x).relu());
  return x.add(y);
}

export const forward = entry({ x: f32(B, 784) }, ({ x }) => ({ y: stack(x) }));
