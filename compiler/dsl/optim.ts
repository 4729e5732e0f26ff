// Gradients and optimizers. An optimizer's update is ordinary graph, so it fuses with the rest of the step.
import { SluiceError } from "../base/diagnostics.ts";
import { isFloat } from "../base/dtypes.ts";
import { differentiate } from "../transforms/differentiate.ts";
import { i32 } from "./dims.ts";
import { userSpan } from "./source.ts";
import type { DeclaredState } from "./declared.ts";
import { type Group, globMatcher, requireMatch, state, statesOf } from "./state.ts";
import type { Scalar, State, Tensor } from "./tensor.ts";
import { trace } from "./trace.ts";
import { tensorNode, wrap } from "./value.ts";

/** The gradients of a loss, one for each state of a group. */
export interface Gradients {
  /** Of all gradients together, the root of the sum of squares. */
  readonly norm: Scalar<"f32">;
  scale(by: Tensor | number): Gradients;
  of(s: State): Tensor;
  entries(): readonly { readonly path: string; readonly state: DeclaredState; readonly gradient: Tensor }[];
}

class GradientList implements Gradients {
  readonly #list: readonly { readonly path: string; readonly state: DeclaredState; readonly gradient: Tensor }[];

  constructor(list: readonly { readonly path: string; readonly state: DeclaredState; readonly gradient: Tensor }[]) {
    this.#list = list;
  }
  get norm(): Scalar<"f32"> {
    const squares = this.#list.map(({ gradient }) => (gradient as Tensor<"f32", any>).cast("f32").square().sum());
    return squares.reduce((a, b) => a.add(b)).sqrt();
  }
  scale(by: Tensor | number): Gradients {
    return new GradientList(this.#list.map(e => ({ ...e, gradient: e.gradient.mul(typeof by === "number" ? by : by.cast(e.gradient.dtype)) })));
  }
  of(s: State): Tensor {
    const found = this.#list.find(e => e.state.tensor === s);
    if (!found) throw new SluiceError({ code: "GRAD003", message: "the gradient of a state outside the group is asked for", span: userSpan(), hint: "name it in gradients(loss, group)" });
    return found.gradient;
  }
  entries() {
    return this.#list;
  }
}

const trainableOf = (of: Group): { path: string; state: DeclaredState }[] => {
  const list = statesOf(of, "", new Set(), true).filter(({ state: s }) => isFloat(s.type.dtype));
  if (list.length === 0) throw new SluiceError({ code: "GRAD004", message: "the group has no state to train", span: userSpan(), expected: "a module, or an object that holds states of a float dtype" });
  return list;
};

/** The gradients of a scalar with respect to every state of the group (frozen parts left out). */
export function gradients(loss: Scalar, of: Group): Gradients {
  const list = trainableOf(of);
  const ids = differentiate(trace().b, tensorNode(loss), list.map(({ state: s }) => tensorNode(s.tensor)));
  return new GradientList(list.map((e, i) => ({ ...e, gradient: wrap(ids[i]!) })));
}

/** The gradients of a scalar with respect to tensors. */
export const gradientsOf = (loss: Scalar, xs: readonly Tensor[]): Tensor[] => differentiate(trace().b, tensorNode(loss), xs.map(tensorNode)).map(wrap);

/** A state beside each state of a group: moments, averages, gathered gradients. Names follow those of the group. */
function besides(list: readonly { path: string; state: DeclaredState }[], init: number | "same" = 0): { [path: string]: State } {
  return Object.fromEntries(list.map(({ path, state: s }) => {
    const spec = { spec: "f32" as const, shape: undefined, dims: s.dims };
    return [path, init === "same" ? state(spec as never, s.first ? () => s.first!().cast("f32") : "empty") : state(spec as never, init)];
  }));
}

/** Gradients gathered over several calls, then applied at once. */
export interface Accumulator { readonly sums: { readonly [path: string]: State }; add(g: Gradients): void; clear(): void; gradients(): Gradients }
export function accumulator(of: Group): Accumulator {
  const list = trainableOf(of);
  const sums = besides(list);
  return {
    sums,
    add: g => g.entries().forEach(({ path, gradient }) => sums[path]!.set(sums[path]!.add(gradient.cast("f32")))),
    clear: () => Object.values(sums).forEach(s => s.set(0)),
    gradients: () => new GradientList(list.map(e => ({ ...e, gradient: sums[e.path]! }))),
  };
}

/** A running mean of each state: `keep` of the old and the rest of the new at each update. Starts at the states' first values. */
export interface Average { readonly states: { readonly [path: string]: State }; update(): void }
export function average(of: Group, keep: number): Average {
  const list = trainableOf(of);
  const states = besides(list, "same");
  return { states, update: () => list.forEach(({ path, state: s }) => states[path]!.set(states[path]!.mul(keep).add(s.tensor.cast("f32").mul(1 - keep)))) };
}

/** A number, or a function of the step (f32, from 0). */
export type Rate = number | ((step: Scalar<"f32">) => Scalar<"f32">);
export const rate = {
  /** Up from 0 over `warmup` steps, then down along a half cosine to `last` at `steps`. */
  cosine: ({ peak, warmup, steps, last = 0 }: { peak: number; warmup: number; steps: number; last?: number }): Rate => step => {
    const t = step.sub(warmup).div(Math.max(1, steps - warmup)).clamp(0, 1);
    const down = t.mul(Math.PI).cos().add(1).mul((peak - last) / 2).add(last);
    return step.lt(warmup).where(step.mul(peak / Math.max(1, warmup)), down);
  },
  /** Down to 0 in equal parts. */
  linear: ({ from, steps }: { from: number; steps: number }): Rate => step => step.div(steps).neg().add(1).maximum(0).mul(from),
  /** Times `times` every so many steps, from step `after` on. */
  steps: ({ from, every, times, after = 0 }: { from: number; every: number; times: number; after?: number }): Rate => step => {
    const drops = step.sub(after).div(every).floor().maximum(0);
    return drops.mul(Math.log(times)).exp().mul(from);
  },
};

export interface ParameterOptions {
  readonly rate: Rate;
  /** Rates of some states by glob over their paths; the first match holds. */
  readonly rates?: { readonly [glob: string]: Rate };
  /** Taken off the weight directly, times the rate (AdamW, and SGD's decoupled form). */
  readonly decay?: number;
  readonly decayOf?: string;
  /** Added to the gradient, unlike decay. */
  readonly l2?: number;
  readonly l2Of?: string;
}
export interface StepOptions { /** The largest norm of all gradients together; larger ones are scaled down to it. */ readonly clip?: number }
export interface Optimizer {
  /** Steps made so far. */
  readonly steps: State<"i32", []>;
  readonly moments: { readonly [moment: string]: { readonly [path: string]: State } };
  /** Gradients of the loss, clipping, update. */
  step(loss: Scalar, opts?: StepOptions): { norm: Scalar<"f32"> };
  apply(g: Gradients, opts?: StepOptions): { norm: Scalar<"f32"> };
}

/** The update of one state: its new value, given its gradient (f32), its rate and the step from 1. */
type Update = (path: string, w: Tensor, g: Tensor, rate: Tensor | number, step: Tensor) => Tensor;

/** Every pattern matches a state that is trained; a rate's, one that no earlier pattern took. */
function requireMatches(of: Group, { rates = {}, decayOf, l2Of, decay, l2 }: ParameterOptions): void {
  const paths = trainableOf(of).map(s => s.path);
  let left: readonly string[] = paths;
  for (const glob of Object.keys(rates)) {
    requireMatch("rates", glob, paths);
    const matches = globMatcher(glob);
    if (!left.some(matches)) throw new SluiceError({ code: "GRAD005", message: `rates: earlier patterns took all that ${glob} matches`, span: userSpan(), found: Object.keys(rates).join(", "), expected: "the narrower pattern first" });
    left = left.filter(path => !matches(path));
  }
  for (const [word, glob, amount, of] of [["decayOf", decayOf, decay, "decay"], ["l2Of", l2Of, l2, "l2"]] as const) {
    if (glob === undefined) continue;
    requireMatch(word, glob, paths);
    if (!amount) throw new SluiceError({ code: "GRAD005", message: `${word} says of what, and nothing says how much`, span: userSpan(), found: `${word}: ${JSON.stringify(glob)}`, expected: `${of}: a number that is not 0` });
  }
}
/** A number that a NaN would spoil every weight by. Throws SluiceError GRAD006. */
function requireFinite(opts: { readonly [name: string]: unknown }): void {
  const bad = Object.entries(opts).flatMap(([name, x]) => (Array.isArray(x) ? x : [x]).map(n => [name, n] as const)).find(([, x]) => typeof x === "number" && !Number.isFinite(x));
  if (bad) throw new SluiceError({ code: "GRAD006", message: `${bad[0]} is no number`, span: userSpan(), found: String(bad[1]), expected: "a finite number" });
}

function optimizer(of: Group, opts: ParameterOptions, moments: Optimizer["moments"], update: Update): Optimizer {
  requireMatches(of, opts);
  requireFinite({ ...opts, ...opts.rates });
  const steps = state(i32(), "zeros");
  const [decays, shrinks] = [globMatcher(opts.decayOf ?? "**"), globMatcher(opts.l2Of ?? "**")];
  const groups = Object.entries(opts.rates ?? {}).map(([glob, r]) => ({ matches: globMatcher(glob), r }));
  const apply = (g: Gradients, { clip }: StepOptions = {}) => {
    const norm = g.norm;
    const scaled = clip === undefined ? g : g.scale(norm.maximum(clip).div(clip).pow(-1));
    const step = (steps as Tensor).cast("f32");
    const rateAt = (r: Rate) => (typeof r === "number" ? r : r(step as Scalar<"f32">));
    const next = (steps as Tensor).add(1);
    for (const { path, state: s, gradient } of scaled.entries()) {
      const r = rateAt(groups.find(x => x.matches(path))?.r ?? opts.rate);
      const w = s.tensor.cast("f32");
      const l2 = opts.l2 && shrinks(path) ? gradient.cast("f32").add(w.mul(opts.l2)) : gradient.cast("f32");
      const moved = update(path, w, l2, r, next.cast("f32"));
      const decayed = opts.decay && decays(path) ? moved.sub(typeof r === "number" ? w.mul(r * opts.decay) : w.mul(r.mul(opts.decay))) : moved;
      s.tensor.set(decayed.cast(s.type.dtype));
    }
    steps.set(next);
    return { norm };
  };
  return { steps: steps as State<"i32", []>, moments, apply, step: (loss, o) => apply(gradients(loss, of), o) };
}

/** Kingma and Ba's Adam with bias correction; with `decay`, Loshchilov and Hutter's AdamW. */
export function adam(of: Group, opts: ParameterOptions & { betas?: readonly [number, number]; eps?: number }): Optimizer {
  const [b1, b2] = opts.betas ?? [0.9, 0.999];
  const list = trainableOf(of);
  const moments = { first: besides(list), second: besides(list) };
  return optimizer(of, opts, moments, (path, w, g, r, step) => {
    const m = moments.first[path]!.mul(b1).add(g.mul(1 - b1));
    const v = moments.second[path]!.mul(b2).add(g.square().mul(1 - b2));
    moments.first[path]!.set(m);
    moments.second[path]!.set(v);
    const correction = (beta: number) => step.mul(Math.log(beta)).exp().neg().add(1);
    return w.sub(m.div(correction(b1)).mul(r).div(v.div(correction(b2)).sqrt().add(opts.eps ?? 1e-8)));
  });
}
export const adamW = (of: Group, opts: Parameters<typeof adam>[1]): Optimizer => adam(of, { decay: 0.01, ...opts });

/** Gradient descent with momentum (0 unless given), Nesterov's if asked. */
export function sgd(of: Group, opts: ParameterOptions & { momentum?: number; nesterov?: boolean }): Optimizer {
  const { momentum = 0, nesterov = false } = opts;
  const velocity = momentum === 0 ? {} : besides(trainableOf(of));
  return optimizer(of, opts, momentum === 0 ? {} : { velocity }, (path, w, g, r) => {
    if (momentum === 0) return w.sub(g.mul(r));
    const v = velocity[path]!.mul(momentum).add(g);
    velocity[path]!.set(v);
    return w.sub((nesterov ? g.add(v.mul(momentum)) : v).mul(r));
  });
}
