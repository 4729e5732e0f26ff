// Runs emitted kernels in this thread, on typed arrays: what tests of the emitter compare with the interpreter.
import { byteLength } from "../../compiler/base/dtypes.ts";
import { type DimValues, evaluateSize } from "../../compiler/base/sizes.ts";
import type { WasmVariant } from "../../compiler/emit/wasm/instructions.ts";
import { emitWasm } from "../../compiler/emit/wasm/module.ts";
import type { Kernel } from "../../compiler/kernel/ir.ts";

const START = 512;
const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Buffers are copied in and, where the kernel writes, out again. Tasks run in ranges of `piece`. */
export type WasmRunner = (kernel: number, buffers: { readonly [param: string]: ArrayBufferView }, dims?: DimValues, piece?: number) => void;

export async function wasmRunner(kernels: readonly Kernel[], variant: WasmVariant): Promise<WasmRunner> {
  const [emitted] = emitWasm(kernels, [variant]);
  const module = await WebAssembly.compile(emitted!.bytes as Uint8Array<ArrayBuffer>);
  return (k, buffers, dims = {}, piece = Infinity) => {
    const kernel = kernels[k]!;
    let end = START + aligned(4 * (kernel.params.length + kernel.dims.length));
    const places = kernel.params.map(p => {
      const bytes = byteLength(p.dtype, p.shape.reduce<number>((n, s) => n * evaluateSize(s, dims), 1));
      const address = end;
      end += aligned(bytes);
      return { p, address, bytes };
    });
    const scratch = end;
    end += evaluateSize(emitted!.scratch[k]!, dims);
    const pages = Math.ceil(end / 65536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: variant.shared });
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    const bytes = new Uint8Array(memory.buffer);
    const words = new Int32Array(memory.buffer, START);
    places.forEach(({ p, address, bytes: length }, i) => {
      const data = buffers[p.name]!;
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, length), address);
      words[i] = address;
    });
    kernel.dims.forEach((d, i) => { words[kernel.params.length + i] = dims[d.name]!; });
    bytes.fill(0xa5, scratch, end);
    const tasks = kernel.grid.reduce((n, v) => n * evaluateSize(v.extent, dims), 1);
    const run = instance.exports[`k${k}`] as (args: number, low: number, high: number, scratch: number) => void;
    for (let low = 0; low < tasks; low += piece) run(START, low, Math.min(tasks, low + piece), scratch);
    for (const { p, address, bytes: length } of places) {
      const data = buffers[p.name]!;
      if (p.access !== "read") new Uint8Array(data.buffer, data.byteOffset, length).set(bytes.subarray(address, address + length));
    }
  };
}
