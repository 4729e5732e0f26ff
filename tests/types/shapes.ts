// Shapes in types: what must be accepted with the right result, and what must be refused. Checked by tsc alone, which also
// reports an expected error that does not come; `shapes.test.ts` runs it.
import {
  arange, attention, type Bool, concat, crossEntropy, type Dim, dim, einsum, embedding, entry, type F16, type F32, f16, f32, flag, type I32, i32, int, layerNorm, linear,
  module, open, picture, procedure, random, settings, span, state, type Tensor, text, variable, when,
} from "sluice";
import type { Clash, EinsumFit, Fit, Join, MatmulFit, RearrangeFit, ReshapeCheck } from "../../compiler/dsl/shapes.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
declare function is<T extends true>(): T;
declare function of<T>(): T;
const B = dim("B", { max: 64 }), S = dim("S", { max: 2048 }), H = dim("H", 768), A = dim("A", 12), E = dim("E", 64), V = dim("V", 50257);
declare const x: F32<["B", 784]>;
declare const y: F32<["B", 10]>;
declare const h: F32<["B", "S", "H"]>;
declare const n: number;

// ── elementwise
is<Equal<typeof added, F32<["B", 784]>>>(); const added = x.add(x);
is<Equal<typeof bias, F32<["B", 784]>>>(); const bias = x.add(of<F32<[784]>>());
is<Equal<typeof outer, F32<["B", 784]>>>(); const outer = of<F32<["B", 1]>>().mul(of<F32<[784]>>());
is<Equal<typeof less, Bool<["B", 784]>>>(); const less = x.lt(0);
is<Equal<typeof scaled, F32<["B", 784]>>>(); const scaled = x.div(of<F32<[]>>());
is<Equal<typeof chosen, F32<["B", 784]>>>(); const chosen = less.where(x, 0);
is<Equal<typeof narrow, F16<["B", 784]>>>(); const narrow = x.cast("f16");
// @ts-expect-error 784 against 10
x.add(y);
// @ts-expect-error "S" against "B"
of<F32<["S"]>>().add(of<F32<["B"]>>());
// @ts-expect-error f16 with f32
x.add(of<F16<["B", 784]>>());
// @ts-expect-error a row of 10 does not broadcast over 784
x.mul(of<F32<[10]>>());

// ── contraction
is<Equal<typeof mm, F32<["B", 10]>>>(); const mm = x.matmul(of<F32<[784, 10]>>());
is<Equal<typeof bmm, F32<["B", "A", "S", "T"]>>>(); const bmm = of<F32<["B", "A", "S", "E"]>>().matmul(of<F32<["B", "A", "E", "T"]>>());
// @ts-expect-error inner sizes 784 against 768
x.matmul(of<F32<[768, 10]>>());
// @ts-expect-error the right side has one axis
x.matmul(of<F32<[784]>>());
is<Equal<typeof logits, F32<["B", "S", "V"]>>>(); const logits = einsum("b s h, v h -> b s v", h, of<F32<["V", "H"]>>());
is<Equal<typeof scores, F32<["B", "A", "S", "T"]>>>(); const scores = einsum("b s a e, b t a e -> b a s t", of<F32<["B", "S", "A", "E"]>>(), of<F32<["B", "T", "A", "E"]>>());
is<Equal<typeof three, F32<["B", "K"]>>>(); const three = einsum("b i, i j, j k -> b k", of<F32<["B", "I"]>>(), of<F32<["I", "J"]>>(), of<F32<["J", "K"]>>());
// @ts-expect-error h is H and 784
einsum("b s h, h k -> b s k", h, of<F32<[784, 10]>>());
// @ts-expect-error too few letters
einsum("b s, s k -> b k", h, of<F32<["S", 10]>>());
// @ts-expect-error too many letters
einsum("b s h q, h k -> b s k", h, of<F32<["H", 10]>>());
// @ts-expect-error q is on the right only
einsum("b s h, h k -> b s q", h, of<F32<["H", 10]>>());
// @ts-expect-error no arrow
einsum("b s h, h k", h, of<F32<["H", 10]>>());
// @ts-expect-error fewer operands in the pattern than given
einsum("b s h -> b s", h, h);
declare const pattern: string;
is<Equal<typeof unchecked, F32<any>>>(); const unchecked = einsum(pattern, h, h);

// ── layers
const fc = linear(784, 10), qkv = linear(H, [3, A, E]), out = linear([A, E], H), tokens = embedding(V, H), norm = layerNorm(H);
is<Equal<typeof f, F32<["B", 10]>>>(); const f = fc(x);
is<Equal<typeof q, F32<["B", "S", 3, "A", "E"]>>>(); const q = qkv(norm(h));
is<Equal<typeof o, F32<["B", "S", "H"]>>>(); const o = out(of<F32<["B", "S", "A", "E"]>>());
is<Equal<(typeof out)["weight"]["shape"], ["A", "E", "H"]>>();
is<Equal<typeof e, Tensor<any, ["B", "S", "H"]>>>(); const e = tokens(of<I32<["B", "S"]>>());
// @ts-expect-error ends in 10, takes 784
fc(y);
// @ts-expect-error axes in the wrong order
out(of<F32<["B", "S", "E", "A"]>>());
// @ts-expect-error norm over H, given S last
norm(of<F32<["B", "S"]>>());
// @ts-expect-error ids are integers
tokens(of<F32<["B", "S"]>>());
is<Equal<typeof at, F32<["B", "S", "A", "E"]>>>(); const at = attention(of<F32<["B", "S", "A", "E"]>>(), of<F32<["B", "T", "A", "E"]>>(), of<F32<["B", "T", "A", "E"]>>());
// @ts-expect-error heads and positions swapped
attention(of<F32<["B", "S", "A", "E"]>>(), of<F32<["B", "A", "T", "E"]>>(), of<F32<["B", "A", "T", "E"]>>());
const mlp = module({ in: linear(784, 32), out: linear(32, 10) }, (v: F32<["B", 784]>) => mlp.out(mlp.in(v).gelu()));
is<Equal<typeof through, F32<["B", 10]>>>(); const through = mlp(x);
// @ts-expect-error a module takes what its function takes
mlp(y);

// ── reduction
is<Equal<typeof m1, F32<["B", "S"]>>>(); const m1 = h.mean("H");
is<Equal<typeof m2, F32<["B", "S"]>>>(); const m2 = h.mean(-1);
is<Equal<typeof m3, F32<["S", "H"]>>>(); const m3 = h.sum(0);
is<Equal<typeof m4, F32<["H"]>>>(); const m4 = h.sum(["B", "S"]);
is<Equal<typeof m5, F32<["B", 1, "H"]>>>(); const m5 = h.max("S", { keepdims: true });
is<Equal<typeof m6, F32<[]>>>(); const m6 = h.mean();
is<Equal<typeof m7, I32<["B"]>>>(); const m7 = y.argmax(-1);
is<Equal<typeof m8, F32<["B", "H"]>>>(); const m8 = h.sum(-2);
is<Equal<typeof m10, F32<["B", "S"]>>>(); const m10 = h.sum(-1 as const);
is<Equal<typeof centred, F32<["B", "S", "H"]>>>(); const centred = h.sub(h.mean("H", { keepdims: true }));
is<Equal<typeof m9, F32<["B", 2]>>>(); const m9 = of<F32<["B", 2, 3]>>().sum(2);
// @ts-expect-error no axis W
h.mean("W");
// @ts-expect-error keepdims forgotten: [B, S] does not broadcast with [B, S, H]
h.sub(h.mean("H"));

// ── movement
is<Equal<typeof r1, F32<["B", 28, 28]>>>(); const r1 = x.reshape(B, 28, 28);
is<Equal<typeof r2, F32<["B", "A", "S", "E"]>>>(); const r2 = of<F32<["B", "S", "A*E"]>>().rearrange("b s (a e) -> b a s e", { a: A });
is<Equal<typeof r3, F32<["B", "S", "A*E"]>>>(); const r3 = of<F32<["B", "S", "A", "E"]>>().rearrange("b s a e -> b s (a e)");
is<Equal<typeof r4, F32<["H", "B", "S"]>>>(); const r4 = h.rearrange("b s h -> h b s");
is<Equal<typeof r5, F32<["B", "S", 12, any]>>>(); const r5 = h.rearrange("b s (a e) -> b s a e", { a: 12 });
is<Equal<typeof r6, F32<["B", "T", "H"]>>>(); const r6 = h.rename(B, dim("T", { max: 2048 }), H);
is<Equal<typeof r7, F32<["A", "B", 784]>>>(); const r7 = x.expand(A);
// @ts-expect-error S is lost
h.reshape(B, H);
// @ts-expect-error 784 against 10
x.reshape(B, 10);
// @ts-expect-error more axes in the pattern than in the tensor
h.rearrange("b s h w -> b h s w");
// @ts-expect-error s is on the left only
h.rearrange("b s h -> b h");
is<Equal<typeof c1, F32<["B", "L", "H"]>>>(); const c1 = h.slice({ S: span(0, dim("L", { max: 9 })) });
is<Equal<typeof c2, F32<["B", "H"]>>>(); const c2 = h.select({ S: 0 });
// @ts-expect-error no axis T
h.select({ T: 0 });
// @ts-expect-error no axis T
h.slice({ T: span(0, 3) });
const picked = of<F32<["N", "V"]>>();
is<Equal<typeof p1, F32<["N"]>>>(); const p1 = picked.takeAlong(of<I32<["N"]>>());
is<Equal<typeof p2, F32<["N", "K"]>>>(); const p2 = picked.takeAlong(of<I32<["N", "K"]>>());
is<Equal<typeof p3, F32<["N", 2, "K"]>>>(); const p3 = picked.takeAlong(of<I32<["N", 2, "K"]>>());
// @ts-expect-error ids of other rows
picked.takeAlong(of<I32<["M", "K"]>>());
// @ts-expect-error ids of no row
picked.takeAlong(of<I32<[]>>());
is<Equal<typeof s1, I32<["B", 3]>>>(); const s1 = of<I32<["B", 3]>>().shl(of<I32<[3]>>());
is<Equal<typeof s2, I32<["B", 3]>>>(); const s2 = of<I32<[3]>>().shr(of<I32<["B", 1]>>());
is<Equal<typeof s3, I32<["B", 3]>>>(); const s3 = of<I32<["B", 3]>>().shl(2);
// @ts-expect-error 4 shifts for 3 elements
of<I32<["B", 3]>>().shr(of<I32<[4]>>());
// ── what JavaScript does with an object: `if (x)` is the one that no type refuses
// @ts-expect-error a tensor is no number
void (x > 0);
// @ts-expect-error a tensor is no number
void (x + 1);
// @ts-expect-error a tensor is never a number
void (x === 3);
const H3 = H.times(3);
is<Equal<typeof H3, Dim<"3*H">>>();
const [k1, k2, k3] = of<F32<["B", "S", "3*H"]>>().chunk(3);
is<Equal<typeof k1, F32<["B", "S", "H"]>>>(); is<Equal<typeof k2, typeof k3>>();
const next = of<I32<["B", "S+1"]>>().slice({ "S+1": span(1, S) });
is<Equal<typeof next, I32<["B", "S"]>>>();
is<Equal<typeof loss, F32<["B", "S"]>>>(); const loss = crossEntropy(of<F32<["B", "S", "V"]>>(), next);
// @ts-expect-error ids of another length
crossEntropy(of<F32<["B", "S", "V"]>>(), of<I32<["B", "S+1"]>>());
is<Equal<typeof rows, F32<["B", "S", "H"]>>>(); const rows = of<F32<["V", "H"]>>().gather(next);
is<Equal<typeof joined, F32<["B", "10+784"]>>>(); const joined = concat([of<F32<["B", "10"]>>(), of<F32<["B", "784"]>>()], -1);
is<Equal<typeof counted, I32<[4]>>>(); const counted = arange(4);

// ── what is not known: a plain number is any, and any agrees with everything
const chosenSettings = settings({ hidden: 768 });
const w = state(f32(chosenSettings.hidden, 10));
is<Equal<typeof w.shape, [any, 10]>>();
is<Equal<typeof d1, F32<["B", 10]>>>(); const d1 = x.matmul(w);
const d2: F32<["B", 784]> = of<F32<["B", any]>>(); x.add(d2);
const d3: F32<["B", 784]> = of<F32<any>>(); d3.add(x);
is<Equal<typeof d4, F32<[784, 3]>>>(); const d4 = of<F32<any>>().mean("whatever").reshape(3, n).matmul(x).rearrange("a b -> b a"); // what is known again is checked again
is<Equal<typeof d5, F32<any>>>(); const d5 = x.mean(n);
is<Equal<typeof d6, F32<["B", 784]>>>(); const d6 = x.add(state(f32(n, n)));
is<Equal<typeof d8, F32<[any, any]>>>(); const d8 = state(f32(n, n)).add(x);
is<Equal<typeof d9, F32<["B", any]>>>(); const d9 = concat([x, y], -1);
is<Equal<typeof d7, F32<[any, 784]>>>(); const d7 = einsum("a b, b c -> a c", of<F32<[any, any]>>(), of<F32<["B", 784]>>());
const helper = (t: Tensor) => t.square().sum(); helper(x); helper(h);
const shapeKeeping = <Z extends readonly (number | string)[]>(t: F32<Z>): F32<Z> => t.mul(t.sigmoid()).add(t).sub(1);
is<Equal<typeof kept, F32<["B", 784]>>>(); const kept = shapeKeeping(x);
const unit = <P extends number | string>(v: F32<[P, 3]>): F32<[P, 3]> => v.div(v.square().sum(-1, { keepdims: true }).sqrt());
is<Equal<typeof units, F32<["B", 3]>>>(); const units = unit(of<F32<["B", 3]>>());
function grown<Z extends number | string>(a: F32<["B", Z]>, right: F32<[Z, 10]>) {
  a.add(a);
  // @ts-expect-error two sizes that are both type parameters are never seen to be the same one: contract outside, or take any
  return a.matmul(right);
}

// ── entries: named sizes bind at the call, literal ones must agree
const step = entry({ x: f32(B, 784), at: i32() }, ({ x }) => ({ loss: x.mean(), y: x.matmul(state(f32(784, 10))) }));
const called = step({ x: of<F32<["N", 784]>>(), at: variable(0) });
is<Equal<typeof called.y, F32<["B", 10]>>>();
when(called.loss.lt(0.1), () => undefined);
// @ts-expect-error 10 is not 784
step({ x: y, at: 0 });
// @ts-expect-error an input is missing
step({ x });
// @ts-expect-error no such input
step({ x, at: 0, z: 1 });
// @ts-expect-error no such output
void called.accuracy;
// @ts-expect-error a condition is bool
when(called.loss, () => undefined);
// @ts-expect-error a counter is not a condition
when(variable(0), () => undefined);
// @ts-expect-error a condition is a scalar
when(called.y.lt(0), () => undefined);
// @ts-expect-error this entry has inputs
step();
const draws = entry({}, () => ({ x: random("r").normal(f16(B, 3)) }));
is<Equal<ReturnType<typeof draws>["x"], F16<["B", 3]>>>();
draws();
void grown;

// ── an opened program knows its entries, procedures, inputs, outputs and arguments
const fit = procedure({ steps: int(9), name: text(), fast: flag(), photo: picture() }, () => undefined);
async function opened() {
  const app = await open({ step, draws, fit, mlp, w, B });
  is<Equal<Parameters<typeof app.call>[0], "step" | "draws">>();
  is<Equal<Parameters<typeof app.run>[0], "fit">>();
  const host = await app.call("step", { x: new Float32Array(784), at: 0 });
  is<Equal<keyof typeof host, "loss" | "y">>();
  host.loss.item();
  // @ts-expect-error no such output
  void host.accuracy;
  // @ts-expect-error a module is no entry
  await app.call("mlp", { x: 1 });
  // @ts-expect-error an input is missing
  await app.call("step", { x: [[1]] });
  // @ts-expect-error no such input
  await app.call("step", { x: [[1]], at: 0, z: 1 });
  await app.call("draws");
  await app.run("fit", { steps: 3, fast: true, photo: "a.png" });
  // @ts-expect-error a number of steps
  await app.run("fit", { steps: "three" });
  // @ts-expect-error no such argument
  await app.run("fit", { epochs: 3 });
  // What is not known may be called by any name.
  const other = await open({} as { readonly [name: string]: unknown });
  void (await other.call("anything", { x: 1 }))["y"];
}
void opened;

// ── what the editor says: both shapes, and the sizes that disagree
is<Equal<Join<["B", 784], ["B", 10]>, Clash<"[B, 784] with [B, 10]: 784 against 10">>>();
is<Equal<Fit<"add", ["B", 784], [10], never>, "add: [B, 784] with [10]: 784 against 10">>();
is<Equal<MatmulFit<["B", 784], [768, 10], never>, "matmul: [B, 784] with [768, 10]: inner sizes 784 against 768">>();
is<Equal<EinsumFit<"b s h, h k -> b s q", [F32<["B", "S", "H"]>, F32<["H", 10]>]>, "einsum: q is on the right only">>();
is<Equal<EinsumFit<"b s h, h k -> b s k", [F32<["B", "S", "H"]>, F32<[784, 10]>]>, "einsum: h is H and 784">>();
is<Equal<RearrangeFit<"b s h -> b h", ["B", "S", "H"]>, "rearrange: s is on the left only; sum it first">>();
is<Equal<ReshapeCheck<["B", 784], ["B", 10]>, "reshape: [B, 784] to [B, 10]: 784 against 10">>();
