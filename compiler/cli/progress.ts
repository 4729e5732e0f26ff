// How a procedure's run is shown. On a terminal a bar stands for the outermost loop (iteration, values logged in it, rate,
// time left), and rows logged outside of one are lines. Where the output is no terminal every row is a line of its own. With
// --json each is a JSON object on a line.
import type { SingleBar } from "cli-progress";
import type { EmittedRow } from "../../runtime/procedure.ts";
import { type HostTensor, tensorText } from "../../runtime/tensor.ts";

export interface ProgressView {
  progress(done: number, total: number): void;
  row(row: EmittedRow): void;
  finish(): void;
}

/** Lines that tell how far a loop has come are no oftener than this. */
const LINE_MS = 1000;

const rounded = (x: number): string => (Number.isInteger(x) ? String(x) : Number(x.toPrecision(5)).toString());
export const valueText = (value: number | string | HostTensor): string => (typeof value === "number" ? rounded(value) : typeof value === "string" ? value : tensorText(value));
const duration = (seconds: number): string => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`);
export const jsonValue = (value: number | string | HostTensor): unknown => (typeof value === "object" ? { dtype: value.dtype, shape: value.shape, data: [...value.data] } : value);
const logText = (row: EmittedRow): string => row.values.map(v => `${v.name} ${valueText(v.value)}`).join("  ");

const jsonView: ProgressView = {
  progress: () => {},
  row: row => process.stdout.write(`${JSON.stringify({ kind: row.kind, ...Object.fromEntries(row.values.map(v => [v.name, jsonValue(v.value)])) })}\n`),
  finish: () => {},
};

/** What a view does with emitted values, and the end of the line that the last of them left open. */
function emitter(): { emit(row: EmittedRow): void; end(): void } {
  let isLineOpen = false;
  return {
    emit(row) {
      for (const v of row.values) {
        const text = typeof v.value === "string" ? v.value : `${v.name}: ${valueText(v.value)}\n`;
        process.stdout.write(text);
        isLineOpen = !text.endsWith("\n");
      }
    },
    end() {
      if (isLineOpen) process.stdout.write("\n");
    },
  };
}

function plainView(): ProgressView {
  const start = performance.now();
  const emitted = emitter();
  let lastLine = Number.NEGATIVE_INFINITY;
  return {
    progress(done, total) {
      const now = performance.now();
      if (now - lastLine < LINE_MS && done < total) return;
      lastLine = now;
      const rate = done / Math.max(1e-9, (now - start) / 1000);
      process.stderr.write(`${done}/${total}  ${rate.toFixed(1)}/s  ${done < total ? `${duration((total - done) / rate)} left` : `took ${duration((now - start) / 1000)}`}\n`);
    },
    row(row) {
      if (row.kind === "emit") emitted.emit(row);
      else process.stderr.write(`${logText(row)}\n`);
    },
    finish: emitted.end,
  };
}

function terminalView(bar: SingleBar): ProgressView {
  const start = performance.now();
  const emitted = emitter();
  let shown: { readonly done: number; readonly total: number } | null = null;
  let logged = "";
  /** Rows logged after a loop may come before its end is told, in one message with it. */
  const later: EmittedRow[] = [];
  const draw = (done: number, total: number): void => {
    const rate = done / Math.max(1e-9, (performance.now() - start) / 1000);
    const payload = { logged, rate: rate.toFixed(1), left: duration((total - done) / rate) };
    if (shown?.total === total) bar.update(done, payload);
    else bar.start(total, done, payload);
    shown = { done, total };
  };
  /** The bar stays where it is as a line, with what was logged last. */
  const endBar = (): void => {
    if (shown) {
      draw(shown.done, shown.total);
      bar.stop();
    }
    shown = null;
    logged = "";
  };
  const writeLater = (): void => {
    if (later.length > 0) endBar();
    for (const row of later.splice(0)) process.stderr.write(`${logText(row)}\n`);
  };
  return {
    progress(done, total) {
      draw(done, total);
      writeLater();
    },
    row(row) {
      if (row.kind === "emit") emitted.emit(row);
      else if (row.inLoop) logged = `  ${logText(row)}`;
      else {
        later.push(row);
        if (shown ? shown.done >= shown.total : logged === "") writeLater();
      }
    },
    finish() {
      // Of a loop that ended before its progress was told.
      if (!shown && logged !== "") process.stderr.write(`${logged.trim()}\n`);
      endBar();
      writeLater();
      emitted.end();
    },
  };
}

export async function progressView(json: boolean): Promise<ProgressView> {
  if (json) return jsonView;
  if (process.stderr.isTTY !== true) return plainView();
  const { default: progress } = await import("cli-progress");
  return terminalView(new progress.SingleBar({ format: " {bar} {value}/{total}{logged}  {rate}/s  {left} left", hideCursor: true, stream: process.stderr, etaBuffer: 50 }, progress.Presets.shades_classic));
}
