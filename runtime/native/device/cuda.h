// NVIDIA GPUs, through the driver API of CUDA 12. libcuda is loaded when the first device is opened. Each device is tested by a
// small kernel first: one that computes wrong numbers is refused, naming what it got wrong. A module image is what
// cuda-module.h says.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace sluice {

/** `choice`: a number as `listCudaDevices` counts, or a part of the device's name; empty: the first. Throws GPU001 where there is no such device. */
std::unique_ptr<Device> openCuda(const std::string& choice);

struct CudaDeviceInfo {
  std::string name;
  /** As nvcc names it: `sm_90`. */
  std::string architecture;
  int64_t memoryBytes = 0;
  /** "CUDA 12.4": the newest that the driver runs. */
  std::string driver;
  /** Of the device once it was opened and tested. */
  std::string description;
  /** Why it cannot be used; empty if it can. */
  std::string problem;
};

/** Every device; opened and tested if asked. Throws GPU001 where there is no driver, and GPU008 where it is too old. */
std::vector<CudaDeviceInfo> listCudaDevices(bool isTested);

/** Of a number as the driver counts: "CUDA 12.4". */
std::string cudaVersionText(int version);

}  // namespace sluice
