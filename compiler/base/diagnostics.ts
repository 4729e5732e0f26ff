// Errors for people. A user error says where, what was found, what was expected and what to do; it ends the process
// with exit code 1. Anything else that is thrown is our fault and ends it with exit code 2.
import { type Span, spanText } from "./span.ts";

export interface Diagnostic {
  /** Stable and searchable: `SHAPE001`. The part before the digits names the area. */
  readonly code: string;
  /** One sentence, no full stop. */
  readonly message: string;
  readonly span?: Span | null;
  readonly found?: string;
  readonly expected?: string;
  readonly hint?: string;
}

export class SluiceError extends Error {
  readonly diagnostic: Diagnostic;

  constructor(diagnostic: Diagnostic) {
    super(diagnosticText(diagnostic));
    this.name = "SluiceError";
    this.diagnostic = diagnostic;
  }
}

/** What a terminal would act on instead of showing it, in what was read from files or the command line. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const shown = (text: string): string => text.replace(UNSHOWN, c => (c === "\n" || c === "\t" ? c : `\\u{${c.codePointAt(0)!.toString(16)}}`));

/** The message as printed: `file:line:column: error CODE: …` and the lines found, expected and hint that are known. */
export function diagnosticText(d: Diagnostic): string {
  const head = `${d.span ? `${spanText(d.span)}: ` : ""}error ${d.code}: ${d.message}`;
  const lines = [["found", d.found], ["expected", d.expected], ["hint", d.hint]].filter(([, text]) => text !== undefined);
  return shown([head, ...lines.map(([label, text]) => `  ${`${label}:`.padEnd(10)}${text}`)].join("\n"));
}

/** For states that only a bug of ours can reach; the message names the invariant. */
export class InternalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "InternalError";
  }
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InternalError(message);
}
