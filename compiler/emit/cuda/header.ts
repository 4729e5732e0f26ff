// The header that emitted CUDA C++ includes, sluice.cuh: what kernels say that C++ has no words for. Whatever is an
// instruction of the GPU stands in its first part and nowhere else; a host that runs kernels without a GPU has twins of
// that part in a header of its own, and takes the rest as it is.
import { FRAGMENTS } from "./fragment-header.ts";

export const HEADER_FILE = "sluice.cuh";

const INSTRUCTIONS = `
#define DEVICE static __device__ __forceinline__
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]

/* Products that no compiler fuses with a sum. */
DEVICE float mul_f32(float a, float b) { return __fmul_rn(a, b); }
DEVICE double mul_f64(double a, double b) { return __dmul_rn(a, b); }
DEVICE float div_f32(float a, float b) { return __fdiv_rn(a, b); }
DEVICE double div_f64(double a, double b) { return __ddiv_rn(a, b); }
DEVICE float sqrt_f32(float x) { return __fsqrt_rn(x); }
DEVICE double sqrt_f64(double x) { return __dsqrt_rn(x); }
DEVICE float fma_f32(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE double fma_f64(double a, double b, double c) { return __fma_rn(a, b, c); }

DEVICE uint32_t bits_f32(float x) { return __float_as_uint(x); }
DEVICE float float_u32(uint32_t x) { return __uint_as_float(x); }
DEVICE uint64_t bits_f64(double x) { return __double_as_longlong(x); }
DEVICE double double_u64(uint64_t x) { return __longlong_as_double(x); }

/* Saturated; of NaN 0. */
DEVICE int i32_of_f32(float x) { return __float2int_rz(x); }
DEVICE uint32_t u32_of_f32(float x) { return __float2uint_rz(x); }

/* The bits of the f16 next to x, and the value of such bits. */
DEVICE uint16_t half_bits_f32(float x) { uint16_t y; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x)); return y; }
DEVICE uint16_t half_bits_f64(double x) { uint16_t y; asm("cvt.rn.f16.f64 %0, %1;" : "=h"(y) : "d"(x)); return y; }
DEVICE float float_half_bits(uint16_t x) { float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x)); return y; }
/* To 10 bits after the point, as matrix fragments hold an f32. */
DEVICE uint32_t tf32_bits_f32(float x) {
#if __CUDA_ARCH__ >= 800
  uint32_t y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
#else
  return x - x == 0 ? (__float_as_uint(x) + 0x1000) & 0xffffe000 : __float_as_uint(x);
#endif
}

DEVICE int mulhi_i32(int a, int b) { return __mulhi(a, b); }
DEVICE uint32_t mulhi_u32(uint32_t a, uint32_t b) { return __umulhi(a, b); }
DEVICE int dot4_i32(int a, int b, int c) { return __dp4a(a, b, c); }

/* Copies from global to shared memory that are complete after a wait for their group. */
template <int BYTES> DEVICE void async_copy(void *to, const void *from) {
#if __CUDA_ARCH__ >= 800
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(to);
  if (BYTES == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(at), "l"(from) : "memory");
  else asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" :: "r"(at), "l"(from), "n"(BYTES) : "memory");
#else
  for (int i = 0; i < BYTES / 4; i++) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i];
#endif
}
DEVICE void async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int PENDING> DEVICE void async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory");
#endif
}

/* Matrices of 8 rows, each 8 elements of 16 bits in shared memory at a multiple of 16 bytes: thread 8·i + r of the warp says
   where row r of matrix i lies. Thread 4·g + t gets elements 2·t and 2·t + 1 of row g; of columns, if they are turned. */
template <bool TURNED> DEVICE void load_matrices(uint32_t (&words)[4], const void *row) {
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
  if (TURNED) asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(at) : "memory");
  else asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(at) : "memory");
}
template <bool TURNED> DEVICE void load_matrices(uint32_t (&words)[2], const void *row) {
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
  if (TURNED) asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(words[0]), "=r"(words[1]) : "r"(at) : "memory");
  else asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(words[0]), "=r"(words[1]) : "r"(at) : "memory");
}
`;

const SCALARS = `
/* Storage of 16 bits, which arithmetic never sees. */
struct f16 { uint16_t bits; };
struct bf16 { uint16_t bits; };

DEVICE int min_size(int a, int b) { return a < b ? a : b; }
DEVICE int max_size(int a, int b) { return a > b ? a : b; }
DEVICE int floordiv_size(int a, int b) { return a / b - (a % b < 0); }
DEVICE int mod_size(int a, int b) { return a % b < 0 ? a % b + b : a % b; }
DEVICE int64_t min_size(int64_t a, int64_t b) { return a < b ? a : b; }
DEVICE int64_t max_size(int64_t a, int64_t b) { return a > b ? a : b; }
DEVICE int64_t floordiv_size(int64_t a, int64_t b) { return a / b - (a % b < 0); }
DEVICE int64_t mod_size(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; }

/* Integers wrap, which those with a sign do not do in C++. */
DEVICE int add_i32(int a, int b) { return (int)((uint32_t)a + (uint32_t)b); }
DEVICE int sub_i32(int a, int b) { return (int)((uint32_t)a - (uint32_t)b); }
DEVICE int mul_i32(int a, int b) { return (int)((uint32_t)a * (uint32_t)b); }
DEVICE int abs_i32(int x) { return x < 0 ? sub_i32(0, x) : x; }
DEVICE int div_i32(int a, int b) { return b == 0 ? 0 : b == -1 ? sub_i32(0, a) : a / b; }
DEVICE int rem_i32(int a, int b) { return b == 0 || b == -1 ? 0 : a % b; }
DEVICE uint32_t div_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a / b; }
DEVICE uint32_t rem_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a % b; }
DEVICE int min_i32(int a, int b) { return a < b ? a : b; }
DEVICE int max_i32(int a, int b) { return a > b ? a : b; }
DEVICE uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
DEVICE uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
DEVICE int shl_i32(int a, int b) { return (int)((uint32_t)a << (b & 31)); }
DEVICE int shr_i32(int a, int b) { return a >> (b & 31); }
DEVICE uint32_t shl_u32(uint32_t a, uint32_t b) { return a << (b & 31); }
DEVICE uint32_t shr_u32(uint32_t a, uint32_t b) { return a >> (b & 31); }

/* IEEE minimum and maximum: NaN wins, and -0 is less than 0. */
DEVICE float min_f32(float a, float b) {
#if __CUDA_ARCH__ >= 800
  float y;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
#else
  return a == b ? float_u32(bits_f32(a) | bits_f32(b)) : a < b || a != a ? a : b;
#endif
}
DEVICE float max_f32(float a, float b) {
#if __CUDA_ARCH__ >= 800
  float y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
#else
  return a == b ? float_u32(bits_f32(a) & bits_f32(b)) : a > b || a != a ? a : b;
#endif
}
DEVICE double min_f64(double a, double b) { return a == b ? double_u64(bits_f64(a) | bits_f64(b)) : a < b || a != a ? a : b; }
DEVICE double max_f64(double a, double b) { return a == b ? double_u64(bits_f64(a) & bits_f64(b)) : a > b || a != a ? a : b; }

DEVICE float abs_f32(float x) { return fabsf(x); }
DEVICE float floor_f32(float x) { return floorf(x); }
DEVICE float ceil_f32(float x) { return ceilf(x); }
DEVICE float trunc_f32(float x) { return truncf(x); }
DEVICE float round_even_f32(float x) { return rintf(x); }
DEVICE float rem_f32(float a, float b) { return fmodf(a, b); }
DEVICE double abs_f64(double x) { return fabs(x); }
DEVICE double floor_f64(double x) { return floor(x); }
DEVICE double ceil_f64(double x) { return ceil(x); }
DEVICE double trunc_f64(double x) { return trunc(x); }
DEVICE double round_even_f64(double x) { return rint(x); }
DEVICE double rem_f64(double a, double b) { return fmod(a, b); }

DEVICE int i32_of_f64(double x) { return x >= 0x1p31 ? INT32_MAX : x > -0x1p31 - 1 ? (int)x : x == x ? INT32_MIN : 0; }
DEVICE uint32_t u32_of_f64(double x) { return x >= 0x1p32 ? UINT32_MAX : x > -1 ? (uint32_t)x : 0; }

DEVICE f16 f16_of_f32(float x) { return {x == x ? half_bits_f32(x) : (uint16_t)0x7e00}; }
DEVICE bf16 bf16_of_f32(float x) {
  const uint32_t bits = bits_f32(x);
  return {(uint16_t)(x == x ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fc0)};
}
DEVICE float f32_of_f16(f16 x) { return float_half_bits(x.bits); }
DEVICE float f32_of_bf16(bf16 x) { return float_u32((uint32_t)x.bits << 16); }
/* The f16 or bf16 next to x, as an f32. */
DEVICE float half_f32(float x) { return f32_of_f16(f16_of_f32(x)); }
DEVICE float half_f64(double x) { return x == x ? float_half_bits(half_bits_f64(x)) : NAN; }
DEVICE float brain_f32(float x) { return f32_of_bf16(bf16_of_f32(x)); }

/* Nibble i of a word. */
DEVICE int nibble(uint32_t word, int i) { return (int)(word << (28 - 4 * i)) >> 28; }
/* Element i of packed nibbles, in memory that one thread has for itself or that others only read. */
template <class Index> DEVICE int load_i4(const uint8_t *p, Index i) { return nibble(p[i >> 1], (int)i & 1); }
template <class Index> DEVICE void store_i4(uint8_t *p, Index i, int x) {
  const int shift = 4 * ((int)i & 1);
  p[i >> 1] = (uint8_t)((p[i >> 1] & ~(15 << shift)) | (x & 15) << shift);
}
/* The same where other threads may write the other nibble: only these four bits of their word change. */
template <class Index> DEVICE void store_i4_beside_others(uint8_t *p, Index i, int x) {
  const uint64_t byte = (uint64_t)(p + (i >> 1));
  const int shift = 8 * (int)(byte & 3) + 4 * ((int)i & 1);
  uint32_t *word = (uint32_t *)(byte & ~(uint64_t)3);
  atomicAnd(word, ~(15u << shift));
  atomicOr(word, (uint32_t)(x & 15) << shift);
}

/* Floats have no atomic minimum: the word is exchanged until it was met unchanged. */
template <class Word, class Next> DEVICE void atomic_update(Word *p, Next next) {
  for (Word was = atomicCAS(p, (Word)0, (Word)0);;) {
    const Word found = atomicCAS(p, was, next(was));
    if (found == was) return;
    was = found;
  }
}
DEVICE void atomic_add_i32(int *p, int x) { atomicAdd(p, x); }
DEVICE void atomic_min_i32(int *p, int x) { atomicMin(p, x); }
DEVICE void atomic_max_i32(int *p, int x) { atomicMax(p, x); }
DEVICE void atomic_add_u32(uint32_t *p, uint32_t x) { atomicAdd(p, x); }
DEVICE void atomic_min_u32(uint32_t *p, uint32_t x) { atomicMin(p, x); }
DEVICE void atomic_max_u32(uint32_t *p, uint32_t x) { atomicMax(p, x); }
DEVICE void atomic_add_f32(float *p, float x) { atomicAdd(p, x); }
DEVICE void atomic_add_f64(double *p, double x) { atomicAdd(p, x); }
DEVICE void atomic_min_f32(float *p, float x) { atomic_update((uint32_t *)p, [=](uint32_t was) { return bits_f32(min_f32(float_u32(was), x)); }); }
DEVICE void atomic_max_f32(float *p, float x) { atomic_update((uint32_t *)p, [=](uint32_t was) { return bits_f32(max_f32(float_u32(was), x)); }); }
DEVICE void atomic_min_f64(double *p, double x) {
  atomic_update((unsigned long long *)p, [=](unsigned long long was) { return (unsigned long long)bits_f64(min_f64(double_u64(was), x)); });
}
DEVICE void atomic_max_f64(double *p, double x) {
  atomic_update((unsigned long long *)p, [=](unsigned long long was) { return (unsigned long long)bits_f64(max_f64(double_u64(was), x)); });
}

/* Over the first SIZE threads of a warp, all of which get here; every thread has the sum (or whatever) of all. */
template <int SIZE, class T> DEVICE T subgroup_xor(T x, int mask) { return __shfl_xor_sync(0xffffffffu >> (32 - SIZE), x, mask); }
template <int SIZE, class T, class F> DEVICE T subgroup_reduce(T x, F combine) {
#pragma unroll
  for (int mask = SIZE / 2; mask > 0; mask /= 2) x = combine(x, subgroup_xor<SIZE>(x, mask));
  return x;
}
`;

export const HEADER = `// What kernels say that C++ has no words for.
#pragma once
#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
${INSTRUCTIONS.trim()}
#else
#include "sluice-host.h"
#endif

${SCALARS.trim()}

${FRAGMENTS.trim()}
`;

/** What a kernel cannot call its own names. */
export const HEADER_NAMES: ReadonlySet<string> = new Set(["DEVICE", "SHARED", ...[...HEADER.matchAll(/^(?:template <.*?> )?DEVICE .*?\b(\w+)\(|\bstruct (\w+)/gm)].flatMap(([, called, type]) => called ?? type ?? [])]);
