// A C function while it is being written: its lines, the names in it, and how values are made of C values. A scalar is one
// C value. A vector is one or more parts of the machine's width or less; lanes beyond the last are undefined.
import type { ScalarType, ValueType } from "../../kernel/ir.ts";
import { isLibraryName } from "./library.ts";

/** What the code is made for. */
export interface Machine {
  /** Of a vector register. */
  readonly vectorBits: 256 | 512;
  readonly vnni: boolean;
}

/** Consecutive lanes of a vector in one C value, which may be wider. */
export interface Part {
  readonly first: number;
  readonly count: number;
  readonly width: number;
}

const LEAST_BITS = 128;
export const bitsOf = (s: ScalarType): 32 | 64 => (s === "f64" ? 64 : 32);

/** The parts of a vector: as wide as lanes fill, and never narrower than 128 bits. */
export function partsOf({ vectorBits }: Machine, scalar: ScalarType, lanes: number): Part[] {
  const parts: Part[] = [];
  const least = LEAST_BITS / bitsOf(scalar);
  let width = vectorBits / bitsOf(scalar);
  for (let first = 0; first < lanes; first += width) {
    while (width > least && width > lanes - first) width /= 2;
    parts.push({ first, count: Math.min(width, lanes - first), width });
  }
  return parts;
}

/** The elements of vectors in C; masks are all ones or zero. f16 is an f32 that is rounded after each operation. */
export const ELEMENT: { readonly [S in ScalarType]: "f64" | "f32" | "i32" | "u32" } = { f64: "f64", f32: "f32", f16: "f32", i32: "i32", u32: "u32", bool: "i32" };
export const vectorType = (s: ScalarType, width: number): string => `${ELEMENT[s]}x${width}`;
/** The type of a scalar. */
export const SCALAR_TYPE: { readonly [S in ScalarType]: string } = { f64: "double", f32: "float", f16: "float", i32: "int32_t", u32: "uint32_t", bool: "int" };

const KEYWORDS: ReadonlySet<string> = new Set((
  "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short signed sizeof static struct " +
  "switch typedef union unsigned void volatile while asm typeof bool true false params dims low high scratch task rest int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t INLINE").split(" "));
const isTaken = (name: string): boolean => KEYWORDS.has(name) || isLibraryName(name) || /^(_|k\d+$|INT|UINT)|_at\d+$/.test(name);

/** A block of C, with the pointers that it declares at its start and sets where they are used first, by what they are set to. */
interface Block {
  indent: number;
  readonly pointers: Map<string, string>;
  /** As they are declared. */
  readonly declared: string[];
}

export class Code {
  readonly machine: Machine;
  readonly #lines: (string | Block)[] = [];
  /** Those that are open, the innermost last. */
  readonly #blocks: Block[] = [];
  readonly #names = new Map<string, string>();
  readonly #used = new Set<string>();
  #indent = 0;
  #temporaries = 0;
  #pointers = 0;
  #tables = 0;
  #declares = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  get text(): string {
    return this.#lines.map(line => (typeof line === "string" ? `${line}\n` : line.declared.map(d => `${"  ".repeat(line.indent)}${d};\n`).join(""))).join("");
  }

  /** The C name of a name of the kernel, always the same. */
  name(of: string): string {
    const known = this.#names.get(of);
    if (known !== undefined) return known;
    let name = of.replace(/\W/g, "_");
    while (isTaken(name) || this.#used.has(name)) name += "_";
    this.#used.add(name);
    this.#names.set(of, name);
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
    this.rest(write, tail);
  }
  /** The lines of an `else`, whose brace is open. */
  rest(write: () => void, tail = "}"): void {
    const block: Block = { indent: this.#indent + 1, pointers: new Map(), declared: [] };
    this.#lines.push(block);
    this.#blocks.push(block);
    this.#nested(write);
    this.#blocks.pop();
    this.line(tail);
  }
  /** Lines that get braces only if they declare anything. */
  group(write: () => void): void {
    const at = this.#lines.length;
    const declares = this.#nested(write);
    if (declares) {
      this.#lines.splice(at, 0, `${"  ".repeat(this.#indent)}{`);
      this.line("}");
    } else for (let i = at; i < this.#lines.length; i++) {
      const line = this.#lines[i]!;
      if (typeof line === "string") this.#lines[i] = line.slice(2);
      else line.indent--;
    }
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

  /** The value under a name, so that it can be used any number of times. */
  hold(type: string, value: string): string {
    if (/^\w+$/.test(value)) return value;
    const name = `t${this.#temporaries++}`;
    this.declare(`const ${type} ${name} = ${value};`);
    return name;
  }
  holdParts(scalar: ScalarType, lanes: number, values: readonly string[]): string[] {
    return values.map((v, i) => this.hold(this.typesOf({ scalar, lanes })[i]!, v));
  }

  /** The name of a pointer to this place in a buffer, one for the rest of the block: finding out that expressions are equal takes compilers long. */
  pointer(base: string, access: "read" | "write", place: string): string {
    const known = this.#blocks.map(b => b.pointers.get(place)).find(p => p !== undefined);
    if (known !== undefined) return known;
    const block = this.#blocks.at(-1)!;
    const name = `${base}_at${this.#pointers++}`;
    block.declared.push(`${access === "read" ? "const char" : "char"} *${name}`);
    block.pointers.set(place, name);
    this.line(`${name} = ${place};`);
    return name;
  }
  /** The C name stands for something else from here on. */
  rebind(name: string): void {
    for (const { pointers } of this.#blocks) for (const place of pointers.keys()) if (place.split(/\W+/).includes(name)) pointers.delete(place);
  }

  /** A constant array of 16. */
  table(type: string, values: readonly string[]): string {
    const name = `table${this.#tables++}`;
    this.declare(`static const ${type} ${name}[16] = {${values.join(", ")}};`);
    return name;
  }

  /** The C types of the parts of a value. */
  typesOf({ scalar, lanes }: ValueType): string[] {
    return lanes === 1 ? [SCALAR_TYPE[scalar]] : partsOf(this.machine, scalar, lanes).map(p => vectorType(scalar, p.width));
  }
}

/** A number as the C type writes it. */
export function literal(s: ScalarType, value: number): string {
  if (s === "i32") return value === -(2 ** 31) ? "INT32_MIN" : value < 0 ? `(${value})` : `${value}`;
  if (s === "u32") return `${value}u`;
  if (s === "bool") return value === 0 ? "0" : "1";
  const f = s === "f64" ? "" : "f";
  if (Number.isNaN(value)) return `__builtin_nan${f}("")`;
  if (!Number.isFinite(value)) return value > 0 ? `__builtin_inf${f}()` : `(-__builtin_inf${f}())`;
  const text = String(value);
  const number = `${/[.e]/.test(text) ? text : `${text}.0`}${f}`;
  return value < 0 || Object.is(value, -0) ? `(${Object.is(value, -0) ? `-0.0${f}` : number})` : number;
}
