// What the words of the DSL work on: values, and how numbers, dims and tensors become operands of one shape and dtype.
import { SluiceError } from "../base/diagnostics.ts";
import { type DType, DTYPES, isFloat } from "../base/dtypes.ts";
import { sameSize, type Size } from "../base/sizes.ts";
import type { Span } from "../base/span.ts";
import { allAxes } from "../graph/build.ts";
import type { NodeId, TensorType } from "../graph/graph.ts";
import type { ScalarExpr } from "../plan/procedure.ts";
import { Dim, type Num } from "./dims.ts";
import { userSpan } from "./source.ts";
import { axisText, build, shapeText, type StateHandle, trace, type Trace, tracing } from "./trace.ts";

/** What a tensor stands for: a node of a trace, a state's current value, or a value that a procedure holds. */
export type Source =
  | { readonly kind: "node"; readonly trace: Trace; readonly id: NodeId }
  | { readonly kind: "state"; readonly handle: StateHandle }
  | { readonly kind: "host"; readonly expr: ScalarExpr; readonly type: TensorType }
  | MadeWhereUsed;

/** A constant made outside of any entry: each graph that uses it gets a node of its own. */
export interface MadeWhereUsed {
  readonly kind: "constant";
  /** By the sizes of the trace under way, if there is one. */
  readonly type: () => TensorType;
  readonly make: () => NodeId;
  /** Its one number, for procedures; null if it has several or its sizes are not known. */
  readonly number: number | null;
}

/** What every tensor object carries behind the Tensor interface. */
export interface HasSource {
  readonly source: Source;
}
export type Operand = Num | boolean | HasSource;

export const hasSource = (x: unknown): x is HasSource => typeof x === "object" && x !== null && "source" in x;

export function typeOfSource(s: Source): TensorType {
  switch (s.kind) {
    case "node": return s.trace.b.type(s.id);
    case "state": return s.handle.type;
    case "host": return s.type;
    case "constant": return s.type();
  }
}

/** The node of a value in the trace under way. */
export function nodeOf(x: HasSource): NodeId {
  if (!hasSource(x)) throw new SluiceError({ code: "TRACE004", message: "this is not a tensor", span: userSpan(), found: typeof x, expected: "a tensor" });
  const { source } = x;
  const t = trace();
  switch (source.kind) {
    case "node": return t.capture(source.trace, source.id);
    case "state": return t.readState(source.handle);
    case "constant": {
      const made = t.constants.get(source) ?? source.make();
      t.constants.set(source, made);
      return made;
    }
    case "host": throw new SluiceError({ code: "TRACE003", message: "a procedure's value is used inside an entry", span: userSpan(), hint: "give the entry an input and pass the value in the call" });
  }
}

/** Whether a word is applied to what a procedure holds. */
export const isHost = (x: unknown): boolean => hasSource(x) && x.source.kind === "host" && !tracing();

/** Conditions of the procedure under way that nothing has read yet, and where they stand. */
export const unreadConditions = new Map<ScalarExpr, Span | null>();

export function hostExpr(x: Operand): ScalarExpr {
  if (typeof x === "number") return { kind: "const", value: x };
  if (typeof x === "boolean") return { kind: "const", value: x ? 1 : 0 };
  if (x instanceof Dim && typeof x.value === "number") return { kind: "const", value: x.value };
  if (hasSource(x) && x.source.kind === "host") {
    unreadConditions.delete(x.source.expr);
    return x.source.expr;
  }
  if (hasSource(x) && x.source.kind === "constant" && x.source.number !== null) return { kind: "const", value: x.source.number };
  throw new SluiceError({ code: "PROC001", message: "only numbers and scalars that the procedure holds can be used here", span: userSpan(), hint: "compute with tensors inside an entry and return a scalar" });
}

/** A number that the dtype holds; of integers also the same bits with the other sign. Throws SluiceError DTYPE001. */
export function requireValue(x: number, dtype: DType, hint?: string): void {
  if (isFloat(dtype)) return;
  const { bits } = DTYPES[dtype];
  const fits = dtype === "bool" ? x === 0 || x === 1 : Number.isInteger(x) && x >= -(2 ** (bits - 1)) && x < 2 ** bits;
  if (fits) return;
  throw new SluiceError({ code: "DTYPE001", message: Number.isInteger(x) ? `${x} is no value of ${dtype}` : `${x} is not a whole number`, span: userSpan(), found: String(x), expected: `a value of ${dtype}`, ...(hint === undefined ? {} : { hint }) });
}

/** An operand as a node: numbers and dims in the given dtype. */
export function operandNode(x: Operand, dtype: DType): NodeId {
  const g = build();
  if (typeof x === "number" || typeof x === "boolean") {
    if (typeof x === "number") requireValue(x, dtype, "cast the tensor to a float dtype first");
    return g.scalar(Number(x), dtype);
  }
  if (x instanceof Dim) return g.size(trace().sizeOf(x), dtype);
  if (hasSource(x)) return nodeOf(x);
  throw new SluiceError({ code: "TRACE004", message: "this is not a tensor", span: userSpan(), found: typeof x, expected: "a number, a dim or a tensor" });
}

/** NumPy's rule, from the right; where sizes differ and neither is 1, SluiceError SHAPE002 with both shapes and the sizes that disagree. */
export function broadcastShapes(op: string, types: readonly TensorType[]): Pick<TensorType, "shape" | "axes"> {
  const rank = Math.max(...types.map(t => t.shape.length));
  const shape: Size[] = new Array<Size>(rank).fill(1);
  const axes = new Array<string | null>(rank).fill(null);
  for (const t of types) {
    const offset = rank - t.shape.length;
    t.shape.forEach((size, i) => {
      const at = offset + i;
      const seen = shape[at]!;
      if (seen === 1 && size !== 1) {
        shape[at] = size;
        axes[at] = t.axes[i]!;
      } else if (size !== 1 && !sameSize(seen, size)) {
        throw new SluiceError({
          code: "SHAPE002", message: `${op}: shapes ${types.map(shapeText).join(" and ")} do not broadcast`, span: userSpan(),
          found: `${axisText(seen, axes[at]!)} against ${axisText(size, t.axes[i]!)} at the ${fromTheRight(rank - at)}`,
          expected: "equal sizes, or 1, counting axes from the right", hint: reduceHint(types) ?? "a size of 1 repeats: unsqueeze makes one; rearrange and reshape move what is there",
        });
      } else if (sameSize(seen, size)) axes[at] ??= t.axes[i]!;
    });
  }
  return { shape, axes };
}

const fromTheRight = (n: number): string => (n === 1 ? "last axis" : n === 2 ? "last axis but one" : `axis ${n} from the right`);

function reduceHint(types: readonly TensorType[]): string | undefined {
  const [a, b] = types;
  const shorter = a && b && (a.shape.length < b.shape.length ? a : b);
  const longer = shorter === a ? b : a;
  if (!shorter || !longer || shorter.shape.length + 1 !== longer.shape.length) return undefined;
  return "if one of them was reduced from the other, keep the axis: sum(axis, { keepdims: true })";
}

/** Operands as nodes of one shape and one dtype: that of the first tensor among them. */
export function joined(op: string, operands: readonly Operand[]): NodeId[] {
  const first = operands.find(hasSource);
  const dtype = first ? typeOfSource(first.source).dtype : "f32";
  const ids = operands.map(x => operandNode(x, dtype));
  const g = build();
  const types = ids.map(id => g.type(id));
  for (const t of types) {
    if (t.dtype !== dtype) {
      throw new SluiceError({ code: "DTYPE002", message: `${op}: dtypes ${dtype} and ${t.dtype} are mixed`, span: userSpan(), found: types.map(x => `${x.dtype}${shapeText(x)}`).join(" and "), expected: "one dtype", hint: `convert one of them: x.cast("${dtype}")` });
    }
  }
  const to = broadcastShapes(op, types);
  return ids.map((id, i) => g.broadcastTo(id, to, allAxes(types[i]!.shape.length).map(a => a + to.shape.length - types[i]!.shape.length)));
}

/** An axis by name or number, as its position. */
export function axisOf(op: string, t: TensorType, axis: string | number): number {
  const isName = typeof axis === "string" && !/^-?\d+$/.test(axis);
  const at = isName ? t.axes.indexOf(axis) : Number(axis) < 0 ? Number(axis) + t.shape.length : Number(axis);
  if (!Number.isInteger(at) || at < 0 || at >= t.shape.length) {
    throw new SluiceError({ code: "AXIS001", message: `${op}: there is no axis ${axis}`, span: userSpan(), found: shapeText(t), expected: `one of ${t.axes.map((n, i) => n ?? String(i)).join(", ") || "no axis: it is a scalar"}` });
  }
  if (isName && t.axes.lastIndexOf(axis) !== at) {
    throw new SluiceError({ code: "AXIS002", message: `${op}: two axes are called ${axis}`, span: userSpan(), found: shapeText(t), expected: "a name that stands once", hint: "give the axis by number" });
  }
  return at;
}
export const axesOf = (op: string, t: TensorType, axes: string | number | readonly (string | number)[] | undefined): number[] =>
  axes === undefined ? allAxes(t.shape.length) : (Array.isArray(axes) ? axes : [axes]).map(a => axisOf(op, t, a as string | number)).sort((a, b) => a - b);
