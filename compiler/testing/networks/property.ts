// The property of targets: random networks, forward and trained, mean on a target what they mean in the reference interpreter.
import * as fc from "fast-check";
import { graphText } from "../../graph/text.ts";
import { type NetworkOptions, networks } from "../networks.ts";
import { type Network, networkText } from "./description.ts";
import { programOfNetworks } from "./program.ts";
import { differencesOn, type NetworkTarget } from "./run.ts";

export interface NetworkRunOptions extends NetworkOptions {
  /** How many to try: 100 by default. */
  readonly networks?: number;
  /** How many are compiled as one program: 25 by default. */
  readonly batch?: number;
  /** What a failure's message says, to see that failure again. */
  readonly seed?: number;
  readonly path?: string;
  /** The command or call that the message gives for it. */
  readonly replay?: (seed: number, path: string) => string;
  /** Told after each batch how many were tried. */
  readonly onProgress?: (tried: number) => void;
  /** Failures that are known already, by `kindOfFailure`: networks that fail so are passed over. */
  readonly known?: ReadonlySet<string>;
  /** A failure is made smaller for as long as this, in seconds: 120 by default. */
  readonly patience?: number;
}

/** The smallest network found that a target gets wrong. */
export class NetworkError extends Error {
  readonly network: Network;
  readonly seed: number;
  readonly path: string;
  /** What is wrong, in words without the numbers of the case. */
  readonly kind: string;

  constructor(message: string, network: Network, seed: number, path: string, kind: string) {
    super(message);
    this.name = "NetworkError";
    this.network = network;
    this.seed = seed;
    this.path = path;
    this.kind = kind;
  }
}

/** The failure without what differs from network to network: while one is made smaller it stays the same failure. */
export const kindOfFailure = (message: string): string => {
  const [first = ""] = message.replace(/^\w*Error: /, "").split("\n");
  return /\bshould be\b/.test(first) ? (first.startsWith("learn") ? "a difference in training" : "a difference") : first.replace(/`[^`]*`|"[^"]*"|\S*[\d_[\](){}]\S*/g, "#").slice(0, 90);
};

const programText = (network: Network): string => {
  try {
    const { forward, learn } = programOfNetworks([network]).traced[0]!;
    return [forward, ...(learn ? [learn] : [])].map(graphText).join("\n");
  } catch {
    return "it has no graph: tracing it fails";
  }
};

/** The networks of a seed, in order. */
function drawnNetworks(options: NetworkRunOptions, seed: number, numRuns: number): Network[] {
  const drawn: Network[] = [];
  fc.check(fc.property(networks(options), n => void drawn.push(n)), { seed, numRuns });
  return drawn;
}

/** One network of a seed, made smaller while it fails in the same way. */
async function smallest(target: NetworkTarget, options: NetworkRunOptions, seed: number, path: string): Promise<NetworkError | null> {
  let kind: string | undefined;
  const details = await fc.check(fc.asyncProperty(networks(options), async n => {
    const [difference] = await differencesOn(target, [n]);
    if (difference === null || difference === undefined) return;
    kind ??= kindOfFailure(difference);
    if (kindOfFailure(difference) === kind) throw new Error(difference);
  }), { seed, path, numRuns: 1, interruptAfterTimeLimit: 1000 * (options.patience ?? 120), markInterruptAsFailure: false });
  if (!details.failed || !details.counterexample) return null;
  const [network] = details.counterexample;
  const at = details.counterexamplePath ?? path;
  const again = options.replay?.(seed, at) ?? `runsAsReference(target, { seed: ${seed}, path: "${at}" })`;
  const { errorInstance: error } = details;
  return new NetworkError([
    error instanceof Error ? error.message : String(error), `the smallest network, after ${details.numShrinks} smaller ones were found:`, networkText(network), programText(network),
    `seed ${seed}, path ${at}; to see it again: ${again}`,
  ].join("\n"), network, seed, at, kind ?? "");
}

/**
 * Random networks run forward and trained on the target (`{ options: { target: "cpu" } }`), beside the reference interpreter.
 * Throws NetworkError for the smallest network that is refused, fails, or gives what rounding does not explain.
 */
export async function runsAsReference(target: NetworkTarget, options: NetworkRunOptions = {}): Promise<{ readonly networks: number }> {
  const { networks: count = 100, batch = 25, path, known = new Set(), onProgress = () => {} } = options;
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  if (path !== undefined) {
    const found = await smallest(target, options, seed, path);
    if (found) throw found;
    return { networks: 1 };
  }
  const drawn = drawnNetworks(options, seed, count);
  for (let from = 0; from < drawn.length; from += batch) {
    const differences = await differencesOn(target, drawn.slice(from, from + batch));
    const at = differences.findIndex(d => d !== null && !known.has(kindOfFailure(d)));
    if (at >= 0) {
      const found = await smallest(target, options, seed, String(from + at));
      throw found ?? new NetworkError(`among others it fails, and alone it does not: ${differences[at]}\n${networkText(drawn[from + at]!)}\nseed ${seed}, path ${from + at}`, drawn[from + at]!, seed, String(from + at), "fails among others only");
    }
    onProgress(Math.min(drawn.length, from + batch));
  }
  return { networks: drawn.length };
}
