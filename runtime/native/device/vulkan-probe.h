// Self-tests of a Vulkan device: tiny kernels whose results are known exactly.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/vulkan.h"

namespace sluice {

struct Probe {
  std::string name;
  std::span<const uint32_t> code;
  /** Of which size its subgroups must be; 0: any. */
  uint32_t subgroup = 0;
  /** 64 results of 8 bytes, then 64 floats; those that the kernel has. */
  std::vector<int64_t> wide;
  std::vector<float> real;
  /** What goes if it fails; null: the device is of no use. */
  void (*switchOff)(VulkanFeatures&) = nullptr;
  /** It finds something out: that it fails is no fault. */
  bool isQuestion = false;
};

/** Of what the device says that it has. */
std::vector<Probe> vulkanProbes(const VulkanFeatures& features);

/** Whether the kernel gives its results. */
bool passes(Device& device, const Probe& probe);

/** Names, for the user. */
struct SelfTests {
  std::vector<std::string> passed;
  std::vector<std::string> failed;
};
/** Runs them, and switches off what fails. Throws GPU001 where the device is of no use. */
SelfTests runSelfTests(Device& device, const std::vector<Probe>& probes, VulkanFeatures& features);

}  // namespace sluice
