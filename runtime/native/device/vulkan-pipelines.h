// Compiled pipelines, kept on disk between runs: one file for each device and driver, written whole or not at all, and
// ignored where it is damaged.
#pragma once
#include <filesystem>

#include "device/vulkan-gpu.h"

namespace sluice {

struct VulkanKernel;

class Pipelines {
 public:
  /** `folder`: where the file is; empty for the user's cache. */
  Pipelines(const Gpu& gpu, const std::string& folder);
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  /** Throws GPU006 where the driver cannot compile it. */
  VkPipeline make(const VulkanKernel& kernel, const std::string& name);
  VkPipelineLayout layout() const { return layout_; }
  /** Writes what was made since the last time; nothing is said where that does not work. */
  void save();
  const std::filesystem::path& file() const { return file_; }

 private:
  std::string read() const;

  const Gpu& gpu_;
  std::filesystem::path file_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  bool isChanged_ = false;
};

}  // namespace sluice
