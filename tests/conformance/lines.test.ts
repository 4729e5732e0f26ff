// What a launch says of itself is the line that asked for it, on every target, though equal layers share a kernel.
import { describe, expect, test } from "vitest";
import { entry, f32, open, state } from "sluice";
import { countedOn } from "../support/conformance.ts";
import { RUNNERS } from "../support/programs.ts";

/** Scales by one state, moves by another, and takes the root. */
const parts = { scale: [state(f32(4), 1), state(f32(4), 1)], move: [state(f32(4), 1), state(f32(4), -100)] } as const;
const run = entry({ x: f32(4, 4), w: f32(4, 4) }, ({ x, w }) => {
  const first = x.matmul(w).mul(parts.scale[0]).add(parts.move[0]).sqrt();
  const second = first.matmul(w).mul(parts.scale[1]).add(parts.move[1]).sqrt();
  return { y: second.matmul(w) };
});
/** Of the second layer in this file. */
const SECOND = 11;

describe.each(RUNNERS)("$name", target => {
  test("NaN of the second of two equal layers names its line, and not that of the first, with which it shares a kernel", async () => {
    const program = await open({ parts, run }, { ...countedOn(target), check: "nan" });
    try {
      const ones = new Float32Array(16).fill(1);
      await expect(program.call("run", { x: ones, w: ones })).rejects.toThrow(new RegExp(`lines\\.test\\.ts:${SECOND}:\\d+: error NAN001: NaN in \`run\``));
    } finally {
      await program.close();
    }
  });
});
