// The terms of rewrite rules: `t:reduce(mul(x, #c))`. Read by hand, for there are four kinds of words and one bracket.
import type { OpName } from "../graph/graph.ts";

export type Term =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "constant"; readonly name: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "op"; readonly op: OpName; readonly label: string | null; readonly operands: readonly Term[] };

const WORD = /\s*(?:(-?inf|nan|-?\d+(?:\.\d+)?(?:e-?\d+)?)(?![\w(:])|#([a-z]\w*)|(?:([a-z]\w*):)?([a-z]\w*)(\()?)/y;
const PUNCTUATION = /\s*([,)])/y;
const END = /\s*$/y;
const number = (text: string): number => (text === "inf" ? Infinity : text === "-inf" ? -Infinity : text === "nan" ? NaN : Number(text));

/** The term; `refuse` is called with what is wrong. */
export function parseTerm(text: string, refuse: (message: string) => never): Term {
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const term = (): Term => {
    const found = next(WORD);
    if (!found) return refuse(`no term stands at column ${at + 1} of ${text}`);
    const [, literal, constant, label, name, open] = found;
    if (literal !== undefined) return { kind: "number", value: number(literal) };
    if (constant !== undefined) return { kind: "constant", name: constant };
    if (open === undefined) return label === undefined ? { kind: "name", name: name! } : refuse(`${name} of ${text} has a label and no operands`);
    const operands: Term[] = [];
    for (let mark = ","; mark === ","; mark = next(PUNCTUATION)?.[1] ?? refuse(`, or ) is missing at column ${at + 1} of ${text}`)) operands.push(term());
    return { kind: "op", op: name as OpName, label: label ?? null, operands };
  };
  const whole = term();
  return next(END) ? whole : refuse(`${text} goes on after its term`);
}
