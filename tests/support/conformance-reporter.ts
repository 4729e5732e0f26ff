// Prints at the end of a run how many graphs and programs of the conformance suite ran on each target, and how many of those
// belong to tests that passed.
import type { Reporter, TestModule } from "vitest/node";
import type {} from "./conformance.ts";

export interface Tally {
  ran: number;
  passed: number;
}
/** What `tallyText` says, read again. */
export const readTallies = (text: string): ({ readonly target: string } & Tally)[] =>
  [...text.matchAll(/^conformance on (.+): (\d+) of (\d+) graphs/gm)].map(([, target, passed, ran]) => ({ target: target!, passed: Number(passed), ran: Number(ran) }));
export const tallyText = (target: string, { ran, passed }: Tally): string => `conformance on ${target}: ${passed} of ${ran} graphs and programs passed`;

export function tallies(modules: readonly TestModule[]): Map<string, Tally> {
  const all = new Map<string, Tally>();
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const hasPassed = test.result().state === "passed";
      for (const [target, count] of Object.entries(test.meta().ranOn ?? {})) {
        const tally = all.get(target) ?? { ran: 0, passed: 0 };
        tally.ran += count;
        if (hasPassed) tally.passed += count;
        all.set(target, tally);
      }
    }
  }
  return all;
}

export default class ConformanceReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const [target, tally] of tallies(modules)) process.stdout.write(`${tallyText(target, tally)}\n`);
    const missing = new Map(modules.flatMap(m => [...m.children.allTests()].flatMap(t => Object.entries(t.meta().notRunOn ?? {}))));
    for (const [target, why] of missing) process.stdout.write(`conformance on ${target}: not run: ${why}\n`);
  }
}
