// Names that were perhaps meant: what an error offers when a name or a pattern matches nothing.

/** How many single characters differ; in `name`, `*` stands for any characters at no cost. */
function distance(name: string, known: string): number {
  let before = Array.from({ length: known.length + 1 }, (_, i) => i);
  for (const c of name) {
    const row = [before[0]! + (c === "*" ? 0 : 1)];
    for (let i = 1; i <= known.length; i++) {
      const [above, left, corner] = [before[i]!, row[i - 1]!, before[i - 1]!];
      row.push(c === "*" ? Math.min(above, left) : Math.min(above + 1, left + 1, corner + (c === known[i - 1] ? 0 : 1)));
    }
    before = row;
  }
  return before[known.length]!;
}

/** The name's last part alone is compared too, since what is missing is often the path before it. */
function strangeness(name: string, known: string): number {
  const whole = distance(name, known);
  const last = (text: string): string => text.slice(text.lastIndexOf(".") + 1);
  const parts = (text: string): number => text.split(".").length;
  return last(name) === last(known) ? Math.min(whole, 1 + Math.abs(parts(known) - parts(name))) : whole;
}

/** Up to `most` of the known names, the most similar first. A name may hold `*` and `**`. */
export function nearestNames(name: string, known: readonly string[], most = 4): string[] {
  const ranked = known.map(k => ({ k, by: strangeness(name.toLowerCase(), k.toLowerCase()) }));
  return ranked.sort((a, b) => a.by - b.by).slice(0, most).map(r => r.k);
}

/** The most similar names as an error lists them, and that there are more. */
export function nearestText(name: string, known: readonly string[], most = 4): string {
  if (known.length === 0) return "none";
  const rest = known.length - most;
  return `${nearestNames(name, known, most).join(", ")}${rest > 0 ? `, … (${rest} more)` : ""}`;
}
