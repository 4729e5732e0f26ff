// THE op table: one row for each op, joined from the families' files in `ops/`: family, arity, type rule, reference
// evaluation, gradient and cost. Everything that has to know an op asks here; a new op is one row and one generator.
import { SluiceError } from "../base/diagnostics.ts";
import type { Span } from "../base/span.ts";
import type { OpAttrs, OpName, ValueType } from "./graph.ts";
import { contraction } from "./ops/contraction.ts";
import { control } from "./ops/control.ts";
import { type OpDefinition, type OpRows, TypeRuleError } from "./ops/definition.ts";
import { conversions, elementwise, type Ungraded } from "./ops/elementwise.ts";
import { GRADIENTS } from "./ops/gradients/index.ts";
import { indexing } from "./ops/indexing.ts";
import { movement } from "./ops/movement.ts";
import { reduction } from "./ops/reduction.ts";

const rows: Ungraded<OpRows<OpName>> = { ...elementwise, ...conversions, ...movement, ...reduction, ...contraction, ...indexing, ...control };

export const OP_NAMES = Object.keys(rows) as OpName[];
export const isOpName = (name: string): name is OpName => Object.hasOwn(rows, name);

/** The row of an op. */
export function opDefinition<O extends OpName>(op: O): OpDefinition<O> {
  return { ...(rows[op] as Omit<OpDefinition<O>, "gradient">), gradient: GRADIENTS[op] as OpDefinition<O>["gradient"] };
}

/** The type of a node, or SluiceError SHAPE001 at the span: what was found, what was expected, and what to do. */
export function inferType<O extends OpName>(op: O, inputs: readonly ValueType[], attrs: OpAttrs[O], span: Span | null): ValueType {
  const row = rows[op] as Omit<OpDefinition<O>, "gradient">;
  try {
    const [least, most] = row.arity;
    if (inputs.length < least || inputs.length > most) {
      throw new TypeRuleError(`${inputs.length} inputs are given`, String(inputs.length), least === most ? String(least) : `${least} to ${most}`);
    }
    return row.infer(inputs, attrs);
  } catch (e) {
    if (!(e instanceof TypeRuleError)) throw e;
    throw new SluiceError({ code: "SHAPE001", message: `${op}: ${e.message}`, span, found: e.found, expected: e.expected, ...(e.hint ? { hint: e.hint } : {}) });
  }
}
