// A CUDA C++ function while it is being written: its lines, the names in it, and values that are held under a name.
import type { ScalarType } from "../../kernel/ir.ts";
import { numberText } from "../../kernel/text.ts";
import { HEADER_NAMES } from "./header.ts";

/** The types of scalars; f16 is a float that is rounded after each operation. */
export const SCALAR_TYPE: { readonly [S in ScalarType]: string } = { f64: "double", f32: "float", f16: "float", i32: "int", u32: "uint32_t", bool: "bool" };

const WORDS: ReadonlySet<string> = new Set((
  "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr const_cast continue decltype default delete do double dynamic_cast else enum " +
  "explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register " +
  "reinterpret_cast return short signed sizeof static static_assert static_cast struct switch template this throw true try typedef typeid typename union unsigned using virtual void " +
  "volatile wchar_t while xor xor_eq int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t threadIdx blockIdx blockDim gridDim warpSize NAN INFINITY " +
  "low high scratch scratch_bytes number task thread row column value").split(" "));

export class Code {
  readonly #lines: string[] = [];
  readonly #names = new Map<string, string>();
  readonly #used = new Set<string>();
  #indent = 0;
  #declares = false;

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  /** The C++ name of a name of the kernel, always the same. */
  name(of: string): string {
    const known = this.#names.get(of);
    if (known !== undefined) return known;
    const name = this.fresh(of);
    this.#names.set(of, name);
    return name;
  }
  /** A name that nothing else has. */
  fresh(hint: string): string {
    const stem = hint.replace(/\W/g, "_").replace(/^(?=\d)/, "_");
    let name = WORDS.has(stem) || HEADER_NAMES.has(stem) || /^(__|_[A-Z]|(make_)?(u?(char|short|int|long)|float|double)[1-4]$)/.test(stem) ? `${stem}_` : stem;
    for (let i = 1; this.#used.has(name); i++) name = `${stem}_${i}`;
    this.#used.add(name);
    return name;
  }

  line(text: string): void {
    this.#lines.push(`${"  ".repeat(this.#indent)}${text}`);
  }
  declare(text: string): void {
    this.#declares = true;
    this.line(text);
  }

  /** Lines between braces. */
  block(head: string, write: () => void, tail = "}"): void {
    this.line(`${head} {`);
    this.#nested(write);
    this.line(tail);
  }
  /** Two blocks, the second where the first is not entered. */
  branch(head: string, yes: () => void, no: () => void): void {
    this.line(`${head} {`);
    this.#nested(yes);
    this.line("} else {");
    this.#nested(no);
    this.line("}");
  }
  /** Lines that get braces only if they declare anything. */
  group(write: () => void): void {
    const at = this.#lines.length;
    const declares = this.#nested(write);
    if (declares) {
      this.#lines.splice(at, 0, `${"  ".repeat(this.#indent)}{`);
      this.line("}");
    } else for (let i = at; i < this.#lines.length; i++) this.#lines[i] = this.#lines[i]!.slice(2);
  }
  #nested(write: () => void): boolean {
    const outer = this.#declares;
    this.#declares = false;
    this.#indent++;
    write();
    this.#indent--;
    const declares = this.#declares;
    this.#declares = outer;
    return declares;
  }
  /** The lines that the callback writes, which are not added. */
  aside(write: () => void): readonly string[] {
    const at = this.#lines.length;
    this.#nested(write);
    return this.#lines.splice(at);
  }
  add(lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  /** The value under a name, so that it can be used any number of times, and before what follows changes it. */
  hold(type: string, value: string, hint = "t"): string {
    if (/^[\w.]+$/.test(value)) return value;
    return this.held(type, value, hint);
  }
  held(type: string, value: string, hint: string): string {
    const name = this.fresh(hint);
    this.declare(`const ${type} ${name} = ${value};`);
    return name;
  }
}

/** A number as C++ writes it. */
export function literal(s: ScalarType, value: number): string {
  if (s === "i32") return value === -(2 ** 31) ? "INT32_MIN" : value < 0 ? `(${value})` : `${value}`;
  if (s === "u32") return `${value}u`;
  if (s === "bool") return value === 0 ? "false" : "true";
  if (Number.isNaN(value)) return s === "f64" ? "(double)NAN" : "NAN";
  if (!Number.isFinite(value)) return `${s === "f64" ? "(double)" : ""}${value > 0 ? "INFINITY" : "(-INFINITY)"}`;
  const text = s === "f64" ? (Object.is(value, -0) ? "-0" : String(value)) : numberText(value);
  const number = `${/[.e]/.test(text) ? text : `${text}.0`}${s === "f64" ? "" : "f"}`;
  return text.startsWith("-") ? `(${number})` : number;
}
