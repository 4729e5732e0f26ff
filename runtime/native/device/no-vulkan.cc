// Builds without volk and the Vulkan headers have no Vulkan, and say so.
#ifndef SLUICE_HAS_VULKAN
#include "base/error.h"
#include "device/vulkan.h"

namespace sluice {
namespace {

Error absence() {
  return Error({.code = "GPU001", .message = "this build of the native runtime has no Vulkan", .hint = "apt-get install libvulkan-volk-dev libvulkan-dev, and build it again: node runtime/native/build.mjs"});
}

}  // namespace

std::unique_ptr<Device> openVulkan(const VulkanOptions&) { throw absence(); }
std::vector<VulkanDeviceInfo> listVulkanDevices() { throw absence(); }

}  // namespace sluice
#endif
