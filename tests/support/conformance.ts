// What ran where in the conformance suite: a test says on which targets it ran a graph or a program, and the reporter of the same
// name counts those of the tests that passed.
import { TestRunner } from "vitest";
import type { OpenOptions } from "../../compiler/open.ts";
import type { TargetRow } from "./targets.ts";

declare module "vitest" {
  interface TaskMeta {
    /** By target, how many graphs and programs this test ran there. */
    ranOn?: { [target: string]: number };
    /** By target, why it did not run there. */
    notRunOn?: { [target: string]: string };
  }
}

/** The test that runs ran so many graphs or programs on the target. */
export function ranOn(target: string, count = 1): void {
  const test = TestRunner.getCurrentTest();
  if (!test) throw new Error(`nothing that runs on ${target} is counted outside a test`);
  const { meta } = test;
  meta.ranOn ??= {};
  meta.ranOn[target] = (meta.ranOn[target] ?? 0) + count;
}

/** The test that runs would run on the target, which is not here. */
export function notRunOn(target: string, why: string): void {
  const test = TestRunner.getCurrentTest();
  if (!test) throw new Error(`nothing that is not run on ${target} is noted outside a test`);
  const { meta } = test;
  meta.notRunOn = { ...meta.notRunOn, [target]: why };
}

/** The options to open one on the target, which is counted. */
export function countedOn({ name, options }: TargetRow): OpenOptions {
  ranOn(name);
  return options;
}
