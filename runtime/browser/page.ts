// The page of a built program: a card for each procedure (a form, progress, curves of what it logs, files it wrote) and one
// for each entry (a form, its outputs, pictures before and after). Everything runs in the visitor's browser.
import type { Procedure } from "../../compiler/plan/procedure.ts";
import { isPictureShape, tensorPicture } from "../io/pictures.ts";
import type { EntryInfo, Program } from "../load.ts";
import type { HostPicture } from "../procedure.ts";
import { type HostTensor, tensorText } from "../tensor.ts";
import { Chart } from "./chart.ts";
import { element } from "./elements.ts";
import { PageFiles, pictureData } from "./files.ts";
import { argumentField, type Field, inputField } from "./forms.ts";
import { load } from "./index.ts";

/** The page shows no more pixels than fit, but keeps and saves all. */
function pictureFigure(picture: HostPicture, caption: string): HTMLElement {
  const canvas = element("canvas", { width: picture.width, height: picture.height });
  canvas.getContext("2d")?.putImageData(pictureData(picture), 0, 0);
  return element("figure", {}, canvas, element("figcaption", {}, `${caption}, ${picture.width} × ${picture.height}`));
}

const download = (name: string, content: Blob): HTMLElement => element("a", { href: URL.createObjectURL(content), download: name, textContent: `save ${name}` });

interface Card {
  readonly root: HTMLElement;
  readonly results: HTMLElement;
  /** Runs the work with the button off; what it throws is shown. */
  work(run: () => Promise<void>): Promise<void>;
}

function card(title: string, kind: string, fields: readonly Field<unknown>[], action: string, run: () => Promise<void>): Card {
  const results = element("div", { className: "results" });
  const failure = element("pre", { className: "failure", hidden: true });
  const button = element("button", { type: "submit", textContent: action });
  const form = element("form", {}, ...fields.map(f => f.root), button);
  const root = element("section", { id: title }, element("h2", {}, title, element("small", {}, kind)), form, failure, results);
  const work = async (job: () => Promise<void>): Promise<void> => {
    button.disabled = true;
    failure.hidden = true;
    root.dataset.state = "running";
    try {
      await job();
      root.dataset.state = "done";
    } catch (error) {
      root.dataset.state = "failed";
      failure.textContent = error instanceof Error ? error.message : String(error);
      failure.hidden = false;
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener("submit", event => {
    event.preventDefault();
    void work(run);
  });
  return { root, results, work };
}

const valuesOf = async <T>(fields: ReadonlyMap<string, Field<T>>): Promise<{ [name: string]: T }> => {
  const values: { [name: string]: T } = {};
  for (const [name, field] of fields) values[name] = await field.value();
  return values;
};

/** The picture that was given, if there was exactly one: shown beside the result, and the source of its alpha. */
async function givenPicture(fields: ReadonlyMap<string, Field<unknown>>): Promise<HostPicture | null> {
  const [only, ...others] = [...fields.values()].flatMap(f => f.chosen ?? []);
  return only && others.length === 0 ? only.picture() : null;
}

function entryCard(program: Program, entry: EntryInfo, files: PageFiles): HTMLElement {
  const fields = new Map(entry.inputs.map(i => [i.name, inputField(i.name, i.type, files)]));
  const run = async (): Promise<void> => {
    const before = await givenPicture(fields);
    const inputs = await valuesOf(fields);
    const start = performance.now();
    const outputs = await program.call(entry.entry, inputs);
    const took = performance.now() - start;
    const shown = await Promise.all(Object.entries(outputs).map(([name, value]) => outputView(name, value, before, files)));
    made.results.replaceChildren(...(before ? [pictureFigure(before, "before")] : []), ...shown, element("p", { className: "took", textContent: `${took.toFixed(1)} ms` }));
  };
  const made = card(entry.entry, "entry", [...fields.values()], "Run", run);
  if (fields.size === 1) for (const field of fields.values()) field.chosen?.onChange(() => void made.work(run));
  return made.root;
}

async function outputView(name: string, value: HostTensor, before: HostPicture | null, files: PageFiles): Promise<HTMLElement> {
  if (!isPictureShape(value.dtype, value.shape) || value.shape.length < 3) return element("p", {}, element("b", {}, name), ` ${tensorText(value)}`);
  const fits = before && before.width === value.shape[1] && before.height === value.shape[0];
  const picture = tensorPicture(name, value, fits ? before.alpha : null);
  const figure = pictureFigure(picture, fits ? "after" : name);
  const save = element("button", { type: "button", textContent: "prepare PNG" });
  save.addEventListener("click", async () => {
    const png = await files.encodePicture("x.png", picture);
    save.replaceWith(download(`${name}.png`, new Blob([png as Uint8Array<ArrayBuffer>], { type: "image/png" })));
  });
  figure.append(save);
  return figure;
}

function procedureCard(program: Program, procedure: Procedure, files: PageFiles, written: (listener: (path: string, content: Blob) => void) => void): HTMLElement {
  const fields = new Map(procedure.args.map(a => [a.name, argumentField(procedure, a, files)]));
  const bar = element("progress", { max: 1, value: 0 });
  const status = element("p", { className: "status" });
  const stop = element("button", { type: "button", textContent: "Stop" });
  const chart = new Chart();
  const saved = element("p", { className: "saved" });
  const shown = element("div", {});
  const run = async (): Promise<void> => {
    const abort = new AbortController();
    stop.onclick = () => abort.abort(new Error("stopped"));
    chart.clear();
    saved.replaceChildren();
    shown.replaceChildren();
    made.results.replaceChildren(element("div", { className: "progress" }, bar, stop), status, chart.root, shown, saved);
    written((path, content) => {
      saved.append(download(path, content), " ");
      if (/\.(png|jpe?g|webp)$/i.test(path)) shown.append(element("img", { src: URL.createObjectURL(content), alt: path }));
    });
    const start = performance.now();
    let rows = 0;
    stop.hidden = false;
    await program.run(procedure.name, await valuesOf(fields), {
      signal: abort.signal,
      onProgress(now, total) {
        bar.max = total;
        bar.value = now;
        const seconds = (performance.now() - start) / 1000;
        status.textContent = `${now} of ${total}, ${(now / seconds).toFixed(1)}/s, ${now < total ? `${Math.ceil((seconds / now) * (total - now))} s left` : `took ${seconds.toFixed(1)} s`}`;
      },
      onRow(row) {
        rows++;
        for (const { name, value } of row.values) {
          if (row.kind === "log" && typeof value === "number") chart.add(name, rows, value);
          else shown.append(element("p", {}, element("b", {}, name), ` ${typeof value === "object" ? tensorText(value) : value}`));
        }
      },
    }).finally(() => {
      stop.hidden = true;
    });
  };
  const made = card(procedure.name, "procedure", [...fields.values()], "Run", run);
  return made.root;
}

async function show(): Promise<void> {
  const status = document.getElementById("engine")!;
  const place = document.getElementById("cards")!;
  let onWritten: (path: string, content: Blob) => void = () => {};
  const files = new PageFiles((path, content) => onWritten(path, content));
  try {
    const response = await fetch(new URL("../../../program.slx", import.meta.url));
    if (!response.ok) throw new Error(`the program could not be fetched: ${response.status} ${response.statusText}`);
    const program = await load(new Uint8Array(await response.arrayBuffer()), { files });
    const alone = globalThis.crossOriginIsolated ? "" : ". This page is not cross-origin isolated, so it runs on one thread; served with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp it uses them all";
    status.textContent = `Runs in this browser: ${program.description}${alone}.`;
    place.replaceChildren(
      ...program.info.procedures.map(p => procedureCard(program, p, files, listener => (onWritten = listener))),
      ...program.info.entries.map(e => entryCard(program, e, files)),
    );
    document.body.dataset.state = "ready";
  } catch (error) {
    document.body.dataset.state = "failed";
    status.textContent = error instanceof Error ? error.message : String(error);
  }
}

void show();
