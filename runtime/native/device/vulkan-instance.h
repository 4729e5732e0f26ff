// Vulkan as it is installed here: the loader, and what each device has of what kernels need. Nothing is opened yet.
#pragma once
#include <volk.h>

#include <functional>
#include <string>
#include <vector>

#include "device/vulkan.h"

namespace sluice {

/** Debian's headers are older than the extension. */
constexpr const char* COOPERATIVE_MATRIX_KHR = "VK_KHR_cooperative_matrix";
struct CooperativeMatrixFeaturesKhr {
  VkStructureType sType = static_cast<VkStructureType>(1000506000);
  void* pNext = nullptr;
  VkBool32 cooperativeMatrix = VK_FALSE;
  VkBool32 robustBufferAccess = VK_FALSE;
};

/** A device that Vulkan found. */
struct Adapter {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  std::string name;
  std::string driver;
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
  VkPhysicalDeviceLimits limits{};
  VkPhysicalDeviceMemoryProperties memory{};
  /** Which compiled pipelines fit: the cache's UUID and the driver's version. */
  std::string pipelineKey;
  std::vector<VkQueueFamilyProperties> families;
  VulkanFeatures features;
  /** Extensions that are there and used. */
  std::vector<const char*> extensions;
  bool hasCalibratedTimestamps = false;
  /** What is needed and not there. */
  std::vector<std::string> missing;

  int64_t memoryBytes() const;
};

class VulkanInstance {
 public:
  /** Throws GPU001 where Vulkan is not installed, or its validation layers are wanted and not. */
  explicit VulkanInstance(std::function<void(const std::string&)> onMessage);
  ~VulkanInstance();
  VulkanInstance(const VulkanInstance&) = delete;
  VulkanInstance& operator=(const VulkanInstance&) = delete;

  std::vector<Adapter> adapters() const;

 private:
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::function<void(const std::string&)> onMessage_;
};

std::string kindText(VkPhysicalDeviceType type);

/** By number, by a part of the name, or the first of the best kind. Throws GPU001 where there is none, or it lacks something. */
const Adapter& chooseAdapter(const std::vector<Adapter>& adapters, const std::string& choice);

}  // namespace sluice
