// The part of the header that is about matrix fragments: where a warp's threads hold which elements, and products by
// mma.sync where the GPU has the instruction for the type, or else by shuffles, whose sums have the order of k.

export const FRAGMENTS = String.raw`
/* A register of a fragment holds COUNT elements that follow each other along k, as 'bits' gives them, or 'settle' of memory's. */
template <class T> struct Packed;
template <> struct Packed<f16> {
  static constexpr int COUNT = 2;
  DEVICE uint32_t bits(f16 x) { return x.bits; }
  template <int N> DEVICE void settle(uint32_t (&)[N]) {}
  DEVICE float value(uint32_t word, int i) { return float_half_bits((uint16_t)(word >> 16 * i)); }
};
template <> struct Packed<bf16> {
  static constexpr int COUNT = 2;
  DEVICE uint32_t bits(bf16 x) { return x.bits; }
  template <int N> DEVICE void settle(uint32_t (&)[N]) {}
  DEVICE float value(uint32_t word, int i) { return float_u32(word >> 16 * i << 16); }
};
template <> struct Packed<float> {
  static constexpr int COUNT = 1;
  DEVICE uint32_t bits(float x) { return tf32_bits_f32(x); }
  template <int N> DEVICE void settle(uint32_t (&words)[N]) {
    for (int r = 0; r < N; r++) words[r] = tf32_bits_f32(float_u32(words[r]));
  }
  DEVICE float value(uint32_t word, int) { return float_u32(word); }
};
template <> struct Packed<int8_t> {
  static constexpr int COUNT = 4;
  DEVICE uint32_t bits(int8_t x) { return (uint8_t)x; }
  template <int N> DEVICE void settle(uint32_t (&)[N]) {}
  DEVICE int value(uint32_t word, int i) { return (int8_t)(word >> 8 * i); }
};

/* Made of tiles of 16 rows or 8 columns, and of 8 registers' elements along k. */
template <class T, int M, int K> struct FragmentA {
  static constexpr int DEPTH = 8 * Packed<T>::COUNT;
  uint32_t words[M / 16][K / DEPTH][4];
};
template <class T, int K, int N> struct FragmentB {
  static constexpr int DEPTH = 8 * Packed<T>::COUNT;
  uint32_t words[K / DEPTH][N / 8][2];
};
/* Thread 4·g + t of the warp has rows g and g + 8, columns 2·t and 2·t + 1. */
template <class T, int M, int N> struct Accumulator {
  T values[M / 16][N / 8][4];
};

DEVICE int lane_of_warp() { return (int)threadIdx.x % 32; }

/* at(row, column) is the element there. */
template <class T, int M, int K, class At> DEVICE void load_fragment(FragmentA<T, M, K> &f, At at) {
  constexpr int COUNT = Packed<T>::COUNT, DEPTH = 8 * COUNT;
  const int g = lane_of_warp() / 4, t = lane_of_warp() % 4;
#pragma unroll
  for (int i = 0; i < M / 16; i++) {
#pragma unroll
    for (int s = 0; s < K / DEPTH; s++) {
#pragma unroll
      for (int r = 0; r < 4; r++) {
        uint32_t word = 0;
#pragma unroll
        for (int e = 0; e < COUNT; e++) word |= Packed<T>::bits(at(16 * i + g + 8 * (r & 1), DEPTH * s + 4 * COUNT * (r >> 1) + COUNT * t + e)) << (32 / COUNT * e);
        f.words[i][s][r] = word;
      }
    }
  }
}
template <class T, int K, int N, class At> DEVICE void load_fragment(FragmentB<T, K, N> &f, At at) {
  constexpr int COUNT = Packed<T>::COUNT, DEPTH = 8 * COUNT;
  const int g = lane_of_warp() / 4, t = lane_of_warp() % 4;
#pragma unroll
  for (int s = 0; s < K / DEPTH; s++) {
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        uint32_t word = 0;
#pragma unroll
        for (int e = 0; e < COUNT; e++) word |= Packed<T>::bits(at(DEPTH * s + 4 * COUNT * r + COUNT * t + e, 8 * j + g)) << (32 / COUNT * e);
        f.words[s][j][r] = word;
      }
    }
  }
}
/* The same from shared memory, 16 bytes of a row at a time: at(row, column) is where they start in memory, in which a's rows,
   or b's columns, lie one after the other; if they are turned, a's columns, or b's rows, of 16-bit elements. */
template <bool TURNED, class T, int M, int K, class At> DEVICE void load_fragment_rows(FragmentA<T, M, K> &f, At at) {
  constexpr int DEPTH = 8 * Packed<T>::COUNT;
  const int l = lane_of_warp();
#pragma unroll
  for (int i = 0; i < M / 16; i++) {
#pragma unroll
    for (int s = 0; s < K / DEPTH; s++) {
      if (TURNED) load_matrices<true>(f.words[i][s], at(DEPTH * s + l % 8 + 8 * (l / 16), 16 * i + 8 * (l / 8 % 2)));
      else load_matrices<false>(f.words[i][s], at(16 * i + l % 16, DEPTH * s + DEPTH / 2 * (l / 16)));
      Packed<T>::settle(f.words[i][s]);
    }
  }
}
template <bool TURNED, class T, int K, int N, class At> DEVICE void load_fragment_rows(FragmentB<T, K, N> &f, At at) {
  constexpr int DEPTH = 8 * Packed<T>::COUNT;
  const int l = lane_of_warp();
#pragma unroll
  for (int s = 0; s < K / DEPTH; s++) {
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
      if (TURNED) load_matrices<true>(f.words[s][j], at(DEPTH * s + l % 16, 8 * j));
      else load_matrices<false>(f.words[s][j], at(8 * j + l % 8, DEPTH * s + DEPTH / 2 * (l / 8 % 2)));
      Packed<T>::settle(f.words[s][j]);
    }
  }
}
template <class T, int M, int N, class At> DEVICE void load_fragment(Accumulator<T, M, N> &f, At at) {
  const int g = lane_of_warp() / 4, t = lane_of_warp() % 4;
#pragma unroll
  for (int i = 0; i < M / 16; i++) {
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
#pragma unroll
      for (int r = 0; r < 4; r++) f.values[i][j][r] = at(16 * i + g + 8 * (r >> 1), 8 * j + 2 * t + (r & 1));
    }
  }
}
template <class T, int M, int N, class Put> DEVICE void store_fragment(const Accumulator<T, M, N> &f, Put put) {
  const int g = lane_of_warp() / 4, t = lane_of_warp() % 4;
#pragma unroll
  for (int i = 0; i < M / 16; i++) {
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
#pragma unroll
      for (int r = 0; r < 4; r++) put(16 * i + g + 8 * (r >> 1), 8 * j + 2 * t + (r & 1), f.values[i][j][r]);
    }
  }
}

DEVICE float product_sum(float a, float b, float c) { return fma_f32(a, b, c); }
DEVICE int product_sum(int a, int b, int c) { return add_i32(a * b, c); }

/* What the instructions below compute, one k after the other. */
template <class T, class C> DEVICE void mma_by_shuffles(C (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const int g = lane_of_warp() / 4, t = lane_of_warp() % 4;
  for (int half = 0; half < 2; half++) {
    for (int q = 0; q < 4; q++) {
      const uint32_t low = __shfl_sync(0xffffffffu, a[2 * half], 4 * g + q), high = __shfl_sync(0xffffffffu, a[2 * half + 1], 4 * g + q);
      const uint32_t left = __shfl_sync(0xffffffffu, b[half], 8 * t + q), right = __shfl_sync(0xffffffffu, b[half], 8 * t + 4 + q);
      for (int e = 0; e < Packed<T>::COUNT; e++) {
        c[0] = product_sum(Packed<T>::value(low, e), Packed<T>::value(left, e), c[0]);
        c[1] = product_sum(Packed<T>::value(low, e), Packed<T>::value(right, e), c[1]);
        c[2] = product_sum(Packed<T>::value(high, e), Packed<T>::value(left, e), c[2]);
        c[3] = product_sum(Packed<T>::value(high, e), Packed<T>::value(right, e), c[3]);
      }
    }
  }
}

template <class T> DEVICE void mma_tile(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_by_shuffles<T>(c, a, b); }
template <class T> DEVICE void mma_tile(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_by_shuffles<T>(c, a, b); }
#if __CUDA_ARCH__ >= 800
#define MMA_TILE(T, C, CONSTRAINT, INSTRUCTION)                                                                       \
  template <> __device__ __forceinline__ void mma_tile<T>(C (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { \
    asm volatile("mma.sync.aligned." INSTRUCTION " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"    \
                 : "+" CONSTRAINT(c[0]), "+" CONSTRAINT(c[1]), "+" CONSTRAINT(c[2]), "+" CONSTRAINT(c[3])              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                  \
  }
MMA_TILE(f16, float, "f", "m16n8k16.row.col.f32.f16.f16.f32")
MMA_TILE(bf16, float, "f", "m16n8k16.row.col.f32.bf16.bf16.f32")
MMA_TILE(float, float, "f", "m16n8k8.row.col.f32.tf32.tf32.f32")
MMA_TILE(int8_t, int, "r", "m16n8k32.row.col.s32.s8.s8.s32")
#elif __CUDA_ARCH__ >= 750
/* Half as deep, and of bytes half as high. */
template <> __device__ __forceinline__ void mma_tile<f16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
  }
}
template <> __device__ __forceinline__ void mma_tile<int8_t>(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+r"(c[2 * (i & 1)]), "+r"(c[2 * (i & 1) + 1]) : "r"(a[i]), "r"(b[i >> 1]));
  }
}
#endif

/* d = a·b + d. */
template <class C, class T, int M, int N, int K> DEVICE void mma(Accumulator<C, M, N> &d, const FragmentA<T, M, K> &a, const FragmentB<T, K, N> &b) {
#pragma unroll
  for (int s = 0; s < K / FragmentA<T, M, K>::DEPTH; s++) {
#pragma unroll
    for (int i = 0; i < M / 16; i++) {
#pragma unroll
      for (int j = 0; j < N / 8; j++) mma_tile<T>(d.values[i][j], a.words[i][s], b.words[s][j]);
    }
  }
}
`;
