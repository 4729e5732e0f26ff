// Gradients, optimizers, schedules and random streams on every target, against the same steps made in plain numbers.
import { describe, expect, test } from "vitest";
import {
  accumulator, adam, adamW, average, constant, entry, f16, f32, frozen, gradients, gradientsOf, i32, iterate, linear, only, type Optimizer, type ParameterOptions, type Rate, random, rate, type Scalar, sgd, state, type StepOptions, u32,
  withGradient,
} from "sluice";
import { callOnce, expectNear, numbersOf, RUNNERS, withProgram } from "../support/programs.ts";

interface Rule {
  readonly momentum?: number;
  readonly nesterov?: true;
  readonly betas?: readonly [number, number];
  readonly clip?: number;
  readonly decay?: number;
  readonly l2?: number;
}

/** Five steps on the loss w₀² + 2w₁² + 3w₂² + b²: the rate is 0.1 for w and 0.01 for b, and b has no decay and no l2. */
function stepped({ momentum, nesterov, betas, clip, decay = 0, l2 = 0 }: Rule): number[] {
  const x = [1, -2, 0.5, 0.3];
  const [first, second] = [[0, 0, 0, 0], [0, 0, 0, 0]];
  for (let t = 1; t <= 5; t++) {
    const slopes = x.map((v, i) => 2 * [1, 2, 3, 1][i]! * v);
    const norm = Math.hypot(...slopes);
    x.forEach((v, i) => {
      const isBias = i === 3;
      const r = isBias ? 0.01 : 0.1;
      const g = slopes[i]! * (clip === undefined ? 1 : Math.min(1, clip / norm)) + (isBias ? 0 : l2 * v);
      let move = g;
      if (betas) {
        first[i] = betas[0] * first[i]! + (1 - betas[0]) * g;
        second[i] = betas[1] * second[i]! + (1 - betas[1]) * g * g;
        move = first[i]! / (1 - betas[0] ** t) / (Math.sqrt(second[i]! / (1 - betas[1] ** t)) + 1e-8);
      } else if (momentum !== undefined) {
        first[i] = momentum * first[i]! + g;
        move = nesterov ? g + momentum * first[i]! : first[i]!;
      }
      x[i] = v - r * move - (isBias ? 0 : r * decay * v);
    });
  }
  return x;
}

describe.each(RUNNERS)("$name", target => {
  const rules: readonly (readonly [name: string, rule: Rule, make: (of: object, opts: ParameterOptions) => Optimizer])[] = [
    ["gradient descent", {}, sgd],
    ["gradient descent under a clipped norm", { clip: 1 }, sgd],
    ["momentum", { momentum: 0.9 }, (of, o) => sgd(of, { ...o, momentum: 0.9 })],
    ["Nesterov's momentum", { momentum: 0.9, nesterov: true }, (of, o) => sgd(of, { ...o, momentum: 0.9, nesterov: true })],
    ["momentum with decoupled decay of w", { momentum: 0.9, decay: 0.05 }, (of, o) => sgd(of, { ...o, momentum: 0.9 })],
    ["Adam", { betas: [0.8, 0.9] }, (of, o) => adam(of, { ...o, betas: [0.8, 0.9] })],
    ["Adam under a clipped norm", { betas: [0.8, 0.9], clip: 1 }, (of, o) => adam(of, { ...o, betas: [0.8, 0.9] })],
    ["Adam with l2 on w", { betas: [0.8, 0.9], l2: 0.2 }, (of, o) => adam(of, { ...o, betas: [0.8, 0.9] })],
    ["AdamW with decay of w", { betas: [0.9, 0.999], decay: 0.01 }, (of, o) => adamW(of, o)],
  ];
  test.each(rules)("%s, with a rate of its own for b", async (_, { clip, decay, l2, ...rule }, make) => {
    const net = { w: state(f32(3), () => constant([1, -2, 0.5])), b: state(f32(), 0.3) };
    const optimizer = make(net, { rate: 0.1, rates: { b: 0.01 }, ...(decay === undefined ? {} : { decay, decayOf: "w" }), ...(l2 === undefined ? {} : { l2, l2Of: "w" }) });
    const learn = entry({}, () => {
      const loss = net.w.square().mul(constant([1, 2, 3])).sum().add(net.b.square());
      const { norm } = optimizer.step(loss, clip === undefined ? {} : ({ clip } satisfies StepOptions));
      return { loss, norm };
    });
    await withProgram(target, { net, optimizer, learn }, async p => {
      const first = await p.call("learn");
      expectNear(first["norm"], [Math.hypot(2, -8, 3, 0.6)]);
      for (let i = 1; i < 5; i++) await p.call("learn");
      const wanted = stepped({ ...rule, ...(clip === undefined ? {} : { clip }), ...(decay === undefined ? {} : { decay }), ...(l2 === undefined ? {} : { l2 }) });
      expectNear(await p.state.get("net.w"), wanted.slice(0, 3), 1e-4);
      expectNear(await p.state.get("net.b"), wanted.slice(3), 1e-4);
      expect((await p.state.get("optimizer.steps")).item()).toBe(5);
    });
  });

  test("what is frozen, or not among what is trained, stays", async () => {
    const net = { in: linear(2, 2), out: frozen(linear(2, 2)) };
    const optimizer = sgd(only(net, "{in,out}.weight"), { rate: 1 });
    const learn = entry({ x: f32(2) }, ({ x }) => void optimizer.step(net.out(net.in(x)).sum()));
    await withProgram(target, { net, optimizer, learn }, async p => {
      const read = async (): Promise<number[][]> => Promise.all(["in.weight", "in.bias", "out.bias"].map(async name => numbersOf(await p.state.get(`net.${name}`))));
      const before = await read();
      await p.call("learn", { x: [1, 2] });
      const after = await read();
      expect(after.map((xs, i) => xs.some((v, k) => v !== before[i]![k]))).toEqual([true, false, false]);
    });
  });

  const schedules: readonly (readonly [name: string, rate: Rate, at: (t: number) => number])[] = [
    ["a cosine after a warm-up", rate.cosine({ peak: 2, warmup: 4, steps: 12, last: 0.2 }), t => (t < 4 ? t / 2 : 0.2 + 0.9 * (1 + Math.cos(Math.PI * Math.min(1, (t - 4) / 8))))],
    ["a line down to 0", rate.linear({ from: 3, steps: 8 }), t => 3 * Math.max(0, 1 - t / 8)],
    ["steps", rate.steps({ from: 1, every: 3, times: 0.5, after: 2 }), t => 0.5 ** Math.max(0, Math.floor((t - 2) / 3))],
    ["one of the user's own", step => step.add(1).rsqrt(), t => 1 / Math.sqrt(t + 1)],
  ];
  test.each(schedules)("the rate follows %s", async (_, schedule, at) => {
    const w = state(f32());
    const optimizer = sgd({ w }, { rate: schedule });
    const learn = entry({}, () => void optimizer.step(w.neg()));
    await withProgram(target, { w, optimizer, learn }, async p => {
      let total = 0;
      for (let t = 0; t < 15; t++) {
        await p.call("learn");
        total += at(t);
        expectNear(await p.state.get("w"), [total], 1e-5);
      }
    });
  });

  test("gradients gathered over two calls make one step, and the average follows", async () => {
    const net = { w: state(f32(2), () => constant([1, 2])) };
    const [mean, gathered, optimizer] = [average(net, 0.9), accumulator(net), sgd(net, { rate: 0.5 })];
    const gather = entry({ x: f32(2) }, ({ x }) => gathered.add(gradients(net.w.mul(x).sum(), net)));
    const apply = entry({}, () => {
      optimizer.apply(gathered.gradients().scale(0.5));
      gathered.clear();
      mean.update();
    });
    await withProgram(target, { net, mean, gathered, optimizer, gather, apply }, async p => {
      await p.call("gather", { x: [1, 2] });
      await p.call("gather", { x: [3, 4] });
      await p.call("apply");
      expectNear(await p.state.get("net.w"), [0, 0.5]);
      expectNear(await p.state.get("mean.states.w"), [0.9, 1.85]);
      expectNear(await p.state.get("gathered.sums.w"), [0, 0]);
    });
  });

  test("gradients: written by hand, stopped, of gradients, and through a loop that ends by itself", async () => {
    const w = state(f32(3), () => constant([1, 2, 3]));
    const f = entry({ x: f32(3) }, ({ x }) => {
      const rounded = withGradient([w], v => v.round(), dy => [dy.mul(7)]);
      const [cubed] = gradientsOf(w.square().mul(w).sum(), [w]);
      const { v, n } = iterate(10, { v: x, n: constant(0, i32()) }, now => ({ v: now.v.mul(2), n: now.n.add(1), until: now.v.max().gt(50) }));
      return {
        byHand: gradientsOf(rounded.sum(), [w])[0]!, stopped: gradientsOf(w.mul(w.stopGradient()).sum(), [w])[0]!,
        first: cubed!, second: gradientsOf(cubed!.sum() as Scalar, [w])[0]!, looped: gradientsOf(v.sum(), [x])[0]!, rounds: n,
      };
    });
    const out = await callOnce(target, { w, f }, "f", { x: [1, 2, 3] });
    expectNear(out["byHand"], [7, 7, 7]);
    expectNear(out["stopped"], [1, 2, 3]);
    expectNear(out["first"], [3, 12, 27]);
    expectNear(out["second"], [6, 12, 18]);
    expectNear(out["looped"], [64, 64, 64]);
    expectNear(out["rounds"], [6]);
  });

  test("the first values of layers lie within their bounds", async () => {
    const net = { fc: linear(100, 50) };
    const f = entry({}, () => ({ w: net.fc.weight }));
    const w = await withProgram(target, { net, f }, async p => {
      const { w: first } = await p.call("f");
      return numbersOf(first);
    });
    expect(Math.max(...w)).toBeLessThanOrEqual(0.1);
    expect(Math.min(...w)).toBeGreaterThanOrEqual(-0.1);
    expect(w.reduce((a, b) => a + b, 0) / w.length).toBeCloseTo(0, 2);
    expect(new Set(w).size).toBeGreaterThan(4900);
  });
});

test("the same seed draws the same bits on every target", async () => {
  const stream = random("stream");
  const f = entry({}, () => ({
    bits: stream.bits(u32(64)), uniform: stream.uniform(f32(64)), normal: stream.normal(f32(64)), half: stream.normal(f16(64)),
    integers: stream.integers(i32(64), 10), permutation: stream.permutation(64), sample: stream.sample(constant([0, 0, 1, 0], f32(1, 4))),
  }));
  const drawn = await Promise.all(RUNNERS.map(target => withProgram(target, { stream, f }, async p => {
    await p.call("f");
    const second = await p.call("f");
    return Object.fromEntries(Object.entries(second).map(([name, t]) => [name, [...t.data]]));
  })));
  for (const other of drawn.slice(1)) expect(other).toEqual(drawn[0]);
  expect(drawn[0]!["permutation"]!.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i));
  expect(drawn[0]!["sample"]).toEqual([2]);
  expect(new Set(drawn[0]!["integers"])).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
});
