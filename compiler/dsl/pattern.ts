// The patterns of einsum and rearrange, parsed with Chevrotain; errors point at the column.
import { createRequire } from "node:module";
import type { IToken } from "chevrotain";
import { SluiceError } from "../base/diagnostics.ts";
import { userSpan } from "./source.ts";

/** A letter (or "1") and where it stands, or several in parentheses. */
export interface Word {
  readonly letter: string;
  readonly column: number;
}
export type Group = Word | readonly Word[];
export interface Pattern {
  readonly operands: readonly (readonly Group[])[];
  readonly result: readonly Group[];
}

/** Chevrotain is loaded for the first pattern: most programs have none, and it takes as long as the rest of the words. */
function makeParser() {
  const { createToken, EmbeddedActionsParser, Lexer } = createRequire(import.meta.url)("chevrotain") as typeof import("chevrotain");
  const Arrow = createToken({ name: "Arrow", pattern: /->/, label: "'->'" });
  const Comma = createToken({ name: "Comma", pattern: /,/, label: "','" });
  const Open = createToken({ name: "Open", pattern: /\(/, label: "'('" });
  const Close = createToken({ name: "Close", pattern: /\)/, label: "')'" });
  const One = createToken({ name: "One", pattern: /1/, label: "1" });
  const Letter = createToken({ name: "Letter", pattern: /[A-Za-z_][A-Za-z0-9_]*/, label: "a letter" });
  const Space = createToken({ name: "Space", pattern: /\s+/, group: Lexer.SKIPPED });
  const tokens = [Space, Arrow, Comma, Open, Close, One, Letter];

  class PatternParser extends EmbeddedActionsParser {
    constructor() {
      super(tokens);
      this.performSelfAnalysis();
    }

    pattern = this.RULE("pattern", (): Pattern => {
      const operands: Group[][] = [this.SUBRULE(this.side)];
      this.MANY(() => {
        this.CONSUME(Comma);
        operands.push(this.SUBRULE2(this.side));
      });
      this.CONSUME(Arrow);
      return { operands, result: this.SUBRULE3(this.side) };
    });

    private side = this.RULE("side", (): Group[] => {
      const groups: Group[] = [];
      this.MANY(() => {
        this.OR([
          { ALT: () => groups.push(this.SUBRULE(this.word)) },
          {
            ALT: () => {
              const words: Word[] = [];
              this.CONSUME(Open);
              this.MANY2(() => words.push(this.SUBRULE2(this.word)));
              this.CONSUME(Close);
              groups.push(words);
            },
          },
        ]);
      });
      return groups;
    });

    private word = this.RULE("word", (): Word => {
      const token = this.OR([{ ALT: () => this.CONSUME(Letter) }, { ALT: () => this.CONSUME(One) }]);
      return { letter: token.image, column: (token.startOffset ?? 0) + 1 };
    });
  }

  return { lexer: new Lexer(tokens), parser: new PatternParser() };
}

let made: ReturnType<typeof makeParser> | undefined;
const parsed = new Map<string, Pattern>();

/** A SluiceError PATTERN001 with the pattern and a caret under the column. */
export function patternError(word: string, pattern: string, column: number, message: string, expected?: string): SluiceError {
  return new SluiceError({ code: "PATTERN001", message: `${word}: ${message} (column ${column})`, span: userSpan(), found: `${pattern}\n            ${" ".repeat(column - 1)}^`, ...(expected ? { expected } : {}) });
}

const isEnd = (t: IToken): boolean => t.tokenType.name === "EOF";

/** What the pattern lacks where it goes wrong, as far as that is one thing. */
function expectedAt(found: readonly IToken[], at: IToken): string | undefined {
  const before = found.slice(0, isEnd(at) ? undefined : found.indexOf(at)).map(t => t.tokenType.name);
  if (before.filter(name => name === "Open").length > before.filter(name => name === "Close").length) return "a closing parenthesis";
  return before.includes("Arrow") ? "letters, and nothing after them: inputs -> output" : "an arrow: inputs -> output";
}

/** The parsed pattern; `word` is the function to blame in errors. */
export function parsePattern(word: string, pattern: string): Pattern {
  const known = parsed.get(pattern);
  if (known) return known;
  const { lexer, parser } = (made ??= makeParser());
  const { tokens: found, errors } = lexer.tokenize(pattern);
  if (errors[0]) throw patternError(word, pattern, errors[0].offset + 1, `unexpected character ${JSON.stringify(pattern[errors[0].offset])}`, "letters, 1, parentheses, commas and ->");
  parser.input = found;
  const result = parser.pattern();
  const error = parser.errors[0];
  if (error) {
    const offset = isEnd(error.token) ? pattern.length : error.token.startOffset;
    throw patternError(word, pattern, offset + 1, error.token.image ? `unexpected ${JSON.stringify(error.token.image)}` : "the pattern ends too early", expectedAt(found, error.token));
  }
  parsed.set(pattern, result);
  return result;
}
