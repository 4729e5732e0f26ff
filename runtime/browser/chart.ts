// Curves of logged numbers, as SVG: one line per name, on axes that grow with the data.
import { element, svg } from "./elements.ts";

const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 48;
const BOTTOM = 20;
const COLOURS = ["var(--accent)", "#d9822b", "#4a8f5c", "#a0529c"];
/** More points than pixels are thinned, evenly. */
const POINTS = 600;

const short = (x: number): string => Number(x.toPrecision(3)).toString();

export class Chart {
  readonly root = element("figure", { className: "chart" });
  readonly #series = new Map<string, [x: number, y: number][]>();
  #pending = false;

  add(name: string, x: number, y: number): void {
    if (!Number.isFinite(y)) return;
    const points = this.#series.get(name) ?? [];
    points.push([x, y]);
    this.#series.set(name, points);
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#draw();
    });
  }

  clear(): void {
    this.#series.clear();
    this.root.replaceChildren();
  }

  #draw(): void {
    const all = [...this.#series.values()].flat();
    const ys = all.map(([, y]) => y);
    const maxX = all.reduce((most, [x]) => Math.max(most, x), 1);
    const [low, high] = [Math.min(0, ...ys), Math.max(...ys)];
    const across = (x: number): number => LEFT + (x / maxX) * (WIDTH - LEFT - 8);
    const up = (y: number): number => HEIGHT - BOTTOM - ((y - low) / (high - low || 1)) * (HEIGHT - BOTTOM - 8);
    const ticks = [low, (low + high) / 2, high].flatMap(y => [
      svg("line", { x1: LEFT, x2: WIDTH - 8, y1: up(y), y2: up(y), class: "grid" }),
      svg("text", { x: LEFT - 6, y: up(y) + 4, "text-anchor": "end" }, short(y)),
    ]);
    const lines = [...this.#series].map(([, points], i) => {
      const step = Math.max(1, Math.floor(points.length / POINTS));
      const shown = points.filter((_, k) => k % step === 0 || k === points.length - 1);
      return svg("polyline", { points: shown.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(" "), stroke: COLOURS[i % COLOURS.length]!, class: "curve" });
    });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": [...this.#series.keys()].join(", ") },
      ...ticks, svg("text", { x: WIDTH - 8, y: HEIGHT - 4, "text-anchor": "end" }, short(maxX)), ...lines);
    const names = [...this.#series].map(([name, points], i) => element("span", {}, Object.assign(element("i", {}), { style: `background:${COLOURS[i % COLOURS.length]}` }), `${name} ${short(points.at(-1)![1])}`));
    this.root.replaceChildren(picture, element("figcaption", {}, ...names));
  }
}
