#include "io/block-sums.h"

#include <nmmintrin.h>

#include <cstring>

#include "container/read.h"

namespace sluice {
namespace {

uint64_t word(const std::byte* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

__attribute__((target("sse4.2"))) void three(const std::byte* first, size_t block, uint32_t* sums) {
  uint64_t a = ~0U;
  uint64_t b = ~0U;
  uint64_t c = ~0U;
  for (size_t at = 0; at < block; at += 8) {
    a = _mm_crc32_u64(a, word(first + at));
    b = _mm_crc32_u64(b, word(first + block + at));
    c = _mm_crc32_u64(c, word(first + 2 * block + at));
  }
  sums[0] = ~static_cast<uint32_t>(a);
  sums[1] = ~static_cast<uint32_t>(b);
  sums[2] = ~static_cast<uint32_t>(c);
}

}  // namespace

void blockSums(Bytes bytes, std::span<uint32_t> sums) {
  if (sums.empty()) return;
  const size_t block = bytes.size() / sums.size();
  size_t done = 0;
  if (__builtin_cpu_supports("sse4.2"))
    for (; done + 3 <= sums.size(); done += 3) three(bytes.data() + done * block, block, &sums[done]);
  for (; done < sums.size(); done++) sums[done] = crc32c(bytes.subspan(done * block, block));
}

}  // namespace sluice
