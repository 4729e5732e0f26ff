// A Vulkan device that is open: its functions, its queues, and what its refusals mean. After VK_ERROR_DEVICE_LOST it does
// nothing more, and says so (GPU002).
#pragma once
#include <volk.h>

#include <optional>
#include <string_view>

#include "device/vulkan-instance.h"

namespace sluice {

struct VulkanQueue {
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t family = 0;
};

class Gpu {
 public:
  Gpu(std::unique_ptr<VulkanInstance> instance, Adapter adapter);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  /** Throws Error for everything but success: GPU002, MEM001, GPU006. `what` completes "cannot …". */
  void check(VkResult result, std::string_view what) const;
  /** Throws GPU002 if the device was lost. */
  void requirePresent() const;
  /** Families whose queues use buffers. */
  const std::vector<uint32_t>& queueFamilies() const { return families_; }

  VolkDeviceTable vk{};
  VkDevice device = VK_NULL_HANDLE;
  VulkanQueue compute;
  /** Of a family that only copies, if there is one; else the queue for compute. */
  VulkanQueue upload;
  VulkanQueue download;
  /** Self-tests switch features off here. */
  Adapter adapter;

 private:
  const std::unique_ptr<VulkanInstance> instance_;
  std::vector<uint32_t> families_;
  mutable bool isLost_ = false;
};

}  // namespace sluice
