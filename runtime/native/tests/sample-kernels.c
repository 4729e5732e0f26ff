// Kernels made by hand for the programs in sample.h and in tests/unit/runtime-sample.ts, as the compiler would emit them: no
// library, the same parameters.
#include <stdint.h>

#define KERNEL(number) void k##number(char *const *params, const int64_t *dims, int64_t low, int64_t high, char *scratch)
#define UNUSED (void)params, (void)dims, (void)low, (void)high, (void)scratch

// y = 2·x, through this worker's scratch
KERNEL(0) {
  UNUSED;
  for (int64_t i = low; i < high; i++) {
    *(float *)scratch = ((const float *)params[0])[i] * 2;
    ((float *)params[1])[i] = *(float *)scratch;
  }
}
// y[0] = sum of x, whose length is the dim
KERNEL(1) {
  UNUSED;
  float sum = 0;
  for (int64_t i = dims[0]; i-- > 0;) sum += ((const float *)params[0])[i];
  *(float *)params[1] = sum;
}
// s += 1 in place
KERNEL(2) {
  UNUSED;
  for (int64_t i = low; i < high; i++) ((float *)params[0])[i] += 1;
}
// y = √x
KERNEL(3) {
  UNUSED;
  for (int64_t i = low; i < high; i++) ((float *)params[1])[i] = __builtin_sqrtf(((const float *)params[0])[i]);
}
// flag = index ≥ 3
KERNEL(4) {
  UNUSED;
  *(uint8_t *)params[1] = *(const int32_t *)params[0] >= 3;
}
// y = 10
KERNEL(5) {
  UNUSED;
  for (int64_t i = low; i < high; i++) ((float *)params[0])[i] = 10;
}
// ends the process
KERNEL(6) {
  UNUSED;
  __builtin_trap();
}
// y = 255 - x, bytes; a task is a row of as many pixels as the dim says
KERNEL(7) {
  UNUSED;
  for (int64_t i = low * dims[0] * 3; i < high * dims[0] * 3; i++) ((uint8_t *)params[1])[i] = (uint8_t)(255 - ((const uint8_t *)params[0])[i]);
}
// y = 2·x again, of four
KERNEL(8) {
  UNUSED;
  for (int64_t i = low; i < high; i++) ((float *)params[1])[i] = ((const float *)params[0])[i] * 2;
}
