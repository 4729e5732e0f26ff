// What objects of the user stand for a state: tensors that `state` made, and random streams, whose state is their key.
import type { Span } from "../base/span.ts";
import type { DimLike } from "./dims.ts";
import type { State, Tensor } from "./tensor.ts";
import type { StateHandle } from "./trace.ts";

export interface DeclaredState extends StateHandle {
  /** Its sizes as the user gave them. */
  readonly dims: readonly DimLike[];
  readonly span: Span | null;
  /** Traced where the state lives; null: it must be loaded or written first. */
  readonly first: (() => Tensor) | null;
  /** Of the key of a random stream: what its draws are numbered under. */
  readonly stream?: string;
  /** The tensor object that stands for it. */
  readonly tensor: State;
}

const declared = new WeakMap<object, DeclaredState>();
/** The objects stand for the state from now on. */
export function declare(state: DeclaredState, ...objects: readonly object[]): void {
  for (const x of objects) declared.set(x, state);
}
export const declarationOf = (x: unknown): DeclaredState | undefined => (typeof x === "object" && x !== null ? declared.get(x) : undefined);
