// What kernels may use of a device beyond what every one has, each with another way to the same numbers where it lacks it.
// Which modules of a kernel are worth making follows from what the first of them used.
import type { Expr, Kernel, Stmt } from "../../kernel/ir.ts";
import { mapExpressions, operandsOf } from "../../kernel/share.ts";
import { Uniformity } from "../../kernel/uniformity.ts";

/** subgroups: of 32 threads that exchange values in registers. dot8: sums of four products of bytes. atomicAddF32: an
 *  addition to a float in memory. */
export type Feature = "subgroups" | "dot8" | "atomicAddF32";
export const FEATURES: readonly Feature[] = ["subgroups", "dot8", "atomicAddF32"];

/** The extension by which subgroups hold matrices: what drivers have today, and what NVIDIA's had before. */
export type Matrices = "khr" | "nv";

/** What a kernel may use, and what it did. */
export class Features {
  readonly used = new Set<Feature>();
  readonly #allowed: ReadonlySet<Feature>;

  constructor(allowed: Iterable<Feature>) {
    this.#allowed = new Set(allowed);
  }
  use(feature: Feature): boolean {
    if (this.#allowed.has(feature)) this.used.add(feature);
    return this.#allowed.has(feature);
  }
}

/** All subsets, those of most features first. */
export function subsets<T>(of: readonly T[]): T[][] {
  const all: T[][] = [[]];
  for (const item of of) all.push(...all.map(s => [...s, item]));
  return all.sort((a, b) => b.length - a.length);
}

/** never: a kernel does nothing by subgroups. together: all threads of its workgroup come to whatever it does so, which can
 *  go through shared memory. apart: subgroups come there without the others. fragments: they hold matrices. */
const SUBGROUP_USES = ["never", "together", "apart", "fragments"] as const;
export type SubgroupUse = (typeof SUBGROUP_USES)[number];

export function subgroupUse(kernel: Kernel): SubgroupUse {
  if (kernel.machine === "simd") return "never";
  const uniformity = new Uniformity(kernel);
  let use: SubgroupUse = "never";
  const atLeast = (other: SubgroupUse): void => {
    if (SUBGROUP_USES.indexOf(other) > SUBGROUP_USES.indexOf(use)) use = other;
  };
  const found = (divergence: number): void => atLeast(divergence === 0 ? "together" : "apart");
  const inExpression = (e: Expr, divergence: number): void => {
    if (e.kind === "subgroup_xor" || e.kind === "subgroup_reduce") found(divergence);
    for (const x of operandsOf(e)) inExpression(x, divergence);
  };
  const inBlock = (block: readonly Stmt[], divergence: number): void => {
    for (const s of block) {
      mapExpressions(s, e => {
        inExpression(e, divergence);
        return e;
      });
      switch (s.kind) {
        case "for": inBlock(s.body, Math.max(divergence, uniformity.ofSize(s.from), uniformity.ofSize(s.to))); break;
        case "while": {
          const inside = Math.max(divergence, uniformity.of(s.condition));
          inExpression(s.condition, inside);
          inBlock(s.body, inside);
          break;
        }
        case "if": {
          const inside = Math.max(divergence, uniformity.of(s.condition));
          inBlock(s.yes, inside);
          inBlock(s.no, inside);
          break;
        }
        case "fragment": atLeast("fragments"); break;
        case "barrier": if (s.scope === "subgroup") found(divergence); break;
        default: break;
      }
    }
  };
  inBlock(kernel.body, 0);
  return use;
}
