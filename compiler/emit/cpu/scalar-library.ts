// The part of the helper library that is about scalars, and about memory an element at a time.

/** Each paragraph is one function. */
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

/** Definitions by the name of the function. */
export const SCALAR_TEXTS: ReadonlyMap<string, string> = new Map(SCALARS.trim().split("\n\n").map(text => [/\b([a-z]\w*)\(/.exec(text.replace(/\/\*.*?\*\//s, ""))![1]!, text]));
