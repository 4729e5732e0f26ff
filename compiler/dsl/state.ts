// States, modules and groups of states. A module is a function with its parts; names follow the keys of exports and parts.
import { SluiceError } from "../base/diagnostics.ts";
import type { DType } from "../base/dtypes.ts";
import { nearestText } from "../base/names.ts";
import type { TensorType } from "../graph/graph.ts";
import { type DeclaredState, declarationOf, declare } from "./declared.ts";
import { type DimLike, f32, requireCount, type Spec } from "./dims.ts";
import { full } from "./functions.ts";
import { requireValue } from "./operands.ts";
import { random, type Random } from "./random.ts";
import type { Shape } from "./shapes.ts";
import { userSpan } from "./source.ts";
import type { State, Tensor } from "./tensor.ts";
import type { StateHandle } from "./trace.ts";
import { stateTensor } from "./value.ts";

/** Sizes that the initial value's scale depends on: how many inputs feed an output, and how many outputs an input. */
export interface Fan { readonly in: number; readonly out: number }
/** A number for all elements, a function of a random stream, or a usual distribution. "empty": no first value. */
export type Init = number | ((rng: Random, fan: Fan) => Tensor) | "zeros" | "ones" | "xavier" | "kaiming" | "empty";

/** Draws for initial values, keyed by the state's name: no state's value depends on another's. */
const initStream = random("init");

/** A named tensor that lives between calls; by default zeros. Its sizes are constant or bound at load. */
export function state<D extends DType, S extends Shape>(spec: Spec<D, S>, init: Init = "zeros", fan?: Fan): State<D, S> {
  const span = userSpan();
  const decls = spec.dims.flatMap((d: DimLike) => (typeof d === "number" ? [] : [...d.decls]));
  const call = decls.find(d => d.binding === "call");
  if (call) throw new SluiceError({ code: "STATE006", message: `a state's size depends on ${call.name}, which changes from call to call`, span, expected: "constant sizes, or dims bound at load", hint: `dim("${call.name}", { max: …, bind: "load" }), or a capacity and a length` });
  const type: TensorType = { dtype: spec.spec, shape: spec.dims.map(d => (typeof d === "number" ? d : d.value)), axes: spec.dims.map(d => (typeof d === "number" ? null : d.name)) };
  const handle: StateHandle = { name: null, type, decls };
  const tensor = stateTensor(handle);
  declare(Object.assign(handle, { dims: spec.dims, span, first: firstValue(spec, type, init, fan), tensor }), tensor);
  return tensor as unknown as State<D, S>;
}

function firstValue(spec: Spec, type: TensorType, init: Init, fan: Fan = fanOf(type)): (() => Tensor) | null {
  if (init === "empty") return null;
  if (typeof init === "number") {
    requireValue(init, spec.spec);
    return () => full(spec, init);
  }
  if (init === "zeros" || init === "ones") return () => full(spec, init === "ones" ? 1 : 0);
  if (typeof init === "function") return () => init(initStream, fan).cast(spec.spec);
  const bound = Math.sqrt(init === "xavier" ? 6 / (fan.in + fan.out) : 1 / fan.in);
  return () => initStream.uniform(f32(...spec.dims)).mul(2 * bound).sub(bound).cast(spec.spec);
}

const sizeOr1 = (t: TensorType, i: number) => (typeof t.shape[i] === "number" ? (t.shape[i] as number) : 1);
const fanOf = (t: TensorType): Fan => ({ in: Math.max(1, sizeOr1(t, 0)), out: Math.max(1, sizeOr1(t, t.shape.length - 1)) });

/** A set of states: a module, a state, a random stream, an optimizer, or any object or array of these. */
export type Group = object;

const partsOf = Symbol("parts");
interface HasParts { readonly [partsOf]: object }
const hasParts = (x: object): x is HasParts => partsOf in x;

/** Parts that own state, and a forward function. `m(x)` calls it, `m.part` reaches in; names follow the keys. */
export function module<P extends object, F extends (...x: any[]) => any>(parts: P, forward: F): F & P {
  const call = (...x: Parameters<F>): ReturnType<F> => forward(...x);
  for (const [key, part] of Object.entries(parts)) Object.defineProperty(call, key, { value: part, enumerable: true });
  Object.defineProperty(call, partsOf, { value: parts });
  return call as unknown as F & P;
}
/** n of them, each with its own states. */
export function times<M>(n: number, make: (i: number) => M): M[] {
  requireCount("times", "number", n, 0);
  return Array.from({ length: n }, (_, i) => make(i));
}

const frozenGroups = new WeakSet<object>();
/** The same module, which no optimizer touches. */
export function frozen<M extends Group>(m: M): M {
  frozenGroups.add(m);
  return m;
}

/** Every state of a group with its path within it, in the order of the keys. */
export function statesOf(group: unknown, path = "", seen: Set<unknown> = new Set(), trainable = false): { path: string; state: DeclaredState }[] {
  if ((typeof group !== "object" && typeof group !== "function") || group === null || seen.has(group)) return [];
  seen.add(group);
  if (trainable && frozenGroups.has(group)) return [];
  const own = declarationOf(group);
  if (own) return [{ path, state: own }];
  const parts = hasParts(group) ? group[partsOf] : group;
  if (!Array.isArray(parts) && Object.getPrototypeOf(parts) !== Object.prototype && !hasParts(group)) return [];
  return Object.entries(parts).flatMap(([key, part]) => statesOf(part, path === "" ? key : `${path}.${key}`, seen, trainable));
}

/** `*` any characters but dots, `**` any, `{a,b}` one of several. */
export function globMatcher(glob: string): (path: string) => boolean {
  const source = glob.replace(/[.+^$()|[\]\\]/g, "\\$&").replace(/\{([^}]*)\}/g, (_, list: string) => `(?:${list.split(",").join("|")})`)
    .replace(/\*\*?/g, stars => (stars === "**" ? ".*" : "[^.]*"));
  const pattern = new RegExp(`^${source}$`);
  return path => pattern.test(path);
}
/** A pattern that matches none of the names is a mistake, not a wish. Throws SluiceError GROUP001 at the user's line. */
export function requireMatch(word: string, glob: string, paths: readonly string[]): void {
  if (paths.some(globMatcher(glob))) return;
  throw new SluiceError({
    code: "GROUP001", message: `${word}: no state is called ${glob}`, span: userSpan(), found: glob, expected: nearestText(glob, paths), hint: "* stands for any characters but dots, ** for any",
  });
}
const filtered = (of: Group, keep: (path: string) => boolean): Group => Object.fromEntries(statesOf(of).filter(s => keep(s.path)).map(s => [s.path, s.state.tensor]));
/** The states of the group whose paths match. Throws SluiceError GROUP001 if none does. */
export function only(of: Group, glob: string): Group {
  requireMatch("only", glob, statesOf(of).map(s => s.path));
  return filtered(of, globMatcher(glob));
}
/** The states of the group whose paths do not match. Throws SluiceError GROUP001 if none does match. */
export function without(of: Group, glob: string): Group {
  requireMatch("without", glob, statesOf(of).map(s => s.path));
  const matches = globMatcher(glob);
  return filtered(of, path => !matches(path));
}
