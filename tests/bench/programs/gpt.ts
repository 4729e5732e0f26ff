// A GPT of as many layers as asked for: a training step, and a decode of any number of new tokens over a cache of keys and
// values, whose length is a call dim. Its layers are equal, so that its kernels should be as many whatever their number.
import {
  adam, arange, attention, crossEntropy, dim, embedding, entry, f32, i32, layerNorm, linear, module, settings, span, state, times, type Tensor,
} from "sluice";

export const size = settings({ layers: 12, heads: 2, headSize: 64, vocabulary: 256, context: 512 });
const width = size.heads * size.headSize;
const [V, T, H, F] = [dim("V", size.vocabulary), dim("T", size.context), dim("H", width), dim("F", 4 * width)];
const [Three, A, E] = [dim("qkv", 3), dim("A", size.heads), dim("E", size.headSize)];
const [B, S] = [dim("B", { max: 8 }), dim("S", { max: size.context })];
/** How many tokens the cache holds before the call. */
const past = dim("P", { min: 0, max: size.context / 2 });
const N = dim("N", { max: size.context / 2 });

type Attend = (q: Tensor, k: Tensor, v: Tensor) => Tensor;
const block = () => {
  const p = { ln1: layerNorm(H), qkv: linear(H, [Three, A, E]), out: linear([A, E], H), ln2: layerNorm(H), up: linear(H, F), down: linear(F, H) };
  return module(p, (x: Tensor, attend: Attend): Tensor => {
    const [q, k, v] = (p.qkv(p.ln1(x)) as Tensor).unbind("qkv") as [Tensor, Tensor, Tensor];
    const y = x.add(p.out(attend(q, k, v)) as Tensor);
    return y.add(p.down((p.up(p.ln2(y as Tensor)) as Tensor).gelu()) as Tensor) as Tensor;
  });
};
const parts = { tokens: embedding(V, H), places: embedding(T, H), blocks: times(size.layers, block), norm: layerNorm(H) };
const forward = (ids: Tensor, first: number | typeof past, count: typeof S | typeof N, attendOf: (layer: number) => Attend): Tensor => {
  const places = (parts.places.weight as Tensor).slice({ T: span(first, count) });
  let x = (parts.tokens(ids) as Tensor).add(places) as Tensor;
  parts.blocks.forEach((b, layer) => (x = b(x, attendOf(layer))));
  return (parts.norm(x) as Tensor).matmul((parts.tokens.weight as Tensor).rearrange("v h -> h v"));
};
export const gpt = module(parts, (ids: Tensor) => forward(ids, 0, S, () => (q, k, v) => attention(q as never, k as never, v as never, { causal: true })));

export const optimizer = adam(gpt, { rate: 6e-4 });
export const step = entry({ text: i32(B, S.plus(1)) }, ({ text }) => {
  const logits = gpt((text as Tensor).slice({ "S+1": span(0, S) }) as never);
  const loss = crossEntropy(logits as never, (text as Tensor).slice({ "S+1": span(1, S) }) as never).mean();
  optimizer.step(loss as never);
  return { loss };
}, { B: 2, S: 64 });

export const keys = times(size.layers, () => state(f32(T, A, E)));
export const values = times(size.layers, () => state(f32(T, A, E)));
export const decode = entry({ ids: i32(N) }, ({ ids }) => {
  const known = past.plus(N);
  const logits = forward(ids as never, past, N, layer => (q, k, v) => {
    keys[layer]!.put({ T: past } as never, k);
    values[layer]!.put({ T: past } as never, v);
    const [allKeys, allValues] = [keys, values].map(cache => (cache[layer] as Tensor).slice({ T: span(0, known) }));
    const mask = arange(N).unsqueeze(1).add(past as never).ge(arange(known).unsqueeze(0) as never);
    return attention(q as never, allKeys as never, allValues as never, { mask: mask as never });
  });
  return { logits };
});
