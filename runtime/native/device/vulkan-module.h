// Kernels for Vulkan. An image is little-endian words: a magic number, a version, the number of kernels, the number of modules;
// for each module {its kernel, threads a workgroup, tasks a workgroup, 32 if its subgroups must be of that size or 0, first
// word of its SPIR-V after this table, number of words}; then the SPIR-V. A kernel has one module or several, which stand
// together, in the order of kernels: they compute the same with other features, which are the capabilities that their SPIR-V
// declares, and a device takes the first that it can run. A module is SPIR-V of 1.5 at most with one entry point `main`,
// GLCompute, LocalSize {threads, 1, 1}, and no descriptors: a push constant of 8 bytes is the address of the launch's
// arguments, 8 bytes each:
//
//   address of each operand · each dim · low · high · address of the scratch memory · bytes of it that each task has
//
// for tasks low … high - 1. Workgroup y * 65535 + x does its part of them, and nothing where it is past the end. Pipelines
// are made when a tape first needs them.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/vulkan-gpu.h"
#include "device/vulkan-pipelines.h"

namespace sluice {

constexpr uint32_t VULKAN_IMAGE_MAGIC = 0x4b564c53;
constexpr uint32_t VULKAN_IMAGE_VERSION = 2;

struct VulkanKernel {
  uint32_t threads = 0;
  uint32_t tasks = 0;
  /** Of which size subgroups must be; 0: any. */
  uint32_t subgroup = 0;
  std::vector<uint32_t> code;
  /** SPIR-V capabilities that it declares. */
  std::vector<uint32_t> capabilities;
  /** Bytes that a workgroup shares. */
  uint64_t sharedBytes = 0;
};

/** The modules of each kernel, the best first. Throws GPU003 where it is no image of so many kernels. */
std::vector<std::vector<VulkanKernel>> readVulkanImage(std::span<const std::byte> bytes, int32_t kernels);

/** Of each kernel the first module that the device can run. Throws GPU004 where it can run none, naming what it lacks for the last. */
std::vector<VulkanKernel> chooseKernels(std::vector<std::vector<VulkanKernel>> kernels, const Adapter& adapter);

class VulkanModule final : public Module {
 public:
  VulkanModule(const Gpu& gpu, Pipelines& pipelines, const ModuleImage& image);
  ~VulkanModule() override;
  VulkanModule(const VulkanModule&) = delete;
  VulkanModule& operator=(const VulkanModule&) = delete;

  const VulkanKernel& kernel(int32_t k) const { return kernels_.at(static_cast<size_t>(k)); }
  VkPipeline pipeline(int32_t k) const;

 private:
  const Gpu& gpu_;
  Pipelines& pipelines_;
  const std::vector<VulkanKernel> kernels_;
  /** Null until it is needed. */
  mutable std::vector<VkPipeline> made_;
};

}  // namespace sluice
