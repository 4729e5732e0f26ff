// The device's count of time on the host's clock. Where VK_EXT_calibrated_timestamps reads both at once, to within its
// deviation; elsewhere the last of some timestamps is taken to be when the host saw that they were written.
#pragma once
#include <volk.h>

#include <vector>

#include "device/vulkan-gpu.h"

namespace sluice {

class VulkanClock {
 public:
  explicit VulkanClock(const Gpu& gpu);
  /** Of timestamps that have just been written, in the order of writing: nanoseconds on Trace's clock. */
  std::vector<int64_t> onHost(std::vector<uint64_t> ticks) const;

 private:
  const Gpu& gpu_;
  bool isCalibrated_ = false;
  uint64_t mask_ = 0;
};

}  // namespace sluice
