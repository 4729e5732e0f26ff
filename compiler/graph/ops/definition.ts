// What a row of the op table holds. The rows stand in this folder by family; `../ops.ts` joins them into the table.
import type { Size } from "../../base/sizes.ts";
import type { GraphBuilder } from "../builder.ts";
import type { NodeId, NodeOf, OpAttrs, OpName, TensorType, ValueType } from "../graph.ts";
import type { Field, NdArray } from "../field.ts";

/** Thrown by type rules; the builder and the verifier add the span and make it a SluiceError. */
export class TypeRuleError extends Error {
  readonly found: string;
  readonly expected: string;
  readonly hint: string | undefined;

  constructor(message: string, found: string, expected: string, hint?: string) {
    super(message);
    this.found = found;
    this.expected = expected;
    this.hint = hint;
  }
}

export interface EvaluateContext {
  readonly field: Field;
  /** A size with the call's dims bound. */
  size(s: Size): number;
  /** Runs a body (loop, composite) on values. */
  run(body: import("../graph.ts").Graph, inputs: readonly NdArray[]): NdArray[];
  /** Called by print and assert. */
  effect(kind: "print" | "assert", text: string, value: NdArray, node: NodeOf<OpName>): void;
}

/** Appends the gradient's nodes to `b`; the primal nodes stand in the same builder. */
export interface GradientContext {
  readonly b: GraphBuilder;
  readonly node: NodeOf<OpName>;
  /** The node itself in `b`. */
  readonly id: NodeId;
  /** The gradient of each result; null where nothing depends on it. One entry unless the node is a tuple. */
  readonly outputs: readonly (NodeId | null)[];
}

export interface OpDefinition<O extends OpName> {
  readonly family: string;
  /** How many inputs, least and most. */
  readonly arity: readonly [number, number];
  infer(inputs: readonly ValueType[], attrs: OpAttrs[O]): ValueType;
  /** In any number field. Results are fresh arrays. */
  evaluate(node: NodeOf<O>, inputs: readonly NdArray[], context: EvaluateContext): NdArray | readonly NdArray[];
  /** The gradient of each input, null for none. "none": the op passes no gradient. */
  readonly gradient: "none" | ((node: NodeOf<O>, context: GradientContext) => readonly (NodeId | null)[]);
  /** Arithmetic operations. */
  flops(node: NodeOf<O>, inputs: readonly TensorType[]): Size;
}

/** A family's rows, by name. */
export type OpRows<O extends OpName> = { readonly [K in O]: OpDefinition<K> };
