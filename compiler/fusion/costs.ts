// What ops cost in a kernel, and how much of it one kernel may have.
import type { OpName } from "../graph/graph.ts";

const COSTLY: ReadonlySet<OpName> = new Set(["exp", "log", "sin", "cos", "tanh", "erf", "pow", "atan2"]);
const FREE: ReadonlySet<OpName> = new Set(["broadcast", "reshape", "transpose", "slice", "flip", "cast", "bitcast", "const", "iota", "size", "stop_gradient", "tag", "print", "assert", "item"]);

/** Operations along the longest path of one element: above CHEAP a value is not computed by two kernels, above TRIVIAL not
 *  for each of many elements, and above LONGEST it is never fused. */
export const TRIVIAL = 3;
export const CHEAP = 12;
export const LONGEST = 160;
/** Expressions of one kernel's element: C compilers take more than twice the time for twice the code. */
export const MOST_EXPRESSIONS = 1024;
/** Expressions of what an anchor reads, which it writes down several times; and of what it computes for each of many elements. */
export const MOST_READ = 256;
export const MOST_REPEATED = 32;
export const MOST_ROOTS = 24;
/** Ops whose operands may be read lane by lane. */
export const LEAVES_VECTORS: ReadonlySet<OpName> = new Set(["transpose", "reshape", "flip", "concat", "pad", "gather"]);
/** Products to an element of a convolution up to which making it again is cheaper than a trip through memory. */
export const CHEAP_CONVOLUTION = 64;

export function ownWeight(op: OpName): number {
  if (FREE.has(op)) return 0;
  if (COSTLY.has(op)) return 10;
  if (op === "random") return 60;
  return op === "div" || op === "sqrt" || op === "rsqrt" || op === "mod" ? 4 : 1;
}
