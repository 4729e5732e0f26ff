// The executors, WebAssembly and native, on a program made by hand: entries, states, procedures, threads, and every refusal.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeContainer } from "../../compiler/container/write.ts";
import { readSafetensors } from "../../runtime/io/safetensors.ts";
import { type Block, Heap } from "../../runtime/wasm/heap.ts";
import { load, type LoadOptions, type Program } from "../../runtime/index.ts";
import type { Module } from "../../runtime/program.ts";
import { sample, sampleCpuModule, sampleModule } from "./runtime-sample.ts";

const shared = sampleModule(true);
const unshared = sampleModule(false);
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-runtime-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function withSample<T>(options: LoadOptions, use: (p: Program) => Promise<T>, modules: readonly Module[] = [shared, unshared]): Promise<T> {
  const program = await (options.target === "cpu" ? load(writeContainer(sample, modules), { ...options, trust: true }) : load({ program: sample, modules }, options));
  try {
    return await use(program);
  } finally {
    await program.close();
  }
}
const message = async (work: Promise<unknown>): Promise<string> => work.then(() => "nothing was refused", (error: Error) => error.message);

const native = await sampleCpuModule();
const kinds: [string, LoadOptions, Module[]][] = [
  ["one thread, unshared memory", {}, [unshared]], ["one thread, shared memory", { threads: 1 }, [shared]], ["two threads", { threads: 2 }, [shared]], ["three threads", { threads: 3 }, [shared]],
  ...[1, 2, 3].map((threads): [string, LoadOptions, Module[]] => [`native, ${threads} threads`, { target: "cpu", threads }, [native]]),
];

for (const [name, options, modules] of kinds) describe(name, () => {

  test("an entry serves any size, and memory grows for it", () => withSample(options, async p => {
    for (const n of [1, 7, 64, 50_000, 3, 700_000]) {
      const x = Float32Array.from({ length: n }, (_, i) => i % 1000);
      const { y } = await p.call("double", { x });
      expect(y!.shape).toEqual([n]);
      expect(y!.data).toEqual(x.map(v => v * 2));
    }
  }, modules));

  test("constants, states and loops with an early end", () => withSample(options, async p => {
    expect([...(await p.call("weigh")).y!.data]).toEqual([2, 4, 6, 8]);
    expect([...(await p.state.get("counter")).data]).toEqual([10, 10, 10, 10]);
    await p.call("count");
    expect([...(await p.call("loop")).value!.data]).toEqual([15, 15, 15, 15]);
    await p.state.set("counter", Float32Array.of(1, 2, 3, 4));
    expect([...(await p.call("count")).value!.data]).toEqual([2, 3, 4, 5]);
  }, modules));

  test("a procedure loops, logs, emits and saves; another loads", () => withSample(options, async p => {
    const to = join(folder, "weights.safetensors");
    const seen: [string, unknown][] = [];
    const progress: [number, number][] = [];
    for await (const { name, value } of p.run("train", { steps: 4, to }, { onProgress: (done, total) => progress.push([done, total]) })) {
      seen.push([name, typeof value === "object" ? [...value.data] : value]);
    }
    expect(seen).toEqual([["sum", 44], ["sum", 48], ["sum", 52], ["sum", 56], ["last", [14, 14, 14, 14]], ["note", "after 4 steps"]]);
    expect(progress.at(-1)).toEqual([4, 4]);
    expect([...readSafetensors(to, await readFile(to)).find("c")!.data]).toEqual([14, 14, 14, 14]);
    await p.call("count");
    await p.run("resume", { from: to });
    expect((await p.state.get("counter")).data[0]).toBe(14);
  }, modules));

  test("calls are made in order and a run is cancelled between two of them", () => withSample(options, async p => {
    const values = await Promise.all(Array.from({ length: 5 }, () => p.call("count")));
    expect(values.map(v => v.value!.data[0])).toEqual([11, 12, 13, 14, 15]);
    let ticks = 0;
    for await (const { name } of p.run("forever")) if (name === "tick" && ++ticks === 10) break;
    expect((await p.state.get("counter")).data[0]).toBeGreaterThan(24);
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 30);
    expect(await message(p.run("forever", {}, { signal: abort.signal }))).toBe("enough");
  }, modules));

  test("an assert that fails names the line and leaves written states unusable until they are set", () => withSample(options, async p => {
    await p.call("fails", { ok: 1 });
    expect(await message(p.call("fails", { ok: 0 }))).toBe("sample.ts:30:5: error ASSERT001: ok must hold");
    expect(await message(p.call("count"))).toMatch(/STATE102: state `counter` may be half written, because `fails` failed/);
    await p.state.set("counter", [1, 1, 1, 1]);
    expect((await p.call("count")).value!.data[0]).toBe(2);
  }, modules));

  test("calls that fail and calls that do not may alternate as fast as they can", () => withSample(options, async p => {
    for (let i = 0; i < 200; i++) {
      expect(await message(p.call("fails", { ok: 0 }))).toMatch(/ASSERT001/);
      await p.state.set("counter", [i, i, i, i]);
      expect((await p.call("count")).value!.data[0]).toBe(i + 1);
    }
  }, modules));

  test.skipIf(options.target === "cpu")("a kernel that traps fails its call and no other", () => withSample(options, async p => {
    expect(await message(p.call("traps"))).toMatch(/unreachable|a worker failed/);
    expect((await p.call("count")).value!.data[0]).toBe(11);
  }, modules));

  test("NaN is found where it is made, and print prints", async () => {
    const printed: string[] = [];
    await withSample({ ...options, check: "nan", print: text => printed.push(text) }, async p => {
      await p.call("root", { x: [4, 9] });
      expect(printed).toEqual(["roots: f32 [2] [2, 3]"]);
      expect(await message(p.call("root", { x: [1, -1, -4, 16] }))).toBe(
        "sample.ts:13:3: error NAN001: NaN in `root`, made by root\n  found:    2 of 4 elements of f32 [4], the first at [1]");
    }, modules);
    await withSample({ ...options, print: () => {} }, async p => expect(Number.isNaN((await p.call("root", { x: [-1] })).y!.item())).toBe(true), modules);
  });

  test("a trace has every launch, copy, read, write and call, with the user's lines", async () => {
    const to = join(folder, "traced.safetensors");
    await withSample({ ...options, trace: true }, async p => {
      await p.run("train", { steps: 2, to });
      await p.run("resume", { from: to });
      await p.call("weigh");
      expect(await message(p.call("fails", { ok: 0 }))).toMatch(/ASSERT001/);
      const { traceEvents } = JSON.parse(await p.trace()) as { traceEvents: { cat: string; name: string; ts: number; dur: number; args: { line?: string; bytes?: number } }[] };
      const step = ["launch increment sample.ts:19:3", "copy copy sample.ts:20:3 16", "call count sample.ts:40:3", "launch sum sample.ts:11:3", "call total sample.ts:41:3"];
      expect(traceEvents.map(({ cat, name, args }) => [cat, name, args.line, args.bytes].filter(x => x !== undefined).join(" "))).toEqual([
        "launch ten sample.ts:15:3", "call counter.init sample.ts:2:3", ...step, ...step, `write ${to} sample.ts:42:3`, `read ${to} sample.ts:50:3`,
        "launch double four sample.ts:18:3", "call weigh", "launch increment sample.ts:12:3",
      ]);
      const ends = traceEvents.map(e => e.ts + e.dur);
      expect(ends).toEqual(ends.toSorted((a, b) => a - b));
      expect(traceEvents[0]!.ts).toBeLessThan(traceEvents.at(-1)!.ts);
    }, modules);
    await withSample(options, async p => expect(await message(p.trace())).toBe("error RECORD001: `sample` was opened without a trace\n  hint:     trace: true, when it is opened"), modules);
  });
});

test("blocks of the heap never overlap, and freed memory is used again", () => {
  const step = fc.oneof(fc.integer({ min: 0, max: 5000 }).map(bytes => ({ bytes })), fc.nat().map(release => ({ release })));
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 100 });
    const heap = new Heap(memory, 512);
    const live: Block[] = [];
    for (const s of steps) {
      if ("bytes" in s) live.push(heap.allocate(s.bytes, "a test"));
      else for (const block of live.splice(s.release % (live.length || 1), 1)) heap.release(block);
      const ordered = [...live].sort((a, b) => a.address - b.address);
      for (const [i, b] of ordered.entries()) {
        expect(b.address % 64).toBe(0);
        expect(b.address).toBeGreaterThanOrEqual(512);
        expect(b.address + b.bytes).toBeLessThanOrEqual(ordered[i + 1]?.address ?? memory.buffer.byteLength);
      }
    }
    for (const block of live) heap.release(block);
    expect(heap.allocate(64, "a test").address).toBe(512);
  }));
});

for (const [name, options, modules] of kinds.filter(([, { threads }]) => threads === 1)) describe(`refusals, ${name}`, () => {
  const refusals: [string, (p: Program) => Promise<unknown>, string][] = [
    ["an unknown entry", p => p.call("dubble"), "error ENTRY001: there is no entry `dubble`\n  found:    dubble\n  expected: one of double, total, weigh, count, loop, root, invert, needs_unset, fails, traps, outside, huge"],
    ["a missing input", p => p.call("double"), "error INPUT001: `double` needs an input `x`\n  found:    none\n  expected: x: f32 [N]"],
    ["an unknown input", p => p.call("double", { z: 1 }), "error INPUT002: `double` has no input `z`\n  found:    z\n  expected: x"],
    ["a wrong dtype", p => p.call("double", { x: Int32Array.of(1) }), "error INPUT003: input `x` of `double` has the wrong dtype\n  found:    Int32Array\n  expected: f32 [N]\n  hint:     convert it to f32, or cast inside the entry"],
    ["a wrong shape", p => p.call("double", { x: [[1, 2]] }), "error INPUT004: input `x` of `double` has the wrong shape\n  found:    f32 [1, 2]\n  expected: f32 [N]\n  hint:     it has 2 axes instead of 1"],
    ["a dim out of bounds", p => p.call("double", { x: [] }), "error DIM001: dim N of `double` is out of bounds\n  found:    N = 0\n  expected: N: 1 … 3000000000"],
    ["a dim without a value", p => p.call("huge"), "error DIM002: dim N of `huge` has no value\n  expected: N: 1 … 3000000000\n  hint:     no input has it as a size; give it in sizes"],
    ["a state without a value", p => p.call("needs_unset"), "sample.ts:7:1: error STATE101: `needs_unset` reads state `unset` before it has a value\n  expected: a first value, or a load or write before it"],
    ["an unknown state", p => p.state.get("contour"), "error STATE104: there is no state `contour`\n  found:    contour\n  expected: one of counter, unset"],
    ["a state of another shape", p => p.state.set("counter", [1, 2]), "error INPUT004: input `counter` of `state` has the wrong shape\n  found:    f32 [2]\n  expected: f32 [4]\n  hint:     axis 0 is 2 instead of 4"],
    ["a missing argument", p => p.run("train"), "error ARG001: `train` needs an argument `to`\n  expected: to: file, weights"],
    ["an unknown argument", p => p.run("train", { too: "x" }), "error ARG002: `train` has no argument `too`\n  found:    too\n  expected: steps, to"],
    ["an argument of the wrong kind", p => p.run("train", { steps: 1.5, to: "x" }), "error ARG003: argument `steps` of `train` has the wrong kind\n  found:    1.5\n  expected: an integer"],
    ["a buffer outside its arena", p => p.call("outside"), "error PLAN001: the schedule of `outside` is malformed: buffer 0 does not fit its place\n  hint:     build the program again"],
  ];
  test.each(refusals)("%s", (_, work, text) => withSample(options, async p => expect(await message(work(p))).toBe(text), modules));

  test.skipIf(options.target === "cpu")("memory that cannot be had is refused with the bytes it takes, and the program goes on", () => withSample(options, async p => {
    expect(await message(p.call("huge", {}, { N: 2_000_000_000 }))).toMatch(/error MEM001: not enough memory for `huge` at N = 2000000000\n {2}found: {4}it needs 8000000000 bytes \(7629\.4 MiB\)/);
    expect((await p.call("count")).value!.data[0]).toBe(11);
  }));
});

test("a container runs as the program it was made from", async () => {
  const program = await load(writeContainer(sample, [shared, unshared]), { threads: 2 });
  expect(program.description).toBe("wasm, 2 threads, SIMD without fused multiply-add");
  expect([...(await program.call("double", { x: [1, 2, 3] })).y!.data]).toEqual([2, 4, 6]);
  await program.close();
});
