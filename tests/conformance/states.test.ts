// States that are written from themselves and from each other: windows that move, rolls, permutations, swaps. On every target,
// fused and not, after two calls, beside the reference interpreter.
import { beforeAll, describe, expect, test } from "vitest";
import { concat, entry, f32, i32, open, span, state, type Tensor } from "sluice";
import type { InterpretText, TargetText } from "../../compiler/targets.ts";
import { countedOn } from "../support/conformance.ts";
import { numbersOf, values } from "../support/programs.ts";
import { TARGETS, type TargetRow } from "../support/targets.ts";

const [L, C] = [8, 3];
const rows = (x: Tensor, from: number, count: number): Tensor => x.slice({ 0: span(from, count) }) as Tensor;
type Window = ReturnType<typeof window>;
const window = () => state(f32(L, C));

interface Row {
  readonly row: Tensor;
  /** A permutation of 0 to 7. */
  readonly order: Tensor<"i32">;
}
type Given = [windows: readonly [Window, Window], given: Row];
type Body = ((...given: Given) => { [output: string]: Tensor }) | ((...given: Given) => void);

const CASES: { readonly [name: string]: Body } = {
  moved: ([a], { row }) => a.set(concat([rows(a, 1, L - 1), row.reshape(1, C)], 0)),
  movedInPlace: ([a], { row }) => {
    a.put({ 0: 0 }, rows(a, 1, L - 1));
    a.put({ 0: L - 1 }, row.reshape(1, C));
  },
  movedDown: ([a], { row }) => {
    a.put({ 0: 1 }, rows(a, 0, L - 1));
    a.put({ 0: 0 }, row.reshape(1, C));
    return { sum: a.sum(0) };
  },
  rolled: ([a]) => a.put({ 0: 0 }, concat([rows(a, 3, L - 3), rows(a, 0, 3)], 0)),
  rolledWhole: ([a]) => a.set(concat([rows(a, 3, L - 3), rows(a, 0, 3)], 0)),
  reversed: ([a]) => a.put({ 0: 0 }, a.flip(0)),
  reversedWhole: ([a]) => a.set(a.flip(0)),
  gathered: ([a], { order }) => a.put({ 0: 0 }, a.gather(order)),
  gatheredPart: ([a], { order }) => a.put({ 0: 2 }, rows(a.gather(order), 1, 4).mul(2)),
  gatheredByOwnValues: ([a]) => a.put({ 0: 0 }, a.gather(a.select({ 1: 0 }).abs().cast("i32"))),
  scattered: ([a], { order }) => a.set(a.scatter("set", order, a.mul(2))),
  scatteredTwice: ([a], { order }) => a.set(a.scatter("add", order, a.flip(0)).scatter("add", order, a.mul(0.5))),
  scatteredByOwnValues: ([a]) => a.set(a.scatter("add", a.select({ 1: 1 }).abs().cast("i32"), a.flip(0))),
  swapped: ([a, b]) => {
    const was = a.mul(1);
    a.set(b);
    b.set(was);
  },
  swappedInPart: ([a, b]) => {
    const [p, q] = [rows(b, 0, 4), rows(a, 4, 4)];
    a.put({ 0: 4 }, p);
    b.put({ 0: 0 }, q);
  },
  swappedInPlace: ([a, b]) => {
    const [p, q] = [b.neg(), a.neg()];
    a.put({ 0: 0 }, p);
    b.put({ 0: 0 }, q);
  },
  eachScattersTheOther: ([a, b], { order }) => {
    const [p, q] = [a.scatter("add", order, b), b.scatter("add", order, a)];
    a.set(p);
    b.set(q);
  },
  eachFromTheOther: ([a, b], { row }) => {
    const [p, q] = [rows(b, 1, 4).mul(row), rows(a, 2, 4).add(row)];
    a.put({ 0: 3 }, p);
    b.set(concat([q, rows(a, 0, 4)], 0));
  },
  eachGathersTheOther: ([a, b], { order }) => {
    const [p, q] = [b.gather(order), a.gather(order)];
    a.put({ 0: 0 }, p);
    b.put({ 0: 0 }, q);
    return { apart: a.sub(b) };
  },
  readBeforeAndAfter: ([a], { row }) => {
    const before = a.mul(1.5);
    a.put({ 0: 2 }, row.reshape(1, C));
    return { before, after: a.mul(3) };
  },
  comparedWithBefore: ([a], { row }) => {
    const before = a.mul(1.5);
    a.put({ 0: 2 }, row.reshape(1, C));
    return { difference: a.sub(before) };
  },
  sharedKernel: ([a, b], { row }) => {
    const t = b.sum(0, { keepdims: true }).exp();
    const before = a.mul(t);
    a.put({ 0: 2 }, row.reshape(1, C));
    return { before, after: a.mul(2) };
  },
  betweenTwoWrites: ([a], { row }) => {
    a.put({ 0: 1 }, row.reshape(1, C));
    const middle = a.add(0);
    a.put({ 0: 4 }, rows(a, 0, 3));
    return { middle };
  },
  chained: ([a], { row }) => {
    for (let i = 0; i < 4; i++) a.put({ 0: i }, rows(a, i + 2, 2).mul(row));
    return { total: a.sum() };
  },
  throughReductions: ([a, b]) => {
    const [p, q] = [b.sum(1, { keepdims: true }).add(rows(a, 0, L)), a.max(1, { keepdims: true }).add(rows(b, 0, L))];
    a.put({ 0: 0 }, p);
    b.put({ 0: 0 }, q);
  },
};

const exports: { [name: string]: unknown } = {};
for (const [name, body] of Object.entries(CASES)) {
  const windows = [window(), window()] as const;
  exports[`${name}_states`] = windows;
  exports[name] = entry({ row: f32(C), order: i32(L) }, given => ({ last: windows[1].sum().mul(0), ...(body(windows, given) ?? {}) }));
}

interface Outcome {
  readonly [value: string]: number[];
}
/** Outputs of the second call, and the states after it. */
async function outcomesOn(target: TargetText | InterpretText, options: TargetRow["options"]): Promise<Map<string, Outcome>> {
  const program = await open(exports, { ...options, target });
  try {
    const outcomes = new Map<string, Outcome>();
    for (const name of Object.keys(CASES)) {
      const states = [`${name}_states.0`, `${name}_states.1`];
      for (const [i, s] of states.entries()) await program.state.set(s, { shape: [L, C], data: values(L * C, 5, i + 3) });
      const order = [3, 1, 7, 0, 2, 6, 5, 4];
      await program.call(name, { row: values(C, 2, 9), order });
      const outputs = await program.call(name, { row: values(C, 2, 10), order });
      const after = await Promise.all(states.map(async s => [s, numbersOf(await program.state.get(s))] as const));
      outcomes.set(name, Object.fromEntries([...Object.entries(outputs).map(([key, t]) => [key, numbersOf(t)] as const), ...after]));
    }
    return outcomes;
  } finally {
    await program.close();
  }
}

const UNFUSED: readonly TargetRow[] = [{ name: "wasm", options: { target: "wasm", threads: 2, fusion: false } }];

describe("states written from themselves and each other", () => {
  let wanted: Map<string, Outcome>;
  beforeAll(async () => {
    wanted = await outcomesOn("interpret", {});
  });
  test.each([...TARGETS, ...UNFUSED].map(target => ({ target, name: target.options.fusion === false ? `${target.name}, every op a kernel of its own` : target.name })))("on $name", async ({ target }) => {
    const got = await outcomesOn(target.options.target ?? "wasm", countedOn(target));
    for (const [name, outcome] of wanted) {
      expect(Object.keys(got.get(name)!), name).toEqual(Object.keys(outcome));
      for (const [value, numbers] of Object.entries(outcome)) expect(maxError(got.get(name)![value]!, numbers), `${name}: ${value}`).toBeLessThan(2e-5);
    }
  });
});

const maxError = (got: readonly number[], wanted: readonly number[]): number =>
  got.length === wanted.length ? Math.max(...got.map((x, i) => Math.abs(x - wanted[i]!) / (1 + Math.abs(wanted[i]!)))) : Infinity;

describe("a state whose old value is needed beside its new one", () => {
  test.each(TARGETS)("is refused at the line of its write on $name", async ({ options }) => {
    const a = window();
    const f = entry({ row: f32(1, C) }, ({ row }) => {
      const before = a.mul(1);
      a.put({ 0: 2 }, row);
      return { difference: a.sub(before) };
    });
    await expect(open({ a, f }, options)).rejects.toThrow(/^tests\/conformance\/states\.test\.ts:\d+:\d+: error STATE201: state `a` cannot be updated in place in `f`\n/);
  });
});
