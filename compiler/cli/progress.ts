// How a procedure's run is shown: a bar on a terminal (iteration, logged values, rate, time left), plain lines when the
// output is no terminal, one JSON object a line with --json.
import type { SingleBar } from "cli-progress";
import type { EmittedRow } from "../../runtime/procedure.ts";
import { type HostTensor, tensorText } from "../../runtime/tensor.ts";

export interface ProgressView {
  progress(done: number, total: number): void;
  row(row: EmittedRow): void;
  finish(): void;
}

/** Plain lines come no oftener than this. */
const LINE_MS = 1000;

const rounded = (x: number): string => (Number.isInteger(x) ? String(x) : Number(x.toPrecision(5)).toString());
export const valueText = (value: number | string | HostTensor): string => (typeof value === "number" ? rounded(value) : typeof value === "string" ? value : tensorText(value));
const duration = (seconds: number): string => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`);
export const jsonValue = (value: number | string | HostTensor): unknown => (typeof value === "object" ? { dtype: value.dtype, shape: value.shape, data: [...value.data] } : value);

const jsonView: ProgressView = {
  progress: () => {},
  row: row => process.stdout.write(`${JSON.stringify({ kind: row.kind, ...Object.fromEntries(row.values.map(v => [v.name, jsonValue(v.value)])) })}\n`),
  finish: () => {},
};

export async function progressView(json: boolean): Promise<ProgressView> {
  if (json) return jsonView;
  const terminal = process.stderr.isTTY === true;
  const bar: SingleBar | null = terminal ? await makeBar() : null;
  const start = performance.now();
  let logged = "";
  let seen: { done: number; total: number } | null = null;
  let lastLine = 0;
  let lineOpen = false;
  const rate = (done: number): number => done / Math.max(1e-9, (performance.now() - start) / 1000);

  return {
    progress(done, total) {
      const left = duration((total - done) / rate(done));
      if (!bar) {
        seen = { done, total };
        const now = performance.now();
        if (now - lastLine < LINE_MS && done < total) return;
        lastLine = now;
        process.stderr.write(`${done}/${total}${logged}  ${rate(done).toFixed(1)}/s  ${done < total ? `${left} left` : `took ${duration((now - start) / 1000)}`}\n`);
        return;
      }
      const payload = { logged, rate: rate(done).toFixed(1), left };
      if (seen) bar.update(done, payload);
      else bar.start(total, done, payload);
      seen = { done, total };
    },
    row(row) {
      if (row.kind === "log") {
        logged = row.values.map(v => `  ${v.name} ${valueText(v.value)}`).join("");
        const now = performance.now();
        if (!seen && now - Math.max(start, lastLine) > LINE_MS) {
          lastLine = now;
          process.stderr.write(`${logged.trim()}\n`);
        }
        return;
      }
      for (const v of row.values) {
        const text = typeof v.value === "string" ? v.value : `${v.name}: ${valueText(v.value)}\n`;
        process.stdout.write(text);
        lineOpen = !text.endsWith("\n");
      }
    },
    finish() {
      if (lineOpen) process.stdout.write("\n");
      if (!seen && logged !== "") process.stderr.write(`${logged.trim()}\n`);
      if (seen) bar?.update(seen.done, { logged, rate: rate(seen.done).toFixed(1), left: "0 s" });
      bar?.stop();
    },
  };
}

async function makeBar(): Promise<SingleBar> {
  const { default: progress } = await import("cli-progress");
  return new progress.SingleBar({ format: " {bar} {value}/{total}{logged}  {rate}/s  {left} left", hideCursor: true, stream: process.stderr, etaBuffer: 50 }, progress.Presets.shades_classic);
}
