// An opened program with the types of its exports: an editor knows the names of its entries and procedures, their inputs,
// outputs and arguments. The types never decide anything: what is given is checked again when it is called.
import type { DimValues } from "./base/sizes.ts";
import type { Arg, Picture, Procedure } from "./dsl/procedure.ts";
import type { Entry } from "./dsl/program.ts";
import type { IsAny } from "./dsl/shapes.ts";
import type { Scalar } from "./dsl/tensor.ts";
import type { HostIn } from "../runtime/arguments.ts";
import type { ProcedureRun, Program, RunOptions } from "../runtime/load.ts";
import type { HostPicture } from "../runtime/procedure.ts";
import type { HostTensor } from "../runtime/tensor.ts";

type NamesOf<P, Kind> = { [k in keyof P]: P[k] extends Kind ? k : never }[keyof P] & string;

interface CallOf<I, O> {
  readonly inputs: { readonly [k in keyof I]: HostIn };
  readonly outputs: Readonly<Record<keyof O & string, HostTensor>>;
}
type Call<E> = E extends Entry<infer I, infer O> ? CallOf<I, O> : never;
/** An entry without inputs may be called without any. */
type Given<E> = Record<never, never> extends Call<E>["inputs"] ? [inputs?: Call<E>["inputs"], sizes?: DimValues] : [inputs: Call<E>["inputs"], sizes?: DimValues];

type Argument<T> = T extends Scalar<"bool"> ? boolean : T extends Scalar ? number : T extends Picture ? string | HostPicture : string;
type Arguments<P> = P extends Procedure<infer A> ? { readonly [k in keyof A]?: A[k] extends Arg<infer T> ? Argument<T> : never } : never;

interface Calls<P> {
  /** `sizes`: call dims that no input has. */
  call<K extends NamesOf<P, Entry>>(entry: K, ...given: Given<P[K]>): Promise<Call<P[K]>["outputs"]>;
  run<K extends NamesOf<P, Procedure>>(name: K, args?: Arguments<P[K]>, options?: RunOptions): ProcedureRun;
}

/** What `open` gives for a program's exports; exports that are not known are called by any name. */
export type OpenedProgram<P> = IsAny<P> extends true ? Program : string extends keyof P ? Program : Omit<Program, keyof Calls<P>> & Calls<P>;
