// What every device says when it has no room: how much was wanted for what, how much is in use, and how much there is.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace sluice {

/** MEM001. `limit`: bytes that the device has in all. */
Error notEnoughMemory(std::string_view purpose, int64_t wanted, int64_t used, int64_t limit);

}  // namespace sluice
