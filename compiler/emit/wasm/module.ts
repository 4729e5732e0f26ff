// Kernel IR to WebAssembly: the kernels of a program as one module for each kind of engine. A module imports its memory as
// env.memory and exports the kernels as k0, k1, …, with the parameters that plan/schedule describes. The code is written as
// it should be, and engines optimise the rest. A kernel that is the same for several engines is written once.
import type { Kernel } from "../../kernel/ir.ts";
import type { WasmCode } from "../../../runtime/program.ts";
import { Bytes } from "./bytes.ts";
import { PARAMS } from "./code.ts";
import { kernelFunction } from "./function.ts";
import { Encoder, type NumberType, type WasmFunction, type WasmVariant } from "./instructions.ts";
import { remainderFunction } from "./remainder.ts";

/** Pages of 64 KiB that 32-bit addresses reach. */
const MAX_PAGES = 65536;
const MAGIC_AND_VERSION = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const NUMBER_TYPES: Record<NumberType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const KERNEL_TYPE = { params: Object.keys(PARAMS).map((): NumberType => "i32"), results: [] };
const REMAINDER_TYPE = { params: ["f64", "f64"], results: ["f64"] } as const;

/** Every variant has all kernels, in order. */
export function emitWasm(kernels: readonly Kernel[], variants: readonly WasmVariant[]): WasmCode[] {
  const functions = kernels.map(kernelFunction);
  const encoded: Encoded[][] = functions.map(() => []);
  return variants.map(variant => {
    const code = functions.map((f, i) => {
      const known = encoded[i]!.find(e => e.fits(variant));
      if (known) return known;
      const made = encodedFor(variant, f, kernels.length);
      encoded[i]!.push(made);
      return made;
    });
    return { ...variant, bytes: moduleOf(code, variant.shared), scratch: functions.map(f => f.scratch) };
  });
}

/** A function for one kind of engine, and for all that it is the same for. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly usesRemainder: boolean;
  fits(variant: WasmVariant): boolean;
}

function encodedFor(variant: WasmVariant, { locals, body }: WasmFunction, remainder: number): Encoded {
  const runs: { type: NumberType; count: number }[] = [];
  for (const type of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const out = new Bytes();
  out.list(runs, ({ type, count }) => {
    out.unsigned(count);
    out.byte(NUMBER_TYPES[type]);
  });
  const encoder = new Encoder(out, variant, remainder);
  encoder.encode(body);
  out.byte(0x0b);
  return { bytes: out.written, usesRemainder: encoder.usesRemainder, fits: other => [...encoder.asked].every(what => other[what] === variant[what]) };
}

function moduleOf(kernels: readonly Encoded[], shared: boolean): Uint8Array {
  const functions = [...kernels];
  if (kernels.some(k => k.usesRemainder)) functions.push(encodedFor({ relaxed: false, shared }, remainderFunction(), kernels.length));
  const out = new Bytes();
  const section = (id: number, write: (out: Bytes) => void): void => {
    out.byte(id);
    out.sized(write);
  };
  out.bytes(MAGIC_AND_VERSION);
  section(1, types => types.list([KERNEL_TYPE, REMAINDER_TYPE], ({ params, results }) => {
    types.byte(0x60);
    for (const list of [params, results]) types.list(list, t => types.byte(NUMBER_TYPES[t]));
  }));
  section(2, imports => {
    imports.unsigned(1);
    imports.text("env");
    imports.text("memory");
    imports.bytes([2, shared ? 3 : 1]);
    imports.unsigned(1);
    imports.unsigned(MAX_PAGES);
  });
  section(3, types => types.list(functions.map((_, i) => (i < kernels.length ? 0 : 1)), t => types.byte(t)));
  section(7, exports => {
    let number = 0;
    exports.list(kernels, () => {
      exports.text(`k${number}`);
      exports.byte(0);
      exports.unsigned(number++);
    });
  });
  section(10, code => code.list(functions, ({ bytes }) => {
    code.unsigned(bytes.length);
    code.bytes(bytes);
  }));
  return out.written.slice();
}
