// The helper library that stands at the top of a C source: of the functions and vector types here, those that the kernels
// use. Functions are named by what they do and what they do it to: `min_f32x8`. Nothing here has undefined behaviour, and
// every function does for its lanes what kernel/scalar.ts and kernel/memory.ts do for one value.
import { type CVector, instructionText, nameOf } from "./instructions.ts";
import { SCALAR_TEXTS } from "./scalar-library.ts";

const C_TYPES: { readonly [element: string]: string } = {
  f64: "double", f32: "float", i64: "long long", u64: "unsigned long long", i32: "int32_t", u32: "uint32_t", i16: "int16_t", u16: "uint16_t", i8: "char", u8: "uint8_t",
};

/** An element in memory, at any address. */
const ACCESS = `INLINE TYPE fetch_NAME(const char *p) { return *(const NAME_at *)p; }

INLINE void put_NAME(char *p, TYPE x) { *(NAME_at *)p = x; }`;

const ATOMIC = `INLINE void atomic_OP_NAME(char *p, TYPE x) {
  WORD seen = __atomic_load_n((WORD *)p, __ATOMIC_RELAXED), wanted;
  do {
    TYPE was, next;
    __builtin_memcpy(&was, &seen, sizeof was);
    next = NEXT;
    __builtin_memcpy(&wanted, &next, sizeof next);
  } while (!__atomic_compare_exchange_n((WORD *)p, &seen, wanted, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}`;

/** Functions of vectors. V: the vector; E: its element in C; M: the integers of its lanes' width; N: lanes. */
const FLOATS: { readonly [operation: string]: string } = {
  min: "INLINE V min_V(V a, V b) { return (V)((M)below_V(a, b) | (M)below_V(b, a)); }",
  max: `INLINE V max_V(V a, V b) {
  V x = above_V(a, b), y = above_V(b, a), differing = (V)((M)x ^ (M)y);
  return (V)((M)y | (M)differing) - differing;
}`,
  abs: "INLINE V abs_V(V x) { return (V)((M)x & ~((M){0} + 1 << 8 * sizeof(E) - 1)); }",
};
const F32: { readonly [operation: string]: string } = {
  half: "INLINE V half_V(V x) { return floats_f16xN(halves_V(x)); }",
  brain_bits: `INLINE u32xN brain_bits_V(V x) {
  u32xN bits = (u32xN)x, ordinary = (u32xN)(x == x);
  return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16 & ordinary) | (0x7fc0 & ~ordinary);
}`,
  brain: "INLINE V brain_V(V x) { return (V)(brain_bits_V(x) << 16); }",
  i32_of: `INLINE M i32_of_V(V x) {
  M high = x >= 0x1p31f;
  V inside = (V)((M)above_V(x, splat_V(-0x1p31f)) & (x == x) & ~high);
  return (__builtin_convertvector(inside, M) & ~high) | (INT32_MAX & high);
}`,
  u32_of: `INLINE u32xN u32_of_V(V x) {
  u32xN high = (u32xN)(x >= 0x1p32f);
  V inside = (V)((u32xN)above_V(x, splat_V(0)) & ~high);
  return __builtin_convertvector(inside, u32xN) | high;
}`,
};
const F64: { readonly [operation: string]: string } = {
  i32_of: `INLINE i32xN i32_of_V(V x) {
  V inside = below_V(above_V((V)((M)x & (x == x)), splat_V(-0x1p31)), splat_V(0x1p31 - 1));
  return __builtin_convertvector(inside, i32xN);
}`,
  u32_of: `INLINE u32xN u32_of_V(V x) {
  V inside = below_V(above_V(x, splat_V(0)), splat_V(0x1p32 - 1));
  return __builtin_convertvector(inside, u32xN);
}`,
};
const INTEGERS: { readonly [operation: string]: string } = {
  abs: "INLINE V abs_V(V x) { V sign = x >> 31; return (x ^ sign) - sign; }",
  select: "INLINE V select_V(M mask, V yes, V no) { return (V)select_f32xN(mask, (f32xN)yes, (f32xN)no); }",
  mulhi: `INLINE V mulhi_V(V a, V b) {
  u64xH even = (u64xH)products_V(a, b), odd = (u64xH)products_V((V)((u64xH)a >> 32), (V)((u64xH)b >> 32));
  return (V)(even >> 32 | (odd & 0xffffffff00000000));
}`,
};
/** Bytes are taken apart into the even and the odd ones. */
const DOT4 = `INLINE V dot4_V(V a, V b, V c) {
  i16xD x = (i16xD)a, y = (i16xD)b;
  return c + pairs_V((x << 8) >> 8, (y << 8) >> 8) + pairs_V(x >> 8, y >> 8);
}`;
/** Of unsigned bytes: a + 128, less 128 times b. */
const DOT4_VNNI = `INLINE V dot4_V(V a, V b, V c) {
  V offset = (V){0} + (int32_t)0x80808080;
  return accumulate_V(c, a ^ offset, b) - accumulate_V((V){0}, offset, b);
}`;

/** Of the lanes 0, `step`, 2·`step`, … of each 128 bits, first in those 128 bits. */
const gathered = (lanes: number, step: number): string => {
  const [block, perBlock] = [4 * step, 4];
  return Array.from({ length: lanes }, (_, i) => (i % block < perBlock ? Math.floor(i / block) * block + (i % block) * step : -1)).join(", ");
};
const listed = (n: number, f: (i: number) => string | number): string => Array.from({ length: n }, (_, i) => f(i)).join(", ");

/** The words of narrow elements in memory. */
const source = (bits: 8 | 16, lanes: number): string => {
  const bytes = (bits * lanes) / 8;
  if (bytes >= 16) return `fetch_i${bits}x${lanes}(p)`;
  return bytes === 8 ? `(i${bits}x${128 / bits})(i64x2){fetch_i64(p)}` : `(i${bits}x${128 / bits})(i32x4){fetch_i32(p)}`;
};

/** Functions of vectors whose text depends on the number of lanes. */
function byLanes(operation: string, { element, lanes: n }: CVector): string | undefined {
  const v = `${element}x${n}`;
  const bits = element === "b8" ? 8 : Number(element.replace(/^\D+/, ""));
  const words = `i32x${n}`;
  switch (operation) {
    case "splat": return `INLINE ${v} splat_${v}(${C_TYPES[element]} x) { return (${v}){${listed(n, () => "x")}}; }`;
    case "load": {
      if (element === "f16") return `INLINE f32x${n} load_${v}(const char *p) { return floats_${v}(${source(16, n)}); }`;
      if (element === "bf16") return `INLINE f32x${n} load_${v}(const char *p) { return (f32x${n})(widened_u16x${n}(${source(16, n)}) << 16); }`;
      if (element === "b8") return `INLINE ${words} load_${v}(const char *p) { return load_i8x${n}(p) != 0; }`;
      if (element === "i4") {
        const packed = n === 4 ? "splat_i32x4(fetch_u16(p))" : n === 8 ? "splat_i32x8(fetch_i32(p))" : `(i32x16){${listed(16, i => (i < 8 ? "fetch_i32(p)" : "fetch_i32(p + 4)"))}}`;
        return `INLINE ${words} load_${v}(const char *p) { return (${packed} << (${words}){${listed(n, i => 28 - 4 * (i % 8))}}) >> 28; }`;
      }
      if (bits >= 32) return `INLINE ${v} load_${v}(const char *p) { return fetch_${v}(p); }`;
      const to = `${element[0]}32x${n}`;
      return `INLINE ${to} load_${v}(const char *p) { return (${to})widened_${v}(${source(bits as 8, n)}); }`;
    }
    case "store": {
      if (element === "f16") {
        const halves = `halves_f32x${n}(x)`;
        return `INLINE void store_${v}(char *p, f32x${n} x) { ${n === 4 ? `put_i64(p, ((i64x2)${halves})[0])` : `put_i16x${n}(p, ${halves})`}; }`;
      }
      if (element === "bf16") return `INLINE void store_${v}(char *p, f32x${n} x) { store_u16x${n}(p, brain_bits_f32x${n}(x)); }`;
      if (element === "b8") return `INLINE void store_${v}(char *p, ${words} x) { store_i8x${n}(p, x & 1); }`;
      if (element === "i4") {
        const all = (from: number): string => listed(Math.min(n, 8), i => `x[${from + i}]`).replaceAll(", ", " | ");
        const put = n === 4 ? `put_u16(p, (uint16_t)(${all(0)}));` : n === 8 ? `put_i32(p, ${all(0)});` : `put_i32(p, ${all(0)}); put_i32(p + 4, ${all(8)});`;
        return `INLINE void store_${v}(char *p, ${words} x) {\n  x = (x & 15) << (${words}){${listed(n, i => 4 * (i % 8))}};\n  ${put}\n}`;
      }
      if (bits >= 32) return `INLINE void store_${v}(char *p, ${v} x) { put_${v}(p, x); }`;
      const [from, signed] = [`${element[0]}32x${n}`, `i${bits}`];
      if (n === 16) return `INLINE void store_${v}(char *p, ${from} x) { put_${signed}x16(p, narrowed_${signed}x16((i32x16)x)); }`;
      // The low parts of each 128 bits.
      const [all, piece] = [`${signed}x${(32 * n) / bits}`, `i${4 * bits}`];
      const put = (i: number): string => `put_${piece}(p${i === 0 ? "" : ` + ${bits / 2}`}, ((${piece}x${(32 * n) / (4 * bits)})low)[${(i * 128) / (4 * bits)}]);`;
      return `INLINE void store_${v}(char *p, ${from} x) {
  ${all} low = __builtin_shufflevector((${all})x, (${all})x, ${gathered((32 * n) / bits, 32 / bits)});
  ${n === 4 ? put(0) : `${put(0)} ${put(1)}`}
}`;
    }
    case "load3": {
      if (element === "u8") return `INLINE u32x4 load3_u8x4(const char *p) { return (u32x4)widened_u8x4((i8x16)(i32x4){fetch_u16(p) | fetch_u8(p + 2) << 16}); }`;
      return `INLINE ${v} load3_${v}(const char *p) { ${v} x = (${v})(i64x2){fetch_i64(p)}; x[2] = fetch_${element}(p + 8); return x; }`;
    }
    case "store3": {
      if (element === "u8") return `INLINE void store3_u8x4(char *p, u32x4 x) {
  i8x16 low = __builtin_shufflevector((i8x16)x, (i8x16)x, ${gathered(16, 4)});
  int32_t word = ((i32x4)low)[0];
  put_u16(p, (uint16_t)word);
  p[2] = (char)(word >> 16);
}`;
      return `INLINE void store3_${v}(char *p, ${v} x) { put_i64(p, ((i64x2)x)[0]); put_${element}(p + 8, x[2]); }`;
    }
    case "lookup": {
      if (n === 16) return "INLINE i32x16 lookup_i32x16(const void *table, i32x16 index) { return choose16_i32x16(fetch_i32x16(table), index); }";
      if (n === 8) return `INLINE i32x8 lookup_i32x8(const void *table, i32x8 index) {
  i32x8 low = choose_i32x8(fetch_i32x8(table), index), high = choose_i32x8(fetch_i32x8((const char *)table + 32), index);
  return select_i32x8((index << 28) >> 31, high, low);
}`;
      return `INLINE i32x4 lookup_i32x4(const void *table, i32x4 index) {
  i32x8 found = lookup_i32x8(table, __builtin_shufflevector(index, index, 0, 1, 2, 3, 0, 1, 2, 3));
  return __builtin_shufflevector(found, found, 0, 1, 2, 3);
}`;
    }
    default: return undefined;
  }
}

const FUNCTION = /^([a-z]\w*?)_((?:bf16|f16|f32|f64|i4|b8|[iu](?:8|16|32|64))(?:x(\d+))?)$/;
const VECTOR = /\b([fiu](?:8|16|32|64))x(\d+)(_at)?\b/g;
const ELEMENT_AT = /\b([fiu](?:8|16|32|64))_at\b/g;

export interface LibraryOptions {
  /** By <immintrin.h>, and not by gcc's builtins. */
  readonly intrinsics: boolean;
  readonly vnni: boolean;
}

function define(name: string, { intrinsics, vnni }: LibraryOptions): string | undefined {
  const scalar = SCALAR_TEXTS.get(name);
  if (scalar !== undefined) return scalar;
  const match = FUNCTION.exec(name);
  if (!match) return undefined;
  const [operation, type, lanes] = [match[1]!, match[2]!, match[3]];
  if (operation === "fetch" || operation === "put") {
    const [fetch, put] = ACCESS.replaceAll("NAME", type).replaceAll("TYPE", C_TYPES[type] ?? type).split("\n\n");
    return operation === "fetch" ? fetch : put;
  }
  if (lanes === undefined) {
    const [, atomic] = /^atomic_(add|min|max)$/.exec(operation) ?? [];
    if (atomic !== undefined) {
      const next = atomic === "add" ? "was + x" : `${atomic}_${type}(was, x)`;
      return ATOMIC.replaceAll("OP", atomic).replaceAll("NAME", type).replaceAll("TYPE", C_TYPES[type]!).replaceAll("WORD", type === "f64" ? "uint64_t" : "uint32_t").replaceAll("NEXT", next);
    }
    if (operation === "load") return `INLINE ${C_TYPES[type]} load_${type}(const char *p) { return fetch_${type}(p); }`;
    if (operation === "store") return `INLINE void store_${type}(char *p, ${C_TYPES[type]} x) { put_${type}(p, x); }`;
    return undefined;
  }
  const element = type.slice(0, type.indexOf("x"));
  const vector: CVector = { element, lanes: Number(lanes) };
  const instruction = instructionText(operation, vector, intrinsics);
  if (instruction !== undefined) return instruction;
  const isFloat = element === "f32" || element === "f64";
  const tables = isFloat ? [FLOATS, element === "f32" ? F32 : F64] : [INTEGERS];
  const text = operation === "dot4" ? (vnni ? DOT4_VNNI : DOT4) : tables.flatMap(t => (Object.hasOwn(t, operation) ? [t[operation]!] : []))[0];
  if (text === undefined) return byLanes(operation, vector);
  const { lanes: n } = vector;
  return text.replace(/V\b/g, nameOf(vector)).replace(/\bM\b/g, `i${element.slice(1)}x${n}`).replace(/\bE\b/g, C_TYPES[element]!).replace(/x([NHD])\b/g, (_, x: string) => `x${x === "N" ? n : x === "H" ? n / 2 : 2 * n}`);
}

/** What must stand before the kernels: the types and functions that their text uses. */
export function libraryText(kernels: string, options: LibraryOptions): string {
  const functions = new Map<string, string>();
  const visit = (text: string): void => {
    for (const [name] of text.matchAll(/\b[a-z]\w*(?=\()/g)) {
      if (functions.has(name)) continue;
      const definition = define(name, options);
      if (definition === undefined) continue;
      functions.set(name, "");
      visit(definition);
      // After whatever it uses.
      functions.delete(name);
      functions.set(name, definition);
    }
  };
  visit(kernels);
  const code = [...functions.values()].join("\n");
  const types = new Set<string>();
  for (const text of [code, kernels]) {
    for (const [, element, lanes, at] of text.matchAll(VECTOR)) {
      const name = `${element}x${lanes}`;
      types.add(`typedef ${C_TYPES[element!]} ${name} __attribute__((vector_size(${(Number(element!.slice(1)) / 8) * Number(lanes)})));`);
      if (at) types.add(`typedef ${name} ${name}_at __attribute__((aligned(1), may_alias));`);
    }
    for (const [, element] of text.matchAll(ELEMENT_AT)) types.add(`typedef ${C_TYPES[element!]} ${element}_at __attribute__((aligned(1), may_alias));`);
  }
  return [
    "#include <stdint.h>", ...(options.intrinsics ? ["#include <immintrin.h>"] : []), "",
    "#define INLINE static inline __attribute__((always_inline))",
    "/* The value stays in a register, instead of being read from memory at each use. */",
    '#define KEEP(x) __asm__("" : "+v"(x))',
    ...types, "", code, "",
  ].join("\n");
}

/** Whether a name in C could be one of the library's. */
export const isLibraryName = (name: string): boolean =>
  SCALAR_TEXTS.has(name) || FUNCTION.test(name) || /^[fiu](8|16|32|64)(x\d+)?(_at)?$/.test(name) || /^t\d+$/.test(name) || /^table\d*$/.test(name);
