// The page that `sluice build` writes around a program; its cards are made by runtime/browser/page.ts.

/** `name` stands in text and must be escaped already. */
export const pageHtml = (name: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --accent: light-dark(#2257c5, #7da7ff); --line: light-dark(#d9dce3, #3a3f4b); --soft: light-dark(#f4f5f8, #1e2129); --text: light-dark(#1b1e25, #e7e9ee); --dim: light-dark(#5d6472, #a0a7b4); }
  * { box-sizing: border-box; }
  body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: light-dark(#fff, #14161b); max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
  h1 { margin: 0; font-size: 1.7rem; }
  h2 { margin: 0 0 .8rem; font-size: 1.15rem; display: flex; gap: .6rem; align-items: baseline; }
  small { color: var(--dim); font-weight: normal; font-size: .85rem; }
  #engine { color: var(--dim); margin: .2rem 0 1.5rem; }
  section { border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.2rem; margin: 0 0 1rem; }
  form { display: flex; flex-wrap: wrap; gap: .8rem 1.2rem; align-items: end; }
  label { display: grid; gap: .2rem; }
  label > span { display: flex; gap: .5rem; align-items: baseline; }
  .both { display: flex; flex-wrap: wrap; gap: .4rem; }
  input { font: inherit; color: inherit; }
  input:not([type=checkbox], [type=file]) { padding: .3rem .5rem; border: 1px solid var(--line); border-radius: 6px; background: var(--soft); min-width: 8rem; }
  input[type=checkbox] { justify-self: start; width: 1.1rem; height: 1.1rem; }
  button { font: inherit; padding: .35rem 1.1rem; border: 1px solid var(--accent); border-radius: 6px; background: var(--accent); color: light-dark(#fff, #10131a); cursor: pointer; }
  button[type=button] { background: none; color: var(--accent); }
  button:disabled { opacity: .5; cursor: default; }
  .failure { white-space: pre-wrap; border-left: 3px solid #c0392b; padding: .5rem .8rem; background: var(--soft); margin: 1rem 0 0; }
  .chart { max-width: 44rem; }
  progress { flex: 1; height: .7rem; accent-color: var(--accent); }
  .progress { display: flex; gap: 1rem; align-items: center; }
  .results:not(:empty) { margin-top: 1rem; display: flex; flex-wrap: wrap; gap: 1rem; align-items: start; }
  .results > .progress, .results > p, .results > .chart { flex-basis: 100%; margin: 0; }
  .status, .took { color: var(--dim); font-variant-numeric: tabular-nums; }
  figure { margin: 0; flex: 1 1 20rem; min-width: 0; }
  canvas, img { max-width: 100%; height: auto; border-radius: 6px; display: block; background: repeating-conic-gradient(var(--line) 0 25%, transparent 0 50%) 0 0 / 16px 16px; }
  figcaption { color: var(--dim); font-size: .9rem; margin: .3rem 0; display: flex; gap: 1.2rem; }
  .chart svg { width: 100%; display: block; }
  .chart text { font-size: 11px; fill: var(--dim); }
  .chart .grid { stroke: var(--line); }
  .chart .curve { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
  figcaption i { display: inline-block; width: .8rem; height: .2rem; margin-right: .4rem; vertical-align: middle; }
  a { color: var(--accent); }
</style>
<h1>${name}</h1>
<p id="engine">Starting…</p>
<main id="cards"></main>
<noscript>This page runs a program and needs JavaScript.</noscript>
<script type="module" src="sluice/runtime/browser/page.js"></script>
</html>
`;
