// The smallest networks of those that random ones came down to, each of which was refused or wrong somewhere: on every compiled
// target and level, forward and trained, against the reference interpreter.
import { expect, test } from "vitest";
import type { Network } from "../../compiler/testing/index.ts";
import { differencesOn } from "../../compiler/testing/networks/run.ts";
import { notRunOn, ranOn } from "../support/conformance.ts";
import { NETWORK_TARGETS } from "../support/network-targets.ts";

const network = (shape: Network["input"]["shape"], layers: Network["layers"], more: Partial<Network> = {}): Network =>
  ({ dims: [], input: { of: "numbers", shape }, layers, loss: "square", optimizer: { kind: "sgd", clip: 0, decay: 0 }, seed: 1, ...more });
const conv = (options: { readonly [name: string]: number | readonly number[] }): Network["layers"][number] =>
  ({ kind: "conv", to: 1, kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: -1, groups: 1, bias: false, ...options });

const S = { name: "S", bind: "call", min: 3, max: 9, values: [4, 3] } as const;
const B = { name: "B", bind: "call", min: 0, max: 7, values: [0, 3] } as const;
const ONE = { name: "S", bind: "call", min: 1, max: 1, values: [1, 1] } as const;
const NONE = { name: "S", bind: "call", min: 0, max: 0, values: [0, 0] } as const;

const FOUND: { readonly [name: string]: Network } = {
  "the variance of one element, which is a scalar on the way": network([1], [{ kind: "reduce", axis: 1, how: "variance", result: "keep" }]),
  "gates of an LSTM, whose input only the loop reads": network([5, 1], [{ kind: "recur", cell: "lstm", hidden: 2, gives: "mean" }]),
  "the filter's gradient of groups of one input channel": network([5, 1, 2], [conv({ to: 12, groups: 2 })]),
  "rows as wide as a sum, in an image of one row": network([1, { dim: "B", times: 1, plus: 1 }, 8], [conv({})], { dims: [B] }),
  "the gradient of a softmax, whose largest is sought where the sums are": network([2, 2], [{ kind: "softmax", axis: 2, log: false }], { loss: "sum" }),
  "a part by the number of its axis, after a dropout": network([1, 1], [{ kind: "dropout", p: 0.5 }, { kind: "cut", axis: 1, other: 0 }]),
  "the filter's gradient of groups whose channels are no multiple of a tile": network([5, 2, 2], [conv({ to: 48, kernel: [3, 3], groups: 2 })]),
  "the gradient of a weight over rows of which there may be none": network([{ dim: "S", times: 1, plus: 0 }, { dim: "B", times: 1, plus: 0 }, 13], [{ kind: "linear", axes: 1, to: [3, 2], bias: true }], { dims: [S, B] }),
  "the same, summed in steps of several rows": network([2, { dim: "B", times: 1, plus: 0 }, 1], [{ kind: "linear", axes: 1, to: [1], bias: false }], { dims: [B] }),
  "an image of one row in tiles of several": network([1, 8, 1], [conv({})]),
  "attention over fewer positions than a dim has": network([{ dim: "S", times: 1, plus: 0 }, 2], [
    { kind: "cut", axis: 0, other: 2 }, { kind: "attention", heads: 1, width: 2, causal: true, reach: -1, bias: false, rope: false, keys: 0 },
  ], { dims: [S] }),
  "attention over positions of which there is always one": network([{ dim: "S", times: 1, plus: 0 }, 1], [
    { kind: "attention", heads: 1, width: 1, causal: false, reach: -1, bias: false, rope: false, keys: 0 },
  ], { dims: [{ ...S, min: 1, max: 1, values: [1, 1] }], optimizer: null }),
  "the gradient of a weight over as many rows as columns, of which there may be none": network([{ dim: "B", times: 1, plus: 0 }, { dim: "B", times: 1, plus: 0 }, 1], [
    { kind: "linear", axes: 1, to: [1], bias: false },
  ], { dims: [{ ...B, max: 23 }], loss: "sum" }),
  "the input's gradient of groups whose channels are no multiple of a tile": network([1, 1, 18], [conv({ to: 6, groups: 2 })], { loss: "sum" }),
  "products of a row with itself, where a dim has one value": network([{ dim: "S", times: 1, plus: 0 }, 1], [{ kind: "gram", isSquared: false }], { dims: [ONE] }),
  "weights over rows of a dim that is always 0": network([3, { dim: "S", times: 1, plus: 0 }, 4], [{ kind: "linear", axes: 1, to: [3, 2], bias: true }], { dims: [NONE] }),
  "images of a dim of one value, whose channels are parted and joined again": network([2, { dim: "S", times: 4, plus: 2 }, 1], [
    { kind: "shared", times: 1, body: [[conv({ to: 5 })]] },
  ], { dims: [ONE], optimizer: null }),
  "sums over a dim of one value and one of more": network([{ dim: "S", times: 1, plus: 0 }, { dim: "B", times: 1, plus: 0 }], [], { dims: [ONE, { ...B, min: 1, values: [1, 3] }], loss: "sum" }),
  "an image of one pixel of two channels": network([1, 1, 2], [conv({ padding: 0 })]),
  "an image of a row of few pixels of two channels, whose border is read": network([1, { dim: "S", times: 1, plus: 0 }, 2], [conv({ padding: 1 })], { dims: [{ ...S, max: 4 }] }),
  "a sort of a dim that is always 0": network([{ dim: "S", times: 1, plus: 0 }, 3], [{ kind: "sort", axis: 2, k: 1 }], { dims: [NONE] }),
  "a sort of an axis that is always empty": network([0, 1], [{ kind: "sort", axis: 2, k: 1 }]),
  "the filter's gradient of a wide window over as many rows as columns": network([{ dim: "S", times: 1, plus: 0 }, { dim: "S", times: 1, plus: 0 }], [
    { kind: "linear", axes: 1, to: [2, 8], bias: true }, { ...conv({ to: 6, kernel: [1, 4], dilation: [1, 2] }), bias: true },
  ], { dims: [{ ...S, min: 1, max: 257, values: [1, 1] }], input: { of: "ids", shape: [{ dim: "S", times: 1, plus: 0 }, { dim: "S", times: 1, plus: 0 }] }, loss: "sum" }),
  "the gradient of a norm of every other column, where what else reads the columns is a product": network([{ dim: "S", times: 1, plus: 0 }, 3], [
    { kind: "linear", axes: 1, to: [8], bias: true },
    { kind: "meet", how: "maximum", branches: [
      [{ kind: "linear", axes: 1, to: [63], bias: true }],
      [{ kind: "every", axis: 1, other: 2 }, { kind: "norm", of: "layer", axes: 1, groups: 3, affine: false }],
    ] },
  ], { dims: [{ ...S, min: 2, max: 11, values: [2, 2] }], loss: "sum" }),
};

test.each(NETWORK_TARGETS.map(target => ({ name: target.name, target })))("networks that were found on $name", async ({ name, target }) => {
  if (target.missing !== undefined) {
    notRunOn(name, target.missing);
    return;
  }
  const differences = await differencesOn(target, Object.values(FOUND));
  expect(Object.fromEntries(Object.keys(FOUND).map((found, i) => [found, differences[i]]))).toEqual(Object.fromEntries(Object.keys(FOUND).map(found => [found, null])));
  ranOn(name, Object.keys(FOUND).length);
}, 900_000);
