// Tensors of more elements than 32 bits count, which take no memory since one value is repeated: computed right, or refused by name
// when the sizes are known.
import { expect, test } from "vitest";
import { dim, entry, f32, i32, open } from "sluice";
import { build } from "../../compiler/open.ts";
import { readContainer } from "../../compiler/container/read.ts";
import { TEST_CACHE } from "../support/native-kernels.ts";

const [R, C] = [dim("R", { max: 2 ** 17 }), dim("C", { max: 2 ** 16 })];
const exports = {
  repeated: entry({ x: f32(), n: i32() }, ({ x, n }) => ({ sum: x.expand(R, C).sum(), largest: x.expand(R, C).max(), count: n.expand(R, C).sum() })),
  small: entry({ x: f32() }, ({ x }) => ({ sum: x.expand(64, C).sum() })),
};

test("WebAssembly counts as many as its indices hold, and refuses more with the line and the sizes", async () => {
  const program = await open(exports, { target: "wasm", threads: 1 });
  const inputs = { x: 1, n: 1 };
  // 2³¹ elements and more.
  for (const sizes of [{ R: 2 ** 15, C: 2 ** 16 }, { R: 2 ** 17, C: 2 ** 16 }]) {
    const refused = await program.call("repeated", inputs, sizes).then(() => "", String);
    expect(refused).toMatch(/WASM002: `repeated` is too large for WebAssembly, whose indices have 32 bits: a tensor has more elements/);
    expect(refused).toContain(`${sizes.R * sizes.C} with R = ${sizes.R}, C = ${sizes.C}`);
    expect(refused).toContain("many-elements.test.ts:");
    expect(refused).toContain("use target: \"cpu\"");
  }
  const { sum, largest } = await program.call("repeated", inputs, { R: 2 ** 10, C: 2 ** 16 });
  expect([sum!.item(), largest!.item()]).toEqual([2 ** 26, 1]);
  await program.close();
});

test("native code counts further", { timeout: 300_000 }, async () => {
  const program = await open(exports, { target: "cpu", cache: TEST_CACHE });
  const { sum, largest, count } = await program.call("repeated", { x: 1, n: 1 }, { R: 2 ** 15 + 1, C: 2 ** 16 });
  expect([sum!.item(), largest!.item(), count!.item()]).toEqual([2 ** 31 + 2 ** 16, 1, -(2 ** 31) + 2 ** 16]);
  await program.close();
});

test("only what may grow so large is counted, and the container keeps it", async () => {
  const { program } = readContainer(await build(exports, { target: "wasm" }));
  const counts = Object.fromEntries(program.lowerings[0]!.schedules.map(s => [s.entry, s.counts?.length ?? 0]));
  expect([counts["repeated"], counts["small"]]).toEqual([1, 0]);
});

test("an axis that positions of 32 bits cannot tell apart is refused where its dim is declared", () => {
  expect(() => dim("N", { max: 2 ** 31 })).toThrow(/DIM001: dim N is longer than an axis may be[\s\S]*at most 2147483647/);
  expect(() => dim("N", 2 ** 40)).toThrow(/DIM001/);
  expect(dim("N", { max: 2 ** 31 - 1 }).name).toBe("N");
});
