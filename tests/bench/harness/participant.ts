// The benchmark's side of the protocol: whoever is timed runs as a process of its own, ours like the peers', so that threads,
// memory and warm code of one do not touch another. Runs of all of them alternate.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type Peer, peerCommand } from "./peers.ts";
import { type Missing, type Timing, timingOf } from "./rows.ts";
import { readFloats, type TaskRequest } from "./serve.ts";

interface Answer {
  readonly error?: string;
  readonly description?: string;
  readonly milliseconds?: readonly number[];
}

export class Participant {
  readonly name: string;
  description = "";
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #folder: string;
  #complaints = "";

  private constructor(name: string, command: readonly string[], folder: string) {
    this.name = name;
    this.#folder = folder;
    this.#child = spawn(command[0]!, command.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
    const lines: Interface = createInterface({ input: this.#child.stdout! });
    this.#lines = lines[Symbol.asyncIterator]();
    this.#child.stderr!.on("data", (text: Buffer) => (this.#complaints += text.toString()));
    this.#child.stdin!.on("error", () => undefined);
  }

  /** Started and prepared; or why it could not be. */
  static async start(name: string, command: readonly string[], request: TaskRequest): Promise<Participant | Missing> {
    const p = new Participant(name, command, request.folder);
    try {
      p.description = (await p.#ask({ do: "prepare", ...request })).description ?? "";
      return p;
    } catch (error) {
      await p.close();
      return { why: `${name}: ${(error as Error).message}` };
    }
  }

  async #ask(request: object): Promise<Answer> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    // A library may print to standard output too: what is no object is not an answer.
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`ended without an answer: ${this.#complaints.trim().split("\n").slice(-3).join(" ")}`);
      if (!(value as string).startsWith("{")) continue;
      const answer = JSON.parse(value as string) as Answer;
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    }
  }

  async output(): Promise<Float32Array> {
    const path = join(this.#folder, `${this.name}.out`);
    await this.#ask({ do: "output", path });
    return readFloats(path);
  }
  async run(count: number): Promise<readonly number[]> {
    return (await this.#ask({ do: "run", count })).milliseconds ?? [];
  }
  close(): Promise<void> {
    this.#child.stdin!.end();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    const over = new Promise<void>(resolve => this.#child.once("exit", () => resolve()));
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    return over.finally(() => clearTimeout(late));
  }
}

export const startPeer = (peer: Peer, request: TaskRequest): Promise<Participant | Missing> => {
  const command = peerCommand(peer);
  return command ? Participant.start(peer.name, command, request) : Promise.resolve({ why: `${peer.name}: peer not installed (${peer.install})` });
};

/** Between turns: threads of whoever ran before spin for a while. */
const settled = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 100));

/** Each runs in turn, `rounds` times, about `budget` milliseconds a turn; warm-up and the first run of a turn are not counted. */
export async function interleaved(participants: readonly Participant[], rounds: number, budget = 300): Promise<readonly Timing[]> {
  const counts = new Map<Participant, number>();
  for (const p of participants) {
    await p.run(2);
    const [one] = await p.run(1);
    counts.set(p, Math.max(1, Math.min(50, Math.round(budget / (one ?? budget)))));
  }
  const all = new Map<Participant, number[]>(participants.map(p => [p, []]));
  for (let round = 0; round < rounds; round++) {
    for (const p of participants) {
      await settled();
      all.get(p)!.push(...(await p.run(1 + counts.get(p)!)).slice(1));
    }
  }
  return participants.map(p => timingOf(all.get(p)!));
}

/** The largest difference of two outputs; infinite where their lengths differ or one holds NaN. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d <= most)) most = Number.isNaN(d) ? Infinity : d;
  }
  return most;
}
