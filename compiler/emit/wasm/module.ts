// Kernel IR to WebAssembly: the kernels of a program as one module for each kind of engine. A module imports its memory as
// env.memory and exports the kernels as k0, k1, …, with the parameters that plan/schedule describes. The code is written as
// it should be, and engines optimise the rest. A kernel that is the same for several engines is written once.
import type { Size } from "../../base/sizes.ts";
import type { Kernel } from "../../kernel/ir.ts";
import type { WasmCode } from "../../../runtime/program.ts";
import { Bytes } from "./bytes.ts";
import { PARAMS, Target } from "./code.ts";
import { kernelFunction } from "./function.ts";
import { encode, type NumberType, type WasmFunction } from "./instructions.ts";
import { remainderFunction } from "./remainder.ts";

export interface WasmVariant {
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** Pages of 64 KiB that 32-bit addresses reach. */
const MAX_PAGES = 65536;
const MAGIC_AND_VERSION = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const NUMBER_TYPES: Record<NumberType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const KERNEL_TYPE = { params: Object.keys(PARAMS).map((): NumberType => "i32"), results: [] };
const REMAINDER_TYPE = { params: ["f64", "f64"], results: ["f64"] } as const;

/** Every variant has all kernels, in order. */
export function emitWasm(kernels: readonly Kernel[], variants: readonly WasmVariant[]): WasmCode[] {
  const written = kernels.map(kernel => new WrittenKernel(kernel, kernels.length));
  return variants.map(variant => {
    const functions = written.map(k => k.for(variant));
    return { ...variant, bytes: moduleOf(functions, variant.shared), scratch: functions.map(f => f.scratch) };
  });
}

interface Written {
  readonly target: Target;
  readonly bytes: Uint8Array;
  readonly scratch: Size;
}

/** A kernel as a function, once for all engines for which it is the same. */
class WrittenKernel {
  readonly #kernel: Kernel;
  readonly #remainder: number;
  readonly #written: Written[] = [];

  constructor(kernel: Kernel, remainder: number) {
    this.#kernel = kernel;
    this.#remainder = remainder;
  }

  for(variant: WasmVariant): Written {
    const known = this.#written.find(w => w.target.fits(variant));
    if (known) return known;
    const target = new Target(variant, this.#remainder);
    const f = kernelFunction(target, this.#kernel);
    const written = { target, bytes: functionBytes(f), scratch: f.scratch };
    this.#written.push(written);
    return written;
  }
}

function functionBytes({ locals, body }: WasmFunction): Uint8Array {
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
  encode(out, body);
  out.byte(0x0b);
  return out.written;
}

function moduleOf(kernels: readonly Written[], shared: boolean): Uint8Array {
  const rest = kernels.some(k => k.target.usesRemainder) ? remainderFunction() : undefined;
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
  section(3, types => types.list([...kernels.map(() => 0), ...(rest ? [1] : [])], t => types.unsigned(t)));
  section(7, exports => {
    let number = 0;
    exports.list(kernels, () => {
      exports.text(`k${number}`);
      exports.byte(0);
      exports.unsigned(number++);
    });
  });
  section(10, code => code.list([...kernels.map(k => k.bytes), ...(rest ? [functionBytes(rest)] : [])], bytes => {
    code.unsigned(bytes.length);
    code.bytes(bytes);
  }));
  return out.written.slice();
}
