// Where in the user's program something was written. Spans travel on every node down to kernels, errors and traces.

export interface Span {
  /** As the user would type it: relative to the working directory where possible. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export const spanText = (s: Span | null): string => (s ? `${s.file}:${s.line}:${s.column}` : "<unknown>");
