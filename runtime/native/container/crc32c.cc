#include <nmmintrin.h>

#include <array>
#include <cstring>

#include "container/read.h"

namespace sluice {
namespace {

constexpr std::array<uint32_t, 256> TABLE = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
    table[byte] = crc;
  }
  return table;
}();

uint32_t portable(uint32_t crc, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) crc = TABLE[(crc ^ static_cast<uint32_t>(byte)) & 255] ^ (crc >> 8);
  return crc;
}

__attribute__((target("sse4.2"))) uint32_t fast(uint32_t crc, std::span<const std::byte> bytes) {
  uint64_t wide = crc;
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; at < end; at++) crc = _mm_crc32_u8(crc, static_cast<uint8_t>(*at));
  return crc;
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  static const bool hasInstruction = __builtin_cpu_supports("sse4.2") != 0;
  return ~(hasInstruction ? fast(~0U, bytes) : portable(~0U, bytes));
}

}  // namespace sluice
