#include "device/vulkan-clock.h"

#include <algorithm>

#include "base/trace.h"

namespace sluice {

VulkanClock::VulkanClock(const Gpu& gpu) : gpu_(gpu) {
  const uint32_t bits = gpu.adapter.families[gpu.compute.family].timestampValidBits;
  mask_ = bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  if (!gpu.adapter.hasCalibratedTimestamps) return;
  uint32_t count = 0;
  vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(gpu.adapter.handle, &count, nullptr);
  std::vector<VkTimeDomainEXT> domains(count);
  vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(gpu.adapter.handle, &count, domains.data());
  const auto has = [&](VkTimeDomainEXT d) { return std::find(domains.begin(), domains.end(), d) != domains.end(); };
  isCalibrated_ = has(VK_TIME_DOMAIN_DEVICE_EXT) && has(VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT);
}

std::vector<int64_t> VulkanClock::onHost(std::vector<uint64_t> ticks) const {
  if (ticks.empty()) return {};
  uint64_t device = ticks.back();
  auto host = static_cast<uint64_t>(Trace::now());
  if (isCalibrated_) {
    const VkCalibratedTimestampInfoEXT domains[] = {{.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT},
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
    uint64_t now[2] = {};
    uint64_t deviation = 0;
    gpu_.check(gpu_.vk.vkGetCalibratedTimestampsEXT(gpu_.device, 2, domains, now, &deviation), "read its clock");
    device = now[0];
    host = now[1];
  }
  std::vector<int64_t> times;
  // Differences are right across the place where the count starts again.
  for (const uint64_t t : ticks) times.push_back(static_cast<int64_t>(host) - static_cast<int64_t>(static_cast<double>((device - t) & mask_) * gpu_.adapter.limits.timestampPeriod));
  return times;
}

}  // namespace sluice
