// The transforms that are tested on random graphs, by the suite and by the fuzzer.
import { PIPELINE } from "../../compiler/pipeline.ts";
import { RULES as MOVEMENT } from "../../compiler/transforms/movement.ts";
import type { Rule } from "../../compiler/transforms/rewrite.ts";
import { RULES as SIMPLIFY } from "../../compiler/transforms/simplify.ts";
import type { Transform } from "../../compiler/transforms/transform.ts";

export const RULES: readonly Rule[] = [...SIMPLIFY, ...MOVEMENT];

/** Every pass of the compiler, composites inlined. */
export const OWN_TRANSFORMS: readonly Transform[] = PIPELINE.filter(p => p.compiled).map(p => p.transform(() => false));
