// The twins of the instructions in sluice.cuh, and what CUDA C++ knows by itself, for a host. Same names, same results.
#pragma once
#include <type_traits>
#include <utility>

#include "shim.h"

// Inlined even where nothing is optimised: what a call itself reads or writes has no hooks.
#define DEVICE static inline __attribute__((always_inline))
#define SHARED(type, name, count) type *const name = (type *)shim::shared(#name, sizeof(type) * (count), __COUNTER__)
#define __global__
#define __device__
#define __launch_bounds__(threads)
#define UNHOOKED __attribute__((no_sanitize("thread"), noinline)) static

#define threadIdx (shim::thread_index())
#define blockIdx (shim::block_index())
#define blockDim (shim::block_size())

#define VECTORS(name, type)                                                                                    \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                                     \
  struct alignas(sizeof(type) == 8 ? 16 : 4 * sizeof(type)) name##4 { type x, y, z, w; };                      \
  static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                      \
  static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
VECTORS(float, float)
VECTORS(double, double)
VECTORS(int, int)
VECTORS(uint, unsigned)
VECTORS(short, short)
VECTORS(ushort, unsigned short)
VECTORS(char, signed char)
VECTORS(uchar, unsigned char)

DEVICE float mul_f32(float a, float b) { return a * b; }
DEVICE double mul_f64(double a, double b) { return a * b; }
DEVICE float div_f32(float a, float b) { return a / b; }
DEVICE double div_f64(double a, double b) { return a / b; }
DEVICE float sqrt_f32(float x) { return __builtin_sqrtf(x); }
DEVICE double sqrt_f64(double x) { return __builtin_sqrt(x); }
DEVICE float fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE double fma_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }

template <class To, class From> DEVICE To bits_as(From x) {
  To y;
  __builtin_memcpy(&y, &x, sizeof(To));
  return y;
}
DEVICE uint32_t bits_f32(float x) { return bits_as<uint32_t>(x); }
DEVICE float float_u32(uint32_t x) { return bits_as<float>(x); }
DEVICE uint64_t bits_f64(double x) { return bits_as<uint64_t>(x); }
DEVICE double double_u64(uint64_t x) { return bits_as<double>(x); }

DEVICE int i32_of_f32(float x) { return x >= 0x1p31f ? INT32_MAX : x >= -0x1p31f ? (int)x : x == x ? INT32_MIN : 0; }
DEVICE uint32_t u32_of_f32(float x) { return x >= 0x1p32f ? UINT32_MAX : x > -1 ? (uint32_t)x : 0; }

DEVICE uint16_t half_bits_f32(float x) {
  const uint32_t bits = bits_f32(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size > 0x7f800000) return 0x7fff;
  if (size >= 0x477ff000) return sign | 0x7c00;
  // Adding a number of the size at which the last bit of an f32 is worth that of the f16 rounds to it.
  if (size < 0x38800000) return sign | (uint16_t)(bits_f32(float_u32(size) + 0.5f) - 0x3f000000);
  return sign | (uint16_t)((size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
}
DEVICE uint16_t half_bits_f64(double x) {
  // The f32 between is rounded to odd, so that nothing is rounded twice.
  const float near = (float)x;
  if ((double)near == x || x != x) return half_bits_f32(near);
  return half_bits_f32(float_u32((bits_f32(near) - (__builtin_fabs((double)near) > __builtin_fabs(x))) | 1));
}
DEVICE float float_half_bits(uint16_t x) {
  const uint32_t sign = (uint32_t)(x & 0x8000) << 16, exponent = x >> 10 & 31, mantissa = x & 1023;
  if (exponent == 31) return float_u32(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) return float_u32(sign | bits_f32((float)mantissa * 0x1p-24f));
  return float_u32(sign | (exponent + 112) << 23 | mantissa << 13);
}
DEVICE uint32_t tf32_bits_f32(float x) { return x - x == 0 ? (bits_f32(x) + 0x1000) & 0xffffe000 : bits_f32(x); }

DEVICE int mulhi_i32(int a, int b) { return (int)((int64_t)a * b >> 32); }
DEVICE uint32_t mulhi_u32(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }
DEVICE int dot4_i32(int a, int b, int c) {
  uint32_t sum = (uint32_t)c;
  for (int i = 0; i < 32; i += 8) sum += (uint32_t)((int8_t)(a >> i) * (int8_t)(b >> i));
  return (int)sum;
}

template <int BYTES> DEVICE void async_copy(void *to, const void *from) { shim::async_copy(to, from, BYTES); }
DEVICE void async_commit() { shim::async_commit(); }
template <int PENDING> DEVICE void async_wait() { shim::async_wait(PENDING); }

DEVICE void __syncthreads() { shim::block_barrier(); }
DEVICE void __syncwarp() { shim::warp_barrier(); }
template <class T> DEVICE T __shfl_sync(unsigned mask, T x, int from) {
  T y;
  shim::shuffle(mask, &x, &y, sizeof(T), from);
  return y;
}
template <class T> DEVICE T __shfl_xor_sync(unsigned mask, T x, int lanes) { return __shfl_sync(mask, x, (int)(threadIdx.x % 32) ^ lanes); }

template <bool TURNED, int COUNT> DEVICE void load_matrices(uint32_t (&words)[COUNT], const void *row) {
  shim::need_aligned(row, 16);
  const int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
  for (int i = 0; i < COUNT; i++) {
    if (TURNED) {
      uint32_t halves[2];
      for (int e = 0; e < 2; e++) halves[e] = ((const uint16_t *)__shfl_sync(~0u, row, 8 * i + 2 * t + e))[g];
      words[i] = halves[0] | halves[1] << 16;
    } else words[i] = ((const uint32_t *)__shfl_sync(~0u, row, 8 * i + g))[t];
  }
}

template <class T, class F> UNHOOKED T atomic(T *p, F next) {
  shim::atomic_access(p, sizeof(T));
  const T was = *p;
  *p = next(was);
  return was;
}
template <class T> DEVICE T atomicAdd(T *p, T x) { return atomic(p, [=](T was) { return was + x; }); }
DEVICE int atomicAdd(int *p, int x) { return (int)atomicAdd((uint32_t *)p, (uint32_t)x); }
template <class T> DEVICE T atomicMin(T *p, T x) { return atomic(p, [=](T was) { return x < was ? x : was; }); }
template <class T> DEVICE T atomicMax(T *p, T x) { return atomic(p, [=](T was) { return x > was ? x : was; }); }
template <class T> DEVICE T atomicCAS(T *p, T expected, T next) { return atomic(p, [=](T was) { return was == expected ? next : was; }); }
/* Bytes that do not change may lie outside of the buffer. */
UNHOOKED void atomicAnd(uint32_t *p, uint32_t x) {
  shim::atomic_access(p, 4, ~x);
  for (int i = 0; i < 4; i++) if ((uint8_t)(x >> 8 * i) != 0xff) ((uint8_t *)p)[i] &= x >> 8 * i;
}
UNHOOKED void atomicOr(uint32_t *p, uint32_t x) {
  shim::atomic_access(p, 4, x);
  for (int i = 0; i < 4; i++) if ((uint8_t)(x >> 8 * i) != 0) ((uint8_t *)p)[i] |= x >> 8 * i;
}

template <class F, F kernel> struct EntryOf;
template <class... P, void (*kernel)(P...)> struct EntryOf<void (*)(P...), kernel> {
  template <class T> static T of(const void *word) {
    static_assert(sizeof(T) == 8, "a parameter has 8 bytes");
    T value;
    __builtin_memcpy(&value, word, 8);
    return value;
  }
  template <size_t... I> static void call_with(void *const *parameters, std::index_sequence<I...>) { kernel(of<P>(parameters[I])...); }
  static void call(void *const *parameters) { call_with(parameters, std::index_sequence_for<P...>()); }
  static constexpr int count = sizeof...(P);
  static constexpr uint64_t pointers() {
    const bool each[] = {std::is_pointer<P>::value...};
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof...(P); i++) bits |= (uint64_t)each[i] << i;
    return bits;
  }
};
/* After a kernel: how the driver finds and calls it. */
#define ENTRY(kernel, threads)                                                                                      \
  extern "C" const shim::Entry entry_##kernel = {#kernel, threads, EntryOf<decltype(&kernel), kernel>::count,       \
      EntryOf<decltype(&kernel), kernel>::pointers(), EntryOf<decltype(&kernel), kernel>::call};
