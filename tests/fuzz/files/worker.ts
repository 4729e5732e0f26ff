// Reads the files that it is sent, in a heap that holds no more than readers may take.
import { parentPort } from "node:worker_threads";
import { answerTo, type Mutated } from "./kinds.ts";

export interface Answer {
  readonly answer: string;
  /** Of arrays beside the heap, which no limit holds: what was added while the file was read. */
  readonly arrays: number;
}

parentPort!.on("message", async (file: Mutated) => {
  const before = process.memoryUsage().arrayBuffers;
  const answer = await answerTo(file).catch((error: unknown) => `thrown: ${error instanceof Error ? error.stack : String(error)}`);
  parentPort!.postMessage({ answer, arrays: process.memoryUsage().arrayBuffers - before } satisfies Answer);
});
