// The grammar of .slk text: tokens and a Chevrotain parser that yields a syntax tree with positions. It knows no names and
// no types; parse.ts does. Imported lazily, for Chevrotain takes a while to load.
import { createToken, EmbeddedActionsParser, type ILexingError, type IRecognitionException, type IToken, Lexer, type TokenType } from "chevrotain";

export interface Position {
  readonly line: number;
  readonly column: number;
}
export type ExprTree = { readonly at: Position } & (
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "negative"; readonly x: ExprTree }
  | { readonly kind: "infix"; readonly op: "+" | "-" | "*"; readonly a: ExprTree; readonly b: ExprTree }
  | { readonly kind: "call"; readonly name: string; readonly operands: readonly ExprTree[] }
  | { readonly kind: "access"; readonly gather: boolean; readonly access: AccessTree }
);
export interface AccessTree {
  readonly at: Position;
  readonly buffer: string;
  readonly index: readonly ExprTree[];
  readonly lanes: number;
}
export interface BufferTree {
  readonly name: string;
  readonly element: Word;
  readonly shape: readonly ExprTree[];
  readonly swizzle: number;
}
/** A word whose meaning is checked later. */
export interface Word {
  readonly text: string;
  readonly at: Position;
}
export type StmtTree = { readonly at: Position } & (
  | { readonly kind: "for"; readonly unroll: boolean; readonly variable: string; readonly from: ExprTree; readonly to: ExprTree; readonly step: number; readonly body: readonly StmtTree[] }
  | { readonly kind: "while"; readonly condition: ExprTree; readonly body: readonly StmtTree[] }
  | { readonly kind: "if"; readonly condition: ExprTree; readonly yes: readonly StmtTree[]; readonly no: readonly StmtTree[] }
  | { readonly kind: "let"; readonly name: string; readonly value: ExprTree }
  | { readonly kind: "mut"; readonly name: string; readonly type: Word; readonly value: ExprTree }
  | { readonly kind: "assign"; readonly name: string; readonly value: ExprTree }
  | { readonly kind: "alloc"; readonly space: "shared" | "local" | "register"; readonly buffer: BufferTree }
  | { readonly kind: "store"; readonly to: AccessTree; readonly value: ExprTree }
  | { readonly kind: "atomic"; readonly op: "add" | "max" | "min"; readonly to: AccessTree; readonly value: ExprTree }
  | { readonly kind: "barrier"; readonly scope: "workgroup" | "subgroup" }
  | { readonly kind: "async_copy"; readonly to: AccessTree; readonly from: AccessTree; readonly elements: number }
  | { readonly kind: "async_commit" }
  | { readonly kind: "async_wait"; readonly pending: number }
  | { readonly kind: "fragment"; readonly name: string; readonly role: "a" | "b" | "accumulator"; readonly dtype: Word; readonly sizes: readonly number[] }
  | { readonly kind: "fragment_fill"; readonly fragment: string; readonly value: ExprTree }
  | { readonly kind: "fragment_load"; readonly fragment: string; readonly from: AccessTree; readonly order: "row" | "column" }
  | { readonly kind: "fragment_mma"; readonly d: string; readonly a: string; readonly b: string }
  | { readonly kind: "fragment_store"; readonly fragment: string; readonly to: AccessTree }
);
export interface KernelTree {
  readonly name: string;
  readonly machine: "simd" | "simt";
  readonly summary: string;
  readonly flops: ExprTree;
  readonly spans: readonly { readonly file: string; readonly line: number; readonly column: number }[];
  readonly dims: readonly { readonly name: string; readonly binding: "call" | "instance"; readonly min: number; readonly max: number; readonly multipleOf: number }[];
  readonly params: readonly { readonly buffer: BufferTree; readonly access: "read" | "write" | "readwrite" }[];
  readonly grid: readonly { readonly name: string; readonly extent: ExprTree }[];
  readonly threads: readonly { readonly name: string; readonly extent: ExprTree }[];
  readonly body: readonly StmtTree[];
}

const Name = createToken({ name: "name", pattern: /[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*/ });
const Num = createToken({ name: "number", pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/ });
// An unclosed text is a token too, so that the rest of the line is read once; readTree refuses it.
const Text = createToken({ name: "quoted text", pattern: /"(?:[^"\\\n]|\\.)*"?/ });
const Space = createToken({ name: "space", pattern: /\s+/, group: Lexer.SKIPPED, line_breaks: true });
const Comment = createToken({ name: "comment", pattern: /\/\/[^\n]*/, group: Lexer.SKIPPED });
const symbol = (text: string): TokenType => createToken({ name: `\`${text}\``, pattern: text });
const [Assign, From, Range, Open, Close, LeftBrace, RightBrace, LeftBracket, RightBracket, Comma, Colon, Equals, Plus, Minus, Times] = [
  ":=", "+:", "..", "(", ")", "{", "}", "[", "]", ",", ":", "=", "+", "-", "*",
].map(symbol) as [TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType, TokenType];

// Every word but `gather` may also be a name: what follows it decides.
const word = (text: string): TokenType => createToken({ name: `\`${text}\``, pattern: text, longer_alt: Name, ...(text === "gather" ? {} : { categories: [Name] }) });
const words = [
  "kernel", "summary", "flops", "span", "dim", "param", "grid", "thread", "for", "unroll", "while", "if", "else", "let", "mut", "shared", "local", "register",
  "atomic_add", "atomic_max", "atomic_min", "barrier", "async_copy", "async_commit", "async_wait",
  "fragment", "fragment_fill", "fragment_load", "fragment_mma", "fragment_store", "gather",
  "in", "step", "from", "to", "by", "count", "with", "multiple", "swizzle",
] as const;
const W = Object.fromEntries(words.map(w => [w, word(w)])) as { readonly [R in (typeof words)[number]]: TokenType };

// The first pattern that matches wins, so longer words come before their beginnings.
const WORDS = Object.values(W).sort((a, b) => b.name.length - a.name.length);
const TOKENS = [Space, Comment, Text, Num, ...WORDS, Name, Assign, From, Range, Open, Close, LeftBrace, RightBrace, LeftBracket, RightBracket, Comma, Colon, Equals, Plus, Minus, Times];
const lexer = new Lexer(TOKENS, { positionTracking: "full" });

const position = (t: IToken): Position => ({ line: t.startLine ?? 1, column: t.startColumn ?? 1 });

class KernelParser extends EmbeddedActionsParser {
  constructor() {
    super(TOKENS, { maxLookahead: 2 });
    this.performSelfAnalysis();
  }

  readonly kernel = this.RULE("kernel", (): KernelTree => {
    const spans: KernelTree["spans"][number][] = [];
    const dims: KernelTree["dims"][number][] = [];
    const params: KernelTree["params"][number][] = [];
    const grid: KernelTree["grid"][number][] = [];
    const threads: KernelTree["threads"][number][] = [];
    this.CONSUME(W.kernel);
    const name = this.SUBRULE(this.quoted);
    const machine = this.CONSUME(Name).image as "simd" | "simt";
    this.CONSUME(LeftBrace);
    this.CONSUME(W.summary);
    const summary = this.SUBRULE1(this.quoted);
    this.CONSUME(W.flops);
    const flops = this.SUBRULE(this.expression);
    this.MANY1(() => {
      this.CONSUME(W.span);
      spans.push({ file: this.SUBRULE2(this.quoted), line: this.SUBRULE(this.integer), column: this.SUBRULE1(this.integer) });
    });
    this.MANY2(() => {
      this.CONSUME(W.dim);
      const dim = this.CONSUME1(Name).image;
      this.CONSUME(Colon);
      const binding = this.CONSUME2(Name).image as "call" | "instance";
      const min = this.SUBRULE2(this.integer);
      this.CONSUME(Range);
      const max = this.SUBRULE3(this.integer);
      const multipleOf = this.OPTION(() => {
        this.CONSUME(W.multiple);
        return this.SUBRULE4(this.integer);
      });
      dims.push({ name: dim, binding, min, max, multipleOf: multipleOf ?? 1 });
    });
    this.MANY3(() => {
      this.CONSUME(W.param);
      const buffer = this.SUBRULE(this.buffer);
      params.push({ buffer, access: this.CONSUME3(Name).image as "read" });
    });
    this.MANY4(() => {
      this.CONSUME(W.grid);
      const variable = this.CONSUME4(Name).image;
      this.CONSUME1(Colon);
      grid.push({ name: variable, extent: this.SUBRULE1(this.expression) });
    });
    this.MANY5(() => {
      this.CONSUME(W.thread);
      const variable = this.CONSUME5(Name).image;
      this.CONSUME2(Colon);
      threads.push({ name: variable, extent: this.SUBRULE2(this.expression) });
    });
    const body = this.SUBRULE(this.statements);
    this.CONSUME(RightBrace);
    return { name, machine, summary, flops, spans, dims, params, grid, threads, body };
  });

  readonly quoted = this.RULE("quoted", (): string => {
    const { image } = this.CONSUME(Text);
    return this.ACTION(() => JSON.parse(image) as string);
  });
  readonly integer = this.RULE("integer", (): number => Number(this.CONSUME(Num).image));

  readonly buffer = this.RULE("buffer", (): BufferTree => {
    const name = this.CONSUME(Name).image;
    this.CONSUME(Colon);
    const element = this.CONSUME1(Name);
    this.CONSUME(LeftBracket);
    const shape: ExprTree[] = [];
    this.MANY_SEP({ SEP: Comma, DEF: () => { shape.push(this.SUBRULE(this.expression)); } });
    this.CONSUME(RightBracket);
    const swizzle = this.OPTION(() => {
      this.CONSUME(W.swizzle);
      return this.SUBRULE(this.integer);
    });
    return { name, element: { text: element.image, at: position(element) }, shape, swizzle: swizzle ?? 0 };
  });

  readonly statements = this.RULE("statements", (): StmtTree[] => {
    const block: StmtTree[] = [];
    this.MANY(() => { block.push(this.SUBRULE(this.statement)); });
    return block;
  });
  readonly block = this.RULE("block", (): StmtTree[] => {
    this.CONSUME(LeftBrace);
    const block = this.SUBRULE(this.statements);
    this.CONSUME(RightBrace);
    return block;
  });

  readonly statement = this.RULE("statement", (): StmtTree => {
    const at = this.ACTION(() => position(this.LA(1)));
    return this.OR([
      { ALT: (): StmtTree => this.SUBRULE(this.loop) },
      { ALT: (): StmtTree => { this.CONSUME(W.while); const condition = this.SUBRULE(this.expression); return { at, kind: "while", condition, body: this.SUBRULE(this.block) }; } },
      { ALT: (): StmtTree => {
        this.CONSUME(W.if);
        const condition = this.SUBRULE1(this.expression);
        const yes = this.SUBRULE1(this.block);
        const no = this.OPTION(() => {
          this.CONSUME(W.else);
          return this.SUBRULE2(this.block);
        });
        return { at, kind: "if", condition, yes, no: no ?? [] };
      } },
      { ALT: (): StmtTree => { this.CONSUME(W.let); const name = this.CONSUME(Name).image; this.CONSUME(Equals); return { at, kind: "let", name, value: this.SUBRULE2(this.expression) }; } },
      { ALT: (): StmtTree => {
        this.CONSUME(W.mut);
        const name = this.CONSUME1(Name).image;
        this.CONSUME(Colon);
        const type = this.CONSUME2(Name);
        this.CONSUME1(Equals);
        return { at, kind: "mut", name, type: { text: type.image, at: position(type) }, value: this.SUBRULE3(this.expression) };
      } },
      { ALT: (): StmtTree => { const name = this.CONSUME3(Name).image; this.CONSUME(Assign); return { at, kind: "assign", name, value: this.SUBRULE4(this.expression) }; } },
      { ALT: (): StmtTree => { const to = this.SUBRULE(this.access); this.CONSUME2(Equals); return { at, kind: "store", to, value: this.SUBRULE5(this.expression) }; } },
      { ALT: (): StmtTree => this.SUBRULE(this.atomic) },
      { ALT: (): StmtTree => this.SUBRULE(this.allocation) },
      { ALT: (): StmtTree => { this.CONSUME(W.barrier); return { at, kind: "barrier", scope: this.CONSUME4(Name).image as "workgroup" }; } },
      { ALT: (): StmtTree => {
        this.CONSUME(W.async_copy);
        const to = this.SUBRULE1(this.access);
        this.CONSUME(W.from);
        const from = this.SUBRULE2(this.access);
        this.CONSUME(W.count);
        return { at, kind: "async_copy", to, from, elements: this.SUBRULE(this.integer) };
      } },
      { ALT: (): StmtTree => { this.CONSUME(W.async_commit); return { at, kind: "async_commit" }; } },
      { ALT: (): StmtTree => { this.CONSUME(W.async_wait); return { at, kind: "async_wait", pending: this.SUBRULE1(this.integer) }; } },
      { ALT: (): StmtTree => this.SUBRULE(this.fragmentStatement) },
    ]);
  });

  readonly loop = this.RULE("loop", (): StmtTree => {
    const head = this.OR([{ ALT: () => this.CONSUME(W.for) }, { ALT: () => this.CONSUME(W.unroll) }]);
    const variable = this.CONSUME(Name).image;
    this.CONSUME(W.in);
    const from = this.SUBRULE(this.expression);
    this.CONSUME(Range);
    const to = this.SUBRULE1(this.expression);
    const step = this.OPTION(() => {
      this.CONSUME(W.step);
      return this.SUBRULE(this.integer);
    });
    const body = this.SUBRULE(this.block);
    return this.ACTION(() => ({ at: position(head), kind: "for", unroll: head.image === "unroll", variable, from, to, step: step ?? 1, body }));
  });

  readonly allocation = this.RULE("allocation", (): StmtTree => {
    const space = this.OR([{ ALT: () => this.CONSUME(W.shared) }, { ALT: () => this.CONSUME(W.local) }, { ALT: () => this.CONSUME(W.register) }]);
    const buffer = this.SUBRULE(this.buffer);
    return this.ACTION(() => ({ at: position(space), kind: "alloc", space: space.image as "shared", buffer }));
  });

  readonly atomic = this.RULE("atomic", (): StmtTree => {
    const head = this.OR([{ ALT: () => this.CONSUME(W.atomic_add) }, { ALT: () => this.CONSUME(W.atomic_max) }, { ALT: () => this.CONSUME(W.atomic_min) }]);
    const to = this.SUBRULE(this.access);
    this.CONSUME(W.by);
    const value = this.SUBRULE(this.expression);
    return this.ACTION(() => ({ at: position(head), kind: "atomic", op: head.image.slice("atomic_".length) as "add", to, value }));
  });

  readonly fragmentStatement = this.RULE("fragmentStatement", (): StmtTree => {
    const at = this.ACTION(() => position(this.LA(1)));
    return this.OR([
      { ALT: (): StmtTree => {
        this.CONSUME(W.fragment);
        const name = this.CONSUME(Name).image;
        this.CONSUME(Colon);
        const role = this.CONSUME1(Name).image as "a";
        const dtype = this.CONSUME2(Name);
        const sizes = [this.SUBRULE(this.integer)];
        this.CONSUME(W.by);
        sizes.push(this.SUBRULE1(this.integer));
        this.CONSUME1(W.by);
        sizes.push(this.SUBRULE2(this.integer));
        return { at, kind: "fragment", name, role, dtype: { text: dtype.image, at: position(dtype) }, sizes };
      } },
      { ALT: (): StmtTree => { this.CONSUME(W.fragment_fill); const fragment = this.CONSUME3(Name).image; this.CONSUME(W.with); return { at, kind: "fragment_fill", fragment, value: this.SUBRULE(this.expression) }; } },
      { ALT: (): StmtTree => {
        this.CONSUME(W.fragment_load);
        const fragment = this.CONSUME4(Name).image;
        this.CONSUME(W.from);
        const from = this.SUBRULE(this.access);
        return { at, kind: "fragment_load", fragment, from, order: this.CONSUME5(Name).image as "row" };
      } },
      { ALT: (): StmtTree => {
        this.CONSUME(W.fragment_mma);
        const d = this.CONSUME6(Name).image;
        this.CONSUME2(W.by);
        const a = this.CONSUME7(Name).image;
        this.CONSUME(Comma);
        return { at, kind: "fragment_mma", d, a, b: this.CONSUME8(Name).image };
      } },
      { ALT: (): StmtTree => { this.CONSUME(W.fragment_store); const fragment = this.CONSUME9(Name).image; this.CONSUME(W.to); return { at, kind: "fragment_store", fragment, to: this.SUBRULE1(this.access) }; } },
    ]);
  });

  readonly access = this.RULE("access", (): AccessTree => {
    const buffer = this.CONSUME(Name);
    this.CONSUME(LeftBracket);
    const index: ExprTree[] = [];
    this.MANY_SEP({ SEP: Comma, DEF: () => { index.push(this.SUBRULE(this.expression)); } });
    const lanes = this.OPTION(() => {
      this.CONSUME(From);
      return this.SUBRULE(this.integer);
    });
    this.CONSUME(RightBracket);
    return { at: position(buffer), buffer: buffer.image, index, lanes: lanes ?? 1 };
  });

  readonly expression = this.RULE("expression", (): ExprTree => {
    let a = this.SUBRULE(this.product);
    this.MANY(() => {
      const op = this.OR([{ ALT: () => this.CONSUME(Plus) }, { ALT: () => this.CONSUME(Minus) }]);
      const b = this.SUBRULE1(this.product);
      a = this.ACTION(() => ({ at: position(op), kind: "infix", op: op.image as "+", a, b }));
    });
    return a;
  });
  readonly product = this.RULE("product", (): ExprTree => {
    let a = this.SUBRULE(this.factor);
    this.MANY(() => {
      const op = this.CONSUME(Times);
      const b = this.SUBRULE1(this.factor);
      a = { at: position(op), kind: "infix", op: "*", a, b };
    });
    return a;
  });
  readonly factor = this.RULE("factor", (): ExprTree => {
    const at = this.ACTION(() => position(this.LA(1)));
    return this.OR([
      { ALT: (): ExprTree => ({ at, kind: "number", value: Number(this.CONSUME(Num).image) }) },
      { ALT: (): ExprTree => { this.CONSUME(Minus); return { at, kind: "negative", x: this.SUBRULE(this.factor) }; } },
      { ALT: (): ExprTree => { this.CONSUME(Open); const x = this.SUBRULE(this.expression); this.CONSUME(Close); return x; } },
      { ALT: (): ExprTree => { this.CONSUME(W.gather); return { at, kind: "access", gather: true, access: this.SUBRULE(this.access) }; } },
      { ALT: (): ExprTree => {
        const name = this.CONSUME(Name).image;
        this.CONSUME1(Open);
        const operands: ExprTree[] = [];
        this.MANY_SEP({ SEP: Comma, DEF: () => { operands.push(this.SUBRULE1(this.expression)); } });
        this.CONSUME1(Close);
        return { at, kind: "call", name, operands };
      } },
      { ALT: (): ExprTree => ({ at, kind: "access", gather: false, access: this.SUBRULE1(this.access) }) },
      { ALT: (): ExprTree => ({ at, kind: "name", name: this.CONSUME1(Name).image }) },
    ]);
  });
}

let parser: KernelParser | undefined;

export interface SyntaxError {
  readonly at: Position;
  readonly message: string;
  readonly found: string;
}

/** The syntax tree, or the first error. */
export function readTree(text: string): KernelTree | SyntaxError {
  const { tokens, errors } = lexer.tokenize(text);
  const [wrong] = errors;
  if (wrong) return lexicalError(wrong, text);
  const fault = tokenFault(tokens);
  if (fault) return fault;
  parser ??= new KernelParser();
  parser.input = tokens;
  const tree = parser.kernel();
  const [failure] = parser.errors;
  return failure ? syntaxError(failure, tokens) : tree;
}

/** How deep brackets, blocks and signs may stand in each other. */
const MAX_DEPTH = 200;

/** Texts that JSON cannot read, and nesting that would overflow the stack. */
function tokenFault(tokens: readonly IToken[]): SyntaxError | undefined {
  let depth = 0;
  let signs = 0;
  for (const t of tokens) {
    if (t.tokenType === Open || t.tokenType === LeftBrace || t.tokenType === LeftBracket) depth++;
    else if (t.tokenType === Close || t.tokenType === RightBrace || t.tokenType === RightBracket) depth--;
    signs = t.tokenType === Minus ? signs + 1 : 0;
    if (depth + signs > MAX_DEPTH) return { at: position(t), message: "this is nested too deeply", found: `${depth + signs} levels, where at most ${MAX_DEPTH} are read` };
    if (t.tokenType === Text && !isJson(t.image)) return { at: position(t), message: "this text cannot be read", found: t.image.length > 40 ? `${t.image.slice(0, 40)}…` : t.image };
  }
  return undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const lexicalError = (e: ILexingError, text: string): SyntaxError => ({
  at: { line: e.line ?? 1, column: e.column ?? 1 }, message: "this character begins nothing", found: JSON.stringify(text.slice(e.offset, e.offset + 1)),
});

function syntaxError(e: IRecognitionException, tokens: readonly IToken[]): SyntaxError {
  const atEnd = e.token.image === "" || Number.isNaN(e.token.startLine);
  const last = tokens.at(-1);
  const at = atEnd && last ? { line: last.endLine ?? 1, column: (last.endColumn ?? 0) + 1 } : atEnd ? { line: 1, column: 1 } : position(e.token);
  // Of a choice with dozens of ways to go on, only what is being chosen is worth saying.
  const rule = e.context.ruleStack.at(-1);
  const message = e.name === "NoViableAltException"
    ? `${rule === "factor" ? "an expression" : "a statement"} must stand here`
    : e.message.replace(/ but found.*$/s, "").replaceAll("\n", " ").replace(/-->\s*(.*?)\s*<--/g, "$1").trim();
  return { at, message, found: atEnd ? "the end of the text" : `\`${e.token.image}\`` };
}
