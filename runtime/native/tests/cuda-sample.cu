// The kernels of the sample program for CUDA: those of sample-kernels.c. The build compiles them for the host.
#include "sluice.cuh"

#define TASK const int64_t number = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; if (number >= high - low) return; const int64_t i = low + number

extern "C" __global__ void __launch_bounds__(256) k0(
  const float *x, float *y, int64_t, int64_t low, int64_t high, char *scratch, int64_t scratch_bytes) {
  TASK;
  float *const mine = (float *)(scratch + number * scratch_bytes);
  *mine = x[i] * 2;
  y[i] = *mine;
}
extern "C" __global__ void __launch_bounds__(256) k1(
  const float *x, float *y, int64_t n, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  float sum = 0;
  for (int64_t k = n; k-- > 0;) sum += x[k];
  y[i] = sum;
}
extern "C" __global__ void __launch_bounds__(256) k2(
  float *s, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  s[i] += 1;
}
extern "C" __global__ void __launch_bounds__(256) k3(
  const float *x, float *y, int64_t, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  y[i] = sqrt_f32(x[i]);
}
extern "C" __global__ void __launch_bounds__(256) k4(
  const int *index, uint8_t *flag, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  flag[i] = *index >= 3;
}
extern "C" __global__ void __launch_bounds__(256) k5(
  float *y, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  y[i] = 10;
}
