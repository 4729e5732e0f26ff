// The grammar of .slir text: tokens and a Chevrotain parser that yields a syntax tree with positions. It knows no ops, dims or
// types; parse.ts does. Text is read in linear time, and nested no deeper than MAX_DEPTH, so that any text is answered.
import { createToken, EmbeddedActionsParser, type IRecognitionException, type IToken, Lexer, type TokenType } from "chevrotain";

export interface Position {
  readonly line: number;
  readonly column: number;
}
export interface Word {
  readonly text: string;
  readonly at: Position;
}
export type ValueTree = { readonly at: Position } & (
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "name"; readonly name: string }
  /** With its quotes. */
  | { readonly kind: "quoted"; readonly text: string }
  | { readonly kind: "negative"; readonly x: ValueTree }
  | { readonly kind: "sum"; readonly terms: readonly { readonly sign: 1 | -1; readonly x: ValueTree }[] }
  | { readonly kind: "product"; readonly factors: readonly ValueTree[] }
  | { readonly kind: "call"; readonly name: string; readonly operands: readonly ValueTree[] }
  | { readonly kind: "list"; readonly items: readonly ValueTree[] }
  | { readonly kind: "record"; readonly entries: readonly { readonly key: Word; readonly value: ValueTree }[] }
);
export type TypeTree = { readonly at: Position } & (
  | { readonly dtype: Word; readonly axes: readonly { readonly name: Word | null; readonly size: ValueTree }[] }
  | { readonly items: readonly TypeTree[] }
);
export interface NodeTree {
  readonly at: Position;
  readonly label: Word;
  readonly op: Word;
  readonly leading: ValueTree | null;
  readonly inputs: readonly Word[];
  readonly attrs: readonly { readonly name: Word; readonly value: ValueTree }[];
  readonly type: TypeTree | null;
  /** With its `#`. */
  readonly span: Word | null;
  readonly bodies: readonly { readonly gradient: boolean; readonly graph: GraphTree }[];
}
export interface GraphTree {
  readonly at: Position;
  readonly name: Word;
  readonly dims: readonly { readonly name: string; readonly binding: Word; readonly min: number; readonly max: number; readonly multipleOf: number }[];
  readonly states: readonly { readonly name: Word; readonly type: TypeTree }[];
  readonly nodes: readonly NodeTree[];
  readonly outputs: readonly { readonly name: Word; readonly ref: Word }[];
  readonly updates: readonly { readonly name: Word; readonly ref: Word }[];
  readonly effects: readonly Word[];
}

const Name = createToken({ name: "Name", label: "a name", pattern: /[A-Za-z_$][\w$]*(?:\.[\w$]+)*/ });
const Ref = createToken({ name: "Ref", label: "a node such as %0", pattern: /%[\w$.]+/ });
const Num = createToken({ name: "Num", label: "a number", pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/ });
// An unclosed text is a token too, so that the rest of the line is read once; parse.ts refuses it.
const Quoted = createToken({ name: "Quoted", label: "quoted text", pattern: /"(?:[^"\\\n]|\\.)*"?/ });
const Span = createToken({ name: "Span", label: "# file:line:column", pattern: /#[^\n]*/ });
const Space = createToken({ name: "Space", pattern: /\s+/, group: Lexer.SKIPPED, line_breaks: true });
const Comment = createToken({ name: "Comment", pattern: /\/\/[^\n]*/, group: Lexer.SKIPPED });

const symbol = (name: string, pattern: string): TokenType => createToken({ name, label: `\`${pattern}\``, pattern });
const [Range, Open, Close, LeftBrace, RightBrace, LeftBracket, RightBracket] = [
  symbol("Range", ".."), symbol("Open", "("), symbol("Close", ")"), symbol("LeftBrace", "{"), symbol("RightBrace", "}"), symbol("LeftBracket", "["), symbol("RightBracket", "]"),
];
const [Comma, Colon, Equals, Plus, Minus, Times] = [symbol("Comma", ","), symbol("Colon", ":"), symbol("Equals", "="), symbol("Plus", "+"), symbol("Minus", "-"), symbol("Times", "*")];

// Each of these may also be a name: where it stands decides.
const words = ["graph", "dim", "state", "output", "update", "effects", "body", "gradient", "multiple"] as const;
const W = Object.fromEntries(words.map(w => [w, createToken({ name: `Word_${w}`, label: `\`${w}\``, pattern: w, longer_alt: Name, categories: [Name] })])) as { readonly [R in (typeof words)[number]]: TokenType };

const TOKENS = [Space, Comment, Span, Quoted, Ref, Num, ...Object.values(W), Name, Range, Open, Close, LeftBrace, RightBrace, LeftBracket, RightBracket, Comma, Colon, Equals, Plus, Minus, Times];
let lexer: Lexer | undefined;

/** How deep brackets, braces and bodies may stand in each other. */
const MAX_DEPTH = 100;

const position = (t: IToken): Position => ({ line: t.startLine ?? 1, column: t.startColumn ?? 1 });
const wordOf = (t: IToken): Word => ({ text: t.image, at: position(t) });

class GraphParser extends EmbeddedActionsParser {
  constructor() {
    super(TOKENS, { maxLookahead: 2 });
    this.performSelfAnalysis();
  }

  readonly file = this.RULE("file", (): GraphTree[] => {
    const graphs: GraphTree[] = [];
    this.AT_LEAST_ONE(() => {
      this.CONSUME(W.graph);
      graphs.push(this.SUBRULE(this.block));
    });
    return graphs;
  });

  readonly block = this.RULE("block", (): GraphTree => {
    const at = this.ACTION(() => position(this.LA(1)));
    const name = this.SUBRULE(this.name);
    const dims: GraphTree["dims"][number][] = [];
    const states: GraphTree["states"][number][] = [];
    const nodes: NodeTree[] = [];
    const outputs: GraphTree["outputs"][number][] = [];
    const updates: GraphTree["updates"][number][] = [];
    const effects: Word[] = [];
    this.CONSUME(LeftBrace);
    this.MANY(() => this.OR([
      { ALT: () => { this.CONSUME(W.dim); dims.push(this.SUBRULE(this.dim)); } },
      { ALT: () => {
        this.CONSUME(W.state);
        const state = this.SUBRULE1(this.name);
        this.CONSUME(Colon);
        states.push({ name: state, type: this.SUBRULE(this.type) });
      } },
      { ALT: () => { nodes.push(this.SUBRULE(this.node)); } },
      { ALT: () => { this.CONSUME(W.output); outputs.push(this.SUBRULE(this.named)); } },
      { ALT: () => { this.CONSUME(W.update); updates.push(this.SUBRULE1(this.named)); } },
      { ALT: () => {
        this.CONSUME(W.effects);
        this.AT_LEAST_ONE_SEP({ SEP: Comma, DEF: () => { effects.push(wordOf(this.CONSUME(Ref))); } });
      } },
    ]));
    this.CONSUME(RightBrace);
    return { at, name, dims, states, nodes, outputs, updates, effects };
  });

  readonly name = this.RULE("name", (): Word => wordOf(this.OR([{ ALT: () => this.CONSUME(Name) }, { ALT: () => this.CONSUME(Quoted) }])));

  readonly dim = this.RULE("dim", (): GraphTree["dims"][number] => {
    const name = this.CONSUME(Name).image;
    this.CONSUME(Colon);
    const binding = wordOf(this.CONSUME1(Name));
    const min = Number(this.CONSUME(Num).image);
    this.CONSUME(Range);
    const max = Number(this.CONSUME1(Num).image);
    const multipleOf = this.OPTION(() => {
      this.CONSUME(W.multiple);
      return Number(this.CONSUME2(Num).image);
    });
    return { name, binding, min, max, multipleOf: multipleOf ?? 1 };
  });

  readonly named = this.RULE("named", (): { name: Word; ref: Word } => {
    const name = this.SUBRULE(this.name);
    this.CONSUME(Equals);
    return { name, ref: wordOf(this.CONSUME(Ref)) };
  });

  readonly node = this.RULE("node", (): NodeTree => {
    const label = wordOf(this.CONSUME(Ref));
    this.CONSUME(Equals);
    const op = wordOf(this.CONSUME(Name));
    const leading = this.OPTION({ GATE: () => this.LA(2).tokenType !== Equals, DEF: () => this.SUBRULE(this.value) });
    const inputs: Word[] = [];
    this.MANY_SEP({ SEP: Comma, DEF: () => { inputs.push(wordOf(this.CONSUME1(Ref))); } });
    const attrs: NodeTree["attrs"][number][] = [];
    this.MANY(() => {
      const name = wordOf(this.CONSUME1(Name));
      this.CONSUME1(Equals);
      attrs.push({ name, value: this.SUBRULE1(this.value) });
    });
    const type = this.OPTION1(() => {
      this.CONSUME(Colon);
      return this.SUBRULE(this.type);
    });
    const span = this.OPTION2(() => wordOf(this.CONSUME(Span)));
    const bodies: NodeTree["bodies"][number][] = [];
    this.MANY1(() => {
      const head = this.OR([{ ALT: () => this.CONSUME(W.body) }, { ALT: () => this.CONSUME(W.gradient) }]);
      const graph = this.SUBRULE(this.block);
      bodies.push({ gradient: head.image === "gradient", graph });
    });
    return { at: label.at, label, op, leading: leading ?? null, inputs, attrs, type: type ?? null, span: span ?? null, bodies };
  });

  readonly type = this.RULE("type", (): TypeTree => {
    const at = this.ACTION(() => position(this.LA(1)));
    return this.OR([
      { ALT: (): TypeTree => {
        const items: TypeTree[] = [];
        this.CONSUME(Open);
        this.MANY_SEP({ SEP: Comma, DEF: () => { items.push(this.SUBRULE(this.type)); } });
        this.CONSUME(Close);
        return { at, items };
      } },
      { ALT: (): TypeTree => {
        const dtype = wordOf(this.CONSUME(Name));
        const axes: { name: Word | null; size: ValueTree }[] = [];
        this.CONSUME(LeftBracket);
        this.MANY_SEP1({ SEP: Comma, DEF: () => {
          const name = this.OPTION({ GATE: () => this.LA(2).tokenType === Equals, DEF: () => {
            const word = this.SUBRULE(this.name);
            this.CONSUME(Equals);
            return word;
          } });
          axes.push({ name: name ?? null, size: this.SUBRULE(this.sum) });
        } });
        this.CONSUME(RightBracket);
        return { at, dtype, axes };
      } },
    ]);
  });

  readonly value = this.RULE("value", (): ValueTree => this.OR([
    { ALT: (): ValueTree => { const { text, at } = wordOf(this.CONSUME(Quoted)); return { at, kind: "quoted", text }; } },
    { ALT: (): ValueTree => {
      const at = position(this.CONSUME(LeftBracket));
      const items: ValueTree[] = [];
      this.MANY_SEP({ SEP: Comma, DEF: () => { items.push(this.SUBRULE(this.value)); } });
      this.CONSUME(RightBracket);
      return { at, kind: "list", items };
    } },
    { ALT: (): ValueTree => {
      const at = position(this.CONSUME(LeftBrace));
      const entries: { key: Word; value: ValueTree }[] = [];
      this.MANY_SEP1({ SEP: Comma, DEF: () => {
        const key = this.SUBRULE(this.name);
        this.CONSUME(Colon);
        entries.push({ key, value: this.SUBRULE1(this.value) });
      } });
      this.CONSUME(RightBrace);
      return { at, kind: "record", entries };
    } },
    { ALT: (): ValueTree => this.SUBRULE(this.sum) },
  ]));

  readonly sum = this.RULE("sum", (): ValueTree => {
    const first = this.SUBRULE(this.term);
    const terms: { sign: 1 | -1; x: ValueTree }[] = [{ sign: 1, x: first }];
    this.MANY(() => {
      const op = this.OR([{ ALT: () => this.CONSUME(Plus) }, { ALT: () => this.CONSUME(Minus) }]);
      terms.push({ sign: op.image === "+" ? 1 : -1, x: this.SUBRULE1(this.term) });
    });
    return terms.length === 1 ? first : this.ACTION(() => ({ at: first.at, kind: "sum", terms }));
  });
  readonly term = this.RULE("term", (): ValueTree => {
    const sign = this.OPTION(() => position(this.CONSUME(Minus)));
    const first = this.SUBRULE(this.factor);
    const factors = [first];
    this.MANY(() => {
      this.CONSUME(Times);
      factors.push(this.SUBRULE1(this.factor));
    });
    return this.ACTION(() => {
      const product: ValueTree = factors.length === 1 ? first : { at: first.at, kind: "product", factors };
      return sign ? { at: sign, kind: "negative", x: product } : product;
    });
  });
  readonly factor = this.RULE("factor", (): ValueTree => this.OR([
    { ALT: (): ValueTree => { const t = this.CONSUME(Num); return { at: position(t), kind: "number", value: Number(t.image) }; } },
    { ALT: (): ValueTree => {
      const { text, at } = wordOf(this.CONSUME(Name));
      const operands = this.OPTION(() => {
        const list: ValueTree[] = [];
        this.CONSUME(Open);
        this.MANY_SEP({ SEP: Comma, DEF: () => { list.push(this.SUBRULE(this.sum)); } });
        this.CONSUME(Close);
        return list;
      });
      return operands ? { at, kind: "call", name: text, operands } : { at, kind: "name", name: text };
    } },
  ]));
}

let parser: GraphParser | undefined;

export interface SyntaxFault {
  readonly at: Position;
  readonly message: string;
  readonly found: string;
  readonly expected: string;
}

/** The syntax trees of the graphs, or the first fault. */
export function readTrees(text: string): readonly GraphTree[] | SyntaxFault {
  lexer ??= new Lexer(TOKENS, { positionTracking: "full" });
  const { tokens, errors } = lexer.tokenize(text);
  const [wrong] = errors;
  if (wrong) return { at: { line: wrong.line ?? 1, column: wrong.column ?? 1 }, message: "this character begins nothing", found: JSON.stringify(text.slice(wrong.offset, wrong.offset + 1)), expected: "names, %nodes, numbers, text in quotes and signs" };
  const deep = tooDeep(tokens);
  if (deep) return { at: position(deep), message: "this is nested too deeply", found: `${MAX_DEPTH + 1} levels`, expected: `at most ${MAX_DEPTH}` };
  parser ??= new GraphParser();
  parser.input = tokens;
  const trees = parser.file();
  const [failure] = parser.errors;
  return failure ? syntaxFault(failure, tokens) : trees;
}

function tooDeep(tokens: readonly IToken[]): IToken | undefined {
  let depth = 0;
  return tokens.find(({ tokenType: t }) => {
    if (t === Open || t === LeftBrace || t === LeftBracket) depth++;
    else if (t === Close || t === RightBrace || t === RightBracket) depth--;
    return depth > MAX_DEPTH;
  });
}

/** What may stand where a rule has several ways to go on. */
const WAYS: { readonly [rule: string]: string } = {
  file: "`graph`", block: "a node, `dim`, `state`, `output`, `update`, `effects` or `}`", name: "a name", type: "a type such as f32[N, 3]",
  value: "a value: a number, a name, text in quotes, a size, a list or {…}", factor: "a number or a name",
};

function syntaxFault(e: IRecognitionException, tokens: readonly IToken[]): SyntaxFault {
  const atEnd = e.token.image === "" || Number.isNaN(e.token.startLine);
  const last = tokens.at(-1);
  const at = atEnd && last ? { line: last.endLine ?? 1, column: (last.endColumn ?? 0) + 1 } : atEnd ? { line: 1, column: 1 } : position(e.token);
  const found = atEnd ? "the end of the text" : `\`${e.token.image.length > 40 ? `${e.token.image.slice(0, 40)}…` : e.token.image}\``;
  const rule = e.context.ruleStack.at(-1) ?? "file";
  // A closing brace is expected wherever nothing else fits.
  const wanted = e.name === "MismatchedTokenException" && rule !== "block" ? /-->\s*(.*?)\s*<--/s.exec(e.message)?.[1] : e.name === "NotAllInputParsedException" ? "`graph` or the end" : undefined;
  return { at, message: atEnd ? "the text ends too early" : "this cannot stand here", found, expected: wanted ?? WAYS[rule] ?? "something else" };
}
