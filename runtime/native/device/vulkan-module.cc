#include "device/vulkan-module.h"

namespace sluice {

VulkanModule::VulkanModule(const Gpu& gpu, Pipelines& pipelines, const ModuleImage& image)
    : gpu_(gpu), pipelines_(pipelines), kernels_(chooseKernels(readVulkanImage(image.bytes, image.kernels), gpu.adapter)), made_(kernels_.size(), VK_NULL_HANDLE) {}

VulkanModule::~VulkanModule() {
  for (const VkPipeline p : made_) gpu_.vk.vkDestroyPipeline(gpu_.device, p, nullptr);
  pipelines_.save();
}

VkPipeline VulkanModule::pipeline(int32_t k) const {
  VkPipeline& pipeline = made_.at(static_cast<size_t>(k));
  if (pipeline == VK_NULL_HANDLE) pipeline = pipelines_.make(kernel(k), "kernel k" + std::to_string(k));
  return pipeline;
}

}  // namespace sluice
