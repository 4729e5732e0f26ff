// Kernels as text (.slk): what people read, what parse.ts reads back to the identical kernel.
//
//   kernel "scale" simd {
//     summary "y = 2x"
//     flops n
//     dim n: call 1..4096 multiple 4
//     param x: f32[n] read
//     param y: f32[n] write
//     grid i: floordiv(n, 4)
//     y[4*i] = mul(x[4*i +: 4], f32x4(2))
//   }
//
// Infix arithmetic is index arithmetic; everything else is a function. A bare number is an index, `f32(2)` a constant.
// `x[i +: 4]` is a vector of four elements from i on. A bare name bound by `let` or `mut` is its value, and `index(x)` the
// same name as an index where both could be meant.
import { type Atom, type Size, sizeText } from "../base/sizes.ts";
import { typeText } from "./expr.ts";
import type { Buffer, Expr, Kernel, Stmt, ValueType } from "./ir.ts";
import { REGISTER_TYPE } from "./ir.ts";

/** The shortest decimal that reads back as the same number at f32 where it is one. */
export function numberText(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x < 0 ? "-inf" : "inf";
  if (Object.is(x, -0)) return "-0";
  if (!Number.isInteger(x) && Math.fround(x) === x) {
    for (let digits = 6; digits < 10; digits++) {
      const text = String(Number(x.toPrecision(digits)));
      if (Math.fround(Number(text)) === x) return text;
    }
  }
  return String(x);
}

/** Whether the lone atom reads as index arithmetic by itself: `min(x, 3)` does not when x may be a value. */
function readsAsIndex(s: Size, isValue: (name: string) => boolean): boolean {
  const atom = loneAtom(s);
  if (!atom) return true;
  switch (atom.kind) {
    case "dim": return !isValue(atom.name);
    case "min": case "max": return readsAsIndex(atom.a, isValue) && readsAsIndex(atom.b, isValue);
    case "floordiv": case "mod": return true;
  }
}
const loneAtom = (s: Size): Atom | undefined => {
  if (typeof s === "number") return undefined;
  const [term] = s.terms;
  return s.terms.length === 1 && term?.coefficient === 1 && term.atoms.length === 1 ? term.atoms[0] : undefined;
};

/** The names that stand for values, as `index` in the text form tells apart. */
export function kernelText(k: Kernel): string {
  const values = new Set<string>();
  const isValue = (name: string): boolean => values.has(name);
  const lines: string[] = [];

  const indexText = (s: Size): string => (readsAsIndex(s, isValue) ? sizeText(s) : `index(${sizeText(s)})`);
  const list = (es: readonly Expr[]): string => es.map(text).join(", ");

  function text(e: Expr): string {
    switch (e.kind) {
      case "const": return `${typeText(e.type)}(${numberText(e.value)})`;
      case "size": return indexText(e.size);
      case "var": return e.name;
      case "unary": return `${e.op}(${text(e.x)})`;
      case "binary":
        // Without `index` the two would read as one index.
        if ((e.op === "min" || e.op === "max") && e.a.kind === "size" && e.b.kind === "size") return `${e.op}(index(${sizeText(e.a.size)}), ${text(e.b)})`;
        return `${e.op}(${text(e.a)}, ${text(e.b)})`;
      case "fma": return `fma(${list([e.a, e.b, e.c])})`;
      case "select": return `select(${list([e.condition, e.yes, e.no])})`;
      case "cast": return `cast_${e.to}(${text(e.x)})`;
      case "bitcast": return `bitcast_${e.to}(${text(e.x)})`;
      case "load": return access(e.buffer, e.index, e.type.lanes);
      case "gather": return `gather ${access(e.buffer, e.index, 1)}`;
      case "splat": return `splat(${text(e.x)}, ${e.lanes})`;
      case "vector": return `vector(${list(e.items)})`;
      case "lane": return `lane(${text(e.x)}, ${e.lane})`;
      case "shuffle": return `shuffle(${text(e.a)}, ${text(e.b)}, ${e.lanes.join(", ")})`;
      case "horizontal": return `horizontal_${e.op}(${text(e.x)})`;
      case "dot4": return `dot4(${list([e.a, e.b, e.c])})`;
      case "lookup16": return `lookup16_${e.type.scalar}(${text(e.index)}, ${e.table.map(numberText).join(", ")})`;
      case "subgroup_xor": return `subgroup_xor(${text(e.x)}, ${e.mask})`;
      case "subgroup_reduce": return `subgroup_${e.op}(${text(e.x)})`;
    }
  }

  const registers = new Set<string>();
  const access = (buffer: string, index: readonly Expr[], lanes: number): string =>
    `${buffer}[${list(index)}${lanes > 1 && !registers.has(buffer) ? ` +: ${lanes}` : ""}]`;

  function bufferText(b: Buffer): string {
    const element: ValueType = { scalar: REGISTER_TYPE[b.dtype], lanes: b.lanes };
    const dtype = b.lanes === 1 ? b.dtype : `${b.dtype}x${element.lanes}`;
    return `${b.name}: ${dtype}[${b.shape.map(sizeText).join(", ")}]${b.swizzle ? ` swizzle ${b.swizzle}` : ""}`;
  }

  function block(statements: readonly Stmt[], indent: string): void {
    for (const s of statements) statement(s, indent);
  }
  function nested(head: string, body: readonly Stmt[], indent: string): void {
    lines.push(`${indent}${head} {`);
    block(body, `${indent}  `);
  }
  function statement(s: Stmt, indent: string): void {
    switch (s.kind) {
      case "for":
        nested(`${s.mode === "unroll" ? "unroll" : "for"} ${s.variable} in ${sizeText(s.from)} .. ${sizeText(s.to)}${s.step === 1 ? "" : ` step ${s.step}`}`, s.body, indent);
        lines.push(`${indent}}`);
        break;
      case "while":
        nested(`while ${text(s.condition)}`, s.body, indent);
        lines.push(`${indent}}`);
        break;
      case "if":
        nested(`if ${text(s.condition)}`, s.yes, indent);
        if (s.no.length > 0) nested("} else", s.no, indent);
        lines.push(`${indent}}`);
        break;
      default:
        lines.push(indent + simple(s));
        if (s.kind === "let" || s.kind === "mutable") values.add(s.name);
    }
  }
  function simple(s: Exclude<Stmt, { kind: "for" | "while" | "if" }>): string {
    switch (s.kind) {
      case "let": return `let ${s.name} = ${text(s.value)}`;
      case "mutable": return `mut ${s.name}: ${typeText(s.type)} = ${text(s.init)}`;
      case "assign": return `${s.name} := ${text(s.value)}`;
      case "alloc":
        if (s.buffer.space === "register") registers.add(s.buffer.name);
        return `${s.buffer.space} ${bufferText(s.buffer)}`;
      case "store": return `${access(s.buffer, s.index, 1)} = ${text(s.value)}`;
      case "atomic": return `atomic_${s.op} ${access(s.buffer, s.index, 1)} by ${text(s.value)}`;
      case "barrier": return `barrier ${s.scope}`;
      case "async_copy": return `async_copy ${access(s.to, s.toIndex, 1)} from ${access(s.from, s.fromIndex, 1)} count ${s.elements}`;
      case "async_commit": return "async_commit";
      case "async_wait": return `async_wait ${s.pending}`;
      case "fragment": return `fragment ${s.name}: ${s.role} ${s.dtype} ${s.m} by ${s.n} by ${s.k}`;
      case "fragment_fill": return `fragment_fill ${s.fragment} with ${numberText(s.value)}`;
      case "fragment_load": return `fragment_load ${s.fragment} from ${access(s.buffer, s.index, 1)} ${s.order}`;
      case "fragment_mma": return `fragment_mma ${s.d} by ${s.a}, ${s.b}`;
      case "fragment_store": return `fragment_store ${s.fragment} to ${access(s.buffer, s.index, 1)}`;
    }
  }

  lines.push(`kernel ${JSON.stringify(k.name)} ${k.machine} {`, `  summary ${JSON.stringify(k.summary)}`, `  flops ${sizeText(k.flops)}`);
  for (const s of k.spans) lines.push(`  span ${JSON.stringify(s.file)} ${s.line} ${s.column}`);
  for (const d of k.dims) lines.push(`  dim ${d.name}: ${d.binding} ${d.min} .. ${d.max}${d.multipleOf === 1 ? "" : ` multiple ${d.multipleOf}`}`);
  for (const p of k.params) lines.push(`  param ${bufferText(p)} ${p.access}`);
  for (const v of k.grid) lines.push(`  grid ${v.name}: ${sizeText(v.extent)}`);
  for (const v of k.threads) lines.push(`  thread ${v.name}: ${sizeText(v.extent)}`);
  block(k.body, "  ");
  lines.push("}");
  return `${lines.join("\n")}\n`;
}
