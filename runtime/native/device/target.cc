#include "device/target.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "device/cpu.h"
#include "device/cuda.h"
#include "device/features.h"
#include "device/vulkan.h"

namespace sluice {
namespace {

/** A kind of GPU. */
struct GpuKind {
  ModuleInfo::Kind kind;
  std::string target;
  const char* name;
};
const GpuKind GPUS[] = {{ModuleInfo::Kind::vulkan, "vulkan", "Vulkan"}, {ModuleInfo::Kind::cuda, "cuda", "CUDA"}};

const ModuleInfo* firstOf(const std::vector<ModuleInfo>& modules, ModuleInfo::Kind kind) {
  const auto found = std::find_if(modules.begin(), modules.end(), [&](const ModuleInfo& m) { return m.kind == kind; });
  return found == modules.end() ? nullptr : &*found;
}

/** What is after the colon. */
std::string choiceOf(const std::string& target) {
  const size_t colon = target.find(':');
  return colon == std::string::npos ? "" : target.substr(colon + 1);
}

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
    case ModuleInfo::Kind::vulkan: return "vulkan";
    case ModuleInfo::Kind::cuda: return "cuda:" + joined(m.architectures, ",");
    default: return "wasm";
  }
}

const ModuleInfo& moduleFor(const std::vector<ModuleInfo>& modules, const std::string& target) {
  const auto gpu = std::find_if(std::begin(GPUS), std::end(GPUS), [&](const GpuKind& g) { return target == g.target || target.starts_with(g.target + ":"); });
  if (gpu != std::end(GPUS)) {
    if (const ModuleInfo* const module = firstOf(modules, gpu->kind)) return *module;
    std::vector<std::string> there;
    for (const ModuleInfo& m : modules) there.push_back(moduleText(m));
    throw Error({.code = "GPU005", .message = std::string("the program has no code for ") + gpu->name, .found = joined(there), .hint = "build it with --target " + gpu->target});
  }
  if (!target.empty() && target != "cpu") {
    throw Error({.code = "TARGET001", .message = "there is no target " + target, .found = target, .expected = "cpu, vulkan or cuda; of these with a device's number or a part of its name if not the best, as cuda:0"});
  }
  if (target.empty() && firstOf(modules, ModuleInfo::Kind::cpu) == nullptr) {
    const auto module = std::find_if(modules.begin(), modules.end(), [](const ModuleInfo& m) { return m.kind == ModuleInfo::Kind::vulkan || m.kind == ModuleInfo::Kind::cuda; });
    if (module != modules.end()) return *module;
  }
  return chooseModule(modules, cpuFeatures());
}

std::unique_ptr<Device> openDevice(const ModuleInfo& module, const std::string& target, const DeviceOptions& options) {
  switch (module.kind) {
    case ModuleInfo::Kind::vulkan: return openVulkan({.choice = choiceOf(target), .onMessage = options.onMessage});
    case ModuleInfo::Kind::cuda: return openCuda(choiceOf(target));
    default: return openCpu(options.threads, levelText(module));
  }
}

}  // namespace sluice
