// The helper library that stands at the top of a C source: of the functions and vector types here, those that the kernels
// use. Functions are named by what they do and what they do it to: `min_f32x8`. Nothing here has undefined behaviour, and
// every function does for its lanes what kernel/scalar.ts and kernel/memory.ts do for one value.
import { type CVector, instructionText, nameOf } from "./instructions.ts";

const C_TYPES: { readonly [element: string]: string } = {
  f64: "double", f32: "float", i64: "int64_t", u64: "uint64_t", i32: "int32_t", u32: "uint32_t", i16: "int16_t", u16: "uint16_t", i8: "char", u8: "uint8_t",
};

/** Functions of scalars; each paragraph is one. */
const SCALARS = `
INLINE int64_t min_size(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t max_size(int64_t a, int64_t b) { return a > b ? a : b; }

INLINE int64_t floordiv_size(int64_t a, int64_t b) { return a / b - (a % b < 0); }

INLINE int64_t mod_size(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; }

INLINE int32_t min_i32(int32_t a, int32_t b) { return a < b ? a : b; }

INLINE int32_t max_i32(int32_t a, int32_t b) { return a > b ? a : b; }

INLINE uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

INLINE uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }

INLINE float min_f32(float a, float b) { return min_f32x4((f32x4){a}, (f32x4){b})[0]; }

INLINE float max_f32(float a, float b) { return max_f32x4((f32x4){a}, (f32x4){b})[0]; }

INLINE double min_f64(double a, double b) { return min_f64x2((f64x2){a}, (f64x2){b})[0]; }

INLINE double max_f64(double a, double b) { return max_f64x2((f64x2){a}, (f64x2){b})[0]; }

INLINE float floor_f32(float x) { return floor_f32x4((f32x4){x})[0]; }

INLINE float ceil_f32(float x) { return ceil_f32x4((f32x4){x})[0]; }

INLINE float trunc_f32(float x) { return trunc_f32x4((f32x4){x})[0]; }

INLINE float round_even_f32(float x) { return round_even_f32x4((f32x4){x})[0]; }

INLINE float sqrt_f32(float x) { return __builtin_sqrtf(x); }

INLINE float abs_f32(float x) { return __builtin_fabsf(x); }

INLINE float fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

INLINE double floor_f64(double x) { return floor_f64x2((f64x2){x})[0]; }

INLINE double ceil_f64(double x) { return ceil_f64x2((f64x2){x})[0]; }

INLINE double trunc_f64(double x) { return trunc_f64x2((f64x2){x})[0]; }

INLINE double round_even_f64(double x) { return round_even_f64x2((f64x2){x})[0]; }

INLINE double sqrt_f64(double x) { return __builtin_sqrt(x); }

INLINE double abs_f64(double x) { return __builtin_fabs(x); }

INLINE double fma_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }

INLINE int32_t abs_i32(int32_t x) { return x < 0 ? -x : x; }

INLINE int32_t div_i32(int32_t a, int32_t b) { return b == 0 ? 0 : b == -1 ? -a : a / b; }

INLINE uint32_t div_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a / b; }

INLINE int32_t rem_i32(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }

INLINE uint32_t rem_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a % b; }

INLINE float rem_f32(float a, float b) { return (float)rem_f64(a, b); }

/* Exact: the divisor's multiples by powers of two are subtracted from the largest down. */
static double rem_f64(double a, double b) {
  double rest = __builtin_fabs(a), multiple = b = __builtin_fabs(b);
  if (!(rest < __builtin_inf() && b > 0)) return __builtin_nan("");
  if (b < __builtin_inf()) {
    while (multiple <= rest * 0.5) multiple += multiple;
    for (;;) {
      if (rest >= multiple) rest -= multiple;
      if (multiple <= b) break;
      multiple *= 0.5;
    }
  }
  return __builtin_copysign(rest, a);
}

INLINE int32_t mulhi_i32(int32_t a, int32_t b) { return (int32_t)((int64_t)a * b >> 32); }

INLINE uint32_t mulhi_u32(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }

INLINE uint32_t bits_f32(float x) { uint32_t y; __builtin_memcpy(&y, &x, 4); return y; }

INLINE float float_u32(uint32_t x) { float y; __builtin_memcpy(&y, &x, 4); return y; }

INLINE int32_t i32_of_f32(float x) { return x >= 0x1p31f ? INT32_MAX : x >= -0x1p31f ? (int32_t)x : x == x ? INT32_MIN : 0; }

INLINE int32_t i32_of_f64(double x) { return x >= 0x1p31 ? INT32_MAX : x > -0x1p31 - 1 ? (int32_t)x : x == x ? INT32_MIN : 0; }

INLINE uint32_t u32_of_f32(float x) { return x >= 0x1p32f ? UINT32_MAX : x > -1 ? (uint32_t)x : 0; }

INLINE uint32_t u32_of_f64(double x) { return x >= 0x1p32 ? UINT32_MAX : x > -1 ? (uint32_t)x : 0; }

/* The f16 next to x. */
INLINE float half_f32(float x) { return half_f32x4((f32x4){x})[0]; }

/* The f16 next to x: the f32 between is rounded to odd, so that nothing is rounded twice. */
INLINE float half_f64(double x) {
  float near = (float)x;
  if ((double)near != x && x == x) {
    uint32_t bits = bits_f32(near);
    if (__builtin_fabs((double)near) > __builtin_fabs(x)) bits -= 1;
    near = float_u32(bits | 1);
  }
  return half_f32(near);
}

INLINE uint32_t brain_bits_f32(float x) {
  uint32_t bits = bits_f32(x);
  return x == x ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fc0;
}

/* The bf16 next to x. */
INLINE float brain_f32(float x) { return float_u32(brain_bits_f32(x) << 16); }

INLINE int32_t dot4_i32(int32_t a, int32_t b, int32_t c) {
  for (int i = 0; i < 32; i += 8) c += (int8_t)(a >> i) * (int8_t)(b >> i);
  return c;
}

INLINE int32_t load_i16(const char *p) { return fetch_i16(p); }

INLINE uint32_t load_u16(const char *p) { return fetch_u16(p); }

INLINE int32_t load_i8(const char *p) { return fetch_i8(p); }

INLINE uint32_t load_u8(const char *p) { return fetch_u8(p); }

INLINE int load_b8(const char *p) { return *p != 0; }

INLINE float load_f16(const char *p) { return floats_f16x4((i16x8){fetch_i16(p)})[0]; }

INLINE float load_bf16(const char *p) { return float_u32((uint32_t)fetch_u16(p) << 16); }

/* Element i of packed nibbles. */
INLINE int32_t load_i4(const char *p, int64_t i) { return (int32_t)((uint32_t)(uint8_t)p[i >> 1] << (i & 1 ? 24 : 28)) >> 28; }

INLINE void store_i16(char *p, int32_t x) { put_i16(p, (int16_t)x); }

INLINE void store_u16(char *p, uint32_t x) { put_u16(p, (uint16_t)x); }

INLINE void store_i8(char *p, int32_t x) { *p = (char)x; }

INLINE void store_u8(char *p, uint32_t x) { *p = (char)x; }

INLINE void store_b8(char *p, int x) { *p = (char)x; }

INLINE void store_f16(char *p, float x) { put_i16(p, halves_f32x4((f32x4){x})[0]); }

INLINE void store_bf16(char *p, float x) { put_u16(p, (uint16_t)brain_bits_f32(x)); }

INLINE void store_i4(char *p, int64_t i, int32_t x) {
  p += i >> 1;
  *p = (char)(i & 1 ? (*p & 0x0f) | (x & 15) << 4 : (*p & 0xf0) | (x & 15));
}
`;

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

const SCALAR_TEXTS: ReadonlyMap<string, string> = new Map(SCALARS.trim().split("\n\n").map(text => [/\b([a-z]\w*)\(/.exec(text.replace(/\/\*.*?\*\//s, ""))![1]!, text]));

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
