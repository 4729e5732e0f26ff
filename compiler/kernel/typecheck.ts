// Invariant 2 of the verifier: every expression is made of operands of the types its operation takes.
import { sameType, typeText } from "./expr.ts";
import { type Buffer, type Expr, REGISTER_TYPE, typeOf, type ValueType } from "./ir.ts";
import { canBitcast, hasBinary, hasUnary, isFloatScalar } from "./scalar.ts";

export type Refuse = (message: string) => never;

/** The type of the expression; its operands' types are taken as checked. */
export function checkType(e: Expr, bufferOf: (name: string) => Buffer, refuse: Refuse): ValueType {
  const need = (condition: boolean, ...types: readonly ValueType[]): void => {
    if (!condition) refuse(`${e.kind}${"op" in e ? ` ${e.op}` : ""} of ${types.map(typeText).join(", ")}`);
  };
  const same = (...es: readonly Expr[]): ValueType => {
    const types = es.map(typeOf);
    need(types.every(t => sameType(t, types[0]!)), ...types);
    return types[0]!;
  };
  switch (e.kind) {
    case "const": case "size": case "var": break;
    case "unary": need(hasUnary(e.op, typeOf(e.x).scalar), typeOf(e.x)); break;
    case "binary": { const t = same(e.a, e.b); need(hasBinary(e.op, t.scalar), t); break; }
    case "fma": { const t = same(e.a, e.b, e.c); need(isFloatScalar(t.scalar), t); break; }
    case "dot4": { const t = same(e.a, e.b, e.c); need(t.scalar === "i32", t); break; }
    case "select": {
      const t = same(e.yes, e.no);
      const c = typeOf(e.condition);
      need(c.scalar === "bool" && c.lanes === t.lanes, c, t);
      break;
    }
    case "cast": break;
    case "bitcast": need(canBitcast(typeOf(e.x).scalar, e.to), typeOf(e.x)); break;
    case "load": case "gather": {
      const b = bufferOf(e.buffer);
      if (e.type.scalar !== REGISTER_TYPE[b.dtype]) refuse(`${e.kind} from ${e.buffer}, which is ${b.dtype}, as ${typeText(e.type)}`);
      if (b.space === "register" && e.type.lanes !== b.lanes) refuse(`load of ${e.type.lanes} lanes from registers of ${b.lanes}`);
      if (e.kind === "gather" && (b.space === "register" || e.index.length === 0 || typeOf(e.index.at(-1)!).lanes !== e.type.lanes)) refuse(`gather from ${e.buffer}`);
      break;
    }
    case "splat": need(typeOf(e.x).lanes === 1 && e.lanes > 0, typeOf(e.x)); break;
    case "vector": need(same(...e.items).lanes === 1, typeOf(e.items[0]!)); break;
    case "lane": need(e.lane >= 0 && e.lane < typeOf(e.x).lanes, typeOf(e.x)); break;
    case "shuffle": { const t = same(e.a, e.b); need(e.lanes.every(l => l >= 0 && l < 2 * t.lanes), t); break; }
    case "horizontal": { const { lanes } = typeOf(e.x); need(lanes > 1 && (lanes & (lanes - 1)) === 0, typeOf(e.x)); break; }
    case "lookup16": need(e.table.length === 16 && ["i32", "u32"].includes(typeOf(e.index).scalar) && typeOf(e.index).lanes === e.type.lanes, typeOf(e.index)); break;
    case "subgroup_xor": case "subgroup_reduce": need(typeOf(e.x).scalar !== "bool", typeOf(e.x)); break;
  }
  return typeOf(e);
}
