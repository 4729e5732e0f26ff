// What happened when: every launch, copy, read, write and call of a run with its times and the user's line, as Chrome-trace
// JSON, which Perfetto and chrome://tracing open. The WebAssembly executor's; runtime/native/base/trace.h writes the same.
import { type Span, spanText } from "../compiler/base/span.ts";

/** What a trace shows many times. */
export interface TraceLabel {
  readonly kind: "launch" | "copy" | "read" | "write" | "call";
  readonly name: string;
  readonly span: Span | null;
}

interface TraceEvent {
  readonly label: TraceLabel;
  readonly begin: number;
  readonly end: number;
  readonly bytes: number;
}

export class Trace {
  readonly #events: TraceEvent[] = [];

  /** Something that began at `begin`, on the clock of performance.now(), and ends now. */
  add(label: TraceLabel, begin: number, bytes = 0): void {
    this.#events.push({ label, begin, end: performance.now(), bytes });
  }

  /** All of it; times are microseconds since the first event. */
  json(): string {
    const first = this.#events.reduce((least, e) => Math.min(least, e.begin), Infinity);
    const microseconds = (milliseconds: number): number => Math.round(milliseconds * 1e6) / 1e3;
    const events = this.#events.map(({ label: { kind, name, span }, begin, end, bytes }) => JSON.stringify({
      ph: "X", pid: 1, tid: 1, cat: kind, name, ts: microseconds(begin - first), dur: microseconds(end - begin),
      args: { ...(span && { line: spanText(span) }), ...(bytes > 0 && { bytes }) },
    }));
    return `{"traceEvents":[${events.join(",\n")}],"displayTimeUnit":"ns"}\n`;
  }
}
