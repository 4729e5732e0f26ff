// Shows where in a text an error is: the line, its number, and a caret under the column.

export function excerpt(text: string, line: number, column: number): string {
  const source = text.split("\n")[line - 1] ?? "";
  const gutter = `${line} | `;
  // Tabs stay tabs, so that the caret stands under its character however wide they are shown.
  const lead = source.slice(0, column - 1).replace(/[^\t]/g, " ");
  return `${gutter}${source}\n${" ".repeat(gutter.length - 2)}| ${lead}^`;
}
