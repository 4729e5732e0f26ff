// Random networks, forward and trained, on every compiled target and level, against the reference interpreter; for WebAssembly
// kernels for every machine are made and checked besides. `npm run fuzz -- --networks` goes on with more.
import { test } from "vitest";
import { runsAsReference } from "../../compiler/testing/index.ts";
import { notRunOn, ranOn } from "../support/conformance.ts";
import { NETWORK_TARGETS } from "../support/network-targets.ts";

const SEED = 20261129;

test.each(NETWORK_TARGETS.map(target => ({ name: target.name, target })))("random networks on $name", async ({ name, target }) => {
  if (target.missing !== undefined) {
    notRunOn(name, target.missing);
    return;
  }
  const replay = (seed: number, path: string): string => `npm run fuzz -- --networks --target ${name} --seed ${seed} --path ${path}`;
  const { networks } = await runsAsReference(target, { networks: name === "wasm" ? 300 : 50, seed: SEED, replay });
  ranOn(name, networks);
}, 900_000);
