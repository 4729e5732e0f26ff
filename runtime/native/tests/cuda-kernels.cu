// Kernels of the CUDA tests, as the compiler would emit them. The build compiles them for the host.
#include "sluice.cuh"

#define TASK const int64_t number = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; if (number >= high - low) return; const int64_t i = low + number

// y = 2·x
extern "C" __global__ void __launch_bounds__(256) k0(
  const float *x, float *y, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  y[i] = x[i] * 2;
}
// s += 1 in place
extern "C" __global__ void __launch_bounds__(256) k1(
  float *s, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  s[i] += 1;
}
// The end of a loop: its index has come to the dim
extern "C" __global__ void __launch_bounds__(256) k2(
  const int *index, uint8_t *until, int64_t end, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  until[i] = *index >= end;
}
// Appends the index to a list that starts with its length
extern "C" __global__ void __launch_bounds__(256) k3(
  const int *index, int *list, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  list[0] += 1;
  list[list[0] + i] = *index;
}
// Of a workgroup that is a task: its number and the dim, by its last thread, from the first one
extern "C" __global__ void __launch_bounds__(64) k4(
  int *y, int64_t more, int64_t low, int64_t, char *, int64_t) {
  SHARED(int, sum, 1);
  if (threadIdx.x == 0) *sum = (int)(low + blockIdx.x + more);
  __syncthreads();
  if (threadIdx.x == 63) y[low + blockIdx.x] = *sum;
}
// y = the sum of x + j for j below the dim, through scratch
extern "C" __global__ void __launch_bounds__(256) k5(
  const float *x, float *y, int64_t count, int64_t low, int64_t high, char *scratch, int64_t scratch_bytes) {
  TASK;
  float *const mine = (float *)(scratch + number * scratch_bytes);
  for (int64_t j = 0; j < count; j++) mine[j] = x[i] + j;
  y[i] = 0;
  for (int64_t j = 0; j < count; j++) y[i] += mine[j];
}
// What no kernel may do: it writes behind its memory
extern "C" __global__ void __launch_bounds__(256) k6(
  float *y, int64_t low, int64_t high, char *, int64_t) {
  TASK;
  y[1 << 20 | i] = 1;
}
