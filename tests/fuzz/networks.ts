// `npm run fuzz -- --networks`: random networks on the targets of the conformance suite, as many as asked. Each kind of failure is
// shown once, as its smallest network, and the rest goes on.
import { NetworkError, runsAsReference } from "../../compiler/testing/index.ts";
import { NETWORK_TARGETS, type NetworkTargetRow } from "../support/network-targets.ts";

export interface NetworkFuzz {
  /** How many networks a target is tried with; undefined: as many as come in `minutes`. */
  readonly count: number | undefined;
  readonly minutes: number;
  readonly target: string | undefined;
  readonly seed: number | undefined;
  readonly path: string | undefined;
}
const ROUND = 25;

/** Tries one target; how many kinds of failures were found. */
async function tried(target: NetworkTargetRow, { count = Infinity, minutes, path, seed = Math.floor(Math.random() * 2 ** 31) }: NetworkFuzz): Promise<number> {
  const replay = (s: number, at: string): string => `npm run fuzz -- --networks --target ${target.name} --seed ${s} --path ${at}`;
  const known = new Set<string>();
  const start = performance.now();
  let [said, networks] = [start, 0];
  console.log(`networks on ${target.name}, seed ${seed}, ${count === Infinity ? `${minutes} min` : `${count} networks`}`);
  for (let round = 0; networks < count && (count < Infinity || performance.now() - start < minutes * 60_000); round++) {
    const size = Math.min(ROUND, count - networks);
    try {
      await runsAsReference(target, { networks: size, seed: seed + round, replay, known, ...(path === undefined ? {} : { path }) });
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      known.add(error.kind);
      console.error(error.message);
      // What else the round holds is tried again, without what is known.
      if (path === undefined) {
        round--;
        continue;
      }
    }
    if (path !== undefined) break;
    networks += size;
    if (performance.now() - said > 10_000) {
      said = performance.now();
      console.log(`${target.name}: ${networks} networks, ${known.size} kinds of failures, ${Math.round((said - start) / 1000)} s`);
    }
  }
  console.log(`${target.name}: ${path === undefined ? `${networks} networks` : "one network"}, ${known.size === 0 ? "nothing found" : `${known.size} kinds of failures`}`);
  return known.size;
}

/** Whether nothing was found. */
export async function fuzzNetworks(options: NetworkFuzz): Promise<boolean> {
  const targets = NETWORK_TARGETS.filter(t => options.target === undefined || t.name === options.target);
  if (targets.length === 0) {
    console.error(`there is no target ${options.target} for networks; there are ${NETWORK_TARGETS.map(t => t.name).join(", ")}`);
    return false;
  }
  let found = 0;
  for (const target of targets) {
    if (target.missing !== undefined) console.log(`${target.name}: not run: ${target.missing}`);
    else found += await tried(target, options);
  }
  return found === 0;
}
