// Whole programs on every target: sizes bound at load, patterns, and what happens on the way.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { assert, dim, einsum, entry, f32, file, i32, load, open, procedure, random, save, state } from "sluice";
import { countedOn } from "../support/conformance.ts";
import { callOnce, expectNear, numbersOf, RUNNERS, values, withProgram } from "../support/programs.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

describe.each(RUNNERS)("$name", target => {
  test("a state whose capacity is bound at load is written in parts of any length", async () => {
    const [C, P] = [dim("C", { min: 4, max: 64, bind: "load" }), dim("P", { max: 4 })];
    const cache = state(f32(2, C, 3), 0.5);
    const put = entry({ rows: f32(P, 3), at: i32() }, ({ rows, at }) => {
      cache.put({ 0: 1, C: at }, rows);
      return { total: cache.sum() };
    });
    const all = entry({}, () => ({ cache }));
    const program = await open({ cache, put, all }, { ...countedOn(target), dims: { C: 5 } });
    try {
      expectNear((await program.call("put", { rows: [[1, 2, 3], [4, 5, 6]], at: 1 }))["total"], [12 + 21]);
      const { cache: now } = await program.call("all");
      expect(now!.shape).toEqual([2, 5, 3]);
      expect(numbersOf(now)).toEqual([...range(18).map(() => 0.5), 1, 2, 3, 4, 5, 6, ...range(6).map(() => 0.5)]);
    } finally {
      await program.close();
    }
  });

  test("a random stream is saved with its group, and what is loaded goes on with the draws that would have come", async () => {
    const noise = random("noise");
    const draw = entry({}, () => ({ y: noise.uniform(f32(3)) }));
    const exports = { noise, draw, keep: procedure({ to: file() }, ({ to }) => save(to, { noise })), back: procedure({ from: file() }, ({ from }) => load(from, { noise })) };
    const folder = await mkdtemp(join(tmpdir(), "sluice-stream-"));
    const path = join(folder, "stream.safetensors");
    try {
      await withProgram(target, exports, async program => {
        const drawn = async (): Promise<number[]> => numbersOf((await program.call("draw"))["y"]);
        await drawn();
        await program.run("keep", { to: path });
        const next = [await drawn(), await drawn()];
        expect(next[0]).not.toEqual(next[1]);
        await program.run("back", { from: path });
        expect([await drawn(), await drawn()]).toEqual(next);
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("einsum and rearrange", async () => {
    const f = entry({ x: f32(2, 3, 4), y: f32(4, 3), z: f32(3, 3) }, ({ x, y, z }) => ({
      product: einsum("b s h, h k -> b s k", x, y), trace: einsum("i i ->", z), diagonal: einsum("i i -> i", z), moved: einsum("b s h -> h b", x), apart: einsum("a b, c d -> a d", z, y),
      three: einsum("b s h, h k, k j -> b j", x, y, z), split: x.rearrange("b s (p q) -> (p b) s q", { p: 2 }),
    }));
    const [x, y, z] = [values(24), values(12, 1, 2), values(9, 1, 3)];
    const at = (b: number, s: number, h: number): number => x[b * 12 + s * 4 + h]!;
    const product = (b: number, s: number, k: number): number => sum(range(4).map(h => at(b, s, h) * y[h * 3 + k]!));
    const out = await callOnce(target, { f }, "f", { x: { shape: [2, 3, 4], data: x }, y: { shape: [4, 3], data: y }, z: { shape: [3, 3], data: z } });
    expectNear(out["product"], range(18).map(i => product(Math.floor(i / 9), Math.floor(i / 3) % 3, i % 3)));
    expectNear(out["trace"], [z[0]! + z[4]! + z[8]!]);
    expectNear(out["diagonal"], [z[0]!, z[4]!, z[8]!]);
    expectNear(out["moved"], range(8).map(i => sum(range(3).map(s => at(i % 2, s, Math.floor(i / 2))))));
    expectNear(out["apart"], range(9).map(i => sum(range(3).map(b => z[Math.floor(i / 3) * 3 + b]!)) * sum(range(4).map(c => y[c * 3 + (i % 3)]!))));
    expectNear(out["three"], range(6).map(i => sum(range(3).flatMap(s => range(3).map(k => product(Math.floor(i / 3), s, k) * z[k * 3 + (i % 3)]!)))));
    expectNear(out["split"], range(24).map(i => at(Math.floor(i / 6) % 2, Math.floor(i / 2) % 3, Math.floor(i / 12) * 2 + (i % 2))));
  });

  test("print shows values in the order of the program; assert ends the run at its line, and what was being written must be set anew", async () => {
    const total = state(f32(), 0);
    const f = entry({ x: f32(3) }, ({ x }) => {
      const twice = x.mul(2).print("twice").tag("twice");
      assert(twice.sum().gt(0), "the sum is positive");
      total.set(total.add(twice.sum().print()));
      return { y: twice.assertFinite() };
    });
    const lines: string[] = [];
    const program = await open({ total, f }, { ...countedOn(target), print: line => lines.push(line) });
    try {
      expectNear((await program.call("f", { x: [1, 2, 3] }))["y"], [2, 4, 6]);
      expect(lines).toEqual(["twice: f32 [3] [2, 4, 6]", "12"]);
      await expect(program.call("f", { x: [-1, 0, 0] })).rejects.toThrow(/^tests\/conformance\/programs\.test\.ts:\d+:\d+: error ASSERT001: the sum is positive$/);
      await expect(program.call("f", { x: [1, 2, 3] })).rejects.toThrow(/error STATE102: state `total` may be half written, because `f` failed while it ran\n/);
      await program.state.set("total", 0);
      await expect(program.call("f", { x: [1, Infinity, 1] })).rejects.toThrow(/^tests\/conformance\/programs\.test\.ts:\d+:\d+: error ASSERT001: a value is not finite$/);
    } finally {
      await program.close();
    }
  });
});
