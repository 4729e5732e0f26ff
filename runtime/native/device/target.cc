#include "device/target.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "device/cpu.h"
#include "device/features.h"
#include "device/vulkan.h"

namespace sluice {
namespace {

const std::string VULKAN = "vulkan";

const ModuleInfo* firstOf(const std::vector<ModuleInfo>& modules, ModuleInfo::Kind kind) {
  const auto found = std::find_if(modules.begin(), modules.end(), [&](const ModuleInfo& m) { return m.kind == kind; });
  return found == modules.end() ? nullptr : &*found;
}

/** What is after `vulkan:`. */
std::string choiceOf(const std::string& target) { return target.size() > VULKAN.size() ? target.substr(VULKAN.size() + 1) : ""; }

/** `v4+vnni`. */
std::string levelText(const ModuleInfo& m) {
  std::string text = m.level;
  for (const std::string& feature : m.features) text += "+" + feature;
  return text;
}

}  // namespace

std::string moduleText(const ModuleInfo& m) {
  switch (m.kind) {
    case ModuleInfo::Kind::cpu: return "cpu:" + levelText(m);
    case ModuleInfo::Kind::vulkan: return VULKAN;
    default: return "wasm";
  }
}

const ModuleInfo& moduleFor(const std::vector<ModuleInfo>& modules, const std::string& target) {
  const ModuleInfo* const vulkan = firstOf(modules, ModuleInfo::Kind::vulkan);
  const bool isVulkan = target == VULKAN || target.starts_with(VULKAN + ":");
  if (!isVulkan && !target.empty() && target != "cpu") {
    throw Error({.code = "TARGET001", .message = "there is no target " + target, .found = target, .expected = "cpu, or vulkan, with a device's number or a part of its name if not the best, as vulkan:0"});
  }
  if (!isVulkan && (target == "cpu" || vulkan == nullptr || firstOf(modules, ModuleInfo::Kind::cpu) != nullptr)) return chooseModule(modules, cpuFeatures());
  if (vulkan == nullptr) {
    std::vector<std::string> there;
    for (const ModuleInfo& m : modules) there.push_back(moduleText(m));
    throw Error({.code = "GPU005", .message = "the program has no code for Vulkan", .found = joined(there), .hint = "build it with --target vulkan"});
  }
  return *vulkan;
}

std::unique_ptr<Device> openDevice(const ModuleInfo& module, const std::string& target, const DeviceOptions& options) {
  if (module.kind == ModuleInfo::Kind::vulkan) return openVulkan({.choice = choiceOf(target), .onMessage = options.onMessage});
  return openCpu(options.threads, levelText(module));
}

}  // namespace sluice
