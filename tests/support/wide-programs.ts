// Entries of which one kernel would compute too much: many pieces, values read at ever more places, many results.
import { concat, entry, f32, i32, span, type Tensor } from "sluice";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const part = (x: Tensor, from: number, count: number, axis: number): Tensor => x.slice({ [axis]: span(from, count) }) as Tensor;
const column = (x: Tensor, i: number): Tensor => x.select({ 1: i }) as Tensor;
const row = (x: Tensor, i: number): Tensor => x.select({ 0: i }) as Tensor;
const largest = (xs: readonly Tensor[]): Tensor => xs.reduce((a, b) => a.maximum(b));
const total = (xs: readonly Tensor[]): Tensor => xs.reduce((a, b) => a.add(b));
const repeated = (x: Tensor, times: number, step: (x: Tensor, i: number) => Tensor): Tensor => range(times).reduce(step, x);

/** Adds even and odd rows until two are left. */
const halved = (x: Tensor, count: number, rest: readonly number[]): Tensor =>
  count === 2 ? x : halved(total([0, 1].map(i => part(x.reshape(count / 2, 2, ...rest) as Tensor, i, 1, 1))).reshape(count / 2, ...rest) as Tensor, count / 2, rest);

/** Each element is computed of two of the step before, as in a Fourier transform. */
const butterflies = (x: Tensor, count: number): Tensor => repeated(x, Math.log2(count), (m, i) => {
  const pairs = m.reshape(count / 2 ** (i + 1), 2, 2 ** i) as Tensor;
  const [a, b] = [part(pairs, 0, 1, 1), part(pairs, 1, 1, 1)];
  return concat([a.add(b), a.sub(b)], 1).mul(0.7).reshape(count) as Tensor;
});

export const WIDE = {
  stridedSlices: entry({ x: f32(61, 200) }, ({ x }) => ({ y: largest(range(200).map(i => column(x, i))) })),
  slices: entry({ x: f32(64, 200) }, ({ x }) => ({ y: largest(range(200).map(i => part(x, i, 1, 1))) })),
  halvedVector: entry({ x: f32(4096) }, ({ x }) => ({ y: halved(x, 4096, []) })),
  halvedRows: entry({ x: f32(1024, 16) }, ({ x }) => ({ y: halved(x, 1024, [16]) })),
  neighbours: entry({ x: f32(4096) }, ({ x }) => ({ y: repeated(x, 40, (m, i) => part(m, 0, 4094 - 2 * i, 0).add(part(m, 2, 4094 - 2 * i, 0)).mul(0.5)) })),
  transform: entry({ x: f32(1024) }, ({ x }) => ({ y: butterflies(x, 1024) })),
  pieces: entry({ x: f32(300, 8) }, ({ x }) => ({ y: concat(range(300).map(i => part(x, 299 - i, 1, 0).mul(i + 1)), 0) })),
  piecesInARow: entry({ x: f32(8, 300) }, ({ x }) => ({ y: concat(range(300).map(i => part(x, 299 - i, 1, 1).mul(i + 1)), 1) })),
  sumOfProducts: entry({ x: f32(300, 8), w: f32(8, 8) }, ({ x, w }) => ({ y: total(range(300).map(i => row(x, i).mul(row(w, i % 8)))) })),
  outputs: entry({ x: f32(300, 8) }, ({ x }) => Object.fromEntries(range(300).map(i => [`y${i}`, row(x, i).mul(2).tanh()]))),
  wideOutputs: entry({ x: f32(64, 64) }, ({ x }) => Object.fromEntries(range(24).map(k => [`y${k}`, total(range(64).map(i => column(x, i).mul((i * k) % 7)))]))),
  chain: entry({ x: f32(1000) }, ({ x }) => ({ y: repeated(x, 300, m => m.mul(0.99).add(0.01)) })),
  diamonds: entry({ x: f32(1000) }, ({ x }) => ({ y: repeated(x, 60, m => m.tanh().mul(0.5).add(m.mul(m).mul(0.1))) })),
  meshed: entry({ x: f32(64, 40) }, ({ x }) => {
    const mesh = (values: readonly Tensor[], round: number): readonly Tensor[] => values.map((a, i) => a.add(values[(i * 7 + round) % values.length]!.mul(0.5)));
    return { y: largest(range(6).reduce(mesh, range(40).map(i => column(x, i)))) };
  }),
  gathers: entry({ x: f32(64), ids: i32(64) }, ({ x, ids }) => ({ y: repeated(x, 12, m => (m.gather(ids) as Tensor).add(m.gather(ids.add(1)) as Tensor).mul(0.5)) })),
  operand: entry({ x: f32(64, 64), w: f32(300, 16) }, ({ x, w }) => ({ y: concat(range(300).map(i => column(x, i % 64).reshape(64, 1) as Tensor), 1).matmul(w) })),
  reduced: entry({ x: f32(64, 64) }, ({ x }) => ({ y: total(range(64).map(i => x.mul(i + 1).tanh())).sum(1) })),
};
