// What a program runs on, as --target says it: `cpu`, or `vulkan` with a device's number or a part of its name after a colon.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "container/read.h"
#include "device/device.h"

namespace sluice {

/**
 * The module that such a target runs. Without a target, that of the cpu where there is one. Throws TARGET001 for what is no
 * target, CPU005 and GPU005 where the container has no code for it.
 */
const ModuleInfo& moduleFor(const std::vector<ModuleInfo>& modules, const std::string& target);

/** `cpu:v4+vnni`, `vulkan`. */
std::string moduleText(const ModuleInfo& module);

/** The device that runs a module. `threads`: of the cpu. */
std::unique_ptr<Device> openDevice(const ModuleInfo& module, const std::string& target, int threads);

}  // namespace sluice
