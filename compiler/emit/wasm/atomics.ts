// Atomic updates of one element: real ones where memory is shared between threads, plain ones where it is not.
import { InternalError } from "../../base/diagnostics.ts";
import { type Buffer, REGISTER_TYPE } from "../../kernel/ir.ts";
import type { Address } from "./addresses.ts";
import type { Code, Items } from "./code.ts";
import { scalarBinary } from "./lanes.ts";
import { loadElement, storeElement } from "./memory.ts";
import * as m from "./instructions.ts";
import type { Ref } from "./instructions.ts";

export function emitAtomic(code: Code, op: "add" | "max" | "min", buffer: Buffer, at: Address, value: Ref, label: string): void {
  const { dtype } = buffer;
  const scalar = REGISTER_TYPE[dtype];
  const plain = code.apart(() => { storeElement(code, dtype, at, scalarBinary(code, op, scalar, loadElement(code, dtype, at), value)); });
  code.emit(m.choice("shared", code.apart(() => { emitShared(code, op, buffer, at, value, label); }), plain));
}

function emitShared(code: Code, op: "add" | "max" | "min", buffer: Buffer, at: Address, value: Ref, label: string): void {
  const { dtype } = buffer;
  const scalar = REGISTER_TYPE[dtype];
  const { offset } = at;
  const integer = dtype === "f64" ? m.i64 : m.i32;
  if (dtype !== "i32" && dtype !== "u32" && dtype !== "f32" && dtype !== "f64") throw new InternalError(`atomic on ${buffer.name}, which is ${dtype}`);
  if (op === "add" && (dtype === "i32" || dtype === "u32")) {
    code.emit(m.drop(m.i32.atomic.rmw.add(offset, at.pointer(), value)));
    return;
  }
  const bits = dtype === "f64" ? "i64" : "i32";
  const number = (word: Ref): Ref => (dtype === "f64" ? m.f64.reinterpret(word) : dtype === "f32" ? m.f32.reinterpret(word) : word);
  const word = (x: Ref): Ref => (dtype === "f64" ? m.i64.reinterpret(x) : dtype === "f32" ? m.i32.reinterpret(x) : x);
  const operand = code.hold(value, code.typeOf({ scalar, lanes: 1 }));
  const seen = code.fresh(bits);
  const found = code.fresh(bits);
  code.set(found, integer.atomic.load(offset, at.pointer()));
  const list: Items = [];
  code.within(list, () => {
    code.set(seen, code.get(found));
    code.set(found, integer.atomic.rmw.cmpxchg(offset, at.pointer(), code.get(seen), word(scalarBinary(code, op, scalar, number(code.get(seen)), operand()))));
    code.emit(m.br(label, integer.ne(code.get(seen), code.get(found))));
  });
  code.emit(m.loop(label, code.sequence(list)));
}
