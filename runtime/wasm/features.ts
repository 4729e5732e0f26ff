// What the engine can do, found by asking it to validate tiny modules.

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** A module of one function without parameters or results. */
const moduleOf = (...body: readonly number[]): BufferSource => {
  const code = [0, ...body, 0x0b];
  return Uint8Array.from([...HEADER, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, code.length + 2, 1, code.length, ...code]);
};
const SPLAT = [0x41, 0, 0xfd, 0x0f];
const DROP = 0x1a;

export interface EngineFeatures {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Memory can be shared with workers. In a browser that takes cross-origin isolation. */
  readonly threads: boolean;
}

export function engineFeatures(): EngineFeatures {
  return {
    simd: WebAssembly.validate(moduleOf(...SPLAT, DROP)),
    relaxedSimd: WebAssembly.validate(moduleOf(...SPLAT, ...SPLAT, ...SPLAT, 0xfd, 0x85, 0x02, DROP)),
    threads: typeof SharedArrayBuffer !== "undefined" && canShare(),
  };
}

function canShare(): boolean {
  try {
    return new WebAssembly.Memory({ initial: 0, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}
