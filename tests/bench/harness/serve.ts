// A participant's side of the protocol: one JSON request a line on standard input, one JSON answer a line on standard output.
// First `prepare` names a task; then `output` writes what it computes as raw f32, and `run` times it.
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { TargetText } from "../../../compiler/targets.ts";

export type TaskName = "enhance" | "train" | "matmul" | "launches";

/** What a participant is asked to do. The folder holds the inputs: weights.f32, image.u8, noise.f32, matrices.f32. */
export interface TaskRequest {
  readonly task: TaskName;
  /** What ours is compiled for. */
  readonly target: TargetText;
  /** false: with every op a kernel of its own. */
  readonly fusion?: boolean;
  readonly threads: number;
  readonly folder: string;
  readonly width: number;
  readonly height: number;
  readonly size: number;
}
export interface Task {
  /** Once; resolves when the result is complete. */
  run(): Promise<unknown>;
  /** What the task computes on the inputs of the folder. */
  output(): Promise<Float32Array>;
}
export interface Prepared extends Task {
  /** The participant with its version and threads, for people. */
  readonly description: string;
  /** Steps (launches) in one run, if more than one: a time is that of a step. */
  readonly batch?: number;
}
type Request = { readonly do: "prepare" } & TaskRequest | { readonly do: "output"; readonly path: string } | { readonly do: "run"; readonly count: number };

/** Answers requests until standard input ends. */
export async function serve(prepare: (request: TaskRequest) => Promise<Prepared>): Promise<void> {
  let prepared: Prepared | undefined;
  const answer = async (request: Request): Promise<object> => {
    if (request.do === "prepare") {
      prepared = await prepare(request);
      return { description: prepared.description };
    }
    if (!prepared) throw new Error("nothing is prepared");
    if (request.do === "output") {
      const data = await prepared.output();
      await writeFile(request.path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return {};
    }
    const milliseconds: number[] = [];
    for (let i = 0; i < request.count; i++) {
      const start = performance.now();
      await prepared.run();
      milliseconds.push((performance.now() - start) / (prepared.batch ?? 1));
    }
    return { milliseconds };
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await answer(JSON.parse(line) as Request).catch((error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }));
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  process.exit(0);
}

/** The raw f32 numbers of a file. */
export async function readFloats(path: string): Promise<Float32Array> {
  const { readFile } = await import("node:fs/promises");
  const bytes = await readFile(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
