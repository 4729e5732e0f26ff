// Times the two convolutions of `enhance` alone, on one thread, as GFLOP/s of what a direct convolution computes; prints the
// best of so many runs as JSON, each too short for another process to come between, as the peak's are.
import { open } from "../../compiler/index.ts";
import { generator } from "./harness/network.ts";
import * as program from "./programs/convolutions.ts";

const RUNS = Number(process.argv[2]);
/** Calls in a run. */
const TIMES = 10;
const { height, width, hidden } = program;
const opened = await open(program, { target: "cpu", threads: 1 });
const next = generator(5);
await opened.state.set("image", Float32Array.from({ length: height * width * 3 }, () => 2 * next() - 1));
await opened.state.set("between", Float32Array.from({ length: height * width * hidden }, () => 2 * next() - 1));

/** GFLOP/s of the best run. */
async function rate(run: "manyFirst" | "manySecond"): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    await opened.run(run, { times: TIMES });
    least = Math.min(least, performance.now() - start);
  }
  return (2 * height * width * 9 * 3 * hidden * TIMES) / least / 1e6;
}
process.stdout.write(`${JSON.stringify({ first: await rate("manyFirst"), second: await rate("manySecond") })}\n`);
await opened.close();
