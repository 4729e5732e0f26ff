// What the verifier and the interpreter throw for a kernel that breaks its rules; the numbers are those of verify.ts.
import { InternalError } from "../base/diagnostics.ts";

export class KernelInvariantError extends InternalError {
  readonly invariant: number;
  /** The message without the kernel's name. */
  readonly detail: string;

  constructor(invariant: number, detail: string, kernel?: string) {
    super(`${kernel === undefined ? "a kernel" : `kernel ${kernel}`} breaks invariant ${invariant}: ${detail}`);
    this.name = "KernelInvariantError";
    this.invariant = invariant;
    this.detail = detail;
  }
}
