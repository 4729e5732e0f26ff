// GPUs, and processors that act as one (Mesa's lavapipe), through Vulkan 1.2. libvulkan is loaded when the first device is
// opened. Each device is tested by small kernels first: one that computes wrong numbers is refused, and a feature that
// does is switched off and named in the description. A module image is what vulkan-module.h says.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace sluice {

/** What kernels may use beyond what every device here has: 64-bit integers, and storage of 8 and 16 bits. */
struct VulkanFeatures {
  bool int8 = false;
  bool int16 = false;
  bool float16 = false;
  bool float64 = false;
  /** Sums of four products of packed 8-bit integers. */
  bool dot8 = false;
  /** Addition to a float in memory. */
  bool atomicAddF32 = false;
  /** Kernels may ask for subgroups of 32, all of them full. */
  bool subgroup32 = false;
  bool memoryModel = false;
  /** `fma` rounds once. */
  bool fusedMultiplyAdd = false;
  /** Floats that are kept as they are where a kernel asks for it (DenormPreserve, SignedZeroInfNanPreserve), for 32 bits. */
  bool denormals = false;
  bool specialFloats = false;
  bool roundToNearest = false;
  bool cooperativeMatrixKhr = false;
  bool cooperativeMatrixNv = false;
  uint32_t subgroupSize = 0;
  /** VkSubgroupFeatureFlags. */
  uint32_t subgroupOperations = 0;
  /** Threads a workgroup, at most. */
  uint32_t threads = 0;
  /** Bytes of memory that a workgroup shares, at most. */
  uint32_t sharedBytes = 0;
};

struct VulkanOptions {
  /** A number as `listVulkanDevices` counts, or a part of the device's name; empty: the first of the best kind. */
  std::string choice;
  /** Turns the validation layers on and takes each of their messages. */
  std::function<void(const std::string&)> onMessage;
  /** Where compiled pipelines are kept; empty: ~/.cache/sluice/pipelines. */
  std::string pipelines;
};

/** Throws GPU001 where there is no such device, or it lacks what is needed. */
std::unique_ptr<Device> openVulkan(const VulkanOptions& options);

struct VulkanDeviceInfo {
  std::string name;
  /** `discrete`, `integrated`, `virtual`, `cpu` or `other`. */
  std::string kind;
  /** The driver and its version. */
  std::string driver;
  int64_t memoryBytes = 0;
  /** As they are once the self-tests have run. */
  VulkanFeatures features;
  /** Of the device once opened. */
  std::string description;
  /** The self-tests that it passed. */
  std::vector<std::string> passed;
  /** Why it cannot be used; empty if it can. */
  std::string problem;
};

/** Every device, opened and tested. Throws GPU001 where Vulkan is not installed, or not in this build. */
std::vector<VulkanDeviceInfo> listVulkanDevices();

}  // namespace sluice
