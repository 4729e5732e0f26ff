#include "device/vulkan-pipelines.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/error.h"
#include "container/read.h"
#include "device/vulkan-module.h"
#include "io/file.h"

namespace sluice {
namespace {

/** Before what the driver wrote, since drivers trust it. */
struct Prefix {
  std::array<char, 8> magic{'S', 'L', 'V', 'K', 'P', 'C', '0', '1'};
  uint64_t bytes = 0;
  uint64_t crc = 0;
};

uint64_t checksum(std::string_view text) { return crc32c(std::as_bytes(std::span(text))); }

std::filesystem::path userFolder() {
  const char* const home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? std::filesystem::path() : std::filesystem::path(home) / ".cache" / "sluice" / "pipelines";
}

}  // namespace

Pipelines::Pipelines(const Gpu& gpu, const std::string& folder) : gpu_(gpu) {
  const std::filesystem::path where = folder.empty() ? userFolder() : std::filesystem::path(folder);
  if (!where.empty()) file_ = where / gpu.adapter.pipelineKey;
  const VkPushConstantRange arguments{.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .offset = 0, .size = sizeof(VkDeviceAddress)};
  const VkPipelineLayoutCreateInfo layout{.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .pushConstantRangeCount = 1, .pPushConstantRanges = &arguments};
  gpu_.check(gpu_.vk.vkCreatePipelineLayout(gpu_.device, &layout, nullptr, &layout_), "make a pipeline layout");
  const std::string known = read();
  const VkPipelineCacheCreateInfo info{.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = known.size(), .pInitialData = known.data()};
  gpu_.check(gpu_.vk.vkCreatePipelineCache(gpu_.device, &info, nullptr, &cache_), "make a pipeline cache");
}

Pipelines::~Pipelines() {
  save();
  gpu_.vk.vkDestroyPipelineCache(gpu_.device, cache_, nullptr);
  gpu_.vk.vkDestroyPipelineLayout(gpu_.device, layout_, nullptr);
}

std::string Pipelines::read() const {
  std::ifstream file(file_, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  Prefix prefix;
  if (all.size() < sizeof prefix) return "";
  std::memcpy(&prefix, all.data(), sizeof prefix);
  const std::string_view rest = std::string_view(all).substr(sizeof prefix);
  const bool isWhole = prefix.magic == Prefix().magic && prefix.bytes == rest.size() && prefix.crc == checksum(rest);
  return isWhole ? std::string(rest) : "";
}

void Pipelines::save() {
  if (!isChanged_ || file_.empty()) return;
  isChanged_ = false;
  size_t size = 0;
  if (gpu_.vk.vkGetPipelineCacheData(gpu_.device, cache_, &size, nullptr) != VK_SUCCESS) return;
  std::string data(size, '\0');
  if (gpu_.vk.vkGetPipelineCacheData(gpu_.device, cache_, &size, data.data()) != VK_SUCCESS) return;
  data.resize(size);
  const Prefix prefix{.bytes = size, .crc = checksum(data)};
  const Bytes parts[] = {std::as_bytes(std::span(&prefix, 1)), std::as_bytes(std::span(data))};
  try {
    std::filesystem::create_directories(file_.parent_path());
    replaceFile(file_.string(), parts);
  } catch (const std::exception&) {
    // They are compiled again the next time.
  }
}

VkPipeline Pipelines::make(const VulkanKernel& kernel, const std::string& name) {
  const VkShaderModuleCreateInfo code{.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = kernel.code.size() * 4, .pCode = kernel.code.data()};
  VkShaderModule shader = VK_NULL_HANDLE;
  gpu_.check(gpu_.vk.vkCreateShaderModule(gpu_.device, &code, nullptr, &shader), "load " + name);
  const VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT size{
      .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT, .requiredSubgroupSize = kernel.subgroup};
  const bool isSized = kernel.subgroup != 0;
  const VkComputePipelineCreateInfo info{.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
      .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .pNext = isSized ? &size : nullptr,
          .flags = isSized ? VkPipelineShaderStageCreateFlags{VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT} : 0, .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = shader, .pName = "main"},
      .layout = layout_};
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result = gpu_.vk.vkCreateComputePipelines(gpu_.device, cache_, 1, &info, nullptr, &pipeline);
  gpu_.vk.vkDestroyShaderModule(gpu_.device, shader, nullptr);
  gpu_.check(result, "compile " + name);
  isChanged_ = true;
  return pipeline;
}

}  // namespace sluice
