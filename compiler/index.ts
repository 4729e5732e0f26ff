// The package's main door: the words that programs are written with.
export { SluiceError } from "./base/diagnostics.ts";
export type { DType } from "./base/dtypes.ts";
export * from "./dsl/index.ts";
export { build, open, type Openable, type OpenOptions } from "./open.ts";
export type { OpenedProgram } from "./opened.ts";
