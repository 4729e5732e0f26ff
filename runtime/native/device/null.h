// A device that computes nothing and checks everything: each range that a command names must lie in memory that is
// allocated at that moment, and what kernels would have written, what was never written and what was freed is poisoned, so
// that nothing passes by accident. All trips of a loop are alike here: two are walked. Violations are thrown as std::logic_error: they are faults of ours, not the user's.
#pragma once
#include <memory>

#include "device/device.h"

namespace sluice {

/** In every byte that has no value: a NaN in each float type. */
constexpr std::byte POISON{0xff};

/** `limit`: bytes that it has in all. */
std::unique_ptr<Device> openNull(int64_t limit = int64_t{1} << 32);

}  // namespace sluice
