// The machine instructions that C has no words for, as functions of the helper library: by gcc's own builtins, whose
// declarations cost no time to read, or by the intrinsics of <immintrin.h>, which every other compiler has.

/** A vector in C: `f32x8`. */
export interface CVector {
  readonly element: string;
  readonly lanes: number;
}

type Bits = 128 | 256 | 512;

/** A C function of the name `operation_type`: its signature and the two ways to say what it computes. */
interface Instruction {
  readonly result: string;
  readonly parameters: string;
  readonly builtin: string;
  readonly intrinsic: string;
}

export const nameOf = (t: CVector): string => `${t.element}x${t.lanes}`;
const bitsOf = ({ element, lanes }: CVector): Bits => (lanes * Number(element.slice(1))) as Bits;
const builtin = (name: string, bits: Bits): string => `__builtin_ia32_${name}${bits === 128 ? "" : bits}`;
const intrinsic = (name: string, bits: Bits): string => `_mm${bits === 128 ? "" : bits}_${name}`;
const words = (bits: Bits): string => (bits === 512 ? "__m512i" : bits === 256 ? "__m256i" : "__m128i");
const CURRENT_ROUNDING = 4;

type Make = (t: CVector, bits: Bits) => Instruction;

/** Of f32 or f64. */
const suffix = (t: CVector): "ps" | "pd" => (t.element === "f64" ? "pd" : "ps");

const limit = (which: "min" | "max"): Make => (t, bits) => ({
  result: nameOf(t), parameters: `${nameOf(t)} a, ${nameOf(t)} b`,
  builtin: bits === 512 ? `__builtin_ia32_${which}${suffix(t)}512_mask(a, b, a, -1, ${CURRENT_ROUNDING})` : `${builtin(`${which}${suffix(t)}`, bits)}(a, b)`,
  intrinsic: `${intrinsic(`${which}_${suffix(t)}`, bits)}(a, b)`,
});

const integerLimit = (which: "min" | "max"): Make => (t, bits) => {
  const [letter, plain] = [t.element === "u32" ? "u" : "s", `i32x${t.lanes}`];
  const operands = `(${plain})a, (${plain})b`;
  return {
    result: nameOf(t), parameters: `${nameOf(t)} a, ${nameOf(t)} b`,
    builtin: `(${nameOf(t)})${bits === 512 ? `__builtin_ia32_p${which}${letter}d512_mask(${operands}, (i32x16)a, -1)` : `__builtin_ia32_p${which}${letter}d${bits}(${operands})`}`,
    intrinsic: `(${nameOf(t)})${intrinsic(`${which}_ep${letter === "u" ? "u" : "i"}32`, bits)}((${words(bits)})a, (${words(bits)})b)`,
  };
};

const rounding = (mode: number): Make => (t, bits) => ({
  result: nameOf(t), parameters: `${nameOf(t)} x`,
  builtin: bits === 512 ? `__builtin_ia32_rndscale${suffix(t)}_mask(x, ${mode}, x, -1, ${CURRENT_ROUNDING})` : `${builtin(`round${suffix(t)}`, bits)}(x, ${mode})`,
  intrinsic: bits === 512 ? `_mm512_roundscale_${suffix(t)}(x, ${mode})` : `${intrinsic(`round_${suffix(t)}`, bits)}(x, ${mode})`,
});

/** i8 and u8 from the low bytes of 16, i16 and u16 from the low words. */
const widened: Make = (t, _) => {
  const bits = (32 * t.lanes) as Bits;
  const [kind, from] = [t.element.startsWith("u") ? "z" : "s", t.element.endsWith("8") ? "b" : "w"];
  const source = from === "b" ? "i8x16" : bits === 512 ? "i16x16" : "i16x8";
  const to = `i32x${t.lanes}`;
  const name = `pmov${kind}x${from}d`;
  return {
    result: to, parameters: `${source} x`,
    builtin: bits === 512 ? `__builtin_ia32_${name}512_mask(x, (${to}){0}, -1)` : `__builtin_ia32_${name}${bits}(x)`,
    intrinsic: `(${to})${intrinsic(`cvtep${kind === "z" ? "u" : "i"}${from === "b" ? 8 : 16}_epi32`, bits)}((${source === "i16x16" ? "__m256i" : "__m128i"})x)`,
  };
};

/** The low bytes or words of 16 lanes. */
const narrowed: Make = t => {
  const to = nameOf(t);
  const letter = t.element === "i8" ? "b" : "w";
  return {
    result: to, parameters: "i32x16 x",
    builtin: `__builtin_ia32_pmovd${letter}512_mask(x, (${to}){0}, -1)`,
    intrinsic: `(${to})_mm512_cvtepi32_epi${letter === "b" ? 8 : 16}((__m512i)x)`,
  };
};

const INSTRUCTIONS: { readonly [operation: string]: Make } = {
  fma: (t, bits) => ({
    result: nameOf(t), parameters: `${nameOf(t)} a, ${nameOf(t)} b, ${nameOf(t)} c`,
    builtin: bits === 512 ? `__builtin_ia32_vfmadd${suffix(t)}512_mask(a, b, c, -1, ${CURRENT_ROUNDING})` : `${builtin(`vfmadd${suffix(t)}`, bits)}(a, b, c)`,
    intrinsic: `${intrinsic(`fmadd_${suffix(t)}`, bits)}(a, b, c)`,
  }),
  /** Of floats: a < b ? a : b, and a > b ? a : b. */
  below: limit("min"),
  above: limit("max"),
  min: integerLimit("min"),
  max: integerLimit("max"),
  sqrt: (t, bits) => ({
    result: nameOf(t), parameters: `${nameOf(t)} x`,
    builtin: bits === 512 ? `__builtin_ia32_sqrt${suffix(t)}512_mask(x, x, -1, ${CURRENT_ROUNDING})` : `${builtin(`sqrt${suffix(t)}`, bits)}(x)`,
    intrinsic: `${intrinsic(`sqrt_${suffix(t)}`, bits)}(x)`,
  }),
  round_even: rounding(8),
  floor: rounding(9),
  ceil: rounding(10),
  trunc: rounding(11),
  /** yes where the lane of the mask is all ones, no where it is zero. */
  select: (t, bits) => {
    const [width, letter] = t.element === "f64" ? [64, "q"] : [32, "d"];
    return {
      result: nameOf(t), parameters: `i${width}x${t.lanes} mask, ${nameOf(t)} yes, ${nameOf(t)} no`,
      builtin: bits === 512 ? `__builtin_ia32_blendm${suffix(t)}_512_mask(no, yes, __builtin_ia32_cvt${letter}2mask512(mask))` : `${builtin(`blendv${suffix(t)}`, bits)}(no, yes, (${nameOf(t)})mask)`,
      intrinsic: bits === 512
        ? `_mm512_mask_blend_${suffix(t)}(_mm512_movepi${width}_mask((__m512i)mask), no, yes)`
        : `${intrinsic(`blendv_${suffix(t)}`, bits)}(no, yes, (${nameOf(t)})mask)`,
    };
  },
  /** f32 to the bits of f16. */
  halves: t => {
    const [bits, to] = [(32 * t.lanes) as Bits, t.lanes === 16 ? "i16x16" : "i16x8"];
    return {
      result: to, parameters: `f32x${t.lanes} x`,
      builtin: bits === 512 ? `__builtin_ia32_vcvtps2ph512_mask(x, 0, (i16x16){0}, -1)` : `${builtin("vcvtps2ph", bits)}(x, 0)`,
      intrinsic: `(${to})${intrinsic("cvtps_ph", bits)}(x, 0)`,
    };
  },
  /** f32 of the bits of f16. */
  floats: t => {
    const [bits, from] = [(32 * t.lanes) as Bits, t.lanes === 16 ? "i16x16" : "i16x8"];
    return {
      result: `f32x${t.lanes}`, parameters: `${from} x`,
      builtin: bits === 512 ? `__builtin_ia32_vcvtph2ps512_mask(x, (f32x16){0}, -1, ${CURRENT_ROUNDING})` : `${builtin("vcvtph2ps", bits)}(x)`,
      intrinsic: `${intrinsic("cvtph_ps", bits)}((${bits === 512 ? "__m256i" : "__m128i"})x)`,
    };
  },
  widened,
  narrowed,
  /** Sums of two products of neighbouring 16-bit numbers. */
  pairs: (t, bits) => {
    const half = `i16x${2 * t.lanes}`;
    return {
      result: nameOf(t), parameters: `${half} a, ${half} b`,
      builtin: bits === 512 ? `__builtin_ia32_pmaddwd512_mask(a, b, (i32x16){0}, -1)` : `__builtin_ia32_pmaddwd${bits}(a, b)`,
      intrinsic: `(${nameOf(t)})${intrinsic("madd_epi16", bits)}((${words(bits)})a, (${words(bits)})b)`,
    };
  },
  /** 64-bit products of the even lanes. */
  products: (t, bits) => {
    const [sign, wide] = [t.element === "u32" ? "u" : "", `${t.element === "u32" ? "u" : "i"}64x${t.lanes / 2}`];
    return {
      result: wide, parameters: `${nameOf(t)} a, ${nameOf(t)} b`,
      builtin: `(${wide})${bits === 512 ? `__builtin_ia32_pmul${sign}dq512_mask((i32x16)a, (i32x16)b, (i64x8){0}, -1)` : `__builtin_ia32_pmul${sign}dq${bits}((i32x${t.lanes})a, (i32x${t.lanes})b)`}`,
      intrinsic: `(${wide})${intrinsic(`mul_ep${sign === "u" ? "u" : "i"}32`, bits)}((${words(bits)})a, (${words(bits)})b)`,
    };
  },
  /** c plus, lane by lane, the four products of an unsigned byte of a and a signed byte of b. */
  accumulate: (t, bits) => ({
    result: nameOf(t), parameters: `${nameOf(t)} c, ${nameOf(t)} a, ${nameOf(t)} b`,
    builtin: `__builtin_ia32_vpdpbusd_v${t.lanes}si(c, a, b)`,
    intrinsic: `(${nameOf(t)})${intrinsic("dpbusd_epi32", bits)}((${words(bits)})c, (${words(bits)})a, (${words(bits)})b)`,
  }),
  /** The entries of a table of eight. */
  choose: t => ({
    result: nameOf(t), parameters: `${nameOf(t)} table, i32x8 index`,
    builtin: "__builtin_ia32_permvarsi256(table, index)",
    intrinsic: `(${nameOf(t)})_mm256_permutevar8x32_epi32((__m256i)table, (__m256i)index)`,
  }),
  /** The entries of a table of sixteen. */
  choose16: t => ({
    result: nameOf(t), parameters: `${nameOf(t)} table, i32x16 index`,
    builtin: "__builtin_ia32_permvarsi512_mask(table, index, table, -1)",
    intrinsic: `(${nameOf(t)})_mm512_permutexvar_epi32((__m512i)index, (__m512i)table)`,
  }),
};

/** The definition of an instruction's function, or undefined where there is no such instruction. */
export function instructionText(operation: string, t: CVector, intrinsics: boolean): string | undefined {
  const make = Object.hasOwn(INSTRUCTIONS, operation) ? INSTRUCTIONS[operation] : undefined;
  // Of the others these are made of several instructions.
  const isFloat = t.element.startsWith("f");
  if (!make || (isFloat ? operation === "min" || operation === "max" : operation === "select")) return undefined;
  const { result, parameters, builtin: own, intrinsic: common } = make(t, bitsOf(t));
  return `INLINE ${result} ${operation}_${nameOf(t)}(${parameters}) { return ${intrinsics ? common : own}; }`;
}
