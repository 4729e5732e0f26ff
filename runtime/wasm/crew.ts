// The threads that run a schedule together. Each holds the same kernels over one memory and walks the same tape of i32
// words by itself; tasks of a launch are claimed in pieces, and all meet at a barrier after every step, so results never
// depend on who ran what. A barrier spins briefly and then sleeps. With one worker there are no atomics at all.

export type KernelFunction = (args: number, lo: number, hi: number, scratch: number) => void;

/** Words of the control block, a cache line apart, as indices into an Int32Array over the memory. */
const GENERATION = 16;
const ARRIVED = 32;
const CLAIMED = 48;
const SLEEPING = 64;
const GO = 80;
const TAPE_START = 96;
const TAPE_END = 97;
const MEMORY_BYTES = 98;
const SCRATCH = 99;
const SCRATCH_STRIDE = 100;
/** Of the barrier passed last: its own generation if the run goes on, the next one if it ended there. */
const ENDED = 101;
/** Not 0: a worker wants the run to end at the barrier it comes to next. */
const STOPPED = 112;
/** Memory from here on is free for the program. */
export const CONTROL_BYTES = 512;

/** What stands on a tape: an opcode and its words. Addresses are bytes. */
export const LAUNCH = 0; // kernel, args, tasks, tasks claimed at once, number among what traces show
export const COPY = 1; // from, to, bytes, number among what traces show
export const LOOP = 2; // trips, address of the index, address of `until` or 0, words of the body that follows
export const EFFECT = 3; // number of the effect, which the leader performs

/** Told of each launch and copy that all are done with: its number among what traces show, and when it began. */
export type RecordStep = (shown: number, begin: number) => void;

/** About 40 µs: longer than what happens between two launches or two calls of a procedure, shorter than a time slice. */
const SPINS = 1500;

export class Crew {
  readonly #memory: WebAssembly.Memory;
  readonly #workers: number;
  readonly #worker: number;
  readonly #kernels: readonly KernelFunction[];
  #words: Int32Array;
  #bytes: Uint8Array;
  #scratch = 0;
  #record: RecordStep | null = null;
  #failure: unknown;

  constructor(memory: WebAssembly.Memory, kernels: readonly KernelFunction[], worker: number, workers: number) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#worker = worker;
    this.#workers = workers;
    this.#words = new Int32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** The leader's: runs the tape that lies in [start, end), with the others. `effect` is called at each EFFECT. */
  lead(start: number, end: number, scratch: { readonly address: number; readonly stride: number }, effect: (index: number) => void, record: RecordStep | null): void {
    if (start === end) return;
    const size = this.#memory.buffer.byteLength;
    this.#see(size);
    const words = this.#words;
    words[STOPPED] = 0;
    words[TAPE_START] = start >>> 2;
    words[TAPE_END] = end >>> 2;
    words[MEMORY_BYTES] = size / 65536;
    words[SCRATCH] = scratch.address;
    words[SCRATCH_STRIDE] = scratch.stride;
    this.#start();
    this.#scratch = scratch.address;
    this.#record = record;
    this.#failure = undefined;
    this.#walk(start >>> 2, end >>> 2, index => {
      try {
        effect(index);
      } catch (error) {
        this.#stop(error);
      }
    });
    if (this.#failure !== undefined) throw this.#failure;
    if (Atomics.load(this.#words, STOPPED) !== 0) throw new Error("a worker failed while it ran a kernel");
  }

  /** The others': runs every tape that is led until the crew is dismissed. */
  follow(): void {
    for (let seen = 0; ; seen++) {
      this.#wait(GO, seen);
      const start = Atomics.load(this.#words, TAPE_START);
      if (start === 0) return;
      this.#see((Atomics.load(this.#words, MEMORY_BYTES) >>> 0) * 65536);
      this.#scratch = (this.#words[SCRATCH]! + this.#worker * this.#words[SCRATCH_STRIDE]!) >>> 0;
      this.#walk(start >>> 0, Atomics.load(this.#words, TAPE_END) >>> 0, () => {});
    }
  }

  /** The leader's: lets the others return from `follow`. */
  dismiss(): void {
    this.#words[TAPE_START] = 0;
    this.#start();
  }

  #start(): void {
    if (this.#workers === 1) return;
    Atomics.add(this.#words, GO, 1);
    if (Atomics.load(this.#words, SLEEPING) > 0) Atomics.notify(this.#words, GO);
  }

  /** Renews the views until they reach as far as the memory has grown: growth by another thread is seen a moment later. */
  #see(bytes: number): void {
    while (this.#words.byteLength < bytes) {
      this.#words = new Int32Array(this.#memory.buffer);
      this.#bytes = new Uint8Array(this.#memory.buffer);
    }
  }

  /** Runs the words in [at, end). False once the run has been stopped, which all workers see at the same step. */
  #walk(at: number, end: number, effect: (index: number) => void): boolean {
    const words = this.#words;
    while (at < end) {
      const step = at;
      const begin = this.#record === null ? 0 : performance.now();
      switch (words[step]) {
        case LAUNCH:
          this.#launch(words[at + 1]!, words[at + 2]!, words[at + 3]!, words[at + 4]!);
          at += 6;
          break;
        case COPY:
          this.#copy(words[at + 1]! >>> 0, words[at + 2]! >>> 0, words[at + 3]! >>> 0);
          at += 5;
          break;
        case EFFECT:
          if (this.#worker === 0) effect(words[at + 1]!);
          at += 2;
          break;
        case LOOP: {
          const trips = words[at + 1]!;
          const index = words[at + 2]! >>> 2;
          const until = words[at + 3]! >>> 0;
          const body = at + 5;
          at = body + words[at + 4]!;
          for (let trip = 0; trip < trips; trip++) {
            if (this.#worker === 0) words[index] = trip;
            if (!this.#barrier() || !this.#walk(body, at, effect)) return false;
            if (until !== 0 && this.#bytes[until] !== 0) break;
          }
          break;
        }
        default:
          throw new Error(`the tape holds no opcode at word ${at}`);
      }
      if (!this.#barrier()) return false;
      if (words[step] === LAUNCH || words[step] === COPY) this.#record?.(words[at - 1]!, begin);
    }
    return true;
  }

  #launch(kernel: number, args: number, tasks: number, piece: number): void {
    const run = this.#kernels[kernel]!;
    if (this.#workers === 1) {
      run(args, 0, tasks, this.#scratch);
      return;
    }
    try {
      for (let lo = Atomics.add(this.#words, CLAIMED, piece); lo < tasks; lo = Atomics.add(this.#words, CLAIMED, piece)) {
        run(args, lo, Math.min(lo + piece, tasks), this.#scratch);
      }
    } catch (error) {
      this.#stop(error);
    }
  }

  #stop(failure: unknown): void {
    this.#failure ??= failure;
    Atomics.store(this.#words, STOPPED, 1);
  }

  /** Each worker copies its share, in whole cache lines. */
  #copy(from: number, to: number, bytes: number): void {
    const share = Math.ceil(bytes / this.#workers / 64) * 64;
    const lo = Math.min(bytes, this.#worker * share);
    const hi = Math.min(bytes, lo + share);
    this.#bytes.copyWithin(to + lo, from + lo, from + hi);
  }

  /** Returns when every worker has come here; false if one of them has stopped the run. */
  #barrier(): boolean {
    const words = this.#words;
    if (this.#workers === 1) return words[STOPPED] === 0;
    const generation = Atomics.load(words, GENERATION);
    if (Atomics.add(words, ARRIVED, 1) === this.#workers - 1) {
      Atomics.store(words, ARRIVED, 0);
      Atomics.store(words, CLAIMED, 0);
      // Decided once, by who comes last: whoever looks late sees what the others saw, whatever they have done since.
      Atomics.store(words, ENDED, Atomics.load(words, STOPPED) === 0 ? generation : (generation + 1) | 0);
      Atomics.add(words, GENERATION, 1);
      if (Atomics.load(words, SLEEPING) > 0) Atomics.notify(words, GENERATION);
    } else this.#wait(GENERATION, generation);
    return Atomics.load(words, ENDED) !== ((generation + 1) | 0);
  }

  /** Returns once the word is no longer `value`. */
  #wait(word: number, value: number): void {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.load(words, word) !== value) return;
      Atomics.pause?.();
    }
    Atomics.add(words, SLEEPING, 1);
    while (Atomics.load(words, word) === value) Atomics.wait(words, word, value);
    Atomics.sub(words, SLEEPING, 1);
  }
}
