// A graph of about as many nodes as asked for: blocks in four kinds as networks have them (a layer with a residual, a norm, a
// gated sum, an attention over rows). Weights are shared; the blocks' own numbers differ eightfold, so kernels do.
import { entry, f32, linear, settings, standardize, times, type Tensor } from "sluice";

const { nodes } = settings({ nodes: 1000 });
const [ROWS, COLUMNS, NODES_A_ROUND] = [64, 32, 63];
type Rows = Tensor<"f32", [64, 32]>;

export const layers = times(4, () => linear(COLUMNS, COLUMNS));
const blocks: readonly ((x: Rows, i: number) => Tensor)[] = [
  (x, i) => x.add(layers[i % 4]!(x).gelu().mul(scale(i))),
  x => standardize(x, [1]).mul(0.5).add(x),
  (x, i) => x.mul(x.sigmoid()).mul(scale(i)).add(x.abs().add(1).log()).sub(x.mean(1, { keepdims: true })),
  (x, i) => x.matmul(x.rearrange("r c -> c r")).mul(scale(i) / 8).softmax(1).matmul(x),
];
const scale = (i: number): number => 1 + (i % 8) / 16;

export const run = entry({ x: f32(ROWS, COLUMNS) }, ({ x }) => {
  let y: Rows = x;
  for (let i = 0; i < (blocks.length * nodes) / NODES_A_ROUND; i++) y = blocks[i % blocks.length]!(y, i) as Rows;
  return { y: y.sum() };
});
