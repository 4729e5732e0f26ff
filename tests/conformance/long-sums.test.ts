// Sums of so many floats that a running sum would be off: made in blocks, on every target, their error stays near that of some
// roundings. What is summed is one value that is repeated, which takes no memory, and values drawn at random.
import { describe, expect, test } from "vitest";
import { dim, entry, f32 } from "sluice";
import type { HostTensor } from "../../runtime/tensor.ts";
import { numbersOf, RUNNERS, values, withProgram } from "../support/programs.ts";
import type { TargetRow } from "../support/targets.ts";

/** Of equal values each rounding is off in the same direction: this is far above what blocks leave, and far below a running sum. */
const LIMIT = 4e-5;
const TENTH = Math.fround(0.1);

function expectAll(name: string, got: HostTensor | undefined, wanted: number): void {
  const numbers = numbersOf(got);
  expect(numbers.length, name).toBeGreaterThan(0);
  for (const x of numbers) expect(Math.abs(x - wanted) / Math.abs(wanted), `${name}: ${x} for ${wanted}`).toBeLessThanOrEqual(LIMIT);
}

/** So many elements, or as many as are computed in a moment where each is watched or interpreted. */
const upTo = ({ name, isWatched }: TargetRow, count: number): number => Math.min(count, name === "interpret" ? 2 ** 18 : isWatched ? 2 ** 15 : Infinity);

const N = dim("N", { max: 2 ** 30 });
const [R, C, K] = [dim("R", { max: 2 ** 15 }), dim("C", { max: 2 ** 15 }), dim("K", { max: 2 ** 20 })];
const exports = {
  row: entry({ x: f32() }, ({ x }) => ({ sum: x.expand(N).sum(), mean: x.expand(N).mean(), squares: x.expand(N).square().sum(), largest: x.expand(N).max() })),
  image: entry({ x: f32() }, ({ x }) => {
    const image = x.expand(R, C);
    return { all: image.sum(), byRows: image.sum("C"), byColumns: image.sum("R"), channels: x.expand(R, C, 3).sum(["R", "C"]), inner: x.expand(R, C, 3).sum() };
  }),
  known: entry({ x: f32() }, ({ x }) => ({ odd: x.expand(3, 9001).sum(1), even: x.expand(3, 65536).sum(1), columns: x.expand(9001, 5).sum(0), wide: x.expand(70000, 2, 3).sum([0, 2]) })),
  products: entry({ x: f32(), y: f32() }, ({ x, y }) => ({
    panels: x.expand(18, K).matmul(y.expand(K, 33)), turned: x.expand(K, 18).rearrange("k m -> m k").matmul(y.expand(33, K).rearrange("n k -> k n")),
    rows: x.expand(2, K).matmul(y.expand(K, 33)), columns: x.expand(33, K).matmul(y.expand(K, 2)), dot: x.expand(1, K).matmul(y.expand(K, 1)),
    known: x.expand(7, 40000).matmul(y.expand(40000, 9)),
  })),
  drawn: entry({ x: f32(C) }, ({ x }) => ({ sum: x.sum(), variance: x.variance(), products: x.unsqueeze(0).matmul(x.unsqueeze(1)) })),
};

describe.each(RUNNERS)("$name", target => {
  test("of one value", () => withProgram(target, exports, async p => {
    const n = upTo(target, 2 ** 26);
    const row = await p.call("row", { x: TENTH }, { N: n });
    expectAll("sum", row["sum"], TENTH * n);
    expectAll("mean", row["mean"], TENTH);
    expectAll("squares", row["squares"], TENTH * TENTH * n);
    expectAll("largest", row["largest"], TENTH);

    const [r, c] = [upTo(target, 2 ** 24) / 2 ** 12, 2 ** 12];
    const image = await p.call("image", { x: TENTH }, { R: r, C: c });
    expectAll("all", image["all"], TENTH * r * c);
    expectAll("byRows", image["byRows"], TENTH * c);
    expectAll("byColumns", image["byColumns"], TENTH * r);
    expectAll("channels", image["channels"], TENTH * r * c);
    expectAll("inner", image["inner"], TENTH * r * c * 3);
  }));

  test("of sizes that are known, whole blocks and not", () => withProgram(target, exports, async p => {
    const known = await p.call("known", { x: TENTH });
    for (const [name, n] of [["odd", 9001], ["even", 65536], ["columns", 9001], ["wide", 210000]] as const) expectAll(name, known[name], TENTH * n);
  }));

  test("of products", () => withProgram(target, exports, async p => {
    const k = upTo(target, 2 ** 17) / (target.isWatched || target.name === "interpret" ? 2 ** 4 : 1);
    const products = await p.call("products", { x: TENTH, y: Math.fround(0.3) }, { K: k });
    for (const [name, value] of Object.entries(products)) expectAll(name, value, TENTH * Math.fround(0.3) * (name === "known" ? 40000 : k));
  }));

  test("of values drawn at random", () => withProgram(target, exports, async p => {
    const data = values(2 ** 15 - 3).map(x => x + 0.5);
    const sum = (f: (x: number) => number): number => data.reduce((total, x) => total + f(x), 0);
    const mean = sum(x => x) / data.length;
    const drawn = await p.call("drawn", { x: data });
    expectAll("sum", drawn["sum"], sum(x => x));
    expectAll("variance", drawn["variance"], sum(x => (x - mean) ** 2) / data.length);
    expectAll("products", drawn["products"], sum(x => x * x));
  }));
});
