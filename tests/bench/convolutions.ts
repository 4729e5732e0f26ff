// Times the two convolutions of `enhance` alone, on one thread, as GFLOP/s of what a direct convolution computes; prints the
// best of so many runs as JSON.
import { open } from "../../compiler/index.ts";
import { generator } from "./harness/network.ts";
import * as program from "./programs/convolutions.ts";

const RUNS = Number(process.argv[2]);
const opened = await open(program, { target: "cpu", threads: 1 });
const next = generator(5);
await opened.state.set("image", Float32Array.from({ length: 400 * 600 * 3 }, () => 2 * next() - 1));
await opened.state.set("between", Float32Array.from({ length: 400 * 600 * 32 }, () => 2 * next() - 1));
const best = async (entry: "first" | "second"): Promise<number> => {
  let least = Infinity;
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    await opened.call(entry);
    least = Math.min(least, performance.now() - start);
  }
  return least;
};
const flops = 2 * 400 * 600 * 9 * 3 * 32;
const rate = async (entry: "first" | "second"): Promise<number> => flops / (await best(entry)) / 1e6;
const [first, second] = [await rate("first"), await rate("second")];
process.stdout.write(`${JSON.stringify({ first, second })}\n`);
await opened.close();
