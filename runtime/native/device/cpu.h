// The processor as a device: memory of the process, kernels from a shared object that never touches a disk, and a crew of
// threads. Streams do their work at once, so every moment has been reached.
#pragma once
#include <memory>

#include "device/device.h"

namespace sluice {

/** `threads` includes the one that calls `run`; `level` is for the description. */
std::unique_ptr<Device> openCpu(int threads, std::string level);

}  // namespace sluice
