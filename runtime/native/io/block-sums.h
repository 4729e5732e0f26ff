// CRC-32C of many blocks. The instruction gives a result a cycle but takes three, so three blocks go side by side.
#pragma once
#include <cstdint>
#include <span>

#include "io/file.h"

namespace sluice {

/** One checksum a block; the bytes are as many whole blocks, of a multiple of 8 bytes each. */
void blockSums(Bytes bytes, std::span<uint32_t> sums);

}  // namespace sluice
