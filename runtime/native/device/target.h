// What a program runs on, as --target says it: `cpu`, or `vulkan` or `cuda`, with a device's number or a part of its name after a colon.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "container/read.h"
#include "device/device.h"

namespace sluice {

/**
 * The module that such a target runs. Without a target, that of the cpu where there is one, else the first for a GPU. Throws
 * TARGET001 for what is no target, CPU005 and GPU005 where the container has no code for it.
 */
const ModuleInfo& moduleFor(const std::vector<ModuleInfo>& modules, const std::string& target);

/** `cpu:v4+vnni`, `vulkan`, `cuda:sm_80,sm_90`. */
std::string moduleText(const ModuleInfo& module);

struct DeviceOptions {
  /** Of the cpu. */
  int threads = 1;
  /** Of Vulkan: turns its validation layers on, and takes each of their messages. */
  std::function<void(const std::string&)> onMessage;
};
/** The device that runs a module. */
std::unique_ptr<Device> openDevice(const ModuleInfo& module, const std::string& target, const DeviceOptions& options);

}  // namespace sluice
