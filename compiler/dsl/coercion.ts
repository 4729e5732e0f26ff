// What a tensor says of itself where JavaScript wants a number or a text, and where it is shown.
import { SluiceError } from "../base/diagnostics.ts";
import { spanText } from "../base/span.ts";
import { type Source, typeOfSource } from "./operands.ts";
import { userSpan } from "./source.ts";
import { shapeText } from "./trace.ts";

/** `f32[B, 784] by matmul at net.ts:12:20`, `state w: f32[784]`. */
export function describe(s: Source): string {
  const type = typeOfSource(s);
  const text = `${type.dtype}${shapeText(type)}`;
  switch (s.kind) {
    case "node": {
      const { op, span } = s.trace.b.nodes[s.id]!;
      return `tensor ${text}${op === "input" ? ", an input" : ` by ${op}`}${span ? ` at ${spanText(span)}` : ""}`;
    }
    case "state": return `state ${s.handle.name ?? "without a name yet"}: ${text}`;
    case "host": return `${type.shape.length === 0 ? "scalar" : "tensor"} ${text} of a procedure`;
    case "constant": return `constant ${text}`;
  }
}

/** A tensor has no value while a program is traced, so that nothing can be made of it then. */
export function coercionError(s: Source, isText: boolean): SluiceError {
  return new SluiceError({
    code: "TRACE009", message: `a tensor is used as ${isText ? "text" : "a number of JavaScript"}`, span: userSpan(),
    found: `${describe(s)}, which has no value while the program is traced`,
    expected: isText ? "text that is known when the program is traced" : "words for tensors: add, mul, gt, eq, …",
    hint: isText ? "x.print(label) prints it when the program runs; its dtype and shape are x.dtype and x.shape"
      : "compare by x.gt(y), then choose by condition.where(yes, no), or in a procedure by when(condition, yes, no)",
  });
}
