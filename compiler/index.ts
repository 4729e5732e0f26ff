// The package's main door: the words that programs are written with.
export { SluiceError } from "./base/diagnostics.ts";
export type { DType } from "./base/dtypes.ts";
export * from "./dsl/index.ts";
