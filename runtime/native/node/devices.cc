#include "node/devices.h"

#include "device/vulkan.h"
#include "node/values.h"

namespace sluice::node {
namespace {

Napi::Object toJs(Napi::Env env, const VulkanFeatures& f) {
  auto features = Napi::Object::New(env);
  const std::pair<const char*, bool> flags[] = {{"int8", f.int8}, {"int16", f.int16}, {"float16", f.float16}, {"float64", f.float64}, {"dot8", f.dot8}, {"atomicAddF32", f.atomicAddF32},
      {"subgroup32", f.subgroup32}, {"memoryModel", f.memoryModel}, {"fusedMultiplyAdd", f.fusedMultiplyAdd}, {"denormals", f.denormals}, {"specialFloats", f.specialFloats},
      {"roundToNearest", f.roundToNearest}, {"cooperativeMatrixKhr", f.cooperativeMatrixKhr}, {"cooperativeMatrixNv", f.cooperativeMatrixNv}};
  for (const auto& [name, value] : flags) features.Set(name, value);
  const std::pair<const char*, uint32_t> numbers[] = {{"subgroupSize", f.subgroupSize}, {"subgroupOperations", f.subgroupOperations}, {"threads", f.threads}, {"sharedBytes", f.sharedBytes}};
  for (const auto& [name, value] : numbers) features.Set(name, static_cast<double>(value));
  return features;
}

}  // namespace

Napi::Value vulkanDevices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto result = Napi::Object::New(env);
  try {
    const std::vector<VulkanDeviceInfo> all = listVulkanDevices();
    auto devices = Napi::Array::New(env, all.size());
    for (uint32_t i = 0; i < all.size(); i++) {
      auto device = Napi::Object::New(env);
      device.Set("name", all[i].name);
      device.Set("kind", all[i].kind);
      device.Set("driver", all[i].driver);
      device.Set("memoryBytes", static_cast<double>(all[i].memoryBytes));
      device.Set("description", all[i].description);
      device.Set("problem", all[i].problem);
      device.Set("features", toJs(env, all[i].features));
      devices.Set(i, device);
    }
    result.Set("devices", devices);
  } catch (const std::exception&) {
    result.Set("error", toJs(env, std::current_exception()));
  }
  return result;
}

}  // namespace sluice::node
