// The peak of one thread: fused multiply-adds in registers and nothing else, in as many chains as hide their latency. Prints
// GFLOP/s of f32, the best of many runs, each too short for another process to come between. Compiled with -O2 -march=native
// -ffp-contract=fast.
#include <stdio.h>
#include <time.h>

#ifdef __AVX512F__
#define LANES 16
#define CHAINS 24
#else
#define LANES 8
#define CHAINS 12
#endif
typedef float Vector __attribute__((vector_size(LANES * 4)));

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(void) {
  enum { ROUNDS = 100000, RUNS = 1000 };
  double best = 0;
  volatile float one = 0.999999f;
  for (int run = 0; run < RUNS; run++) {
    Vector sums[CHAINS], factor, term;
    for (int lane = 0; lane < LANES; lane++) {
      factor[lane] = one;
      term[lane] = 1 - one;
    }
    // Every loop over the chains is copied out: an array that any of them indexes lies in memory.
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) sums[i] = term * (float)i;
    const double start = seconds();
    for (int round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 24
      for (int i = 0; i < CHAINS; i++) {
        sums[i] = sums[i] * factor + term;
        // Kept in a register, and not merged with the next round's.
        __asm__("" : "+v"(sums[i]));
      }
    }
    const double taken = seconds() - start;
    volatile float kept = 0;
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) kept += sums[i][0];
    const double rate = 2.0 * ROUNDS * CHAINS * LANES / taken * 1e-9;
    if (rate > best) best = rate;
  }
  printf("%.2f\n", best);
  return 0;
}
