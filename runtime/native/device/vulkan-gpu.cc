#include "device/vulkan-gpu.h"

#include <algorithm>

#include "base/error.h"

namespace sluice {
namespace {

std::string resultText(VkResult result) {
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    default: return "VkResult " + std::to_string(result);
  }
}

/** The first family that has `wanted` and none of `unwanted`. */
std::optional<uint32_t> familyOf(const std::vector<VkQueueFamilyProperties>& families, VkQueueFlags wanted, VkQueueFlags unwanted) {
  for (uint32_t i = 0; i < families.size(); i++)
    if ((families[i].queueFlags & wanted) == wanted && (families[i].queueFlags & unwanted) == 0) return i;
  return std::nullopt;
}

VkBool32 flag(bool value) { return value ? VK_TRUE : VK_FALSE; }

/** Everything that kernels may use and the device has, and nothing else. */
VkResult createDevice(const Adapter& a, const std::vector<VkDeviceQueueCreateInfo>& queues, VkDevice* device) {
  const VulkanFeatures& f = a.features;
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT sizes{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT, .subgroupSizeControl = VK_TRUE, .computeFullSubgroups = VK_TRUE};
  VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR, .shaderIntegerDotProduct = VK_TRUE};
  VkPhysicalDeviceShaderAtomicFloatFeaturesEXT atomic{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT, .shaderBufferFloat32AtomicAdd = VK_TRUE};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV matrixNv{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV, .cooperativeMatrix = VK_TRUE};
  CooperativeMatrixFeaturesKhr matrixKhr;
  matrixKhr.cooperativeMatrix = VK_TRUE;
  VkPhysicalDeviceVulkan11Features v11{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .storageBuffer16BitAccess = VK_TRUE};
  VkPhysicalDeviceVulkan12Features v12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v11, .storageBuffer8BitAccess = VK_TRUE, .shaderFloat16 = flag(f.float16),
      .shaderInt8 = flag(f.int8), .timelineSemaphore = VK_TRUE, .bufferDeviceAddress = VK_TRUE, .vulkanMemoryModel = flag(f.memoryModel), .vulkanMemoryModelDeviceScope = flag(f.memoryModel)};
  VkPhysicalDeviceFeatures2 all{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12,
      .features = {.shaderFloat64 = flag(f.float64), .shaderInt64 = VK_TRUE, .shaderInt16 = flag(f.int16)}};
  const auto chain = [&](bool isUsed, auto& structure) {
    if (!isUsed) return;
    structure.pNext = all.pNext;
    all.pNext = &structure;
  };
  chain(f.subgroup32, sizes);
  chain(f.dot8, dot);
  chain(f.atomicAddF32, atomic);
  chain(f.cooperativeMatrixNv, matrixNv);
  chain(f.cooperativeMatrixKhr, matrixKhr);
  const VkDeviceCreateInfo info{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &all, .queueCreateInfoCount = static_cast<uint32_t>(queues.size()), .pQueueCreateInfos = queues.data(),
      .enabledExtensionCount = static_cast<uint32_t>(a.extensions.size()), .ppEnabledExtensionNames = a.extensions.data()};
  return vkCreateDevice(a.handle, &info, nullptr, device);
}

}  // namespace

Gpu::Gpu(std::unique_ptr<VulkanInstance> instance, Adapter found) : adapter(std::move(found)), instance_(std::move(instance)) {
  const uint32_t computeFamily = familyOf(adapter.families, VK_QUEUE_COMPUTE_BIT, 0).value();
  constexpr VkQueueFlags VIDEO = 0x20 | 0x40;
  const auto copyFamily = familyOf(adapter.families, VK_QUEUE_TRANSFER_BIT, VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT | VIDEO);
  const float priorities[] = {1, 1};
  std::vector<VkDeviceQueueCreateInfo> queues{{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueFamilyIndex = computeFamily, .queueCount = 1, .pQueuePriorities = priorities}};
  families_ = {computeFamily};
  uint32_t copyQueues = 0;
  if (copyFamily) {
    copyQueues = std::min(adapter.families[*copyFamily].queueCount, 2U);
    queues.push_back({.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueFamilyIndex = *copyFamily, .queueCount = copyQueues, .pQueuePriorities = priorities});
    families_.push_back(*copyFamily);
  }
  check(createDevice(adapter, queues, &device), "open the device");
  volkLoadDeviceTable(&vk, device);
  const auto queueOf = [&](uint32_t family, uint32_t index) {
    VulkanQueue q{.queue = VK_NULL_HANDLE, .family = family};
    vk.vkGetDeviceQueue(device, family, index, &q.queue);
    return q;
  };
  compute = queueOf(computeFamily, 0);
  upload = copyFamily ? queueOf(*copyFamily, 0) : compute;
  download = copyFamily ? queueOf(*copyFamily, copyQueues - 1) : compute;
}

Gpu::~Gpu() {
  vk.vkDeviceWaitIdle(device);
  vk.vkDestroyDevice(device, nullptr);
}

void Gpu::requirePresent() const {
  if (isLost_) {
    throw Error({.code = "GPU002", .message = "the Vulkan device " + adapter.name + " was lost and does nothing more", .found = "VK_ERROR_DEVICE_LOST, " + adapter.driver,
        .hint = "start the program again; if it is lost again, update the driver, or run kernels in smaller pieces: drivers end what takes too long"});
  }
}

void Gpu::check(VkResult result, std::string_view what) const {
  if (result == VK_SUCCESS) return;
  if (result == VK_ERROR_DEVICE_LOST) {
    isLost_ = true;
    requirePresent();
  }
  const bool isMemory = result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
  throw Error({.code = isMemory ? "MEM001" : "GPU006", .message = "the Vulkan device " + adapter.name + " cannot " + std::string(what), .found = resultText(result) + ", " + adapter.driver,
      .hint = isMemory ? "use smaller sizes, or close programs that are no longer needed" : "update the driver"});
}

}  // namespace sluice
