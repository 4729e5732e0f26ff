// Shows where in a text an error is: the line, its number, and a caret under the column. Of a long line only what is near.

const WIDTH = 120;

export function excerpt(text: string, line: number, column: number): string {
  const whole = text.split("\n")[line - 1] ?? "";
  const from = whole.length <= WIDTH ? 0 : Math.max(0, Math.min(column - 1 - WIDTH / 2, whole.length - WIDTH));
  const [before, after] = [from > 0 ? "…" : "", from + WIDTH < whole.length ? "…" : ""];
  // One sign for what cannot be shown, so that the caret stands under its column.
  const source = whole.slice(from, from + WIDTH).replace(/[\p{Cc}\p{Cf}]/gu, c => (c === "\t" ? c : "\u00b7"));
  const gutter = `${line} | `;
  // Tabs stay tabs, so that the caret stands under its character however wide they are shown.
  const lead = (before + source).slice(0, before.length + column - 1 - from).replace(/[^\t]/g, " ");
  return `${gutter}${before}${source}${after}\n${" ".repeat(gutter.length - 2)}| ${lead}^`;
}
