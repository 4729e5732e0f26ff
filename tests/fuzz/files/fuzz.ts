// `npm run fuzz -- --files`: files near good ones, read by the TypeScript runtime in a worker and by the native runtime under
// AddressSanitizer and UBSan. Neither may crash, hang or hold more than four times the file and 16 MiB (and the picture or
// the tensor that is read); where both read the same format, they agree. File n follows from n alone, so that a failure is
// seen again by its number.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { containerFor } from "../../../compiler/cli/program-container.ts";
import { mutatedContainer, partsOf } from "./containers.ts";
import { type FileKind, KINDS, type Mutated, WANTED } from "./kinds.ts";
import { goodPictures, mutatedPicture } from "./pictures.ts";
import { Random } from "./random.ts";
import { mutatedNpy, mutatedSafetensors } from "./tensors.ts";
import type { Answer } from "./worker.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const MiB = 2 ** 20;
const allowance = (bytes: number): number => 4 * bytes + 16 * MiB;
/** The largest that mutations make. */
const LONGEST = 4 * MiB;
/** What the modules of the readers take of a worker's heap. */
const MODULES = 24 * MiB;
/** A decoder's own copies of a picture, of 16 bits, filters and coefficients, and the one that it gives. */
const BYTES_PER_PIXEL = 28;
/** Seconds of the processor's time. */
const PATIENCE_S = 60;

interface FileFuzz {
  readonly seed?: number | undefined;
  /** All kinds in turns without one. */
  readonly kind?: string | undefined;
  /** How many files; without it, for so many minutes. */
  readonly count?: number | undefined;
  readonly minutes: number;
}

type Make = (random: Random) => Uint8Array;

async function makers(kinds: readonly FileKind[]): Promise<{ readonly [K in FileKind]: Make }> {
  const containers = !kinds.includes("container") ? [] : await Promise.all(["tests/fuzz/tiny.ts", "tests/fuzz/tiny.ts", "tests/fuzz/tiny.ts", "tests/errors/programs/running.ts"].map(async path => partsOf((await containerFor(`${root}${path}`, { target: "wasm", set: [] })).bytes)));
  const pictures = kinds.includes("picture") ? await goodPictures() : [];
  return {
    container: random => mutatedContainer(random.from(containers), random),
    safetensors: mutatedSafetensors,
    npy: mutatedNpy,
    picture: random => mutatedPicture(pictures, random),
  };
}

/** A reader that is asked one file after another. */
interface Reader {
  readonly name: string;
  /** Undefined once it has ended, with what it said. */
  ask(file: Mutated): Promise<{ readonly answer: string; readonly problem?: string }>;
  close(): void;
}

function startWorker(): Reader {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: Math.ceil((allowance(LONGEST) + MODULES) / MiB) } });
  return {
    name: "TypeScript",
    async ask(file) {
      const ended = new AbortController();
      try {
        const failed = once(worker, "error", { signal: ended.signal }).then(([error]: unknown[]): Answer => ({ answer: `thrown: ${String(error)}`, arrays: 0 }));
        worker.postMessage(file);
        const answered = once(worker, "message", { signal: ended.signal }).then(([answer]) => answer as Answer);
        const { answer, arrays } = await Promise.race([failed, answered]);
        if (answer.startsWith("thrown")) return { answer, problem: answer };
        const most = allowance(file.bytes.length) + (file.kind === "npy" ? 8 * file.bytes.length : file.kind === "picture" ? Infinity : 0);
        return { answer, problem: arrays > most ? `${arrays} bytes of arrays are held, more than ${most}` : undefined };
      } finally {
        ended.abort();
      }
    },
    close: () => void worker.terminate(),
  };
}

function startNative(): Reader {
  const { status } = spawnSync(process.execPath, [`${root}runtime/native/build.mjs`, "--fuzz"], { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error("the native readers are not built");
  const child = spawn(`${root}build/asan/fuzz_files`, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ASAN_OPTIONS: "detect_leaks=1", UBSAN_OPTIONS: "print_stacktrace=1" } });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let said = "";
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  child.stdin.on("error", () => undefined);
  return {
    name: "native",
    async ask({ kind, wanted, bytes }) {
      const head = Buffer.alloc(6);
      head.write(kind[0]!, "latin1");
      head[1] = WANTED.indexOf(wanted);
      head.writeUInt32LE(bytes.length, 2);
      child.stdin.write(head);
      child.stdin.write(bytes);
      const { value, done } = await lines.next();
      if (done) {
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
        return { answer: "ended", problem: `it ended: ${said}` };
      }
      const [answer, held, pixels] = value.split(" ");
      const most = allowance(bytes.length) + BYTES_PER_PIXEL * Number(pixels) + (kind === "npy" ? 8 * bytes.length : 0);
      return { answer: answer!, problem: Number(held) > most ? `${held} bytes are held, more than ${most}` : undefined };
    },
    close: () => child.stdin.end(),
  };
}

/** Says how many files were read, or what the first is that a reader fails on; whether there is none. */
export async function fuzzFiles({ seed = Math.floor(Math.random() * 2 ** 31), kind: only, count, minutes }: FileFuzz): Promise<boolean> {
  const kinds = KINDS.filter(kind => only === undefined || kind === only);
  if (kinds.length === 0) {
    console.error(`there is no kind ${only}; there are ${KINDS.join(", ")}`);
    return false;
  }
  const end = performance.now() + minutes * 60_000;
  try {
    console.log(`from ${seed}, ${await readMutated(seed, kinds, done => (count === undefined ? performance.now() < end : done < count))}: nothing found`);
    return true;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return false;
  }
}

/** Throws for the first file that a reader fails on, which is kept in build/fuzz. */
async function readMutated(seed: number, kinds: readonly FileKind[], more: (done: number) => boolean): Promise<string> {
  const make = await makers(kinds);
  const readers = [startWorker(), startNative()];
  const counts = new Map<string, number>();
  let longest = 0;
  const watch = watchOver();
  let done = 0;
  let said = performance.now();
  try {
    for (; more(done); done++) {
      const number = seed + done;
      const random = new Random(number);
      const kind = kinds[number % kinds.length]!;
      const file: Mutated = { kind, wanted: random.from(WANTED), bytes: make[kind](random) };
      longest = Math.max(longest, file.bytes.length);
      watch.begin();
      const answers = await Promise.race([Promise.all(readers.map(r => r.ask(file))), watch.hang]);
      const problems = answers === "hang" ? ["a reader hangs"] : answers.flatMap(({ problem }, i) => (problem === undefined ? [] : [`${readers[i]!.name}: ${problem}`]));
      if (answers !== "hang") {
        const [ours, theirs] = answers.map(a => a.answer);
        if ((kind === "npy" || kind === "safetensors") && ours !== theirs) problems.push(`TypeScript says ${ours}, native ${theirs}`);
        const what = `${kind} ${ours!.replace(/:.*/s, "")}`;
        counts.set(what, (counts.get(what) ?? 0) + 1);
      }
      if (problems.length > 0) throw new Error(await failureText(file, number, problems));
      if (performance.now() - said > 10_000) {
        said = performance.now();
        console.log(`${done + 1} files`);
      }
    }
  } finally {
    watch.stop();
    for (const r of readers) r.close();
  }
  return `${done} files, the longest of ${longest} bytes: ${[...counts].sort().map(([what, n]) => `${n} ${what}`).join(", ")}`;
}

async function failureText({ kind, wanted, bytes }: Mutated, number: number, problems: readonly string[]): Promise<string> {
  const path = `${root}build/fuzz/${kind}-${number}`;
  await mkdir(`${root}build/fuzz`, { recursive: true });
  await writeFile(path, bytes);
  return `${problems.join("\n")}\nthe file, of which ${wanted} is wanted: ${path}\nagain: npm run fuzz -- --files --kind ${kind} --seed ${number} --count 1`;
}

/** Resolves once this process has worked for long on one file; the native reader watches itself. */
function watchOver(): { readonly hang: Promise<"hang">; begin(): void; stop(): void } {
  const used = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  let since = used();
  let stop = (): void => undefined;
  const hang = new Promise<"hang">(resolve => {
    const timer = setInterval(() => {
      if (used() - since > PATIENCE_S) resolve("hang");
    }, 1000);
    stop = () => clearInterval(timer);
  });
  return { hang, begin: () => void (since = used()), stop };
}
