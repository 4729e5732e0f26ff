// Procedures after tracing: structured host control as plain data, so that an executable runs them with no TypeScript.
// Values are scalars (f64 arithmetic, i32 where the dtype says so), text, tensor handles and growing lists, in numbered slots.
import type { DType } from "../base/dtypes.ts";
import type { Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";

export type Slot = number;

export type ScalarBinary = "add" | "sub" | "mul" | "div" | "mod" | "pow" | "max" | "min" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and" | "or";
export type ScalarUnary = "neg" | "abs" | "not" | "floor" | "sqrt" | "exp" | "log" | "to_i32" | "to_f32";

/** Reads a slot, a constant, or computes from others. */
export type ScalarExpr =
  | { readonly kind: "const"; readonly value: number }
  | { readonly kind: "slot"; readonly slot: Slot }
  | { readonly kind: "unary"; readonly op: ScalarUnary; readonly x: ScalarExpr }
  | { readonly kind: "binary"; readonly op: ScalarBinary; readonly a: ScalarExpr; readonly b: ScalarExpr }
  | { readonly kind: "select"; readonly condition: ScalarExpr; readonly yes: ScalarExpr; readonly no: ScalarExpr }
  | { readonly kind: "list_length"; readonly list: Slot }
  | { readonly kind: "list_at"; readonly list: Slot; readonly index: ScalarExpr }
  | { readonly kind: "list_find"; readonly list: Slot; readonly value: ScalarExpr }
  /** Size of an axis of a tensor handle. */
  | { readonly kind: "tensor_size"; readonly tensor: Slot; readonly axis: number }
  | { readonly kind: "seconds" };

/** A path or text: parts joined. */
export type TextExpr = readonly (string | { readonly slot: Slot } | { readonly number: ScalarExpr })[];

/** Spans are for traces. */
export type ProcedureStep =
  | { readonly kind: "set"; readonly slot: Slot; readonly value: ScalarExpr }
  /** Inputs are tensor slots or scalars; `sizes` binds call dims that no input binds; outputs land in slots. */
  | { readonly kind: "call"; readonly entry: string; readonly inputs: readonly ({ readonly name: string } & ({ readonly tensor: Slot } | { readonly scalar: ScalarExpr }))[];
      readonly sizes: readonly { readonly dim: string; readonly value: ScalarExpr }[]; readonly outputs: readonly { readonly name: string; readonly slot: Slot }[]; readonly span?: Span | null }
  | { readonly kind: "repeat"; readonly count: ScalarExpr; readonly index: Slot; readonly body: readonly ProcedureStep[] }
  | { readonly kind: "while"; readonly condition: ScalarExpr; readonly body: readonly ProcedureStep[] }
  | { readonly kind: "if"; readonly condition: ScalarExpr; readonly yes: readonly ProcedureStep[]; readonly no: readonly ProcedureStep[] }
  | { readonly kind: "log"; readonly values: readonly { readonly name: string; readonly value: ScalarExpr }[] }
  | { readonly kind: "emit"; readonly name: string; readonly value: { readonly text: TextExpr } | { readonly tensor: Slot } | { readonly scalar: ScalarExpr } }
  /** A tensor to a .png, .npy or .safetensors file, by the path's extension. */
  | { readonly kind: "write"; readonly path: TextExpr; readonly tensor: Slot; readonly span?: Span | null }
  | { readonly kind: "save" | "load"; readonly path: TextExpr; readonly states: readonly { readonly name: string; readonly state: string }[]; readonly span?: Span | null }
  /** Tensors by name from .safetensors or .npy. */
  | { readonly kind: "read"; readonly path: TextExpr; readonly tensors: readonly { readonly name: string; readonly dtype: DType; readonly shape: readonly Size[]; readonly slot: Slot }[]; readonly span?: Span | null }
  /** Pixels [H, W, 3] as u8, sRGB, or as f32 in 0…1. */
  | { readonly kind: "pixels"; readonly picture: Slot; readonly dtype: "u8" | "f32"; readonly resize?: readonly [number, number]; readonly slot: Slot; readonly span?: Span | null }
  | { readonly kind: "list_new"; readonly list: Slot; readonly dtype: DType }
  | { readonly kind: "list_push"; readonly list: Slot; readonly value: { readonly scalar: ScalarExpr } | { readonly tensor: Slot; readonly count?: ScalarExpr } }
  | { readonly kind: "list_clear"; readonly list: Slot }
  | { readonly kind: "list_range"; readonly list: Slot; readonly start: ScalarExpr; readonly length: ScalarExpr; readonly slot: Slot };

export interface ProcedureArg {
  readonly name: string;
  readonly kind: "int" | "real" | "flag" | "text" | "file" | "picture";
  readonly help: string;
  /** Without one the argument is required (flags default to 0). */
  readonly init?: number | string;
  /** The least and the greatest value of an int or a real; see `numberBounds`. */
  readonly min?: number;
  readonly max?: number;
  readonly slot: Slot;
}

const LARGEST_F32 = 3.4028234663852886e38;

/** What numbers an int or a real may be, both ends included: those of i32 and the finite ones of f32 where it does not say. */
export const numberBounds = ({ kind, min, max }: Pick<ProcedureArg, "kind" | "min" | "max">): { readonly min: number; readonly max: number } =>
  (kind === "int" ? { min: min ?? -(2 ** 31), max: max ?? 2 ** 31 - 1 } : { min: min ?? -LARGEST_F32, max: max ?? LARGEST_F32 });

export interface Procedure {
  readonly name: string;
  readonly args: readonly ProcedureArg[];
  readonly slots: number;
  readonly body: readonly ProcedureStep[];
}
